"""Writes what the model classes of timm have for arguments that nobody gives: key -> values, one for each that differs.

    python arguments.py > timmArguments.ts

Values that are no JSON (layers, functions) are written as null, as timm's classes have them for "the usual layer".
Made with timm 1.0.31.
"""

import dataclasses
import importlib
import inspect
import json

import torch

MODULES = """
beit cait coat convit convnext crossvit davit deit densenet edgenext efficientformer efficientformer_v2 efficientnet
efficientvit_mit efficientvit_msra eva fastvit focalnet gcvit hiera hieradet_sam2 inception_next levit maxxvit metaformer
mobilenetv3 mobilevit mvitv2 naflexvit nest pit pvt_v2 regnet resnet resnetv2 starnet swin_transformer
swin_transformer_v2 swin_transformer_v2_cr tiny_vit tnt twins vgg visformer vision_transformer vision_transformer_hybrid
vision_transformer_relpos vision_transformer_sam vitamin volo xcit
""".split()


def plain(value):
    """The value as JSON has it; None for what it has not."""
    try:
        return json.loads(json.dumps(value))
    except TypeError:
        return None


def arguments(cls):
    """Names and defaults of what makes a model, or a configuration of one."""
    if dataclasses.is_dataclass(cls):
        for field in dataclasses.fields(cls):
            made = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
            yield field.name, None if made is dataclasses.MISSING else plain(made)
        return
    parameters = inspect.signature(cls.__init__).parameters
    if "num_classes" in parameters:
        for name, parameter in parameters.items():
            if name not in ("self", "args", "kwargs"):
                yield name, None if parameter.default is inspect.Parameter.empty else plain(parameter.default)


def main():
    found = {}
    for name in MODULES:
        module = importlib.import_module(f"timm.models.{name}")
        for cls in vars(module).values():
            own = inspect.isclass(cls) and cls.__module__ == module.__name__
            if own and (issubclass(cls, torch.nn.Module) or dataclasses.is_dataclass(cls)):
                for key, value in arguments(cls):
                    values = found.setdefault(key, [])
                    if value not in values:
                        values.append(value)
    lines = ",\n".join(f"{json.dumps(key)}:{json.dumps(found[key], separators=(',', ':'))}" for key in sorted(found))
    print("/** Written by arguments.py; ../timmArguments.ts describes and parses it. */")
    print(f"export const classArguments = `{{\n{lines}\n}}`;")


if __name__ == "__main__":
    main()
