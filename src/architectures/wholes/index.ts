// Every whole model that is known, one line each: a new one is its file and its line here.
export { depthAnything } from './depthAnything';
export { detr } from './detr';
export { chineseClip, clip, openClip, siglip } from './clip';
export { dpt } from './dpt';
export { dptSegmentation } from './dptSegmentation';
export { segformer } from './segformer';
export { upernet } from './upernet';
