import type { Family } from '../family';
import { beit } from './beit';
import { bit } from './bit';
import { cait } from './cait';
import { clip } from './clip';
import { coat } from './coat';
import { convit } from './convit';
import { convnext } from './convnext';
import { crossvit } from './crossvit';
import { cvt } from './cvt';
import { davit } from './davit';
import { densenet } from './densenet';
import { edgeNext } from './edgenext';
import { efficientFormer } from './efficientformer';
import { efficientnet } from './efficientnet';
import { efficientVitMit } from './efficientVitMit';
import { efficientVitMsra } from './efficientVitMsra';
import { eva } from './eva';
import { fastVit } from './fastvit';
import { focalnet } from './focalnet';
import { hiera } from './hiera';
import { hieradet } from './hieradet';
import { levit } from './levit';
import { maxVit } from './maxvit';
import { metaformer } from './metaformer';
import { mobileVit } from './mobilevit';
import { mvitv2 } from './mvitv2';
import { naflexvit } from './naflexvit';
import { nest } from './nest';
import { pit } from './pit';
import { pvt } from './pvt';
import { pvtV2 } from './pvtV2';
import { regnet } from './regnet';
import { resnet } from './resnet';
import { sam } from './sam';
import { segformer } from './segformer';
import { siglip } from './siglip';
import { swin } from './swin';
import { swinv2 } from './swinv2';
import { swinv2Cr } from './swinv2Cr';
import { tinyVit } from './tinyVit';
import { tnt } from './tnt';
import { twins } from './twins';
import { vgg } from './vgg';
import { visformer } from './visformer';
import { vit } from './vit';
import { vitamin } from './vitamin';
import { vitdet } from './vitdet';
import { vitHybrid } from './vitHybrid';
import { vitRelpos } from './vitRelpos';
import { volo } from './volo';
import { xcit } from './xcit';

/** Every family that is known. A new one is one file and one line here. */
export const families = [
  beit,
  bit,
  cait,
  clip,
  coat,
  convit,
  convnext,
  crossvit,
  cvt,
  davit,
  densenet,
  edgeNext,
  efficientFormer,
  efficientnet,
  efficientVitMit,
  efficientVitMsra,
  eva,
  fastVit,
  focalnet,
  hiera,
  hieradet,
  levit,
  maxVit,
  metaformer,
  mobileVit,
  mvitv2,
  naflexvit,
  nest,
  pit,
  pvt,
  pvtV2,
  regnet,
  resnet,
  sam,
  segformer,
  siglip,
  swin,
  swinv2,
  swinv2Cr,
  tinyVit,
  tnt,
  twins,
  vgg,
  visformer,
  vit,
  vitamin,
  vitdet,
  vitHybrid,
  vitRelpos,
  volo,
  xcit,
] as const satisfies readonly Family[];
