"""Names, shapes and logits of torchvision's networks, as goldens for gabor's.

    python make_torchvision.py > torchvision.txt

Line `state NAME TENSORS KEY`: the number of tensors of the state and the FNV-1a hash of its sorted lines "name shape".
Line `logits NAME SIDE VALUES...`: the logits for 5 classes of one picture of that side, all numbers by the formulas below.
"""

import torch
import torchvision

NETWORKS = """alexnet vgg11 vgg13 vgg16 vgg19 vgg11_bn vgg13_bn vgg16_bn vgg19_bn googlenet resnet18 resnet34 resnet50
resnet101 resnet152 squeezenet1_0 squeezenet1_1 mobilenet_v2""".split()
SIDES = {"alexnet": 63, "googlenet": 40, "resnet18": 40, "resnet50": 33, "squeezenet1_1": 65, "mobilenet_v2": 64}


def build(name, **options):
    if name == "googlenet":
        options.update(aux_logits=False, init_weights=False)
    return getattr(torchvision.models, name)(weights=None, **options).eval()


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


for name in NETWORKS:
    state = {k: v for k, v in build(name).state_dict().items() if not k.endswith("num_batches_tracked")}
    lines = sorted(f"{k} {list(v.shape)}\n" for k, v in state.items())
    print("state", name, len(lines), key("".join(lines)))
for name, side in SIDES.items():
    model = build(name, num_classes=5)
    state = {k: fill(k, v).float() for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    model.load_state_dict(state, strict=False)
    with torch.no_grad():
        y = model(waves((1, 3, side, side), 0).float())[0]
    print("logits", name, side, *(f"{v:.6g}" for v in y.tolist()))
