//! Direct convolution, forward and input gradient: register tiles over a list of taps.
//!
//! A tile sums `pixels × 16` outputs in registers: each step broadcasts one channel of every pixel and multiplies it with
//! a row of weights. Every sum runs over blocks of 16 source channels, taps and channels of the block, in this order,
//! however the work is cut and whatever the instruction set.

mod band;
mod cut;
mod filter;
mod pass;
mod task;
mod tile;

pub use filter::BlockedFilter;

use super::{Blocked, BlockedEpilogue, layout::LANES, layout::Part};
use crate::memory::{LINE, whole};
use crate::split::{share, tasks};
use crate::{Isa, SharedMut, Work};
use cut::{Cut, Extents};
use gabor_tensor::{ConvGeometry, Window, WindowOptions};
use pass::Pass;
use task::Task;

/// A prepared convolution of blocked tensors, or its input gradient.
#[derive(Clone, Debug)]
pub struct BlockedConvKernel {
    isa: Isa,
    extents: Extents,
    source: Blocked,
    target: Part,
    /// Spatial extents of the target.
    extent: [usize; 3],
    passes: Vec<Prepared>,
    filter: BlockedFilter,
    cut: Cut,
    /// Floats of the band.
    band: usize,
    /// Floats of the bands that tasks share.
    shared: usize,
    phases: Vec<usize>,
}

/// A pass with what depends on the size of its regions.
#[derive(Clone, Debug)]
struct Prepared {
    pass: Pass,
    /// Extents of a part of the band.
    extents: [usize; 3],
    /// Floats of the band of a block of channels.
    band: usize,
    /// Where the shared bands of the pass begin, and their number.
    start: usize,
    bands: usize,
    /// Where each tap finds its source, in floats.
    offsets: Vec<usize>,
}

impl Prepared {
    /// The first output and the number of outputs of a piece, per axis.
    fn region(&self, [pd, ph, pw]: [usize; 3], piece: usize) -> ([usize; 3], [usize; 3]) {
        let (pieces, at) = ([pd, ph, pw], [piece / (pw * ph), piece / pw % ph, piece % pw]);
        let ranges: [_; 3] = std::array::from_fn(|i| share(at[i], pieces[i], self.pass.axes[i].count));
        (ranges.each_ref().map(|r| r.start), ranges.each_ref().map(|r| r.len()))
    }
}

impl BlockedConvKernel {
    /// Prepares the convolution of `n` images: blocked x `[n, ci, input…]` and the packed filter to blocked y.
    ///
    /// # Errors
    /// More than three spatial dimensions, or groups of channels that are not whole blocks.
    pub fn forward(g: &ConvGeometry, n: usize, isa: Isa) -> Result<Self, String> {
        Self::new(g, n, isa, false)
    }
    /// Prepares the input gradient of `n` images: blocked dy `[n, co, output…]` and the packed filter to blocked dx.
    ///
    /// # Errors
    /// As [`BlockedConvKernel::forward`].
    pub fn input_grad(g: &ConvGeometry, n: usize, isa: Isa) -> Result<Self, String> {
        Self::new(g, n, isa, true)
    }

