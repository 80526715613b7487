"""What transformers answers with the sample models of tasks for some of the sample images: expected-tasks.json.

    python expected_tasks.py SAMPLE_FOLDER
"""
import json, os, sys
import torch
import transformers as tf
from PIL import Image, ImageOps

out = sys.argv[1]
IMAGES = ['cat-on-grass.jpg', 'car-on-the-road.jpg', 'cat-and-dog.jpg', 'elephant-in-savanna.webp']
words = sorted(json.load(open(f'{out}/make/classes.json')))
torch.set_num_threads(1)


def load(kind, name):
    folder = f'{out}/{name}'
    return kind.from_pretrained(folder, dtype=torch.float32).eval(), tf.AutoImageProcessor.from_pretrained(folder, backend='pil')


def tokens(texts):
    found = tf.AutoTokenizer.from_pretrained(f'{out}/vitrine-words')(texts, padding='max_length', max_length=16, return_tensors='pt')
    return dict(input_ids=found['input_ids'], attention_mask=found['attention_mask'])


def detect(model, prepare, im):
    answer = model(**prepare(im, return_tensors='pt'), **tokens(words))
    found = prepare.post_process_object_detection(answer, threshold=.3, target_sizes=[im.size[::-1]])[0]
    return [dict(name=words[int(c)], score=round(float(s), 5), box=[round(float(v), 2) for v in b]) for c, s, b in zip(found['labels'], found['scores'], found['boxes'])]


def segment(model, prepare, im):
    ids = prepare.post_process_semantic_segmentation(model(**prepare(im, return_tensors='pt')), target_sizes=[im.size[::-1]])[0]
    return {str(int(i)): int(n) for i, n in zip(*ids.unique(return_counts=True))}


def name(model, prepare, im):
    top = model(**prepare(im, return_tensors='pt'), **tokens([f'a drawing of a {n}' for n in words])).logits_per_image[0].softmax(-1).topk(3)
    return [[words[int(i)], round(float(v), 5)] for v, i in zip(top.values, top.indices)]


KINDS = dict(boxes=(tf.OwlViTForObjectDetection, 'vitrine-detector', detect), pixels=(tf.DPTForSemanticSegmentation, 'vitrine-segmenter', segment),
             words=(tf.CLIPModel, 'vitrine-words', name))
images = [dict(image=n) for n in IMAGES]
with torch.no_grad():
    for key, (kind, folder, ask) in KINDS.items():
        if not os.path.exists(f'{out}/{folder}'):
            continue
        model, prepare = load(kind, folder)
        for row in images:
            im = ImageOps.exif_transpose(Image.open(f"{out}/images/{row['image']}")).convert('RGB')
            row[key] = ask(model, prepare, im)
            print(row['image'], key, row[key])
json.dump(dict(how='transformers 5.23.0, Pillow resizing, float32 arithmetic on the stored weights; boxes above 0.3 in pixels of the image, each word alone; pixels of each class, 29 being the background; the likeliest of 29 words in "a drawing of a {}".', images=images),
          open(f'{out}/expected-tasks.json', 'w'), indent=1)
