#!/usr/bin/env python3
"""Models as other programs write them: imported, run, differentiated, compared.

    python bench/onnx/producers.py --gabor target/release/gabor [--only resnet] [--no-grad]

PyTorch writes torchvision's networks by its old exporter (TorchScript) and its new one (dynamo), random weights, batch
normalisation with random statistics. Keras' way (NHWC pictures turned by transposes, SAME padding) and CNTK's (opset 8,
weights reshaped, `Times` as a product) are built with onnx.helper. Each model runs through `gabor run` and through ONNX
Runtime on the same input; the table gives the largest difference relative to the largest output, which must stay below
1e-4. The gradient of the input, by `gabor run --grad`, is compared with PyTorch's in 64 bits, and beside it stands how far
PyTorch's own in 32 bits is from that: where rounding turns one rectifier or one maximum of a pooling, a patch of the
gradient is another one, in any library. `~` marks a gradient beyond 1e-3; every gradient must be finite.

Needs Python with numpy, onnx, onnxruntime, torch, torchvision and onnxscript (for dynamo; its rows say so if missing).
"""
import argparse
import contextlib
import io
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import warnings

warnings.simplefilter("ignore")
import logging

logging.disable(logging.WARNING)
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto as T
from onnx import helper as h

TORCHVISION = {
    "alexnet": 224, "vgg11": 224, "googlenet": 96, "inception_v3": 128, "resnet18": 64, "resnet50": 64,
    "resnext50_32x4d": 64, "wide_resnet50_2": 64, "squeezenet1_1": 64, "mobilenet_v2": 64, "mobilenet_v3_small": 64,
    "mobilenet_v3_large": 64, "mnasnet1_0": 64, "densenet121": 64, "shufflenet_v2_x1_0": 64, "efficientnet_b0": 64,
    "efficientnet_v2_s": 64, "regnet_y_400mf": 64, "convnext_tiny": 64,
    "segmentation.fcn_resnet50": 64, "segmentation.deeplabv3_mobilenet_v3_large": 64, "segmentation.lraspp_mobilenet_v3_large": 64,
}


def torch_model(name, seed=0):
    import torch
    import torchvision

    torch.manual_seed(seed)
    space = torchvision.models
    *path, last = name.split(".")
    for p in path:
        space = getattr(space, p)
    extra = {"init_weights": True} if last in ("googlenet", "inception_v3") else {}
    if path:
        extra["weights_backbone"] = None
    net = getattr(space, last)(weights=None, **extra)
    # Statistics and scales as after training, not the neutral ones of the beginning.
    for m in net.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.running_mean.normal_(0, 0.1)
            m.running_var.uniform_(0.5, 1.5)
            m.weight.data.uniform_(0.5, 1.5)
            m.bias.data.normal_(0, 0.1)
    net.eval()

    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x):
            y = self.net(x)
            return y["out"] if isinstance(y, dict) else y

    return Plain().eval()


def from_torch(name, size, dynamo, path):
    import torch

    net = torch_model(name)
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    if dynamo:
        torch.onnx.export(net, (x,), path, dynamo=True, external_data=False, verbose=False,
                          input_names=["x"], output_names=["y"])
    else:
        torch.onnx.export(net, (x,), path, dynamo=False, opset_version=17, input_names=["x"], output_names=["y"],
                          dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}})

    def gradient(dy):
        """In 32 and in 64 bits."""
        found = []
        for kind in (torch.float32, torch.float64):
            v = x.detach().clone().to(kind).requires_grad_(True)
            (net.to(kind)(v) * torch.from_numpy(dy).to(kind)).sum().backward()
            found.append(v.grad.numpy())
        net.float()
        return found

    return {"x": x.numpy()}, gradient


def rand(rng, *shape):
    return (rng.standard_normal(shape) * np.sqrt(2.0 / max(1, np.prod(shape[1:])))).astype(np.float32)


