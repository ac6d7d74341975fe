//! Mixed samples: mixup and CutMix inside a batch.

use crate::Error;
use gabor_tensor::rng::op;
use gabor_tensor::{Rule, Stream, Tensor};

/// How the samples of a batch are mixed with each other; 0 is off. Where both are on, every batch is mixed by one or the
/// other, each with probability ½ (as in timm).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mixing {
    /// α of the Beta distribution from which the share of the first sample comes, for mixup (Zhang et al. 2017).
    pub mixup: f64,
    /// The same for CutMix (Yun et al. 2019).
    pub cutmix: f64,
}

/// How a batch was mixed: each sample is λ of its own and 1 − λ of its partner.
#[derive(Clone, Debug, PartialEq)]
pub struct Mix {
    /// The partners, as places in the batch.
    pub partners: Vec<u32>,
    /// The partners' labels, `[b]`, i32.
    pub labels: Tensor,
    /// λ as the input of a graph, f32 of shape `[]`.
    pub share: Tensor,
    /// Share of each sample and of its label.
    pub lambda: f32,
    /// Top, left, bottom and right of the box that is the partner's, for CutMix; none for mixup.
    pub region: Option<[usize; 4]>,
}

/// Memory that mixing reuses.
#[derive(Default)]
pub(super) struct Buffers {
    image: Vec<f32>,
    done: Vec<bool>,
}

impl Mixing {
    /// Whether nothing is mixed.
    pub fn is_off(&self) -> bool {
        self.mixup == 0.0 && self.cutmix == 0.0
    }
    /// Checks that each α is in its bounds.
    pub fn validate(&self) -> Result<(), Error> {
        for (name, alpha) in [("mixup", self.mixup), ("cutmix", self.cutmix)] {
            if !(0.0..=100.0).contains(&alpha) {
                return Err(Error::new(name, Rule::new(format!("an alpha of {alpha}")).right("0 (off) to 100")));
            }
        }
        Ok(())
    }
    /// Draws how batch number `batch` of an epoch, of `n` samples of `[h, w]`, is mixed.
    fn draw(&self, (seed, epoch, batch): (u64, u32, usize), labels: &[i32], [h, w]: [usize; 2]) -> Result<Mix, Rule> {
        let mut s = Stream::new(seed, epoch, batch as u32, op::MIX);
        let second = s.uniform() < 0.5;
        let cut = if self.mixup > 0.0 && self.cutmix > 0.0 { second } else { self.cutmix > 0.0 };
        let lambda = beta(if cut { self.cutmix } else { self.mixup }, &mut s);
        let region = cut.then(|| {
            let part = (1.0 - lambda).sqrt();
            let mut span = |size: usize| {
                let (length, centre) = ((size as f64 * part) as usize, s.below(size));
                (centre.saturating_sub(length / 2), (centre + length / 2).min(size))
            };
            let ((top, bottom), (left, right)) = (span(h), span(w));
            [top, left, bottom, right]
        });
        // The label's share is that of the pixels which are there.
        let area = |[top, left, bottom, right]: [usize; 4]| ((bottom - top) * (right - left)) as f64 / (h * w) as f64;
        let lambda = region.map_or(lambda, |r| 1.0 - area(r)) as f32;
        let mut partners: Vec<u32> = (0..labels.len() as u32).collect();
        s.shuffle(&mut partners);
        let second: Vec<i32> = partners.iter().map(|&p| labels[p as usize]).collect();
        let labels = Tensor::i32(&[second.len()], second)?;
        Ok(Mix { partners, labels, share: Tensor::scalar(lambda), lambda, region })
    }
    /// Mixes the images `[n, c, h, w]` of a batch in place; the result is a function of seed, epoch and the batch's number.
    pub(super) fn apply(
        &self,
        images: &mut [f32],
        [c, h, w]: [usize; 3],
        labels: &[i32],
        key: (u64, u32, usize),
        buffers: &mut Buffers,
    ) -> Result<Mix, Rule> {
        let size = c * h * w;
        let mix = self.draw(key, labels, [h, w])?;
        let lambda = mix.lambda;
        match mix.region {
            None => in_place(images, size, &mix.partners, buffers, |own, other| {
                for (a, b) in own.iter_mut().zip(other) {
                    *a = lambda * *a + (1.0 - lambda) * b;
                }
            }),
            Some([top, left, bottom, right]) => in_place(images, size, &mix.partners, buffers, |own, other| {
                for start in (0..c).flat_map(|c| (top..bottom).map(move |y| (c * h + y) * w)) {
                    own[start + left..start + right].copy_from_slice(&other[start + left..start + right]);
                }
            }),
        }
        Ok(mix)
    }
}

