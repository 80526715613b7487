import './inspectorHost';
import '../../webview/inspector';
