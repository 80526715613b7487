import type { Size } from '../domain/size';
import type { CallContext } from './channel';
import type { Packed } from './packed';
import type {
  ComplexityReport,
  LaneJoin,
  ModuleRow,
  OperatorRow,
  OperatorUse,
  Scaling,
  Station,
  TensorRow,
} from '../domain/report';

/** A number of the header, or a hyper-parameter with its evidence. */
export interface EvidenceView {
  readonly key: string;
  readonly label: string;
  /** Short text: `86.6 M`, `12 × 64`. */
  readonly text: string;
  /** Exact text for tooltip and copy: `86,567,656`. */
  readonly exact: string;
  readonly source: string;
  readonly assumed: boolean;
  /** The user set it; can be reset. */
  readonly set: boolean;
  readonly editable: boolean;
  /** Values offered when editing; free text if absent. */
  readonly choices?: readonly string[];
  /** If it is assumed and no setting changes it: what to do. */
  readonly advice?: string;
  /** Not typed: a file or folder is asked for, and read with the checkpoint. */
  readonly adds?: Addable;
}

/** What can be read with a checkpoint: a LoRA adapter, names of classes. */
export type Addable = 'adapter' | 'classes';

/** A tensor of a file whose names say nothing, and what it is read as. */
export interface MappedTensor {
  /** In the file. */
  readonly name: string;
  readonly shape: readonly number[];
  /** What a known library would call it: `blocks.0.attn.qkv.weight`. */
  readonly as: string;
  /** In words: `queries, keys and values of block 0`; empty if there are none for it. */
  readonly role: string;
}

/** What a file is read as by the shapes and order of its tensors, to be confirmed name by name. */
export interface StructureView {
  /** The user confirmed it; else it is offered, and nothing is counted or run by it. */
  readonly confirmed: boolean;
  /** `ViT-B/16 (Vision Transformer)`; empty if the user changed the mapping. */
  readonly title: string;
  /** Whose names they are: `timm vision_transformer, in the order of its modules`; or empty. */
  readonly layout: string;
  readonly rows: readonly MappedTensor[];
  /** Other readings that fit the shapes as well. */
  readonly others: readonly string[];
  /** What nothing but the order of the file tells. */
  readonly doubts: readonly string[];
}

