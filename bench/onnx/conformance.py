#!/usr/bin/env python3
"""The conformance cases of the `onnx` package through `gabor run`.

    python bench/onnx/conformance.py --gabor target/release/gabor            # table by operator, and what is refused
    python bench/onnx/conformance.py --gabor … --check                       # exit code 1 if a case of passing.txt fails
    python bench/onnx/conformance.py --gabor … --write                       # writes passing.txt anew

Every node case (`onnx.backend.test`, one or a few operators each) and every light_* model is written to a directory, run
by one process, and its outputs compared with the stored ones: shapes exactly, whole numbers and truths exactly, floats
with the case's own tolerances (rtol 1e-3 and atol 1e-7 unless it says otherwise, bfloat16 within two of its units).

A case is *applicable* if its operator belongs to convolutional networks; NOT_APPLICABLE says why others do not.
Needs Python with numpy, onnx and ml_dtypes (which onnx brings).
"""
import argparse
import collections
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import warnings

warnings.simplefilter("ignore")
import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests

HERE = pathlib.Path(__file__).resolve().parent

# Operators that convolutional networks do not have, by reason. Everything else is applicable.
NOT_APPLICABLE = {
    "attention and what language models are made of": """
        SwiGLU Attention FlexAttention LinearAttention RotaryEmbedding TensorScatter CausalConvWithState""",
    "recurrent networks": "RNN GRU LSTM ReverseSequence",
    "control flow: a graph here has none": "If Loop Scan",
    "sequences, optionals and maps are no tensors": """
        SequenceMap SequenceInsert SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceLength SplitToSequence
        ConcatFromSequence OptionalHasElement OptionalGetElement Optional""",
    "text": """
        StringConcat StringSplit StringNormalizer RegexFullMatch TfIdfVectorizer LabelEncoder""",
    "classical machine learning (ai.onnx.ml)": "ArrayFeatureExtractor Binarizer TreeEnsemble",
    "optimisers as operators (ai.onnx.preview.training)": "Adam Adagrad Momentum Gradient",
    "signal processing": "DFT STFT MelWeightMatrix HannWindow HammingWindow BlackmanWindow",
    "the shape of the result depends on values": "Unique NonMaxSuppression Compress NonZero",
    "decoding of image files": "ImageDecoder",
    "random numbers: no case has an answer": "Bernoulli RandomNormal RandomUniform RandomNormalLike RandomUniformLike Multinomial",
    "arithmetic in 8 bits: networks compute in f32 here": """
        QLinearConv QLinearMatMul ConvInteger MatMulInteger DynamicQuantizeLinear QuantizeLinear DequantizeLinear""",
    "bit patterns": "BitShift BitCast BitwiseAnd BitwiseOr BitwiseXor BitwiseNot",
    "linear algebra beside products": "Det",
}
WHY = {op: why for why, ops in NOT_APPLICABLE.items() for op in ops.split()}
# Element types that no tensor of a convolutional network has: text, complex numbers and floats of less than 16 bits.
SUPPORTED_TYPES = {1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 16}


def family(case):
    """The operator that a case is about: of an expanded one, the operator whose function it is."""
    nodes = case.model.graph.node
    if len(nodes) == 1 and not case.name.endswith("_expanded"):
        return nodes[0].op_type
    return EXPANDED.get(base_name(case.name), nodes[0].op_type if len(nodes) == 1 else None)


def base_name(name):
    return re.sub(r"_expanded(_ver\d+)?$", "", name)


def reason(case, op):
    """Why a case is not applicable, or None."""
    if op is None:
        return "several operators at once"
    if op in WHY:
        return WHY[op]
    used = {n.op_type for n in case.model.graph.node}
    inside = sorted(WHY[o] for o in used if o in ("If", "Loop", "Scan") or "Sequence" in o)
    if inside:
        return inside[0]
    if case.name.startswith("test_training_dropout") and "zero_ratio" not in case.name:
        return WHY["Bernoulli"]
    domains = {n.domain for n in case.model.graph.node} - {"", "ai.onnx"}
    if domains:
        return f"operators of domain {', '.join(sorted(domains))}"
    version = max((o.version for o in case.model.opset_import if o.domain in ("", "ai.onnx")), default=0)
    if version < 7:
        return "an opset before 7"
    g = case.model.graph
    kinds = {v.type.tensor_type.elem_type for v in [*g.input, *g.output]}
    kinds |= {a.t.data_type for n in g.node for a in n.attribute if a.HasField("t")}
    kinds |= {a.i for n in g.node if n.op_type == "Cast" for a in n.attribute if a.name == "to"}
    if kinds - SUPPORTED_TYPES:
        return "text, complex numbers or floats of 8 bits and less"
    return None


