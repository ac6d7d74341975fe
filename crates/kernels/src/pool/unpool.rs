//! The gradient of max pooling, and its adjoint.

use super::{Quads, store_two};
use crate::simd::{Kernel, Simd16};
use crate::split::{share, tasks};
use crate::sums::padded;
use crate::{Isa, SharedMut, Work};
use gabor_tensor::Window;

/// A prepared gradient of max pooling: dy and switches `[planes, output…]` to dx `[planes, input…]`, as
/// [`reference::max_unpool`](crate::reference::max_unpool) defines it. A switch outside the plane is left out.
#[derive(Clone, Debug)]
pub struct MaxUnpoolKernel {
    planes: usize,
    lengths: (usize, usize),
    quads: Option<Quads>,
    isa: Isa,
    tasks: [usize; 1],
}

impl MaxUnpoolKernel {
    /// Prepares the gradient of a pooling of `planes` planes.
    pub fn new(window: &Window, planes: usize, isa: Isa) -> Self {
        let lengths = (window.input_len(), window.output_len());
        let tasks = [tasks(planes * lengths.0.max(lengths.1), planes)];
        MaxUnpoolKernel { planes, lengths, quads: Quads::new(window), isa, tasks }
    }
    /// Runs one task: reads `dy` and `switches`, writes its planes of `dx`.
    ///
    /// # Safety
    /// Nothing but other tasks of this kernel may touch `dx` meanwhile.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(&self, task: usize, dy: &[f32], switches: &[i32], dx: SharedMut<'_, f32>) {
        let (xl, yl) = self.lengths;
        assert!(dy.len() >= self.planes * yl && switches.len() >= self.planes * yl && dx.len() >= self.planes * xl);
        // SAFETY: lengths are checked; tasks write disjoint planes; the rest is the caller's promise.
        unsafe { self.isa.call(Run { kernel: self, task, dy, switches, dx }) }
    }
}

impl Work for MaxUnpoolKernel {
    fn phases(&self) -> &[usize] {
        &self.tasks
    }
}

struct Run<'a> {
    kernel: &'a MaxUnpoolKernel,
    task: usize,
    dy: &'a [f32],
    switches: &'a [i32],
    dx: SharedMut<'a, f32>,
}

impl Kernel for Run<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let k = self.kernel;
        let (xl, yl) = k.lengths;
        for p in share(self.task, k.tasks[0], k.planes) {
            let (dy, switches) = (&self.dy[p * yl..(p + 1) * yl], &self.switches[p * yl..(p + 1) * yl]);
            // SAFETY: this task's planes.
            unsafe {
                let dx = self.dx.part(p * xl, xl);
                if k.quads.is_none_or(|q| !quads::<S>(q, dy, switches, dx)) {
                    scatter(dy, switches, dx);
                }
            }
        }
    }
}

fn scatter(dy: &[f32], switches: &[i32], dx: &mut [f32]) {
    dx.fill(0.0);
    for (&d, &s) in dy.iter().zip(switches) {
        // A negative switch is beyond every plane as an unsigned number.
        if let Some(x) = dx.get_mut(s as u32 as usize) {
            *x += d;
        }
    }
}

/// The bits of 2²³ as a float.
const EXPONENT: u32 = 0x4B00_0000;

