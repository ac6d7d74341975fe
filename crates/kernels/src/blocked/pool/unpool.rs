//! The gradient of max pooling, and its adjoint.

use crate::blocked::layout::{Blocked, LANES};
use crate::blocked::slide::{Phase, RUN, Slide};
use crate::simd::{Kernel, Simd16};
use crate::split::{share, tasks};
use crate::{Isa, SharedMut, Work};
use gabor_tensor::Window;

/// Planes with more pixels are refused: switches are compared, and counted, as floats of 24 bits.
const MOST_PIXELS: usize = 1 << 23;
/// The bits of 2²³ as a float: mixed into a switch they make it a normal float, which only its own bits equal.
const EXPONENT: u32 = 0x4B00_0000;

/// A prepared gradient of max pooling of blocked tensors: dy and switches `[n, c, output…]` to dx `[n, c, input…]`, as
/// [`reference::max_unpool`](crate::reference::max_unpool) defines it. A switch outside the plane is left out.
///
/// Each input asks the windows over it; every element is written once.
#[derive(Clone, Debug)]
pub struct MaxUnpoolBlocked {
    x: Blocked,
    y: Blocked,
    slide: Slide,
    isa: Isa,
    tasks: [usize; 1],
}

impl MaxUnpoolBlocked {
    /// Prepares the gradient of a pooling of `n` images of `c` channels.
    ///
    /// # Errors
    /// Enormous windows or planes.
    pub fn new(window: &Window, n: usize, c: usize, isa: Isa) -> Result<Self, String> {
        let slide = Slide::backward(window)?;
        let pixels = window.input_len().max(window.output_len());
        if pixels > MOST_PIXELS {
            return Err(format!("planes of {pixels} pixels, at most {MOST_PIXELS}"));
        }
        let x = Blocked { n, c, plane: window.input_len() };
        let y = Blocked { plane: window.output_len(), ..x };
        let tasks = [tasks(x.len().max(y.len()), n * x.blocks())];
        Ok(MaxUnpoolBlocked { x, y, slide, isa, tasks })
    }
    /// Runs one task: reads `dy` and `switches`, writes its planes of `dx`.
    ///
    /// # Safety
    /// Nothing but other tasks of this kernel may touch `dx` meanwhile.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(&self, task: usize, dy: &[f32], switches: &[i32], dx: SharedMut<'_, f32>) {
        let (xl, yl) = (self.x.plane * LANES, self.y.plane * LANES);
        assert!(dy.len() >= self.y.len() && switches.len() >= self.y.len() && dx.len() >= self.x.len());
        for plane in share(task, self.tasks[0], self.x.n * self.x.blocks()) {
            let (dy, switches) = (&dy[plane * yl..][..yl], &switches[plane * yl..][..yl]);
            // SAFETY: this task's plane.
            let dx = unsafe { dx.part(plane * xl, xl) };
            let run = Gather { slide: &self.slide, dy, switches, dx: dx.as_mut_ptr() };
            // SAFETY: whole planes.
            let found = unsafe { self.isa.call(run) };
            let lanes = self.x.lanes(plane % self.x.blocks());
            if found[..lanes].iter().any(|&f| f as usize != self.y.plane) {
                // Switches of another window, or none.
                scatter(dy, switches, dx);
            }
        }
    }
}

impl Work for MaxUnpoolBlocked {
    fn phases(&self) -> &[usize] {
        &self.tasks
    }
}

/// Where a lane of the pixel that a switch names lies in a plane. A negative switch is beyond every plane as an unsigned
/// number, on machines with short addresses too.
fn element(switch: i32, lane: usize) -> usize {
    usize::try_from(u64::from(switch as u32) * LANES as u64 + lane as u64).unwrap_or(usize::MAX)
}

fn scatter(dy: &[f32], switches: &[i32], dx: &mut [f32]) {
    dx.fill(0.0);
    for (i, (&d, &s)) in dy.iter().zip(switches).enumerate() {
        if let Some(x) = dx.get_mut(element(s, i % LANES)) {
            *x += d;
        }
    }
}

/// A plane. Its result says, lane by lane, how many switches lay in their own window.
struct Gather<'a> {
    slide: &'a Slide,
    dy: &'a [f32],
    switches: &'a [i32],
    dx: *mut f32,
}

impl Kernel for Gather<'_> {
    type Out = [f32; LANES];
    /// Slices and `dx` are planes of the slide's sources and targets.
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) -> [f32; LANES] {
        let most = if S::WIDE { 4 } else { 2 };
        // SAFETY: the contract.
        unsafe {
            let mut found = S::zero();
            for row in 0..self.slide.targets.rows {
                for phase in &self.slide.phases {
                    let mut t = 0;
                    while t < phase.count {
                        let (n, _) = phase.tile(t, most);
                        found = match n {
                            4 if S::WIDE => self.tile::<S, 4>(phase, row, t, found),
                            2 if !S::WIDE => self.tile::<S, 2>(phase, row, t, found),
                            _ => {
                                let mut found = found;
                                for t in t..t + n {
                                    found = self.tile::<S, 1>(phase, row, t, found);
                                }
                                found
                            }
                        };
                        t += n;
                    }
                }
            }
            S::lanes(found)
        }
    }
}

