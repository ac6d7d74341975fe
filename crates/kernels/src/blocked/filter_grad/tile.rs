//! The register tile: some input channels times up to four vectors of output channels, summed over pixels.

use super::plan::Place;
use crate::simd::{Kernel, Simd16};

/// A block of dw for one tap: `sums[channel][vector] (+)= Σ x[pixel][channel] · dy[pixel][vector]`.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    /// The first pixel's first channel, and the distance to the next image.
    pub x: *const f32,
    pub x_image: usize,
    /// The first pixel's first vector, and the distances to the next image and to the next vector of channels.
    pub dy: *const f32,
    pub dy_image: usize,
    pub dy_block: usize,
    /// The pixels of an image.
    pub places: *const Place,
    pub len: usize,
    pub images: usize,
    /// As `x` and `dy`: what is read next and fetched meanwhile, which need not be valid.
    pub next_x: *const f32,
    pub next_dy: *const f32,
    /// The result; the vectors of a channel lie side by side.
    pub sums: *mut f32,
    /// Vectors of a channel in the result.
    pub width: usize,
    /// Whether the result is overwritten instead of added to.
    pub first: bool,
}

/// Most channels of a tile of `vectors` vectors, such that no register spills.
#[inline(always)]
fn most<S: Simd16>(vectors: usize) -> usize {
    if S::WIDE { [16, 8, 8, 6][vectors - 1] } else { 6 }
}

/// The tiles of `channels ≤ 16` channels and all vectors. `left` is the number of calls for these pixels, this one
/// included, after which dy's next ones are read.
///
/// # Safety
/// All places of all images must be readable in x and dy, the result writable.
#[inline(always)]
pub(super) unsafe fn tiles<S: Simd16>(tile: Tile, channels: usize, left: usize) {
    let vectors = if S::WIDE { tile.width } else { 1 };
    let count = channels.div_ceil(most::<S>(vectors));
    for i in 0..count {
        // The last tiles that read dy fetch one vector of the next pixels each.
        let left = left * count - i;
        let next_dy = if left <= tile.width { tile.next_dy.wrapping_add((left - 1) * tile.dy_block) } else { tile.dy };
        let (from, to) = (channels * i / count, channels * (i + 1) / count);
        let mut vector = 0;
        while vector < tile.width {
            // SAFETY: inside what the caller promises.
            unsafe {
                let part = Tile {
                    x: tile.x.add(from),
                    next_dy,
                    dy: tile.dy.add(vector * tile.dy_block),
                    sums: tile.sums.add((from * tile.width + vector) * 16),
                    ..tile
                };
                choose::<S>(part, to - from, vectors);
            }
            vector += vectors;
        }
    }
}

/// Chooses the tile by its number of channels and vectors.
#[inline(always)]
unsafe fn choose<S: Simd16>(tile: Tile, channels: usize, vectors: usize) {
    macro_rules! choose {
        ($($vectors:literal: $($channels:literal)*;)*) => {
            match (channels, vectors) {
                $($(
                // SAFETY: as this function.
                ($channels, $vectors) => unsafe { S::call(Registers::<$channels, $vectors>(tile)) },)*)*
                _ => unreachable!("a tile of {channels} channels and {vectors} vectors"),
            }
        };
    }
    if S::WIDE {
        choose! {
            1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16;
            2: 1 2 3 4 5 6 7 8;
            3: 1 2 3 4 5 6 7 8;
            4: 1 2 3 4 5 6;
        }
    } else {
        choose! { 1: 1 2 3 4 5 6; }
    }
}

/// A tile of `KI` channels and `NB` vectors.
struct Registers<const KI: usize, const NB: usize>(Tile);

impl<const KI: usize, const NB: usize> Kernel for Registers<KI, NB> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let t = self.0;
        // SAFETY: the contract of `tiles`.
        unsafe {
            let mut acc = [[S::zero(); NB]; KI];
            let (mut x, mut dy) = (t.x, t.dy);
            let (mut next_x, mut next_dy) = (t.next_x, t.next_dy);
            for _ in 0..t.images {
                for i in 0..t.len {
                    let place = *t.places.add(i);
                    // Other tiles are short of loads, and few streams are fetched in time anyway.
                    if S::WIDE && NB > 1 {
                        prefetch(next_x.wrapping_add(place.x()));
                        prefetch(next_dy.wrapping_add(place.dy()));
                    }
                    let (x, dy) = (x.add(place.x()), dy.add(place.dy()));
                    let mut v = [S::zero(); NB];
                    for n in 0..NB {
                        v[n] = S::load(dy.add(n * t.dy_block));
                    }
                    for m in 0..KI {
                        let x = S::splat(*x.add(m));
                        for n in 0..NB {
                            acc[m][n] = S::fma(x, v[n], acc[m][n]);
                        }
                    }
                }
                (x, dy) = (x.wrapping_add(t.x_image), dy.wrapping_add(t.dy_image));
                (next_x, next_dy) = (next_x.wrapping_add(t.x_image), next_dy.wrapping_add(t.dy_image));
            }
            for m in 0..KI {
                for n in 0..NB {
                    let to = t.sums.add((m * t.width + n) * 16);
                    // Adding whole blocks of pixels keeps rounding errors smaller than one long chain.
                    S::store(to, if t.first { acc[m][n] } else { S::add(S::load(to), acc[m][n]) });
                }
            }
        }
    }
}

/// Asks for the cache line of an address, which need not be valid.
#[inline(always)]
pub(super) fn prefetch(p: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint that does not touch memory.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(p.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}
