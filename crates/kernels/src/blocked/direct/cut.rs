//! How a convolution is cut into tasks and blocks.

use super::pass::{PIXELS, Pass};
use super::tile::VECTORS;
use crate::blocked::layout::LANES;
use crate::shared::worth;

/// Most floats of the weights that are used before others are: a part of the second-level cache.
const WEIGHTS: usize = 40 << 10;
/// Most floats of the source that are used with these weights: another part of it.
const SOURCE: usize = 96 << 10;
/// Most floats of the band of a single block of channels, where there is a choice.
const BAND: usize = 256 << 10;
/// Floats of weights beyond which they come from the third-level cache in every task.
const NEAR: usize = 160 << 10;
/// Numbers of threads that the cut should suit.
const THREADS: [usize; 4] = [1, 2, 4, 8];
/// Most floats of all bands together where they are shared.
const SHARED: usize = 1 << 20;
/// Estimated cycles to copy a pixel of a block of channels, to read one that another thread copied, to begin a phase and to
/// begin a task.
const COPY: usize = 8;
const READ: usize = 2;
const PHASE: usize = 4000;
const START: usize = 2000;
/// The problem: images, groups, source and target channels per group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extents {
    pub n: usize,
    pub groups: usize,
    pub source: usize,
    pub target: usize,
}

impl Extents {
    /// Blocks of source channels of a group.
    pub(super) fn blocks(&self) -> usize {
        self.source.div_ceil(LANES)
    }
    /// Vectors of target channels of a group.
    pub(super) fn vectors(&self) -> usize {
        self.target.div_ceil(LANES)
    }
    /// Panels of weights of a group.
    pub(super) fn panels(&self) -> usize {
        self.vectors().div_ceil(VECTORS)
    }
}

/// A cut. A task computes some panels of a piece of some images; its sums run over one chunk of blocks of source channels
/// after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// Images of a task.
    pub images: usize,
    /// Pieces per axis.
    pub pieces: [usize; 3],
    /// Parts of the panels of all groups.
    pub parts: usize,
    /// Chunks.
    pub chunks: usize,
    /// Whether the bands are made before, in a phase of their own, because several parts need the same.
    pub shared: bool,
}

impl Cut {
    /// The number of tasks.
    pub(super) fn tasks(&self, e: &Extents) -> usize {
        e.n.div_ceil(self.images) * self.pieces.iter().product::<usize>() * self.parts
    }

    /// The cut with the least estimated time. It depends on extents alone.
    pub(super) fn choose(e: &Extents, passes: &[Pass]) -> Self {
        let counts = |i: usize| passes.iter().map(|p| p.axes[i].count).max().unwrap_or(1);
        let [d, h, w] = [counts(0), counts(1), counts(2)];
        let wide = passes.iter().all(|p| h == 1 || !p.flat);
        let mut shapes: Vec<(usize, [usize; 3])> = Vec::new();
        let mut images = 1;
        while images < 2 * e.n {
            shapes.push((images.min(e.n), [1; 3]));
            images *= 2;
        }
        for pieces in ladder(d * h * w).skip(1) {
            let pd = pieces.min(d);
            let ph = pieces.div_ceil(pd).min(h);
            let pw = if wide { pieces.div_ceil(pd * ph).min(w) } else { 1 };
            if shapes.last() != Some(&(1, [pd, ph, pw])) {
                shapes.push((1, [pd, ph, pw]));
            }
        }
        let outputs = |p: &Pass| p.axes.iter().map(|a| a.count).product::<usize>();
        let steps: usize = passes.iter().map(|p| p.taps.len() * outputs(p)).sum();
        // Half a task's worth of work is the least that another thread is woken for.
        let most = worth(&[2, e.n, e.groups, e.vectors(), e.source, steps], 1, usize::MAX);
        let units = e.groups * e.panels();
        let mut best = (u64::MAX, Cut { images: 1, pieces: [1; 3], parts: 1, chunks: 1, shared: false });
        for (images, pieces) in shapes {
            for parts in ladder(units) {
                for shared in [false, true] {
                    let mut cut = Cut { images, pieces, parts, chunks: 1, shared };
                    let bands = cut.bands(e, passes) * LANES;
                    let pointless = shared && (parts == 1 || bands == 0 || bands > SHARED);
                    if pointless || cut.tasks(e) > most {
                        continue;
                    }
                    cut.chunks = cut.fitting(e, passes);
                    let cost = cut.cost(e, passes);
                    if cost < best.0 {
                        best = (cost, cut);
                    }
                }
            }
        }
        best.1
    }

    /// As few chunks as fit into the cache.
    fn fitting(&self, e: &Extents, passes: &[Pass]) -> usize {
        let taps = passes.iter().map(|p| p.taps.len()).max().unwrap_or(1);
        let weights = WEIGHTS / (taps * LANES * LANES * VECTORS.min(e.vectors())).max(1);
        let source = SOURCE / (self.images * LANES * passes.iter().map(|p| self.pixels(p)).max().unwrap_or(1)).max(1);
        e.blocks().div_ceil(weights.min(source).max(1))
    }
    /// Pixels of a block of channels of an image that a task reads.
    fn pixels(&self, pass: &Pass) -> usize {
        let region = pass.region(self.pieces);
        if pass.in_place { pass.extents(region).iter().product() } else { pass.band(region) }
    }

    /// Pixels of all bands of all images, pieces and blocks.
    fn bands(&self, e: &Extents, passes: &[Pass]) -> usize {
        let bands: usize = passes.iter().map(|p| p.band(p.region(self.pieces))).sum();
        bands * e.n * self.pieces.iter().product::<usize>() * e.groups * e.blocks()
    }

    /// An estimate of the time of all tasks, for several numbers of threads.
    fn cost(&self, e: &Extents, passes: &[Pass]) -> u64 {
        let units = e.groups * e.panels();
        let panels = units.div_ceil(self.parts);
        let vectors = (panels * VECTORS).min(panels * e.vectors());
        let groups = panels.div_ceil(e.panels());
        let mut task = 0;
        for pass in passes {
            let region = pass.region(self.pieces);
            let tiles = self.images * pass.tiles(region);
            let pixels = self.images * region.iter().product::<usize>();
            let rows = e.source * pass.taps.len();
            // A step of the sum with few pixels waits for its weights.
            task += rows * vectors * pixels.max(tiles * PIXELS / 3);
            task += tiles * panels * (40 + self.chunks * 60);
            task += self.images * groups * e.blocks() * pass.band(region) * if self.shared { READ } else { COPY };
            let all = rows * units * VECTORS * LANES;
            task += rows * vectors * if all > NEAR { 3 } else { 1 };
            if pass.band(region) * LANES > BAND {
                task += pass.band(region) * e.blocks() * groups * 64;
            }
        }
        let tasks = self.tasks(e);
        let before = if self.shared { self.bands(e, passes) * COPY } else { 0 };
        let phase = if self.shared { PHASE } else { 0 };
        THREADS.iter().map(|&t| (t * (tasks.div_ceil(t) * (task + START) + phase) + before) as u64).sum()
    }
}

/// Numbers up to `most` that are tried: the small ones, then four between powers of two.
fn ladder(most: usize) -> impl Iterator<Item = usize> {
    let step = |n: &usize| Some(n + ((1 << n.ilog2()) / 4).max(1));
    std::iter::successors(Some(1), step).take_while(move |&n| n <= most)
}
