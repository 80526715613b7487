import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { isOwn, type Beside } from '../../../src/domain/explanation';
import type { ImagePanelApi } from '../../../src/protocol/image';
import type { RunOptions } from '../../../src/tasks/run';
import type { Host } from '../../host';
import { useAnswer, useQuestion, type Asking } from '../../kit/hooks';
import { Icon } from '../../kit/icon';
import { Working } from '../../kit/page';
import { Popover } from '../../kit/popover';
import { Skeleton } from '../../kit/status';
import { Button, TextField } from '../../kit/toolkit';
import { baseName } from '../../../src/tasks/formats';
import { Unanswered } from './column';
import { CloseColumn } from './columnHead';
import {
  besideOptions,
  isSameSubject,
  listedClasses,
  titleOf,
  type NamedCheckpoint,
  type Subject,
} from './state';

/**
 * Runs another image or another model and asks what of it can be explained; what was superseded is
 * ended, and never handed on.
 */
export function useBeside(
  host: Host<ImagePanelApi>,
  own: Subject,
  about: Beside,
  checkpoints: readonly NamedCheckpoint[],
): Asking<Subject> & { readonly again: () => void } {
  const asking = useQuestion<Subject>();
  const again = (): void => {
    if (isOwn(about)) asking.cancel();
    else asking.ask((call) => besideOf(host, own.options, about, checkpoints, call));
  };
  useEffect(again, [JSON.stringify([own.options, own.view.run, about])]);
  useEffect(() => asking.cancel, []);
  const { value } = asking;
  return { ...asking, value: value && isSameSubject(value.about, about) ? value : undefined, again };
}

async function besideOf(
  host: Host<ImagePanelApi>,
  own: RunOptions,
  about: Beside,
  checkpoints: readonly NamedCheckpoint[],
  call: Parameters<Parameters<Asking<Subject>['ask']>[0]>[0],
): Promise<Subject> {
  const options = besideOptions(own, about);
  const view = await host.call('runBeside', [options, about], call);
  const explainable = await host.call('explainable', [options, about], call);
  const title = titleOf(view.seen.image, about.checkpoint ?? view.checkpoint, checkpoints);
  return { about, options, view, explainable, title };
}

/** Names that are offered at once; a search finds the others. */
const listed = listedClasses;

interface FileListProps {
  readonly what: string;
  readonly files: readonly NamedCheckpoint[];
  readonly chosen: string;
  readonly onChoose: (path: string) => void;
  /** Asks for one that is not listed. */
  readonly onOther?: (() => void) | undefined;
}

/** Files by their names, found by a part of them. */
function FileList({ what, files, chosen, onChoose, onOther }: FileListProps): VNode {
  const [text, setText] = useState('');
  const found = files.filter(({ label }) => label.toLowerCase().includes(text.trim().toLowerCase()));
  return (
    <>
      <TextField
        label={`Find ${what}`}
        value={text}
        placeholder="A part of its name"
        icon="search"
        onInput={setText}
        onEnter={() => {
          const [first] = found;
          if (first) onChoose(first.path);
        }}
      />
      <div class="option-list class-list">
        {found.slice(0, listed).map(({ path, label }) => (
          <button
            key={path}
            type="button"
            class="option"
            title={path}
            aria-current={path === chosen}
            onClick={() => onChoose(path)}
          >
            <Icon name={path === chosen ? 'check' : 'blank'} />
            <span>{label}</span>
          </button>
        ))}
      </div>
      {found.length === 0 && <p>None is called so.</p>}
      {found.length > listed && <p class="quiet">{found.length - listed} more: type to find them.</p>}
      {onOther && (
        <Button icon="folder-opened" onClick={onOther}>
          From the Disk…
        </Button>
      )}
    </>
  );
}

export interface FilePickerProps {
  readonly host: Host<ImagePanelApi>;
  /** On the button. */
  readonly title: string;
  readonly icon?: string | undefined;
  readonly label: string;
  readonly chosen: string;
  readonly onChoose: (path: string) => void;
}

