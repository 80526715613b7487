import { openOnce } from '../models/openedModels';
import { formatBytes, formatCount, formatExact } from '../domain/units';

/**
 * What a list says of a checkpoint: `ViT-B/16 (Vision Transformer) · 86.6 M parameters · 346 MB ·
 * 1,000 classes`. Headers are read, no weights. Throws if the file is refused.
 */
export async function checkpointFacts(path: string): Promise<string> {
  const { model } = (await openOnce(path)).settle();
  const { checkpoint, recognition, counts } = model;
  const isKnown = recognition.family !== null;
  const classes =
    isKnown && recognition.task === 'classify' ? Number(recognition.evidence['classes']?.value ?? 0) : 0;
  const answers = classes > 0 ? `${formatExact(classes)} classes` : 'no classes';
  return [
    isKnown ? `${recognition.title} (${recognition.familyTitle})` : 'architecture not known',
    `${formatCount(counts.params)} parameters`,
    formatBytes(checkpoint.size),
    ...(isKnown ? [answers] : []),
  ].join(' · ');
}
