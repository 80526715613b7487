import type { VNode } from 'preact';
import { classColour } from '../marks/classColours';
import './swatch.css';

/** The colour of a class beside its name. */
export const Swatch = ({ label }: { label: number }): VNode => (
  <span class="class-swatch" aria-hidden="true" style={{ background: classColour(label) }} />
);
