//! Random variation of training images: shift, mirror, one affine warp, light, cutout.
//!
//! Works on bytes at the model's size, before normalisation. Every draw comes from the stream
//! (seed, epoch, sample, `AUGMENT` + index of the operation), so switching one operation on does not change another.

use crate::{Error, Image};
use gabor_tensor::rng::op;
use gabor_tensor::{Rule, Stream};
use serde::{Deserialize, Serialize};

/// What varies, and how much; zero or `false` is off, and the default is all off. Unknown keys are errors.
///
/// ```
/// use gabor_data::{Augmentation, Color, Image};
/// let image = Image::new(2, 2, Color::Grey, vec![1, 2, 3, 4]).unwrap();
/// let same = Augmentation::default().apply(&image, [2, 2], 7, 0, 0).unwrap();
/// assert_eq!(same.data(), image.data());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// The model's window is cut anywhere in the resized image instead of its centre (needs a crop in the
    /// preprocessing).
    pub random_crop: bool,
    /// Largest shift along each axis in whole pixels: a random crop of the image padded by so many.
    pub shift: u32,
    /// Mirrors left and right, every other time. Not for digits and letters.
    pub mirror: bool,
    /// Largest rotation about the centre, degrees, to either side.
    pub rotate: f32,
    /// Zoom by a factor in [1 − scale, 1 + scale].
    pub scale: f32,
    /// Widens by a factor in [1 − stretch, 1 + stretch] and lowers by the same factor.
    pub stretch: f32,
    /// Largest horizontal shear, degrees, to either side.
    pub shear: f32,
    /// Adds up to this part of 255, to either side.
    pub brightness: f32,
    /// Multiplies the distance from the image's mean by a factor in [1 − contrast, 1 + contrast].
    pub contrast: f32,
    /// Side in pixels of a square that is overwritten with `fill` (DeVries and Taylor 2017); it may reach over the edge.
    pub cutout: u32,
    /// The value beyond the edges.
    pub fill: u8,
}

/// Memory that augmentation reuses.
#[derive(Default)]
pub(crate) struct Buffers {
    window: Vec<u8>,
    pub(crate) out: Vec<u8>,
}

/// Which sample in which epoch of which training.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    pub seed: u64,
    pub epoch: u32,
    pub sample: u32,
}

impl Key {
    fn stream(self, k: u32) -> Stream {
        Stream::new(self.seed, self.epoch, self.sample, op::AUGMENT + k)
    }
    /// Uniform in ±`extent`, from operation `k`.
    fn symmetric(self, k: u32, extent: f32) -> f64 {
        if extent == 0.0 { 0.0 } else { self.stream(k).range(-f64::from(extent), f64::from(extent)) }
    }
}

