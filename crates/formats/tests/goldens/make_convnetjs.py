"""Makes `convnetjs/`: two small snapshots, inputs and outputs, computed with NumPy as ConvNetJS' JavaScript does.

Volumes are `[y, x, channel]` here as there, so that nothing of the reader's order is repeated.
"""

import json
import os

import numpy as np

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "convnetjs")
rng = np.random.default_rng(7)


def vol(a, as_list):
    sy, sx, depth = a.shape
    flat = [float(v) for v in a.reshape(-1)]
    return {"sx": sx, "sy": sy, "depth": depth, "w": flat if as_list else {str(i): v for i, v in enumerate(flat)}}


def make(name, shape, kinds, as_list):
    h, w, c = shape
    xs = rng.standard_normal((2, h, w, c)).astype(np.float32)
    layers = [{"out_depth": c, "out_sx": w, "out_sy": h, "layer_type": "input"}]
    ys = [x.astype(np.float64) for x in xs]
    for kind, o in kinds:
        layer = {"layer_type": kind, **o}
        if kind in ("conv", "pool"):
            k, s, p, h, w = o["sx"], o["stride"], o["pad"], *ys[0].shape[:2]
            oh, ow = (h + 2 * p - k) // s + 1, (w + 2 * p - k) // s + 1
        if kind == "conv":
            c = ys[0].shape[2]
            filters = [rng.standard_normal((k, k, c)) * (k * k * c) ** -0.5 for _ in range(o["out_depth"])]
            biases = rng.standard_normal((1, 1, o["out_depth"])) * 0.2
            layer |= {"sy": k, "in_depth": c, "l1_decay_mul": 0, "l2_decay_mul": 1}
            layer |= {"filters": [vol(f, as_list) for f in filters], "biases": vol(biases, as_list)}

            def run(v):
                y = np.zeros((oh, ow, len(filters)))
                for d, f in enumerate(filters):
                    for i in range(oh):
                        for j in range(ow):
                            a = 0.0
                            for fy in range(k):
                                for fx in range(k):
                                    r, q = i * s - p + fy, j * s - p + fx
                                    if 0 <= r < v.shape[0] and 0 <= q < v.shape[1]:
                                        a += f[fy, fx] @ v[r, q]
                            y[i, j, d] = a + biases[0, 0, d]
                return y
        elif kind == "fc":
            n = ys[0].size
            filters = [rng.standard_normal((1, 1, n)) * n**-0.5 for _ in range(o["out_depth"])]
            biases = rng.standard_normal((1, 1, o["out_depth"])) * 0.2
            layer |= {"num_inputs": n, "filters": [vol(f, as_list) for f in filters], "biases": vol(biases, as_list)}
            run = lambda v: np.array([f.reshape(-1) @ v.reshape(-1) for f in filters]).reshape(1, 1, -1) + biases
        elif kind == "pool":
            layer |= {"sy": k, "in_depth": ys[0].shape[2]}

            def run(v):
                y = np.full((oh, ow, v.shape[2]), -99999.0)
                for i in range(oh):
                    for j in range(ow):
                        for fy in range(k):
                            for fx in range(k):
                                r, q = i * s - p + fy, j * s - p + fx
                                if 0 <= r < v.shape[0] and 0 <= q < v.shape[1]:
                                    y[i, j] = np.maximum(y[i, j], v[r, q])
                return y
        elif kind == "lrn":

            def run(v):
                y, n2 = np.zeros_like(v), o["n"] // 2
                for i in range(v.shape[2]):
                    part = v[:, :, max(0, i - n2) : min(i + n2, v.shape[2] - 1) + 1]
                    y[:, :, i] = v[:, :, i] / ((part**2).sum(axis=2) * o["alpha"] / o["n"] + o["k"]) ** o["beta"]
                return y
        elif kind == "maxout":
            g = o["group_size"]
            run = lambda v: np.stack([v[:, :, i * g : i * g + g].max(axis=2) for i in range(v.shape[2] // g)], axis=2)
        elif kind == "softmax":

            def run(v):
                e = np.exp(v.reshape(1, 1, -1) - v.max())
                return e / e.sum()
        else:
            run = {
                "relu": lambda v: v * (v > 0),
                "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
                "tanh": np.tanh,
                "dropout": lambda v: v * o["drop_prob"],
                "svm": lambda v: v,
                "regression": lambda v: v,
            }[kind]
        ys = [run(v) for v in ys]
        sy, sx, depth = ys[0].shape
        layers.append({**layer, "out_depth": depth, "out_sx": sx, "out_sy": sy})
    with open(os.path.join(HERE, name + ".json"), "w") as f:
        json.dump({"layers": layers}, f)
    first = np.stack(xs).transpose(0, 3, 1, 2)
    if first.shape[2:] == (1, 1):
        first = first[:, :, 0, 0]
    np.save(os.path.join(HERE, name + ".x.npy"), np.ascontiguousarray(first))
    np.save(os.path.join(HERE, name + ".y.npy"), np.stack(ys).reshape(2, -1).astype(np.float32))


os.makedirs(HERE, exist_ok=True)
make("image", (9, 7, 3), [
    ("conv", {"sx": 3, "stride": 1, "pad": 1, "out_depth": 6}),
    ("relu", {}),
    ("lrn", {"k": 1, "n": 3, "alpha": 0.1, "beta": 0.75}),
    ("pool", {"sx": 2, "stride": 2, "pad": 1}),
    ("conv", {"sx": 2, "stride": 1, "pad": 0, "out_depth": 7}),
    ("maxout", {"group_size": 2}),
    ("fc", {"out_depth": 4}),
    ("softmax", {}),
], False)
make("vector", (1, 1, 5), [
    ("fc", {"out_depth": 6}),
    ("tanh", {}),
    ("fc", {"out_depth": 6}),
    ("maxout", {"group_size": 2}),
    ("dropout", {"drop_prob": 0.25}),
    ("fc", {"out_depth": 4}),
    ("sigmoid", {}),
    ("fc", {"out_depth": 3}),
    ("svm", {}),
], True)
