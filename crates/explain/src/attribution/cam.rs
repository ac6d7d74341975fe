//! Class activation maps: a layer's feature maps, weighted by how much the class depends on them.

use super::{Attribution, Explainer, Method, gradient, largest};
use crate::{Backpropagation, Error, Layer, Result};
use gabor_tensor::{Rule, Tensor};

pub(super) fn attribute(
    explainer: &mut Explainer,
    image: &Tensor,
    class: usize,
    method: Method,
) -> Result<Attribution> {
    let [_, height, width] = explainer.subject.input();
    let layer = layer_of(explainer)?;
    let (coarse, [h, w], score) = coarse(explainer, image, class, method, &layer)?;
    let map = bilinear(&coarse, [h, w], [height, width]);
    Ok(Attribution { method, class, score, layer: Some(layer.name), map, height, width, values: None, gap: None })
}

/// The guided gradient, times Grad-CAM brought to the picture's size place by place.
pub(super) fn guided(explainer: &mut Explainer, image: &Tensor, class: usize) -> Result<Attribution> {
    let [_, height, width] = explainer.subject.input();
    let layer = layer_of(explainer)?;
    let (coarse, [h, w], score) = coarse(explainer, image, class, Method::GradCam, &layer)?;
    let (mut values, _) = gradient::gradient(explainer, image, class, Backpropagation::Guided)?;
    for (i, v) in values.iter_mut().enumerate() {
        let (y, x) = (i / width % height, i % width);
        *v *= coarse[y * h / height * w + x * w / width];
    }
    let map = largest(&values, height * width);
    let method = Method::GuidedGradCam;
    Ok(Attribution {
        method,
        class,
        score,
        layer: Some(layer.name),
        map,
        height,
        width,
        values: Some(values),
        gap: None,
    })
}

fn layer_of(explainer: &Explainer) -> Result<Layer> {
    let subject = &explainer.subject;
    let Some(name) = &explainer.options.layer else { return subject.last_map() };
    let layer = subject.layer(name)?;
    if layer.shape.len() != 3 {
        let rule = Rule::new(format!("layer `{name}` gives {:?}, which has no places", layer.shape));
        return Err(Error::new(
            "layer",
            rule.right(format!("a layer before it, such as {}", subject.last_map()?.name)),
        ));
    }
    Ok(layer)
}

/// The weighted sum of the layer's maps, its negative part dropped: at the layer's own size.
fn coarse(
    explainer: &mut Explainer,
    image: &Tensor,
    class: usize,
    method: Method,
    layer: &Layer,
) -> Result<(Vec<f32>, [usize; 2], f32)> {
    let (h, w) = (layer.shape[1], layer.shape[2]);
    let back = explainer.back(Backpropagation::Plain, layer.value)?;
    back.run(image, class)?;
    let mut sum = vec![0f32; h * w];
    for (map, gradient) in back.kept(0)?.chunks_exact(h * w).zip(back.gradient(0)?.chunks_exact(h * w)) {
        if method == Method::LayerCam {
            sum.iter_mut().zip(map.iter().zip(gradient)).for_each(|(s, (a, g))| *s += a * g.max(0.0));
        } else {
            let mean = (gradient.iter().map(|&g| f64::from(g)).sum::<f64>() / (h * w) as f64) as f32;
            sum.iter_mut().zip(map).for_each(|(s, a)| *s += a * mean);
        }
    }
    sum.iter_mut().for_each(|s| *s = s.max(0.0));
    Ok((sum, [h, w], back.scores()?[class]))
}

/// Interpolates linearly between the centres of places (PyTorch's `align_corners=False`).
pub(super) fn bilinear(map: &[f32], [h, w]: [usize; 2], [oh, ow]: [usize; 2]) -> Vec<f32> {
    let at = |o: usize, from: usize, to: usize| {
        let centre = ((o as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
        let first = (centre as usize).min(from - 1);
        (first, (first + 1).min(from - 1), (centre - first as f64) as f32)
    };
    let columns: Vec<_> = (0..ow).map(|x| at(x, w, ow)).collect();
    let mut out = Vec::with_capacity(oh * ow);
    for y in 0..oh {
        let (y0, y1, fy) = at(y, h, oh);
        let (above, below) = (&map[y0 * w..][..w], &map[y1 * w..][..w]);
        for &(x0, x1, fx) in &columns {
            let upper = above[x0] + fx * (above[x1] - above[x0]);
            let lower = below[x0] + fx * (below[x1] - below[x0]);
            out.push(upper + fy * (lower - upper));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enlarging_keeps_constants_and_slopes() {
        assert!(bilinear(&[2.0; 6], [2, 3], [7, 5]).iter().all(|&v| v == 2.0));
        // PyTorch: interpolate([[0, 1]], size=4, mode="linear") = 0, 0.25, 0.75, 1.
        assert_eq!(bilinear(&[0.0, 1.0], [1, 2], [1, 4]), [0.0, 0.25, 0.75, 1.0]);
    }
}