impl Augmentation {
    /// Mild variation for handwriting: shift 1, rotation 10°, scale 10 %, stretch 5 %, shear 5°.
    pub fn handwriting() -> Self {
        Augmentation { shift: 1, rotate: 10.0, scale: 0.1, stretch: 0.05, shear: 5.0, ..Default::default() }
    }
    /// The usual one for 32 × 32 photographs: pad 4 and crop, mirror (He et al. 2015, section 4.2).
    pub fn small_photos() -> Self {
        Augmentation { shift: 4, mirror: true, ..Default::default() }
    }
    /// AlexNet's for photographs: a random crop of the resized image, mirror.
    pub fn photos() -> Self {
        Augmentation { random_crop: true, mirror: true, ..Default::default() }
    }
    /// Whether nothing varies.
    pub fn is_off(&self) -> bool {
        *self == Augmentation { fill: self.fill, ..Default::default() }
    }
    /// Checks that every extent is finite and in its range.
    pub fn validate(&self) -> Result<(), Error> {
        for (name, v, max) in [
            ("rotate", self.rotate, 180.0),
            ("scale", self.scale, 0.9),
            ("stretch", self.stretch, 0.9),
            ("shear", self.shear, 80.0),
            ("brightness", self.brightness, 1.0),
            ("contrast", self.contrast, 1.0),
            ("shift", self.shift as f32, 16384.0),
            ("cutout", self.cutout as f32, 16384.0),
        ] {
            if !(0.0..=max).contains(&v) {
                return Err(Error::new(
                    "augmentation",
                    Rule::new(format!("{name} of {v}")).right(format!("0 to {max}")),
                ));
            }
        }
        Ok(())
    }
    /// A varied image of `size` = `[h, w]` rows and columns: what training sees of `sample` in `epoch` under `seed`.
    /// An image larger than `size` is cut (at random with `random_crop`, else at the centre); a smaller one is an error.
    pub fn apply(
        &self,
        image: &Image<'_>,
        size: [usize; 2],
        seed: u64,
        epoch: u32,
        sample: u32,
    ) -> Result<Image<'static>, Error> {
        self.validate()?;
        if size.contains(&0) || size[0] > image.height() || size[1] > image.width() {
            return Err(Error::new(
                "augmentation",
                Rule::new(format!("a window of {} × {} from {} × {}", size[0], size[1], image.height(), image.width()))
                    .right("a window inside the image"),
            ));
        }
        let mut buffers = Buffers::default();
        self.apply_into(image, size, Key { seed, epoch, sample }, &mut buffers);
        Ok(Image::trusted(size[0], size[1], image.color(), buffers.out))
    }
    /// Leaves the result in `buffers.out`; the window must lie inside the image.
    pub(crate) fn apply_into(&self, image: &Image<'_>, [h, w]: [usize; 2], key: Key, buffers: &mut Buffers) {
        let Buffers { window, out } = buffers;
        let c = image.channels();
        self.cut(image, [h, w], key, window);
        if self.rotate != 0.0 || self.scale != 0.0 || self.stretch != 0.0 || self.shear != 0.0 {
            let inverse = self.draw_inverse(key);
            match c {
                1 => warp::<1>(window, [h, w], inverse, self.fill, out),
                _ => warp::<3>(window, [h, w], inverse, self.fill, out),
            }
        } else {
            std::mem::swap(window, out);
        }
        if self.brightness != 0.0 || self.contrast != 0.0 {
            self.light(key, out);
        }
        if self.cutout > 0 {
            let mut s = key.stream(8);
            let side = self.cutout as usize;
            let span = |centre: usize, n: usize| {
                let first = (centre + side).saturating_sub(side + side / 2);
                first..(centre + side - side / 2).min(n)
            };
            let (rows, columns) = (span(s.below(h), h), span(s.below(w), w));
            for y in rows {
                out[(y * w + columns.start) * c..(y * w + columns.end) * c].fill(self.fill);
            }
        }
    }
    /// Crop, shift and mirror: whole pixels, nothing is interpolated.
    fn cut(&self, image: &Image<'_>, [h, w]: [usize; 2], key: Key, out: &mut Vec<u8>) {
        let (ih, iw, c) = (image.height(), image.width(), image.channels());
        let (mut top, mut left) = (((ih - h) / 2) as isize, ((iw - w) / 2) as isize);
        let mut s = key.stream(0);
        if self.random_crop {
            (top, left) = (s.below(ih - h + 1) as isize, s.below(iw - w + 1) as isize);
        }
        if self.shift > 0 {
            let extent = self.shift as usize;
            top += s.below(2 * extent + 1) as isize - extent as isize;
            left += s.below(2 * extent + 1) as isize - extent as isize;
        }
        let mirror = self.mirror && key.stream(1).next_u32() & 1 == 1;
        out.clear();
        out.resize(h * w * c, self.fill);
        // The columns of the window that lie inside the image.
        let from = (-left).clamp(0, w as isize) as usize;
        let to = (iw as isize - left).clamp(from as isize, w as isize) as usize;
        for y in 0..h {
            let sy = top + y as isize;
            if sy < 0 || sy >= ih as isize || from == to {
                continue;
            }
            let at = (sy as usize * iw + (left + from as isize) as usize) * c;
            let src = &image.data()[at..at + (to - from) * c];
            let row = &mut out[y * w * c..][..w * c];
            if mirror {
                for (o, p) in row[(w - to) * c..(w - from) * c].chunks_exact_mut(c).rev().zip(src.chunks_exact(c)) {
                    o.copy_from_slice(p);
                }
            } else {
                row[from * c..to * c].copy_from_slice(src);
            }
        }
    }
    /// The map from the warped image to its source, about the centre: the inverse of
    /// rotation · shear · diag(scale · stretch, scale / stretch).
    fn draw_inverse(&self, key: Key) -> [f64; 4] {
        let angle = key.symmetric(2, self.rotate).to_radians();
        let scale = 1.0 + key.symmetric(3, self.scale);
        let stretch = 1.0 + key.symmetric(4, self.stretch);
        let shear = libm::tan(key.symmetric(5, self.shear).to_radians());
        let (sin, cos) = (libm::sin(angle), libm::cos(angle));
        // rotation⁻¹, then shear⁻¹, then the scales.
        let (a, b, d, e) = (cos - shear * -sin, sin - shear * cos, -sin, cos);
        let (fx, fy) = (1.0 / (scale * stretch), stretch / scale);
        [a * fx, b * fx, d * fy, e * fy]
    }
    /// Brightness and contrast by a table of the 256 values.
    fn light(&self, key: Key, pixels: &mut [u8]) {
        let add = key.symmetric(6, self.brightness) * 255.0;
        let factor = 1.0 + key.symmetric(7, self.contrast);
        let sum: u64 = pixels.iter().map(|&v| u64::from(v)).sum();
        let mean = sum as f64 / pixels.len().max(1) as f64;
        let table: [u8; 256] = std::array::from_fn(|v| (mean + (v as f64 - mean) * factor + add + 0.5) as u8);
        for v in pixels {
            *v = table[usize::from(*v)];
        }
    }
}

