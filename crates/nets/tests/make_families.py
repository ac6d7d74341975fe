"""Logits and gradients of networks that torchvision does not have, from small definitions in PyTorch, as goldens for
gabor's.

    python make_families.py > families.txt

Line `network NAME INPUT`: extents of one sample. `logits NAME NUMBERS...`: Σ logits · waves(phase) for phases 0 to 4.
`gradient NAME PARAMETER NORM NUMBER`: for the loss Σ logits · waves(0), the gradient's norm and its product with the
waves of the name's length. All weights and inputs are numbers by the formulas below; networks are as in prediction.
"""

import torch
from torch import nn
from torch.nn import functional as F


def waves(shape, phase):
    n = torch.Size(shape).numel()
    return torch.sin(torch.arange(n, dtype=torch.float64) * 0.7 + phase).reshape(shape)


def fill(name, tensor):
    w = waves(tensor.shape, len(name))
    if name.endswith("running_var"):
        return 1 + 0.5 * w
    if tensor.dim() == 1:
        return (1 if name.endswith("weight") else 0) + 0.1 * w
    return w * (4 / tensor[0].numel()) ** 0.5


class Darknet(nn.Module):
    def __init__(self, rows, classes, eps):
        super().__init__()
        self.rows, self.channels, number = [], 3, 0
        for row in rows + [(classes, 1)]:
            if row == "pool":
                self.rows.append(None)
                continue
            number += 1
            last = len(self.rows) == len(rows)
            filters, k = row
            setattr(self, f"conv{number}", nn.Conv2d(self.channels, filters, k, padding=k // 2, bias=last))
            if not last:
                setattr(self, f"bn{number}", nn.BatchNorm2d(filters, eps=eps))
            self.rows.append(number)
            self.channels = filters

    def forward(self, x):
        for number in self.rows:
            if number is None:
                x = F.max_pool2d(x, 2, ceil_mode=True)
                continue
            x = getattr(self, f"conv{number}")(x)
            if hasattr(self, f"bn{number}"):
                x = F.leaky_relu(getattr(self, f"bn{number}")(x), 0.1)
        return x.mean((2, 3))


def pairs(n, small, large):
    return [(small, 1), (large, 3)] * n


TINY = ([(16, 3), "pool", (32, 3), "pool"] + pairs(2, 16, 128) + ["pool"] + pairs(2, 32, 256) + ["pool"]
        + pairs(2, 64, 512) + [(128, 1)])
REFERENCE = [r for f in (16, 32, 64, 128, 256, 512) for r in ((f, 3), "pool")] + [(1024, 3)]
DARKNET_19 = [(32, 3), "pool", (64, 3), "pool", (128, 3), (64, 1), (128, 3), "pool", (256, 3), (128, 1), (256, 3),
              "pool", (512, 3)] + pairs(2, 256, 512) + ["pool", (1024, 3)] + pairs(2, 512, 1024)


class C3D(nn.Module):
    def __init__(self, filters, hidden, flat, classes):
        super().__init__()
        c = 3
        self.names = []
        for stage, (f, names) in enumerate(zip(filters, (["1"], ["2"], ["3a", "3b"], ["4a", "4b"], ["5a", "5b"]))):
            for name in names:
                setattr(self, f"conv{name}", nn.Conv3d(c, f, 3, padding=1))
                c = f
            self.names.append(names)
        self.fc6, self.fc7, self.fc8 = nn.Linear(flat, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, classes)

    def forward(self, x):
        for stage, names in enumerate(self.names):
            for name in names:
                x = F.relu(getattr(self, f"conv{name}")(x))
            x = F.max_pool3d(x, (1, 2, 2) if stage == 0 else 2, ceil_mode=stage == 4)
        x = F.relu(self.fc6(x.flatten(1)))
        return self.fc8(F.relu(self.fc7(x)))


class Two(nn.Module):
    def __init__(self, ci, co, up=None):
        super().__init__()
        if up:
            self.up = nn.ConvTranspose2d(up, co, 2, stride=2)
        self.conv1, self.conv2 = nn.Conv2d(ci, co, 3), nn.Conv2d(co, co, 3)

    def forward(self, x):
        return F.relu(self.conv2(F.relu(self.conv1(x))))


class UNet(nn.Module):
    def __init__(self, base, ci, classes):
        super().__init__()
        f = [base << i for i in range(5)]
        for i in range(4):
            setattr(self, f"down{i + 1}", Two(ci if i == 0 else f[i - 1], f[i]))
            setattr(self, f"up{i + 1}", Two(2 * f[3 - i], f[3 - i], up=f[4 - i]))
        self.bottom, self.out = Two(f[3], f[4]), nn.Conv2d(base, classes, 1)

    def forward(self, x):
        kept = []
        for i in range(4):
            kept.append(getattr(self, f"down{i + 1}")(x))
            x = F.max_pool2d(kept[-1], 2)
        x = self.bottom(x)
        for i in range(4):
            level = getattr(self, f"up{i + 1}")
            x, skip = level.up(x), kept[3 - i]
            top, left = [(a - b) // 2 for a, b in zip(skip.shape[2:], x.shape[2:])]
            skip = skip[:, :, top:top + x.shape[2], left:left + x.shape[3]]
            x = level(torch.cat([skip, x], 1))
        return self.out(x)


class Block(nn.Module):
    def __init__(self, ci, co):
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(ci, co, 3, padding=1, bias=False), nn.BatchNorm2d(co), nn.ReLU(),
            nn.Conv2d(co, co, 3, padding=1, bias=False), nn.BatchNorm2d(co), nn.ReLU())

    def forward(self, x):
        return self.double_conv(x)


class Down(nn.Module):
    def __init__(self, ci, co):
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), Block(ci, co))

    def forward(self, x):
        return self.maxpool_conv(x)


