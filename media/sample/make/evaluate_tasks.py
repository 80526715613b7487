"""Measures the sample models of tasks by what Vitrine itself answers for the test pictures of scenes.py.

    python evaluate_tasks.py SCENES TASKS WORK      (TASKS holds detect/, segment/ and words/; after `npm run build`)

Writes WORK/images and metrics-tasks.json here:
  mAP50     mean over classes of the average precision of boxes that overlap by half (COCO's 101 points)
  mIoU      mean over classes, background too, of intersection over union, pixels of all pictures
  recall@1  share of pictures whose likeliest word of 29 names an object in it
"""
import json, os, subprocess, sys
import numpy as np
from PIL import Image

scenes, tasks, out = sys.argv[1:4]
HERE = os.path.dirname(os.path.abspath(__file__))
CLI = os.path.join(HERE, '../../../dist/cli.js')
labels = json.load(open(f'{scenes}/labels.json'))
K = len(labels)
x, mask, boxes, classes = (np.load(f'{scenes}/test_{k}.npy') for k in ('x', 'mask', 'boxes', 'labels'))
os.makedirs(f'{out}/images', exist_ok=True)
files = []
for i, picture in enumerate(x):
    files.append(f'{out}/images/{i:04}.png')
    Image.fromarray(picture).save(files[-1])


def ask(*args):
    """The answers of one command, in the order of the pictures."""
    got = subprocess.run(['node', CLI, *args[:2], *files, *args[2:], '--json'], check=True, capture_output=True, text=True).stdout
    lines = [json.loads(line) for line in got.splitlines()]
    assert len(lines) == len(files), (len(lines), len(files))
    return [line['answers'] for line in lines]


def iou(a, b):
    w, h = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1))
    inner = max(0, w) * max(0, h)
    area = lambda t: (t[2] - t[0]) * (t[3] - t[1])
    return inner / (area(a) + area(b) - inner)


def average_precision(k, answers):
    truth = [[b for b, c in zip(boxes[i], classes[i]) if c == k] for i in range(len(x))]
    free = [[True] * len(t) for t in truth]
    found = sorted(((d['score'], i, d['box']) for i, a in enumerate(answers) for d in a['detections']['list'][0] if d['label'] == k), key=lambda d: -d[0])
    hits = []
    for _, i, box in found:
        over = [iou(box, t) if f else 0 for t, f in zip(truth[i], free[i])]
        best = int(np.argmax(over)) if over else -1
        hit = best >= 0 and over[best] >= .5
        if hit:
            free[i][best] = False
        hits.append(hit)
    n = sum(len(t) for t in truth)
    right = np.cumsum(hits)
    recall, precision = right / n, right / np.arange(1, len(hits) + 1)
    return float(np.mean([precision[recall >= r].max(initial=0) for r in np.linspace(0, 1, 101)]))


def detect():
    answers = ask('detect', f'{tasks}/detect', '--threshold', '0.02', *(v for n in labels for v in ('--label', n)))
    per = {labels[k]: average_precision(k, answers) for k in range(K)}
    return dict(mAP50=round(float(np.mean(list(per.values()))), 4), worst={k: round(v, 3) for k, v in sorted(per.items(), key=lambda e: e[1])[:4]})


def segment():
    folder = f'{out}/maps'
    os.makedirs(folder, exist_ok=True)
    answers = ask('segment', f'{tasks}/segment', '--out', folder)
    count = np.zeros((K + 1, K + 1), 'int64')
    for i, a in enumerate(answers):
        ids = np.asarray(Image.open(a['segments']['maps'][0]['file']))
        assert ids.shape == mask[i].shape, ids.shape
        np.add.at(count, (mask[i].ravel(), ids.ravel()), 1)
    both = np.diag(count)
    per = dict(zip([*labels, 'background'], both / (count.sum(0) + count.sum(1) - both)))
    return dict(mIoU=round(float(np.mean(list(per.values()))), 4), worst={k: round(float(v), 3) for k, v in sorted(per.items(), key=lambda e: e[1])[:4]})


def words():
    answers = ask('zero-shot', f'{tasks}/words', '--template', 'a drawing of a {}', *(v for n in labels for v in ('--label', n)))
    first = [max(a['zero_shot']['list'][0], key=lambda s: s['score'])['name'] for a in answers]
    right = [labels.index(n) in c for n, c in zip(first, classes)]
    alone = [r for r, c in zip(right, classes) if (c >= 0).sum() == 1]
    return {'recall@1': round(float(np.mean(right)), 4), 'recall@1, one object': round(float(np.mean(alone)), 4)}


path = f'{HERE}/metrics-tasks.json'
metrics = json.load(open(path)) if os.path.exists(path) else {}
for name, measure in dict(detect=detect, segment=segment, words=words).items():
    if os.path.exists(f'{tasks}/{name}/model.safetensors'):
        metrics[name] = dict(pictures=len(x), objects=int((classes >= 0).sum()), **measure())
        print(name, metrics[name], flush=True)
json.dump(metrics, open(path, 'w'), indent=1)
