"""Finds the colours of classes on a map: 20 a paper that are far from each other, to all eyes.

Farthest-first among colours of the paper's range of lightness and of bounded chroma, then swaps while the least distance
grows. Distances are Euclidean in OKLab (Ottosson 2020), the least of what normal and dichromatic eyes see (Machado et al.
2009, severity 1; distances of the latter count 1.6 times, since they have a dimension less). Prints the two lists.
"""

import numpy as np

TO_LMS = np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
                   [0.0883024619, 0.2817188376, 0.6299787005]])
TO_LAB = np.array([[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
                   [0.0259040371, 0.7827717662, -0.8086757660]])
DEUTAN = np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]])
PROTAN = np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]])


def seen(rgb):
    s = np.asarray(rgb, float) / 255
    linear = np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)
    eyes = [np.eye(3), DEUTAN, PROTAN]
    return [np.cbrt(np.clip(linear @ m.T, 0, 1) @ TO_LMS.T) @ TO_LAB.T for m in eyes]


def far(a, b):
    d = [np.linalg.norm(x[:, None] - y[None], axis=-1) for x, y in zip(a, b)]
    return np.minimum(d[0], 1.6 * np.minimum(d[1], d[2]))


def find(first, low, high, chroma):
    steps = range(0, 256, 12)
    grid = np.array([[r, g, b] for r in steps for g in steps for b in steps], float)
    lab = seen(grid)[0]
    c = np.hypot(lab[:, 1], lab[:, 2])
    grid = np.vstack([first, grid[(lab[:, 0] > low) & (lab[:, 0] < high) & (c < chroma) & (c > 0.03)]])
    eyes = seen(grid)
    part = lambda which: [e[which] for e in eyes]
    chosen = [0]
    while len(chosen) < 20:
        chosen.append(int(far(eyes, part(chosen)).min(1).argmax()))
    changed = True
    while changed:
        changed = False
        for k in range(1, 20):
            d = far(eyes, part(chosen[:k] + chosen[k + 1:])).min(1)
            if d.max() > d[chosen[k]] + 1e-9:
                chosen[k], changed = int(d.argmax()), True
    order = [0]
    while len(order) < 20:
        d = far(part(chosen), part([chosen[o] for o in order])).min(1)
        order.append(int(d.argmax()))
    final = [chosen[o] for o in order]
    d = far(part(final), part(final)) + 9 * np.eye(20)
    print(f"least distance {d.min():.3f}")
    print(["#%02x%02x%02x" % tuple(int(v) for v in grid[i]) for i in final])


find([0x00, 0x72, 0xB2], 0.28, 0.80, 0.20)
find([0x56, 0xB4, 0xE9], 0.48, 0.95, 0.20)
