// Every whole model that is known, one line each: a new one is its file and its line here.
export { beitSegmentation } from './beitSegmentation';
export { chineseClip, clip, openClip, siglip } from './clip';
export { conditionalDetr } from './conditionalDetr';
export { dabDetr } from './dabDetr';
export { deformableDetr } from './deformableDetr';
export { depthAnything } from './depthAnything';
export { detr } from './detr';
export { dpt } from './dpt';
export { dptSegmentation } from './dptSegmentation';
export { glpn } from './glpn';
export { mask2Former } from './mask2Former';
export { maskFormer } from './maskFormer';
export { rtDetr } from './rtDetr';
export { sam, samOriginal } from './sam';
export { segformer } from './segformer';
export { upernet } from './upernet';
export { yolos } from './yolos';
export { zoeDepth, zoeDepthDomains } from './zoeDepth';
