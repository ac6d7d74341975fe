"""Makes `darknet/`: small networks with `.weights`, inputs and outputs, computed with NumPy as Darknet's C source does.

Every layer is written a second time here, independent of the reader: loops and formulas of the C functions that are
named beside them. Run with the directory of this file as the working directory, or from anywhere.
"""

import os
import struct

import numpy as np

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "darknet")
F = np.float32


class Net:
    """Parses a .cfg of known layers, draws numbers, writes them, and computes."""

    def __init__(self, cfg, seed, version=(0, 2, 0)):
        self.rng = np.random.default_rng(seed)
        self.version = version
        self.sections = []
        for line in cfg.splitlines():
            line = line.split("#")[0].replace(" ", "")
            if line.startswith("["):
                self.sections.append((line[1:-1], {}))
            elif line:
                key, value = line.split("=")
                self.sections[-1][1][key] = value
        self.out = []
        self.bytes = bytearray(struct.pack("<iii", *version))
        # 64 bits for the number of images from version 0.2 on, 32 before.
        new = version[0] * 10 + version[1] >= 2 and version[0] < 1000 and version[1] < 1000
        self.bytes += struct.pack("<Q" if new else "<I", 12345)
        self.transpose = version[0] > 1000 or version[1] > 1000

    def draw(self, *shape, scale=1.0):
        return (self.rng.standard_normal(shape) * scale).astype(F)

    def put(self, a):
        self.bytes += a.astype("<f4").tobytes()

    def activate(self, name, x):
        x = x.astype(np.float64)
        y = {
            "linear": lambda: x,
            "relu": lambda: x * (x > 0),
            "leaky": lambda: np.where(x > 0, x, 0.1 * x),
            "relie": lambda: np.where(x > 0, x, 0.01 * x),
            "ramp": lambda: x * (x > 0) + 0.1 * x,
            "logistic": lambda: 1 / (1 + np.exp(-x)),
            "loggy": lambda: 2 / (1 + np.exp(-x)) - 1,
            "tanh": lambda: (np.exp(2 * x) - 1) / (np.exp(2 * x) + 1),
            "elu": lambda: (x >= 0) * x + (x < 0) * (np.exp(x) - 1),
            "selu": lambda: (x >= 0) * 1.0507 * x + (x < 0) * 1.0507 * 1.6732 * (np.exp(x) - 1),
            "hardtan": lambda: np.clip(x, -1, 1),
            "plse": lambda: np.where(x < -4, 0.01 * (x + 4), np.where(x > 4, 0.01 * (x - 4) + 1, 0.125 * x + 0.5)),
            "lhtan": lambda: np.where(x < 0, 0.001 * x, np.where(x > 1, 0.001 * (x - 1) + 1, x)),
            "mish": lambda: x * np.tanh(np.log1p(np.exp(x))),
            "swish": lambda: x / (1 + np.exp(-x)),
        }[name]()
        return y.astype(F)

    def batchnorm(self, x, axis_channels):
        """normalize_cpu, scale_bias, add_bias: returns the function and the vectors in the order of the file."""
        c = axis_channels
        beta, gamma, mean = self.draw(c, scale=0.2), 1 + self.draw(c, scale=0.2), self.draw(c, scale=0.2)
        var = np.abs(self.draw(c)) + F(1e-3)
        var[0] = 1e-10  # small enough that what is added to the deviation matters

        def apply(y):
            shape = (1, c) + (1,) * (y.ndim - 2)
            v = lambda a: a.astype(np.float64).reshape(shape)
            return ((y - v(mean)) / (np.sqrt(v(var)) + 1e-6) * v(gamma) + v(beta)).astype(F)

        # Channels whose deviation is tiny would explode: their mean is what the layer gives, so scale them down.
        gamma[0] = 1e-4
        return apply, beta, gamma, mean, var

    def forward(self, x):
        for index, (kind, o) in enumerate(self.sections[1:]):
            get = lambda k, d: type(d)(o.get(k, d))
            n, c, h, w = x.shape
            if kind == "convolutional":
                k, f, g = get("size", 1), get("filters", 1), get("groups", 1)
                pad = k // 2 if get("pad", 0) else get("padding", 0)
                sx, sy = get("stride_x", get("stride", 1)), get("stride_y", get("stride", 1))
                d = get("dilation", 1)
                bn = get("batch_normalize", 0)
                if bn:
                    apply, beta, gamma, mean, var = self.batchnorm(x, f)
                    for a in (beta, gamma, mean, var):
                        self.put(a)
                else:
                    bias = self.draw(f, scale=0.3)
                    self.put(bias)
                weight = self.draw(f, c // g, k, k, scale=(1.0 / (c // g * k * k)) ** 0.5)
                self.put(weight)
                pad *= d
                xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
                oh, ow = (h + 2 * pad - d * (k - 1) - 1) // sy + 1, (w + 2 * pad - d * (k - 1) - 1) // sx + 1
                y = np.zeros((n, f, oh, ow), np.float64)
                for i in range(oh):
                    for j in range(ow):
                        patch = xp[:, :, i * sy : i * sy + d * (k - 1) + 1 : d, j * sx : j * sx + d * (k - 1) + 1 : d]
                        for q in range(g):
                            a, b = q * c // g, (q + 1) * c // g
                            fa, fb = q * f // g, (q + 1) * f // g
                            y[:, fa:fb, i, j] = np.einsum("ncij,fcij->nf", patch[:, a:b], weight[fa:fb])
                y = apply(y) if bn else (y + bias.reshape(1, f, 1, 1)).astype(F)
                x = self.activate(get("activation", "logistic"), y)
            elif kind == "connected":
                k, m = get("output", 1), c * h * w
                bn = get("batch_normalize", 0)
                if bn:
                    apply, beta, gamma, mean, var = self.batchnorm(x, k)
                    bias = beta
                else:
                    bias = self.draw(k, scale=0.3)
                weight = self.draw(k, m, scale=m**-0.5)
                self.put(bias)
                self.put(weight.T if self.transpose else weight)
                if bn:
                    for a in (gamma, mean, var):
                        self.put(a)
                y = x.reshape(n, m).astype(np.float64) @ weight.T.astype(np.float64)
                y = apply(y) if bn else (y + bias).astype(F)
                x = self.activate(get("activation", "logistic"), y).reshape(n, k, 1, 1)
            elif kind == "local":
                k, f, s, pad = get("size", 1), get("filters", 1), get("stride", 1), get("pad", 0)
                oh, ow = ((h - (1 if pad else k)) // s + 1, (w - (1 if pad else k)) // s + 1)
                bias = self.draw(f, oh, ow, scale=0.3)
                weight = self.draw(oh * ow, f, c, k, k, scale=(c * k * k) ** -0.5)
                self.put(bias)
                self.put(weight)
                xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
                y = np.zeros((n, f, oh, ow), np.float64)
                for i in range(oh):
                    for j in range(ow):
                        patch = xp[:, :, i * s : i * s + k, j * s : j * s + k]
                        y[:, :, i, j] = np.einsum("ncij,fcij->nf", patch, weight[i * ow + j])
                x = self.activate(get("activation", "logistic"), (y + bias).astype(F))
            elif kind == "maxpool":
                s = get("stride", 1)
                k = get("size", s)
                p = get("padding", k - 1)
                off = -(p // 2)
                oh, ow = (h + p - k) // s + 1, (w + p - k) // s + 1
                y = np.full((n, c, oh, ow), -np.inf, F)
                for i in range(oh):
                    for j in range(ow):
                        for a in range(k):
                            for b in range(k):
                                r, q = off + i * s + a, off + j * s + b
                                if 0 <= r < h and 0 <= q < w:
                                    y[:, :, i, j] = np.maximum(y[:, :, i, j], x[:, :, r, q])
                x = y
            elif kind == "avgpool":
                x = x.mean(axis=(2, 3), keepdims=True, dtype=np.float64).astype(F)
            elif kind in ("dropout", "cost"):
                pass
            elif kind == "softmax":
                g, t = get("groups", 1), get("temperature", 1.0)
                y = x.reshape(n, g, -1).astype(np.float64) / t
                y = np.exp(y - y.max(axis=2, keepdims=True))
                x = (y / y.sum(axis=2, keepdims=True)).astype(F).reshape(n, -1, 1, 1)
            elif kind == "shortcut":
                i = get("from", -1)
                add = self.out[i + index if i < 0 else i]
                alpha, beta = get("alpha", 1.0), get("beta", 1.0)
                m = min(c, add.shape[1])
                y = x.astype(np.float64).copy()
                step = add.shape[3] // w
                y[:, :m] = alpha * y[:, :m] + beta * add[:, :m, : h * step : step, : w * step : step]
                x = self.activate(get("activation", "linear"), y.astype(F))
            elif kind == "route":
                parts = []
                g, q = get("groups", 1), get("group_id", 0)
                for t in o["layers"].split(","):
                    i = int(t)
                    part = self.out[i + index if i < 0 else i]
                    m = part.shape[1] // g
                    parts.append(part[:, q * m : (q + 1) * m])
                x = np.concatenate(parts, axis=1)
            elif kind == "upsample":
                s = get("stride", 2)
                x = (x.repeat(s, axis=2).repeat(s, axis=3) * F(get("scale", 1.0))).astype(F)
            elif kind == "reorg":
                # reorg_cpu, index by index.
                s, reverse = get("stride", 1), get("reverse", 0)
                flat = x.reshape(-1)
                y = np.zeros_like(flat)
                oc = c // (s * s)
                for b in range(n):
                    for k in range(c):
                        for j in range(h):
                            for i in range(w):
                                at = i + w * (j + h * (k + c * b))
                                c2, offset = k % oc, k // oc
                                w2, h2 = i * s + offset % s, j * s + offset // s
                                to = w2 + w * s * (h2 + h * s * (c2 + oc * b))
                                if reverse:
                                    y[to] = flat[at]
                                else:
                                    y[at] = flat[to]
                x = y.reshape((n, oc, h * s, w * s) if reverse else (n, c * s * s, h // s, w // s))
            elif kind == "crop":
                ch, cw = get("crop_height", 1), get("crop_width", 1)
                dh, dw = (h - ch) // 2, (w - cw) // 2
                x = x[:, :, dh : dh + ch, dw : dw + cw]
                if not get("noadjust", 0):
                    x = (x * F(2) - F(1)).astype(F)
            elif kind == "normalization":
                # forward_normalization_layer with its running sum.
                size, alpha = get("size", 5), get("alpha", 1e-4)
                beta, kappa = get("beta", 0.75), get("kappa", 1.0)
                square = x.astype(np.float64) ** 2
                norms = np.zeros_like(square)
                norms[:, 0] = kappa
                for k in range(size // 2):
                    norms[:, 0] += alpha * square[:, k]
                for k in range(1, c):
                    norms[:, k] = norms[:, k - 1]
                    prev, after = k - (size - 1) // 2 - 1, k + size // 2
                    if prev >= 0:
                        norms[:, k] -= alpha * square[:, prev]
                    if after < c:
                        norms[:, k] += alpha * square[:, after]
                x = (x * norms**-beta).astype(F)
            elif kind == "activation":
                x = self.activate(get("activation", "linear"), x)
            elif kind == "logistic":
                x = self.activate("logistic", x)
            elif kind == "sam":
                i = int(o["from"])
                x = (x * self.out[i + index if i < 0 else i]).astype(F)
            elif kind == "scale_channels":
                i = int(o["from"])
                x = (self.out[i + index if i < 0 else i] * x).astype(F)
            elif kind == "yolo":
                pass
            else:
                raise ValueError(kind)
            assert np.isfinite(x).all(), (index, kind)
            self.out.append(x)
        return x


def make(name, cfg, seed, version=(0, 2, 0)):
    net = Net(cfg, seed, version)
    o = net.sections[0][1]
    shape = [int(o[k]) for k in ("channels", "height", "width")] if "channels" in o else [int(o["inputs"]), 1, 1]
    x = net.draw(2, *shape)
    y = net.forward(x)
    if y.shape[2:] == (1, 1) and net.sections[-1][0] != "yolo":
        y = y.reshape(y.shape[:2])
    path = os.path.join(HERE, name)
    with open(path + ".cfg", "w") as f:
        f.write(cfg)
    with open(path + ".weights", "wb") as f:
        f.write(net.bytes)
    np.save(path + ".x.npy", x)
    np.save(path + ".y.npy", y.astype(F))
    print(name, x.shape, y.shape, len(net.bytes))


ALL_ACTIVATIONS = "relu leaky relie ramp logistic loggy tanh elu selu hardtan plse lhtan mish swish".split()

os.makedirs(HERE, exist_ok=True)

make("classifier", """\
[net]
# what stands here is of no use for inference
batch=64
height=13
width=11
channels=3
learning_rate=0.1

[convolutional]
batch_normalize=1
filters=8
size=3
stride=1
pad=1
activation=leaky

[maxpool]
size=2
stride=2

[convolutional]
batch_normalize = 1
filters=12
size=3
groups=4
padding=1
activation=mish

[maxpool]
size=3
stride=2

[convolutional]
filters=8
size=3
stride=1
pad=1
activation=relu

[maxpool]
size=2
stride=1

[normalization]
size=5
alpha=0.02
beta=.75
kappa=2

[dropout]
probability=.5

[local]
size=3
stride=1
pad=1
filters=4
activation=leaky

[connected]
output=10
batch_normalize=1
activation=tanh

[connected]
output=6
activation=linear

[softmax]
groups=2
temperature=1.5

[cost]
type=sse
""", 1)

make("branches", """\
[net]
height=10
width=10
channels=3

[crop]
crop_height=8
crop_width=8
flip=1
angle=0
saturation=1
exposure=1

[convolutional]
filters=16
size=3
stride=1
pad=1
activation=linear

[convolutional]
filters=8
size=1
activation=swish

# fewer channels than the layer it goes back to, and the other way round
[shortcut]
from=-2
activation=relu
alpha=0.5
beta=2

[route]
layers=1

[shortcut]
from=3
activation=linear

[route]
layers=-1, 1
groups=2
group_id=1

[reorg]
stride=2

[convolutional]
filters=8
size=3
stride_x=2
stride_y=1
pad=1
activation=selu

[reorg]
stride=2
reverse=1

[upsample]
stride=2
scale=0.5

[convolutional]
filters=6
size=3
dilation=2
pad=1
activation=elu

[avgpool]

[convolutional]
filters=6
size=1
activation=logistic

[scale_channels]
from=-3

[convolutional]
filters=6
size=1
activation=logistic

[sam]
from=-2
""", 2)

make("strided", """\
[net]
height=9
width=9
channels=2

[convolutional]
filters=3
size=3
pad=1
activation=leaky

[convolutional]
batch_normalize=1
filters=5
size=3
stride=2
activation=linear

[shortcut]
from=-2
activation=relu
""", 5)

make("old", """\
[net]
inputs=7

[connected]
output=5
activation=ramp

[connected]
output=3
activation=linear
""", 3, version=(0, 1001, 0))

make("activations", "[net]\nheight=6\nwidth=5\nchannels=2\n" + "".join(
    f"\n[convolutional]\nfilters=4\nsize=3\npad=1\nactivation={a}\n" for a in ALL_ACTIVATIONS
) + "\n[activation]\nactivation=hardtan\n\n[logistic]\n", 4, version=(0, 1, 0))
