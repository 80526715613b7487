import './textHost';
import '../../webview/text';