    fn new(g: &ConvGeometry, n: usize, isa: Isa, gradient: bool) -> Result<Self, String> {
        let (ci, co) = (g.ci / g.groups, g.co / g.groups);
        if g.groups > 1 && (!ci.is_multiple_of(LANES) || !co.is_multiple_of(LANES)) {
            return Err(format!("groups of {ci} input and {co} output channels are not whole blocks of {LANES}"));
        }
        let window = joined(&g.window).map_err(|e| e.to_string())?;
        let passes = if gradient { Pass::backward(&window)? } else { Pass::forward(&window)? };
        let [input, output] = [(g.ci, window.input()), (g.co, window.output())].map(|(c, extents)| {
            let mut extent = [1; 3];
            extent[3 - extents.len()..].copy_from_slice(&extents);
            (Blocked { n, c, plane: extent.iter().product() }, extent)
        });
        let ((source, _), (target, extent)) = if gradient { (output, input) } else { (input, output) };
        let channels = if gradient { [co, ci] } else { [ci, co] };
        let extents = Extents { n, groups: g.groups, source: channels[0], target: channels[1] };
        let filter = BlockedFilter::new(&passes, window.kernel_len(), g.groups, channels, gradient, isa);
        let cut = Cut::choose(&extents, &passes);
        let blocks = extents.blocks().div_ceil(cut.chunks) * cut.images;
        let mut shared = 0;
        let passes: Vec<Prepared> = passes
            .into_iter()
            .map(|pass| {
                let region = pass.region(cut.pieces);
                let (extents, band, offsets) = (pass.extents(region), pass.band(region) * LANES, pass.offsets(region));
                let images = if cut.shared && band > 0 { n * cut.pieces.iter().product::<usize>() } else { 0 };
                let (start, bands) = (shared, images * g.groups * channels[0].div_ceil(LANES));
                shared += bands * band;
                Prepared { pass, extents, band, start, bands, offsets }
            })
            .collect();
        let band = if cut.shared { 0 } else { passes.iter().map(|p| p.band).max().unwrap_or(0) * blocks };
        let mut phases = vec![cut.tasks(&extents)];
        if cut.shared {
            phases.insert(0, tasks(shared, passes.iter().map(|p| p.bands).sum()));
        }
        let target = Part::whole(target);
        Ok(BlockedConvKernel { isa, extents, source, target, extent, passes, filter, cut, band, shared, phases })
    }
    /// Writes the target into a larger tensor from now on, of `pitch` blocks of channels an image. Then the epilogue has no
    /// other summand.
    pub fn spread(&mut self, pitch: usize) {
        self.target.pitch = pitch;
    }
    /// The order in which the filter is read.
    pub fn packing(&self) -> BlockedFilter {
        self.filter.clone()
    }
    /// Runs one task: reads the blocked source (x or dy) and the packed filter, writes its part of the blocked target (y
    /// or dx).
    ///
    /// # Safety
    /// Tasks of one phase may run at the same time, those of the next only after them; nothing else may touch `y` and
    /// `workspace` meanwhile. `scratch` belongs to this call.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    #[allow(clippy::too_many_arguments)]
    pub unsafe fn run(
        &self,
        phase: usize,
        task: usize,
        x: &[f32],
        w: &[f32],
        epilogue: BlockedEpilogue<'_>,
        y: SharedMut<'_, f32>,
        workspace: SharedMut<'_, f32>,
        scratch: &mut [f32],
    ) {
        use super::Packing;
        assert!(x.len() >= self.source.len() && w.len() >= self.filter.packed_len() && y.len() >= self.target.span());
        assert!(workspace.len() >= self.workspace_len() && scratch.len() >= self.scratch_len());
        assert!(task < self.phases[phase], "task {task} of {}", self.phases[phase]);
        assert!(epilogue.bias.is_none_or(|b| b.len() >= self.target.tensor.c));
        assert!(epilogue.add.is_none_or(|a| self.target.is_whole() && a.len() >= self.target.span()));
        let copies = phase + 1 < self.phases.len();
        let run = Task { kernel: self, copies, task, x, w, epilogue, y, workspace, scratch };
        // SAFETY: lengths are checked; tasks write disjoint outputs; the rest is the caller's promise.
        unsafe { self.isa.call(run) }
    }
}

impl Work for BlockedConvKernel {
    fn phases(&self) -> &[usize] {
        &self.phases
    }
    fn workspace_len(&self) -> usize {
        if self.shared == 0 { 0 } else { LINE + self.shared }
    }
    fn scratch_len(&self) -> usize {
        if self.band == 0 { 0 } else { LINE + whole(self.band) }
    }
}

/// The same window with all pixels in one row, where it only moves a single pixel.
fn joined(window: &Window) -> Result<Window, gabor_tensor::Rule> {
    let single = |a: &gabor_tensor::Axis| (a.kernel, a.stride, a.pad_begin) == (1, 1, 0) && a.input == a.output;
    if window.axes().iter().all(single) {
        WindowOptions::new(&[1]).resolve(&[window.input_len()])
    } else {
        Ok(window.clone())
    }
}

#[cfg(test)]
mod tests;
