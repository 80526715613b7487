import { bit } from './bit';
import { convnext } from './convnext';
import { densenet } from './densenet';
import { efficientnet } from './efficientnet';
import { regnet } from './regnet';
import { resnet } from './resnet';
import { vgg } from './vgg';

/** Convolutional networks, with which transformers are compared. */
export const convolutionalNetworks = [resnet, bit, convnext, efficientnet, regnet, densenet, vgg] as const;
