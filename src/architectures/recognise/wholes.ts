import type { Translation } from '../dialect';
import type { ConfigValue, EvidenceRecord, Found, Known } from '../family';
import { isStandalone, type Whole, type RecognisedWhole } from '../whole';
import { namesOfWhole, speaksOf, wholeNamed, wholes } from '../wholes';
import { isMisfit } from './fit';
import { buildGraph } from './graphs';

/** What `assume` means for a backbone inside of a larger model: `backbone_heads` is its `heads`. */
export const backbonePrefix = 'backbone_';

/** The whole model that a network's names are of; undefined if its backbone is all there is. */
export function wholeOf(translation: Translation): Whole | undefined {
  return aroundBackbones.find((whole) => speaksOf(whole, translation.network));
}

/** Models around a backbone. */
const aroundBackbones = wholes.filter((whole) => !isStandalone(whole));

/** The assumptions that a backbone reads: its own under the prefix, and what the whole has not. */
export function assumedOfBackbone(
  whole: Whole | undefined,
  assume: Readonly<Record<string, ConfigValue>>,
): Readonly<Record<string, ConfigValue>> {
  if (!whole) return assume;
  const entries = Object.entries(assume).flatMap(([key, value]): readonly [string, ConfigValue][] => {
    if (key.startsWith(backbonePrefix)) return [[key.slice(backbonePrefix.length), value]];
    return whole.assumable.includes(key) ? [] : [[key, value]];
  });
  return Object.fromEntries(entries);
}

/**
 * A recognised backbone with the model around it, if its graph can be written; else the backbone,
 * with the reason.
 */
export function asWhole(whole: Whole, known: Known, found: Found): Known {
  const { checkpoint } = found;
  try {
    const tensors = namesOfWhole(whole, known.translation!.network);
    const own = whole.recognise({ tensors, backbone: known, found });
    if (!own) return known;
    const next: Known = {
      ...known,
      label: own.label,
      title: own.title,
      familyTitle: whole.title,
      family: whole.row ?? whole.name,
      task: whole.task,
      evidence: whole.isTower
        ? { ...known.evidence, ...own.evidence }
        : { ...own.evidence, ...ofBackbone(known.evidence), ...(found.imageSize ? {} : sizeOf(own)) },
      assumable: [
        ...whole.assumable,
        ...known.assumable.map((key) => (whole.isTower ? key : `${backbonePrefix}${key}`)),
      ],
      choices: whole.isTower ? known.choices : {},
      candidates: [],
      warnings: [...known.warnings, ...(own.warnings ?? [])],
      imageSize: found.imageSize ?? own.imageSize ?? known.imageSize,
      sizeStep: own.sizeStep ?? known.sizeStep,
      pixels: own.pixels ?? known.pixels,
      whole: { name: whole.name, config: own.config },
      reading: own.reading,
      ...(own.modelType !== undefined && { modelType: own.modelType }),
      ...(own.lengths && { lengths: own.lengths }),
      ...(own.bounds && { bounds: own.bounds }),
      ...(whole.masksPixels && { masksPixels: true }),
    };
    buildGraph(checkpoint, next);
    return next;
  } catch (error) {
    if (!isMisfit(error)) throw error;
    return {
      ...known,
      warnings: [...known.warnings, `${whole.title} around the backbone is not run: ${error.message}.`],
    };
  }
}

/** The image size that a whole model states of itself. */
const sizeOf = ({ imageSize, evidence }: RecognisedWhole<unknown>): EvidenceRecord =>
  imageSize && evidence['image_size'] ? { image_size: evidence['image_size'] } : {};

/** Keys that mean the whole model, whoever states them. */
const ofAll: ReadonlySet<string> = new Set(['image_size', 'channels']);

const ofBackbone = (evidence: EvidenceRecord): EvidenceRecord =>
  Object.fromEntries(
    Object.entries(evidence).map(([key, value]) => [ofAll.has(key) ? key : `${backbonePrefix}${key}`, value]),
  );

/**
 * Hyper-parameters of a model's image network under its family's own keys; those of a model around
 * it, which may have the same names, are left out.
 */
export function ofNetwork({ whole, evidence }: Known): EvidenceRecord {
  const around = whole && wholeNamed(whole.name);
  if (!around || isStandalone(around) || around.isTower) return evidence;
  return Object.fromEntries(
    Object.entries(evidence).flatMap(([key, value]) => {
      if (ofAll.has(key)) return [[key, value]];
      return key.startsWith(backbonePrefix) ? [[key.slice(backbonePrefix.length), value]] : [];
    }),
  );
}
