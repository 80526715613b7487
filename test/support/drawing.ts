// A document that marks can draw into outside of a browser: elements that hold what was set, and
// canvases that write down what was asked of them. It lays nothing out and knows no style rules.

/** Numbers to three digits after the point: a drawing does not change by less. */
const rounded = (text: string): string => text.replace(/-?\d+\.\d+(e-?\d+)?/g, (number) => tidy(+number));
const tidy = (number: number): string => String(Math.round(number * 1000) / 1000 + 0);

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;').replaceAll('\n', '&#10;');

/** A node of text, or an element if it has a name. */
export class DrawnNode {
  readonly nodeType: number;
  readonly localName: string;
  readonly childNodes: DrawnNode[] = [];
  readonly attributes = new Map<string, string>();
  readonly style: Record<string, unknown> = {};
  /** Width of the page for what measures itself. */
  readonly clientWidth = 640;
  parentNode: DrawnNode | null = null;

  constructor(
    readonly ownerDocument: DrawnDocument,
    name: string,
    public data = '',
    readonly namespaceURI = '',
  ) {
    this.localName = name;
    this.nodeType = name === '#text' ? 3 : 1;
  }

  get firstChild(): DrawnNode | null {
    return this.childNodes[0] ?? null;
  }
  get nextSibling(): DrawnNode | null {
    const siblings = this.parentNode?.childNodes ?? [];
    return siblings[siblings.indexOf(this) + 1] ?? null;
  }
  get previousSibling(): DrawnNode | null {
    const siblings = this.parentNode?.childNodes ?? [];
    return siblings[siblings.indexOf(this) - 1] ?? null;
  }
  set textContent(text: string) {
    for (const child of [...this.childNodes]) child.remove();
    this.append(text);
  }

  insertBefore(child: DrawnNode, before: DrawnNode | null): DrawnNode {
    child.remove();
    child.parentNode = this;
    this.childNodes.splice(before ? this.childNodes.indexOf(before) : this.childNodes.length, 0, child);
    return child;
  }
  appendChild(child: DrawnNode): DrawnNode {
    return this.insertBefore(child, null);
  }
  append(...children: readonly (DrawnNode | string)[]): void {
    for (const child of children) this.appendChild(this.#nodeOf(child));
  }
  prepend(child: DrawnNode): void {
    this.insertBefore(child, this.firstChild);
  }
  #nodeOf(child: DrawnNode | string): DrawnNode {
    return typeof child === 'string' ? this.ownerDocument.createTextNode(child) : child;
  }
  remove(): void {
    const siblings = this.parentNode?.childNodes ?? [];
    if (siblings.includes(this)) siblings.splice(siblings.indexOf(this), 1);
    this.parentNode = null;
  }
  removeChild(child: DrawnNode): void {
    child.remove();
  }
  contains(other: DrawnNode | null): boolean {
    return other !== null && (other === this || this.contains(other.parentNode));
  }
  cloneNode(): DrawnNode {
    const copy = new DrawnNode(this.ownerDocument, this.localName, this.data, this.namespaceURI);
    this.attributes.forEach((value, name) => copy.attributes.set(name, value));
    copy.append(...this.childNodes.map((child) => child.cloneNode()));
    return copy;
  }

  setAttribute(name: string, value: unknown): void {
    this.attributes.set(name, String(value));
  }
  setAttributeNS(_space: string, name: string, value: unknown): void {
    this.setAttribute(name, value);
  }
  getAttribute(name: string): string | null {
    return this.attributes.get(name) ?? null;
  }
  hasAttribute(name: string): boolean {
    return this.attributes.has(name);
  }
  removeAttribute(name: string): void {
    this.attributes.delete(name);
  }
  addEventListener(): void {}
  removeEventListener(): void {}
  getBoundingClientRect(): { readonly top: number; readonly left: number } {
    return { top: 0, left: 0 };
  }

  /** Elements below this one by their name, or all for `*`. */
  querySelectorAll(name: string): readonly DrawnNode[] {
    return this.childNodes.flatMap((child) => [
      ...(child.nodeType === 1 && (name === '*' || child.localName === name) ? [child] : []),
      ...child.querySelectorAll(name),
    ]);
  }

