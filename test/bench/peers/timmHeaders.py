"""timm as a list: the first line is a JSON object of every architecture's module, then each line of a name is answered with the header that its
weights would have (`tensors`), its size, and how many parameters and buffers it has. Nothing is allocated.
"""
import json
import sys

import timm
import torch

DTYPES = {torch.float32: "F32", torch.int64: "I64", torch.bool: "BOOL"}


def header(name):
    with torch.device("meta"):
        model = timm.create_model(name)
    state = model.state_dict()
    params = sum(each.numel() for each in model.parameters())
    return {
        "id": f"timm/{name}",
        "image_size": list(model.pretrained_cfg["input_size"][1:]),
        "params": params,
        "tensors": [[key, DTYPES[value.dtype], list(value.shape)] for key, value in state.items()],
    }


modules = {name: timm.models._registry._model_to_module[name] for name in timm.list_models()}
print(json.dumps({"version": timm.__version__, "modules": modules}), flush=True)
for line in sys.stdin:
    print(json.dumps(header(line.strip())), flush=True)
