/** A line of "What the model saw": `filter` `Filter` `bicubic` `config.json: interpolation`. */
export interface PreprocessingLine {
  readonly key: string;
  /** What people call it: `Crop share`. */
  readonly label: string;
  readonly text: string;
  /** The same among all lines in one sentence; empty if another line says it. */
  readonly summary: string;
  readonly source: string;
  readonly assumed: boolean;
  /** Values offered when editing (`bicubic`, `bilinear` …; `0.5` / ImageNet means by name). */
  readonly choices?: readonly string[];
  readonly value: string;
}
