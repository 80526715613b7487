"""Writes what the configuration classes of transformers hold: defaults by model type and key.

    python configs.py > configClasses.ts

Keys of the base class, which say nothing of a forward pass, are left out, and so are the parts of
composite models. Made with transformers 5.23.0; types that it has dropped stand in `dropped`.
"""

import json

import transformers
from transformers import CONFIG_MAPPING

TYPES = """
aimv2_vision_model align_vision_model altclip_vision_model beit bit blip_vision_model blip_2_vision_model
chinese_clip_vision_model clip_vision_model clipseg_vision_model convnext convnextv2 cvt data2vec-vision deit dinov2
dinov2_with_registers dinov3_convnext dinov3_vit donut-swin dpt efficientnet florence_vision focalnet git_vision_model glpn hiera
ijepa levit maskformer-swin metaclip_2_vision_model mobilenet_v1 mobilenet_v2 mobilevit mobilevitv2
owlv2_vision_model owlvit_vision_model poolformer pvt pvt_v2 regnet resnet rt_detr_resnet
sam2_hiera_det_model sam_vision_model sam_hq_vision_model segformer siglip2_vision_model siglip_vision_model swin swin2sr swinv2
timesformer videomae vilt vit vit_mae vit_msn vitdet vitpose_backbone vivit yolos
""".split()

# transformers 4.49's ViTHybridConfig, which version 5 has dropped.
DROPPED = {
    "vit-hybrid": {
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.02,
        "layer_norm_eps": 1e-12,
        "image_size": 224,
        "patch_size": 1,
        "num_channels": 3,
        "backbone_featmap_shape": [1, 1024, 24, 24],
        "qkv_bias": True,
    }
}


def main():
    base = set(transformers.PretrainedConfig().to_dict())
    classes = dict(DROPPED)
    for name in TYPES:
        values = CONFIG_MAPPING[name]().to_dict()
        classes[name] = {
            key: value for key, value in values.items() if key not in base and not isinstance(value, dict)
        }
    lines = ",\n".join(
        f"{json.dumps(name)}:{json.dumps(classes[name], separators=(',', ':'))}" for name in sorted(classes)
    )
    print("/** Written by configs.py; ../configKeys.ts describes and parses it. */")
    print(f"export const configClasses = `{{\n{lines}\n}}`;")


if __name__ == "__main__":
    main()
