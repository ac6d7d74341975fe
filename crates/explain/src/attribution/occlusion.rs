//! Occlusion: how much the score falls where a window covers the picture.

use super::{Attribution, Explainer, Method};
use crate::patch::{Patches, Window};
use crate::{Error, Result};
use gabor_tensor::{Rule, Tensor};

pub(super) fn attribute(explainer: &mut Explainer, image: &Tensor, class: usize) -> Result<Attribution> {
    let Explainer { subject, options: o, patches, .. } = explainer;
    let [_, height, width] = subject.input();
    let window = o.window.unwrap_or([height.div_ceil(8), width.div_ceil(8)]);
    let stride = o.stride.unwrap_or(window.map(|w| w.div_ceil(2)));
    if stride.iter().zip(window).any(|(&s, w)| s > w) {
        let rule = Rule::new(format!(
            "a stride of {} × {} leaves places out between windows of {} × {}",
            stride[0], stride[1], window[0], window[1]
        ));
        return Err(Error::new("stride", rule.right("at most the window")));
    }
    let windows = windows([height, width], window, stride);
    let x = image.as_f32().map_err(|r| Error::new(subject.images_name(), r))?;
    let zeros = vec![0.0; x.len()];
    let cover = o.baseline.as_deref().unwrap_or(&zeros);
    let patches = match patches {
        Some(p) => p,
        None => patches.insert(Patches::new(subject, &windows, o.batch, false)?),
    };
    let score = patches.see(image)?[class];
    let scores = patches.scores(cover, class)?;
    let (mut sum, mut count) = (vec![0f64; height * width], vec![0u32; height * width]);
    // What is computed on parts differs from the whole by rounding, which is no reason for an answer.
    let noise = 2.0 * f32::EPSILON * score.abs();
    for (w, s) in windows.iter().zip(scores) {
        let s = if (score - s).abs() <= noise { score } else { s };
        for y in w.rows.clone() {
            for x in w.columns.clone() {
                sum[y * width + x] += f64::from(score - s);
                count[y * width + x] += 1;
            }
        }
    }
    let map = sum.iter().zip(&count).map(|(s, &c)| (s / f64::from(c.max(1))) as f32).collect();
    let method = Method::Occlusion;
    Ok(Attribution { method, class, score, layer: None, map, height, width, values: None, gap: None })
}

/// Windows in rows from the upper left, a step of at most the window apart; the last of a row or column is cut at the edge. Every
/// place is covered.
fn windows(plane: [usize; 2], size: [usize; 2], stride: [usize; 2]) -> Vec<Window> {
    let starts = |d: usize| {
        let step = stride[d];
        (0..=plane[d].saturating_sub(size[d]).div_ceil(step)).map(move |i| i * step..(i * step + size[d]).min(plane[d]))
    };
    starts(0).flat_map(|rows| starts(1).map(move |columns| Window { rows: rows.clone(), columns })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_every_place() {
        for (plane, size, stride) in [([7, 5], [3, 2], [2, 2]), ([8, 8], [8, 8], [4, 4]), ([9, 4], [2, 3], [2, 1])] {
            let all = windows(plane, size, stride);
            assert!((0..plane[0]).all(|y| (0..plane[1]).all(|x| all.iter().any(|w| w.holds(y, x)))));
            assert!(all.iter().all(|w| w.rows.end <= plane[0] && w.columns.end <= plane[1] && !w.rows.is_empty()));
        }
        assert_eq!(windows([4, 4], [2, 2], [2, 2]).len(), 4);
    }
}
