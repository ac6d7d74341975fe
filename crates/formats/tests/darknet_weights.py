"""Writes the `.weights` file of Darknet's "tiny" a second time, from the published safetensors, with NumPy alone.

usage: darknet_weights.py darknet-tiny.safetensors tiny.weights

The published numbers are for Keras, which divides by the root of (variance + 0.001); Darknet divides by the root of the
variance, plus a millionth.
"""

import json
import struct
import sys

import numpy as np


def main(source, target):
    data = open(source, "rb").read()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])

    def tensor(name):
        entry = header[name]
        begin, end = entry["data_offsets"]
        assert entry["dtype"] == "F32"
        return np.frombuffer(data[8 + length + begin : 8 + length + end], "<f4")

    out = [struct.pack("<iiiQ", 0, 2, 0, 0)]
    for i in range(1, 17):
        if f"bn{i}.bias" in header:
            out += [tensor(f"bn{i}.{kind}").tobytes() for kind in ("bias", "weight", "running_mean")]
            variance = tensor(f"bn{i}.running_var").astype(np.float64)
            out.append(((np.sqrt(variance + 1e-3) - 1e-6) ** 2).astype("<f4").tobytes())
        else:
            out.append(tensor(f"conv{i}.bias").tobytes())
        out.append(tensor(f"conv{i}.weight").tobytes())
    with open(target, "wb") as f:
        f.write(b"".join(out))


if len(sys.argv) == 3:
    main(*sys.argv[1:])
else:
    print(__doc__)