class Up(nn.Module):
    def __init__(self, ci, co):
        super().__init__()
        self.up, self.conv = nn.ConvTranspose2d(ci, co, 2, stride=2), Block(2 * co, co)

    def forward(self, x, skip):
        x = self.up(x)
        dy, dx = [a - b for a, b in zip(skip.shape[2:], x.shape[2:])]
        x = F.pad(x, (dx // 2, dx - dx // 2, dy // 2, dy - dy // 2))
        return self.conv(torch.cat([skip, x], 1))


class Out(nn.Module):
    def __init__(self, ci, classes):
        super().__init__()
        self.conv = nn.Conv2d(ci, classes, 1)

    def forward(self, x):
        return self.conv(x)


class UNetPadded(nn.Module):
    def __init__(self, base, ci, classes):
        super().__init__()
        self.inc = Block(ci, base)
        for i in range(4):
            setattr(self, f"down{i + 1}", Down(base << i, base << (i + 1)))
            setattr(self, f"up{i + 1}", Up(base << (4 - i), base << (3 - i)))
        self.outc = Out(base, classes)

    def forward(self, x):
        kept = [self.inc(x)]
        for i in range(4):
            kept.append(getattr(self, f"down{i + 1}")(kept[-1]))
        x = kept[4]
        for i in range(4):
            x = getattr(self, f"up{i + 1}")(x, kept[3 - i])
        return self.outc(x)


class FCN(nn.Module):
    def __init__(self, stride, filters, hidden, classes):
        super().__init__()
        self.stride, c = stride, 3
        for stage, (f, count) in enumerate(zip(filters, (2, 2, 3, 3, 3))):
            for i in range(count):
                setattr(self, f"conv{stage + 1}_{i + 1}", nn.Conv2d(c, f, 3, padding=100 if c == 3 else 1))
                c = f
        self.fc6, self.fc7, self.score_fr = nn.Conv2d(c, hidden, 7), nn.Conv2d(hidden, hidden, 1), nn.Conv2d(hidden, classes, 1)

        def up(factor):
            return nn.ConvTranspose2d(classes, classes, 2 * factor, stride=factor, bias=False)

        if stride < 32:
            self.upscore2, self.score_pool4 = up(2), nn.Conv2d(filters[3], classes, 1)
        if stride < 16:
            self.upscore_pool4, self.score_pool3 = up(2), nn.Conv2d(filters[2], classes, 1)
        self.last = {32: "upscore", 16: "upscore16", 8: "upscore8"}[stride]
        setattr(self, self.last, up(stride))

    def forward(self, x):
        h, w = x.shape[2:]
        pooled = []
        for stage, count in enumerate((2, 2, 3, 3, 3)):
            for i in range(count):
                x = F.relu(getattr(self, f"conv{stage + 1}_{i + 1}")(x))
            x = F.max_pool2d(x, 2, ceil_mode=True)
            pooled.append(x)
        x = self.score_fr(F.relu(self.fc7(F.relu(self.fc6(x)))))
        for used, up, name, at, offset in ((self.stride < 32, "upscore2", "score_pool4", 3, 5),
                                           (self.stride < 16, "upscore_pool4", "score_pool3", 2, 9)):
            if used:
                x = getattr(self, up)(x)
                s = getattr(self, name)(pooled[at])
                x = x + s[:, :, offset:offset + x.shape[2], offset:offset + x.shape[3]]
        offset = {32: 19, 16: 27, 8: 31}[self.stride]
        return getattr(self, self.last)(x)[:, :, offset:offset + h, offset:offset + w]


class TextCNN(nn.Module):
    def __init__(self, words, features, filters, classes):
        super().__init__()
        self.embedding = nn.Embedding(words, features)
        self.convs = nn.ModuleList(nn.Conv1d(features, filters, k) for k in (3, 4, 5))
        self.fc = nn.Linear(3 * filters, classes)

    def forward(self, x):
        x = self.embedding(x).transpose(1, 2)
        return self.fc(torch.cat([F.relu(c(x)).amax(2) for c in self.convs], 1))


def k_max(x, k):
    return x.gather(2, x.topk(k, 2).indices.sort(2).values)


class DocumentCNN(nn.Module):
    def __init__(self, words, sentence, features, width, first, second, classes):
        super().__init__()
        self.sentence, self.kept = sentence, (first[1], second[1])
        self.embedding = nn.Embedding(words, features)
        self.words = nn.Conv1d(features, first[0], width, padding=width - 1)
        self.sentences = nn.Conv1d(first[0] * first[1], second[0], width, padding=width - 1)
        self.fc = nn.Linear(second[0] * second[1], classes)

    def forward(self, x):
        n, (k1, k2) = len(x), self.kept
        x = self.embedding(x.reshape(-1, self.sentence)).transpose(1, 2)
        x = torch.tanh(k_max(self.words(x), k1)).reshape(n, -1, self.words.out_channels * k1).transpose(1, 2)
        return self.fc(torch.tanh(k_max(self.sentences(x), k2)).flatten(1))


class LeNet5(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x.flatten(1))))))