  /** The element as text, one a line, those within it moved in. */
  text(indent = ''): string {
    if (this.nodeType === 3) return `${indent}${escaped(String(this.data))}`;
    const style = Object.entries(this.style).map(([name, value]) => `${name}: ${String(value)}`);
    const attributes = [...this.attributes, ...(style.length > 0 ? [['style', style.join('; ')]] : [])];
    const set = attributes.map(([name, value]) => ` ${name}="${rounded(escaped(value ?? ''))}"`).join('');
    const [first] = this.childNodes;
    if (!first) return `${indent}<${this.localName}${set} />`;
    const end = `</${this.localName}>`;
    if (this.childNodes.length === 1 && first.nodeType === 3)
      return `${indent}<${this.localName}${set}>${first.text()}${end}`;
    const within = this.childNodes.map((child) => `${child.text(`${indent}  `)}\n`).join('');
    return `${indent}<${this.localName}${set}>\n${within}${indent}${end}`;
  }
}

/** Canvas: its size and the calls and settings of its context, one a line. */
export class DrawnCanvas extends DrawnNode {
  width = 0;
  height = 0;
  readonly calls: string[] = [];
  getContext(): object {
    return recorder(this.calls);
  }
  override toString(): string {
    return `canvas ${this.width}×${this.height}`;
  }
}

/** Writes down every call with its arguments and every setting. */
function recorder(calls: string[]): object {
  return new Proxy(
    {},
    {
      get:
        (_target, name) =>
        (...values: readonly unknown[]) =>
          void calls.push(`${String(name)}(${rounded(values.join(', '))})`),
      set: (_target, name, value) => calls.push(`${String(name)} = ${rounded(String(value))}`) > 0,
    },
  );
}

class DrawnPixels {
  constructor(
    readonly data: ArrayLike<number>,
    readonly width: number,
    readonly height: number,
  ) {}
  /** A line for each row, RGBA of each pixel. */
  toString(): string {
    const pixel = (at: number): string =>
      Array.from(this.data)
        .slice(4 * at, 4 * at + 4)
        .join(' ');
    const row = (y: number): string =>
      Array.from({ length: this.width }, (_, x) => pixel(y * this.width + x)).join(' | ');
    return `\n${Array.from({ length: this.height }, (_, y) => row(y)).join('\n')}\n`;
  }
}

class DrawnPath {
  readonly #parts: string[] = [];
  rect(...sides: readonly number[]): void {
    this.#parts.push(`rect(${sides.join(', ')})`);
  }
  toString(): string {
    return this.#parts.join(' ');
  }
}

export class DrawnDocument {
  readonly body = new DrawnNode(this, 'body');
  readonly documentElement = this.body;
  createElement(name: string): DrawnNode {
    return name === 'canvas' ? new DrawnCanvas(this, name) : new DrawnNode(this, name);
  }
  createElementNS(space: string, name: string): DrawnNode {
    return space.endsWith('svg') ? new DrawnNode(this, name, '', space) : this.createElement(name);
  }
  createTextNode(text: string): DrawnNode {
    return new DrawnNode(this, '#text', text);
  }
  addEventListener(): void {}
  removeEventListener(): void {}
}

class Observer {
  observe(): void {}
  disconnect(): void {}
}

/** Colours that the theme's variables stand for, where a chart is written to a file. */
const computed = { fontFamily: 'sans-serif', color: '#111111', backgroundColor: '#ffffff' };
const colourOf = (value: string | null): string => (value?.startsWith('var(') ? '#0000ff' : (value ?? ''));

const globals = {
  window: { devicePixelRatio: 2, innerHeight: 480, addEventListener() {}, removeEventListener() {} },
  ResizeObserver: Observer,
  ImageData: DrawnPixels,
  Path2D: DrawnPath,
  XMLSerializer: class {
    serializeToString(node: DrawnNode): string {
      return node.text();
    }
  },
  getComputedStyle: (node: DrawnNode) => ({
    ...computed,
    fill: colourOf(node.getAttribute('fill')),
    stroke: colourOf(node.getAttribute('stroke')),
  }),
};

/** Gives the tests of a suite a document, and takes it away after them. */
export function useDocument(): void {
  const names = ['document', ...Object.keys(globals)];
  const before = new Map(names.map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]));
  beforeEach(() => {
    const document = new DrawnDocument();
    const window = { ...globals.window, document };
    for (const [name, value] of Object.entries({ ...globals, window, document }))
      Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  });
  afterEach(() => {
    for (const [name, descriptor] of before)
      if (descriptor) Object.defineProperty(globalThis, name, descriptor);
      else Reflect.deleteProperty(globalThis, name);
  });
}
