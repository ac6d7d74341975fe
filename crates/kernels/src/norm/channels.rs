//! Two sums over every channel, then an affine function of its elements.

use crate::reference::BatchNorm;
use crate::simd::{Kernel, Simd16};
use crate::split::{share, tasks};
use crate::sums::padded;
use crate::{Isa, SharedMut};
use std::ops::Range;

/// Most channels that are worked on together: their sums and coefficients stay in the first-level cache.
const TOGETHER: usize = 16;

/// How `[n, c, s]` is cut. Planes of one element make rows of channels, whose vectors hold 16 channels; all others hold
/// 16 elements of one channel.
#[derive(Clone, Debug)]
pub(super) struct Channels {
    pub p: BatchNorm,
    isa: Isa,
    /// Groups of channels, and parts of the elements of a channel; a task is one part of one group.
    groups: usize,
    parts: usize,
    /// Channels that are worked on together.
    together: usize,
    /// Pieces of a plane, and their length.
    pieces: usize,
    piece_len: usize,
    pub phases: Vec<usize>,
}

impl Channels {
    pub(super) fn new(p: BatchNorm, isa: Isa) -> Self {
        let rows = p.s == 1;
        let together = if rows { TOGETHER } else { (512 / p.s.max(1)).clamp(1, TOGETHER) };
        let wanted = tasks(p.n * p.c * p.s, usize::MAX);
        let groups = if rows { p.c.div_ceil(TOGETHER) } else { p.c }.clamp(1, wanted);
        let parts = wanted / groups;
        let piece_len = if p.n >= parts { p.s } else { p.s.div_ceil(parts.div_ceil(p.n.max(1))).next_multiple_of(16) };
        let pieces = p.s.div_ceil(piece_len.max(1));
        let parts = parts.min(p.n * pieces).max(1);
        let phases = if parts == 1 { vec![groups] } else { vec![groups * parts; 2] };
        Channels { p, isa, groups, parts, together, pieces, piece_len, phases }
    }
    pub(super) fn workspace_len(&self) -> usize {
        if self.parts > 1 { self.parts * self.p.c * 4 } else { 0 }
    }
}

/// What happens between the sums and the function.
pub(super) trait Finish {
    /// The number that is subtracted from the elements of a channel before they are multiplied.
    fn about(&self, c: usize) -> f32;
    /// The function of a channel from its sums `[Σ u, Σ u·(x − about)]`, with u = dy, or u = x − about in the forward
    /// direction. With `write`, outputs of the channel are written too.
    ///
    /// # Safety
    /// Nobody else writes the channel's outputs.
    unsafe fn finish(&self, c: usize, sums: [f64; 2], write: bool) -> Affine;
}

/// The function `by_x·(x − high − low) + plus`, or backwards `by_dy·(dy − plus + by_x·(x − high))`, whose terms cancel
/// before they are scaled.
#[derive(Clone, Copy, Default)]
pub(super) struct Affine {
    pub high: f32,
    pub low: f32,
    pub by_dy: f32,
    pub by_x: f32,
    pub plus: f32,
}

/// One task. With `BACK`, `dy` takes part; else it is not looked at.
pub(super) struct Run<'a, F, const BACK: bool> {
    pub plan: &'a Channels,
    pub phase: usize,
    pub task: usize,
    pub x: &'a [f32],
    pub dy: &'a [f32],
    pub out: SharedMut<'a, f32>,
    pub workspace: SharedMut<'a, f32>,
    pub finish: &'a F,
}

impl<F: Finish, const BACK: bool> Run<'_, F, BACK> {
    /// Checks the lengths and goes.
    ///
    /// # Safety
    /// As the public kernels say.
    pub(super) unsafe fn start(self) {
        let len = self.plan.p.n * self.plan.p.c * self.plan.p.s;
        assert!(self.x.len() >= len && self.dy.len() >= len && self.out.len() >= len);
        assert!(self.workspace.len() >= self.plan.workspace_len());
        // SAFETY: lengths are checked; tasks write disjoint elements; the rest is the caller's promise.
        unsafe { self.plan.isa.call(self) }
    }
}

