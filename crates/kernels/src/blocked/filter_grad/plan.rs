//! How a filter gradient is cut: what depends on extents alone.

use crate::blocked::layout::LANES;
use crate::memory::LINE;
use crate::shared::TASK;
use crate::split::share;
use gabor_tensor::{Axis, ConvGeometry};
use std::ops::Range;

/// Tasks that are aimed at.
const TASKS: usize = 16;
/// Vectors of dy of a block of pixels: a fifth of a small second cache. That is more than the innermost one holds, but
/// each tile reads them in order, and the more pixels, the less its sums cost.
const VECTORS: usize = 800;
/// Most vectors of output channels that a task has; each tile takes all of them.
pub(super) const WIDTH: usize = 4;
/// Most elements of a task's part of dw where that holds several blocks of input channels: half of a common second cache.
const OWN: usize = 1 << 17;
/// Tiles that should read a vector of dy before it leaves the innermost cache.
const READS: usize = 8;
/// Most elements of the parts of the sum together.
const PARTS: usize = 1 << 20;

/// One dimension of the window.
#[derive(Clone, Debug)]
pub(super) struct TapAxis {
    axis: Axis,
    /// For each tap: the outputs whose tap lies inside the input.
    pub inside: Vec<Range<usize>>,
}

impl TapAxis {
    fn new(axis: Axis) -> Self {
        let inside = |k: usize| {
            let low = axis.pad_begin.saturating_sub(k * axis.dilation).div_ceil(axis.stride).min(axis.output);
            let high = (axis.input + axis.pad_begin).saturating_sub(k * axis.dilation).div_ceil(axis.stride);
            low..high.clamp(low, axis.output)
        };
        TapAxis { axis, inside: (0..axis.kernel).map(inside).collect() }
    }
    /// The input under tap `k` of output `o`, which must be inside.
    #[inline(always)]
    pub fn input(&self, o: usize, k: usize) -> usize {
        o * self.axis.stride + k * self.axis.dilation - self.axis.pad_begin
    }
}

/// Where a pixel lies in x (the lower half) and in dy, in floats from the first of its run: one number, because tiles are
/// short of loads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(u64);

impl Place {
    #[inline(always)]
    pub fn x(self) -> usize {
        self.0 as u32 as usize
    }
    #[inline(always)]
    pub fn dy(self) -> usize {
        (self.0 >> 32) as usize
    }
}

/// Some neighbouring pixels of some images.
#[derive(Clone, Debug)]
pub(super) struct Pixels {
    pub images: Range<usize>,
    pub depth: usize,
    pub rows: Range<usize>,
    pub columns: Range<usize>,
}

/// Pixels of a block that one tap uses: the coordinates of the first, in x and in dy, and the places of all of one image.
pub(super) struct TapRun<'a> {
    pub x: usize,
    pub dy: usize,
    pub places: &'a [Place],
}

/// What a task computes.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub group: usize,
    /// Blocks of output and input channels, within the group.
    pub outputs: Range<usize>,
    pub inputs: Range<usize>,
    /// Which part of the pixels.
    pub part: usize,
}

/// The cuts.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub n: usize,
    pub groups: usize,
    /// Channels per group.
    pub ci: usize,
    pub co: usize,
    /// Depth, height, width.
    pub axes: [TapAxis; 3],
    pub taps: usize,
    /// Number of weights.
    pub len: usize,
    /// Images, rows and columns of a block of pixels at most, and the number of blocks: image groups, depth, row groups,
    /// pieces of rows.
    images: usize,
    blocks: [usize; 4],
    /// For each tap of the width: its first entry in `places`.
    starts: Vec<usize>,
    places: Vec<Place>,
    output_pieces: usize,
    input_pieces: usize,
    pub parts: usize,
}

