//! How a product of weights and bands is cut into units of work.

use super::lattice::Lattice;
use crate::memory::whole;

/// Most elements of the scratch result of a unit of work, and of its bands: both stay in the second-level cache.
pub(super) const BUDGET: usize = 1 << 16;

/// Longest row of outputs of a unit.
pub(super) const ROW: usize = 1024;

/// How the work is cut into units.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// Outputs per unit in the three dimensions, and number of such blocks.
    pub block: [usize; 3],
    pub blocks: [usize; 3],
    /// Blocks of rows.
    pub row_blocks: usize,
    /// Images per unit.
    pub images: usize,
    /// Columns of the scratch result of one image.
    pub columns: usize,
    /// Elements of the bands of all images of a unit and one channel chunk.
    pub band: usize,
}

impl Cut {
    /// The cut that costs least, among those that give enough tasks if any does.
    pub(super) fn new(
        lattices: &[Lattice],
        counts: [usize; 3],
        n: usize,
        groups: usize,
        [rows, channels]: [usize; 2],
        wanted: usize,
    ) -> Self {
        let [d, h, all] = counts;
        // Very long rows are cut evenly.
        let w = all.div_ceil(all.div_ceil(ROW).max(1));
        let pieces = all.div_ceil(w.max(1));
        let reach: [usize; 3] = std::array::from_fn(|i| lattices.iter().map(|l| l.axes[i].reach).max().unwrap_or(0));
        let bands = lattices.iter().map(Lattice::bands).max().unwrap_or(1);
        let taps: usize = lattices.iter().map(|l| l.taps.len()).sum();
        let strided = lattices.iter().any(|l| l.axes[2].source_step > 1);
        let mut best: Option<(bool, f64, Cut)> = None;
        for (bd, bh) in (1..=h).map(|r| (1, r)).chain((2..=d).map(|r| (r, h))) {
            let columns = whole(((bd - 1) * (bh + reach[1]) + bh - 1) * (w + reach[2]) + w);
            let blocks = [d.div_ceil(bd), h.div_ceil(bh), pieces];
            let band = bands * (bd + reach[0]) * (bh + reach[1]) * (w + reach[2]);
            let mut row_blocks = 1;
            while row_blocks == 1 || rows / row_blocks >= 14 {
                let block_rows = rows.div_ceil(row_blocks);
                if block_rows * columns > BUDGET || band > BUDGET {
                    // Too large a unit, unless it cannot be smaller.
                    if (bd, bh) != (1, 1) || rows / (2 * row_blocks) >= 14 {
                        row_blocks *= 2;
                        continue;
                    }
                }
                let units = n * groups * blocks.iter().product::<usize>() * row_blocks;
                // In vector operations: products (with a little for the broadcasts of each tile), the packing of
                // weights, the filling of bands.
                let tiles = block_rows.div_ceil(14) as f64;
                let products = (columns / 16) as f64 * (block_rows as f64 + 0.5 * tiles) * (channels * taps) as f64;
                let packing = (block_rows * channels * taps) as f64 * 0.3;
                let filling = (channels * band * lattices.len()) as f64 * if strided { 0.5 } else { 0.2 };
                let cost =
                    (products + packing + filling + 500.0) * (blocks.iter().product::<usize>() * row_blocks) as f64;
                let enough = 2 * units >= wanted;
                let cut = Cut { block: [bd, bh, w], blocks, row_blocks, images: 1, columns, band: 0 };
                if best.is_none_or(|(e, c, _)| (enough, -cost) > (e, -c)) {
                    best = Some((enough, cost, cut));
                }
                row_blocks *= 2;
            }
        }
        let Some((_, _, mut cut)) = best else {
            return Cut { block: counts, blocks: [1; 3], row_blocks: 1, images: 1, columns: whole(w), band: 0 };
        };
        if cut.blocks == [1; 3] {
            // Small planes: several images share the packing of the weights.
            let most = (n * groups * cut.row_blocks / wanted).max(1);
            let room = BUDGET / (rows.div_ceil(cut.row_blocks) * cut.columns).max(1);
            cut.images = (512 / cut.columns).min(room).min(most).min(n).max(1);
        }
        cut
    }
}
