/** The modules of a file: what each path holds, by the names of its tensors. */
export interface Modules {
  /**
   * Children of each module path (`blocks.`), tensors among them; the file itself is the path ''.
   */
  readonly children: ReadonlyMap<string, ReadonlySet<string>>;
  /** Number of tensors below each path. */
  readonly sizes: ReadonlyMap<string, number>;
  /** Paths that hold a numbered list at any depth. */
  readonly listed: ReadonlySet<string>;
}

/** Whether a component of a name numbers a member of a list. */
export const isNumber = (component: string): boolean => /^\d+$/.test(component);

/** Reads the tree of modules off the names, each name once. */
export function modulesOf(names: Iterable<string>): Modules {
  const children = new Map<string, Set<string>>();
  const sizes = new Map<string, number>();
  const listed = new Set<string>();
  for (const name of names) {
    let start = 0;
    for (let dot = name.indexOf('.'); ; dot = name.indexOf('.', start)) {
      const path = name.slice(0, start);
      const child = name.slice(start, dot < 0 ? name.length : dot);
      const known = children.get(path);
      if (known) known.add(child);
      else children.set(path, new Set([child]));
      sizes.set(path, (sizes.get(path) ?? 0) + 1);
      if (dot < 0) break;
      if (isNumber(child)) markListed(path, listed);
      start = dot + 1;
    }
  }
  return { children, sizes, listed };
}

/** Marks a path and all that hold it; what is marked has marked the rest. */
function markListed(path: string, listed: Set<string>): void {
  for (let at = path; !listed.has(at); at = parentOf(at)) {
    listed.add(at);
    if (at === '') return;
  }
}

/** `model.blocks.` -> `model.`; the file's own path for one component. */
export function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('.', path.length - 2) + 1);
}

/** Every path that a name lies in, the outermost first: '', `blocks.`, `blocks.0.` */
export function pathsOf(name: string): readonly string[] {
  const paths = [''];
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1))
    paths.push(name.slice(0, dot + 1));
  return paths;
}

/** The deepest path that both lie in. */
export function sharedPath(left: string, right: string): string {
  let shared = 0;
  for (let index = 0; index < left.length && left[index] === right[index]; index++)
    if (left[index] === '.') shared = index + 1;
  return left.slice(0, shared);
}