def close(got, want, case):
    """None, or how the two differ."""
    if got.shape != want.shape:
        return f"shape {list(got.shape)} where {list(want.shape)} is right"
    name = want.dtype.name
    if name == "bfloat16":
        want, rtol = want.astype(np.float32), max(case.rtol, 2.0**-6)
    else:
        rtol = case.rtol
        if got.dtype != want.dtype:
            return f"{got.dtype} where {want.dtype} is right"
    if want.dtype.kind in "biu":
        bad = got != want
    else:
        bad = ~np.isclose(got.astype(np.float64), want.astype(np.float64), rtol=rtol, atol=case.atol, equal_nan=True)
    if bad.any():
        at = tuple(np.argwhere(bad)[0]) if bad.ndim else ()
        return f"{int(bad.sum())} of {bad.size} elements differ, first {got[at]} for {want[at]}"
    return None


def run(gabor, case, place):
    """Runs one case; None or what is wrong."""
    directory = place / case.name
    directory.mkdir()
    model = directory / "model.onnx"
    model.write_bytes(case.model.SerializeToString())
    names = [i.name for i in case.model.graph.input]
    for k, (inputs, outputs) in enumerate(case.data_sets):
        words = [gabor, "run", str(model), "--output", str(directory / f"out{k}"), "--threads", "1"]
        for name, value in zip(names, inputs):
            path = directory / f"in{k}.{len(words)}.pb"
            if value is None:
                continue
            if not isinstance(value, onnx.TensorProto):
                value = numpy_helper.from_array(np.asarray(value), name)
            path.write_bytes(value.SerializeToString())
            words += ["--input", f"{name}={path}"]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=300)
        except subprocess.TimeoutExpired:
            return "no answer in 300 s"
        if done.returncode != 0:
            text = done.stderr.replace(str(directory) + "/", "").replace(str(model), "model.onnx").strip()
            return "refused: " + text
        for info, want in zip(case.model.graph.output, outputs):
            if want is None or not info.name:
                continue
            if isinstance(want, onnx.TensorProto):
                want = numpy_helper.to_array(want)
            file = re.sub(r"[^\w.-]", "_", info.name)
            got = np.load(directory / f"out{k}" / f"{file}.npy")
            wrong = close(got, np.asarray(want), case)
            if wrong:
                return f"output {info.name}: {wrong}"
    return None


class Light:
    """A light_* model with its stored output, as a case."""

    rtol, atol = 1e-3, 1e-7

    def __init__(self, path):
        self.name = path.stem
        self.model = onnx.load(path)
        known = {i.name for i in self.model.graph.initializer}
        inputs = []
        for i in self.model.graph.input:
            shape = [d.dim_value for d in i.type.tensor_type.shape.dim]
            # As the package's own runner: numbers of every place divided by their count.
            n = int(np.prod(shape))
            value = (np.arange(n).reshape(shape) / n).astype(np.float32) if i.name not in known else None
            inputs.append(value)
        want = onnx.TensorProto.FromString(path.with_name(path.stem + "_output_0.pb").read_bytes())
        self.data_sets = [(inputs, [want])]


