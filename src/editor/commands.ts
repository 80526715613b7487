import type { ProviderView } from '../tasks/run';
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { readsTexts } from '../models/reads';
import { commands, Uri, window, workspace, type Disposable } from 'vscode';
import type { Classified, CommandId, Commands } from '../contributions';
import { viewTypes } from '../contributions';
import { UserError } from './dialogue/errors';
import { askForFolder, askToReplace } from './dialogue/exporting';
import { report, requireTrust } from './dialogue/notices';
import { taskCommandIds, type TaskCommandId } from '../domain/taskWords';
import { checkpointLabel } from './documents/checkpointEntries';
import type { Focus } from './panels/imagePanel';
import { isImage, pathOf, pickImages, selectImages } from './documents/images';
import { askForAdded } from './documents/added';
import type { Added } from './documents/memory';
import { withProgress } from './dialogue/progress';
import { registerCommand } from './registration';
import { askWhereToSave } from './dialogue/saving';
import type { Services } from './services';

/** Every command by id; a mapped type, so that none is missing. */
function createCommands(services: Services): Commands {
  const { checkpoints, images, log, reports } = services;
  const run: Commands['vitrine.runOnImage'] = (clicked, selected) =>
    classify(services, 'labels', clicked, selected);
  return {
    ...commandsOfTasks(run),
    'vitrine.classifyImage': run,
    'vitrine.classifyFolder': run,
    'vitrine.runOnImage': run,
    'vitrine.runOnFolder': run,
    'vitrine.showAttention': (clicked, selected) => classify(services, 'attention', clicked, selected),
    'vitrine.inspectCheckpoint': async (clicked) =>
      services.inspect(clicked ? pathOf(clicked) : await checkpoints.ask('Choose a checkpoint to inspect')),
    'vitrine.revealModule': async (clicked, module) =>
      services.inspect(await checkpointOf(services, clicked), module),
    'vitrine.showLayer': async (clicked, layer) =>
      showLayer(services, await checkpointOf(services, clicked), layer),
    'vitrine.translateText': async (clicked) =>
      translateText(services, await checkpointOf(services, clicked)),
    'vitrine.complexityReport': async (clicked) =>
      reports.show({ checkpoint: await checkpointOf(services, clicked) }),
    'vitrine.exportOnnx': async (clicked) => exportOnnx(services, await checkpointOf(services, clicked)),
    'vitrine.applyAdapter': async (clicked) =>
      addTo(services, await checkpointOf(services, clicked), 'adapter'),
    'vitrine.takeClassNames': async (clicked) =>
      addTo(services, await checkpointOf(services, clicked), 'classes'),
    'vitrine.chooseCheckpoint': async () => {
      const path = await checkpoints.pick();
      images.use(path);
      return path;
    },
    'vitrine.checkProviders': async () => {
      requireTrust();
      const found = await withProgress('Checking the GPU', (signal) => images.checkProviders(signal));
      void window.showInformationMessage(summaryOf(found));
    },
    'vitrine.setUpGpu': async () => {
      const { lookAtGpu, setUpText } = await import('../inference/gpuSetUp');
      const content = setUpText(lookAtGpu());
      await window.showTextDocument(await workspace.openTextDocument({ content, language: 'plaintext' }));
    },
    'vitrine.showLog': () => log.show(),
    'vitrine.getStarted': async () => {
      await commands.executeCommand('workbench.action.openWalkthrough', `${extensionId}#start`);
    },
  };
}

/** The names that running has for each task: the checkpoint decides what is done. */
const commandsOfTasks = (run: Commands['vitrine.runOnImage']): Pick<Commands, TaskCommandId> =>
  Object.fromEntries(taskCommandIds.map((id) => [id, run])) as Pick<Commands, TaskCommandId>;

const extensionId = 'vitrine.vitrine';

/**
 * Registers every command. A failure is told where it happens and becomes no second message of VS
 * Code's own.
 */
export function registerCommands(services: Services): readonly Disposable[] {
  const table = createCommands(services);
  const guarded = <Id extends CommandId>(id: Id): Disposable => {
    const run = table[id] as (...values: readonly unknown[]) => unknown;
    const guard = async (...values: readonly unknown[]): Promise<unknown> => {
      try {
        return await run(...values);
      } catch (error) {
        // Not awaited: the message may stay until the user closes it.
        void report(services.log, error);
        return undefined;
      }
    };
    return registerCommand(id, guard as Commands[Id]);
  };
  return (Object.keys(table) as CommandId[]).map(guarded);
}

/**
 * One image opens its panel, several and folders become a table. Answers what the panels
 * answered.
 */
