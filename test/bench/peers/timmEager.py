"""timm as its users run it: timmEager.py WEIGHTS PICTURE. Prints the answer as a line of JSON, and once more for every line of
standard input."""
import json
import sys
import time

import timm
import torch
from PIL import Image

weights, picture = sys.argv[1:3]
model = timm.create_model("vit_base_patch16_224", checkpoint_path=weights).eval()
config = timm.data.resolve_data_config({}, model=model)
transform = timm.data.create_transform(**config, is_training=False)


def answer():
    started = time.perf_counter()
    with torch.inference_mode():
        logits = model(transform(Image.open(picture).convert("RGB")).unsqueeze(0))
    top = logits.softmax(-1)[0].topk(5).indices.tolist()
    milliseconds = (time.perf_counter() - started) * 1000
    print(json.dumps({"milliseconds": milliseconds, "top": top}), flush=True)


answer()
for _ in sys.stdin:
    answer()
