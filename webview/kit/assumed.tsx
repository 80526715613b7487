import type { VNode } from 'preact';

/** Marks a value that nobody stored: it was taken from a table or a default. */
export const AssumedMark = (): VNode => (
  <span
    class="assumed-mark codicon codicon-warning"
    role="img"
    aria-label="assumed"
    title="assumed, not stored"
  />
);
