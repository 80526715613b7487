"""transformers as its users run it: transformersEager.py TASK FOLDER PICTURE [WORD...]. Makes a small model of the task, with seeded random weights and
its processor's settings, in a folder that has none. Prints the answer as a line of JSON, and once more for every line of standard input."""
import json
import os
import sys
import time

import torch
import transformers as tf
from PIL import Image

task, folder, picture, *words = sys.argv[1:]
vit = dict(hidden_size=384, num_hidden_layers=12, num_attention_heads=6, intermediate_size=1536, patch_size=16)

# Vocabulary and marks of the sample's tokenizer.
text = dict(vocab_size=645, bos_token_id=643, eos_token_id=644, pad_token_id=644)


def square(kind, side, **more):
    size = dict(height=side, width=side)
    norm = dict(do_rescale=True, rescale_factor=1 / 255, do_normalize=True, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    return dict(image_processor_type=kind, do_resize=True, size=size, resample=2, do_pad=False, **norm, **more)


def named(count):
    return dict(id2label={i: f"class {i}" for i in range(count)}, label2id={f"class {i}": i for i in range(count)})


made = {
    "detect": lambda: (
        tf.YolosForObjectDetection(tf.YolosConfig(**vit, image_size=[384, 384], use_mid_position_embeddings=False, **named(91))),
        square("YolosImageProcessor", 384, format="coco_detection"),
    ),
    "segment": lambda: (
        tf.SegformerForSemanticSegmentation(tf.SegformerConfig(**named(150))),
        square("SegformerImageProcessor", 512, do_reduce_labels=False),
    ),
    "depth": lambda: (
        tf.DPTForDepthEstimation(tf.DPTConfig(**vit, image_size=384, is_hybrid=False, backbone_out_indices=[2, 5, 8, 11])),
        square("DPTImageProcessor", 384, keep_aspect_ratio=False, ensure_multiple_of=1),
    ),
    "zero-shot": lambda: (
        tf.CLIPModel(
            tf.CLIPConfig(
                vision_config=dict(vit, image_size=224),
                text_config=dict(text, hidden_size=256, num_hidden_layers=6, num_attention_heads=4, intermediate_size=1024),
            )
        ),
        square("CLIPImageProcessor", 224, do_center_crop=False, do_convert_rgb=True),
    ),
}
if not os.path.exists(f"{folder}/model.safetensors"):
    torch.manual_seed(1)
    model, processor = made[task]()
    model.save_pretrained(folder)
    with open(f"{folder}/preprocessor_config.json", "w") as file:
        json.dump(processor, file)
kinds = {
    "detect": tf.AutoModelForObjectDetection,
    "segment": tf.AutoModelForSemanticSegmentation,
    "depth": tf.AutoModelForDepthEstimation,
    "zero-shot": tf.CLIPModel,
}
model = kinds[task].from_pretrained(folder, dtype=torch.float32).eval()
prepare = tf.AutoImageProcessor.from_pretrained(folder)
tokens = tf.AutoTokenizer.from_pretrained(folder) if task == "zero-shot" else None


def detect(image, inputs):
    found = prepare.post_process_object_detection(model(**inputs), threshold=0.0, target_sizes=[image.size[::-1]])[0]
    return [round(v, 2) for v in found["boxes"][found["scores"].argmax()].tolist()]


def segment(image, inputs):
    ids = prepare.post_process_semantic_segmentation(model(**inputs), target_sizes=[image.size[::-1]])[0]
    return int(ids.flatten().mode().values)


def depth(image, inputs):
    far = prepare.post_process_depth_estimation(model(**inputs), target_sizes=[image.size[::-1]])[0]["predicted_depth"]
    return round(float(far.mean()), 3)


def zero_shot(image, inputs):
    texts = tokens(words, padding="max_length", max_length=model.config.text_config.max_position_embeddings, return_tensors="pt")
    given = dict(input_ids=texts["input_ids"], attention_mask=texts["attention_mask"])
    return int(model(**inputs, **given).logits_per_image[0].argmax())


read = dict(detect=detect, segment=segment, depth=depth, **{"zero-shot": zero_shot})[task]


def answer():
    started = time.perf_counter()
    with torch.inference_mode():
        image = Image.open(picture).convert("RGB")
        given = read(image, prepare(image, return_tensors="pt"))
    milliseconds = (time.perf_counter() - started) * 1000
    print(json.dumps({"milliseconds": milliseconds, "answer": given}), flush=True)


answer()
for _ in sys.stdin:
    answer()
