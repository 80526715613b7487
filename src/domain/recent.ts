/** The entries used last: what was used longest ago goes as soon as there are more than `count`. */
export class Recent<K, V> {
  private readonly entries = new Map<K, V>();

  constructor(private readonly count: number) {}

  get(key: K): V | undefined {
    const value = this.entries.get(key);
    if (value !== undefined) this.set(key, value);
    return value;
  }

  set(key: K, value: V): void {
    this.entries.delete(key);
    this.entries.set(key, value);
    const [oldest] = this.entries.keys();
    if (this.entries.size > this.count && oldest !== undefined) this.entries.delete(oldest);
  }

  /** Returns the entry, made if there is none. */
  ensure(key: K, make: () => V): V {
    const known = this.get(key);
    if (known !== undefined) return known;
    const made = make();
    this.set(key, made);
    return made;
  }
}
