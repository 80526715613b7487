"""Writes what timm's and torchvision's packages say of their published checkpoints, one a line, the first step of make.ts:

    python3 src/architectures/published/libraries.py TIMM TORCHVISION \
        | gzip -9n > test/fixtures/published/libraries.jsonl.gz

TIMM and TORCHVISION are the packages' folders (of timm 1.0.31 and torchvision 0.28.0, unpacked wheels). Nothing of them is
imported but their configuration tables; the values are facts about the checkpoints, not code.

    ["timm", "ARCHITECTURE.TAG", FILE or null, [height, width, filter, crop_pct, crop_mode, mean, std]]
    ["torchvision", "CLASS_Weights.MEMBER", FILE, [resize, crop, filter]]

FILE is the download's name without its extension.
"""
import ast, functools, glob, json, os, sys

KEYS = ("input_size", "interpolation", "crop_pct", "crop_mode", "mean", "std")
CONSTANTS = {
    "IMAGENET_DEFAULT_MEAN": (0.485, 0.456, 0.406), "IMAGENET_DEFAULT_STD": (0.229, 0.224, 0.225),
    "IMAGENET_INCEPTION_MEAN": (0.5, 0.5, 0.5), "IMAGENET_INCEPTION_STD": (0.5, 0.5, 0.5),
    "OPENAI_CLIP_MEAN": (0.48145466, 0.4578275, 0.40821073), "OPENAI_CLIP_STD": (0.26862954, 0.26130258, 0.27577711),
    "IMAGENET_DPN_MEAN": (124 / 255, 117 / 255, 104 / 255), "IMAGENET_DPN_STD": (1 / (.0167 * 255),) * 3,
}
DEFAULTS = {"interpolation": "bicubic", "crop_pct": 0.875, "crop_mode": "center",
            "mean": CONSTANTS["IMAGENET_DEFAULT_MEAN"], "std": CONSTANTS["IMAGENET_DEFAULT_STD"]}


def profile(cfg):
    """A pretrained_cfg as the row [height, width, filter, crop_pct, crop_mode, mean, std]; None unless it takes RGB."""
    full = {**DEFAULTS, **{k: cfg[k] for k in KEYS if cfg.get(k) is not None}}
    channels, height, width = full["input_size"]
    if channels != 3:
        return None
    return [height, width, full["interpolation"], full["crop_pct"], full["crop_mode"], full["mean"], full["std"]]


def configuration_tables(folder):
    """`default_cfgs` of every timm model file: the file's own _cfg helpers are run, nothing else of it."""
    for path in sorted(glob.glob(os.path.join(folder, "models", "*.py"))):
        tree = ast.parse(open(path).read())
        scope = {**CONSTANTS, "partial": functools.partial, "generate_default_cfgs": dict, "Any": None, "Dict": dict}
        for node in tree.body:
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0] if isinstance(node, ast.Assign) else None
            if isinstance(node, ast.FunctionDef) and "cfg" in node.name and not node.decorator_list:
                node.returns = None
                for argument in node.args.args + node.args.kwonlyargs + [node.args.kwarg]:
                    if argument:
                        argument.annotation = None                                 # names that are not imported here
            elif not isinstance(target, ast.Name) or target.id != "default_cfgs":
                continue
            try:
                exec(compile(ast.Module([node], []), path, "exec"), scope)
            except NameError as problem:                                           # built from other tables: left out
                print(f"{path}:{node.lineno}: {problem}", file=sys.stderr)
        if isinstance(scope.get("default_cfgs"), dict):
            yield scope["default_cfgs"]


def stem(url):
    return os.path.splitext(os.path.basename(url.split("?")[0]))[0]


def from_timm(folder):
    """Lines of the published tags of timm, in the order of its tables: an architecture's first tag is its usual one."""
    for table in configuration_tables(folder):
        for key, cfg in table.items():
            if not isinstance(cfg, dict) or not cfg.get("input_size"):
                continue
            row = profile(cfg)
            if row and (cfg.get("url") or cfg.get("hf_hub_id") or cfg.get("file")):
                yield ["timm", key.rstrip("*"), stem(cfg["url"]) if cfg.get("url") else None, row]


def from_torchvision(folder):
    """Lines of the weights of torchvision that classify images."""
    for path in sorted(glob.glob(os.path.join(folder, "models", "*.py"))):
        for node in ast.parse(open(path).read()).body:
            if isinstance(node, ast.ClassDef) and node.name.endswith("_Weights"):
                yield from weights_of(node)


def weights_of(node):
    for item in node.body:
        if not isinstance(item, ast.Assign) or not isinstance(item.value, ast.Call):
            continue
        given = {k.arg: k.value for k in item.value.keywords}
        if "ImageClassification" not in ast.unparse(given["transforms"]):
            continue
        options = {k.arg: ast.unparse(k.value) for k in given["transforms"].keywords}
        if "mean" in options:                                                      # two CNNs; torchvision's usual mean is assumed
            continue
        resampling = options.get("interpolation", "BILINEAR").split(".")[-1].lower()
        preset = [int(options.get("resize_size", 256)), int(options["crop_size"]), resampling]
        yield ["torchvision", f"{node.name}.{item.targets[0].id}", stem(ast.literal_eval(given["url"])), preset]


if __name__ == "__main__":
    timm, torchvision = sys.argv[1:]
    for line in [*from_timm(timm), *from_torchvision(torchvision)]:
        print(json.dumps(line, separators=(",", ":")))
