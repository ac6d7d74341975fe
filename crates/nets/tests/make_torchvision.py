"""Names, shapes and logits of torchvision's and timm's networks, as goldens for gabor's.

    python make_torchvision.py > torchvision.txt
    python make_torchvision.py resnet50             all names and shapes of one network

Line `state NAME TENSORS PART:TENSORS:KEY...`: the number of tensors of the state, and for each part of the network
(tensors whose names begin with the same one or two words) their number and the FNV-1a hash of the sorted lines
"name shape".
Line `logits NAME SIDE VALUES...`: the logits for 5 classes of one picture of that side, all numbers by the formulas below.
"""

import sys

import timm
import torch
import torchvision

NETWORKS = """alexnet vgg11 vgg13 vgg16 vgg19 vgg11_bn vgg13_bn vgg16_bn vgg19_bn googlenet inception_v3 resnet18 resnet34
resnet50 resnet101 resnet152 wide_resnet50_2 wide_resnet101_2 resnext50_32x4d resnext101_32x8d resnext101_64x4d
resnetv2_18 resnetv2_34 resnetv2_50 resnetv2_101 resnetv2_152 densenet121 densenet161 densenet169 densenet201
squeezenet1_0 squeezenet1_1 mobilenetv1_100 mobilenet_v2 mobilenet_v3_large mobilenet_v3_small shufflenet_v2_x0_5
shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0 efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3
efficientnet_b4 convnext_tiny convnext_small""".split()
SIDES = {"alexnet": 63, "googlenet": 40, "inception_v3": 75, "resnet18": 40, "resnet50": 33, "resnext50_32x4d": 33,
         "resnetv2_18": 33, "resnetv2_50": 33, "densenet121": 33, "squeezenet1_1": 65, "mobilenetv1_100": 64,
         "mobilenet_v2": 64, "mobilenet_v3_large": 48, "mobilenet_v3_small": 64, "shufflenet_v2_x1_0": 64,
         "efficientnet_b0": 64, "efficientnet_b2": 33, "convnext_tiny": 33}  # fmt: skip


def build(name, **options):
    """The network, in evaluation mode, without auxiliary heads."""
    if hasattr(torchvision.models, name):
        if name in ("googlenet", "inception_v3"):
            options.update(aux_logits=False, init_weights=False)
        return getattr(torchvision.models, name)(weights=None, **options).eval()
    return timm.create_model(name, **options).eval()


def state(model):
    return {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}


def lines(name):
    return sorted(f"{k} {list(v.shape)}\n" for k, v in state(build(name)).items())


def part(line):
    """The first two words of a tensor's name without its last."""
    return ".".join(line.split(" ")[0].split(".")[:-1][:2]) or line.split(" ")[0]


def key(text):
    h = 0x811C9DC5
    for b in text.encode():
        h = (h ^ b) * 0x01000193 & 0xFFFFFFFF
    return h


def waves(shape, phase):
    n = 1
    for s in shape:
        n *= s
    return torch.sin(torch.arange(n, dtype=torch.float64) * 0.7 + phase).reshape(shape)


def fill(name, tensor):
    w = waves(tensor.shape, len(name))
    if name.endswith("running_var"):
        return 1 + 0.5 * w
    if tensor.dim() == 1:
        return (1 if name.endswith("weight") else 0) + 0.1 * w
    fan_in = tensor[0].numel()
    return w * (4 / fan_in) ** 0.5


def goldens():
    for name in NETWORKS:
        all_lines = lines(name)
        parts = {}
        for line in all_lines:
            parts.setdefault(part(line), []).append(line)
        print("state", name, len(all_lines), *(f"{p}:{len(v)}:{key(''.join(v)):x}" for p, v in parts.items()))
    for name, side in SIDES.items():
        model = build(name, num_classes=5)
        model.load_state_dict({k: fill(k, v).float() for k, v in state(model).items()}, strict=False)
        with torch.no_grad():
            y = model(waves((1, 3, side, side), 0).float())[0]
        print("logits", name, side, *(f"{v:.6g}" for v in y.tolist()))


if len(sys.argv) > 1:
    print("".join(lines(sys.argv[1])), end="")
else:
    goldens()