class AlexNet(nn.Module):
    """As in the paper, and without groups or response normalisation; ZFNet by its own first layers."""

    def __init__(self, classes, narrow=1, groups=1, lrn=False, zf=False, last=(384, 384, 256), places=6):
        super().__init__()
        a, b, *rest, hidden = [f // narrow for f in (96, 256, *last, 4096)]
        self.norm = nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0) if lrn else nn.Identity()
        self.zf = zf
        self.conv1 = nn.Conv2d(3, a, 7, 2, 1) if zf else nn.Conv2d(3, a, 11, 4)
        self.conv2 = nn.Conv2d(a, b, 5, 2) if zf else nn.Conv2d(a, b, 5, padding=2, groups=groups)
        self.conv3 = nn.Conv2d(b, rest[0], 3, padding=1)
        self.conv4 = nn.Conv2d(rest[0], rest[1], 3, padding=1, groups=groups)
        self.conv5 = nn.Conv2d(rest[1], rest[2], 3, padding=1, groups=groups)
        self.fc6, self.fc7 = nn.Linear(rest[2] * places ** 2, hidden), nn.Linear(hidden, hidden)
        self.fc8 = nn.Linear(hidden, classes)

    def forward(self, x):
        for conv in (self.conv1, self.conv2):
            x = F.relu(conv(x))
            x = self.norm(F.max_pool2d(x, 3, 2, 1)) if self.zf else F.max_pool2d(self.norm(x), 3, 2)
        x = F.relu(self.conv5(F.relu(self.conv4(F.relu(self.conv3(x))))))
        x = F.max_pool2d(x, 3, 2).flatten(1)
        return self.fc8(F.relu(self.fc7(F.relu(self.fc6(x)))))


class AlphaGo(nn.Module):
    def __init__(self, k, board):
        super().__init__()
        self.conv1, self.conv13 = nn.Conv2d(48, k, 5, padding=2), nn.Conv2d(k, 1, 1, bias=False)
        for i in range(2, 13):
            setattr(self, f"conv{i}", nn.Conv2d(k, k, 3, padding=1))
        self.position = nn.ParameterDict({"bias": torch.zeros(board * board)})

    def forward(self, x):
        for i in range(1, 13):
            x = F.relu(getattr(self, f"conv{i}")(x))
        return self.conv13(x).flatten(1) + self.position["bias"]


def conv(ci, co, k, stride=1):
    return nn.Conv2d(ci, co, k, stride, k // 2, bias=False)


def padded(x, stride, channels):
    """Option A: every second place, channels of zeros on both sides."""
    more = channels - x.shape[1]
    return F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, more // 2, more - more // 2))


class CifarBlock(nn.Module):
    def __init__(self, ci, co, stride):
        super().__init__()
        self.stride, self.co = stride, co
        self.conv1, self.bn1 = conv(ci, co, 3, stride), nn.BatchNorm2d(co)
        self.conv2, self.bn2 = conv(co, co, 3), nn.BatchNorm2d(co)

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + padded(x, self.stride, self.co))


