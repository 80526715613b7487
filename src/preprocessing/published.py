"""Makes published.json, the preprocessing of published checkpoints by name:

    python3 published.py ORACLES [TIMM] [TORCHVISION] > published.json

ORACLES is a folder of header-only cases (*.jsonl.gz) whose `config_json.pretrained_cfg` is what timm ships beside the
weights. TIMM and TORCHVISION are the packages' folders (unpacked wheels); with them every published tag, the original
repositories' file names and torchvision's weights are covered. Nothing of them is imported but their configuration
tables; the values are facts about the checkpoints, not code.
"""
import ast, functools, glob, gzip, json, os, sys

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
    """A pretrained_cfg as the row [height, width, filter, crop_pct, crop_mode, mean, std]."""
    full = {**DEFAULTS, **{k: cfg[k] for k in KEYS if cfg.get(k) is not None}}
    channels, height, width = full["input_size"]
    if channels != 3:
        return None
    return (height, width, full["interpolation"], full["crop_pct"], full["crop_mode"], tuple(full["mean"]), tuple(full["std"]))


def from_oracles(folder):
    """Architecture (of its default tag) and `architecture.tag` -> profile."""
    names = {}
    for path in sorted(glob.glob(os.path.join(folder, "*.jsonl.gz"))):
        for line in gzip.open(path, "rt"):
            case = json.loads(line)
            config = case.get("config_json") or {}
            cfg = config.get("pretrained_cfg")
            if not cfg or "@" in case["id"]:
                continue
            row = profile(cfg)
            if cfg.get("tag"):
                names[f"{config['architecture']}.{cfg['tag']}"] = row
            if "." not in case["id"].split("/")[1]:
                names[config["architecture"]] = row
    return names


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


def from_timm(folder):
    """`architecture.tag`, the architecture by its first published tag, and the original files' names -> profile."""
    names, files = {}, {}
    for table in configuration_tables(folder):
        for key, cfg in table.items():
            if not isinstance(cfg, dict) or not cfg.get("input_size"):
                continue
            row = profile(cfg)
            if row is None:
                continue
            name = key.rstrip("*")
            architecture = name.split(".")[0]
            published = bool(cfg.get("url") or cfg.get("hf_hub_id") or cfg.get("file"))
            if published:
                names[name] = row
                names.setdefault(architecture, row)
            if cfg.get("url"):
                stem = os.path.splitext(os.path.basename(cfg["url"].split("?")[0]))[0]
                files.setdefault(stem, set()).add(row)
    # A name that several checkpoints share (model.pth) identifies none.
    return names, {stem: rows.pop() for stem, rows in files.items() if len(rows) == 1}


def from_torchvision(folder):
    """Weights' name -> [file's name, resize, crop, filter]."""
    out = {}
    for path in sorted(glob.glob(os.path.join(folder, "models", "*.py"))):
        for node in ast.parse(open(path).read()).body:
            if isinstance(node, ast.ClassDef) and node.name.endswith("_Weights"):
                out.update(weights_of(node))
    return out


def weights_of(node):
    for item in node.body:
        if not isinstance(item, ast.Assign) or not isinstance(item.value, ast.Call):
            continue
        given = {k.arg: k.value for k in item.value.keywords}
        if "ImageClassification" not in ast.unparse(given["transforms"]):
            continue
        options = {k.arg: ast.unparse(k.value) for k in given["transforms"].keywords}
        if "mean" in options:                                                      # two CNNs; torchvision's default mean is assumed below
            continue
        stem = os.path.splitext(os.path.basename(ast.literal_eval(given["url"])))[0]
        resampling = options.get("interpolation", "BILINEAR").split(".")[-1].lower()
        yield f"{node.name}.{item.targets[0].id}", [stem, int(options.get("resize_size", 256)), int(options["crop_size"]), resampling]


def main(oracles, timm=None, torchvision=None):
    names, files = from_timm(timm) if timm else ({}, {})
    shipped = from_oracles(oracles)
    for name, row in shipped.items():
        if name in names and names[name] != row:
            print(f"{name}: {names[name]} in the package, {row} shipped", file=sys.stderr)
    names.update({name: row for name, row in shipped.items() if row})
    profiles = sorted(set(names.values()) | set(files.values()), key=str)
    index = {row: i for i, row in enumerate(profiles)}

    def rows(table):
        """An architecture's tags with the same profile need no entry of their own."""
        kept = {n: r for n, r in table.items() if "." not in n or table.get(n.split(".")[0]) != r}
        return {n: index[r] for n, r in sorted(kept.items())}

    tables = {"profiles": profiles, "names": rows(names), "files": rows(files), "torchvision": from_torchvision(torchvision) if torchvision else {}}
    lines = ",\n".join(f'  "{key}": ' + json.dumps(value, separators=(",", ":")) for key, value in tables.items())
    print("{\n" + lines + "\n}")


if __name__ == "__main__":
    main(*sys.argv[1:])
