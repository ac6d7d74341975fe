"""Checks a run of `gabor train --json` by its last event: the accuracy, the files, and the model by other people's code.

  python check_run.py train.jsonl
"""
import json
import pathlib
import sys

import numpy
import onnx
import onnxruntime

result = json.loads(pathlib.Path(sys.argv[1]).read_text().splitlines()[-1])
print("top-1 accuracy on the test digits", result["top1"], "in", round(result["seconds"], 1), "s")
assert result["top1"] >= 0.98, "the digits want 98 %"

run = pathlib.Path(result["run"])
for name in ("config.toml", "metrics.jsonl", "model.onnx", "report.html", "checkpoints/last.safetensors"):
    assert (run / name).exists(), f"the run directory has no {name}"
report = (run / "report.html").read_text()
assert "src=\"http" not in report and "href=\"http" not in report.split("</style>")[0], "the report is not self-contained"

onnx.checker.check_model(onnx.load(result["model"]), full_check=True)
session = onnxruntime.InferenceSession(result["model"])
first = session.get_inputs()[0]
for n in (1, 3):
    shape = [n] + [d for d in first.shape[1:]]
    y = session.run(None, {first.name: numpy.zeros(shape, numpy.float32)})[0]
    assert y.shape == (n, 10) and numpy.isfinite(y).all(), f"ONNX Runtime answers {y.shape}"
print("onnx.checker and ONNX Runtime accept", run.name + "/model.onnx", "with", first.name, first.shape)
