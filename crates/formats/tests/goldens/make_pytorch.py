"""Files that PyTorch writes, as goldens for gabor's reader: `pytorch/*.pth`, and what is in them as `pytorch/expected.json`.

    python make_pytorch.py
"""

import argparse
import collections
import json
import os
from pathlib import Path

import numpy
import torch

HERE = Path(__file__).parent / "pytorch"
HERE.mkdir(exist_ok=True)
expected = {}


def save(name, value, state, legacy=False):
    torch.save(value, HERE / name, _use_new_zipfile_serialization=not legacy)
    expected[name] = {
        k: {"dtype": str(v.dtype).removeprefix("torch."), "shape": list(v.shape), "values": v.double().flatten().tolist()}
        for k, v in state.items()
    }


def types():
    state = collections.OrderedDict()
    state["module.f32"] = torch.tensor([[1.5, -2.25, 3e-8], [4e30, -0.0, 7.0]])
    for dtype in [torch.float64, torch.float16, torch.bfloat16]:
        state[f"module.{dtype}"[:-2]] = torch.tensor([0.1, -65504.0, 2.0**-14, 1e-7], dtype=dtype)
    for dtype, least in [(torch.int64, -(2**31)), (torch.int32, -(2**31)), (torch.int16, -(2**15)), (torch.int8, -128)]:
        state[f"module.{dtype}"] = torch.tensor([least, -least - 1, 3], dtype=dtype)
    state["module.u8"] = torch.tensor([0, 255], dtype=torch.uint8)
    state["module.bool"] = torch.tensor([True, False, True])
    state["module.bn.num_batches_tracked"] = torch.tensor(1234)
    state["module.empty"] = torch.zeros(0, 3)
    return state


def views():
    whole = torch.arange(24, dtype=torch.float32)
    tied = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    return {
        "transposed": whole.reshape(4, 6).t(),
        "slice": whole[5:9],
        "stepped": whole[1::5],
        "expanded": whole[3:5].reshape(2, 1).expand(2, 4),
        "channels_last": (torch.arange(24).float() / 2).reshape(1, 2, 3, 4).to(memory_format=torch.channels_last),
        "tied.a": tied,
        "tied.b": tied,
    }


save("types.pth", types(), types())
wide = {"u16": torch.tensor([65535, 1], dtype=torch.uint16), "u32": torch.tensor([7, 2**31 - 1], dtype=torch.uint32)}
save("wide.pth", wide, wide)
save("types_legacy.pth", types(), types(), legacy=True)
save("views.pth", views(), views())
save("views_legacy.pth", views(), views(), legacy=True)

net = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 1), torch.nn.BatchNorm2d(2))
with torch.no_grad():
    for i, p in enumerate(net.parameters()):
        p.copy_(torch.arange(p.numel()).reshape(p.shape) + i)
optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
net(torch.ones(2, 1, 2, 2)).sum().backward()
optimiser.step()
schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, [1, 3])
checkpoint = {
    "epoch": 3,
    "best": numpy.float64(91.5),
    "args": argparse.Namespace(arch="resnet20", lr=0.1),
    "optimizer": optimiser.state_dict(),
    "scheduler": schedule.state_dict(),
    "state_dict": net.state_dict(),
    "ema": {"0.weight": torch.zeros(2, 1, 1, 1)},
}
save("checkpoint.pth", checkpoint, net.state_dict())


# What must be refused.
class Payload:
    def __reduce__(self):
        return os.system, ("touch gabor-was-here",)


torch.save({"weight": torch.ones(1), "x": Payload()}, HERE / "payload.pth")
torch.save({"weight": torch.ones(1), "x": Payload()}, HERE / "payload_legacy.pth", _use_new_zipfile_serialization=False)
torch.save(net, HERE / "module.pth")
torch.jit.script(torch.nn.Sequential(torch.nn.Linear(1, 1))).save(HERE / "script.pt")
torch.save({"x": torch.ones(1, dtype=torch.complex64)}, HERE / "complex.pth")
torch.save({"x": torch.ones(1).to(torch.float8_e5m2)}, HERE / "float8.pth")
torch.save({"x": torch.tensor([2**40])}, HERE / "too_wide.pth")
torch.save({"epoch": 3, "x": [torch.ones(1)]}, HERE / "no_weights.pth")
torch.save([torch.ones(1)], HERE / "list.pth")
text = json.dumps(expected)
(HERE / "expected.json").write_text(text + "\n")
