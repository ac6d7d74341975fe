//! Fingerprints of pictures: one that is equal for equal pixels only, and one that is close for pictures that look alike.
//!
//! The second is the perceptual hash of the DCT (Zauner, "Implementation and benchmarking of perceptual image hash
//! functions", 2010): the signs of the 63 lowest frequencies of a 32 × 32 grey picture about their median. What is close
//! by hash is compared once more on a grey thumbnail, because simple drawings share low frequencies.

use crate::{Error, Image, Preprocessing, Scratch};

/// Side of the grey picture that the frequencies are taken from.
const SIDE: usize = 32;
/// Frequencies of each direction.
const LOW: usize = 8;
/// Side of the thumbnail.
const THUMB: usize = 16;
/// Thumbnails whose standard deviation is less than this have no shapes to compare.
const CONTRAST: f64 = 4.0;

/// What remains of a picture to find its like: 288 bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Likeness {
    /// Equal for equal extents and pixels, and for nothing else that will ever be met.
    pub pixels: u128,
    /// Signs of low frequencies.
    pub hash: u64,
    thumb: [u8; THUMB * THUMB],
    /// Mean of the thumbnail, and the root of the sum of its squared deviations.
    mean: f32,
    norm: f32,
}

impl Likeness {
    /// Whether the picture has shapes enough to be compared with others.
    pub fn has_shapes(&self) -> bool {
        f64::from(self.norm) >= CONTRAST * THUMB as f64
    }
    /// The same, to be compared by its pixels alone.
    pub fn without_shapes(self) -> Self {
        Likeness { norm: 0.0, ..self }
    }
    /// Pearson's correlation of the thumbnails, −1 to 1.
    pub fn correlation(&self, other: &Likeness) -> f64 {
        let products: u64 = self.thumb.iter().zip(&other.thumb).map(|(&a, &b)| u64::from(a) * u64::from(b)).sum();
        let n = (THUMB * THUMB) as f64;
        let covariance = products as f64 - n * f64::from(self.mean) * f64::from(other.mean);
        covariance / (f64::from(self.norm) * f64::from(other.norm)).max(1e-9)
    }
}

/// Makes fingerprints, reusing its memory.
pub(super) struct Maker {
    grey: Preprocessing,
    scratch: Scratch,
    /// cos((2x + 1) u π / 64), u < 8.
    cosines: Vec<[f64; SIDE]>,
}

impl Maker {
    pub fn new() -> Result<Self, Error> {
        let angle = |u: usize, x: usize| (2 * x + 1) as f64 * u as f64 * std::f64::consts::PI / (2 * SIDE) as f64;
        let cosines = (0..LOW).map(|u| std::array::from_fn(|x| libm::cos(angle(u, x)))).collect();
        Ok(Maker { grey: Preprocessing::exact([1, SIDE, SIDE])?, scratch: Scratch::default(), cosines })
    }
    /// The fingerprints of a picture.
    pub fn make(&mut self, image: &Image<'_>) -> Result<Likeness, Error> {
        let small = self.grey.prepare(image, &mut self.scratch)?;
        let hash = self.frequencies(small.data());
        let (thumb, mean, norm) = thumbnail(small.data());
        self.scratch.give_back(small);
        Ok(Likeness { pixels: pixels(image), hash, thumb, mean, norm })
    }
    fn frequencies(&self, grey: &[u8]) -> u64 {
        let mut rows = [[0.0; SIDE]; LOW];
        for (y, line) in grey.chunks_exact(SIDE).enumerate() {
            for (u, cosine) in self.cosines.iter().enumerate() {
                rows[u][y] = line.iter().zip(cosine).map(|(&p, c)| f64::from(p) * c).sum();
            }
        }
        let mut values = [0.0; LOW * LOW];
        for (i, value) in values.iter_mut().enumerate() {
            let (v, u) = (i / LOW, i % LOW);
            *value = rows[u].iter().zip(&self.cosines[v]).map(|(a, c)| a * c).sum();
        }
        // The mean brightness says nothing of shapes.
        let mut sorted = values[1..].to_vec();
        sorted.sort_by(f64::total_cmp);
        let median = sorted[sorted.len() / 2];
        (1..LOW * LOW).fold(0, |bits, i| bits | u64::from(values[i] > median) << i)
    }
}

