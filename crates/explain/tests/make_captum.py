#!/usr/bin/env python3
"""Attributions by Captum for a small network, as goldens for the tests of this folder.

    python crates/explain/tests/make_captum.py

Writes golden/captum.safetensors: weights, picture, and each method's result. Needs torch, captum, safetensors.
"""

import os

import torch
from captum.attr import Deconvolution, GuidedBackprop, GuidedGradCam, IntegratedGradients, LayerAttribution
from captum.attr import LayerGradCam, NeuronDeconvolution, NeuronGradient, NeuronGuidedBackprop, Occlusion, Saliency
from safetensors.torch import save_file
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))
CLASS = 3


class Small(nn.Module):
    """Shortcut, pooling with padding, stride, batch normalisation: what maps and rectangles have to get right."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 6, 3, padding=1)
        self.conv3 = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.fc = nn.Linear(8, 5)
        self.relu1, self.relu2, self.relu3 = nn.ReLU(), nn.ReLU(), nn.ReLU()
        self.pool = nn.MaxPool2d(3, 2, 1)

    def forward(self, x):
        x = self.pool(self.relu1(self.bn1(self.conv1(x))))
        x = self.relu2(self.conv2(x) + x)
        x = self.relu3(self.conv3(x))
        return self.fc(x.mean((2, 3)))


def main():
    torch.manual_seed(0)
    net = Small().eval()
    with torch.no_grad():
        net.bn1.running_mean.normal_()
        net.bn1.running_var.uniform_(0.5, 2)
        net.bn1.weight.uniform_(0.5, 2)
        net.bn1.bias.normal_()
        for m in (net.conv2, net.conv3, net.fc):
            m.weight.mul_(2)
    x = torch.randn(1, 3, 20, 28)
    out = {f"net.{k}": v for k, v in net.state_dict().items() if v.dtype == torch.float32}
    out["picture"] = x
    out["scores"] = net(x)
    out["saliency"] = Saliency(net).attribute(x.clone().requires_grad_(), target=CLASS, abs=False)
    out["guided"] = GuidedBackprop(net).attribute(x.clone().requires_grad_(), target=CLASS)
    out["deconv"] = Deconvolution(net).attribute(x.clone().requires_grad_(), target=CLASS)
    integrated = IntegratedGradients(net).attribute(x, target=CLASS, n_steps=50, method="gausslegendre")
    out["integrated"] = integrated
    cam = LayerGradCam(net, net.relu3).attribute(x, target=CLASS, relu_attributions=True)
    out["gradcam"] = LayerAttribution.interpolate(cam, x.shape[2:], "bilinear")
    out["guided-gradcam"] = GuidedGradCam(net, net.relu3).attribute(x, target=CLASS)
    cover = Occlusion(net).attribute(x, (3, 6, 5), target=CLASS, strides=(3, 3, 4), baselines=0)
    out["occlusion"] = cover[:, :1]
    # The strongest unit of the second layer's maps, where it is strongest.
    maps = {}
    hook = net.relu2.register_forward_hook(lambda _m, _i, y: maps.update(y=y.detach()))
    net(x)
    hook.remove()
    unit, at = divmod(int(maps["y"].flatten().argmax()), maps["y"].shape[2] * maps["y"].shape[3])
    start = (unit, *divmod(at, maps["y"].shape[3]))
    out["neuron"] = torch.tensor(start, dtype=torch.float32)
    for name, method in [("gradient", NeuronGradient), ("guided", NeuronGuidedBackprop), ("deconv", NeuronDeconvolution)]:
        out[f"neuron-{name}"] = method(net, net.relu2).attribute(x.clone().requires_grad_(), start)
    path = os.path.join(HERE, "golden", "captum.safetensors")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    save_file({k: v.detach().contiguous() for k, v in out.items()}, path)
    print({k: tuple(v.shape) for k, v in out.items() if not k.startswith("net.")})


if __name__ == "__main__":
    main()
