//! Walking over multi-indices.

use gabor_tensor::Window;

/// Calls `f` with every multi-index below `shape`, in row-major order (once for an empty shape).
pub(crate) fn each_index(shape: &[usize], mut f: impl FnMut(&[usize])) {
    if shape.contains(&0) {
        return;
    }
    let mut at = vec![0; shape.len()];
    loop {
        f(&at);
        let Some(d) = (0..shape.len()).rev().find(|&d| at[d] + 1 < shape[d]) else { return };
        at[d] += 1;
        at[d + 1..].fill(0);
    }
}

/// The flat index of `at` under `strides`.
pub(crate) fn dot(at: &[usize], strides: &[usize]) -> usize {
    at.iter().zip(strides).map(|(a, s)| a * s).sum()
}

/// One pairing of a window: element `k` of the kernel at output `o` touches element `i` of the input plane (all flat).
#[derive(Clone, Copy)]
pub(crate) struct Tap {
    pub o: usize,
    pub k: usize,
    pub i: usize,
}

/// Every pairing of the window whose input element exists (is not padding), output-major, then in scan order.
pub(crate) fn taps(window: &Window) -> Vec<Tap> {
    let axes = window.axes();
    let (output, kernel) = (window.output(), window.kernel());
    let mut list = Vec::new();
    let mut o = 0;
    each_index(&output, |at| {
        let mut k = 0;
        each_index(&kernel, |tap| {
            let i = (axes.iter().zip(at.iter().zip(tap)))
                .try_fold(0, |i, (axis, (&o, &k))| Some(i * axis.input + axis.index(o, k)?));
            if let Some(i) = i {
                list.push(Tap { o, k, i });
            }
            k += 1;
        });
        o += 1;
    });
    list
}
