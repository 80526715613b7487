import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import type { Answer } from '../../src/tasks/answer';
import { baseName, type FileFormat, type NamedImage } from '../../src/tasks/formats';
import type { SeenImage } from '../../src/tasks/run';
import { dataUrl } from '../kit/dataUrl';
import { SaveMenu, type SaveChoice } from '../kit/saveMenu';
import { announce } from '../kit/status';

export interface ExportMenuProps<A extends Answer> {
  /** `boxes`, for the menu's name. */
  readonly what: string;
  readonly formats: readonly FileFormat<A>[];
  /** What is written: what is shown. */
  readonly answer: A;
  readonly seen: SeenImage;
  /** Why nothing can be written; empty if something can. */
  readonly lacking: string;
  /** The ending of a format that can be copied as text. */
  readonly copies?: string;
  readonly onSave?: ((ending: string, content: string) => void) | undefined;
  readonly onCopy?: ((text: string) => void) | undefined;
}

/** What is shown of an answer, as files of other tools or on the clipboard. */
export function ExportMenu<A extends Answer>(props: ExportMenuProps<A>): VNode {
  const { what, formats, answer, seen, lacking, copies, onSave, onCopy } = props;
  const [warning, setWarning] = useState('');
  const [width, height] = seen.size;
  const image: NamedImage = { name: baseName(seen.image), size: [height, width] };
  const write = async (format: FileFormat<A>, to: (text: string) => void): Promise<void> => {
    const { data, warning: said = '' } = await format.content(answer, image);
    setWarning(said);
    if (said !== '') announce(said);
    to(typeof data === 'string' ? data : dataUrl(data));
  };
  const copied = formats.find(({ ending }) => ending === copies);
  const saved = (format: FileFormat<A>, save: NonNullable<typeof onSave>): SaveChoice => ({
    icon: 'save',
    title: `Save as ${format.title}`,
    what: format.what,
    act: () => void write(format, (text) => save(format.besideImage ?? format.ending, text)),
  });
  const onClipboard = (format: FileFormat<A>, copy: NonNullable<typeof onCopy>): SaveChoice => ({
    icon: 'copy',
    title: `Copy as ${format.title}`,
    what: format.what,
    act: () => void write(format, copy),
  });
  return (
    <>
      <SaveMenu
        label={`Export ${what}`}
        text="Export"
        about={`The ${what} that are shown, as a file`}
        choices={[
          ...(onSave ? formats.map((format) => saved(format, onSave)) : []),
          ...(onCopy && copied ? [onClipboard(copied, onCopy)] : []),
        ]}
        lacking={lacking}
      />
      {warning !== '' && <p class="quiet">{warning}</p>}
    </>
  );
}
