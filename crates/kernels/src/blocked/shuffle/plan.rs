//! Where every element of a blocked result comes from.

use super::moves::Run;
use crate::blocked::Blocked;
use crate::reference::pad_source;
use crate::split::tasks;
use crate::{Isa, SharedMut, Work};
use gabor_tensor::PadMode;

/// Stands for an index that no source has: padding.
pub(super) const NONE: usize = usize::MAX;
/// Most pixels of a unit of work.
const PIECE: usize = 1024;

/// Neighbouring lanes that come from neighbouring lanes of one block of a source.
#[derive(Clone, Debug)]
pub(super) struct Lanes {
    pub source: usize,
    pub block: usize,
    /// The first lane there and here, and their number.
    pub from: usize,
    pub to: usize,
    pub count: usize,
    /// All bits in the lanes here, none in others.
    pub mask: [f32; 16],
}

/// A block of the result.
#[derive(Clone, Debug)]
pub(super) struct BlockPlan {
    pub lanes: Vec<Lanes>,
    /// Whether vectors are copied as they are.
    pub whole: bool,
    /// The constant in lanes that come from nowhere, and in all lanes.
    pub rest: [f32; 16],
    pub fill: [f32; 16],
}

/// A prepared movement of elements between blocked tensors: every element of the result comes from a place of a source or
/// is a constant. What moves along the channels may change its lane.
#[derive(Clone, Debug)]
pub struct BlockedMove {
    isa: Isa,
    pub(super) sources: Vec<Blocked>,
    /// Spatial extents of the sources and of the result.
    pub(super) from: [usize; 3],
    pub(super) to: [usize; 3],
    pub(super) result: Blocked,
    /// For each image and each index of depth, height, width of the result: the index in the source.
    pub(super) maps: [Vec<usize>; 4],
    /// Whether the pixels of a row are neighbours in the source.
    pub(super) contiguous: bool,
    pub(super) blocks: Vec<BlockPlan>,
    /// Pixels of a unit of work, and such units in a row.
    pub(super) piece: usize,
    pub(super) pieces: usize,
    pub(super) units: usize,
    pub(super) phases: [usize; 1],
}

/// The source index of every index of an axis.
type Map = Vec<usize>;

fn identity(len: usize) -> Map {
    (0..len).collect()
}

impl BlockedMove {
    /// Joins tensors `[n, c, spatial…]` along the channels.
    ///
    /// # Errors
    /// No tensor, or other than two to five dimensions.
    pub fn concat(shapes: &[Vec<usize>], isa: Isa) -> Result<Self, String> {
        let first = shapes.first().ok_or("nothing to join")?;
        let of = |(i, s): (usize, &Vec<usize>)| (0..s.get(1).copied().unwrap_or(0)).map(move |c| (i, c));
        let channels = shapes.iter().enumerate().flat_map(of).collect();
        let maps = first.iter().map(|&n| identity(n)).collect();
        Self::new(shapes, channels, maps, 0.0, isa)
    }
    /// Every `step`-th element of an axis from `start` on, `len` of them.
    ///
    /// # Errors
    /// Other than two to five dimensions.
    pub fn slice(
        shape: &[usize],
        axis: usize,
        start: usize,
        step: usize,
        len: usize,
        isa: Isa,
    ) -> Result<Self, String> {
        let mut maps: Vec<Map> = shape.iter().map(|&n| identity(n)).collect();
        maps[axis] = (0..len).map(|i| start + i * step).collect();
        Self::single(shape, maps, 0.0, isa)
    }
    /// The adjoint of a slice: elements at `start`, `start + step`, … of an axis of `len` zeros.
    ///
    /// # Errors
    /// Other than two to five dimensions.
    pub fn embed(
        shape: &[usize],
        axis: usize,
        start: usize,
        step: usize,
        len: usize,
        isa: Isa,
    ) -> Result<Self, String> {
        let mut maps: Vec<Map> = shape.iter().map(|&n| identity(n)).collect();
        maps[axis] = vec![NONE; len];
        for i in 0..shape[axis] {
            maps[axis][start + i * step] = i;
        }
        Self::single(shape, maps, 0.0, isa)
    }
    /// Padding by `pads[d] = (before, after)` elements per dimension.
    ///
    /// # Errors
    /// Other than two to five dimensions, or no element.
    pub fn pad(mode: PadMode, value: f32, shape: &[usize], pads: &[(usize, usize)], isa: Isa) -> Result<Self, String> {
        if shape.contains(&0) {
            return Err(format!("nothing to surround in {shape:?}"));
        }
        let map = |(&n, &(before, after)): (&usize, &(usize, usize))| {
            (0..before + n + after).map(|o| pad_source(mode, o, before, n).unwrap_or(NONE)).collect()
        };
        Self::single(shape, shape.iter().zip(pads).map(map).collect(), value, isa)
    }
    /// What is left without `pads[d] = (before, after)` elements per dimension: the adjoint of constant padding.
    ///
    /// # Errors
    /// Other than two to five dimensions.
    pub fn crop(shape: &[usize], pads: &[(usize, usize)], isa: Isa) -> Result<Self, String> {
        let maps = shape.iter().zip(pads).map(|(&n, &(before, after))| (before..n - after).collect()).collect();
        Self::single(shape, maps, 0.0, isa)
    }

