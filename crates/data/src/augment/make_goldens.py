"""Writes goldens.txt: a small picture, and what torchvision and Pillow make of it with given parameters.

    python make_goldens.py > goldens.txt

Each line: name, height, width, channels, and the bytes in hexadecimal.
"""
import numpy as np
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

H, W = 11, 13
y, x = np.mgrid[0:H, 0:W]
planes = [
    127 + 120 * np.sin(0.55 * x + 0.2 * y),
    40 + 14 * y + 3 * x,
    200 - 11 * x + 6 * ((x * y) % 5),
]
picture = np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)
picture[4, 4] = 90  # one pixel without colour


def line(name, a):
    a = np.asarray(a)
    if a.ndim == 2:
        a = a[..., None]
    print(name, *a.shape, a.astype(np.uint8).tobytes().hex())


rgb = torch.from_numpy(picture).permute(2, 0, 1)
grey = F.rgb_to_grayscale(rgb)
back = lambda t: t.permute(1, 2, 0).numpy()
line("picture", picture)
line("grey_picture", back(grey))
for kind, t in (("", rgb), ("grey_", grey)):
    line(kind + "brightness", back(F.adjust_brightness(t, 1.4)))
    line(kind + "darkness", back(F.adjust_brightness(t, 0.35)))
    line(kind + "contrast", back(F.adjust_contrast(t, 1.7)))
    line(kind + "posterize", back(F.posterize(t, 3)))
    line(kind + "solarize", back(F.solarize(t, 110)))
    line(kind + "invert", back(F.invert(t)))
    line(kind + "autocontrast", back(F.autocontrast(t)))
    pil = Image.fromarray(back(t).squeeze())
    # Equalising does nothing to fewer pixels than levels.
    line(kind + "equalize", F.equalize(Image.fromarray(np.tile(np.asarray(pil), (2, 2) + (1,) * (pil.mode == "RGB")))))
    line(kind + "sharp", F.adjust_sharpness(pil, 1.9))
    line(kind + "soft", F.adjust_sharpness(pil, 0.2))
    line(kind + "blur", back(F.gaussian_blur(t, [7, 7], [1.3, 1.3])))
line("saturation", back(F.adjust_saturation(rgb, 1.8)))
line("desaturation", back(F.adjust_saturation(rgb, 0.3)))
line("hue", back(F.adjust_hue(rgb, 0.2)))
line("hue_back", back(F.adjust_hue(rgb, -0.37)))
line("grey", back(F.rgb_to_grayscale(rgb, 3)))
# Positive angles of torchvision turn against the clock; shears are in degrees about the centre.
bilinear = InterpolationMode.BILINEAR
line("rotate", back(F.rotate(rgb, 25.0, bilinear, fill=[9.0, 9.0, 9.0])))
line("affine", back(F.affine(rgb, -20.0, [2, -1], 1.3, [10.0, 0.0], bilinear, fill=[9.0, 9.0, 9.0])))
corners = [[0, 0], [W, 0], [W, H], [0, H]]
moved = [[1, 2], [11.5, 0.5], [12, 10], [0.5, 9]]


def coefficients(to, fro):
    rows = []
    for (tx, ty), (fx, fy) in zip(to, fro):
        rows.append([tx, ty, 1, 0, 0, 0, -fx * tx, -fx * ty])
        rows.append([0, 0, 0, tx, ty, 1, -fy * tx, -fy * ty])
    return np.linalg.solve(np.array(rows, float), np.array(fro, float).reshape(-1))


# Pillow looks pixels up at their centres, so these are corners of the picture's edge.
pil = Image.fromarray(picture)
c = coefficients(moved, corners)
line("perspective", pil.transform((W, H), Image.Transform.PERSPECTIVE, list(c), Image.Resampling.BILINEAR))
