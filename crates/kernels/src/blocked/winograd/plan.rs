//! How a Winograd convolution is cut: tiles into spans and groups, and the extents of its buffers.

use super::WinogradTile;
use super::product::GROUP;
use crate::blocked::layout::LANES;
use crate::shared::{MOST_TASKS, TASK};
use gabor_tensor::{Axis, ConvGeometry};

/// Floats of the transformed inputs of a span that one thread owns, and of its products: half of a second level cache.
const PRIVATE: usize = 1 << 17;
/// Floats of the transformed inputs of a span that all threads share: a part of the last level cache.
const SHARED: usize = 3 << 19;
/// Floats of a transformed filter that is read from the last level cache for every span.
const RESIDENT: usize = 3 << 20;

/// Channels and points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Channels that are summed over.
    pub channels: usize,
    /// Channels of the result.
    pub outputs: usize,
    /// Taps of a filter.
    pub taps: usize,
    /// Points of a tile.
    pub points: usize,
    /// Floats from one point of the transformed filter to the next.
    pub u_point: usize,
}

impl Sizes {
    /// Panels of 32 output channels.
    pub fn panels(&self) -> usize {
        self.outputs.div_ceil(2 * LANES)
    }
    /// Vectors of a panel: 2, or 1 in the last.
    pub fn vectors(&self, panel: usize) -> usize {
        (self.outputs.div_ceil(LANES) - 2 * panel).min(2)
    }
}

/// A distance of at least `len` floats, a whole number of cache lines that is odd: vectors that far apart fall into
/// different sets of a cache.
fn apart(len: usize) -> usize {
    let lines = len.div_ceil(LANES);
    (lines + (13 - lines % 8) % 8) * LANES
}

/// The whole plan. It depends on shapes alone.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub sizes: Sizes,
    /// Rows and columns of a plane of the source and of the result.
    pub from: [usize; 2],
    pub to: [usize; 2],
    /// Rows and columns of zeros before the source; negative where its first ones are not read.
    pub pad: [isize; 2],
    /// Tiles of a plane, and of all images.
    pub tiles: [usize; 2],
    pub total: usize,
    /// Parts of all tiles that are computed together.
    pub spans: usize,
    /// Groups of a span, and the most tiles of a group.
    pub groups: usize,
    pub slot: usize,
    /// Floats from point to point of a group's transformed inputs, from group to group, and from point to point of the
    /// products of one panel.
    pub v_point: usize,
    pub v_group: usize,
    pub m_point: usize,
    /// Whether all threads work on the same span: first its inputs, then its products.
    pub shared: bool,
    /// Tasks that transform the inputs of a shared span; parts that its groups are dealt to for the products.
    pub input_tasks: usize,
    pub parts: usize,
    pub phases: Vec<usize>,
}

impl Plan {
    pub fn forward(g: &ConvGeometry, n: usize, tile: WinogradTile) -> Result<Self, String> {
        let axes = check(g)?;
        let (from, to) = (axes.map(|a| a.input), axes.map(|a| a.output));
        Ok(Self::new([tile.outputs(), axes[0].kernel], n, [g.ci, g.co], from, to, axes.map(|a| a.pad_begin as isize)))
    }
    pub fn input_grad(g: &ConvGeometry, n: usize, tile: WinogradTile) -> Result<Self, String> {
        let axes = check(g)?;
        let (from, to) = (axes.map(|a| a.output), axes.map(|a| a.input));
        let pad = axes.map(|a| a.kernel as isize - 1 - a.pad_begin as isize);
        Ok(Self::new([tile.outputs(), axes[0].kernel], n, [g.co, g.ci], from, to, pad))
    }

    fn new(
        [m, taps]: [usize; 2],
        n: usize,
        [channels, outputs]: [usize; 2],
        from: [usize; 2],
        to: [usize; 2],
        pad: [isize; 2],
    ) -> Self {
        let points = (m + taps - 1).pow(2);
        let blocks = channels.div_ceil(LANES);
        let panel = channels * 2 * LANES;
        let sizes = Sizes { channels, outputs, taps: taps * taps, points, u_point: apart(panel) };
        let tiles = to.map(|l| l.div_ceil(m));
        let total = n * tiles[0] * tiles[1];
        // Vector operations of the products, and what they allow.
        let work = total * points * channels * outputs.div_ceil(LANES);
        let wanted = (work / TASK).clamp(1, MOST_TASKS);
        let per_tile = points * blocks * LANES;
        let private = (PRIVATE / (per_tile + points * 2 * LANES)).max(2 * GROUP);
        let u = sizes.panels() * points * sizes.u_point;
        let shared = wanted > 1 && (u > RESIDENT || total < private * wanted.min(8));
        let spans = if shared {
            total.div_ceil((SHARED / per_tile).max(4 * GROUP))
        } else {
            // A whole number of spans per task.
            let spans = total.div_ceil(private).max(1);
            if spans > wanted { spans.next_multiple_of(wanted) } else { wanted.min(total.div_ceil(GROUP)).max(spans) }
        }
        .max(1);
        let longest = total.div_ceil(spans).max(1);
        let groups = longest.div_ceil(GROUP);
        let slot = longest.div_ceil(groups);
        let v_point = apart(blocks * slot * LANES);
        let parts = if shared { wanted.div_ceil(sizes.panels()).min(groups) } else { 1 };
        let m_point = apart(2 * groups.div_ceil(parts) * slot * LANES);
        let input_tasks = (blocks * groups).min(wanted);
        let phases = if shared { [input_tasks, sizes.panels() * parts].repeat(spans) } else { vec![wanted.min(spans)] };
        Plan {
            sizes,
            from,
            to,
            pad,
            tiles,
            total,
            spans,
            groups,
            slot,
            v_point,
            v_group: points * v_point,
            m_point,
            shared,
            input_tasks,
            parts,
            phases,
        }
    }
    /// Blocks of 16 input channels.
    pub fn blocks(&self) -> usize {
        self.sizes.channels.div_ceil(LANES)
    }
    /// Blocks of 16 output channels.
    pub fn out_blocks(&self) -> usize {
        self.sizes.outputs.div_ceil(LANES)
    }
    /// The tiles of a group of a span.
    pub fn group(&self, span: usize, group: usize) -> std::ops::Range<usize> {
        let (from, to) = (self.total * span / self.spans, self.total * (span + 1) / self.spans);
        let first = from + group * self.slot;
        first.min(to)..(first + self.slot).min(to)
    }
    /// Floats of a span's transformed inputs.
    pub fn v_len(&self) -> usize {
        self.groups * self.v_group
    }
    /// Floats of the products of a panel and a part of the groups.
    pub fn m_len(&self) -> usize {
        self.sizes.points * self.m_point
    }
}

/// The two axes of a geometry that the algorithms can do.
fn check(g: &ConvGeometry) -> Result<[Axis; 2], String> {
    let [h, w] = g.window.axes() else {
        return Err(format!("Winograd needs 2 spatial dimensions, not {}", g.window.rank()));
    };
    if g.groups != 1 || g.ci < LANES || g.co < LANES {
        return Err(format!(
            "Winograd needs one group and at least {LANES} channels, not {} groups of {} to {} channels",
            g.groups, g.ci, g.co
        ));
    }
    for a in [h, w] {
        if ![3, 5].contains(&a.kernel) || a.kernel != h.kernel || a.stride != 1 || a.dilation != 1 {
            return Err(format!("Winograd needs windows of 3x3 or 5x5, stride 1 and dilation 1, not {}", g.window));
        }
    }
    Ok([*h, *w])
}
