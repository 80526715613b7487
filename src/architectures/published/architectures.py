"""Writes heads and image size of timm's architectures that no header-only description of test/fixtures/oracles is of.

    python architectures.py DESCRIBED > architectures.ts

DESCRIBED is a file with a JSON list of the architectures that are described. Modules are built on the meta
device (timm 1.0.31, torch 2.13.0): `name -> [heads, height, width]`, heads of the first attention of each stage,
then those of an attention pool.
"""

import json
import re
import sys

import torch
from timm.models import list_models, model_entrypoint

STAGE = re.compile(
    r"(?:\w+\.)*?((?:stages|layers|networks|network|levels|blocks|stage)[._]?"
    r"(?:\d+(?=\.(?:blocks|layers|transformer|\d+|\w+blocks)))?)"
)


def heads_of(model):
    """Heads of the first attention of each stage, in the order of the modules."""
    groups = []
    for path, module in model.named_modules():
        heads = getattr(module, "num_heads", None)
        if not isinstance(heads, int) or module is model:
            continue
        match = STAGE.match(path)
        stage = match.group(1) if match else path.split(".")[0]
        leaf = path.rsplit(".", 1)[-1]
        # TNT attends within patches, then between them.
        stage += leaf if leaf in ("attn_in", "attn_out") else ""
        if stage not in {known for known, _ in groups}:
            groups.append((stage, heads))
    return [heads for _, heads in groups]


def main():
    described = set(json.load(open(sys.argv[1])))
    rows = []
    for name in list_models():
        if name in described:
            continue
        with torch.device("meta"):
            model = model_entrypoint(name)()
        heads = heads_of(model)
        if heads:
            facts = [heads, *model.default_cfg["input_size"][1:]]
            rows.append(f"{json.dumps(name)}:{json.dumps(facts, separators=(',', ':'))}")
    print("/** Written by architectures.py; headers.ts describes and parses it. */")
    print("export const architectures = `{\n" + ",\n".join(sorted(rows)) + "\n}`;")


if __name__ == "__main__":
    main()
