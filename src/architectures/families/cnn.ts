import { convnext } from './convnext';
import { resnet } from './resnet';

/** Convolutional networks, with which transformers are compared. */
export const convolutionalNetworks = [resnet, convnext] as const;
