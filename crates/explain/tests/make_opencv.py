"""Goldens of `classic.rs`: kernels and filtered pictures by OpenCV, in 64 bits.

Writes `golden/opencv.txt`: per line a case of fields with tabs between: filter, its numbers, border, the kernel's rows, its weights, the
filtered picture row by row. The picture is 11 × 14 with the bytes (7 i² + 13 i) mod 251.
"""

import os

import cv2
import numpy as np

H, W = 11, 14
i = np.arange(H * W, dtype=np.int64)
picture = ((7 * i * i + 13 * i) % 251).astype(np.float64).reshape(H, W)
borders = {
    "reflect": cv2.BORDER_REFLECT_101,
    "replicate": cv2.BORDER_REPLICATE,
    "zero": cv2.BORDER_CONSTANT,
}
lines = []


def words(values):
    return " ".join(repr(float(v)) for v in np.asarray(values).ravel())


def put(name, numbers, border, kernel, result):
    numbers = " ".join(f"{k}={v}" for k, v in numbers.items())
    lines.append("\t".join([name, numbers, border, str(kernel.shape[0]), words(kernel), words(np.round(result, 6))]))


for k, (theta, wavelength, phase, sigma, aspect, size) in enumerate(
    [(0, 6, 0, 2, 0.5, 9), (30, 5, 90, 1.7, 0.8, 7), (110, 4, -40, 1.3, 1.2, 5)]
):
    kernel = cv2.getGaborKernel(
        (size, size), sigma, np.deg2rad(theta), wavelength, aspect, np.deg2rad(phase), cv2.CV_64F
    )
    border = list(borders)[k]
    numbers = {"size": size, "sigma": sigma, "theta": theta, "wavelength": wavelength, "phase": phase, "aspect": aspect}
    put("gabor", numbers, border, kernel, cv2.filter2D(picture, cv2.CV_64F, kernel, borderType=borders[border]))

for numbers, border in [({"sigma": 1.2, "size": 7}, "reflect"), ({"size": 5}, "replicate"), ({"sigma": 0.8}, "zero")]:
    # What 8-bit pictures get for a size that is not given; a float picture gets another.
    size = numbers.get("size", int(round(numbers.get("sigma", 0) * 6 + 1)) | 1)
    row = cv2.getGaussianKernel(size, numbers.get("sigma", 0), cv2.CV_64F)
    if "sigma" not in numbers and size <= 9:
        # OpenCV has a table of rounded numbers for small sizes; its formula is asked for by its own sigma.
        row = cv2.getGaussianKernel(size, 0.3 * ((size - 1) * 0.5 - 1) + 0.8, cv2.CV_64F)
    result = cv2.sepFilter2D(picture, cv2.CV_64F, row, row, borderType=borders[border])
    check = cv2.GaussianBlur(
        picture, (size, size), numbers.get("sigma", 0.3 * ((size - 1) * 0.5 - 1) + 0.8), borderType=borders[border]
    )
    assert np.abs(check - result).max() < 1e-9
    put("gaussian", numbers, border, row @ row.T, result)

for size in (3, 5, 7):
    for theta, (dx, dy) in [(0, (1, 0)), (90, (0, 1))]:
        column, row = cv2.getDerivKernels(dx, dy, size, False, cv2.CV_64F)
        kernel = row @ column.T
        result = cv2.Sobel(picture, cv2.CV_64F, dx, dy, ksize=size, borderType=borders["reflect"])
        put("sobel", {"size": size, "theta": theta}, "reflect", kernel, result)
gx, gy = (cv2.Sobel(picture, cv2.CV_64F, *d, ksize=3, borderType=borders["replicate"]) for d in ((1, 0), (0, 1)))
put("sobel", {}, "replicate", np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1.0]]), cv2.magnitude(gx, gy))
for theta, d in [(0, (1, 0)), (90, (0, 1))]:
    column, row = cv2.getDerivKernels(*d, cv2.FILTER_SCHARR, False, cv2.CV_64F)
    put("scharr", {"theta": theta}, "reflect", row @ column.T, cv2.Scharr(picture, cv2.CV_64F, *d))
kernel = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0.0]])
put("laplacian", {}, "reflect", kernel, cv2.Laplacian(picture, cv2.CV_64F, ksize=1, borderType=borders["reflect"]))
put("box", {"size": 5}, "reflect", np.full((5, 5), 1 / 25), cv2.blur(picture, (5, 5), borderType=borders["reflect"]))
kernel = np.array([[0, -1, 0], [-1, 5, -1], [0, -1, 0.0]])
put("sharpen", {}, "zero", kernel, cv2.filter2D(picture, cv2.CV_64F, kernel, borderType=borders["zero"]))
kernel = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2.0]])
put("emboss", {}, "reflect", kernel, cv2.filter2D(picture, cv2.CV_64F, kernel, borderType=borders["reflect"]))

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden", "opencv.txt"), "w") as file:
    file.write("\n".join(lines) + "\n")
