"""What transformers answers with the sample models of tasks for some of the sample images: expected-tasks.json.

    python expected_tasks.py SAMPLE_FOLDER
"""
import json, sys
import torch
import transformers as tf
from PIL import Image, ImageOps

out = sys.argv[1]
IMAGES = ['cat-on-grass.jpg', 'car-on-the-road.jpg', 'cat-and-dog.jpg', 'elephant-in-savanna.webp']
labels = json.load(open(f'{out}/vitrine-detector/config.json'))['id2label']
words = [labels[str(i)] for i in range(len(labels))]
torch.set_num_threads(1)


def load(kind, name):
    folder = f'{out}/{name}'
    return kind.from_pretrained(folder, dtype=torch.float32).eval(), tf.AutoImageProcessor.from_pretrained(folder, use_fast=False)


detector, boxed = load(tf.YolosForObjectDetection, 'vitrine-detector')
segmenter, masked = load(tf.DPTForSemanticSegmentation, 'vitrine-segmenter')
pair, seen = load(tf.CLIPModel, 'vitrine-words')
tokens = tf.AutoTokenizer.from_pretrained(f'{out}/vitrine-words')
texts = tokens([f'a drawing of a {n}' for n in words], padding='max_length', max_length=16, return_tensors='pt')
images = []
with torch.no_grad():
    for name in IMAGES:
        im = ImageOps.exif_transpose(Image.open(f'{out}/images/{name}')).convert('RGB')
        size = [im.size[::-1]]
        found = boxed.post_process_object_detection(detector(**boxed(im, return_tensors='pt')), threshold=.5, target_sizes=size)[0]
        ids = masked.post_process_semantic_segmentation(segmenter(**masked(im, return_tensors='pt')), target_sizes=size)[0]
        scores = pair(**seen(im, return_tensors='pt'), input_ids=texts['input_ids'], attention_mask=texts['attention_mask']).logits_per_image[0].softmax(-1)
        top = scores.topk(3)
        images.append(dict(
            image=name,
            boxes=[dict(name=words[int(c)], score=round(float(s), 5), box=[round(float(v), 2) for v in b]) for c, s, b in zip(found['labels'], found['scores'], found['boxes'])],
            pixels={str(int(i)): int(n) for i, n in zip(*ids.unique(return_counts=True))},
            words=[[words[int(i)], round(float(v), 5)] for v, i in zip(top.values, top.indices)]))
        print(images[-1])
json.dump(dict(how='transformers 5.23.0, Pillow resizing, float32 arithmetic on the stored weights; boxes above 0.5 in pixels of the image; pixels of each class, 29 being the background; the likeliest of 29 words in "a drawing of a {}".', images=images),
          open(f'{out}/expected-tasks.json', 'w'), indent=1)
