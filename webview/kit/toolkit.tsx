/**
 * The one module that knows `@vscode/webview-ui-toolkit`. The toolkit is archived upstream: to
 * replace it, replace this file.
 */
import {
  provideVSCodeDesignSystem,
  vsCodeButton,
  vsCodeCheckbox,
  vsCodeDropdown,
  vsCodeOption,
  vsCodeProgressRing,
  vsCodeTextField,
} from '@vscode/webview-ui-toolkit';
import { h, type ComponentChildren, type RefObject, type VNode } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { Icon } from './icon';

provideVSCodeDesignSystem().register(
  vsCodeButton(),
  vsCodeCheckbox(),
  vsCodeDropdown(),
  vsCodeOption(),
  vsCodeProgressRing(),
  vsCodeTextField(),
);

/** A custom element by name: its attributes are not in JSX's list of elements. */
const element = (name: string, attributes: object, ...children: ComponentChildren[]): VNode =>
  h(name, { ...attributes }, ...children) as VNode;

interface ValueElement extends HTMLElement {
  value: string;
}

/**
 * Names an element after it has entered the document, where the toolkit gives some a name of its
 * own ("Text field").
 */
function useName(label: string): RefObject<HTMLElement | null> {
  const named = useRef<HTMLElement>(null);
  useLayoutEffect(() => named.current?.setAttribute('aria-label', label), [label]);
  return named;
}

export interface ButtonProps {
  readonly onClick: () => void;
  readonly children?: ComponentChildren;
  readonly primary?: boolean;
  readonly icon?: string;
  /** Accessible name if the text alone does not say it. */
  readonly label?: string;
  readonly title?: string | undefined;
  readonly disabled?: boolean;
  readonly expanded?: boolean;
}

export function Button(props: ButtonProps): VNode {
  return element(
    'vscode-button',
    {
      appearance: props.primary ? 'primary' : 'secondary',
      onClick: props.onClick,
      disabled: props.disabled ?? false,
      title: props.title,
      'aria-label': props.label,
      'aria-expanded': props.expanded,
    },
    props.icon && <Icon name={props.icon} slot="start" />,
    props.children,
  );
}

export interface IconButtonProps {
  readonly icon: string;
  /** Accessible name and tooltip. */
  readonly label: string;
  readonly onClick: () => void;
  readonly disabled?: boolean;
  readonly pressed?: boolean;
  readonly expanded?: boolean;
}

export const IconButton = ({ icon, label, onClick, disabled, pressed, expanded }: IconButtonProps): VNode =>
  element(
    'vscode-button',
    {
      appearance: 'icon',
      'aria-label': label,
      title: label,
      onClick,
      disabled: disabled ?? false,
      'aria-pressed': pressed,
      'aria-expanded': expanded,
    },
    <Icon name={icon} />,
  );

export interface Choice {
  readonly value: string;
  readonly label: string;
}

export interface DropdownProps {
  readonly label: string;
  readonly value: string;
  readonly choices: readonly Choice[];
  readonly onChange: (value: string) => void;
  readonly disabled?: boolean;
}

export function Dropdown({ label, value, choices, onChange, disabled }: DropdownProps): VNode {
  const dropdown = useRef<ValueElement>(null);
  // The toolkit takes a value only once its options have arrived, which it notices a frame later.
  useLayoutEffect(() => {
    const apply = (): void => {
      if (dropdown.current && dropdown.current.value !== value) dropdown.current.value = value;
    };
    apply();
    const frame = requestAnimationFrame(apply);
    return () => cancelAnimationFrame(frame);
  }, [value, choices]);
  return element(
    'vscode-dropdown',
    {
      ref: dropdown,
      'aria-label': label,
      title: label,
      disabled: disabled ?? false,
      onChange: (event: Event) => {
        const chosen = (event.target as ValueElement).value;
        if (chosen !== value) onChange(chosen);
      },
    },
    choices.map((choice) =>
      element('vscode-option', { key: choice.value, value: choice.value }, choice.label),
    ),
  );
}

export interface TextFieldProps {
  readonly label: string;
  readonly value: string;
  readonly placeholder?: string;
  readonly icon?: string;
  /** Called on every key. */
  readonly onInput?: (value: string) => void;
  /** Called on Enter. */
  readonly onEnter?: (value: string) => void;
}

export function TextField({ label, value, placeholder, icon, onInput, onEnter }: TextFieldProps): VNode {
  return element(
    'vscode-text-field',
    {
      ref: useName(label),
      placeholder,
      value,
      onInput: (event: Event) => onInput?.((event.target as ValueElement).value),
      onKeyDown: (event: KeyboardEvent) => {
        if (event.key !== 'Enter' || !onEnter) return;
        // What gets the focus meanwhile must not take the same key for a click.
        event.preventDefault();
        onEnter((event.target as ValueElement).value);
      },
    },
    icon && <Icon name={icon} slot="start" />,
  );
}

export interface CheckboxProps {
  readonly checked: boolean;
  readonly onChange: (checked: boolean) => void;
  readonly children: ComponentChildren;
}

export const Checkbox = ({ checked, onChange, children }: CheckboxProps): VNode =>
  element(
    'vscode-checkbox',
    {
      checked,
      onChange: (event: Event) => {
        const next = (event.target as HTMLInputElement).checked;
        if (next !== checked) onChange(next);
      },
    },
    children,
  );

export const Spinner = ({ label }: { label: string }): VNode =>
  element('vscode-progress-ring', { ref: useName(label) });

export interface SliderProps {
  readonly label: string;
  readonly min: number;
  readonly max: number;
  readonly step?: number;
  readonly value: number;
  /** What a screen reader says instead of the bare number. */
  readonly text?: string;
  readonly onInput: (value: number) => void;
}

/** The toolkit has no slider; the browser's own follows the theme by `accent-color`. */
export const Slider = ({ label, min, max, step, value, text, onInput }: SliderProps): VNode => (
  <input
    type="range"
    class="slider"
    aria-label={label}
    aria-valuetext={text}
    title={text}
    min={min}
    max={max}
    step={step ?? 1}
    value={value}
    onInput={(event) => onInput(Number(event.currentTarget.value))}
  />
);
