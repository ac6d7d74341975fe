#!/usr/bin/env python3
"""Steps of activation maximisation a second, ours and PyTorch's, on the same networks in one run.

    python bench/explain/dream.py target/release/gabor [--net resnet18,vgg16] [--steps 40] [--rounds 3] [--threads 2]

Both climb the score of one class of the same network (random weights, saved by torchvision in safetensors and read by
`gabor dream --net`) with Adam on Fourier coefficients with decorrelated colours, seen through one bilinear view a step
(moved, turned, scaled) of a canvas with room around the picture. Ours is timed by itself (`steps_per_second` of --json,
without compilation); PyTorch's first steps are left out likewise. Rounds of both alternate; the medians are compared.
Needs torch, torchvision, safetensors.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import tempfile
import time

import torch
import torch.nn.functional as F
import torchvision
from safetensors.torch import save_file

CLASS = 7
# Lucid's numbers, as ours.
COLOURS = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
SIDE, CANVAS = 224, 252


class Climb:
    """The same climb as `gabor dream --class` by PyTorch's own means."""

    def __init__(self, net):
        self.net = net
        self.waves = (0.01 * torch.randn(1, 3, CANVAS, CANVAS // 2 + 1, 2)).requires_grad_()
        fy = torch.fft.fftfreq(CANVAS)[:, None]
        fx = torch.fft.rfftfreq(CANVAS)[None]
        self.scale = CANVAS / 4 / torch.clamp(torch.sqrt(fx * fx + fy * fy), min=1 / CANVAS)
        self.colours = COLOURS / COLOURS.norm(dim=0).max()
        self.optimizer = torch.optim.Adam([self.waves], lr=0.05)

    def step(self):
        self.optimizer.zero_grad(set_to_none=True)
        planes = torch.fft.irfft2(torch.view_as_complex(self.waves) * self.scale, s=(CANVAS, CANVAS))
        pixels = torch.sigmoid(torch.einsum("ij,njhw->nihw", self.colours, planes))
        turn, zoom = (torch.rand(2) * 2 - 1).tolist()
        dy, dx = ((torch.rand(2) * 2 - 1) * 2 * (SIDE / 16) / (CANVAS - 1)).tolist()
        s = (SIDE - 1) / (CANVAS - 1) / (1 + 0.1 * zoom)
        c, n = s * math.cos(math.radians(10 * turn)), s * math.sin(math.radians(10 * turn))
        theta = torch.tensor([[[c, n, dx], [-n, c, dy]]])
        grid = F.affine_grid(theta, (1, 3, SIDE, SIDE), align_corners=True)
        seen = F.grid_sample(pixels, grid, "bilinear", "reflection", align_corners=True)
        said = self.net((seen - MEAN[:, None, None]) / STD[:, None, None])[0, CLASS]
        (-said).backward()
        self.optimizer.step()
        return said


def theirs(net, steps):
    climb = Climb(net)
    for _ in range(3):
        climb.step()
    begun = time.perf_counter()
    for _ in range(steps):
        climb.step()
    return steps / (time.perf_counter() - begun)


def ours(gabor, name, weights, steps, threads, folder):
    words = [gabor, "dream", "--net", name, "--weights", weights, "--preprocessing", "imagenet", "--class", str(CLASS)]
    words += ["--steps", str(steps + 1), "--threads", str(threads), "--json", "-o", os.path.join(folder, "dream.png")]
    out = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    found = json.loads(out)
    assert found["dreams"][0]["dead"] is None and len(found["dreams"][0]["objective"]) == steps + 1
    return found["steps_per_second"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gabor")
    parser.add_argument("--net", default="resnet18,vgg16")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    gabor = os.path.abspath(a.gabor)
    print(f"{'network':12}{'ours':>10}{'PyTorch':>10}{'ratio':>8}   steps/s, {a.threads} threads, median of {a.rounds}")
    with tempfile.TemporaryDirectory() as folder:
        for name in a.net.split(","):
            torch.manual_seed(0)
            net = torchvision.models.get_model(name, weights=None).eval().requires_grad_(False)
            weights = os.path.join(folder, f"{name}.safetensors")
            save_file({k: v.contiguous() for k, v in net.state_dict().items()}, weights)
            rounds = [(ours(gabor, name, weights, a.steps, a.threads, folder), theirs(net, a.steps)) for _ in range(a.rounds)]
            us, them = (statistics.median(r[i] for r in rounds) for i in (0, 1))
            print(f"{name:12}{us:10.2f}{them:10.2f}{us / them:8.2f}", flush=True)


if __name__ == "__main__":
    main()
