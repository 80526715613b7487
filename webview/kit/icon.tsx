import type { VNode } from 'preact';

/** A codicon; what it stands for is said in words beside it. */
export const Icon = ({ name, slot }: { name: string; slot?: string }): VNode => (
  <span class={`codicon codicon-${name}`} aria-hidden="true" {...(slot ? { slot } : {})} />
);
