// Every whole model that is known, one line each: a new one is its file and its line here.
export { detr } from './detr';
export { chineseClip, clip, openClip, siglip } from './clip';
export { segformer } from './segformer';
export { upernet } from './upernet';
