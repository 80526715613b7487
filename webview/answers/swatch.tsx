import type { VNode } from 'preact';
import { classColour } from '../marks/classColours';
import './swatch.css';

/** The colour of a class beside its name; empty if it has none. */
export const Swatch = ({ label }: { label: number | undefined }): VNode => (
  <span
    class="class-swatch"
    aria-hidden="true"
    style={label === undefined ? {} : { background: classColour(label) }}
  />
);
