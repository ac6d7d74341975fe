"""Writes elastic_goldens.rs: displacements smoothed by SciPy, as in Simard et al. 2003.

    python make_elastic_goldens.py > elastic_goldens.rs
"""
import numpy as np
from scipy.ndimage import gaussian_filter

y, x = np.mgrid[0:12, 0:16]
d = ((x * 7 + y * 13) % 11) / 5.0 - 1.0
print("// By make_elastic_goldens.py.")
print("#[rustfmt::skip]")
print("const SMOOTHED: &[(f64, &[(usize, usize, f32)])] = &[")
for sigma in (4.0, 1.0):
    f = 34.0 * gaussian_filter(d, sigma, mode="constant")
    at = [(0, 0), (0, 15), (3, 7), (6, 2), (11, 15), (8, 11)]
    print(f"    ({sigma}, &[" + ", ".join(f"({r}, {c}, {f[r, c]:.6f})" for r, c in at) + "]),")
print("];")
