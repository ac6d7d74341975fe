//! How a window slides over the pixels of blocked tensors, seen from the pixels that are written.

use super::layout::LANES;
use crate::split::share;
use gabor_tensor::{Axis, Window};
use std::ops::Range;

/// Most elements of a window.
const MOST_TAPS: usize = 1 << 16;
/// Most neighbouring taps of a [`Run`].
pub(super) const RUN: usize = 4;

/// A vector in memory, to be read in place of one that lies beside its row: choosing an address needs no jump.
#[repr(align(64))]
pub(super) struct Vector(pub [f32; LANES]);

/// Zeros.
pub(super) static ZEROS: Vector = Vector([0.0; LANES]);

/// The vector of pixel `column` of a row of `columns` pixels, or `other` if the row has no such pixel.
///
/// # Safety
/// The row must be valid.
#[inline(always)]
pub(super) unsafe fn pixel(row: *const f32, column: isize, columns: usize, other: &'static Vector) -> *const f32 {
    let at = row.wrapping_offset(column * LANES as isize);
    if (column as usize) < columns { at } else { other.0.as_ptr() }
}

/// The pairing of target pixels (those that are written) with source pixels (those that are read): targets are the
/// windows of an operation and the inputs of its gradient. Both planes are rows of the last axis.
#[derive(Clone, Debug)]
pub(super) struct Slide {
    pub targets: Plane,
    pub sources: Plane,
    /// What each row of targets meets; row `t` has `starts[t]..starts[t + 1]`.
    meets: Vec<Meet>,
    starts: Vec<usize>,
    /// How the columns of a row are found.
    pub phases: Vec<Phase>,
}

/// Extents of a plane of pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plane {
    /// The product of all extents but the last.
    pub rows: usize,
    /// The last extent.
    pub columns: usize,
}

impl Plane {
    /// Number of pixels.
    pub fn len(&self) -> usize {
        self.rows * self.columns
    }
}

/// A row of sources under a row of taps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meet {
    /// The row of sources.
    pub row: usize,
    /// The first tap of the row of taps.
    pub tap: usize,
}

/// Target columns `first`, `first + step`, … that meet the same taps.
#[derive(Clone, Debug)]
pub(super) struct Phase {
    pub first: usize,
    pub step: usize,
    /// Number of such columns, `t` counts them.
    pub count: usize,
    /// Source columns from one target to the next.
    pub stride: usize,
    /// Taps, by increasing source column.
    pub runs: Vec<Run>,
    /// Targets whose taps all lie inside the row of sources.
    pub inside: Range<usize>,
}

/// Neighbouring source columns `t·stride + offset + 0, 1, …` under taps of one row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub offset: isize,
    /// Number of taps, at most [`RUN`].
    pub taps: usize,
    /// The first of them, counted in its row.
    pub tap: isize,
    /// From one tap to the next.
    pub tap_step: isize,
}

