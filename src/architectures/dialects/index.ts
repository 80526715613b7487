import type { Tensor } from '../../checkpoint/tensors';
import { backbonesIn } from './backbones';
import { beitDialects } from './beit';
import { bitDialects } from './bit';
import { caitDialects } from './cait';
import { openAiClip, openClipTrunk, transformersClip } from './clip';
import { coatDialects } from './coat';
import { convitDialects } from './convit';
import { convnextDialects } from './convnext';
import { crossvitDialects } from './crossvit';
import { cvtDialects } from './cvt';
import { davitDialects } from './davit';
import { densenetDialects } from './densenet';
import { FileNames, translate, type Dialect, type Translation } from './dialect';
import { dinov2 } from './dinov2';
import { edgeNextDialects } from './edgenext';
import { efficientFormerDialects } from './efficientformer';
import { efficientnetDialects } from './efficientnet';
import { efficientVitMitDialects } from './efficientVitMit';
import { efficientVitMsraDialects } from './efficientVitMsra';
import { evaDialects } from './eva';
import { fastVitDialects } from './fastvit';
import { focalnetDialects } from './focalnet';
import { googleJax } from './googleJax';
import { hieraDialects } from './hiera';
import { levitDialects } from './levit';
import { mae } from './mae';
import { maxVitDialects } from './maxvit';
import { metaformerDialects } from './metaformer';
import { mobileVitDialects } from './mobilevit';
import { mvitv2Dialects } from './mvitv2';
import { naflexvitDialects } from './naflexvit';
import { nestDialects } from './nest';
import { pitDialects } from './pit';
import { pvtDialects } from './pvt';
import { regnetDialects } from './regnet';
import { resnetDialects } from './resnet';
import { samDialects } from './sam';
import { segformerDialects } from './segformer';
import { swinDialects } from './swin';
import { timm } from './timm';
import { tinyVitDialects } from './tinyVit';
import { tntDialects } from './tnt';
import { torchvision } from './torchvision';
import { transformers, transformers5 } from './transformers';
import { trunksIn } from './trunks';
import { twinsDialects } from './twins';
import { vggDialects } from './vgg';
import { visformerDialects } from './visformer';
import { vitaminDialects } from './vitamin';
import { vitdetDialects } from './vitdet';
import { vitHybridDialects } from './vitHybrid';
import { vitRelposDialects } from './vitRelpos';
import { voloDialects } from './volo';
import { xcitDialects } from './xcit';

/** Names of families other than the plain transformers. */
const familyDialects: readonly Dialect[] = [
  ...beitDialects,
  ...bitDialects,
  ...caitDialects,
  ...coatDialects,
  ...convitDialects,
  ...convnextDialects,
  ...crossvitDialects,
  ...cvtDialects,
  ...davitDialects,
  ...densenetDialects,
  ...edgeNextDialects,
  ...efficientFormerDialects,
  ...efficientnetDialects,
  ...efficientVitMitDialects,
  ...efficientVitMsraDialects,
  ...evaDialects,
  ...fastVitDialects,
  ...focalnetDialects,
  ...hieraDialects,
  ...levitDialects,
  ...maxVitDialects,
  ...metaformerDialects,
  ...mobileVitDialects,
  ...mvitv2Dialects,
  ...naflexvitDialects,
  ...nestDialects,
  ...pitDialects,
  ...pvtDialects,
  ...regnetDialects,
  ...resnetDialects,
  ...samDialects,
  ...segformerDialects,
  ...swinDialects,
  ...tinyVitDialects,
  ...tntDialects,
  ...twinsDialects,
  ...vggDialects,
  ...visformerDialects,
  ...vitaminDialects,
  ...vitdetDialects,
  ...vitHybridDialects,
  ...vitRelposDialects,
  ...voloDialects,
  ...xcitDialects,
];

/** Names of plain transformers, the narrower before the wider. */
const plainDialects: readonly Dialect[] = [
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

/**
 * Every naming that a file with these names may have. Those whose signature fits are tried in this order: the narrower before the wider.
 * Namings of larger models, of which there are hundreds, are left out where nothing lies in the place of their backbone.
 */
export const dialectsFor = (names: readonly string[]): readonly Dialect[] => [
  ...backbonesIn(names),
  ...familyDialects,
  ...trunksIn(names, familyDialects),
  ...plainDialects,
];

/** The tensors under canonical names, in every dialect whose signature fits. */
export function translations(tensors: readonly Tensor[]): readonly Translation[] {
  const names = tensors.map(({ name }) => name);
  const file = new FileNames(names);
  return dialectsFor(names).flatMap((dialect) => translate(dialect, tensors, file) ?? []);
}
