//! The transformed filter, in the order that the products read it.

use super::WinogradTile;
use super::plan::Sizes;
use super::square;
use super::transform::{F2, F4, MOST, Tile};
use super::transform5::{F2x5, F4x5};
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
        format!("winograd {:?}{}", self.tile, if self.turned { " turned" } else { "" })
    }
    fn packed_len(&self) -> usize {
        self.sizes.panels() * self.sizes.points * self.sizes.u_point
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
        assert!(from.len() >= z.outputs * z.channels * z.taps && to.len() >= self.packed_len());
        let (units, tasks) = (z.panels() * self.slices, self.phases[0]);
        for unit in units * task / tasks..units * (task + 1) / tasks {
            let (panel, slice) = (unit / self.slices, unit % self.slices);
            // SAFETY: lengths are checked, and a unit writes its panel's rows of its own input channels.
            unsafe {
                match (self.tile, z.taps) {
                    (WinogradTile::F2, 9) => self.transform::<F2>(panel, slice, from, to),
                    (WinogradTile::F2, _) => self.transform::<F2x5>(panel, slice, from, to),
                    (WinogradTile::F4, 9) => self.transform::<F4>(panel, slice, from, to),
                    (WinogradTile::F4, _) => self.transform::<F4x5>(panel, slice, from, to),
                }
            }
        }
    }
}

impl WinogradFilter {
    /// # Safety
    /// As [`Packing::pack`]; the lengths must be checked.
    unsafe fn transform<T: Tile>(&self, panel: usize, slice: usize, from: &[f32], to: SharedMut<'_, f32>) {
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

impl<T: Tile, const TURNED: bool> Kernel for Transform<'_, T, TURNED> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let z = self.filter.sizes;
        // Distances of the plain filter: from output to output, from input to input.
        let (output, input) = if TURNED { (z.taps, z.outputs * z.taps) } else { (z.channels * z.taps, z.taps) };
        let vectors = z.vectors(self.panel);
        // SAFETY: outputs and inputs lie inside the filter, rows inside the panel.
        unsafe {
            let panel = self.to.add(self.panel * z.points * z.u_point);
            for c in self.slice * LANES..z.channels.min((self.slice + 1) * LANES) {
                for j in 0..vectors {
                    let first = (2 * self.panel + j) * LANES;
                    let count = (z.outputs - first).min(LANES);
                    let from = self.from.add(first * output + c * input);
                    let mut taps = [[S::zero(); MOST]; MOST];
                    let mut k = 0;
                    while k < T::R * T::R {
                        let len = (T::R * T::R - k).min(LANES);
                        let mut rows = [S::zero(); LANES];
                        for (r, row) in rows.iter_mut().enumerate().take(count) {
                            *row = S::load_up_to(from.add(r * output + k), len);
                        }
                        for (i, v) in S::transpose(rows).into_iter().enumerate().take(T::R * T::R - k) {
                            let tap = if TURNED { T::R * T::R - 1 - k - i } else { k + i };
                            taps[tap / T::R][tap % T::R] = v;
                        }
                        k += LANES;
                    }
                    square::filter::<S, T>(&taps, panel.add((c * vectors + j) * LANES), z.u_point);
                }
            }
        }
    }
}
