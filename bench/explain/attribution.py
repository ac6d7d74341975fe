#!/usr/bin/env python3
"""Grad-CAM and occlusion, gabor and PyTorch in turn on one machine, on the same weights and picture.

    python bench/explain/attribution.py --gabor target/release/gabor
    python bench/explain/attribution.py --gabor target/release/gabor --networks resnet18 vgg16 --threads 2

Grad-CAM: gabor's seconds for the map of one picture over gabor's own forward pass alone (`gabor bench infer/NET/n1`), at the last
feature map, where the way back is short; and, at a layer in the middle, over PyTorch's forward and backward pass to that layer. Occlusion:
windows of 28 × 28 every 14 pixels, each covered picture counted once; PyTorch runs them in batches of 16, eager, channels last.
The first picture of each gabor process compiles and is left out. Weights are PyTorch's random ones.
"""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file

LAYERS = {"resnet18": ("layer2", "layer2.1.relu2"), "resnet50": ("layer2", "layer2.3.relu3"), "vgg16": ("features.16", "pool3")}
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


def windows(side=224, window=28, stride=14):
    starts = range(0, side - window + 1, stride)
    return [(y, x, window) for y in starts for x in starts]


def median(f, rounds, patience=60.0):
    f()
    samples, begun = [], time.perf_counter()
    while len(samples) < rounds and (not samples or time.perf_counter() - begun < patience):
        t = time.perf_counter()
        f()
        samples.append(time.perf_counter() - t)
    return float(np.median(samples))


def torch_occlusion(net, x, batch=16):
    places = windows()

    def run():
        with torch.inference_mode():
            for first in range(0, len(places), batch):
                part = places[first : first + batch]
                images = x.repeat(len(part), 1, 1, 1).contiguous(memory_format=torch.channels_last)
                for i, (r, c, s) in enumerate(part):
                    images[i, :, r : r + s, c : c + s] = 0
                net(images)

    return median(run, 3) / len(places)


def torch_to_layer(net, name, x):
    kept = {}
    handle = dict(net.named_modules())[name].register_forward_hook(lambda m, i, o: kept.__setitem__("y", o))

    def run():
        scores = net(x)
        torch.autograd.grad(scores[0, 0], kept["y"])

    seconds = median(run, 15)
    handle.remove()
    return seconds


def gabor(args, weights, name, picture, method, repeats, layer=None):
    with tempfile.TemporaryDirectory() as out:
        command = [args.gabor, "explain", *[str(picture)] * (repeats + 1), "--net", name, "--weights", str(weights), "--method", method, "--class", "0",
                   "--preprocessing", "imagenet", "--threads", str(args.threads), "--json", "-o", f"{out}/a.svg"]
        if method == "occlusion":
            command += ["--window", "28", "--stride", "14"]
        if layer:
            command += ["--layer", layer]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(np.median([i["methods"][0]["seconds"] for i in json.loads(done.stdout)["images"][1:]]))


def forward(args, name):
    command = [args.gabor, "bench", "--only", f"^infer/{name}/n1$", "--threads", str(args.threads), "--json"]
    row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[0])
    return row["ms_median"] / 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gabor", default="target/release/gabor")
    parser.add_argument("--networks", nargs="+", default=["resnet18", "vgg16"], choices=sorted(LAYERS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    rows = []
    if not args.json:
        print(f"{'network':10} {'what':52} {'gabor ms':>9} {'other ms':>9} {'ratio':>6}  bar")

    def row(name, what, mine, other, ratio, bar):
        rows.append((name, what, mine * 1e3, other * 1e3, ratio, bar))
        if not args.json:
            print(f"{name:10} {what:52} {mine * 1e3:9.2f} {other * 1e3:9.2f} {ratio:6.2f}  {bar}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.png"
        pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(picture)
        x = (torch.from_numpy(pixels).permute(2, 0, 1).float() / 255 - MEAN[:, None, None]) / STD[:, None, None]
        x = x[None].contiguous(memory_format=torch.channels_last)
        for name in args.networks:
            net = getattr(torchvision.models, name)(weights=None).eval().to(memory_format=torch.channels_last)
            weights = Path(folder) / f"{name}.safetensors"
            save_file({k: v.contiguous() for k, v in net.state_dict().items()}, weights)
            theirs, ours = LAYERS[name]
            alone, cam = forward(args, name), gabor(args, weights, name, picture, "gradcam", 15)
            row(name, "Grad-CAM at the last map over gabor's forward pass", cam, alone, cam / alone, "≤ 1.3")
            to_layer, cam = torch_to_layer(net, theirs, x), gabor(args, weights, name, picture, "gradcam", 15, ours)
            row(name, f"PyTorch to {theirs} over Grad-CAM there", cam, to_layer, to_layer / cam, "≥ 1 / 1.3")
            covered = torch_occlusion(net, x)
            mine = gabor(args, weights, name, picture, "occlusion", 2) / len(windows())
            row(name, "occlusion, PyTorch over gabor, per covered picture", mine, covered, covered / mine, "≥ 3")
    if args.json:
        print(json.dumps([dict(zip(("network", "what", "gabor_ms", "other_ms", "ratio", "bar"), r)) for r in rows]))


if __name__ == "__main__":
    main()
