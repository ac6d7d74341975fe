//! Antialiased resizing of bytes by `fast_image_resize`, for pixels of one and three channels.
//!
//! A crate of its own because the library is generic code, which is compiled where it is used: half a minute that whoever
//! works on `gabor-data` would otherwise wait for after every change. No types of the library show.
#![forbid(unsafe_code)]

use fast_image_resize as fir;
use fir::images::{TypedImage, TypedImageRef};
use fir::pixels::{U8, U8x3};
use fir::{FilterType, PixelTrait, ResizeAlg, ResizeOptions};

/// A filter without jumps. All widen with the reduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Smooth {
    /// Triangle, reach 1.
    Bilinear,
    /// Hamming-windowed sinc, reach 1.
    Hamming,
    /// Keys' cubic with a = −1/2, reach 2.
    Bicubic,
    /// Windowed sinc, reach 3.
    Lanczos,
}

/// Extents of a resize.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resize {
    /// Rows and columns of the source.
    pub from: [usize; 2],
    /// Top, left, height and width of the part of the source that is resized, in its pixels, within its edges. Pixels
    /// beyond the part count where the filter reaches them.
    pub part: [f64; 4],
    /// Rows and columns of the result.
    pub to: [usize; 2],
}

/// Memory that resizing reuses.
#[derive(Clone, Debug, Default)]
pub struct Resizer(fir::Resizer);

impl Resizer {
    /// Resizes `src` (rows × columns × C bytes) into `out`. The same bits on every instruction set.
    ///
    /// The library does rows before columns; for another order resize one axis at a time. Errors, in the library's words:
    /// a length that does not match its extents, a part beyond the source.
    pub fn run<const C: usize>(
        &mut self,
        sizes: &Resize,
        filter: Smooth,
        src: &[u8],
        out: &mut [u8],
    ) -> Result<(), String> {
        const { assert!(C == 1 || C == 3) };
        // Not generic below this line.
        if C == 1 { self.grey(sizes, filter, src, out) } else { self.rgb(sizes, filter, src, out) }
    }
    fn grey(&mut self, sizes: &Resize, filter: Smooth, src: &[u8], out: &mut [u8]) -> Result<(), String> {
        self.typed::<U8>(sizes, filter, src, out)
    }
    fn rgb(&mut self, sizes: &Resize, filter: Smooth, src: &[u8], out: &mut [u8]) -> Result<(), String> {
        self.typed::<U8x3>(sizes, filter, src, out)
    }
    /// Types of pixels by name: through its untyped images the library would be compiled for thirteen.
    fn typed<P: PixelTrait>(
        &mut self,
        sizes: &Resize,
        filter: Smooth,
        src: &[u8],
        out: &mut [u8],
    ) -> Result<(), String> {
        let size = |v: usize| u32::try_from(v).map_err(|e| e.to_string());
        let [top, left, height, width] = sizes.part;
        let from = TypedImageRef::<P>::from_buffer(size(sizes.from[1])?, size(sizes.from[0])?, src);
        let to = TypedImage::<P>::from_buffer(size(sizes.to[1])?, size(sizes.to[0])?, out);
        let filter = match filter {
            Smooth::Bilinear => FilterType::Bilinear,
            Smooth::Hamming => FilterType::Hamming,
            Smooth::Bicubic => FilterType::CatmullRom,
            Smooth::Lanczos => FilterType::Lanczos3,
        };
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).use_alpha(false);
        let options = options.crop(left, top, width, height);
        let mut to = to.map_err(|e| e.to_string())?;
        self.0.resize_typed(&from.map_err(|e| e.to_string())?, &mut to, &options).map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sum of what comes out, which must be this on every machine: seen with plain Rust, SSE 4.1 and AVX2.
    #[test]
    fn bits_are_the_same_everywhere() {
        let mut state = 1u32;
        let mut next = |n: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize % n
        };
        let mut resizer = Resizer::default();
        let mut sum = 0xcbf2_9ce4_8422_2325u64;
        for case in 0..120 {
            let (from, to) = ([1 + next(70), 1 + next(70)], [1 + next(70), 1 + next(70)]);
            let level = |i: usize, v: usize| if i % 5 < 2 { v } else { v % 2 * 255 } as u8;
            let src: Vec<u8> = (0..from[0] * from[1] * 3).map(|i| level(i, next(256))).collect();
            let sizes = Resize { from, part: [0.0, 0.0, from[0] as f64 - 0.25, from[1] as f64], to };
            let filter = [Smooth::Bilinear, Smooth::Hamming, Smooth::Bicubic, Smooth::Lanczos][case % 4];
            let (mut rgb, mut grey) = (vec![0; to[0] * to[1] * 3], vec![0; to[0] * to[1]]);
            resizer.run::<3>(&sizes, filter, &src, &mut rgb).unwrap();
            resizer.run::<1>(&sizes, filter, &src[..from[0] * from[1]], &mut grey).unwrap();
            for v in rgb.iter().chain(&grey) {
                sum = (sum ^ u64::from(*v)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        assert_eq!(format!("{sum:016x}"), "cb3db8fbe6b42036");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let sizes = Resize { from: [2, 2], part: [0.0, 0.0, 2.0, 2.0], to: [1, 1] };
        let run =
            |sizes: Resize, n: usize| Resizer::default().run::<1>(&sizes, Smooth::Bilinear, &vec![0; n], &mut [0]);
        assert!(run(sizes, 4).is_ok());
        assert!(run(sizes, 3).is_err());
        assert!(run(Resize { part: [0.0, 1.0, 2.0, 2.0], ..sizes }, 4).is_err());
    }
}
