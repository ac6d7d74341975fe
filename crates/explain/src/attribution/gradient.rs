//! Methods that are one gradient by the pixels, or a mean of several.

use super::{Attribution, Explainer, Method, largest};
use crate::{Backpropagation, Error, Result};
use gabor_tensor::rng::op;
use gabor_tensor::{Stream, Tensor};

/// The gradient by the input, `[c, h, w]`, and the score.
pub(super) fn gradient(
    explainer: &mut Explainer,
    image: &Tensor,
    class: usize,
    how: Backpropagation,
) -> Result<(Vec<f32>, f32)> {
    let back = explainer.back_to_images(how)?;
    back.run(image, class)?;
    Ok((back.gradient(0)?.to_vec(), back.scores()?[class]))
}

pub(super) fn attribute(
    explainer: &mut Explainer,
    image: &Tensor,
    class: usize,
    method: Method,
) -> Result<Attribution> {
    let [_, height, width] = explainer.subject.input();
    let (values, score) = match method {
        Method::Guided => gradient(explainer, image, class, Backpropagation::Guided)?,
        Method::Deconvnet => gradient(explainer, image, class, Backpropagation::Deconvnet)?,
        Method::SmoothGrad => smooth(explainer, image, class)?,
        _ => gradient(explainer, image, class, Backpropagation::Plain)?,
    };
    let map = largest(&values, height * width);
    Ok(Attribution { method, class, score, layer: None, map, height, width, values: Some(values), gap: None })
}

/// Mean gradient of copies with normal noise, whose deviation is a part of the picture's range.
fn smooth(explainer: &mut Explainer, image: &Tensor, class: usize) -> Result<(Vec<f32>, f32)> {
    let (subject, o) = (explainer.subject.clone(), explainer.options.clone());
    let [c, h, w] = subject.input();
    let x = image.as_f32().map_err(|r| Error::new(subject.images_name(), r))?;
    let (low, high) = x.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, m), &v| (l.min(v), m.max(v)));
    let deviation = o.noise * f64::from(high - low);
    let back = explainer.back_to_images(Backpropagation::Plain)?;
    let mut sum = vec![0f64; x.len()];
    for first in (0..o.samples).step_by(o.batch) {
        let count = o.batch.min(o.samples - first);
        let mut noisy = Vec::with_capacity(count * x.len());
        for sample in first..first + count {
            let mut stream = Stream::new(o.seed, 0, sample as u32, op::USER);
            noisy.extend(x.iter().map(|&v| (f64::from(v) + deviation * stream.normal()) as f32));
        }
        let noisy = Tensor::f32(&[count, c, h, w], noisy).map_err(|r| Error::new("noise", r))?;
        back.run(&noisy, class)?;
        for gradient in back.gradient(0)?.chunks_exact(x.len()) {
            sum.iter_mut().zip(gradient).for_each(|(s, &g)| *s += f64::from(g));
        }
    }
    // The score of the picture itself, not of its noisy copies.
    back.run(image, class)?;
    let score = back.scores()?[class];
    Ok((sum.into_iter().map(|s| (s / o.samples as f64) as f32).collect(), score))
}
