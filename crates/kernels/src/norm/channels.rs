//! Two sums over every channel, then an affine function of its elements.

use crate::reference::BatchNorm;
use crate::simd::{Kernel, Simd16};
use crate::split::Planes;
use crate::sums::padded;
use crate::{Isa, SharedMut};
use std::ops::Range;

/// Channels of a row that are worked on together: whole cache lines, and enough of them for the memory to follow.
const TOGETHER: usize = 64;
/// Most planes that are worked on together.
const MOST_PLANES: usize = 16;

/// How the channels are worked on. Planes of one element make rows of channels, whose vectors hold 16 channels; all
/// others hold 16 elements of one channel.
#[derive(Clone, Debug)]
pub(super) struct Channels {
    pub p: BatchNorm,
    isa: Isa,
    cut: Planes,
    /// Channels that are worked on together.
    together: usize,
    pub phases: Vec<usize>,
}

impl Channels {
    pub(super) fn new(p: BatchNorm, isa: Isa) -> Self {
        let (unit, together) =
            if p.s == 1 { (TOGETHER, TOGETHER) } else { (1, (512 / p.s.max(1)).clamp(1, MOST_PLANES)) };
        let cut = Planes::new([p.n, p.c, p.s], unit);
        let phases = vec![cut.tasks(); if cut.parts == 1 { 1 } else { 2 }];
        Channels { p, isa, cut, together, phases }
    }
    pub(super) fn workspace_len(&self) -> usize {
        if self.cut.parts > 1 { self.cut.parts * self.p.c * 4 } else { 0 }
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
        let (channels, part, pieces) = plan.cut.task(self.task);
        for first in channels.clone().step_by(plan.together) {
            let channels = first..(first + plan.together).min(channels.end);
            // SAFETY: the contract of `start`.
            unsafe {
                let mut sums = [[0.0; 2]; TOGETHER];
                if self.phase == 0 {
                    self.sum(channels.clone(), pieces.clone(), &mut sums);
                }
                if plan.cut.parts > 1 && self.phase == 0 {
                    for (i, c) in channels.enumerate() {
                        self.partial(part).add(2 * c).cast::<[f64; 2]>().write_unaligned(sums[i]);
                    }
                    continue;
                }
                if self.phase == 1 {
                    for part in 0..plan.cut.parts {
                        for (i, c) in channels.clone().enumerate() {
                            let [a, b] = self.partial(part).add(2 * c).cast::<[f64; 2]>().read_unaligned();
                            sums[i] = [sums[i][0] + a, sums[i][1] + b];
                        }
                    }
                }
                let mut affine = [[0.0; TOGETHER]; 5];
                for (i, c) in channels.clone().enumerate() {
                    let a = self.finish.finish(c, sums[i], part == 0);
                    for (to, v) in affine.iter_mut().zip([a.high, a.low, a.by_dy, a.by_x, a.plus]) {
                        to[i] = v;
                    }
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

    #[inline(always)]
    unsafe fn sum(&self, channels: Range<usize>, pieces: Range<usize>, sums: &mut [[f64; 2]; TOGETHER]) {
        let first = channels.start;
        if self.plan.p.s == 1 {
            let c = self.plan.p.c;
            let mut about = [[0.0; 16]; TOGETHER / 16];
            for (i, c) in channels.clone().enumerate() {
                about[i / 16][i % 16] = f64::from(self.finish.about(c));
            }
            let (mut a, mut b) = ([[0.0; 16]; TOGETHER / 16], [[0.0; 16]; TOGETHER / 16]);
            for row in pieces {
                for (v, from) in (first..channels.end).step_by(16).enumerate() {
                    let (at, m) = (row * c + from, (channels.end - from).min(16));
                    let (x, dy) = if m == 16 {
                        // SAFETY: sixteen channels of a row.
                        unsafe { (sixteen(self.x, at), sixteen(self.dy, at)) }
                    } else {
                        (padded(&self.x[at..at + m], 0.0), padded(&self.dy[at..at + m], 0.0))
                    };
                    add::<BACK>(&x, &dy, &about[v], &mut a[v], &mut b[v]);
                }
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                *sums = [a[i / 16][i % 16], b[i / 16][i % 16]];
            }
            return;
        }
        let (mut a, mut b) = ([[0.0; 16]; MOST_PLANES], [[0.0; 16]; MOST_PLANES]);
        for piece in pieces {
            for (i, c) in channels.clone().enumerate() {
                let run = self.plan.cut.piece(piece, c);
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

    /// Writes the function of the elements; `affine` has an entry per channel for each coefficient of [`Affine`].
    #[inline(always)]
    unsafe fn apply<S: Simd16>(&self, channels: Range<usize>, pieces: Range<usize>, affine: &[[f32; TOGETHER]; 5]) {
        let (x, dy, out) = (self.x.as_ptr(), self.dy.as_ptr(), self.out.as_ptr());
        // SAFETY: rows and runs lie inside the slices, whose lengths were checked.
        unsafe {
            for piece in pieces {
                if self.plan.p.s == 1 {
                    for i in (0..channels.len()).step_by(16) {
                        let mut v = Vectors::<S>([S::zero(); 5]);
                        for (v, a) in v.0.iter_mut().zip(affine) {
                            *v = S::load(a.as_ptr().add(i));
                        }
                        let at = piece * self.plan.p.c + channels.start + i;
                        v.apply::<BACK>(x.add(at), dy.add(at), out.add(at), (channels.len() - i).min(16));
                    }
                    continue;
                }
                for (i, c) in channels.clone().enumerate() {
                    let run = self.plan.cut.piece(piece, c);
                    let mut v = Vectors::<S>([S::zero(); 5]);
                    for (v, a) in v.0.iter_mut().zip(affine) {
                        *v = S::splat(a[i]);
                    }
                    let mut at = run.start;
                    while at + 16 <= run.end {
                        v.apply::<BACK>(x.add(at), dy.add(at), out.add(at), 16);
                        at += 16;
                    }
                    if at < run.end {
                        v.apply::<BACK>(x.add(at), dy.add(at), out.add(at), run.end - at);
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
