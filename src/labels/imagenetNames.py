"""Makes media/labels/imagenet.txt.gz, the class names of ImageNet's published subsets:

    python3 imagenetNames.py TIMM ../../../media/labels/imagenet.txt.gz

TIMM is the package's folder (an unpacked timm 1.0 wheel); its data/_info holds the class lists and WordNet's names.
One line per class, ordered by WordNet id: one character, 48 + a bit for every subset that has the class, then the name.
Every subset is ordered by WordNet id, too, but one: 21842 classes are the 1000 of ImageNet-1k, then the rest.
"""
import gzip, pathlib, sys

SUBSETS = ["imagenet_synsets", "imagenet12k_synsets", "imagenet22k_synsets", "imagenet21k_goog_synsets",
           "imagenet21k_miil_synsets", "imagenet21k_miil_w21_synsets"]


def main(timm, out):
    folder = pathlib.Path(timm, "data", "_info")
    lines = lambda name: folder.joinpath(name + ".txt").read_text().splitlines()
    names = dict(line.split("\t", 1) for line in lines("imagenet_synset_to_lemma"))
    subsets = [lines(name) for name in SUBSETS]
    assert all(subset == sorted(subset) for subset in subsets)
    ms, first = lines("imagenet22k_ms_synsets"), subsets[0]
    assert ms == first + sorted((set(subsets[2]) | set(first)) - set(first))
    members = [set(subset) for subset in subsets]
    text = "".join(chr(48 + sum((key in m) << bit for bit, m in enumerate(members))) + names[key] + "\n" for key in sorted(names))
    pathlib.Path(out).write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