const anchorOf =
  ({ title, icon, label }: Pick<FilePickerProps, 'title' | 'icon' | 'label'>) =>
  (open: boolean, toggle: () => void): VNode => (
    <Button label={label} expanded={open} onClick={toggle} {...(icon !== undefined && { icon })}>
      {title} {icon === undefined && <Icon name="chevron-down" slot="end" />}
    </Button>
  );

/** Another image of the workspace, or from anywhere. */
export const ImagePicker = (props: FilePickerProps): VNode => (
  <Popover label="Images" anchor={anchorOf(props)}>
    {(close) => <Images {...props} close={close} />}
  </Popover>
);

function Images({ host, chosen, onChoose, close }: FilePickerProps & { readonly close: () => void }): VNode {
  const { value, error } = useAnswer(() => host.remote.images(), []);
  const choose = (path: string | null): void => {
    close();
    if (path !== null) onChoose(path);
  };
  if (error) return <p>{error.message}</p>;
  if (!value) return <Skeleton label="Looking for images" rows={3} />;
  return (
    <FileList
      what="an image"
      files={value}
      chosen={chosen}
      onChoose={choose}
      onOther={() => void host.remote.chooseImage().then(choose)}
    />
  );
}

/** Another checkpoint of the workspace. */
export const CheckpointPicker = ({
  checkpoints,
  ...props
}: FilePickerProps & { readonly checkpoints: readonly NamedCheckpoint[] }): VNode => (
  <Popover label="Checkpoints" anchor={anchorOf(props)}>
    {(close) => (
      <FileList
        what="a checkpoint"
        files={checkpoints}
        chosen={props.chosen}
        onChoose={(path) => {
          close();
          props.onChoose(path);
        }}
      />
    )}
  </Popover>
);

export interface ColumnFilesProps {
  readonly host: Host<ImagePanelApi>;
  readonly own: Subject;
  readonly about: Beside;
  /** The panel's own, as lists have it. */
  readonly checkpoint: string;
  readonly checkpoints: readonly NamedCheckpoint[];
  readonly onAbout: (about: Beside) => void;
}

/** Which files the second column is of; each can be changed. */
export function ColumnFiles(props: ColumnFilesProps): VNode {
  const { host, own, about, checkpoint, checkpoints, onAbout } = props;
  const image = own.view.seen.image;
  const shown = { image: about.image ?? image, checkpoint: about.checkpoint ?? checkpoint };
  const label = checkpoints.find(({ path }) => path === shown.checkpoint)?.label;
  const change = (next: typeof shown): void =>
    onAbout({
      ...(next.image !== image && { image: next.image }),
      ...(next.checkpoint !== checkpoint && { checkpoint: next.checkpoint }),
    });
  return (
    <span class="why-files">
      <ImagePicker
        host={host}
        title={baseName(shown.image)}
        label={`Image ${baseName(shown.image)}. Change`}
        chosen={shown.image}
        onChoose={(path) => change({ ...shown, image: path })}
      />
      <span class="quiet">×</span>
      <CheckpointPicker
        host={host}
        checkpoints={checkpoints}
        title={label ?? baseName(shown.checkpoint)}
        label={`Checkpoint ${label ?? baseName(shown.checkpoint)}. Change`}
        chosen={shown.checkpoint}
        onChoose={(path) => change({ ...shown, checkpoint: path })}
      />
    </span>
  );
}

interface BesideWaitingProps {
  readonly asking: ReturnType<typeof useBeside>;
  readonly files: VNode;
  readonly onClose: () => void;
}

/** The second column before its files were run, or why they were not. */
export const BesideWaiting = ({ asking, files, onClose }: BesideWaitingProps): VNode => (
  <section class="why-column" aria-label="Explanation: not there yet" aria-busy={asking.busy}>
    <div class="why-head">
      {files}
      <span class="control-end">
        <CloseColumn onClose={onClose} />
      </span>
    </div>
    <Working
      class="working-line"
      busy={asking.busy}
      text={asking.progress || 'Running the model'}
      onCancel={asking.cancel}
    />
    {asking.error && !asking.busy && (
      <Unanswered error={asking.error} shown={undefined} onAgain={asking.again} />
    )}
    {!asking.error && <Skeleton label="Running the model" rows={4} />}
  </section>
);
