import type { VNode } from 'preact';
import type { ImagePanelApi } from '../../../src/protocol/image';
import { npyOf } from '../../../src/tasks/post/npy';
import type { Host } from '../../host';
import { dataUrl } from '../../kit/dataUrl';
import { announce } from '../../kit/status';
import { answerFileName } from '../saved';
import { nameOf } from './column';
import { commandOf, csvOf, numbersOf, reportText, type Reported } from './report';
import { SaveMenu, type SaveChoice } from '../../kit/saveMenu';
import { sheetPng, sheetSvg } from './sheet';
import type { Drawn } from './state';

const saved = (done: boolean): void => {
  if (done) announce('Saved');
};
const copied = (): void => announce('Copied');
const nothingYet = 'Nothing is drawn yet.';

/** What all columns show, as pictures and as a report. */
export function SheetSave({ host, ...reported }: { readonly host: Host<ImagePanelApi> } & Reported): VNode {
  const { drawn, sheet, subject } = reported;
  const { view } = subject;
  const write = (ending: string, content: string): void =>
    void host.remote.save(answerFileName(view.seen.image, ending), content).then(saved);
  const pictures: readonly SaveChoice[] =
    sheet.parts.length === 0
      ? []
      : [
          {
            icon: 'save',
            title: 'Save Picture',
            what: 'PNG: all maps with scales and captions',
            act: () => write('why.png', sheetPng(sheet)),
          },
          {
            icon: 'save',
            title: 'Save Drawing',
            what: 'SVG: the same, words as words',
            act: () => write('why.svg', sheetSvg(sheet)),
          },
        ];
  const choices: readonly SaveChoice[] = [
    ...pictures,
    {
      icon: 'save',
      title: 'Save Report',
      what: 'Markdown with pictures, and the settings that make them again',
      act: () => write('why.md', reportText(reported)),
    },
    {
      icon: 'copy',
      title: 'Copy Command',
      what: 'computes the same in a terminal',
      act: () => void host.remote.copy(drawn.map(commandOf).join('\n')).then(copied),
    },
  ];
  return <SaveMenu label="Save" choices={choices} lacking={drawn.length === 0 ? nothingYet : ''} />;
}

export interface ColumnSaveProps {
  readonly host: Host<ImagePanelApi>;
  readonly drawn: Drawn | undefined;
}

/** Numbers of one column. */
export function ColumnSave({ host, drawn }: ColumnSaveProps): VNode {
  const name = (ending: string): string =>
    answerFileName(
      drawn?.subject.view.seen.image ?? '',
      `${drawn?.question.method}-${drawn?.question.target}.${ending}`,
    );
  const map = drawn?.shown.map;
  const ofMap: readonly SaveChoice[] = map
    ? [
        {
          icon: 'save',
          title: 'Save Map as NumPy Array',
          what: `float32 [${map.grid.join(', ')}], rows × columns`,
          act: () => void host.remote.save(name('npy'), dataUrl(npyOf(map.values, map.grid))).then(saved),
        },
        {
          icon: 'save',
          title: 'Save Map as CSV',
          what: 'row, column, value',
          act: () => void host.remote.save(name('csv'), csvOf(map)).then(saved),
        },
        {
          icon: 'copy',
          title: 'Copy Numbers',
          what: 'the map, tab-separated',
          act: () =>
            void host.remote
              .copy(numbersOf(nameOf(drawn.subject.explainable, drawn.question), map))
              .then(copied),
        },
      ]
    : [];
  const all: readonly SaveChoice[] = drawn
    ? [
        {
          icon: 'save',
          title: 'Save All Arrays',
          what: `safetensors: ${drawn.shown.tensors.length} as they were computed`,
          act: () =>
            void host
              .call('saveTensors', [
                drawn.subject.options,
                drawn.question,
                name('safetensors'),
                drawn.subject.about,
              ])
              .then(saved),
        },
      ]
    : [];
  return (
    <SaveMenu small label="Save the numbers" choices={[...ofMap, ...all]} lacking={drawn ? '' : nothingYet} />
  );
}
