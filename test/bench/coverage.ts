// npm run coverage [-- MODULE …]: which published image models open by their headers, and are
// counted right. Of timm every architecture that VITRINE_PYTHON's timm lists, of other libraries
// the lines of the oracles. VITRINE_WHY=1 says what is in the way.
import { countAllMacs } from '../../src/analysis/complexity';
import { buildGraph, countParameters, partsOf, recognise } from '../../src/architectures/recognise/recognise';
import { checkpointOf, linesFolder, readLines, type Line } from '../oracles/lines';
import { findTimmHeaders } from './findPeers';
import { Peer } from './processes';

/** What a header has; MACs are of the oracles' lines alone. */
type Header = Pick<Line, 'id' | 'tensors' | 'params' | 'image_size'> & Partial<Pick<Line, 'macs'>>;

/** Why a header is not opened, or what is counted wrong; undefined if all is right. */
function fault({ id, tensors, params, macs, image_size }: Header): 'not opened' | 'miscounted' | undefined {
  const checkpoint = checkpointOf({ id, tensors });
  try {
    const recognition = recognise(checkpoint, { imageSize: image_size });
    if (recognition.family === null) {
      if (process.env.VITRINE_WHY) console.log(`  ${id}: ${recognition.reason}`);
      return 'not opened';
    }
    if (countParameters(checkpoint, recognition).params !== params) return 'miscounted';
    const parts = partsOf(recognition);
    const graphs = (parts.length > 0 ? parts : [undefined]).map(
      (part) => buildGraph(checkpoint, recognition, part && { part }).graph,
    );
    const { conv, linear, attention } = countAllMacs(graphs);
    if (!macs || (conv === macs.conv && linear === macs.linear && attention === macs.attention)) return;
    if (process.env.VITRINE_WHY) console.log(`  ${id}: ${conv} ${linear} ${attention}`, macs);
    return 'miscounted';
  } catch (error) {
    if (process.env.VITRINE_WHY) console.log(`  ${id}: ${(error as Error).message}`);
    return 'not opened';
  }
}

/** `vit_base_patch16_224` of `timm/vit_base_patch16_224.augreg_in21k#features`. */
const architectureOf = ({ id }: Header): string =>
  id
    .split('/')
    .slice(1)
    .join('/')
    .split(/[.#@+]/)[0]!;

/** One line for each architecture of timm, and those of its list without one made on the way. */
async function* timmHeaders(wanted: readonly string[]): AsyncGenerator<readonly [string, Header]> {
  const lines = new Map<string, Line>();
  for (const line of readLines(linesFolder))
    if (line.id.startsWith('timm/') && !/[@+]/.test(line.id) && !lines.has(architectureOf(line)))
      lines.set(architectureOf(line), line);
  const python = await findTimmHeaders();
  if ('notFound' in python) {
    console.log(`of timm the lines of the oracles alone: ${python.notFound}`);
    for (const line of lines.values())
      if (wanted.length === 0 || wanted.includes(line.family)) yield [line.family, line];
    return;
  }
  const peer = await Peer.start(python.command);
  const { modules } = peer.first as { readonly modules: Readonly<Record<string, string>> };
  for (const [name, module] of Object.entries(modules))
    if (wanted.length === 0 || wanted.includes(module))
      yield [module, lines.get(name) ?? ((await peer.ask(name)) as Header)];
  await peer.end();
}

/** Models of a group: how many, how many of them open and are counted right, and the others. */
interface Share {
  all: number;
  readonly faults: Map<string, string[]>;
}

function tell(groups: ReadonlyMap<string, Share>, title: string): void {
  const failed = ({ faults }: Share): number => [...faults.values()].flat().length;
  const shares = [...groups.values()];
  const all = shares.reduce((sum, share) => sum + share.all, 0);
  const right = all - shares.reduce((sum, share) => sum + failed(share), 0);
  console.log(`\n${title}: ${right} of ${all} open and are counted right`);
  for (const [group, share] of groups) {
    const others = [...share.faults].map(([why, names]) => `${why}: ${names.join(' ')}`);
    console.log([`  ${group} ${share.all - failed(share)} of ${share.all}`, ...others].join('\n    '));
  }
}

function note(groups: Map<string, Share>, group: string, header: Header): void {
  const share = groups.get(group) ?? { all: 0, faults: new Map<string, string[]>() };
  share.all += 1;
  const why = fault(header);
  if (why) share.faults.set(why, [...(share.faults.get(why) ?? []), architectureOf(header)]);
  groups.set(group, share);
}

async function main(wanted: readonly string[]): Promise<void> {
  const timm = new Map<string, Share>();
  for await (const [module, header] of timmHeaders(wanted)) note(timm, module, header);
  tell(timm, 'timm');
  if (wanted.length > 0) return;
  const others = readLines(linesFolder).filter(
    ({ id, task }) => /^(?:torchvision|transformers)\//.test(id) && ['classify', 'features'].includes(task),
  );
  for (const library of ['torchvision', 'transformers']) {
    const groups = new Map<string, Share>();
    for (const line of others) if (line.id.startsWith(library)) note(groups, line.family, line);
    tell(groups, `${library}, lines of the oracles`);
  }
}

main(process.argv.slice(2)).catch((error: Error) => {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
});