async function classify(
  services: Services,
  focus: Focus,
  clicked: Uri | undefined,
  selected: readonly Uri[] | undefined,
): Promise<readonly Classified[]> {
  requireTrust();
  const resources = selected?.length ? selected : await imageOf(clicked);
  services.warmUp();
  const checkpoint = await services.checkpoints.require();
  // Its panel opens at once, an image or a clip: what the model reads is told by its header, and
  // the page loads as long as a header is read.
  const only = await onlyImage(resources);
  if (only !== undefined) return answersOf(services.images.show(only, checkpoint, focus));
  if (await readsClips(services, checkpoint)) return showClip(services, checkpoint, focus, resources);
  const selection = await withProgress('Looking for images', (signal) => selectImages(resources, signal));
  const [first] = selection.images;
  if (first && selection.images.length === 1 && !selection.fromFolder)
    return answersOf(services.images.show(first, checkpoint, focus));
  return services.batches.show(selection.images, checkpoint);
}

/** Whether a checkpoint reads the frames of a clip in place of an image. */
async function readsClips({ documents }: Services, checkpoint: string): Promise<boolean> {
  const { document, dispose } = documents.acquire(checkpoint);
  try {
    const { readsClips: reads } = await import('../tasks/video/video');
    return reads(await document.model());
  } catch {
    // Whoever runs it is told why it cannot be read.
    return false;
  } finally {
    dispose();
  }
}

/** One clip: a folder of frames, a file that holds several pictures, or a video. */
async function showClip(
  { images }: Services,
  checkpoint: string,
  focus: Focus,
  resources: readonly Uri[],
): Promise<readonly Classified[]> {
  const [clip] = resources;
  if (!clip || resources.length > 1)
    throw new UserError(
      `${resources.length} files are chosen, and the model reads one clip: choose the folder that holds its frames, an animated GIF or WebP, a TIFF of several pages, or a video.`,
    );
  return answersOf(images.show(pathOf(clip), checkpoint, focus));
}

/** The one image of a choice. */
async function onlyImage([only, ...others]: readonly Uri[]): Promise<string | undefined> {
  if (!only || others.length > 0 || !isImage(only.path)) return undefined;
  const path = pathOf(only);
  // One that is gone is told of by whoever looks for images.
  const isFile = await stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
  return isFile ? path : undefined;
}

const answersOf = async (shown: Promise<Classified | undefined>): Promise<readonly Classified[]> => {
  const answer = await shown;
  return answer ? [answer] : [];
};

/** A layer's attention on the image that is looked at with this checkpoint, or on one to pick. */
async function showLayer(
  { documents, images, texts }: Services,
  checkpoint: string,
  layer: string | undefined,
): Promise<void> {
  requireTrust();
  const { document, dispose } = documents.acquire(checkpoint);
  try {
    const model = await document.model();
    if (readsTexts(model)) return texts.show(checkpoint, layer);
    const { file } = model.checkpoint;
    if (layer !== undefined && (await images.showLayer(file, layer))) return;
    const [first] = await pickImages();
    if (first) await images.show(pathOf(first), checkpoint, 'attention', layer);
  } finally {
    dispose();
  }
}

/** Opens the panel of a checkpoint that reads texts. Throws if it reads images. */
async function translateText({ documents, texts }: Services, checkpoint: string): Promise<void> {
  const { document, dispose } = documents.acquire(checkpoint);
  try {
    const model = await withProgress(`Reading ${checkpoint}`, () => document.model());
    if (!readsTexts(model)) {
      const { recognition } = model;
      const what = recognition.family === null ? recognition.reason : `${recognition.title} reads images`;
      throw new UserError(`${basename(checkpoint)}: ${what}. Choose a checkpoint of a translation model.`);
    }
    texts.show(checkpoint);
  } finally {
    dispose();
  }
}

/** What was clicked, the image in front, else what the user picks. */
async function imageOf(clicked: Uri | undefined): Promise<readonly Uri[]> {
  const uri = clicked ?? activeUri((input) => isImage(input.uri.path));
  return uri ? [uri] : pickImages();
}

/**
 * The checkpoint that a command is about: what was clicked, the one in front, else what the user
 * picks.
 */
async function checkpointOf({ checkpoints }: Services, clicked: Uri | undefined): Promise<string> {
  const uri = clicked ?? activeUri(isInspector);
  return uri ? pathOf(uri) : checkpoints.ask('Choose a checkpoint');
}

/** What tabs of files and of custom editors tell about themselves. */
interface FileInput {
  readonly uri: Uri;
  readonly viewType?: string;
}

/** The file in the tab in front, if it is of the kind that is asked for. */
function activeUri(isMeant: (input: FileInput) => boolean): Uri | undefined {
  const input = window.tabGroups.activeTabGroup.activeTab?.input as Partial<FileInput> | undefined;
  return input?.uri && isMeant(input as FileInput) ? input.uri : undefined;
}