    /// From one source.
    fn single(shape: &[usize], maps: Vec<Map>, value: f32, isa: Isa) -> Result<Self, String> {
        let channels = maps.get(1).map_or(Vec::new(), |m| m.iter().map(|&c| (0, c)).collect());
        Self::new(&[shape.to_vec()], channels, maps, value, isa)
    }

    /// `channels`: the source and its channel of every channel of the result; `maps`: those of the other dimensions (the
    /// entry of the channels is not looked at).
    fn new(
        shapes: &[Vec<usize>],
        channels: Vec<(usize, usize)>,
        mut maps: Vec<Map>,
        value: f32,
        isa: Isa,
    ) -> Result<Self, String> {
        let rank = shapes[0].len();
        if !(2..=5).contains(&rank) {
            return Err(format!("{rank} dimensions, not two to five"));
        }
        let sources: Vec<Blocked> = shapes.iter().filter_map(|s| Blocked::new(s)).collect();
        let mut from = [1; 3];
        from[5 - rank..].copy_from_slice(&shapes[0][2..]);
        let images = maps.remove(0);
        maps.remove(0);
        let mut spatial: [Map; 3] = std::array::from_fn(|_| vec![0]);
        for (to, map) in spatial[5 - rank..].iter_mut().zip(maps) {
            *to = map;
        }
        // Planes that stay as they are need not be walked row by row.
        if (0..3).all(|d| spatial[d] == identity(from[d])) {
            from = [1, 1, from.iter().product()];
            spatial = [vec![0], vec![0], identity(from[2])];
        }
        let to = [0, 1, 2].map(|d| spatial[d].len());
        let [depth, height, width] = spatial;
        let contiguous = !width.contains(&NONE) && width.windows(2).all(|w| w[1] == w[0] + 1);
        let result = Blocked { n: images.len(), c: channels.len(), plane: to.iter().product() };
        let blocks: Vec<BlockPlan> = channels.chunks(16).map(|c| block(c, &sources, value)).collect();
        let pieces = to[2].div_ceil(PIECE).max(1);
        let units = result.n * blocks.len() * to[0] * to[1] * pieces;
        Ok(BlockedMove {
            isa,
            sources,
            from,
            to,
            result,
            maps: [images, depth, height, width],
            contiguous,
            blocks,
            piece: to[2].div_ceil(pieces),
            pieces,
            units,
            phases: [tasks(result.len(), units)],
        })
    }
    /// Runs one task: reads the sources, `input(i)` being that of number `i`, and writes its part of `y`.
    ///
    /// # Safety
    /// Nothing but other tasks of this kernel may touch `y` meanwhile.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run<'a>(&self, task: usize, input: &dyn Fn(usize) -> &'a [f32], y: SharedMut<'_, f32>) {
        assert!(
            self.sources.iter().enumerate().all(|(i, s)| input(i).len() >= s.len()) && y.len() >= self.result.len()
        );
        // SAFETY: lengths are checked; tasks write disjoint pieces of rows.
        unsafe { self.isa.call(Run { k: self, task, input, y: y.as_ptr() }) }
    }
}

impl Work for BlockedMove {
    fn phases(&self) -> &[usize] {
        &self.phases
    }
}

/// The plan of a block from the sources and channels of its lanes.
fn block(channels: &[(usize, usize)], sources: &[Blocked], value: f32) -> BlockPlan {
    let (mut rest, mut fill) = ([0.0; 16], [0.0; 16]);
    let mut lanes: Vec<Lanes> = Vec::new();
    for (to, &(source, c)) in channels.iter().enumerate() {
        fill[to] = value;
        if c == NONE {
            rest[to] = value;
            continue;
        }
        match lanes.last_mut() {
            Some(l)
                if (l.source, l.block) == (source, c / 16) && l.from + l.count == c % 16 && l.to + l.count == to =>
            {
                l.count += 1;
            }
            _ => lanes.push(Lanes { source, block: c / 16, from: c % 16, to, count: 1, mask: [0.0; 16] }),
        }
    }
    for l in &mut lanes {
        l.mask[l.to..l.to + l.count].fill(f32::from_bits(u32::MAX));
    }
    // Lanes beyond the last channel are zero there as they must be here.
    let whole = match &lanes[..] {
        [l] => l.count == channels.len() && l.from == 0 && l.count == sources[l.source].lanes(l.block),
        _ => false,
    };
    BlockPlan { lanes, whole, rest, fill }
}