impl<F: Finish, const BACK: bool> Kernel for Run<'_, F, BACK> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let plan = self.plan;
        let (group, part) = (self.task / plan.parts, self.task % plan.parts);
        let channels = if plan.p.s == 1 {
            let blocks = share(group, plan.groups, plan.p.c.div_ceil(TOGETHER));
            blocks.start * TOGETHER..(blocks.end * TOGETHER).min(plan.p.c)
        } else {
            share(group, plan.groups, plan.p.c)
        };
        let pieces = share(part, plan.parts, plan.p.n * plan.pieces);
        for first in channels.clone().step_by(plan.together) {
            let channels = first..(first + plan.together).min(channels.end);
            // SAFETY: the contract of `start`.
            unsafe {
                let mut sums = [[0.0; 2]; TOGETHER];
                if self.phase == 0 {
                    self.sum(channels.clone(), pieces.clone(), &mut sums);
                }
                if plan.parts > 1 && self.phase == 0 {
                    for (i, c) in channels.enumerate() {
                        self.partial(part).add(2 * c).cast::<[f64; 2]>().write_unaligned(sums[i]);
                    }
                    continue;
                }
                if self.phase == 1 {
                    for part in 0..plan.parts {
                        for (i, c) in channels.clone().enumerate() {
                            let [a, b] = self.partial(part).add(2 * c).cast::<[f64; 2]>().read_unaligned();
                            sums[i] = [sums[i][0] + a, sums[i][1] + b];
                        }
                    }
                }
                let mut affine = [Affine::default(); TOGETHER];
                for (i, c) in channels.clone().enumerate() {
                    affine[i] = self.finish.finish(c, sums[i], part == 0);
                }
                self.apply::<S>(channels, pieces.clone(), &affine);
            }
        }
    }
}

/// Sixteen elements.
#[inline(always)]
unsafe fn sixteen(x: &[f32], at: usize) -> [f32; 16] {
    debug_assert!(at + 16 <= x.len());
    // SAFETY: the caller promises that the elements exist.
    unsafe { x.as_ptr().add(at).cast::<[f32; 16]>().read_unaligned() }
}

