import { convnext } from './convnext';
import { efficientnet } from './efficientnet';
import { resnet } from './resnet';

/** Convolutional networks, with which transformers are compared. */
export const convolutionalNetworks = [resnet, convnext, efficientnet] as const;
