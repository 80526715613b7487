import type { Tensor } from '../../checkpoint/tensors';
import { hieraDialects } from './hiera';
import { mvitv2Dialects } from './mvitv2';
import { vitdetDialects } from './vitdet';
import { samDialects } from './sam';
import { convitDialects } from './convit';
import { xcitDialects } from './xcit';
import { caitDialects } from './cait';
import { cnnDialects } from './cnn';
import { openAiClip, openClipTrunk, transformersClip } from './clip';
import { translate, type Dialect, type Translation } from './dialect';
import { dinov2 } from './dinov2';
import { backboneDialects } from './backbones';
import { beitDialects } from './beit';
import { vitHybridDialects } from './vitHybrid';
import { naflexvitDialects } from './naflexvit';
import { evaDialects } from './eva';
import { googleJax } from './googleJax';
import { mae } from './mae';
import { timm } from './timm';
import { torchvision } from './torchvision';
import { transformers, transformers5 } from './transformers';
import { trunksOf } from './trunks';
import { pvtDialects } from './pvt';
import { focalnetDialects } from './focalnet';
import { nestDialects } from './nest';
import { tntDialects } from './tnt';
import { voloDialects } from './volo';
import { vitaminDialects } from './vitamin';
import { levitDialects } from './levit';
import { maxVitDialects } from './maxvit';
import { metaformerDialects } from './metaformer';
import { mobileVitDialects } from './mobilevit';
import { visformerDialects } from './visformer';
import { tinyVitDialects } from './tinyVit';
import { segformerDialects } from './segformer';
import { swinDialects } from './swin';
import { davitDialects } from './davit';
import { vitRelposDialects } from './vitRelpos';
import { twinsDialects } from './twins';
import { efficientFormerDialects } from './efficientformer';
import { pitDialects } from './pit';
import { edgeNextDialects } from './edgenext';
import { cvtDialects } from './cvt';
import { efficientVitMitDialects } from './efficientVitMit';
import { crossvitDialects } from './crossvit';
import { efficientVitMsraDialects } from './efficientVitMsra';
import { coatDialects } from './coat';
import { fastVitDialects } from './fastvit';

/** Names of families other than the plain transformers. */
const familyDialects: readonly Dialect[] = [
  ...fastVitDialects,
  ...coatDialects,
  ...efficientVitMsraDialects,
  ...hieraDialects,
  ...crossvitDialects,
  ...efficientVitMitDialects,
  ...cvtDialects,
  ...edgeNextDialects,
  ...pitDialects,
  ...mvitv2Dialects,
  ...vitdetDialects,
  ...samDialects,
  ...efficientFormerDialects,
  ...focalnetDialects,
  ...vitaminDialects,
  ...voloDialects,
  ...tntDialects,
  ...nestDialects,
  ...twinsDialects,
  ...convitDialects,
  ...swinDialects,
  ...vitRelposDialects,
  ...davitDialects,
  ...segformerDialects,
  ...xcitDialects,
  ...tinyVitDialects,
  ...caitDialects,
  ...visformerDialects,
  ...levitDialects,
  ...pvtDialects,
  ...maxVitDialects,
  ...metaformerDialects,
  ...mobileVitDialects,
  ...cnnDialects,
  ...beitDialects,
  ...vitHybridDialects,
  ...naflexvitDialects,
  ...evaDialects,
];

/** Every naming that is known. Those whose signature fits are tried in this order: the narrower before the wider. */
export const dialects: readonly Dialect[] = [
  ...backboneDialects,
  ...familyDialects,
  ...trunksOf(familyDialects),
  openClipTrunk,
  openAiClip,
  transformersClip,
  transformers5,
  transformers,
  torchvision,
  googleJax,
  mae,
  dinov2,
  timm,
];

/** The tensors under canonical names, in every dialect whose signature fits. */
export function translations(tensors: readonly Tensor[]): readonly Translation[] {
  return dialects.flatMap((dialect) => translate(dialect, tensors) ?? []);
}