/// Means of 2 × 2 pixels, their mean, and the root of their squared deviations.
fn thumbnail(grey: &[u8]) -> ([u8; THUMB * THUMB], f32, f32) {
    let at = |y: usize, x: usize| u32::from(grey[y * SIDE + x]);
    let thumb: [u8; THUMB * THUMB] = std::array::from_fn(|i| {
        let (y, x) = (i / THUMB * 2, i % THUMB * 2);
        ((at(y, x) + at(y, x + 1) + at(y + 1, x) + at(y + 1, x + 1) + 2) / 4) as u8
    });
    let n = (THUMB * THUMB) as f64;
    let sum: u64 = thumb.iter().map(|&v| u64::from(v)).sum();
    let squares: u64 = thumb.iter().map(|&v| u64::from(v) * u64::from(v)).sum();
    let mean = sum as f64 / n;
    (thumb, mean as f32, (squares as f64 - n * mean * mean).max(0.0).sqrt() as f32)
}

/// 128 bits of extents and pixels: two multiplicative hashes that mix words in different orders. Nobody who forges
/// pictures is to be kept out, only chance.
fn pixels(image: &Image<'_>) -> u128 {
    const A: u64 = 0x9E37_79B9_7F4A_7C15;
    const B: u64 = 0xC2B2_AE3D_27D4_EB4F;
    let (mut a, mut b) = (image.height() as u64 ^ A, (image.width() as u64) << 2 ^ image.channels() as u64 ^ B);
    let mut mix = |word: u64| {
        a = (a ^ word).wrapping_mul(A);
        a ^= a >> 29;
        b = b.rotate_left(27).wrapping_add(word).wrapping_mul(B);
    };
    let (words, rest) = image.data().as_chunks::<8>();
    words.iter().for_each(|w| mix(u64::from_le_bytes(*w)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(u64::from_le_bytes(last));
    let finish = |mut v: u64| {
        v = (v ^ v >> 32).wrapping_mul(A);
        v = (v ^ v >> 29).wrapping_mul(B);
        v ^ v >> 32
    };
    u128::from(finish(a)) << 64 | u128::from(finish(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Color;
    use gabor_tensor::Stream;
    use gabor_tensor::rng::op;

    /// Smooth random shapes: a few soft discs.
    pub(super) fn scene(seed: u64, side: usize, gain: f64) -> Image<'static> {
        let mut s = Stream::new(seed, 0, 0, op::TEST);
        let discs: Vec<[f64; 4]> =
            (0..12).map(|_| std::array::from_fn(|_| f64::from(gabor_tensor::rng::unit_f32(s.next_u32())))).collect();
        let mut data = Vec::new();
        for y in 0..side {
            for x in 0..side {
                let (y, x) = (y as f64 / side as f64, x as f64 / side as f64);
                let v: f64 = (discs.iter())
                    .filter(|d| (d[0] - y).powi(2) + (d[1] - x).powi(2) < 0.06 * d[2])
                    .fold(90.0, |_, d| 255.0 * d[3]);
                data.extend([v * gain, v * gain * 0.8, 255.0 - v].map(|v| v.clamp(0.0, 255.0) as u8));
            }
        }
        Image::new(side, side, Color::Rgb, data).unwrap()
    }

    #[test]
    fn alike_is_close_and_others_are_far() {
        let mut m = Maker::new().unwrap();
        let all: Vec<Likeness> = (0..40).map(|i| m.make(&scene(i, 120, 1.0)).unwrap()).collect();
        for i in 0..40 {
            let other = m.make(&scene(i, 97, 0.9)).unwrap();
            let far = (all[i as usize].hash ^ other.hash).count_ones();
            assert!(far <= 8 && all[i as usize].correlation(&other) > 0.98, "{i}: {far}");
            assert_ne!(all[i as usize].pixels, other.pixels);
            assert_eq!(all[i as usize], m.make(&scene(i, 120, 1.0)).unwrap());
            for j in 0..i {
                assert!((all[i as usize].hash ^ all[j as usize].hash).count_ones() > 10, "{i} {j}");
            }
        }
    }

    #[test]
    fn every_pixel_counts() {
        let mut seen = std::collections::BTreeSet::new();
        for at in 0..30 {
            for v in 0..=255 {
                let mut data = vec![0; 30];
                data[at] = v;
                seen.insert(pixels(&Image::new(2, 5, Color::Rgb, data.clone()).unwrap()));
                seen.insert(pixels(&Image::new(5, 2, Color::Rgb, data.clone()).unwrap()));
                seen.insert(pixels(&Image::new(5, 6, Color::Grey, data).unwrap()));
            }
        }
        assert_eq!(seen.len(), 3 * (30 * 255 + 1));
        let flat = Image::new(9, 9, Color::Grey, vec![77; 81]).unwrap();
        assert!(!Maker::new().unwrap().make(&flat).unwrap().has_shapes());
    }
}
