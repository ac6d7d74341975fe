//! How a Winograd convolution is cut: tiles into spans and groups, and the extents of its buffers.

use super::WinogradTile;
use super::product::GROUP;
use super::tiling::{Strided, Tiling};
use crate::blocked::layout::{Blocked, LANES, Part};
use crate::shared::{MOST_TASKS, worth};
use gabor_tensor::{Axis, ConvGeometry};

/// Floats of the transformed inputs of a span that one thread owns, and of its products: half of a second level cache.
const PRIVATE: usize = 1 << 17;
/// Floats of the transformed inputs of a span that all threads share: a part of the last level cache.
const SHARED: usize = 3 << 19;
/// Floats of a transformed filter that is read from the last level cache for every span.
const RESIDENT: usize = 3 << 20;

/// With fewer channels most lanes of a block would be idle.
const FEWEST: usize = 12;

/// Channels and points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Channels that are summed over: those of the source, once for each row of taps if they are read one by one.
    pub channels: usize,
    /// Rows of taps that are read one by one; 1 if all are read together.
    pub rows: usize,
    /// Channels of the result.
    pub outputs: usize,
    /// Taps of a filter.
    pub taps: usize,
    /// Points of a tile.
    pub points: usize,
    /// Points of a filter: the last one is for all points of a tile from there on.
    pub filter_points: usize,
    /// Floats from one point of the transformed filter to the next.
    pub u_point: usize,
}

impl Sizes {
    /// Of square tiles with `m` outputs under a window of `taps` in each dimension; the distance of points is not known yet.
    fn square([m, taps]: [usize; 2], [channels, outputs]: [usize; 2]) -> Self {
        let points = (m + taps - 1).pow(2);
        Sizes { channels, rows: 1, outputs, taps: taps * taps, points, filter_points: points, u_point: 0 }
    }
    /// Channels of the source.
    pub fn source_channels(&self) -> usize {
        self.channels / self.rows
    }
    /// Floats of the transformed filter.
    pub fn filter_len(&self) -> usize {
        self.panels() * self.filter_points * self.u_point
    }
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
    pub target: Part,
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
        let (outputs, sizes, axes) = if g.window.axes().iter().all(|a| a.stride == Strided::STRIDE) {
            let axes = check(g, &[Strided::ROWS], Strided::STRIDE)?;
            if tile != WinogradTile::F4 || !g.ci.is_multiple_of(LANES) {
                return Err(format!(
                    "Winograd with a stride needs F4 and whole blocks of channels, not {tile:?} of {}",
                    g.ci
                ));
            }
            let sizes = Sizes {
                channels: g.ci * Strided::ROWS,
                rows: Strided::ROWS,
                points: Strided::POINTS,
                filter_points: Strided::FILTER_POINTS,
                ..Sizes::square([tile.outputs(), Strided::ROWS], [g.ci, g.co])
            };
            (Strided::OUTPUTS, sizes, axes)
        } else {
            let axes = check(g, WINDOWS, 1)?;
            ([tile.outputs(); 2], Sizes::square([tile.outputs(), axes[0].kernel], [g.ci, g.co]), axes)
        };
        let (from, to) = (axes.map(|a| a.input), axes.map(|a| a.output));
        Ok(Self::new(outputs, n, sizes, from, to, axes.map(|a| a.pad_begin as isize)))
    }
    pub fn input_grad(g: &ConvGeometry, n: usize, tile: WinogradTile) -> Result<Self, String> {
        let axes = check(g, WINDOWS, 1)?;
        let (from, to) = (axes.map(|a| a.output), axes.map(|a| a.input));
        let pad = axes.map(|a| a.kernel as isize - 1 - a.pad_begin as isize);
        let sizes = Sizes::square([tile.outputs(), axes[0].kernel], [g.co, g.ci]);
        Ok(Self::new([tile.outputs(); 2], n, sizes, from, to, pad))
    }

    /// For tiles of so many rows and columns of outputs.
    fn new(m: [usize; 2], n: usize, sizes: Sizes, from: [usize; 2], to: [usize; 2], pad: [isize; 2]) -> Self {
        let Sizes { channels, outputs, points, .. } = sizes;
        let sizes = Sizes { u_point: apart(channels * 2 * LANES), ..sizes };
        let blocks = channels.div_ceil(LANES);
        let tiles = [0, 1].map(|i| to[i].div_ceil(m[i]));
        let total = n * tiles[0] * tiles[1];
        // What the products allow.
        let wanted = worth(&[total, points, channels, outputs.div_ceil(LANES)], 1, MOST_TASKS);
        let per_tile = points * blocks * LANES;
        let private = (PRIVATE / (per_tile + points * 2 * LANES)).max(2 * GROUP);
        let u = sizes.filter_len();
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
            target: Part::whole(Blocked { n, c: outputs, plane: to[0] * to[1] }),
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
    /// Blocks of 16 channels that are summed over.
    pub fn blocks(&self) -> usize {
        self.sizes.channels.div_ceil(LANES)
    }
    /// Blocks of 16 channels of the source.
    pub fn source_blocks(&self) -> usize {
        self.sizes.source_channels().div_ceil(LANES)
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

/// Windows of tiles that are square.
const WINDOWS: &[usize] = &[3, 4, 5];

/// The two axes of a geometry that the algorithms can do.
fn check(g: &ConvGeometry, windows: &[usize], stride: usize) -> Result<[Axis; 2], String> {
    let [h, w] = g.window.axes() else {
        return Err(format!("Winograd needs 2 spatial dimensions, not {}", g.window.rank()));
    };
    if g.groups != 1 || g.ci.min(g.co) < FEWEST {
        return Err(format!(
            "Winograd needs one group and at least {FEWEST} channels, not {} groups of {} to {} channels",
            g.groups, g.ci, g.co
        ));
    }
    for a in [h, w] {
        if !windows.contains(&a.kernel) || a.kernel != h.kernel || a.stride != stride || a.dilation != 1 {
            return Err(format!(
                "Winograd needs windows of 3x3, 4x4 or 5x5 with stride 1 (forward: 3x3 with 2) and dilation 1, not {}",
                g.window
            ));
        }
    }
    Ok([*h, *w])
}
