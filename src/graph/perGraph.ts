import { oncePer } from '../domain/once';
import type { Graph } from './graph';

/**
 * The same function, asked once per graph: what is read off a graph costs milliseconds, and each
 * image asks again.
 */
export const perGraph = <T>(read: (graph: Graph) => T): ((graph: Graph) => T) => oncePer(read);
