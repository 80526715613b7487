import type { Guess } from './tasks/answer';
import type { TaskCommandId } from './domain/taskWords';
import type { Uri } from 'vscode';
import type { ColourMap } from './attention/colourMaps';

// The names that package.json and the code share, with their types. A unit test holds the two
// against each other.

/**
 * What classifying an image came to, for whoever calls the command from another extension, a task
 * or a test.
 */
export interface Classified {
  readonly image: string;
  readonly checkpoint: string;
  readonly provider: string;
  readonly top: readonly Guess[];
}

/**
 * Explorer and editor menus hand over the resource that was clicked and everything that is
 * selected.
 */
type Resources = (clicked?: Uri, selected?: readonly Uri[]) => Promise<readonly Classified[]>;
type Resource = (clicked?: Uri) => Promise<void>;

/** Of each task that has one, its own name for `runOnImage`. */
type TaskCommands = { readonly [Id in TaskCommandId]: Resources };

/** Commands by id. */
export interface Commands extends TaskCommands {
  'vitrine.classifyImage': Resources;
  'vitrine.classifyFolder': Resources;
  /** The same for a checkpoint that finds boxes, masks and the like. */
  'vitrine.runOnImage': Resources;
  'vitrine.runOnFolder': Resources;
  'vitrine.showAttention': Resources;
  'vitrine.inspectCheckpoint': Resource;
  /** Shows a module of a checkpoint in the inspector, by its path or that of a layer. */
  'vitrine.revealModule': (checkpoint?: Uri, module?: string) => Promise<void>;
  /** Shows a layer's attention on an image: in a panel that is open, else on one to be picked. */
  'vitrine.showLayer': (checkpoint?: Uri, layer?: string) => Promise<void>;
  /** Opens the panel of a checkpoint that reads texts. */
  'vitrine.translateText': Resource;
  'vitrine.complexityReport': Resource;
  'vitrine.exportOnnx': Resource;
  'vitrine.applyAdapter': Resource;
  'vitrine.takeClassNames': Resource;
  'vitrine.chooseCheckpoint': () => Promise<string | undefined>;
  'vitrine.checkProviders': () => Promise<void>;
  /** Shows what GPU providers need of this machine, and what is missing. */
  'vitrine.setUpGpu': () => Promise<void>;
  'vitrine.showLog': () => void;
  'vitrine.getStarted': () => Promise<void>;
}
export type CommandId = keyof Commands;

/** A mapped type, so that no command can be left out of the list. */
const listedCommands: { readonly [Id in CommandId]: null } = {
  'vitrine.classifyImage': null,
  'vitrine.classifyFolder': null,
  'vitrine.runOnImage': null,
  'vitrine.runOnFolder': null,
  'vitrine.showAttention': null,
  'vitrine.inspectCheckpoint': null,
  'vitrine.revealModule': null,
  'vitrine.showLayer': null,
  'vitrine.translateText': null,
  'vitrine.complexityReport': null,
  'vitrine.exportOnnx': null,
  'vitrine.applyAdapter': null,
  'vitrine.takeClassNames': null,
  'vitrine.chooseCheckpoint': null,
  'vitrine.checkProviders': null,
  'vitrine.setUpGpu': null,
  'vitrine.showLog': null,
  'vitrine.getStarted': null,
  'vitrine.detectObjects': null,
  'vitrine.segmentImage': null,
  'vitrine.estimateDepth': null,
  'vitrine.findKeypoints': null,
  'vitrine.scoreTexts': null,
  'vitrine.captionImage': null,
  'vitrine.askAboutImage': null,
  'vitrine.rebuildImage': null,
  'vitrine.restoreImage': null,
  'vitrine.classifyClip': null,
};
export const commandIds = Object.keys(listedCommands) as readonly CommandId[];

/** Values of `vitrine.provider`: execution providers as the runtime names them. */
export const providerChoices = ['auto', 'cpu', 'webgpu', 'cuda', 'dml', 'coreml'] as const;

/** Settings by id, with the types of their values. */
export interface Settings {
  'vitrine.provider': (typeof providerChoices)[number];
  /** Threads of the runtime; 0: as many as the runtime takes by itself. */
  'vitrine.threads': number;
  'vitrine.topK': number;
  'vitrine.colourMap': ColourMap;
  /** Folders or globs outside or inside the workspace where checkpoints lie. */
  'vitrine.modelFolders': readonly string[];
  /** GB that running one model may take; 0: three quarters of the memory there is. */
  'vitrine.memoryLimit': number;
}
export type SettingId = keyof Settings;

/**
 * Their defaults, as package.json states them; also what an ill-typed value in settings.json falls
 * back to.
 */
export const defaultSettings: Settings = {
  'vitrine.provider': 'auto',
  'vitrine.threads': 0,
  'vitrine.topK': 5,
  'vitrine.colourMap': 'viridis',
  'vitrine.modelFolders': [],
  'vitrine.memoryLimit': 0,
};

/** Custom editors and webview panels. */
export const viewTypes = {
  checkpoint: 'vitrine.checkpoint',
  /**
   * The same editor for names that other kinds of files share (.bin, index.json): offered, never
   * the default.
   */
  checkpointOption: 'vitrine.checkpointOption',
  complexity: 'vitrine.complexity',
  image: 'vitrine.image',
  batch: 'vitrine.batch',
  text: 'vitrine.text',
} as const;

/** Context keys that `when` clauses of package.json read. */
export interface ContextKeys {
  /** A checkpoint was chosen in this workspace. */
  'vitrine.checkpointChosen': boolean;
  /** It is for something else than classes. */
  'vitrine.otherTask': boolean;
  /** The task that it is for, if that has a command of its own; else empty. */
  'vitrine.task': string;
  /** It reads texts and no images. */
  'vitrine.readsTexts': boolean;
}
export const contextKeys = {
  checkpointChosen: 'vitrine.checkpointChosen',
  otherTask: 'vitrine.otherTask',
  task: 'vitrine.task',
  readsTexts: 'vitrine.readsTexts',
} as const satisfies Record<string, keyof ContextKeys>;

/** File names that open as checkpoints by default, and those that are only offered. */
export const checkpointExtensions = ['safetensors', 'pth', 'pth.tar', 'pt', 'ckpt', 'npz', 'onnx'] as const;
export const checkpointNames = ['pytorch_model*.bin', 'open_clip_pytorch_model*.bin'] as const;
export const checkpointOptions = ['*.bin', '*.index.json'] as const;
