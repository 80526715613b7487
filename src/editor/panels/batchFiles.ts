import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import type { BatchRow, BatchState, KeptFile } from '../../protocol/batch';
import type { Answer } from '../../tasks/answer';
import type { SeenImage } from '../../tasks/run';

/** Bytes of files that one batch keeps: a map of float32 of 1,000 images of 640 × 480 is 1.2 GB. */
const mostBytes = 2e9;

/** What the user is asked about an export; undefined if a dialog is closed. */
export interface ExportAsks {
  file(near: string, name: string): Promise<string | undefined>;
  folder(near: string, title: string): Promise<string | undefined>;
  mayReplace(names: readonly string[]): Promise<boolean>;
  warn(text: string): void;
}

/**
 * The answers of a batch as files of other tools: written into a folder of the extension's own
 * while it runs, and handed out when they are exported.
 */
export class BatchFiles {
  private bytes = 0;

  constructor(
    private readonly folder: string,
    private readonly asks: ExportAsks,
    private readonly most = mostBytes,
  ) {}

  /** Keeps what an answer can be exported as; nothing more once there is too much. */
  async keep(
    index: number,
    answer: Answer,
    { image, size: [width, height] }: Pick<SeenImage, 'image' | 'size'>,
  ): Promise<readonly KeptFile[]> {
    const { answerFormats } = await import('../../tasks/tasks');
    const formats = answerFormats(answer);
    if (formats.length > 0) await mkdir(this.folder, { recursive: true });
    const kept: KeptFile[] = [];
    for (const { ending, title, content } of formats) {
      if (this.bytes > this.most) break;
      const { data } = await content(answer, { name: basename(image), size: [height, width] });
      await writeFile(this.fileOf(index, ending), data);
      this.bytes += data.length;
      kept.push({ ending, title });
    }
    return kept;
  }

  /**
   * Asks where to, and writes the files of an ending: joined, if their format can be, else each
   * beside the others under its image's name. Resolves to whether something was written.
   */
  async export({ rows, checkpoint }: BatchState, ending: string): Promise<boolean> {
    const having = rows.filter(({ files }) => files?.some((file) => file.ending === ending));
    const near = having[0]?.image ?? checkpoint;
    const { formatNamed } = await import('../../tasks/tasks');
    const joining = formatNamed(ending)?.join;
    const written = joining
      ? await this.writeJoined(having, ending, joining, near)
      : await this.writeEach(having, ending, near);
    const lacking = rows.filter(({ error }) => error === undefined).length - having.length;
    if (written && lacking > 0)
      this.asks.warn(
        `${lacking} images are not among them: a table keeps files of ${this.most / 1e9} GB. Run the rest by itself.`,
      );
    return written;
  }

  async forget(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  private async writeJoined(
    rows: readonly BatchRow[],
    ending: string,
    joining: (texts: readonly string[]) => string,
    near: string,
  ): Promise<boolean> {
    const target = await this.asks.file(near, `results.${ending}`);
    if (target === undefined) return false;
    const texts: string[] = [];
    for (const { index } of rows) texts.push(await readFile(this.fileOf(index, ending), 'utf8'));
    await writeFile(target, joining(texts));
    return true;
  }

  private async writeEach(rows: readonly BatchRow[], ending: string, near: string): Promise<boolean> {
    const folder = await this.asks.folder(near, `Folder for ${rows.length} files, .${ending}`);
    if (folder === undefined) return false;
    const names = fileNames(rows, ending);
    const there = new Set(await readdir(folder));
    const taken = names.filter((name) => there.has(name));
    if (taken.length > 0 && !(await this.asks.mayReplace(taken))) return false;
    for (const [place, { index }] of rows.entries())
      await writeFile(
        join(folder, names[place] ?? `${index}.${ending}`),
        await readFile(this.fileOf(index, ending)),
      );
    return true;
  }

  private fileOf(index: number, ending: string): string {
    return join(this.folder, `${index}.${ending}`);
  }
}

/** A name for each image's file: its own, with its number where another image is called so, too. */
function fileNames(rows: readonly BatchRow[], ending: string): readonly string[] {
  const stems = rows.map(({ image }) => basename(image, extname(image)));
  const counts = new Map<string, number>();
  for (const stem of stems.map((each) => each.toLowerCase())) counts.set(stem, (counts.get(stem) ?? 0) + 1);
  return stems.map((stem, place) => {
    const isAlone = counts.get(stem.toLowerCase()) === 1;
    return `${stem}${isAlone ? '' : `-${rows[place]?.index ?? place}`}.${ending}`;
  });
}