impl Gather<'_> {
    /// `P` inputs of a phase.
    #[inline(always)]
    unsafe fn tile<S: Simd16, const P: usize>(&self, phase: &Phase, row: usize, t: usize, found: S::V) -> S::V {
        // SAFETY: as `run`.
        unsafe {
            let first = row * self.slide.targets.columns + phase.first + t * phase.step;
            let places: [_; P] = std::array::from_fn(|p| S::bits(EXPONENT ^ (first + p * phase.step) as u32));
            let mut sums = [(S::zero(), S::zero()); P];
            for meet in self.slide.meets(row) {
                let row = meet.row * self.slide.sources.columns;
                for run in &phase.runs {
                    let column = t as isize + run.offset;
                    match run.taps {
                        1 => self.taps::<S, P, 1>(row, column, &places, &mut sums),
                        2 => self.taps::<S, P, 2>(row, column, &places, &mut sums),
                        3 => self.taps::<S, P, 3>(row, column, &places, &mut sums),
                        _ => self.taps::<S, P, RUN>(row, column, &places, &mut sums),
                    }
                }
            }
            let mut found = found;
            for (p, sum) in sums.iter().enumerate() {
                S::store(self.dx.add((first + p * phase.step) * LANES), sum.0);
                found = S::add(found, sum.1);
            }
            found
        }
    }
    /// `K` neighbouring windows; `row` is the first of their row.
    #[inline(always)]
    unsafe fn taps<S: Simd16, const P: usize, const K: usize>(
        &self,
        row: usize,
        column: isize,
        places: &[S::V; P],
        sums: &mut [(S::V, S::V); P],
    ) {
        let columns = self.slide.sources.columns;
        // SAFETY: as `run`; only windows inside their row are read.
        unsafe {
            let (exponent, one) = (S::bits(EXPONENT), S::splat(1.0));
            // Zero is no place.
            let mut windows = [(S::zero(), S::zero()); 8];
            for (i, window) in windows.iter_mut().enumerate().take(P - 1 + K) {
                let column = column + i as isize;
                if (column as usize) < columns {
                    let at = (row + column as usize) * LANES;
                    let switch = S::load(self.switches.as_ptr().add(at).cast());
                    *window = (S::load(self.dy.as_ptr().add(at)), S::xor(switch, exponent));
                }
            }
            for p in 0..P {
                for (dy, switch) in &windows[p..p + K] {
                    let meant = S::eq(*switch, places[p]);
                    sums[p].0 = S::select(meant, S::add(sums[p].0, *dy), sums[p].0);
                    sums[p].1 = S::select(meant, S::add(sums[p].1, one), sums[p].1);
                }
            }
        }
    }
}

/// A prepared gathering of the elements that switches name, of blocked tensors: x `[n, c, input…]` to y
/// `[n, c, output…]`, as [`reference::max_pool_gather`](crate::reference::max_pool_gather) defines it. A switch outside
/// the plane gives 0.
#[derive(Clone, Debug)]
pub struct MaxPoolGatherBlocked {
    x: Blocked,
    y: Blocked,
    tasks: [usize; 1],
}

impl MaxPoolGatherBlocked {
    /// Prepares a gathering from `n` images of `c` channels.
    pub fn new(window: &Window, n: usize, c: usize) -> Self {
        let x = Blocked { n, c, plane: window.input_len() };
        let y = Blocked { plane: window.output_len(), ..x };
        MaxPoolGatherBlocked { x, y, tasks: [tasks(y.len(), n * y.blocks())] }
    }
    /// Runs one task: reads `x` and `switches`, writes its planes of `y`.
    ///
    /// # Safety
    /// Nothing but other tasks of this kernel may touch `y` meanwhile.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(&self, task: usize, x: &[f32], switches: &[i32], y: SharedMut<'_, f32>) {
        let (xl, yl) = (self.x.plane * LANES, self.y.plane * LANES);
        for plane in share(task, self.tasks[0], self.y.n * self.y.blocks()) {
            let x = &x[plane * xl..][..xl];
            let lanes = self.y.lanes(plane % self.y.blocks());
            // SAFETY: this task's plane.
            let y = unsafe { y.part(plane * yl, yl) };
            for (i, (y, &s)) in y.iter_mut().zip(&switches[plane * yl..][..yl]).enumerate() {
                let lane = i % LANES;
                let v = x.get(element(s, lane)).copied().unwrap_or(0.0);
                *y = if lane < lanes { v } else { 0.0 };
            }
        }
    }
}

impl Work for MaxPoolGatherBlocked {
    fn phases(&self) -> &[usize] {
        &self.tasks
    }
}