impl Slide {
    /// Targets are the windows, sources the inputs.
    pub fn forward(window: &Window) -> Result<Self, String> {
        Self::new(window, window.output(), window.input(), forward_row, |a| {
            let taps = (0..a.kernel).map(|k| ((k * a.dilation) as isize - a.pad_begin as isize, k));
            vec![Phase::new(0, 1, a.output, a.stride, taps.collect(), a.input)]
        })
    }
    /// Targets are the inputs, sources the windows over them.
    pub fn backward(window: &Window) -> Result<Self, String> {
        Self::new(window, window.input(), window.output(), backward_row, |a| {
            let phase = |r: usize| {
                let taps = (0..a.kernel).rev().filter_map(|k| {
                    let distance = (r + a.pad_begin) as isize - (k * a.dilation) as isize;
                    let stride = a.stride as isize;
                    (distance.rem_euclid(stride) == 0).then_some((distance.div_euclid(stride), k))
                });
                Phase::new(r, a.stride, (a.input - r).div_ceil(a.stride), 1, taps.collect(), a.output)
            };
            (0..a.stride.min(a.input)).map(phase).collect()
        })
    }
    fn new(
        window: &Window,
        targets: Vec<usize>,
        sources: Vec<usize>,
        row: impl Fn(&Axis, usize) -> Vec<(usize, usize)>,
        phases: impl Fn(&Axis) -> Vec<Phase>,
    ) -> Result<Self, String> {
        let Some((last, outer)) = window.axes().split_last() else { return Err("a window without dimensions".into()) };
        if window.kernel_len() > MOST_TAPS {
            return Err(format!("windows of {} elements, at most {MOST_TAPS}", window.kernel_len()));
        }
        let plane = |extents: &[usize]| {
            let (&columns, rows) = extents.split_last().expect("one dimension at least");
            Plane { rows: rows.iter().product(), columns }
        };
        let mut slide = Slide {
            targets: plane(&targets),
            sources: plane(&sources),
            meets: Vec::new(),
            starts: vec![0],
            phases: phases(last),
        };
        for t in 0..slide.targets.rows {
            // Outermost axis first: the rows of sources and of taps that its coordinate meets, refined axis by axis.
            let mut list = vec![(0, 0)];
            let (mut rest, mut inner) = (t, slide.targets.rows);
            for (i, a) in outer.iter().enumerate() {
                inner /= targets[i];
                let pairs = row(a, rest / inner);
                rest %= inner;
                let refine = |&(s, k): &(usize, usize)| {
                    let extents = (sources[i], a.kernel);
                    pairs.iter().map(move |p| (s * extents.0 + p.0, k * extents.1 + p.1)).collect::<Vec<_>>()
                };
                list = list.iter().flat_map(refine).collect();
            }
            slide.meets.extend(list.into_iter().map(|(row, k)| Meet { row, tap: k * last.kernel }));
            slide.starts.push(slide.meets.len());
        }
        Ok(slide)
    }
    /// The rows of sources that row `t` of targets meets, in scan order of the sources.
    #[inline(always)]
    pub fn meets(&self, t: usize) -> &[Meet] {
        &self.meets[self.starts[t]..self.starts[t + 1]]
    }
    /// Whether some target meets no source at all.
    pub fn has_lonely(&self) -> bool {
        let reached = |p: &Phase, t: usize| {
            p.runs.iter().any(|r| {
                let from = (t * p.stride) as isize + r.offset;
                from + r.taps as isize > 0 && from < self.sources.columns as isize
            })
        };
        (0..self.targets.rows).any(|t| self.meets(t).is_empty())
            || self.phases.iter().any(|p| (0..p.count).any(|t| !reached(p, t)))
    }
}

/// Inputs under window `o`, with the taps that touch them.
fn forward_row(a: &Axis, o: usize) -> Vec<(usize, usize)> {
    (0..a.kernel).filter_map(|k| Some((a.index(o, k)?, k))).collect()
}

/// Windows over input `i` in order, with the taps that touch it.
fn backward_row(a: &Axis, i: usize) -> Vec<(usize, usize)> {
    let window = |k: usize| {
        let distance = (i + a.pad_begin).checked_sub(k * a.dilation)?;
        let o = distance / a.stride;
        (distance % a.stride == 0 && o < a.output).then_some((o, k))
    };
    (0..a.kernel).rev().filter_map(window).collect()
}