/** Everything the checkpoint inspector needs for its first paint. */
export interface InspectorModel {
  readonly fileName: string;
  /** The folder or model that a file of a usual name (`model.safetensors`) is told by; or empty. */
  readonly folder: string;
  readonly path: string;
  /** `Vision Transformer`, or `Architecture not known`. */
  readonly familyTitle: string;
  /** `ViT-B/16`; empty if unknown. */
  readonly title: string;
  /** `timm names`, `safetensors`, `float32`, `346 MB`. */
  readonly facts: readonly string[];
  readonly known: boolean;
  /** If unknown: what it is taken for instead, the nearest family and what is missing. */
  readonly unknown?: {
    readonly reason: string;
    readonly nearest?: string;
    readonly missing: readonly string[];
  };
  /** If names say nothing: what they are read as, or could be. */
  readonly structure?: StructureView;
  /** Numbers of the header in order: parameters, MACs, tokens, depth, heads, labels … */
  readonly headline: readonly EvidenceView[];
  /** All hyper-parameters with their evidence. */
  readonly evidence: readonly EvidenceView[];
  /** Published models of these names and shapes, if nothing decides between them. */
  readonly candidates: readonly string[];
  readonly warnings: readonly string[];
  readonly stateDicts: readonly { readonly name: string; readonly tensors: number }[];
  readonly stateDict: string;
  readonly extras: readonly { readonly name: string; readonly summary: string }[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly siblings: readonly string[];
  readonly unused: readonly string[];
  readonly modules: readonly ModuleRow[];
  readonly tensors: readonly TensorRow[];
  readonly stations: readonly Station[];
  /** Where lanes of the drawing meet; none of a model of one part. */
  readonly joins?: readonly LaneJoin[];
  /** Modules that apply attention, and what each layer is called in the image panel. */
  readonly attention: readonly { readonly path: string; readonly layer: string }[];
  readonly imageSize: Size | null;
  /** Why there is nothing to count or to export; empty if there is. */
  readonly notCounted: string;
  /** What the button says that runs it: `Classify an Image…`. */
  readonly runTitle?: string;
  /** The model has a head with classes or features and can be run on images. */
  readonly runnable: boolean;
  /** It is run on texts in place of images. */
  readonly readsTexts: boolean;
  /**
   * Why it cannot be run here (restricted workspace, no native runtime, unknown architecture);
   * empty if it can.
   */
  readonly notRunnable: string;
  /** It would run once the workspace is trusted: the page offers [Manage Trust]. */
  readonly trustNeeded?: boolean;
}

/**
 * A page of a tensor's values, and statistics over the page's tensor if it was small enough to
 * read whole.
 */
export interface TensorValues {
  readonly tensor: string;
  readonly first: number;
  readonly values: Float32Array;
  readonly total: number;
  /** The value of a single number as it is stored, where 32-bit floats would round it. */
  readonly exact?: string | undefined;
  readonly statistics?: {
    readonly min: number;
    readonly max: number;
    readonly mean: number;
    readonly deviation: number;
    readonly zeros: number;
    readonly notFinite: number;
    /** Counts in equal bins between min and max. */
    readonly histogram: readonly number[];
  };
}

/** What the inspector and complexity pages may ask of the extension host. */
export interface InspectorApi {
  /** Cancelling gives up what is being read. */
  open(call: CallContext): Promise<Packed<InspectorModel>>;
  /**
   * Sets (or with null resets) what the weights do not tell; remembered for files of the same
   * header.
   */
  assume(key: string, value: string | null): Promise<Packed<InspectorModel>>;
  chooseStateDict(name: string): Promise<Packed<InspectorModel>>;
  /**
   * Reads tensors under other names, or with null under their own again; remembered for files of
   * the same header. Fails with what does not fit if no family has such a model.
   */
  readAs(
    mapping: readonly { readonly name: string; readonly as: string }[] | null,
  ): Promise<Packed<InspectorModel>>;
  /**
   * Asks for what is to be read with the checkpoint; a dialog that is closed changes nothing.
   * Remembered for the file.
   */
  add(what: Addable): Promise<Packed<InspectorModel>>;
  /** Reads the checkpoint without it again. */
  remove(what: Addable): Promise<Packed<InspectorModel>>;
  reload(call: CallContext): Promise<Packed<InspectorModel>>;
  tensorValues(tensor: string, first: number, count: number): Promise<TensorValues>;
  /** Files beside the weights that were read with them, with the beginning of their text. */
  besideFiles(): Promise<readonly BesideFile[]>;
  /** What another view asked to be shown here, once; null if nothing. */
  takeRevealed(): Promise<string | null>;
  /** Shows a module in the inspector, wherever this page is. */
  revealModule(path: string): Promise<void>;
  /** Shows a layer's attention on an image: in a panel that is open, else on one to be picked. */
  showAttention(layer: string): Promise<void>;
  complexity(asked: ReportAsked): Promise<ComplexityReport>;
  /** Null for a model that reads no images. */
  scaling(lengths: ReportAsked['lengths']): Promise<Scaling | null>;
  /** Modules with operators of a type and kind among their own, those with the most work first. */
  operatorUses(
    operator: Pick<OperatorRow, 'op' | 'kind'>,
    asked: ReportAsked,
  ): Promise<readonly OperatorUse[]>;
  /** Operators in a module of a part, or of all, and below it, at the model's own sizes. */
  operatorsIn(module: string, part: string | null): Promise<readonly OperatorRow[]>;
  /**
   * `classify`, `complexity`, `exportOnnx`, `showLog`, `manageTrust`, `revealFile`: what the page's
   * buttons do.
   */
  perform(action: InspectorAction): Promise<void>;
  copy(text: string): Promise<void>;
  /** Offers a save dialog; resolves to whether a file was written. */
  save(suggestedName: string, content: string): Promise<boolean>;
  /** The complexity report as a file: format as the command line writes it. */
  exportReport(format: 'markdown' | 'csv' | 'json', asked: ReportAsked): Promise<boolean>;
}

/** What a report is counted for: null is the model's own image size, lengths left out its own. */
export interface ReportAsked {
  readonly imageSize: Size | null;
  readonly batch: number;
  readonly lengths: Readonly<Record<string, number>>;
}

/** A file that lies beside the weights. */
export interface BesideFile {
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  readonly text: string;
  /** The file goes on behind `text`. */
  readonly cut: boolean;
}

export type InspectorAction =
  'classify' | 'write' | 'complexity' | 'exportOnnx' | 'showLog' | 'manageTrust' | 'revealFile';

/** What the extension host tells the inspector and complexity pages. */
export interface InspectorEvents {
  /** The file changed on disk. */
  stale(): void;
  /** The model was read again or an assumption changed elsewhere. */
  changed(model: Packed<InspectorModel>): void;
  /** Another view asked for a module: `takeRevealed` says which. */
  revealed(): void;
}
