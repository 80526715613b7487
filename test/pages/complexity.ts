import './inspectorHost';
import '../../webview/complexity';
