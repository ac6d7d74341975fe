"""Reads a run's event files with TensorBoard's own reader and compares them with metrics.jsonl.

  python read_events.py RUN [FEWEST_FILES]

Exits with 77 where TensorBoard is not installed. (A script called tensorboard.py would import itself.)
"""
import json
import pathlib
import struct
import sys

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError:
    sys.exit(77)

run = pathlib.Path(sys.argv[1])
files = sorted(run.glob("events.out.tfevents.*"))
assert len(files) >= int(sys.argv[2] if len(sys.argv) > 2 else 1), files
reader = EventAccumulator(str(run), size_guidance={"scalars": 0})
reader.Reload()


def f32(v):
    return struct.unpack("f", struct.pack("f", v))[0]


want, step = {}, 0
for line in (run / "metrics.jsonl").read_text().splitlines():
    e = json.loads(line)
    step = e.get("step", step)
    values = {}
    if e["event"] == "step":
        values = {f"step/{k}": e[k] for k in ("loss", "top1", "lr", "gradient_norm", "images_per_second")}
    elif e["event"] == "epoch":
        for part in ("train", "validation"):
            values[f"loss/{part}"], values[f"top1/{part}"] = e[f"{part}_loss"], e[f"{part}_top1"]
    elif e["event"] == "gradients":
        values = {f"gradient_norm/{name}": v for name, v in e["norms"].items()}
    elif e["event"] == "evaluated":
        values = {f"loss/{e['split']}": e["loss"], f"top1/{e['split']}": e["top1"]}
    for tag, v in values.items():
        if v is not None:
            want.setdefault(tag, []).append((step, f32(v)))

tags = set(reader.Tags()["scalars"])
assert tags == set(want), (tags, set(want))
for tag, points in want.items():
    got = [(s.step, s.value) for s in reader.Scalars(tag)]
    # A process that was killed between its two files leaves one event in only one of them, and repeats it.
    assert got == points, (tag, got, points)
    times = [s.wall_time for s in reader.Scalars(tag)]
    assert times == sorted(times), tag
print(f"{len(files)} files, {len(want)} tags, {sum(map(len, want.values()))} values")
