import type { Family } from '../family';
import { hieradet } from './hieradet';
import { hiera } from './hiera';
import { mvitv2 } from './mvitv2';
import { vitdet } from './vitdet';
import { sam } from './sam';
import { convit } from './convit';
import { xcit } from './xcit';
import { cait } from './cait';
import { convolutionalNetworks } from './cnn';
import { clip } from './clip';
import { beit } from './beit';
import { vitHybrid } from './vitHybrid';
import { naflexvit } from './naflexvit';
import { eva } from './eva';
import { siglip } from './siglip';
import { vit } from './vit';
import { pvtV2 } from './pvtV2';
import { focalnet } from './focalnet';
import { nest } from './nest';
import { tnt } from './tnt';
import { volo } from './volo';
import { vitamin } from './vitamin';
import { levit } from './levit';
import { maxVit } from './maxvit';
import { metaformer } from './metaformer';
import { mobileVit } from './mobilevit';
import { pvt } from './pvt';
import { visformer } from './visformer';
import { tinyVit } from './tinyVit';
import { segformer } from './segformer';
import { swin } from './swin';
import { swinv2 } from './swinv2';
import { swinv2Cr } from './swinv2Cr';
import { davit } from './davit';
import { vitRelpos } from './vitRelpos';
import { twins } from './twins';
import { efficientFormer } from './efficientformer';
import { pit } from './pit';
import { edgeNext } from './edgenext';
import { cvt } from './cvt';
import { efficientVitMit } from './efficientVitMit';
import { crossvit } from './crossvit';
import { efficientVitMsra } from './efficientVitMsra';
import { coat } from './coat';
import { fastVit } from './fastvit';

/** Every family that is known, asked in this order. A new one is one file and one line here. */
export const families = [
  fastVit,
  efficientVitMsra,
  hieradet,
  hiera,
  efficientVitMit,
  edgeNext,
  mvitv2,
  vitdet,
  sam,
  efficientFormer,
  focalnet,
  vitamin,
  volo,
  tnt,
  nest,
  convit,
  swin,
  swinv2,
  swinv2Cr,
  vitRelpos,
  davit,
  xcit,
  tinyVit,
  cait,
  visformer,
  maxVit,
  metaformer,
  mobileVit,
  levit,
  pvtV2,
  pvt,
  segformer,
  ...convolutionalNetworks,
  twins,
  beit,
  vitHybrid,
  naflexvit,
  eva,
  pit,
  cvt,
  crossvit,
  coat,
  siglip,
  clip,
  vit,
] as const satisfies readonly Family[];
