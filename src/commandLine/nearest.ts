import { writeSafetensors } from '../checkpoint/formats/safetensorsWriter';
import { imagesIn } from '../inference/imagesIn';
import { nearestOf } from '../tasks/nearest';
import { requireOutput } from './output';
import type { Outcome, Session } from './session';
import { UsageError } from './usage';

/** `vitrine explain --method nearest`: images of a folder by how near they are to one. */
export async function nearest(session: Session, checkpoint: string, image: string): Promise<void> {
  const { among, out, top, imageSize, asStored } = session.options;
  if (image === '' || among === undefined)
    throw new UsageError('--method nearest: an image, and --among FOLDER of others, are needed');
  const answer = async (): Promise<Outcome> => {
    await requireOutput(out, [checkpoint, image]);
    const others = await imagesIn(among);
    if (others.length === 0) throw new Error(`${among}: no image in this folder`);
    const model = await session.settings();
    const runner = await session.runner();
    const vectorOf = (path: string) =>
      runner.imageVector({ checkpoint, model, image: path, options: { imageSize, asStored } });
    const own = await vectorOf(image);
    const found: { image: string; vector: Float32Array }[] = [];
    const failed: Record<string, string> = {};
    for (const path of others)
      await vectorOf(path).then(
        ({ vector }) => found.push({ image: path, vector }),
        (error: unknown) => {
          if (session.signal.aborted) throw error;
          failed[path] = (error as Error).message;
        },
      );
    const near = nearestOf(own.vector, found, top);
    const cosines = Float32Array.from(near, ({ cosine }) => cosine);
    const bytes = new Uint8Array(cosines.buffer);
    const tensor = { name: 'nearest.cosine', dtype: 'F32' as const, shape: [near.length], bytes };
    await session.heeding(() => writeSafetensors(out, [tensor]));
    const json = {
      path: checkpoint,
      image,
      out,
      output: own.space,
      among,
      compared: found.length,
      nearest: near,
      failed,
    };
    const lines = [
      `${image}: nearest of ${found.length} by ${own.space}, cosine`,
      ...near.map(({ image: path, cosine }) => `${cosine.toFixed(4).padStart(8)}  ${path}`),
      ...Object.entries(failed).map(([path, reason]) => `  not compared: ${path}: ${reason}`),
      '',
    ];
    return { json, text: lines.join('\n') };
  };
  await session.each([checkpoint], answer, (path) => ({ path, image }));
}
