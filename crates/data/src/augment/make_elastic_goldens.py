"""Writes elastic_goldens.txt: displacements smoothed by SciPy, as in Simard et al. 2003.

    python make_elastic_goldens.py > elastic_goldens.txt
"""
import numpy as np
from scipy.ndimage import gaussian_filter

y, x = np.mgrid[0:12, 0:16]
d = ((x * 7 + y * 13) % 11) / 5.0 - 1.0
for sigma in (4.0, 1.0):
    f = 34.0 * gaussian_filter(d, sigma, mode="constant")
    for r, c in [(0, 0), (0, 15), (3, 7), (6, 2), (11, 15), (8, 11)]:
        print(sigma, r, c, f"{f[r, c]:.6f}")