def keras(path, opset):
    """tf2onnx' form of a Keras network: NHWC outside, NCHW inside."""
    rng = np.random.default_rng(3)
    init, nodes = [], []
    const = lambda n, a: init.append(onnx.numpy_helper.from_array(np.asarray(a), n)) or n
    add = lambda op, i, o, **k: nodes.append(h.make_node(op, i, [o], name=f"model/{o}", **k)) or o
    x = add("Transpose", ["input_1"], "t0", perm=[0, 3, 1, 2])
    c, size = 3, 33
    for i, (co, k, s, group) in enumerate([(16, 3, 2, 1), (16, 3, 1, 16), (32, 1, 1, 1), (32, 5, 2, 1)]):
        w = const(f"conv{i}/kernel", rand(rng, co, c // group, k, k))
        x = add("Conv", [x, w], f"conv{i}", auto_pad="SAME_UPPER" if i % 2 == 0 else "SAME_LOWER", strides=[s, s],
                kernel_shape=[k, k], group=group)
        p = [const(f"bn{i}/{n}", v) for n, v in [("g", rng.uniform(.5, 1.5, co).astype("f")), ("b", rand(rng, co)),
             ("m", rand(rng, co)), ("v", rng.uniform(.5, 1.5, co).astype("f"))]]
        x = add("BatchNormalization", [x, *p], f"bn{i}", epsilon=1e-3)
        x = add("Clip", [x, const(f"lo{i}", np.float32(0)), const(f"hi{i}", np.float32(6))], f"relu6_{i}")
        c = co
    x = add("Transpose", [x], "t1", perm=[0, 2, 3, 1])
    axes = np.array([1, 2], np.int64)
    if opset >= 18:
        x = add("ReduceMean", [x, const("axes", axes)], "gap", keepdims=0)
    else:
        x = add("ReduceMean", [x], "gap", axes=[1, 2], keepdims=0)
    x = add("MatMul", [x, const("dense/kernel", rand(rng, 32, 10))], "dense")
    x = add("Add", [x, const("dense/bias", rand(rng, 10))], "logits")
    add("Softmax", [x], "y", axis=-1)
    g = h.make_graph(nodes, "keras", [h.make_tensor_value_info("input_1", T.FLOAT, ["unk__1", size, size, 3])],
                     [h.make_tensor_value_info("y", T.FLOAT, ["unk__1", 10])], init)
    onnx.save(h.make_model(g, opset_imports=[h.make_opsetid("", opset)], producer_name="tf2onnx", ir_version=8), path)
    return {"input_1": rng.standard_normal((2, size, size, 3)).astype(np.float32)}, None


def cntk(path):
    """CNTK's form: opset 8, weights of a product reshaped by nodes, biases broadcast, pooling with explicit pads."""
    rng = np.random.default_rng(4)
    init, nodes = [], []
    const = lambda n, a: init.append(onnx.numpy_helper.from_array(np.asarray(a), n)) or n
    add = lambda op, i, o, **k: nodes.append(h.make_node(op, i, [o], name=f"N{len(nodes)}", **k)) or o
    x = add("Div", ["Input3", const("scale", np.float32(255))], "n0")
    for i, (ci, co, pool) in enumerate([(1, 8, 2), (8, 16, 3)]):
        x = add("Conv", [x, const(f"W{i}", rand(rng, co, ci, 5, 5))], f"c{i}", kernel_shape=[5, 5], strides=[1, 1],
                auto_pad="SAME_UPPER", group=1, dilations=[1, 1])
        x = add("Add", [x, const(f"b{i}", rand(rng, co, 1, 1))], f"p{i}")
        x = add("Relu", [x], f"r{i}")
        x = add("MaxPool", [x], f"m{i}", kernel_shape=[pool, pool], strides=[pool, pool], pads=[0, 0, 0, 0], auto_pad="NOTSET")
    x = add("Reshape", [x, const("s0", np.array([1, 256], np.int64))], "flat")
    w = add("Reshape", [const("W2", rand(rng, 16, 4, 4, 10)), const("s1", np.array([256, 10], np.int64))], "w")
    x = add("MatMul", [x, w], "times")
    add("Add", [x, const("b2", rand(rng, 1, 10))], "Plus214_Output_0")
    inputs = [h.make_tensor_value_info("Input3", T.FLOAT, [1, 1, 28, 28])]
    # Old files list their weights among the inputs.
    inputs += [h.make_tensor_value_info(t.name, t.data_type, t.dims) for t in init]
    g = h.make_graph(nodes, "CNTKGraph", inputs, [h.make_tensor_value_info("Plus214_Output_0", T.FLOAT, [1, 10])], init)
    onnx.save(h.make_model(g, opset_imports=[h.make_opsetid("", 8)], producer_name="CNTK", ir_version=3), path)
    return {"Input3": rng.uniform(0, 255, (1, 1, 28, 28)).astype(np.float32)}, None


def apart(path):
    """Weights in another file."""
    feed, gradient = from_torch("resnet18", 64, False, path)
    model = onnx.load(path)
    onnx.save(model, path, save_as_external_data=True, all_tensors_to_one_file=True, location="weights.bin", size_threshold=0)
    return feed, gradient


def cases():
    for name, size in TORCHVISION.items():
        for dynamo in (False, True):
            yield f"{name} ({'dynamo' if dynamo else 'TorchScript'})", lambda p, n=name, s=size, d=dynamo: from_torch(n, s, d, p)
    yield "resnet18 (external data)", apart
    for opset in (9, 13, 18):
        if opset >= 11:
            yield f"Keras, opset {opset}", lambda p, o=opset: keras(p, o)
    yield "CNTK, opset 8", cntk


def largest(a, b):
    return float(np.abs(a.astype(np.float64) - b).max() / max(1e-30, np.abs(b).max()))


def one(gabor, name, make, place, grad):
    path = place / "model.onnx"
    try:
        # Exporters talk much.
        with contextlib.redirect_stdout(io.StringIO()):
            feed, gradient = make(str(path))
    except Exception as e:  # An exporter's own failure is no news of gabor's.
        return ["not exported: " + (str(e).strip().splitlines() or [type(e).__name__])[0][:90]], True
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    want = session.run(None, feed)
    outputs = [o.name for o in session.get_outputs()]
    words = [gabor, "run", str(path), "--output", str(place / "out")]
    for k, (n, v) in enumerate(feed.items()):
        np.save(place / f"in{k}.npy", v)
        words += ["--input", f"{n}={place / f'in{k}.npy'}"]
    dy = np.random.default_rng(5).standard_normal(want[0].shape).astype(np.float32)
    if grad:
        np.save(place / "dy.npy", dy)
        words += ["--grad", f"{outputs[0]}={place / 'dy.npy'}"]
    started = time.time()
    done = subprocess.run(words, capture_output=True, text=True)
    took = time.time() - started
    if done.returncode:
        return ["refused: " + " | ".join(done.stderr.strip().splitlines()[:4])[:400]], False
    file = lambda n: re.sub(r"[^\w.-]", "_", n) + ".npy"
    d = max(largest(np.load(place / "out" / file(n)), w) for n, w in zip(outputs, want))
    row, good = [f"{d:.1e}"], d < 1e-4
    if grad:
        got = list((place / "out").glob("grad.*"))
        finite = all(np.isfinite(np.load(p)).all() for p in got)
        first = np.load(place / "out" / ("grad." + file(next(iter(feed)))))
        if gradient:
            single, double = gradient(dy)
            g = largest(first, double)
            row += [f"{g:.1e}{'~' if g > 1e-3 else ''}", f"{largest(single, double):.1e}"]
        else:
            row += ["-", "-"]
        row.append(f"{len(got)}")
        good = good and finite
    return row + [f"{took:.1f} s"], good


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--gabor", default="gabor", help="the command")
    p.add_argument("--only", default="", help="a regular expression for names")
    p.add_argument("--no-grad", action="store_true", help="outputs only")
    a = p.parse_args()
    gabor = str(pathlib.Path(a.gabor).resolve()) if "/" in a.gabor else a.gabor
    head = ["difference"] + ([] if a.no_grad else ["of dx", "PyTorch's", "gradients"]) + ["time"]
    print(f"{'model':52}" + "".join(f"{t:>12}" for t in head), flush=True)
    bad = 0
    for name, make in cases():
        if not re.search(a.only, name):
            continue
        with tempfile.TemporaryDirectory(prefix="gabor-producers-") as d:
            row, good = one(gabor, name, make, pathlib.Path(d), not a.no_grad)
        text = row[0] if len(row) == 1 else "".join(f"{t:>12}" for t in row)
        print(f"{name:52}{text}{'' if good else '   *'}", flush=True)
        bad += not good
    print("all outputs within 1e-4" if not bad else f"{bad} beyond")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
