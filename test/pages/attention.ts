import './attentionHost';
import '../../webview/attention';