/// Writes a plane if every switch lies in its own window of 2 × 2, as those of a pooling do; says whether it did.
#[inline(always)]
unsafe fn quads<S: Simd16>(q: Quads, dy: &[f32], switches: &[i32], dx: &mut [f32]) -> bool {
    let mut lanes = [0f32; 16];
    for (l, v) in lanes.iter_mut().enumerate() {
        *v = f32::from_bits(2 * l as u32);
    }
    // SAFETY: vectors stay inside rows; two rows of the plane belong to every row of outputs.
    unsafe {
        let (lanes, zero, one) = (S::load(lanes.as_ptr()), S::zero(), S::splat(1.0));
        let mut all = one;
        // Lanes beyond a row do not count.
        let outside = S::load(padded(&[0.0; 16][..q.columns % 16], 1.0).as_ptr());
        for row in 0..q.rows {
            let mut o = 0;
            while o < q.columns {
                let m = (q.columns - o).min(16);
                let at = 2 * row * q.width + 2 * o;
                let to = dx.as_mut_ptr().add(at);
                let from = row * q.columns + o;
                let d = S::load_up_to(dy.as_ptr().add(from), m);
                let s = S::load_up_to(switches.as_ptr().add(from).cast(), m);
                // The distance from the window's first element, with the exponent of 2²³ mixed in: then a small integer
                // is a normal float, which only its own bits equal (subnormal ones are slow to compare).
                let s = S::xor(S::sub_int(s, S::add_int(lanes, S::bits(at as u32))), S::bits(EXPONENT));
                let mut found = zero;
                for (i, first) in [0, q.width].into_iter().enumerate() {
                    let left = S::eq(s, S::bits(EXPONENT ^ first as u32));
                    let right = S::eq(s, S::bits(EXPONENT ^ (first as u32 + 1)));
                    found = S::select(left, one, S::select(right, one, found));
                    let pair = S::interleave(S::select(left, d, zero), S::select(right, d, zero));
                    store_two::<S>(to.add(i * q.width), pair, m);
                }
                all = S::min(all, if m == 16 { found } else { S::max(found, outside) });
                o += m;
            }
            for i in 0..2 {
                dx[(2 * row + i) * q.width + 2 * q.columns..(2 * row + i + 1) * q.width].fill(0.0);
            }
        }
        dx[2 * q.rows * q.width..].fill(0.0);
        let mut complete = true;
        for v in S::lanes(all) {
            complete &= v == 1.0;
        }
        complete
    }
}

/// A prepared gathering of the elements that switches name: x `[planes, input…]` to y `[planes, output…]`, as
/// [`reference::max_pool_gather`](crate::reference::max_pool_gather) defines it. A switch outside the plane gives 0.
#[derive(Clone, Debug)]
pub struct MaxPoolGatherKernel {
    planes: usize,
    lengths: (usize, usize),
    tasks: [usize; 1],
}

impl MaxPoolGatherKernel {
    /// Prepares a gathering from `planes` planes.
    pub fn new(window: &Window, planes: usize) -> Self {
        let lengths = (window.input_len(), window.output_len());
        let tasks = [tasks(planes * lengths.1, planes)];
        MaxPoolGatherKernel { planes, lengths, tasks }
    }
    /// Runs one task: reads `x` and `switches`, writes its planes of `y`.
    ///
    /// # Safety
    /// Nothing but other tasks of this kernel may touch `y` meanwhile.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(&self, task: usize, x: &[f32], switches: &[i32], y: SharedMut<'_, f32>) {
        let (xl, yl) = self.lengths;
        for p in share(task, self.tasks[0], self.planes) {
            let x = &x[p * xl..(p + 1) * xl];
            // SAFETY: this task's planes.
            let y = unsafe { y.part(p * yl, yl) };
            for (y, &s) in y.iter_mut().zip(&switches[p * yl..(p + 1) * yl]) {
                *y = x.get(s as u32 as usize).copied().unwrap_or(0.0);
            }
        }
    }
}

impl Work for MaxPoolGatherKernel {
    fn phases(&self) -> &[usize] {
        &self.tasks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gabor_tensor::WindowOptions;

    struct Try<'a>(Quads, &'a [f32], &'a [i32], &'a mut [f32]);

    impl Kernel for Try<'_> {
        type Out = bool;
        #[inline(always)]
        unsafe fn run<S: Simd16>(self) -> bool {
            // SAFETY: whole planes.
            unsafe { quads::<S>(self.0, self.1, self.2, self.3) }
        }
    }

    #[test]
    fn switches_of_a_pooling_take_the_short_way() {
        for size in [4, 10, 14, 28, 33, 64] {
            let window = WindowOptions::new(&[2, 2]).stride(&[2, 2]).resolve(&[size, size]).unwrap();
            let x: Vec<f32> = crate::check::uniform(size as u64, size * size).iter().map(|v| v.max(0.0)).collect();
            let (mut y, mut switches) = (vec![0.0; window.output_len()], vec![0; window.output_len()]);
            crate::reference::max_pool(&window, 1, &x, &mut y, &mut switches);
            let mut dx = vec![f32::NAN; size * size];
            for isa in Isa::available() {
                let q = Quads::new(&window).expect("windows of 2 × 2");
                // SAFETY: whole planes.
                assert!(unsafe { isa.call(Try(q, &y, &switches, &mut dx)) }, "{size} {isa}");
            }
        }
    }
}
