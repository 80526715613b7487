"""timm as its users run it: timmEager.py ARCHITECTURE WEIGHTS PICTURE. Makes the weights, at random, where they are not there, with timm's
config.json beside them. Prints the answer as a line of JSON, and once more for every line of standard input."""
import json
import os
import sys
import time

import timm
import torch
from PIL import Image
from safetensors.torch import save_file

architecture, weights, picture = sys.argv[1:4]
if not os.path.exists(weights):
    torch.manual_seed(1)
    made = timm.create_model(architecture, num_classes=1000)
    # Some classifiers begin at zero, where all classes are alike.
    for value in made.parameters():
        if value.ndim > 1 and value.std() == 0:
            torch.nn.init.normal_(value, std=0.02)
    save_file({name: tensor.contiguous().clone() for name, tensor in made.state_dict().items()}, weights)
    description = {
        "architecture": architecture,
        "num_classes": 1000,
        "pretrained_cfg": {key: value for key, value in made.pretrained_cfg.items() if key != "license"},
    }
    with open(os.path.join(os.path.dirname(weights), "config.json"), "w") as file:
        json.dump(description, file)
model = timm.create_model(architecture, checkpoint_path=weights, num_classes=1000).eval()
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
