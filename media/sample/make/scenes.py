"""Draws pictures for the models of tasks: as draw.py does, with boxes and masks in full.

    python scenes.py ICONS OUT [--train 6000] [--test 400] [--procs 2] [--seed 11]

Writes OUT/{train,test}_{x,mask,boxes,labels}.npy
  x       uint8 (n, 128, 128, 3)  the picture; half of them hold two objects
  mask    uint8 (n, 128, 128)     class of each pixel, K = background
  boxes   float32 (n, 2, 4)       left, top, right, bottom in pixels, of what is seen of each object
  labels  int64 (n, 2)            class of each box, -1 where there is none
"""
import argparse, json, os
from multiprocessing import Pool
import numpy as np
from draw import MONO, S, TEST_STYLES, background, load_icons, paint

PART = 100
SEEN = 40          # pixels of an object that must be left to look for it


def boxes_of(seg, labels):
    boxes, classes = np.zeros((2, 4), 'float32'), np.full(2, -1)
    for k, label in enumerate(labels):
        on = seg[k] > .5
        if on.sum() < SEEN:
            continue
        rows, cols = np.flatnonzero(on.any(1)), np.flatnonzero(on.any(0))
        boxes[k] = cols[0], rows[0], cols[-1] + 1, rows[-1] + 1
        classes[k] = label
    return boxes, classes


def work(job):
    folder, seed, split = job
    r = np.random.default_rng(seed)
    icons = [e for e in load_icons(folder) if e['style'] not in TEST_STYLES and (split == 'train' or e['style'] != MONO)]
    by = [[e for e in icons if e['cls'] == c] for c in sorted({e['cls'] for e in icons})]
    bgs = [background(r) for _ in range(30)]
    out = []
    while len(out) < PART:
        im, seg, labels = paint(r, by, bgs, strong=split == 'train', two=.5)
        boxes, classes = boxes_of(seg, labels)
        if (classes < 0).all():
            continue
        of = np.array([labels[0], labels[-1]])[seg.argmax(0)]
        out.append((im, np.where(seg.max(0) > .5, of, len(by)).astype('uint8'), boxes, classes))
    return [np.stack(v) for v in zip(*out)]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('icons'); ap.add_argument('out')
    ap.add_argument('--train', type=int, default=6000); ap.add_argument('--test', type=int, default=400)
    ap.add_argument('--procs', type=int, default=2); ap.add_argument('--seed', type=int, default=11)
    a = ap.parse_args()
    os.makedirs(a.out, exist_ok=True)
    names = sorted({e['cls'] for e in json.load(open(os.path.join(a.icons, 'index.json')))})
    json.dump(names, open(os.path.join(a.out, 'labels.json'), 'w'))
    with Pool(a.procs) as pool:
        for split, n, shift in (('test', a.test, 500_000), ('train', a.train, 0)):
            jobs = [(a.icons, a.seed * 1000 + shift + i, split) for i in range(n // PART)]
            got = pool.map(work, jobs, chunksize=1)
            for k, name in enumerate(('x', 'mask', 'boxes', 'labels')):
                np.save(os.path.join(a.out, f'{split}_{name}.npy'), np.concatenate([g[k] for g in got]))
            print(split, n, flush=True)


if __name__ == '__main__':
    main()
