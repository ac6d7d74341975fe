"""Finds the colours of classes on a map: 20 that are far from each other on both papers, to all eyes.

A class has one hue on both papers, within a few degrees, and about one chroma, so that it stays what it was when the look
changes; its lightness is chosen for each paper. Farthest-first among pairs of such colours from several beginnings, then
swaps while the least distance grows. Distances are
Euclidean in OKLab (Ottosson 2020), the least of what normal and dichromatic eyes see on either paper (Machado et al. 2009,
severity 1; distances of dichromats count 1.6 times, since they have a dimension less). Prints the list.
"""

import numpy as np

TO_LMS = np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
                   [0.0883024619, 0.2817188376, 0.6299787005]])
TO_LAB = np.array([[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
                   [0.0259040371, 0.7827717662, -0.8086757660]])
DEUTAN = np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]])
PROTAN = np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]])
COUNT = 20


def seen(rgb):
    s = np.asarray(rgb, float) / 255
    linear = np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)
    eyes = [np.eye(3), DEUTAN, PROTAN]
    return [np.cbrt(np.clip(linear @ m.T, 0, 1) @ TO_LMS.T) @ TO_LAB.T for m in eyes]


def screen(lch):
    """Bytes of colours by lightness, chroma and hue in degrees, and whether the screen has them."""
    l, c, h = lch.T
    lab = np.stack([l, c * np.cos(np.radians(h)), c * np.sin(np.radians(h))], 1)
    linear = (lab @ np.linalg.inv(TO_LAB).T) ** 3 @ np.linalg.inv(TO_LMS).T
    inside = ((linear > -1e-4) & (linear < 1 + 1e-4)).all(1)
    v = np.clip(linear, 0, 1)
    return np.round(255 * np.where(v <= 0.0031308, 12.92 * v, 1.055 * v ** (1 / 2.4) - 0.055)), inside


def paper(hue, low, high):
    """Colours of a hue that a paper allows, and their chroma."""
    grid = np.array([[l, c, hue] for l in np.linspace(low, high, 11) for c in np.linspace(0.07, 0.25, 7)])
    rgb, inside = screen(grid)
    return [(tuple(r), g[1]) for r, g in zip(rgb[inside], grid[inside])]


pairs = [((0x00, 0x72, 0xB2), (0x56, 0xB4, 0xE9))]
for hue in range(0, 360, 6):
    light = paper(hue, 0.28, 0.80)
    dark = [d for drift in (-6, 0, 6) for d in paper(hue + drift, 0.48, 0.95)]
    pairs += [(a, b) for a, ca in light for b, cb in dark if abs(ca - cb) < 0.10]
pairs = np.array(pairs, float)
views = [e for look in (0, 1) for e in seen(pairs[:, look])]


def far(k):
    """Distances of all pairs of colours from one of them."""
    d = [np.linalg.norm(v - v[k], axis=1) for v in views]
    own = [np.minimum(d[i], 1.6 * np.minimum(d[i + 1], d[i + 2])) for i in (0, 3)]
    return np.minimum(*own)


def search(second):
    chosen = [0] if second is None else [0, second]
    rows = [far(c) for c in chosen]
    while len(chosen) < COUNT:
        chosen.append(int(np.min(rows, 0).argmax()))
        rows.append(far(chosen[-1]))
    changed = True
    while changed:
        changed = False
        for k in range(1, COUNT):
            d = np.min(rows[:k] + rows[k + 1:], 0)
            if d.max() > d[chosen[k]] + 1e-9:
                chosen[k], changed = int(d.argmax()), True
                rows[k] = far(chosen[k])
    least = min(rows[a][chosen[b]] for a in range(COUNT) for b in range(a))
    return least, chosen, rows


random = np.random.default_rng(1)
seconds = [None] + [int(i) for i in random.integers(1, len(pairs), 11)]
least, chosen, rows = max((search(second) for second in seconds), key=lambda found: found[0])
# The order in which they are taken: each as far as can be from those before.
order = [0]
while len(order) < COUNT:
    d = np.min([rows[o][chosen] for o in order], 0)
    order.append(int(d.argmax()))
print(f"least distance {least:.3f}")
for n, o in enumerate(order):
    names = ["#%02x%02x%02x" % tuple(int(v) for v in pairs[chosen[o], look]) for look in (0, 1)]
    print(f'("k{n}", "{names[0]}", "{names[1]}"),')
