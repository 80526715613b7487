/** The same function, asked once for each object: its answer is kept as long as the object is. */
export function oncePer<K extends object, T>(read: (key: K) => T): (key: K) => T {
  const known = new WeakMap<K, { readonly value: T }>();
  return (key) => {
    const kept = known.get(key);
    if (kept) return kept.value;
    const value = read(key);
    known.set(key, { value });
    return value;
  };
}
