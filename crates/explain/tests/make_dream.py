#!/usr/bin/env python3
"""Dreams by PyTorch for a small network, as goldens for `src/dream/tests.rs`.

    python crates/explain/tests/make_dream.py

Writes golden/dream.safetensors: weights; waves of two pictures and the views of two steps; what the network is given, the
objective and its gradient by the waves; the waves after the steps of Adam; style and content losses with their gradient.
Everything is computed in 64 bits and written in 32. Needs torch, numpy, safetensors.
"""

import math
import os

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))
H, W, ROOM = 12, 16, 2
CH, CW = H + 2 * ROOM, W + 2 * ROOM
UNITS = [1, 4]
L2, TV = 0.7, 0.3
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.fc = nn.Linear(8, 5)

    def maps(self, x):
        one = F.relu(self.bn1(self.conv1(x)))
        two = F.gelu(self.conv2(F.max_pool2d(one, 2)))
        return one, two

    def forward(self, x):
        return self.fc(self.maps(x)[1].mean((2, 3)))


def picture(waves):
    """Waves [n, c, w/2 + 1, h, 2] to pictures in 0..1: Lucid's parametrisation."""
    spectrum = torch.view_as_complex(waves).transpose(2, 3)
    fy = torch.fft.fftfreq(CH, dtype=torch.float64)[:, None]
    fx = torch.fft.rfftfreq(CW, dtype=torch.float64)[None]
    scale = 1 / torch.clamp(torch.sqrt(fx * fx + fy * fy), min=1 / max(CH, CW))
    planes = torch.fft.irfft2(spectrum * scale * math.sqrt(CH * CW), s=(CH, CW)) / 4
    m = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], dtype=torch.float64)
    m = m / m.norm(dim=0).max()
    return torch.sigmoid(torch.einsum("ij,njhw->nihw", m, planes))


def look(pixels, views):
    """Bilinear views, mirrored beyond the edges: place p of the view shows centre + matrix (p - centre) + moved."""
    y, x = torch.meshgrid(torch.arange(H, dtype=torch.float64), torch.arange(W, dtype=torch.float64), indexing="ij")
    d = torch.stack([y - (H - 1) / 2, x - (W - 1) / 2], -1)
    grids = []
    for v in views:
        matrix, moved = v[:4].reshape(2, 2), v[4:]
        at = torch.einsum("ij,hwj->hwi", matrix, d) + torch.tensor([(CH - 1) / 2, (CW - 1) / 2]) + moved
        grids.append(torch.stack([2 * at[..., 1] / (CW - 1) - 1, 2 * at[..., 0] / (CH - 1) - 1], -1))
    return F.grid_sample(pixels, torch.stack(grids), "bilinear", "reflection", align_corners=True)


def prepared(pixels):
    mean, std = (torch.tensor(v, dtype=torch.float64)[:, None, None] for v in (MEAN, STD))
    return (pixels - mean) / std


def objective(net, waves, views):
    pixels = picture(waves)
    seen = prepared(look(pixels, views))
    said = net(seen)[torch.arange(2), UNITS]
    right = F.pad(pixels[..., 1:] - pixels[..., :-1], (0, 1))
    down = F.pad(pixels[..., 1:, :] - pixels[..., :-1, :], (0, 0, 0, 1))
    tv = torch.sqrt(right**2 + down**2 + 1e-6).mean((1, 2, 3))
    l2 = ((pixels - 0.5) ** 2).mean((1, 2, 3))
    return said, said - L2 * l2 - TV * tv, seen


def gram(f):
    f = f.flatten(2)
    return f @ f.transpose(1, 2) / f.shape[2]


def main():
    torch.manual_seed(0)
    net = Small().double().eval()
    with torch.no_grad():
        net.bn1.running_mean.normal_()
        net.bn1.running_var.uniform_(0.5, 2)
        net.bn1.weight.uniform_(0.5, 2)
        net.bn1.bias.normal_()
        for m in (net.conv1, net.conv2, net.fc):
            m.weight.mul_(2)
    # Weights as the file holds them.
    net = net.float().double()
    out = {f"net.{k}": v for k, v in net.state_dict().items() if v.dtype == torch.float64}
    waves = torch.randn(2, 3, CW // 2 + 1, CH, 2, dtype=torch.float64).float().double().requires_grad_()
    views = []
    for turn, zoom, dy, dx in [(0.0, 1.0, 0.0, 0.0), (7.0, 1.08, 1.6, -0.7), (-9.0, 0.86, -2.0, 1.9), (3.0, 0.95, 0.3, 0.2)]:
        s, c = math.sin(math.radians(turn)) / zoom, math.cos(math.radians(turn)) / zoom
        views.append([c, -s, s, c, dy, dx])
    views = torch.tensor(views, dtype=torch.float64).reshape(2, 2, 6)
    out["waves"], out["views"] = waves.detach().clone(), views
    said, whole, seen = objective(net, waves, views[0])
    out["seen"], out["said"] = seen, said
    (out["gradient"],) = torch.autograd.grad(whole.sum(), waves)
    optimizer = torch.optim.Adam([waves], lr=0.05)
    for step in range(2):
        optimizer.zero_grad()
        (-objective(net, waves, views[step])[1].sum()).backward()
        optimizer.step()
    out["after"] = waves
    # Style and content, on pictures of another size than the network's own; the style's is another still.
    content, style = torch.rand(1, 3, 18, 22, dtype=torch.float64), torch.rand(1, 3, 14, 24, dtype=torch.float64)
    content, style = (v.float().double() for v in (content, style))
    now = (0.5 * content + 0.25).requires_grad_()
    targets = [gram(f) for f in net.maps(prepared(style))]
    kept = net.maps(prepared(content))[1]
    maps = net.maps(prepared(now))
    style_loss = sum(((gram(f) - t) ** 2).sum() / (t**2).sum() for f, t in zip(maps, targets)) / 2
    content_loss = ((maps[1] - kept) ** 2).sum() / (kept**2).sum()
    (out["style.gradient"],) = torch.autograd.grad(20 * style_loss + 3 * content_loss, now)
    out["style.content"], out["style.style"], out["style.now"] = content, style, now
    out["style.losses"] = torch.stack([content_loss, style_loss])
    path = os.path.join(HERE, "golden", "dream.safetensors")
    save_file({k: v.detach().float().contiguous() for k, v in out.items()}, path)
    print({k: tuple(v.shape) for k, v in out.items() if not k.startswith("net.")})


if __name__ == "__main__":
    main()
