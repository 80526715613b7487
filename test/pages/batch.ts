import './batchHost';
import '../../webview/batch';
