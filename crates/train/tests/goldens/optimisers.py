"""Trajectories of PyTorch's optimisers and values of its schedules, for optimisers.json and schedules.json.

Softmax regression with 12 samples, 4 features and 3 classes, in double precision:
  python optimisers.py
"""
import json
import pathlib
import torch
from torch.optim import lr_scheduler as sched

HERE = pathlib.Path(__file__).parent
STEPS = [1, 2, 3, 5, 10, 20, 50, 100]
torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
X = torch.randn(12, 4).float().double()
Y = torch.arange(12) % 3
W0 = (torch.randn(3, 4) * 0.5).float().double()
B0 = (torch.randn(3) * 0.5).float().double()

CASES = {
    "sgd": (torch.optim.SGD, dict(lr=0.1)),
    "sgd decay": (torch.optim.SGD, dict(lr=0.1, weight_decay=0.05)),
    "momentum": (torch.optim.SGD, dict(lr=0.05, momentum=0.9, weight_decay=1e-3)),
    "dampened": (torch.optim.SGD, dict(lr=0.05, momentum=0.9, dampening=0.5)),
    "nesterov": (torch.optim.SGD, dict(lr=0.05, momentum=0.9, nesterov=True)),
    "adagrad": (torch.optim.Adagrad, dict(lr=0.1, lr_decay=0.01, weight_decay=1e-3)),
    "adagrad initial": (torch.optim.Adagrad, dict(lr=0.1, initial_accumulator_value=0.1)),
    "rmsprop": (torch.optim.RMSprop, dict(lr=0.01, weight_decay=1e-3)),
    "rmsprop centred": (torch.optim.RMSprop, dict(lr=0.01, momentum=0.5, centered=True)),
    "adadelta": (torch.optim.Adadelta, dict(lr=1.0, weight_decay=1e-3)),
    "adam": (torch.optim.Adam, dict(lr=0.01, weight_decay=1e-3)),
    "amsgrad": (torch.optim.Adam, dict(lr=0.01, amsgrad=True)),
    "adamw": (torch.optim.AdamW, dict(lr=0.01, weight_decay=0.1)),
    "clip norm": (torch.optim.SGD, dict(lr=0.1)),
    "clip value": (torch.optim.SGD, dict(lr=0.1)),
    "accumulate": (torch.optim.AdamW, dict(lr=0.01, weight_decay=0.1)),
}


def number(v):
    return float(f"{v:.10g}")


def trajectory(name, kind, options):
    w, b = W0.clone().requires_grad_(), B0.clone().requires_grad_()
    optimiser = kind([w, b], **options)
    points = []
    for step in range(1, 101):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(X @ w.T + b, Y)
        loss.backward()
        if name == "clip norm":
            torch.nn.utils.clip_grad_norm_([w, b], 0.2)
        if name == "clip value":
            torch.nn.utils.clip_grad_value_([w, b], 0.05)
        optimiser.step()
        if step in STEPS:
            points.append([number(v) for v in torch.cat([w.flatten(), b]).tolist()])
    return points


def lbfgs(steps):
    w, b = W0.clone().requires_grad_(), B0.clone().requires_grad_()
    optimiser = torch.optim.LBFGS([w, b], lr=0.5, max_iter=1, history_size=10)

    def closure():
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(X @ w.T + b, Y)
        loss.backward()
        return loss

    points = []
    for _ in range(steps):
        optimiser.step(closure)
        points.append([number(v) for v in torch.cat([w.flatten(), b]).tolist()])
    return points


def rates(make, base, total):
    p = torch.zeros(1, requires_grad=True)
    o = torch.optim.SGD([p], lr=base)
    s = make(o)
    out = [o.param_groups[0]["lr"]]
    for _ in range(total - 1):
        o.step()
        s.step()
        out.append(o.param_groups[0]["lr"])
    return out


SCHEDULES = [
    ("constant", 0.1, 10, lambda o: sched.ConstantLR(o, factor=1.0)),
    ("step:4", 0.1, 20, lambda o: sched.StepLR(o, 4)),
    ("milestones:3,7:0.2", 0.1, 12, lambda o: sched.MultiStepLR(o, [3, 7], 0.2)),
    ("exponential:0.9", 0.1, 12, lambda o: sched.ExponentialLR(o, 0.9)),
    ("cosine", 0.3, 17, lambda o: sched.CosineAnnealingLR(o, 17)),
    ("cosine-restarts:4", 0.3, 17, lambda o: sched.CosineAnnealingWarmRestarts(o, 4)),
    ("cosine-restarts:3:2:0.1", 0.3, 25, lambda o: sched.CosineAnnealingWarmRestarts(o, 3, 2, 0.03)),
    ("one-cycle", 0.5, 40, lambda o: sched.OneCycleLR(o, 0.5, total_steps=40)),
    ("warmup:5+step:3", 0.2, 20, lambda o: sched.SequentialLR(
        o, [sched.LinearLR(o, 0.2, 1.0, 4), sched.StepLR(o, 3)], [5])),
]

if __name__ == "__main__":
    out = dict(
        torch=torch.__version__,
        x=[number(v) for v in X.flatten().tolist()],
        w=[number(v) for v in W0.flatten().tolist()],
        b=[number(v) for v in B0.flatten().tolist()],
        steps=STEPS,
        lbfgs=lbfgs(12),
        cases={name: trajectory(name, *case) for name, case in CASES.items()},
    )
    (HERE / "optimisers.json").write_text(json.dumps(out, separators=(",", ":")).replace('],"', '],\n"') + "\n")
    lines = [json.dumps(dict(schedule=t, base=b, rates=rates(m, b, n))) for t, b, n, m in SCHEDULES]
    (HERE / "schedules.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")
