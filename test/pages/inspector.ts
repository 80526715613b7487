/// <reference path="../../webview/styles.d.ts" />
import './inspectorHost';
import '../../webview/inspector';
