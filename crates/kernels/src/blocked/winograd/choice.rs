//! When Winograd's algorithms are faster than direct convolution.

use super::WinogradTile;
use super::plan::Plan;
use crate::blocked::layout::LANES;
use gabor_tensor::ConvGeometry;

// All in clock cycles of a core that does one multiply-add of 16 lanes in each, measured on one with AVX-512.

/// For a multiply-add in a product or a direct convolution.
const PRODUCT: f64 = 1.0 / 0.92;
/// For one point of a tile and block of channels, in the transform of the inputs or of the products.
const POINT: f64 = 6.0;
/// For one number of a filter that comes from memory: during a pass over a network it has left the caches.
const READ: f64 = 0.7;
/// For one number of a filter that is packed or transformed before.
const PACKED: f64 = 1.5;
/// How much of the shorter of computing and reading is not hidden behind the longer.
const EXPOSED: f64 = 0.3;
/// The part of a direct convolution's time that square tiles must stay below where filters are packed for each run: they
/// take more memory, whose first touch counts then, and round more.
const WORTH: f64 = 0.95;

/// The algorithm that computes a convolution of `n` images (or its input gradient) fastest, or `None` if direct
/// convolution is faster or the geometry not one for Winograd. `fixed` says that the filter is transformed once for many
/// runs, not in each.
///
/// An estimate for filters that are not in the cache. It depends on shapes alone.
pub fn winograd_tile(g: &ConvGeometry, n: usize, fixed: bool) -> Option<WinogradTile> {
    best_tile(g, g, 0.0, n, fixed)
}

/// As [`winograd_tile`], where the tiles convolve another geometry than the direct sums and cost `more` cycles.
pub(in crate::blocked) fn best_tile(
    direct: &ConvGeometry,
    tiled: &ConvGeometry,
    more: f64,
    n: usize,
    fixed: bool,
) -> Option<WinogradTile> {
    let filter = (direct.ci * direct.co.next_multiple_of(LANES) * direct.window.kernel_len()) as f64;
    let macs = filter / LANES as f64 * (n * direct.window.output_len()) as f64;
    let worth = if fixed || direct.window.axes().iter().any(|a| a.stride > 1) { 1.0 } else { WORTH };
    let mut best = (worth * cost(macs * PRODUCT, filter, fixed), None);
    for tile in [WinogradTile::F2, WinogradTile::F4] {
        let Ok(p) = Plan::forward(tiled, n, tile) else { continue };
        let filter = p.sizes.filter_len() as f64;
        let tiles = (p.total * p.sizes.points) as f64;
        let products = tiles * (p.sizes.channels * p.out_blocks()) as f64;
        let transforms = tiles * (p.blocks() + p.out_blocks()) as f64;
        let cost = cost(products * PRODUCT + transforms * POINT + more, filter, fixed);
        if cost < best.0 {
            best = (cost, Some(tile));
        }
    }
    best.1
}

fn cost(compute: f64, filter: f64, fixed: bool) -> f64 {
    let read = filter * READ;
    let packing = if fixed { 0.0 } else { filter * PACKED };
    compute.max(read) + EXPOSED * compute.min(read) + packing
}
