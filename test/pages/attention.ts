/// <reference path="../../webview/styles.d.ts" />
import './attentionHost';
import '../../webview/attention';
