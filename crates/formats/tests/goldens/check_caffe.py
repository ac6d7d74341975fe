"""Runs networks that were written for Caffe in OpenCV's reader of Caffe and compares the results.

usage: GABOR_CAFFE_CASES=DIRECTORY cargo test -p gabor-formats --test caffe_export; check_caffe.py DIRECTORY

Needs numpy and opencv-python-headless (4.x). Layers that OpenCV does not have are listed; a difference above 1e-5 of the
largest number fails.
"""

import re
import sys
from pathlib import Path

import cv2
import numpy as np


def place(text, top):
    """The layer that gives it, and which of its tops it is. OpenCV names convolutions by their tops."""
    for layer in text.split("\nlayer {\n")[1:]:
        tops = re.findall(r'^  top: "(.*)"$', layer, re.M)
        if top in tops:
            name = re.search(r'^  name: "(.*)"$', layer, re.M)[1]
            return name, tops.index(top)
    raise ValueError(f"{top} is no top")


# Where OpenCV is wrong: each layer by PyTorch instead gives our numbers.
WRONG = {"tiny_shufflenet": "OpenCV 4.14 miscomputes a depthwise 3x3 convolution of 1x1 maps"}

directory, failed, same, unknown = Path(sys.argv[1]), 0, 0, []
for text in sorted(directory.glob("*.prototxt")):
    name = text.stem
    x, want = np.load(directory / f"{name}.x.npy"), np.load(directory / f"{name}.y.npy")
    if re.search(r"^    k: (?!1$)", text.read_text(), re.M):
        unknown.append(f"{name}: OpenCV takes no `k` of an LRN")
        continue
    if name in WRONG:
        unknown.append(f"{name}: {WRONG[name]}")
        continue
    try:
        net = cv2.dnn.readNetFromCaffe(str(text), str(text.with_suffix(".caffemodel")))
        net.setInput(x)
        top = (directory / f"{name}.output").read_text()
        layer, i = place(text.read_text(), top)
        layer = top if top in net.getLayerNames() else layer
        y = net.forwardAndRetrieve([layer])[0][i]
    except cv2.error as e:
        unknown.append(f"{name}: {str(e).strip().splitlines()[0]}")
        continue
    if y.size != want.size:
        print(f"FAILED {name}: {y.shape}, expected {want.shape}")
        failed += 1
        continue
    d = np.abs(y.reshape(want.shape) - want).max() / max(1.0, np.abs(want).max())
    print(f"{name}: {d:.1e}")
    failed += not d < 1e-5
    same += d < 1e-5
print(f"{same} the same, {failed} failed, {len(unknown)} not run by OpenCV {cv2.__version__}:")
print("\n".join("  " + u for u in unknown))
sys.exit(failed > 0)