const isInspector = ({ viewType }: FileInput): boolean =>
  [viewTypes.checkpoint, viewTypes.checkpointOption].some((own) => own === viewType);

/** `CPU is used. WebGPU: no adapter. …`, each with its reason. */
function summaryOf(providers: readonly ProviderView[]): string {
  const used = providers.filter(({ state }) => state === 'used').map(({ title }) => `${title} is used.`);
  const others = providers
    .filter(({ state, reason }) => state !== 'used' && reason !== '')
    .map(({ title, reason, next }) => [`${title}: ${reason}`, next].filter(Boolean).join(' '));
  return [...used, ...others].join(' ');
}

/** Asks for an adapter or class names and reads the checkpoint with them; all its views follow. */
async function addTo(
  { documents, memory, inspect }: Services,
  path: string,
  what: keyof Added,
): Promise<void> {
  const { document, dispose } = documents.acquire(path);
  try {
    const { checkpoint } = await withProgress(`Reading ${path}`, () => document.model());
    const added = await askForAdded(what, memory.added(checkpoint.file)[what]);
    await withProgress(`Reading ${path}`, () => document.add({ [what]: added }));
    await inspect(path);
  } finally {
    dispose();
  }
}

/** Writes the checkpoint as an ONNX file that depends on no other. */
async function exportOnnx({ documents, log }: Services, path: string): Promise<void> {
  const { document, dispose } = documents.acquire(path);
  try {
    const model = await withProgress(`Reading ${path}`, () => document.model());
    const useCase = await import('../useCases/export');
    // What cannot be exported says so before a name is asked for.
    const names = useCase.partNames(model);
    const parts = await askForParts(names);
    if (!parts) return;
    const [own] = parts;
    const stem = checkpointLabel(path)
      .replace(/\.[^.]+$/, '')
      .replaceAll('/', '-');
    const name = parts.length === 1 && names.length > 1 ? `${stem}.${own}.onnx` : `${stem}.onnx`;
    const target = await askWhereToExport(model.checkpoint.file, name, (folder) =>
      parts.length === 1 ? [] : useCase.exportTargets(model, join(folder, name), parts),
    );
    if (target === undefined) return;
    const { files } = await withProgress(`Exporting ${basename(target)}`, async (signal, tell) => {
      let told = 0;
      const progress = (share: number): void => {
        const increment = Math.floor(100 * share) - told;
        if (increment < 1) return;
        told += increment;
        tell(`${told} %`, increment);
      };
      return useCase.exportModel(model, target, { parts, signal, progress });
    });
    log.info(`exported ${files.join(' and ')}`);
    void offerToOpen(files);
  } finally {
    dispose();
  }
}

/** The parts that the user wants, each a file; undefined if none is chosen. */
async function askForParts(names: readonly string[]): Promise<readonly string[] | undefined> {
  if (names.length < 2) return names;
  const all = { label: 'All parts', description: `${names.join(', ')}: a file each`, parts: names };
  const each = names.map((name) => ({ label: name, description: 'this part alone', parts: [name] }));
  const chosen = await window.showQuickPick([all, ...each], {
    title: 'Export ONNX',
    placeHolder: 'This model has several parts, each with inputs and outputs of its own',
  });
  return chosen?.parts;
}

/**
 * Asks where to write: for one file its name, for several their folder, and once more if some are
 * there. Undefined if the user closes a dialog.
 */
async function askWhereToExport(
  near: string,
  name: string,
  filesIn: (folder: string) => readonly string[],
): Promise<string | undefined> {
  if (filesIn('').length === 0) {
    const target = await askWhereToSave(near, name);
    return target && pathOf(target);
  }
  const folder = await askForFolder(dirname(near), `Folder for ${filesIn('').join(', ')}`);
  if (folder === undefined) return undefined;
  const there = filesIn(folder).filter((file) => existsSync(file));
  const mayWrite = there.length === 0 || (await askToReplace(there.map((file) => basename(file))));
  return mayWrite ? join(folder, name) : undefined;
}

async function offerToOpen(files: readonly string[]): Promise<void> {
  const [first] = files;
  if (!first) return;
  const weights = files.filter((file) => !file.endsWith('.onnx')).map((file) => basename(file));
  const models = files.filter((file) => file.endsWith('.onnx')).map((file) => workspace.asRelativePath(file));
  const beside = weights.length > 0 ? `; above 2 GB the weights lie beside in ${weights.join(', ')}` : '';
  const open = 'Open in Inspector';
  const chosen = await window.showInformationMessage(`Exported ${models.join(', ')}${beside}.`, open);
  if (chosen === open)
    await commands.executeCommand('vscode.openWith', Uri.file(first), viewTypes.checkpoint);
}
