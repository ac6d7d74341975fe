#!/usr/bin/env python3
"""Compare gabor's networks with PyTorch's on random weights: names, outputs and every gradient.

    python bench/pytorch/networks.py
    python bench/pytorch/networks.py --all
    python bench/pytorch/networks.py --only 'resne|vgg' --gabor target/release/gabor

README.md says what is compared. Prints a table; fails if a network differs by more than is allowed.
"""

import argparse
import copy
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime
import timm
import torch
import torchvision
from safetensors.torch import load_file, save_file

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "crates", "nets", "tests"))
import make_families as own  # noqa: E402

FORWARD, GRADIENT = 1e-4, 1e-3
CLASSES = 10


def tv(name, **options):
    if name in ("googlenet", "inception_v3"):
        options.update(aux_logits=False, init_weights=False)
    return lambda: getattr(torchvision.models, name)(weights=None, num_classes=CLASSES, **options)


def tm(name):
    return lambda: timm.create_model(name, num_classes=CLASSES)


def networks(every):
    """gabor's name, a function that makes PyTorch's network, extents of one sample; all networks or one or two a family."""
    def same(side, *names):
        return [(n, tv(n), (3, side, side)) for n in names]

    yield "lenet5", own.LeNet5, (1, 28, 28)
    yield "alexnet_two_group", lambda: own.AlexNet(CLASSES, groups=2, lrn=True), (3, 227, 227)
    yield "alexnet_torchvision", tv("alexnet"), (3, 96, 96)
    yield "zfnet", lambda: own.AlexNet(CLASSES, lrn=True, zf=True), (3, 224, 224)
    yield from same(48, "vgg11_bn")
    yield from same(64, "googlenet")
    yield from same(75, "inception_v3")
    yield from same(48, "resnet18", "resnet50", "wide_resnet50_2", "resnext50_32x4d")
    yield "preresnet18", tm("resnetv2_18"), (3, 48, 48)
    yield "preresnet50", tm("resnetv2_50"), (3, 48, 48)
    yield "resnet20", lambda: own.CifarResNet(3), (3, 32, 32)
    yield "preresnet110", lambda: own.CifarResNet(18, 1, "padded"), (3, 32, 32)
    yield "preresnet164", lambda: own.CifarResNet(18, 1, "bottleneck"), (3, 32, 32)
    yield "wrn_16_8", lambda: own.CifarResNet(2, 8, "basic"), (3, 32, 32)
    yield from same(48, "densenet121", "squeezenet1_0", "squeezenet1_1")
    yield "mobilenet_v1", tm("mobilenetv1_100"), (3, 64, 64)
    yield from same(64, "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", "shufflenet_v2_x1_0")
    yield from same(64, "efficientnet_b0", "efficientnet_b4", "convnext_tiny")
    yield "alphago_policy", lambda: own.AlphaGo(192, 19), (48, 19, 19)
    yield "darknet_tiny", lambda: own.Darknet(own.TINY, CLASSES, 1e-3), (3, 64, 64)
    yield "darknet19", lambda: own.Darknet(own.DARKNET_19, CLASSES, 1e-5), (3, 64, 64)
    # The other families by their tiny siblings, whose sizes the definitions know.
    for name, model, shape in own.NETWORKS:
        if name.startswith(("tiny_text", "tiny_document", "tiny_c3d", "tiny_unet", "tiny_fcn")):
            yield name, lambda model=model: model, shape
    if not every:
        return
    yield "alexnet", lambda: own.AlexNet(CLASSES), (3, 227, 227)
    yield from same(48, "vgg11", "vgg13", "vgg16", "vgg19", "vgg13_bn", "vgg16_bn", "vgg19_bn")
    yield from same(48, "resnet34", "resnet101", "resnet152", "wide_resnet101_2", "resnext101_32x8d", "resnext101_64x4d")
    for depth in (34, 101, 152):
        yield f"preresnet{depth}", tm(f"resnetv2_{depth}"), (3, 48, 48)
    for depth in (32, 44, 56, 110):
        yield f"resnet{depth}", lambda n=depth // 6: own.CifarResNet(n), (3, 32, 32)
    yield "wrn_28_10", lambda: own.CifarResNet(4, 10, "basic"), (3, 32, 32)
    yield from same(48, "densenet161", "densenet169", "densenet201")
    yield from same(64, "shufflenet_v2_x0_5", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0")
    yield from same(64, "efficientnet_b1", "efficientnet_b2", "efficientnet_b3", "convnext_small")
    yield "darknet", lambda: own.Darknet(own.REFERENCE, CLASSES, 1e-5), (3, 64, 64)


def randomise(model, x, generator):
    """Weights that keep the signal's size, and running statistics as of this input.

    A ReLU has no derivative at 0, and where float32 and float64 fall on different sides of it, whole gradients differ
    though nobody is wrong. So before a ReLU values of mean 0 and deviation 1 in these inputs get a bias of 3 or -3: a unit
    in a thousand crosses zero, and hardly one comes near it. In networks without normalisation the weights bring the
    values there. Smooth activations need no such care."""
    kinks = not any(isinstance(m, (torch.nn.SiLU, torch.nn.Hardswish, torch.nn.GELU)) for m in model.modules())
    norms = [m for m in model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]

    def normal(p, mean, std):
        p.copy_(torch.randn(p.shape, generator=generator) * std + mean)

    def signs(p):
        return 3 * torch.randn(p.shape, generator=generator).sign()

    def to_unit(module, inputs, output):
        """Filter by filter to mean 0, deviation 1, then the bias; units that see all together, since samples are few."""
        axes = [i for i in range(output.dim()) if i != 1]
        along = [1, -1] + [1] * (output.dim() - 2)
        plain = output - module.bias.view(along)
        if output.dim() == 2:
            mean, std = plain.mean().expand(len(module.bias)), plain.std().expand(len(module.bias))
        else:
            mean, std = plain.mean(axes), plain.std(axes).clamp(min=1e-2)
        module.weight.div_(std.view([-1] + [1] * (module.weight.dim() - 1)))
        module.bias.copy_(signs(module.bias) - mean / std)
        return plain / std.view(along) + module.bias.view(along)

    with torch.no_grad():
        for name, p in model.named_parameters():
            fan_in = p[0].numel() if p.dim() > 1 else 1
            if name.endswith("bias"):
                normal(p, 0.0, 0.1)
            elif fan_in == 1:
                # Scales: around 1, so that no branch vanishes.
                normal(p, 1.0, 0.2)
            else:
                normal(p, 0.0, 1.4 * fan_in ** -0.5)
        for m in norms:
            m.momentum = 1.0
            if kinks:
                m.bias += signs(m.bias)
        if kinks and not norms:
            weighted = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
            hooks = [m.register_forward_hook(to_unit) for m in model.modules()
                     if isinstance(m, weighted) and m.bias is not None]
            model(x)
            for hook in hooks:
                hook.remove()
        if norms:
            model.train()
            model(x)
            for m in norms:
                m.running_var.clamp_(min=1e-2)
    model.eval()


def difference(a, b):
    """Largest difference relative to the largest magnitude; a tensor of zeros must be zeros."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or not np.isfinite(a).all():
        return float("inf")
    largest = np.abs(b).max(initial=0.0)
    worst = np.abs(a - b).max(initial=0.0)
    return worst / largest if largest else (0.0 if worst == 0 else float("inf"))


def pytorch(model, x, dy):
    """Outputs and gradients by name, in the precision of the model."""
    dtype = next(model.parameters()).dtype
    y = model(x.to(dtype) if x.is_floating_point() else x)
    model.zero_grad()
    (y * dy.to(dtype)).sum().backward()
    return y.detach().numpy(), {k: p.grad.numpy() for k, p in model.named_parameters()}


def worst(found, truth):
    """The largest difference over all gradients and whose it is."""
    return max((difference(found[k], g), k) for k, g in truth.items())


def compare(gabor, folder, name, build, shape, draw):
    """A row of the table."""
    generator = torch.Generator().manual_seed(draw)

    def path(file):
        return os.path.join(folder, file)

    def run(*arguments):
        done = subprocess.run([gabor, *arguments, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode:
            raise RuntimeError(done.stderr.decode(errors="replace").strip())
        return json.loads(done.stdout)

    def samples(n):
        if len(shape) == 1:
            return torch.randint(0, 50, (n, *shape), generator=generator)
        return torch.randn(n, *shape, generator=generator)

    torch.manual_seed(draw)
    model, x = build().float(), samples(4)
    randomise(model, x, generator)
    state = {k: v.contiguous() for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    save_file(state, path("w.safetensors"))
    x = x[:2].clone()
    with torch.no_grad():
        y = model(x)
    dy = torch.randn(y.shape, generator=generator)
    np.save(path("x.npy"), x.numpy().astype(np.float32 if x.is_floating_point() else np.int32))
    np.save(path("dy.npy"), dy.numpy())
    with open(path("classes.txt"), "w") as f:
        f.writelines(f"class {i}\n" for i in range(y.shape[1]))
    # A segmentation's scores belong to places: it has no names of classes, and their published number.
    classes = ["--classes", path("classes.txt")] if y.dim() == 2 else []
    run("convert", path("w.safetensors"), path("m.onnx"), "--net", name, "--input", "x".join(map(str, shape)), *classes)
    run("convert", path("m.onnx"), path("back.safetensors"))
    back = load_file(path("back.safetensors"))
    if back.keys() != state.keys() or any(not torch.equal(back[k], v) for k, v in state.items()):
        raise RuntimeError(f"names or numbers changed: {sorted(back.keys() ^ state.keys())[:5]}")
    del back
    inputs = "images" if x.is_floating_point() else "tokens"
    start = time.monotonic()
    files = run("run", path("m.onnx"), "--input", f"{inputs}={path('x.npy')}", "--output", path("out"),
                "--grad", path("dy.npy"))
    seconds = time.monotonic() - start
    (output,) = files["outputs"].values()
    at = {k: v["file"] if os.path.exists(v["file"]) else path(os.path.join("out", v["file"]))
          for k, v in files["gradients"].items()}
    mine = np.load(output["file"] if os.path.exists(output["file"]) else path(os.path.join("out", output["file"])))
    gradients = {k: np.load(f) for k, f in at.items() if k != inputs}
    session = onnxruntime.InferenceSession(path("m.onnx"), providers=["CPUExecutionProvider"])
    other = session.run(None, {inputs: np.load(path("x.npy"))})[0]
    single, single_gradients = pytorch(model, x, dy)
    truth, true_gradients = pytorch(copy.deepcopy(model).double(), x, dy)
    if gradients.keys() != true_gradients.keys():
        missing = sorted(true_gradients.keys() - gradients.keys())
        gradients = {k: v for k, v in gradients.items() if k in true_gradients}
        if missing:
            raise RuntimeError(f"no gradients of {missing[:5]}")
    gradient, whose = worst(gradients, true_gradients)
    return {
        "network": name, "input": "x".join(map(str, shape)), "tensors": len(state),
        "parameters": sum(p.numel() for p in model.parameters()),
        "output": difference(mine, truth), "torch_output": difference(single, truth),
        "onnx": difference(other, truth),
        "gradient": gradient, "of": whose, "torch_gradient": worst(single_gradients, true_gradients)[0],
        "seconds": seconds, "draw": draw,
    }


def build_gabor():
    """gabor's release binary."""
    if subprocess.run(["cargo", "build", "--release", "--locked", "-p", "gabor-cli"], cwd=ROOT).returncode:
        sys.exit("gabor does not build")
    metadata = subprocess.run(["cargo", "metadata", "--format-version=1", "--no-deps"], cwd=ROOT,
                              stdout=subprocess.PIPE, check=True).stdout
    return os.path.join(json.loads(metadata)["target_directory"], "release", "gabor")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="all networks; left out: one or two of each family")
    parser.add_argument("--draws", type=int, default=3, metavar="N",
                        help="random weights and inputs to try where a gradient differs: a ReLU has a kink (default: 3)")
    parser.add_argument("--threads", type=int, metavar="N", help="PyTorch's threads")
    parser.add_argument("--only", metavar="REGEX", default="", help="networks whose name matches")
    parser.add_argument("--gabor", metavar="FILE", help="the command; left out: built in release mode")
    parser.add_argument("--json", action="store_true", help="a line of JSON per network")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    gabor = os.path.abspath(options.gabor) if options.gabor else build_gabor()
    row = "{:<20} {:>10} {:>11} {:>9} {:>9} {:>9} {:>9} {:>9} {:>5}  {}"
    if not options.json:
        print(row.format("network", "input", "parameters", "output", "(torch)", "(onnx)", "gradient", "(torch)", "draw", "of"))
    failed = 0
    for name, build, shape in networks(options.all):
        if not re.search(options.only, name):
            continue
        for draw in range(1, options.draws + 1):
            with tempfile.TemporaryDirectory() as folder:
                try:
                    r = compare(gabor, folder, name, build, shape, draw)
                except RuntimeError as e:
                    r = {"network": name, "error": str(e)}
            bad = "error" in r or not (max(r["output"], r["onnx"]) <= FORWARD and r["gradient"] <= GRADIENT)
            # Another output or an error is no matter of a kink; a gradient may be, in one draw.
            if not bad or "error" in r or max(r["output"], r["onnx"]) > FORWARD:
                break
        failed += bad
        if "error" in r:
            print(json.dumps(r) if options.json else f"{name}: FAILED: {r['error']}", flush=True)
            continue
        if options.json:
            print(json.dumps(r), flush=True)
        else:
            numbers = [f"{r[k]:.1e}" for k in ("output", "torch_output", "onnx", "gradient", "torch_gradient")]
            print(row.format(name, r["input"], f"{r['parameters']:,}", *numbers, r["draw"],
                             r["of"] + ("  FAILED" if bad else "")), flush=True)
    if failed:
        sys.exit(f"{failed} networks differ: allowed are {FORWARD} for outputs and {GRADIENT} for gradients")


if __name__ == "__main__":
    main()
