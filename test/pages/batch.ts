/// <reference path="../../webview/styles.d.ts" />
import './batchHost';
import '../../webview/batch';
