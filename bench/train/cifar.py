#!/usr/bin/env python3
"""ResNet-20 on CIFAR-10 by the paper's recipe, gabor and PyTorch in turn on one machine.

    python bench/train/cifar.py --data DIR --gabor target/release/gabor
    python bench/train/cifar.py --data DIR --epochs 12 --seeds 0 1

The recipe (He et al. 2016, section 4.2): batch 128, momentum 0.9, weight decay 1e-4 on everything, learning rate 0.1 divided by
ten after half and after three quarters of the training, four pixels of padding and a random crop, mirror, He's initialisation.
The paper trains 64,000 steps (182 epochs of 45,000 images); with --epochs the milestones keep their places. Both see the same files,
normalised by mean and deviation per channel. PyTorch gets its pictures from tensors in memory, varied for a whole batch at once, and
channels-last convolutions: no Python loader holds it back. Prints seconds an epoch and the accuracy on the test images.
"""

import argparse
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def milestones(epochs):
    return sorted({max(1, epochs // 2), max(1, epochs * 3 // 4)})


def read(path):
    opened = gzip.open(path) if path.endswith(".gz") else open(path, "rb")
    with opened as f:
        records = np.frombuffer(f.read(), np.uint8).reshape(-1, 3073)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]


def part(folder, pattern):
    names = sorted(n for n in os.listdir(folder) if re.fullmatch(pattern, n))
    images, labels = zip(*(read(os.path.join(folder, n)) for n in names))
    return torch.from_numpy(np.concatenate(images)), torch.from_numpy(np.concatenate(labels).astype(np.int64))


class Block(nn.Module):
    def __init__(self, inputs, planes, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.more = planes - inputs
        self.stride = stride

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.more:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.more // 2, self.more - self.more // 2))
        return F.relu(y + x)


def resnet20():
    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    inputs = 16
    for i, planes in enumerate([16, 32, 64]):
        for j in range(3):
            layers.append(Block(inputs, planes, 2 if i and not j else 1))
            inputs = planes
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
    net = nn.Sequential(*layers)
    for m in net.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(m.weight)
    return net


def varied(images, generator):
    """Crops of the pictures with four pixels of padding, half of them mirrored."""
    n = len(images)
    padded = F.pad(images, (4, 4, 4, 4))
    y, x = (torch.randint(0, 9, (n, 1), generator=generator) for _ in range(2))
    rows, columns = y + torch.arange(32), x + torch.arange(32)
    flip = torch.rand(n, 1, generator=generator) < 0.5
    columns = torch.where(flip, columns.flip(1), columns)
    return padded[torch.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def pytorch(data, epochs, seed, threads):
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    generator = torch.Generator().manual_seed(seed)
    images, labels = part(data, r"data_batch.*\.bin(\.gz)?")
    test, truth = part(data, r"test_batch.*\.bin(\.gz)?")
    unit = images.double() / 255
    mean, std = unit.mean((0, 2, 3)).float(), unit.std((0, 2, 3)).float()
    del unit
    prepare = lambda v: ((v.float() / 255 - mean[:, None, None]) / std[:, None, None])
    test = prepare(test).to(memory_format=torch.channels_last)
    net = resnet20().to(memory_format=torch.channels_last)
    optimiser = torch.optim.SGD(net.parameters(), 0.1, 0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, milestones(epochs))
    seconds, accuracy = [], []
    for epoch in range(epochs):
        began = time.perf_counter()
        net.train()
        for batch in torch.randperm(len(images), generator=generator).split(128):
            # The border is black, as gabor's: padding before the normalisation.
            x = prepare(varied(images[batch], generator)).contiguous(memory_format=torch.channels_last)
            loss = F.cross_entropy(net(x), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()
        seconds.append(time.perf_counter() - began)
        net.eval()
        with torch.no_grad():
            right = sum((net(x).argmax(1) == y).sum().item() for x, y in zip(test.split(250), truth.split(250)))
        accuracy.append(right / len(test))
        print(f"  pytorch epoch {epoch + 1}: {seconds[-1]:.1f} s, {100 * accuracy[-1]:.1f} %", file=sys.stderr)
    return seconds, accuracy[-1]


def gabor(program, data, epochs, seed, threads):
    with tempfile.TemporaryDirectory() as folder:
        words = [
            f"seed={seed}", f"epochs={epochs}", "batch=128", "optimiser=momentum", "momentum=0.9", "lr=0.1", "weight_decay=0.0001",
            "decay_all=true", "schedule=milestones:" + ",".join(map(str, milestones(epochs))), "augment=shift:4,mirror", "val=0",
        ]  # fmt: skip
        command = [program, "train", "--data", data, "--net", "resnet20", "--out", f"{folder}/run", "--threads", str(threads), "--json"]
        out = subprocess.run(command + words, check=True, stdout=subprocess.PIPE, text=True).stdout
    events = [json.loads(line) for line in out.splitlines()]
    seconds = [e["seconds"] for e in events if e["event"] == "epoch"]
    accuracy = next(e["top1"] for e in events if e["event"] == "evaluated")
    print(f"  gabor: {np.median(seconds):.1f} s an epoch, {100 * accuracy:.1f} %", file=sys.stderr)
    return seconds, accuracy


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a directory of CIFAR-10's binary files")
    parser.add_argument("--gabor", default="target/release/gabor")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    a = parser.parse_args()
    print(f"{'':10}{'s/epoch':>9}{'test accuracy':>16}")
    medians = {}
    for name, run in [("gabor", lambda s: gabor(a.gabor, a.data, a.epochs, s, a.threads)), ("pytorch", lambda s: pytorch(a.data, a.epochs, s, a.threads))]:
        results = [run(seed) for seed in a.seeds]
        medians[name] = float(np.median([t for r in results for t in r[0]]))
        print(f"{name:10}{medians[name]:9.1f}{', '.join(f'{100 * r[1]:.1f} %' for r in results):>16}", flush=True)
    print(f"gabor is {medians['pytorch'] / medians['gabor']:.2f} times as fast")


if __name__ == "__main__":
    main()
