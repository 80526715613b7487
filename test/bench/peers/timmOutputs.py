"""timm as a reference: reads lines of JSON {"model", "size": [height, width], "folder", "exact"}. Builds the model with random weights that leave
nothing at its default, writes them and a random picture with timm's output into the folder, and answers with a line of JSON. With "exact", answers
how far timm's own output is from the one that it computes in float64, in parts of its spread.
"""
import json
import os
import sys
import zlib

import timm
import torch
from safetensors.torch import save_file

torch.set_grad_enabled(False)


def shuffle(model, generator):
    """Draws norms' scales, biases, running statistics and everything that is made as one number; adds noise to the rest."""
    statistics = [(name, value) for name, value in model.named_buffers() if "running_" in name]
    for name, value in [*model.named_parameters(), *statistics]:
        if not value.is_floating_point() or value.ndim == 0:
            continue
        normal = torch.randn(value.shape, generator=generator)
        even = torch.rand(value.shape, generator=generator)
        largest = value.abs().max()
        if name.endswith("running_var") or (value.ndim == 1 and (value == 1).all()):
            value.copy_(0.7 + 0.6 * even)
        elif value.ndim == 1 and largest < 0.011:
            value.copy_(0.1 * normal if largest == 0 else 0.2 + 0.3 * even)
        elif value.ndim > 1 and value.std(unbiased=False) == 0:
            value.copy_(0.05 * normal)
        else:
            value.add_(0.2 * value.std(unbiased=False) * normal)


def make(name, size):
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    model = timm.create_model(name).eval()
    shuffle(model, generator)
    return model, torch.randn(1, 3, *size, generator=generator)


def output(model, picture):
    answer = model(picture)
    return answer[0] if isinstance(answer, (tuple, list)) else answer


print(json.dumps({"timm": timm.__version__}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    model, picture = make(asked["model"], asked["size"])
    answer = output(model, picture)
    if asked.get("exact"):
        exact = output(model.double(), picture.double())
        print(json.dumps({"difference": float((answer - exact).abs().max() / exact.std())}), flush=True)
        continue
    weights = {key: value.contiguous().clone() for key, value in model.state_dict().items()}
    save_file(weights, os.path.join(asked["folder"], "model.safetensors"))
    save_file({"picture": picture, "output": answer.contiguous()}, os.path.join(asked["folder"], "reference.safetensors"))
    print(json.dumps({"classes": model.num_classes}), flush=True)
