"""Makes resize_goldens.txt: resized pictures by Pillow, to compare `Preprocessing` with.

Run with any Python that has Pillow:  python make_resize_goldens.py > resize_goldens.txt
A line is: mode h w oh ow filter, then the bytes of the result in hexadecimal. The input is made by the formula in
`pixel`, so only results are stored. Columns are resized first and rows second, in two calls: Pillow up to 12 does so
by itself, later ones choose the order by the sizes.
"""

import PIL
from PIL import Image


def pixel(x, y, c):
    return (x * 37 + y * 91 + c * 53 + (x * y) % 17 * 11 + (x // 5 + y // 3) % 2 * 90) % 256


FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

# Both smaller, both larger, one of each, one axis alone, far smaller (many taps), ties of the box filter.
SIZES = [((13, 17), (7, 5)), ((13, 17), (20, 31)), ((24, 18), (8, 40)), ((28, 28), (28, 11)), ((9, 40), (30, 40))]
SIZES += [((211, 307), (4, 9)), ((60, 80), (15, 20)), ((30, 41), (17, 23)), ((41, 30), (16, 11)), ((1, 7), (3, 2)), ((5, 5), (13, 11))]
SIZES += [((32, 24), (16, 12)), ((97, 101), (7, 9)), ((8, 12), (12, 18))]

print(f"# Pillow {PIL.__version__}")
for mode, channels in (("L", 1), ("RGB", 3)):
    for (h, w), (oh, ow) in SIZES:
        data = bytes(pixel(x, y, c) for y in range(h) for x in range(w) for c in range(channels))
        image = Image.frombytes(mode, (w, h), data)
        for name, f in FILTERS.items():
            print(mode, h, w, oh, ow, name, image.resize((ow, h), f).resize((ow, oh), f).tobytes().hex())
