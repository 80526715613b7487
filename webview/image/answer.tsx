import type { PreprocessingLine } from '../../src/preprocessing/line';
import type { Run, RunOptions } from '../../src/tasks/run';
import type { VNode } from 'preact';
import { viewOf } from '../answers/answers';
import type { AnswerViewProps } from '../answers/answerView';
import { useSaved } from '../host';
import { formatMilliseconds, parseSize } from '../../src/domain/units';
import { AssumedMark } from '../kit/assumed';
import { Popover } from '../kit/popover';
import { Warnings } from '../kit/page';
import { Banner } from '../kit/status';
import { ValueEditor } from '../kit/valueEditor';
import { Icon } from '../kit/icon';
import { Button } from '../kit/toolkit';
import { sizeChoices, sizeError, sizeText } from './imageSize';

export interface AnswerProps extends Looked {
  readonly view: Run;
  readonly topK: number;
  readonly options: RunOptions;
  readonly onRun: (options: RunOptions) => void;
  readonly onCopy: (text: string) => void;
}

type Looked = Pick<
  AnswerViewProps<Run['answer']>,
  | 'look'
  | 'pointed'
  | 'query'
  | 'choice'
  | 'onLook'
  | 'onPoint'
  | 'onChoice'
  | 'onQuery'
  | 'given'
  | 'onGive'
  | 'onUndo'
  | 'onSave'
  | 'onCompare'
>;

/** What the model says. */
export function Answer({ view, topK, options, onRun, onCopy, ...looked }: AnswerProps): VNode {
  const { View } = viewOf(view.answer);
  return (
    <section class="answer" aria-label="Answer">
      <View answer={view.answer} topK={topK} seen={view.seen} onCopy={onCopy} {...looked} />
      <Warnings texts={view.warnings} />
      <Orientation view={view} options={options} onRun={onRun} />
    </section>
  );
}

type RunProps = Pick<AnswerProps, 'view' | 'options' | 'onRun'>;

/** What the model was given to say it of. */
export const Input = (props: RunProps): VNode => (
  <section class="input" aria-label="Input">
    <Seen {...props} />
    <ImageSize {...props} />
  </section>
);

/** A turned image is a common reason for a wrong answer: said, and turned over in one click. */
function Orientation({ view, options, onRun }: RunProps): VNode | null {
  const { exif, applied } = view.seen.orientation;
  if (exif === 1 || exif === 0) return null;
  return (
    <Banner
      icon="sync"
      actions={
        <Button onClick={() => onRun({ ...options, asStored: applied })}>
          {applied ? 'Show as Stored' : 'Apply Orientation'}
        </Button>
      }
    >
      {applied
        ? `EXIF orientation ${exif} is applied, as VS Code and transformers do. timm and torchvision read the image as stored.`
        : `EXIF orientation ${exif} is not applied: this is what timm’s and torchvision’s loaders see.`}
    </Banner>
  );
}

function Seen({ view, options, onRun }: RunProps): VNode {
  const [open, setOpen] = useSaved('seen', false);
  const changes = options.preprocessing ?? {};
  const assumed = view.preprocessing.some((line) => line.assumed);
  return (
    <div>
      <button
        type="button"
        class="link"
        aria-expanded={open}
        aria-controls="seen"
        onClick={() => setOpen(!open)}
      >
        <Icon name={open ? 'chevron-down' : 'chevron-right'} /> What the model saw{' '}
        {assumed && <AssumedMark />}
      </button>
      {!open && <p class="quiet seen-summary">{summaryOf(view.preprocessing)}</p>}
      {open && (
        <div id="seen">
          <table class="plain">
            <tbody>
              {view.preprocessing.map((line) => (
                <tr key={line.key}>
                  <th scope="row">{line.label}</th>
                  <td>
                    <LineValue
                      line={line}
                      set={line.key in changes}
                      onSet={(value) => onRun(withPreprocessing(options, line.key, value))}
                    />
                  </td>
                  <td class="quiet">{line.source}</td>
                </tr>
              ))}
            </tbody>
          </table>
          <p class="quiet">
            decoded in {formatMilliseconds(view.times.decode)}, prepared in{' '}
            {formatMilliseconds(view.times.preprocess)}
          </p>
          {Object.keys(changes).length > 0 && (
            <Button onClick={() => onRun({ ...options, preprocessing: {} })}>Reset All</Button>
          )}
        </div>
      )}
    </div>
  );
}

/** The size that the model is run at; another one resamples its position embeddings. */
function ImageSize({ view, options, onRun }: RunProps): VNode {
  const { current, native, step } = view.inputSize;
  const isNative = sizeText(current) === sizeText(native);
  const only = step[0] <= 0 || step[1] <= 0;
  const text = `${sizeText(current)}${isNative ? ' (native)' : ''}`;
  const source = only
    ? `The model takes ${sizeText(native)} alone.`
    : `Native ${sizeText(native)}; sides grow by ${sizeText(step)} pixels.`;
  const onSize = (value: string | null): void => {
    const { imageSize: _, ...others } = options;
    const size = value === null ? undefined : parseSize(value);
    onRun(size && sizeText(size) !== sizeText(native) ? { ...others, imageSize: size } : others);
  };
  return (
    <p>
      Image size{' '}
      <Popover
        label="Change image size"
        anchor={(open, toggle) => (
          <button
            type="button"
            class="editable"
            aria-expanded={open}
            aria-label={`Image size ${text}. Change`}
            onClick={toggle}
          >
            {text}
          </button>
        )}
      >
        {(close) => (
          <ValueEditor
            title="Image size"
            source={source}
            choices={sizeChoices(view.inputSize)}
            value={sizeText(current)}
            set={!isNative}
            note="Height × width in pixels. The image is classified again at once."
            check={sizeError}
            onDone={(value) => {
              close();
              onSize(value);
            }}
          />
        )}
      </Popover>
      {!isNative && <span class="quiet"> native {sizeText(native)}</span>}
    </p>
  );
}

const summaryOf = (lines: readonly PreprocessingLine[]): string =>
  lines.flatMap(({ summary }) => (summary === '' ? [] : [summary])).join(' → ');

function withPreprocessing(options: RunOptions, key: string, value: string | null): RunOptions {
  const { [key]: _, ...others } = options.preprocessing ?? {};
  return { ...options, preprocessing: value === null ? others : { ...others, [key]: value } };
}

interface LineValueProps {
  readonly line: PreprocessingLine;
  readonly set: boolean;
  readonly onSet: (value: string | null) => void;
}

function LineValue({ line, set, onSet }: LineValueProps): VNode {
  if (!line.choices)
    return (
      <>
        {line.text} {line.assumed && <AssumedMark />}
      </>
    );
  return (
    <Popover
      label={`Change ${line.label}`}
      anchor={(open, toggle) => (
        <button
          type="button"
          class="editable"
          aria-expanded={open}
          aria-label={`${line.label} ${line.text}${line.assumed ? ', assumed' : ''}. Change`}
          onClick={toggle}
        >
          {line.text} {line.assumed && <AssumedMark />}
        </button>
      )}
    >
      {(close) => (
        <ValueEditor
          title={line.label}
          source={line.source}
          choices={line.choices}
          value={line.value}
          set={set}
          note="The image is classified again at once."
          onDone={(value) => {
            close();
            onSet(value);
          }}
        />
      )}
    </Popover>
  );
}