/// Changes every image by its partner as it was before, cycle by cycle of the permutation; one image is kept aside.
fn in_place(images: &mut [f32], size: usize, partners: &[u32], b: &mut Buffers, change: impl Fn(&mut [f32], &[f32])) {
    b.done.clear();
    b.done.resize(partners.len(), false);
    for first in 0..partners.len() {
        if b.done[first] {
            continue;
        }
        b.image.clear();
        b.image.extend_from_slice(&images[first * size..][..size]);
        let mut i = first;
        loop {
            b.done[i] = true;
            let j = partners[i] as usize;
            if j == first {
                change(&mut images[i * size..][..size], &b.image);
                break;
            }
            let (low, high) = images.split_at_mut(i.max(j) * size);
            let (low, high) = (&mut low[i.min(j) * size..][..size], &mut high[..size]);
            if i < j {
                change(low, high)
            } else {
                change(high, low)
            }
            i = j;
        }
    }
}

/// A number from the Beta distribution with both parameters `alpha`: x / (x + y) of two Gamma numbers, through their
/// logarithms, which small α would let underflow.
fn beta(alpha: f64, s: &mut Stream) -> f64 {
    let (x, y) = (log_gamma_number(alpha, s), log_gamma_number(alpha, s));
    1.0 / (1.0 + libm::exp(y - x))
}

/// The logarithm of a number from the Gamma distribution of shape `alpha` (Marsaglia and Tsang 2000), for any α > 0.
fn log_gamma_number(alpha: f64, s: &mut Stream) -> f64 {
    // A shape below 1 is one more, times a power of a uniform number.
    let more = if alpha < 1.0 { libm::log(1.0 - s.uniform()) / alpha } else { 0.0 };
    let d = if alpha < 1.0 { alpha + 1.0 } else { alpha } - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let z = s.normal();
        let v = 1.0 + c * z;
        if v > 0.0 {
            let v = v * v * v;
            if libm::log(1.0 - s.uniform()) < 0.5 * z * z + d * (1.0 - v + libm::log(v)) {
                return libm::log(d * v) + more;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_beta() {
        // The variance of Beta(α, α) is 1 / (4 (2 α + 1)).
        for alpha in [0.01, 0.2, 1.0, 4.0] {
            let mut s = Stream::new(3, 0, 0, op::TEST);
            let v: Vec<f64> = (0..20_000).map(|_| beta(alpha, &mut s)).collect();
            let mean = v.iter().sum::<f64>() / v.len() as f64;
            let variance = v.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / v.len() as f64;
            let want = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            assert!(
                (mean - 0.5).abs() < 0.012 && (variance / want - 1.0).abs() < 0.03,
                "{alpha}: {mean} {variance} {want}"
            );
            assert!(v.iter().all(|v| (0.0..=1.0).contains(v)));
        }
    }

    /// Every pixel is made of the sample and its partner as they were.
    #[test]
    fn images_are_mixed_from_what_they_were() {
        let (n, c, h, w) = (7, 2, 5, 6);
        let size = c * h * w;
        let before: Vec<f32> = (0..n * size).map(|i| (i / size * 100 + i % size) as f32).collect();
        let (mut cuts, mut blends) = (0, 0);
        for batch in 0..40 {
            let mixing = Mixing { mixup: 0.4, cutmix: 1.0 };
            let mut images = before.clone();
            let labels: Vec<i32> = (10..17).collect();
            let mut buffers = Buffers::default();
            let mix = mixing.apply(&mut images, [c, h, w], &labels, (5, 1, batch), &mut buffers).unwrap();
            assert!(mix.labels.as_i32().unwrap().iter().zip(&mix.partners).all(|(&l, &p)| l == 10 + p as i32));
            assert_eq!(mix.share.as_f32().unwrap(), [mix.lambda]);
            let mut sorted = mix.partners.clone();
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..n as u32));
            let mut own = 0;
            for (i, &v) in images.iter().enumerate() {
                let (k, at) = (i / size, i % size);
                let (a, b) = (before[i], before[mix.partners[k] as usize * size + at]);
                match mix.region {
                    None => assert!((v - (mix.lambda * a + (1.0 - mix.lambda) * b)).abs() < 1e-3),
                    Some([top, left, bottom, right]) => {
                        let (y, x) = (at / w % h, at % w);
                        let inside = (top..bottom).contains(&y) && (left..right).contains(&x);
                        assert_eq!(v, if inside { b } else { a });
                        own += usize::from(!inside);
                    }
                }
            }
            if mix.region.is_some() {
                assert!((own as f32 / (n * size) as f32 - mix.lambda).abs() < 1e-6);
                cuts += 1;
            } else {
                blends += 1;
            }
        }
        assert!(cuts > 8 && blends > 8, "{cuts} {blends}");
        let one = Mixing { cutmix: 1.0, ..Default::default() };
        assert!((0..20).all(|b| one.draw((1, 0, b), &[0; 4], [8, 8]).unwrap().region.is_some()));
        assert!(
            Mixing { mixup: -1.0, cutmix: 0.0 }
                .validate()
                .unwrap_err()
                .to_string()
                .starts_with("mixup: an alpha of -1")
        );
    }
}
