/**
 * The order in which torch's `topk(sorted=False)` leaves values on the CPU. Instances are numbered
 * and drawn over one another in it, so that it is part of the answer: what C++'s `nth_element` of
 * libstdc++ (introselect, `bits/stl_algo.h`) makes of the values, or, if 64 times as many are not
 * more than all, `partial_sort`, which is sorted.
 */

type Before = (a: number, b: number) => boolean;

function swap(items: number[], a: number, b: number): void {
  [items[a], items[b]] = [items[b] ?? 0, items[a] ?? 0];
}

function medianToFirst(
  items: number[],
  before: Before,
  result: number,
  at: readonly [number, number, number],
) {
  const [a, b, c] = at;
  const is = (x: number, y: number): boolean => before(items[x] ?? 0, items[y] ?? 0);
  const middle = is(a, b) ? (is(b, c) ? b : is(a, c) ? c : a) : is(a, c) ? a : is(b, c) ? c : b;
  swap(items, result, middle);
}

/** Partitions about the value at `pivot`; returns where the second part begins. */
function partition(items: number[], before: Before, from: number, to: number, pivot: number): number {
  let [first, last] = [from, to];
  const is = (x: number, y: number): boolean => before(items[x] ?? 0, items[y] ?? 0);
  for (;;) {
    while (is(first, pivot)) first++;
    last--;
    while (is(pivot, last)) last--;
    if (first >= last) return first;
    swap(items, first, last);
    first++;
  }
}

function insertionSort(items: number[], before: Before, from: number, to: number): void {
  for (let i = from + 1; i < to; i++) {
    const item = items[i] ?? 0;
    let at = i;
    for (; at > from && before(item, items[at - 1] ?? 0); at--) items[at] = items[at - 1] ?? 0;
    items[at] = item;
  }
}

/** Puts the item that would be at `nth` of the sorted list there, smaller ones before it. */
function nthElement(items: number[], nth: number, before: Before): void {
  let [first, last] = [0, items.length];
  let depth = Math.floor(Math.log2(last)) * 2;
  while (last - first > 3) {
    // The library goes over to a heap there; no list of random values came near it.
    if (depth-- === 0) break;
    medianToFirst(items, before, first, [first + 1, first + Math.floor((last - first) / 2), last - 1]);
    const cut = partition(items, before, first + 1, last, first);
    if (cut <= nth) first = cut;
    else last = cut;
  }
  insertionSort(items, before, first, last);
}

/** Positions of the `count` largest values, in torch's unsorted order. */
export function topUnsorted(values: ArrayLike<number>, count: number): readonly number[] {
  const before: Before = (a, b) => (values[a] ?? 0) > (values[b] ?? 0);
  const positions = Array.from({ length: values.length }, (_, i) => i);
  const k = Math.min(count, values.length);
  if (k === 0) return [];
  if (k * 64 <= values.length) positions.sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0));
  else nthElement(positions, k - 1, before);
  return positions.slice(0, k);
}
