//! The transformed filter, in the order that the products read it.

use super::WinogradTile;
use super::plan::Sizes;
use super::tiling::{Square, Strided, Tiling};
use super::transform::MOST;
use crate::blocked::Packing;
use crate::blocked::layout::LANES;
use crate::shared::MOST_TASKS;
use crate::simd::{Kernel, Simd16};
use crate::{Isa, SharedMut, Work};
use std::marker::PhantomData;

/// Vectors of 16 outputs worth a task of their own.
const TASK: usize = 1 << 11;

/// `G g Gᵀ` of every pair of channels of a filter `[co, ci, k, k]`: `[panel][point][input channel][32]`, where a panel is
/// 32 output channels (or the 16 that are left). For the input gradient co and ci change places, and the taps turn.
#[derive(Clone, Debug)]
pub struct WinogradFilter {
    isa: Isa,
    tile: WinogradTile,
    turned: bool,
    sizes: Sizes,
    /// Input channels that a task transforms for one panel.
    slices: usize,
    phases: [usize; 1],
}

impl WinogradFilter {
    pub(super) fn new(isa: Isa, tile: WinogradTile, turned: bool, sizes: Sizes) -> Self {
        let slices = sizes.channels.div_ceil(LANES);
        let units = sizes.panels() * slices;
        let vectors = sizes.channels * sizes.outputs.div_ceil(LANES);
        WinogradFilter { isa, tile, turned, sizes, slices, phases: [(vectors / TASK).clamp(1, MOST_TASKS.min(units))] }
    }
}

impl Work for WinogradFilter {
    fn phases(&self) -> &[usize] {
        &self.phases
    }
}

impl Packing for WinogradFilter {
    fn key(&self) -> String {
        let turned = if self.turned { " turned" } else { "" };
        format!("winograd {:?}{turned}{}", self.tile, if self.sizes.rows > 1 { " by rows" } else { "" })
    }
    fn packed_len(&self) -> usize {
        self.sizes.filter_len()
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
        let z = self.sizes;
        assert!(from.len() >= z.outputs * z.source_channels() * z.taps && to.len() >= self.packed_len());
        let (units, tasks) = (z.panels() * self.slices, self.phases[0]);
        for unit in units * task / tasks..units * (task + 1) / tasks {
            let (panel, slice) = (unit / self.slices, unit % self.slices);
            // SAFETY: lengths are checked, and a unit writes its panel's rows of its own input channels.
            unsafe {
                if z.rows > 1 {
                    self.transform::<Strided>(panel, slice, from, to);
                } else {
                    with_algorithm!(self.tile, z.taps.isqrt(), A => {
                        self.transform::<Square<A>>(panel, slice, from, to)
                    });
                }
            }
        }
    }
}

impl WinogradFilter {
    /// # Safety
    /// As [`Packing::pack`]; the lengths must be checked.
    unsafe fn transform<T: Tiling>(&self, panel: usize, slice: usize, from: &[f32], to: SharedMut<'_, f32>) {
        let (from, to, tile) = (from.as_ptr(), to.as_ptr(), PhantomData);
        // SAFETY: the caller's promise.
        unsafe {
            if self.turned {
                self.isa.call(Transform::<T, true> { filter: self, panel, slice, from, to, tile })
            } else {
                self.isa.call(Transform::<T, false> { filter: self, panel, slice, from, to, tile })
            }
        }
    }
}

/// The filters of 16 input channels and one panel of output channels.
struct Transform<'a, T, const TURNED: bool> {
    filter: &'a WinogradFilter,
    panel: usize,
    slice: usize,
    from: *const f32,
    to: *mut f32,
    tile: PhantomData<T>,
}

impl<T: Tiling, const TURNED: bool> Kernel for Transform<'_, T, TURNED> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let z = self.filter.sizes;
        // Distances of the plain filter: from output to output, from input to input.
        let channels = z.source_channels();
        let (output, input) = if TURNED { (z.taps, z.outputs * z.taps) } else { (channels * z.taps, z.taps) };
        let vectors = z.vectors(self.panel);
        let (columns, all) = (T::TAPS[1], T::TAPS[0] * T::TAPS[1]);
        // SAFETY: outputs and inputs lie inside the filter, rows inside the panel.
        unsafe {
            let panel = self.to.add(self.panel * z.filter_points * z.u_point);
            // Every turn of the loops writes the same ones.
            let mut taps = [[S::zero(); MOST]; MOST];
            for c in self.slice * LANES..z.channels.min((self.slice + 1) * LANES) {
                for j in 0..vectors {
                    let first = (2 * self.panel + j) * LANES;
                    let count = (z.outputs - first).min(LANES);
                    // A row of taps is a channel of its own where they are read one by one.
                    let from = self.from.add(first * output + c % channels * input + c / channels * all);
                    let mut k = 0;
                    while k < all {
                        let len = (all - k).min(LANES);
                        let mut rows = [S::zero(); LANES];
                        for (r, row) in rows.iter_mut().enumerate().take(count) {
                            *row = S::load_up_to(from.add(r * output + k), len);
                        }
                        for (i, v) in S::transpose(rows).into_iter().enumerate().take(all - k) {
                            let tap = if TURNED { all - 1 - k - i } else { k + i };
                            taps[tap / columns][tap % columns] = v;
                        }
                        k += LANES;
                    }
                    T::filter::<S>(&taps, panel.add((c * vectors + j) * LANES), z.u_point);
                }
            }
        }
    }
}
