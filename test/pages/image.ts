import './imageHost';
import '../../webview/image';