def light_cases():
    data = pathlib.Path(onnx.__file__).parent / "backend/test/data/light"
    return [Light(p) for p in sorted(data.glob("*.onnx"))]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--gabor", default="gabor", help="the command")
    p.add_argument("--only", default="", help="a regular expression for names of cases")
    p.add_argument("--jobs", type=int, default=os.cpu_count())
    p.add_argument("--light", action="store_true", help="the light_* models too: a minute in a release build")
    p.add_argument("--check", action="store_true", help="fail if a case of passing.txt does not pass")
    p.add_argument("--write", action="store_true", help="write passing.txt")
    p.add_argument("--failures", action="store_true", help="print every applicable case that does not pass, in full")
    p.add_argument("--all", action="store_true", help="run the cases that are not applicable, too")
    a = p.parse_args()
    started = time.time()
    gabor = str(pathlib.Path(a.gabor).resolve()) if "/" in a.gabor else a.gabor
    passing = HERE / "passing.txt"
    listed = [] if a.write or not passing.exists() else passing.read_text().split()
    listed = [n for n in listed if a.light or not n.startswith("light_")]
    cases = [c for k in ("node", "simple", "pytorch-converted", "pytorch-operator") for c in load(k)]
    for c in cases:
        if len(c.model.graph.node) == 1 and "_expanded" not in c.name:
            EXPANDED[c.name] = c.model.graph.node[0].op_type
    if a.light:
        cases += light_cases()
    if a.check:
        cases = [c for c in cases if c.name in set(listed)]
    cases = [c for c in cases if re.search(a.only, c.name)]
    rows = collections.defaultdict(lambda: [0, 0, 0])
    refused, excluded, passed = [], collections.Counter(), []
    with tempfile.TemporaryDirectory(prefix="gabor-conformance-") as d, concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        jobs = []
        for c in cases:
            op = "(light)" if isinstance(c, Light) else f"({c.kind})" if c.kind != "node" else family(c)
            why = None if op == "(light)" else reason(c, op if op and op[0] != "(" else "")
            rows[op or "(several)"][2] += 1
            if why:
                excluded[why] += 1
                if not a.all:
                    continue
            else:
                rows[op][1] += 1
            jobs.append((c, op, why, pool.submit(run, gabor, c, pathlib.Path(d))))
        for c, op, why, job in jobs:
            wrong = job.result()
            if wrong is None:
                passed.append(c.name)
                if not why:
                    rows[op][0] += 1
            elif not why:
                refused.append((op, c.name, wrong))
    if a.write:
        passing.write_text("\n".join(sorted(passed)) + "\n")
    report(rows, refused, excluded, a.failures)
    total = [sum(r[i] for r in rows.values()) for i in range(3)]
    print(f"\npassed {total[0]} / applicable {total[1]} / all {total[2]}   ({time.time() - started:.0f} s, onnx {onnx.__version__})")
    if a.check:
        lost = sorted(set(listed) - set(passed)) if not a.only else [r[1] for r in refused]
        for name in lost:
            print(f"no longer passes: {name}", file=sys.stderr)
        return 1 if lost or not passed else 0
    return 0


# The operator of every case that is not expanded, for the expanded ones beside it.
EXPANDED = {}


def load(kind):
    cases = load_model_tests(kind=kind)
    if kind == "node":
        return cases
    for c in cases:
        directory = pathlib.Path(c.model_dir)
        c.model = onnx.load(directory / "model.onnx")
        c.data_sets = []
        for k in sorted(directory.glob("test_data_set_*")):
            read = lambda what: [
                onnx.TensorProto.FromString((k / f"{what}_{i}.pb").read_bytes())
                for i in range(len(list(k.glob(f"{what}_*.pb"))))
            ]
            c.data_sets.append((read("input"), read("output")))
    return cases


def report(rows, refused, excluded, full):
    print(f"{'operator':28}{'passed':>8}{'applicable':>12}{'all':>6}")
    for op, (p, n, all_) in sorted(rows.items(), key=lambda r: str(r[0])):
        if n:
            print(f"{op:28}{p:8}{n:12}{all_:6}{'' if p == n else '   *'}")
    print("\nNot applicable:")
    for why, n in excluded.most_common():
        print(f"  {n:5}  {why}")
    if refused:
        print("\nApplicable and not passed:")
    for op, name, wrong in sorted(refused, key=lambda r: (str(r[0]), r[1])):
        lines = [l.strip() for l in wrong.split("\n") if l.strip()]
        print(f"  {name}: " + (" | ".join(lines) if full else lines[-1][:200]))


if __name__ == "__main__":
    sys.exit(main())