impl Phase {
    /// From `(offset, tap)` by increasing offset.
    fn new(first: usize, step: usize, count: usize, stride: usize, taps: Vec<(isize, usize)>, columns: usize) -> Self {
        let mut runs = Vec::new();
        let mut rest = &taps[..];
        while let [(offset, tap), ..] = *rest {
            let neighbours = (0..).zip(rest).take_while(|(i, t)| t.0 == offset + i).count();
            let tap_step = if neighbours > 1 { rest[1].1 as isize - tap as isize } else { 0 };
            // Even parts: 5 are 3 and 2.
            let parts = neighbours.div_ceil(RUN);
            for part in 0..parts {
                let Range { start, end } = share(part, parts, neighbours);
                let (offset, tap) = (offset + start as isize, tap as isize + start as isize * tap_step);
                runs.push(Run { offset, taps: end - start, tap, tap_step });
            }
            rest = &rest[neighbours..];
        }
        let (columns, stride_) = (columns as isize, stride as isize);
        let (mut from, mut to) = (0, count as isize);
        for r in &runs {
            from = from.max((-r.offset + stride_ - 1).div_euclid(stride_));
            to = to.min((columns - r.taps as isize - r.offset).div_euclid(stride_) + 1);
        }
        let inside = if from < to { from as usize..to as usize } else { 0..0 };
        Phase { first, step, count, stride, runs, inside }
    }
    /// Number of targets of the tile that begins at `t`, and whether all of them are inside. A tile has `most` (8, 4 or
    /// 2) targets or 1, where `most` is 8 also 7 or 4: widths of 7·2ⁿ are common.
    #[inline(always)]
    pub fn tile(&self, t: usize, most: usize) -> (usize, bool) {
        let rest = self.count - t;
        let n = match rest {
            _ if most == 8 && !rest.is_multiple_of(8) && rest.is_multiple_of(7) => 7,
            _ if rest >= most => most,
            4.. if most == 8 => 4,
            _ => 1,
        };
        (n, self.inside.start <= t && t + n <= self.inside.end)
    }
    /// As [`Phase::tile`], of `most` targets only if all of them are inside.
    #[inline(always)]
    pub fn inner_tile(&self, t: usize, most: usize) -> usize {
        if self.inside.start <= t && t + most <= self.inside.end { most } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::each_index;
    use gabor_tensor::{Padding, WindowOptions};
    use std::collections::BTreeSet;

    /// All pairs `(target, source, tap)`.
    fn pairs(s: &Slide) -> BTreeSet<(usize, usize, usize)> {
        let mut list = BTreeSet::new();
        for row in 0..s.targets.rows {
            for m in s.meets(row) {
                for p in &s.phases {
                    for t in 0..p.count {
                        for r in &p.runs {
                            for k in 0..r.taps as isize {
                                let column = (t * p.stride) as isize + r.offset + k;
                                let inside = (0..s.sources.columns as isize).contains(&column);
                                assert!(inside || !p.inside.contains(&t));
                                if inside {
                                    let target = row * s.targets.columns + p.first + t * p.step;
                                    let source = m.row * s.sources.columns + column as usize;
                                    let tap = m.tap + (r.tap + k * r.tap_step) as usize;
                                    assert!(list.insert((target, source, tap)));
                                }
                            }
                        }
                    }
                }
            }
        }
        list
    }

    #[test]
    fn both_ways_pair_the_same_pixels() {
        for (input, kernel, stride, dilation, pads) in [
            (vec![9, 11], vec![3, 3], vec![2, 2], vec![1, 1], vec![(1, 1), (1, 0)]),
            (vec![7, 6], vec![5, 7], vec![1, 3], vec![1, 2], vec![(2, 0), (4, 5)]),
            (vec![23], vec![2], vec![5], vec![1], vec![(0, 3)]),
            (vec![4, 5, 6], vec![3, 2, 4], vec![2, 1, 2], vec![1, 3, 1], vec![(2, 1), (1, 2), (0, 0)]),
            (vec![3, 3], vec![1, 1], vec![1, 2], vec![1, 1], vec![(0, 0), (3, 3)]),
        ] {
            let w = WindowOptions::new(&kernel)
                .stride(&stride)
                .dilation(&dilation)
                .padding(Padding::Explicit(pads))
                .resolve(&input)
                .unwrap();
            let mut taps = BTreeSet::new();
            let (mut o, flat) = (0, |i: usize, a: &Axis, j: usize| i * a.input + j);
            each_index(&w.output(), |at| {
                let mut k = 0;
                each_index(&w.kernel(), |tap| {
                    let mut axes = w.axes().iter().zip(at).zip(tap);
                    let i = axes.try_fold(0, |i, ((a, &o), &k)| Some(flat(i, a, a.index(o, k)?)));
                    taps.extend(i.map(|i| (o, i, k)));
                    k += 1;
                });
                o += 1;
            });
            let (forward, backward) = (Slide::forward(&w).unwrap(), Slide::backward(&w).unwrap());
            assert_eq!(pairs(&forward), taps, "{w}");
            assert_eq!(pairs(&backward), taps.iter().map(|&(o, i, k)| (i, o, k)).collect(), "{w}");
            let windows: BTreeSet<_> = taps.iter().map(|t| t.0).collect();
            assert_eq!(forward.has_lonely(), windows.len() < w.output_len(), "{w}");
        }
    }

    #[test]
    fn tiles_cover_a_row() {
        for count in 0..60 {
            let phase = Phase::new(0, 1, count, 1, vec![(-1, 0), (0, 1), (1, 2)], count);
            for most in [8, 4, 2] {
                let mut next = 0;
                while next < count {
                    let (n, inside) = phase.tile(next, most);
                    assert!(n <= most && inside == (next > 0 && next + n < count));
                    next += n;
                }
                assert_eq!(next, count);
            }
        }
    }
}
