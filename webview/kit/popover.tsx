import type { ComponentChildren, VNode } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

export interface PopoverProps {
  readonly label: string;
  /** What opens it; gets the state and a function that turns it over. */
  readonly anchor: (open: boolean, toggle: () => void) => VNode;
  /** What is inside; gets a function that closes it. */
  readonly children: (close: () => void) => ComponentChildren;
}

/**
 * A small non-modal dialog under its anchor. Esc and a click elsewhere close it; focus goes in and
 * comes back.
 */
export function Popover({ label, anchor, children }: PopoverProps): VNode {
  const [open, setOpen] = useState(false);
  const frame = useRef<HTMLSpanElement>(null);
  const panel = useRef<HTMLDivElement>(null);
  const close = (): void => {
    setOpen(false);
    frame.current?.querySelector<HTMLElement>('button, vscode-button')?.focus();
  };
  useEffect(() => {
    if (!open) return undefined;
    const onPointer = (event: Event): void => {
      if (!event.composedPath().includes(frame.current as EventTarget)) setOpen(false);
    };
    document.addEventListener('pointerdown', onPointer, true);
    return () => document.removeEventListener('pointerdown', onPointer, true);
  }, [open]);
  useLayoutEffect(() => {
    if (!open || !panel.current) return;
    keepInside(panel.current);
    panel.current.querySelector<HTMLElement>('button, input, vscode-text-field, vscode-button')?.focus();
  }, [open]);
  return (
    <span
      ref={frame}
      class="popover-frame"
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || !open) return;
        event.stopPropagation();
        close();
      }}
    >
      {anchor(open, () => setOpen(!open))}
      {open && (
        <div ref={panel} class="popover" role="dialog" aria-label={label}>
          {children(close)}
        </div>
      )}
    </span>
  );
}

/** Moves the panel left, and above its anchor, if it would leave the window. */
function keepInside(panel: HTMLElement): void {
  const { left, right, bottom, height } = panel.getBoundingClientRect();
  const margin = 8;
  const above = panel.parentElement?.getBoundingClientRect().top ?? 0;
  if (bottom > window.innerHeight - margin && above > height + margin) panel.classList.add('above');
  const over = right - (document.body.getBoundingClientRect().right - margin);
  const shift = Math.min(Math.max(0, over), Math.max(0, left - margin));
  if (shift > 0) panel.style.transform = `translateX(${-shift}px)`;
}
