//! How a filter gradient is cut into steps and tasks.

use super::super::WinogradTile;
use super::bands::RUN;
use crate::shared::worth;
use crate::split::share;
use gabor_tensor::ConvGeometry;
use std::ops::Range;

/// Most tasks of a phase.
const TASKS: usize = 16;
/// Blocks of channels that one task sums, of inputs and of outputs: then a point's factors come from the third-level
/// cache faster than they are multiplied.
const GROUP: usize = 4;
/// Most pairs of blocks whose tiles are divided among tasks, rather than the blocks.
const FEW: usize = 4;
/// Floats of the points of a chunk that the caches hold: those of all tasks together, those of one task.
const SHARED: usize = 3 << 20;
const OWN: usize = 1 << 18;
/// Fewest and most tiles of a chunk: sums are read and written once per chunk; long sums in one go lose precision.
const TILES: [usize; 2] = [98, 256];

/// The cut. Tiles lie in runs of neighbours in a row; runs are numbered row by row, image by image.
///
/// All tasks transform a chunk of runs, then each multiplies it for a group of channels. Where channels are few, tasks
/// take parts of the runs instead, and do both.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Outputs of a tile in one dimension.
    pub m: usize,
    /// Points of a tile in two dimensions.
    pub points: usize,
    /// Runs of all images, of an image, of a row.
    pub runs: usize,
    pub runs_of_image: usize,
    pub runs_of_row: usize,
    /// Tiles of a row and of a run; the last of a row may be shorter.
    pub row: usize,
    pub run: usize,
    /// Blocks of input and output channels.
    pub blocks: [usize; 2],
    /// Groups of such blocks that are summed by one task.
    pub groups: [usize; 2],
    /// Chunks of runs, of each part.
    pub chunks: usize,
    /// Parts of the runs that are summed apart, if so.
    pub parts: Option<usize>,
    /// Most tiles of a chunk.
    pub tiles: usize,
}

impl Plan {
    /// By shapes alone.
    pub(super) fn new(g: &ConvGeometry, n: usize, tile: WinogradTile) -> Self {
        let blocks = [g.ci, g.co].map(|c| c.div_ceil(16));
        let few = blocks[0] * blocks[1] <= FEW;
        let tile_len = points(g, tile) * (blocks[0] + blocks[1]) * 16;
        let tiles = if few { OWN / tile_len } else { (SHARED / tile_len).clamp(TILES[0], TILES[1]) };
        Self::with(g, n, tile, few, tiles)
    }
    /// With about that many tiles a chunk.
    pub(super) fn with(g: &ConvGeometry, n: usize, tile: WinogradTile, few: bool, tiles: usize) -> Self {
        let m = tile.outputs();
        let [rows, row] = [0, 1].map(|i| g.window.axes()[i].output.div_ceil(m));
        let runs_of_row = row.div_ceil(RUN);
        let runs_of_image = rows * runs_of_row;
        let mut plan = Plan {
            m,
            points: points(g, tile),
            runs: n * runs_of_image,
            runs_of_image,
            runs_of_row,
            row,
            run: row.div_ceil(runs_of_row),
            blocks: [g.ci, g.co].map(|c| c.div_ceil(16)),
            groups: [1, 1],
            chunks: 1,
            parts: None,
            tiles: 0,
        };
        let total = plan.first_tile(plan.runs);
        if few {
            let parts = plan.worth(total).min(plan.runs.max(1));
            plan.parts = Some(parts);
            plan.chunks = total.div_ceil(parts * tiles).clamp(1, plan.runs.div_ceil(parts).max(1));
        } else {
            plan.chunks = total.div_ceil(tiles).clamp(1, plan.runs.max(1));
        }
        let all = plan.parts.unwrap_or(1) * plan.chunks;
        plan.tiles = (0..all).map(|c| plan.tiles_of(share(c, all, plan.runs))).max().unwrap_or(0);
        let wanted = plan.worth(plan.tiles);
        let mut size = [GROUP, GROUP];
        loop {
            plan.groups = [0, 1].map(|i| plan.blocks[i].div_ceil(size[i]));
            if plan.groups[0] * plan.groups[1] >= wanted || size == [1, 2] {
                break;
            }
            let i = if size[0] >= size[1] || size[1] == 2 { 0 } else { 1 };
            size[i] /= 2;
        }
        plan
    }
    /// Tasks for the products of as many tiles.
    fn worth(&self, tiles: usize) -> usize {
        worth(&[tiles, self.points, self.blocks[0], self.blocks[1], 16], 1, TASKS)
    }
    /// Tasks that transform a chunk.
    pub(super) fn transforms(&self) -> usize {
        let pieces = self.tiles * (self.blocks[0] + self.blocks[1]);
        worth(&[pieces, self.points, 10], 1, TASKS)
    }
    /// The number of the first tile of a run.
    pub(super) fn first_tile(&self, run: usize) -> usize {
        run / self.runs_of_row * self.row + run % self.runs_of_row * self.run
    }
    /// Tiles of neighbouring runs.
    pub(super) fn tiles_of(&self, runs: Range<usize>) -> usize {
        self.first_tile(runs.end) - self.first_tile(runs.start)
    }
    /// Floats from a block of the points of a chunk to the next, and from a point to the next of inputs and gradients.
    pub(super) fn steps(&self) -> [usize; 3] {
        let block = self.tiles * 16;
        [block, skew(self.blocks[0] * block), skew(self.blocks[1] * block)]
    }
    /// Floats of the points of a chunk.
    pub(super) fn points_len(&self) -> usize {
        let [_, x, dy] = self.steps();
        self.points * (x + dy)
    }
    /// Groups of channels.
    pub(super) fn tasks(&self) -> usize {
        self.groups[0] * self.groups[1]
    }
    /// Floats of the sums of a group of channels.
    pub(super) fn sums_len(&self) -> usize {
        let [ci, co] = [0, 1].map(|i| self.blocks[i].div_ceil(self.groups[i]) * 16);
        self.points * ci * co
    }
    /// Sums that the workspace holds.
    pub(super) fn sums(&self) -> usize {
        match self.parts {
            Some(parts) => parts * self.tasks(),
            None if self.chunks == 1 => 0,
            None => self.tasks(),
        }
    }
}

/// Points of a tile, whose window has as many taps in both dimensions.
pub(super) fn points(g: &ConvGeometry, tile: WinogradTile) -> usize {
    let a = tile.outputs() + g.window.axes()[0].kernel - 1;
    a * a
}

/// A distance at least as long, of five cache lines more than a multiple of 64: then the points of a tile do not compete
/// for the same sets of a cache.
fn skew(len: usize) -> usize {
    let lines = len / 16;
    (lines + (5 + 64 - lines % 64) % 64) * 16
}
