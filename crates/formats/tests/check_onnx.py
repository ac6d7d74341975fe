"""Checks ONNX files with onnx.checker and runs them with ONNX Runtime.

usage: check_onnx.py DIRECTORY

DIRECTORY/cases.json lists cases: model, inputs and expected outputs as .npy files, and a tolerance. Prints every case
that fails and exits with 1 if one did, with 3 if the packages are missing.
"""

import json
import sys
from pathlib import Path

try:
    import numpy as np
    import onnx
    import onnxruntime
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(3)


def check(directory, case):
    path = directory / case["model"]
    onnx.checker.check_model(onnx.load(path), full_check=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    inputs = {name: np.load(directory / f) for name, f in case["inputs"].items()}
    names = list(case["outputs"])
    for name, y in zip(names, session.run(names, inputs)):
        want = np.load(directory / case["outputs"][name])
        if y.shape != want.shape:
            raise AssertionError(f"{name}: shape {y.shape}, expected {want.shape}")
        if y.dtype != want.dtype:
            raise AssertionError(f"{name}: {y.dtype}, expected {want.dtype}")
        np.testing.assert_allclose(y, want, rtol=case["tolerance"], atol=case["tolerance"], err_msg=name)


def main():
    directory = Path(sys.argv[1])
    cases = json.loads((directory / "cases.json").read_text())
    failed = 0
    for case in cases:
        try:
            check(directory, case)
        except Exception as e:  # every kind of failure is a finding
            failed += 1
            print(f"FAILED {case['name']}\n    {str(e).strip()[:600]}")
    print(f"{len(cases) - failed} of {len(cases)} files agree with onnx {onnx.__version__}, "
          f"onnxruntime {onnxruntime.__version__}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
