import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import type { Answer } from '../../src/tasks/answer';
import { baseName, type FileFormat, type NamedImage } from '../../src/tasks/formats';
import type { SeenImage } from '../../src/tasks/run';
import { dataUrl } from '../kit/dataUrl';
import { Icon } from '../kit/icon';
import { Popover } from '../kit/popover';
import { announce } from '../kit/status';
import { Button } from '../kit/toolkit';

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
  return (
    <>
      <Popover
        label={`Export ${what}`}
        anchor={(open, toggle) => (
          <Button
            disabled={lacking !== ''}
            title={lacking === '' ? `The ${what} that are shown, as a file` : lacking}
            expanded={open}
            onClick={toggle}
          >
            Export <Icon name="chevron-down" slot="end" />
          </Button>
        )}
      >
        {(close) => {
          const option = (icon: string, title: string, about: string, act: () => void): VNode => (
            <button
              type="button"
              class="option"
              onClick={() => {
                close();
                act();
              }}
            >
              <Icon name={icon} />
              <span>{title}</span>
              <span class="quiet">{about}</span>
            </button>
          );
          return (
            <div class="option-list">
              {onSave &&
                formats.map((format) =>
                  option('save', `Save as ${format.title}`, format.what, () => {
                    void write(format, (text) => onSave(format.besideImage ?? format.ending, text));
                  }),
                )}
              {onCopy &&
                copied &&
                option('copy', `Copy as ${copied.title}`, copied.what, () => void write(copied, onCopy))}
            </div>
          );
        }}
      </Popover>
      {warning !== '' && <p class="quiet">{warning}</p>}
    </>
  );
}
