//! Filters in the order in which tiles read them.

use super::pass::Pass;
use super::tile::VECTORS;
use crate::blocked::{Packing, layout::LANES};
use crate::shared::MOST_TASKS;
use crate::simd::{Kernel, Simd16};
use crate::split::share;
use crate::{Isa, SharedMut, Work};

/// Elements worth a task of their own.
const TASK: usize = 1 << 15;

/// Packs a filter `[co, ci/groups, kernel…]` for [`super::BlockedConvKernel`]: for each pass, group and panel of up to two
/// vectors of target channels, a row of these for every block of source channels, tap and channel, in this order.
#[derive(Clone, Debug)]
pub struct BlockedFilter {
    isa: Isa,
    groups: usize,
    /// Channels per group that are summed over, and that are computed.
    source: usize,
    target: usize,
    /// Elements of the kernel.
    kernel: usize,
    /// Whether the source channels are the filter's output channels.
    transposed: bool,
    /// The taps of each pass, in its order.
    passes: Vec<Vec<usize>>,
    /// For each element of the kernel the pass that uses it, and its number there.
    places: Vec<Option<(usize, usize)>>,
    /// Where the weights of each pass begin.
    starts: Vec<usize>,
    phases: [usize; 1],
}

impl BlockedFilter {
    pub(super) fn new(
        passes: &[Pass],
        kernel: usize,
        groups: usize,
        [source, target]: [usize; 2],
        transposed: bool,
        isa: Isa,
    ) -> Self {
        let passes: Vec<Vec<usize>> = passes.iter().map(|p| p.taps.iter().map(|t| t.0).collect()).collect();
        let mut places = vec![None; kernel];
        let mut starts = vec![0];
        for (p, taps) in passes.iter().enumerate() {
            taps.iter().enumerate().for_each(|(i, &k)| places[k] = Some((p, i)));
            starts.push(starts[p] + groups * target.next_multiple_of(LANES) * source * taps.len());
        }
        let units = groups * target.div_ceil(LANES);
        let tasks = (groups * source * target * kernel / TASK).clamp(1, MOST_TASKS).min(units);
        BlockedFilter { isa, groups, source, target, kernel, transposed, passes, places, starts, phases: [tasks] }
    }
    /// Rows of a panel of a pass.
    pub(super) fn rows(&self, pass: usize) -> usize {
        self.source * self.passes[pass].len()
    }
    /// Where the panel of vector `vector` (an even number) of a group begins, and the length of its rows.
    pub(super) fn panel(&self, pass: usize, group: usize, vector: usize) -> (usize, usize) {
        let vectors = self.target.div_ceil(LANES);
        let start = self.starts[pass] + (group * vectors + vector) * LANES * self.rows(pass);
        (start, VECTORS.min(vectors - vector) * LANES)
    }
}

impl Work for BlockedFilter {
    fn phases(&self) -> &[usize] {
        &self.phases
    }
}

impl Packing for BlockedFilter {
    fn key(&self) -> String {
        let BlockedFilter { groups, source, target, kernel, .. } = self;
        if self.transposed {
            format!("direct gradient {groups}x{source}x{target}x{kernel} {:?}", self.passes)
        } else {
            format!("direct {groups}x{source}x{target}x{kernel}")
        }
    }
    fn packed_len(&self) -> usize {
        self.starts[self.passes.len()]
    }
    unsafe fn pack(
        &self,
        _phase: usize,
        task: usize,
        from: &[f32],
        to: SharedMut<'_, f32>,
        _workspace: SharedMut<'_, f32>,
        _scratch: &mut [f32],
    ) {
        assert!(from.len() >= self.groups * self.source * self.target * self.kernel && to.len() >= self.packed_len());
        let vectors = self.target.div_ceil(LANES);
        for unit in share(task, self.phases[0], self.groups * vectors) {
            let run = Vector { filter: self, group: unit / vectors, vector: unit % vectors, from, to };
            // SAFETY: lengths are checked, and nobody else writes these lanes.
            unsafe { self.isa.call(run) }
        }
    }
}

/// All weights of one vector of target channels.
struct Vector<'a> {
    filter: &'a BlockedFilter,
    group: usize,
    vector: usize,
    from: &'a [f32],
    to: SharedMut<'a, f32>,
}

impl Kernel for Vector<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let f = self.filter;
        let lanes = (f.target - self.vector * LANES).min(LANES);
        // SAFETY: rows of `lanes` channels lie inside the filter; every row that is written inside the packed one.
        unsafe {
            if !f.transposed {
                // Source channels and taps of a target channel lie in one row.
                let len = f.source * f.kernel;
                let from = self.from[(self.group * f.target + self.vector * LANES) * len..].as_ptr();
                return self.turn::<S>(from, len, len, lanes, 0);
            }
            for channel in 0..f.source {
                let row = (self.group * f.source + channel) * f.target + self.vector * LANES;
                let from = self.from[row * f.kernel..].as_ptr();
                if f.kernel == 1 {
                    self.put::<S>(channel, 0, S::load_up_to(from, lanes));
                } else {
                    self.turn::<S>(from, f.kernel, f.kernel, lanes, channel);
                }
            }
        }
    }
}

impl Vector<'_> {
    /// Turns `lanes` rows of `len` weights, the first of source channel `channel`.
    #[inline(always)]
    unsafe fn turn<S: Simd16>(&self, from: *const f32, row: usize, len: usize, lanes: usize, channel: usize) {
        let (mut channel, mut k) = (channel, 0);
        for at in (0..len).step_by(LANES) {
            let m = (len - at).min(LANES);
            // SAFETY: as the caller promises.
            unsafe {
                let mut v = [S::zero(); LANES];
                for (lane, v) in v.iter_mut().enumerate().take(lanes) {
                    *v = S::load_up_to(from.add(lane * row + at), m);
                }
                for v in S::transpose(v).into_iter().take(m) {
                    self.put::<S>(channel, k, v);
                    k += 1;
                    if k == self.filter.kernel {
                        (channel, k) = (channel + 1, 0);
                    }
                }
            }
        }
    }
    /// Stores the weights of a source channel and an element of the kernel.
    #[inline(always)]
    unsafe fn put<S: Simd16>(&self, channel: usize, k: usize, weights: S::V) {
        let f = self.filter;
        let Some((pass, tap)) = f.places[k] else { return };
        let block = channel / LANES * LANES;
        let row = block * f.passes[pass].len() + tap * (f.source - block).min(LANES) + channel % LANES;
        let within = self.vector % VECTORS;
        let (start, len) = f.panel(pass, self.group, self.vector - within);
        // SAFETY: inside the panel.
        unsafe { S::store(self.to.as_ptr().add(start + row * len + within * LANES), weights) }
    }
}