impl<F: Finish, const BACK: bool> Run<'_, F, BACK> {
    /// Address of the partial sums of a part, two numbers for each channel.
    fn partial(&self, part: usize) -> *mut f64 {
        self.workspace.as_ptr().cast::<f64>().wrapping_add(part * self.plan.p.c * 2)
    }
    /// The elements of a piece of a channel.
    #[inline(always)]
    fn piece(&self, piece: usize, c: usize) -> Range<usize> {
        let (plan, s) = (self.plan, self.plan.p.s);
        let (image, from) = (piece / plan.pieces, piece % plan.pieces * plan.piece_len);
        let start = (image * plan.p.c + c) * s;
        start + from..start + (from + plan.piece_len).min(s)
    }

    #[inline(always)]
    unsafe fn sum(&self, channels: Range<usize>, pieces: Range<usize>, sums: &mut [[f64; 2]; TOGETHER]) {
        let first = channels.start;
        if self.plan.p.s == 1 {
            let (c, m) = (self.plan.p.c, channels.len());
            let mut about = [0.0; 16];
            for (i, c) in channels.enumerate() {
                about[i] = f64::from(self.finish.about(c));
            }
            let (mut a, mut b) = ([0.0; 16], [0.0; 16]);
            for row in pieces {
                let at = row * c + first;
                let (x, dy) = if m == 16 {
                    // SAFETY: sixteen channels of a row.
                    unsafe { (sixteen(self.x, at), sixteen(self.dy, at)) }
                } else {
                    (padded(&self.x[at..at + m], 0.0), padded(&self.dy[at..at + m], 0.0))
                };
                add::<BACK>(&x, &dy, &about, &mut a, &mut b);
            }
            for i in 0..m {
                sums[i] = [a[i], b[i]];
            }
            return;
        }
        let (mut a, mut b) = ([[0.0; 16]; TOGETHER], [[0.0; 16]; TOGETHER]);
        for piece in pieces {
            for (i, c) in channels.clone().enumerate() {
                let run = self.piece(piece, c);
                let about = self.finish.about(c);
                let wide = [f64::from(about); 16];
                let (mut sa, mut sb) = (a[i], b[i]);
                let mut at = run.start;
                while at + 16 <= run.end {
                    // SAFETY: inside the run.
                    let (x, dy) = unsafe { (sixteen(self.x, at), sixteen(self.dy, at)) };
                    add::<BACK>(&x, &dy, &wide, &mut sa, &mut sb);
                    at += 16;
                }
                if at < run.end {
                    // Missing elements are at zero distance, their gradients zero.
                    let (x, dy) = (padded(&self.x[at..run.end], about), padded(&self.dy[at..run.end], 0.0));
                    add::<BACK>(&x, &dy, &wide, &mut sa, &mut sb);
                }
                (a[i], b[i]) = (sa, sb);
            }
        }
        for i in 0..channels.len() {
            sums[i] = [crate::simd::tree(a[i], |a, b| a + b), crate::simd::tree(b[i], |a, b| a + b)];
        }
    }

    #[inline(always)]
    unsafe fn apply<S: Simd16>(&self, channels: Range<usize>, pieces: Range<usize>, affine: &[Affine; TOGETHER]) {
        let (x, dy, out) = (self.x.as_ptr(), self.dy.as_ptr(), self.out.as_ptr());
        // SAFETY: rows and runs lie inside the slices, whose lengths were checked.
        unsafe {
            if self.plan.p.s == 1 {
                let m = channels.len();
                let lanes = |of: fn(&Affine) -> f32| {
                    let mut lanes = [0.0; 16];
                    for (to, a) in lanes.iter_mut().zip(affine) {
                        *to = of(a);
                    }
                    S::load(lanes.as_ptr())
                };
                let v = Vectors::<S>([
                    lanes(|a| a.high),
                    lanes(|a| a.low),
                    lanes(|a| a.by_dy),
                    lanes(|a| a.by_x),
                    lanes(|a| a.plus),
                ]);
                for row in pieces {
                    let at = row * self.plan.p.c + channels.start;
                    v.apply::<BACK>(x.add(at), dy.add(at), out.add(at), m);
                }
                return;
            }
            for piece in pieces {
                for (a, c) in affine.iter().zip(channels.clone()) {
                    let run = self.piece(piece, c);
                    let v = Vectors::<S>([a.high, a.low, a.by_dy, a.by_x, a.plus].map(|v| S::splat(v)));
                    let mut at = run.start;
                    while at < run.end {
                        let m = (run.end - at).min(16);
                        v.apply::<BACK>(x.add(at), dy.add(at), out.add(at), m);
                        at += m;
                    }
                }
            }
        }
    }
}

/// Adds sixteen elements to their sums.
#[inline(always)]
fn add<const BACK: bool>(x: &[f32; 16], dy: &[f32; 16], about: &[f64; 16], a: &mut [f64; 16], b: &mut [f64; 16]) {
    for l in 0..16 {
        let d = f64::from(x[l]) - about[l];
        let u = if BACK { f64::from(dy[l]) } else { d };
        a[l] += u;
        b[l] += u * d;
    }
}

/// The coefficients of [`Affine`] in its order, a vector each.
struct Vectors<S: Simd16>([S::V; 5]);

impl<S: Simd16> Vectors<S> {
    #[inline(always)]
    unsafe fn apply<const BACK: bool>(&self, x: *const f32, dy: *const f32, to: *mut f32, m: usize) {
        let [high, low, by_dy, by_x, plus] = self.0;
        // SAFETY: the caller promises `m` elements.
        unsafe {
            let centred = S::sub(S::load_up_to(x, m), high);
            let v = if BACK {
                S::mul(by_dy, S::fma(centred, by_x, S::sub(S::load_up_to(dy, m), plus)))
            } else {
                S::fma(S::sub(centred, low), by_x, plus)
            };
            S::store_up_to(to, v, m);
        }
    }
}
