/** A binary heap of numbers, smallest first. */
export class Heap {
  private readonly items: number[] = [];

  push(value: number): void {
    const { items } = this;
    let at = items.length;
    items.push(value);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = items[parent] ?? 0;
      if (above <= value) break;
      items[at] = above;
      at = parent;
    }
    items[at] = value;
  }

  pop(): number | undefined {
    const { items } = this;
    const top = items[0];
    const value = items.pop();
    if (value === undefined || items.length === 0) return top;
    let at = 0;
    for (;;) {
      const left = at * 2 + 1;
      const child = (items[left + 1] ?? Infinity) < (items[left] ?? Infinity) ? left + 1 : left;
      const below = items[child] ?? Infinity;
      if (below >= value) break;
      items[at] = below;
      at = child;
    }
    items[at] = value;
    return top;
  }
}