impl Plan {
    pub fn new(g: &ConvGeometry, n: usize) -> Result<Self, String> {
        let (groups, ci, co) = (g.groups, g.ci / g.groups, g.co / g.groups);
        if groups > 1 && (ci % LANES != 0 || co % LANES != 0) {
            return Err(format!("groups of {ci} and {co} channels; blocks hold {LANES}"));
        }
        if n == 0 {
            return Err("no images".into());
        }
        let axes = three(g.window.axes())?;
        let [d, h, w] = axes.map(|a| a.output);
        let taps = g.window.kernel_len();
        let (ib, ob) = (ci.div_ceil(LANES), co.div_ceil(LANES));
        let output_pieces = ob.div_ceil(WIDTH);
        let width = ob.div_ceil(output_pieces);

        // Tasks: blocks of the result as long as dy need not be read too often for it, then parts of the sum.
        let len = g.co * ci * taps;
        let work = g.macs().saturating_mul(n as u64) / LANES as u64;
        let wanted = (work / TASK as u64).clamp(1, TASKS as u64) as usize;
        let base = groups * output_pieces;
        let least = ib.div_ceil((OWN / (taps * width * LANES * LANES)).max(1));
        let most = (ib / READS.div_ceil(taps)).max(1);
        let input_pieces = wanted.div_ceil(base).min(most).max(least);
        let parts = (wanted / (base * input_pieces)).min(PARTS / len).max(1);

        // Blocks of pixels: pieces of a row, rows, or planes, as many as may be.
        let most = VECTORS / width;
        let pieces = ((w + most / 2) / most).max(1);
        let rows = even(h, most / w);
        let images = if rows == h && pieces == 1 { even(n, (most / (h * w)).min(n / parts)) } else { 1 };
        let blocks = [n.div_ceil(images), d, h.div_ceil(rows), pieces];
        let parts = parts.min(blocks.iter().product());
        let (starts, places) = places(&axes, h.div_ceil(blocks[2]))?;
        let axes = axes.map(TapAxis::new);
        let cut = Plan {
            n,
            groups,
            ci,
            co,
            axes,
            taps,
            len,
            images,
            blocks,
            starts,
            places,
            output_pieces,
            input_pieces,
            parts,
        };
        Ok(cut)
    }
    /// Tasks of each phase.
    pub fn phases(&self) -> Vec<usize> {
        let mut phases = vec![self.groups * self.output_pieces * self.input_pieces * self.parts];
        if self.parts > 1 {
            phases.push(self.len.div_ceil(1 << 14));
        }
        phases
    }
    /// Elements of a task's part of dw.
    pub fn scratch_len(&self) -> usize {
        let (ib, ob) = (self.ci.div_ceil(LANES), self.co.div_ceil(LANES));
        LINE + ib.div_ceil(self.input_pieces) * ob.div_ceil(self.output_pieces) * self.taps * LANES * LANES
    }
    /// What a task of the first phase computes.
    pub fn part(&self, task: usize) -> Part {
        // Neighbours read the same pixels.
        let (input, rest) = (task % self.input_pieces, task / self.input_pieces);
        let (output, rest) = (rest % self.output_pieces, rest / self.output_pieces);
        let (group, part) = (rest % self.groups, rest / self.groups);
        let inputs = share(input, self.input_pieces, self.ci.div_ceil(LANES));
        let outputs = share(output, self.output_pieces, self.co.div_ceil(LANES));
        Part { group, outputs, inputs, part }
    }
    /// The blocks of pixels of a part of the sum.
    pub fn units(&self, part: usize) -> Range<usize> {
        share(part, self.parts, self.blocks.iter().product())
    }
    /// The pixels of a block.
    #[inline(always)]
    pub fn pixels(&self, unit: usize) -> Pixels {
        let [_, d, h, w] = self.blocks;
        let (piece, rest) = (unit % w, unit / w);
        let (row, rest) = (rest % h, rest / h);
        let (depth, image) = (rest % d, rest / d * self.images);
        Pixels {
            images: image..(image + self.images).min(self.n),
            depth,
            rows: share(row, h, self.axes[1].axis.output),
            columns: share(piece, w, self.axes[2].axis.output),
        }
    }
    /// The pixels of a block for which a tap lies inside the input.
    #[inline(always)]
    pub fn tap_run(&self, p: &Pixels, [kd, kh, kw]: [usize; 3]) -> TapRun<'_> {
        let [d, h, w] = &self.axes;
        let both = |a: &Range<usize>, b: &Range<usize>| a.start.max(b.start)..a.end.min(b.end);
        let (rows, columns) = (both(&p.rows, &h.inside[kh]), both(&p.columns, &w.inside[kw]));
        if !d.inside[kd].contains(&p.depth) || rows.is_empty() || columns.is_empty() {
            return TapRun { x: 0, dy: 0, places: &[] };
        }
        let row = d.input(p.depth, kd) * h.axis.input + h.input(rows.start, kh);
        TapRun {
            x: row * w.axis.input + w.input(columns.start, kw),
            dy: (p.depth * h.axis.output + rows.start) * w.axis.output + columns.start,
            places: &self.places[self.starts[kw]..][..rows.len() * columns.len()],
        }
    }
}

/// As even blocks of at most `most`, but at least 1, as there need be: the largest.
fn even(extent: usize, most: usize) -> usize {
    extent.div_ceil(extent.div_ceil(most.max(1)))
}

/// The window in three dimensions; one that moves nothing becomes a single row.
fn three(axes: &[Axis]) -> Result<[Axis; 3], String> {
    let one = Axis { input: 1, output: 1, kernel: 1, stride: 1, dilation: 1, pad_begin: 0, pad_end: 0 };
    if axes.len() > 3 {
        return Err(format!("{} spatial dimensions; at most 3", axes.len()));
    }
    if axes.iter().all(|a| a.kernel == 1 && a.stride == 1 && a.pad_begin == 0 && a.input == a.output) {
        let plane = axes.iter().map(|a| a.input).product();
        return Ok([one, one, Axis { input: plane, output: plane, ..one }]);
    }
    let mut all = [one; 3];
    all[3 - axes.len()..].copy_from_slice(axes);
    Ok(all)
}

/// The places of the pixels of `rows` rows, for each tap of the width as many in a row as it has inside the input. Taps
/// with equally many share their places; of a single row any piece is a beginning of the longest.
fn places([_, h, w]: &[Axis; 3], rows: usize) -> Result<(Vec<usize>, Vec<Place>), String> {
    let widths: Vec<usize> =
        TapAxis::new(*w).inside.iter().map(|r| if rows == 1 { w.output } else { r.len() }).collect();
    let (mut starts, mut places) = (Vec::new(), Vec::new());
    for (k, &width) in widths.iter().enumerate() {
        if let Some(same) = widths[..k].iter().position(|&v| v == width) {
            starts.push(starts[same]);
            continue;
        }
        starts.push(places.len());
        for (r, c) in (0..rows).flat_map(|r| (0..width).map(move |c| (r, c))) {
            let x = (r * h.stride * w.input + c * w.stride) * LANES;
            let dy = (r * w.output + c) * LANES;
            let [x, dy] = [x, dy].map(|v| u32::try_from(v).map_err(|_| format!("rows of {} pixels", w.input)));
            places.push(Place(u64::from(x?) | u64::from(dy?) << 32));
        }
    }
    Ok((starts, places))
}
