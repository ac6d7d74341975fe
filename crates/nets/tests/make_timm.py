"""timm's names, shapes and logits of the zoo's networks, as goldens for gabor's.

    python make_timm.py > timm.txt

Line `same OURS TIMM TENSORS KEY`: a network whose names are ours: the FNV-1a hash of its sorted lines "name shape".
Line `state OURS TIMM`: a network whose names are others, which follow as lines "  name shape".
Line `logits OURS SIDE VALUES...`: the logits for 5 classes of one picture of that side, all numbers by the formulas below.
"""

import timm
import torch

SAME = {n: n for n in """resnet18 resnet34 resnet50 resnet101 resnet152 wide_resnet50_2 wide_resnet101_2 resnext50_32x4d
resnext101_32x8d densenet121 densenet169 densenet201 inception_v3""".split()}
SAME["mobilenet_v1"] = "mobilenetv1_100"
OTHER = {n: n for n in "vgg11 vgg16_bn efficientnet_b0 efficientnet_b3 convnext_tiny convnext_small".split()}
OTHER |= {"mobilenet_v2": "mobilenetv2_100"}
OTHER |= {f"mobilenet_v3_{s}": f"mobilenetv3_{s}_100" for s in ["large", "small"]}
SIDES = {
    "mobilenet_v1": 33, "mobilenet_v2": 33, "mobilenet_v3_large": 33, "efficientnet_b0": 33, "convnext_tiny": 32,
}


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
    # The phase depends on the whole name, so that no two layers hold the same numbers.
    w = waves(tensor.shape, key(name) % 1000)
    if name.endswith("running_var"):
        return 1 + 0.5 * w
    if tensor.dim() == 1:
        return (1 if name.endswith("weight") else 0) + 0.1 * w
    fan_in = tensor[0].numel()
    return w * (4 / fan_in) ** 0.5


def state_of(model):
    return {k: v for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}


for ours, name in SAME.items():
    lines = sorted(f"{k} {list(v.shape)}\n" for k, v in state_of(timm.create_model(name)).items())
    print("same", ours, name, len(lines), key("".join(lines)))
for ours, name in OTHER.items():
    print("state", ours, name)
    for k, v in state_of(timm.create_model(name)).items():
        print(f"  {k} {list(v.shape)}")
for ours, side in SIDES.items():
    model = timm.create_model({**SAME, **OTHER}[ours], num_classes=5).eval()
    state = {k: fill(k, v).float() for k, v in state_of(model).items()}
    model.load_state_dict(state, strict=False)
    with torch.no_grad():
        y = model(waves((1, 3, side, side), 0).float())[0]
    print("logits", ours, side, *(f"{v:.6g}" for v in y.tolist()))