/// Bilinear sampling of an affine map about the centre, in 16.16 fixed point with 8-bit weights.
fn warp<const C: usize>(src: &[u8], [h, w]: [usize; 2], m: [f64; 4], fill: u8, out: &mut Vec<u8>) {
    const ONE: f64 = 65536.0;
    let step = m.map(|v| (v * ONE).round() as i64);
    let (cy, cx) = ((h - 1) as f64 / 2.0, (w - 1) as f64 / 2.0);
    // The source of the first pixel; half a weight is added to round.
    let mut row_x = ((cx - m[0] * cx - m[1] * cy) * ONE).round() as i64 + 128;
    let mut row_y = ((cy - m[2] * cx - m[3] * cy) * ONE).round() as i64 + 128;
    let pixels = src.as_chunks::<C>().0;
    let at = |y: i64, x: i64| -> [u8; C] {
        if y >= 0 && x >= 0 && (y as usize) < h && (x as usize) < w {
            pixels[y as usize * w + x as usize]
        } else {
            [fill; C]
        }
    };
    out.clear();
    out.reserve(h * w * C);
    for _ in 0..h {
        let (mut x, mut y) = (row_x, row_y);
        for _ in 0..w {
            let (ix, iy) = (x >> 16, y >> 16);
            let (fx, fy) = ((x >> 8 & 255) as u32, (y >> 8 & 255) as u32);
            let inside = ix >= 0 && iy >= 0 && ix + 1 < w as i64 && iy + 1 < h as i64;
            let [p, q, r, s] = if inside {
                let i = iy as usize * w + ix as usize;
                [pixels[i], pixels[i + 1], pixels[i + w], pixels[i + w + 1]]
            } else {
                [at(iy, ix), at(iy, ix + 1), at(iy + 1, ix), at(iy + 1, ix + 1)]
            };
            let mix: [u8; C] = std::array::from_fn(|c| {
                let above = u32::from(p[c]) * (256 - fx) + u32::from(q[c]) * fx;
                let below = u32::from(r[c]) * (256 - fx) + u32::from(s[c]) * fx;
                ((above * (256 - fy) + below * fy + (1 << 15)) >> 16) as u8
            });
            out.extend_from_slice(&mix);
            x += step[0];
            y += step[2];
        }
        row_x += step[1];
        row_y += step[3];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Color;

    fn ramp(h: usize, w: usize) -> Image<'static> {
        Image::new(h, w, Color::Grey, (0..h * w).map(|v| (v * 7 % 251) as u8).collect::<Vec<_>>()).unwrap()
    }
    fn draw(a: Augmentation, sample: u32) -> Vec<u8> {
        a.apply(&ramp(9, 9), [9, 9], 1, 2, sample).unwrap().into_data()
    }

    #[test]
    fn warp_turns_and_zooms_about_the_centre() {
        let image = ramp(9, 9);
        let mut out = Vec::new();
        warp::<1>(image.data(), [9, 9], [1.0, 0.0, 0.0, 1.0], 0, &mut out);
        assert_eq!(out, image.data());
        // Half a turn reverses the pixels, a quarter turn takes the source from (x, y) = (cx + dy, cy − dx).
        warp::<1>(image.data(), [9, 9], [-1.0, 0.0, 0.0, -1.0], 0, &mut out);
        assert!(out.iter().eq(image.data().iter().rev()));
        warp::<1>(image.data(), [9, 9], [0.0, 1.0, -1.0, 0.0], 0, &mut out);
        assert_eq!(out[2 * 9 + 3], image.data()[5 * 9 + 2]);
        // Zoom out by two: everything beyond the centre is fill.
        warp::<1>(image.data(), [9, 9], [2.0, 0.0, 0.0, 2.0], 3, &mut out);
        assert_eq!((out[0], out[4 * 9 + 4]), (3, image.data()[4 * 9 + 4]));
    }

    #[test]
    fn inverse_map_is_the_inverse() {
        let a = Augmentation { rotate: 30.0, scale: 0.3, stretch: 0.2, shear: 20.0, ..Default::default() };
        let key = Key { seed: 5, epoch: 1, sample: 9 };
        let m = a.draw_inverse(key);
        let t = key.symmetric(2, a.rotate).to_radians();
        let (s, q) = (1.0 + key.symmetric(3, a.scale), 1.0 + key.symmetric(4, a.stretch));
        let k = key.symmetric(5, a.shear).to_radians().tan();
        // Forward: rotation · [1 k; 0 1] · diag(s q, s / q).
        let f = [t.cos() * s * q, (t.cos() * k - t.sin()) * s / q, t.sin() * s * q, (t.sin() * k + t.cos()) * s / q];
        let product = [
            m[0] * f[0] + m[1] * f[2],
            m[0] * f[1] + m[1] * f[3],
            m[2] * f[0] + m[3] * f[2],
            m[2] * f[1] + m[3] * f[3],
        ];
        for (p, want) in product.iter().zip([1.0, 0.0, 0.0, 1.0]) {
            assert!((p - want).abs() < 1e-12, "{product:?}");
        }
    }

    #[test]
    fn draws_are_keyed() {
        let a = Augmentation { mirror: true, brightness: 0.2, contrast: 0.2, ..Augmentation::handwriting() };
        assert_eq!(draw(a, 3), draw(a, 3));
        assert_ne!(draw(a, 3), draw(a, 4));
        // Cutout is drawn by itself: elsewhere the picture is the same.
        let cut = draw(Augmentation { cutout: 3, ..a }, 3);
        let differing = cut.iter().zip(&draw(a, 3)).filter(|(x, y)| x != y).count();
        assert!((1..=9).contains(&differing), "{differing}");
    }

    #[test]
    fn mirror_and_shift_move_whole_pixels() {
        let image = ramp(9, 9);
        let reversed: Vec<u8> = image.data().chunks(9).flat_map(|r| r.iter().rev().copied()).collect();
        let seen: Vec<Vec<u8>> =
            (0..20).map(|s| draw(Augmentation { mirror: true, ..Default::default() }, s)).collect();
        assert!(seen.iter().all(|v| *v == image.data() || *v == reversed));
        assert!(seen.contains(&reversed) && seen.iter().any(|v| v == image.data()));
        for s in 0..50 {
            let out = draw(Augmentation { shift: 20, fill: 255, mirror: true, ..Default::default() }, s);
            assert!(out.iter().all(|v| *v == 255 || image.data().contains(v)));
        }
        let crop = Augmentation { random_crop: true, ..Default::default() };
        let corners: std::collections::BTreeSet<u8> =
            (0..200).map(|s| crop.apply(&image, [8, 8], 0, 0, s).unwrap().data()[0]).collect();
        assert_eq!(corners.len(), 4);
    }

    #[test]
    fn fields_are_checked() {
        let e = |a: Augmentation| a.validate().unwrap_err().to_string();
        assert_eq!(
            e(Augmentation { rotate: 400.0, ..Default::default() }),
            "augmentation: rotate of 400; right would be: 0 to 180"
        );
        assert!(e(Augmentation { scale: f32::NAN, ..Default::default() }).contains("scale of NaN"));
        assert!(serde_json::from_str::<Augmentation>("{\"rotat\":3}").is_err());
        assert!(serde_json::from_str::<Augmentation>("{}").unwrap().is_off());
        assert!(Augmentation::default().apply(&ramp(4, 4), [5, 4], 0, 0, 0).is_err());
    }
}
