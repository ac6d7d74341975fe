//! Padded copies of the part of the source that a region of outputs needs.

use super::pass::Pass;
use crate::blocked::layout::LANES;
use crate::simd::{Kernel, Simd16};

/// Copies one block of channels of one image into the band of a region; what lies outside the source becomes zero.
///
/// Needed: `plane` holds the source's pixels, `to` has room for `extents` (those of the largest region) in every part.
pub(super) struct Fill<'a> {
    pub pass: &'a Pass,
    /// The region: its first output and number of outputs per axis.
    pub from: [usize; 3],
    pub len: [usize; 3],
    pub extents: [usize; 3],
    pub plane: *const f32,
    pub to: *mut f32,
}

impl Kernel for Fill<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let [d, h, w] = &self.pass.axes;
        let [ld, lh, lw] = self.pass.extents(self.len);
        let [ed, eh, ew] = self.extents;
        let mut part = self.to;
        for &rd in &d.remainders {
            for &rh in &h.remainders {
                for &rw in &w.remainders {
                    // The row's pixels that exist: `low..high` of `lw`.
                    let step = w.source_step as isize;
                    let start = w.base + ((self.from[2] * w.source_step) + rw) as isize;
                    let low = (((-start).max(0) + step - 1) / step).min(lw as isize) as usize;
                    let high = (((w.source as isize - start).max(0) + step - 1) / step).min(lw as isize) as usize;
                    let high = high.max(low);
                    for vd in 0..ld {
                        let id = d.base + ((self.from[0] + vd) * d.source_step + rd) as isize;
                        for vh in 0..lh {
                            let ih = h.base + ((self.from[1] + vh) * h.source_step + rh) as isize;
                            let inside = (0..d.source as isize).contains(&id) && (0..h.source as isize).contains(&ih);
                            let (low, high) = if inside { (low, high) } else { (lw, lw) };
                            // SAFETY: rows lie inside the band, pixels that are read inside the source.
                            unsafe {
                                let row = part.add((vd * eh + vh) * ew * LANES);
                                for u in (0..low).chain(high..lw) {
                                    S::store(row.add(u * LANES), S::zero());
                                }
                                if low < high {
                                    let pixel = (id as usize * h.source + ih as usize) * w.source;
                                    let pixel = pixel + (start + low as isize * step) as usize;
                                    let from = self.plane.add(pixel * LANES);
                                    let (to, step) = (row.add(low * LANES), w.source_step * LANES);
                                    for u in 0..high - low {
                                        S::store(to.add(u * LANES), S::load(from.add(u * step)));
                                    }
                                }
                            }
                        }
                    }
                    part = part.wrapping_add(ed * eh * ew * LANES);
                }
            }
        }
    }
}