class PreBlock(nn.Module):
    """Pre-activation; `kind` is basic, padded (option A) or bottleneck."""

    def __init__(self, ci, planes, stride, kind):
        super().__init__()
        self.kind, self.stride, self.co = kind, stride, planes * (4 if kind == "bottleneck" else 1)
        self.bn1 = nn.BatchNorm2d(ci)
        self.changes = stride != 1 or ci != self.co
        if self.changes and kind != "padded":
            self.shortcut = conv(ci, self.co, 1, stride)
        if kind == "bottleneck":
            self.conv1, self.bn2 = conv(ci, planes, 1), nn.BatchNorm2d(planes)
            self.conv2, self.bn3 = conv(planes, planes, 3, stride), nn.BatchNorm2d(planes)
            self.conv3 = conv(planes, self.co, 1)
        else:
            self.conv1, self.bn2 = conv(ci, planes, 3, stride), nn.BatchNorm2d(planes)
            self.conv2 = conv(planes, planes, 3)

    def forward(self, x):
        a = F.relu(self.bn1(x))
        y = self.conv2(F.relu(self.bn2(self.conv1(a))))
        if self.kind == "bottleneck":
            y = self.conv3(F.relu(self.bn3(y)))
        if not self.changes:
            return x + y
        return y + (padded(a, self.stride, self.co) if self.kind == "padded" else self.shortcut(a))


class CifarResNet(nn.Module):
    def __init__(self, blocks, width=1, kind=None, classes=10):
        super().__init__()
        self.conv1, c = conv(3, 16, 3), 16
        for i in range(3):
            stage = []
            for j in range(blocks):
                planes, stride = (16 << i) * width, 2 if i and not j else 1
                stage.append(PreBlock(c, planes, stride, kind) if kind else CifarBlock(c, planes, stride))
                c = stage[-1].co
            setattr(self, f"layer{i + 1}", nn.Sequential(*stage))
        setattr(self, "bn" if kind else "bn1", nn.BatchNorm2d(c if kind else 16))
        self.kind, self.linear = kind, nn.Linear(c, classes)

    def forward(self, x):
        x = self.conv1(x) if self.kind else F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        x = F.relu(self.bn(x)) if self.kind else x
        return self.linear(x.mean((2, 3)))


NETWORKS = [
    ("lenet5", LeNet5(), (1, 28, 28)),
    ("tiny_alexnet", AlexNet(10, 16, 2, True, places=1), (3, 67, 67)),
    ("tiny_zfnet", AlexNet(10, 16, lrn=True, zf=True, places=1), (3, 63, 63)),
    ("tiny_alphago", AlphaGo(8, 7), (48, 7, 7)),
    ("tiny_resnet", CifarResNet(1), (3, 32, 32)),
    ("tiny_wrn", CifarResNet(1, 1, "basic"), (3, 32, 32)),
    ("darknet_tiny", Darknet(TINY, 5, 1e-3), (3, 33, 33)),
    ("darknet", Darknet(REFERENCE, 5, 1e-5), (3, 33, 33)),
    ("darknet19", Darknet(DARKNET_19, 5, 1e-5), (3, 32, 32)),
    ("tiny_text_cnn", TextCNN(50, 8, 6, 2), (12,)),
    ("tiny_document_cnn", DocumentCNN(50, 6, 4, 3, (3, 2), (4, 2), 2), (24,)),
    ("tiny_c3d", C3D((4, 6, 8, 8, 8), 16, 8, 5), (3, 16, 32, 32)),
    ("tiny_unet", UNet(4, 1, 2), (1, 188, 188)),
    ("tiny_unet_padded", UNetPadded(4, 3, 2), (3, 37, 50)),
    ("tiny_fcn32s", FCN(32, (4, 4, 6, 6, 8), 12, 4), (3, 20, 28)),
    ("tiny_fcn16s", FCN(16, (4, 4, 6, 6, 8), 12, 4), (3, 20, 28)),
    ("tiny_fcn8s", FCN(8, (4, 4, 6, 6, 8), 12, 4), (3, 20, 28)),
]

if __name__ == "__main__":
    for name, model, shape in NETWORKS:
        model = model.double().eval()
        state = {k: fill(k, v) for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
        model.load_state_dict({k: v.float().double() for k, v in state.items()}, strict=False)
        if len(shape) == 1:
            x = (torch.arange(shape[0]) * 7 % 50)[None]
        else:
            x = waves((1, *shape), 0).float().double()
        y = model(x)
        print("network", name, "x".join(map(str, shape)))
        print("logits", name, *(f"{(y * waves(y.shape, p)).sum().item():.12g}" for p in range(5)))
        (y * waves(y.shape, 0)).sum().backward()
        for k, v in model.named_parameters():
            product = (v.grad * waves(v.shape, len(k))).sum().item()
            print("gradient", name, k, f"{v.grad.norm().item():.12g} {product:.12g}")
