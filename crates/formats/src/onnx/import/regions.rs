//! Regions of interest: their places are known, so every result is a weighted sum of elements chosen beforehand.

use super::Row;
use super::op::{Fail, Op};
use super::sample::extents;
use crate::onnx::tensor::Elements;
use gabor_tensor::{Reduction, Rule, Shape, Tensor};

pub(super) const ROWS: &[(&str, Row)] = &[("RoiAlign", roi_align)];

/// Most elements that are chosen.
const MAX_PLACES: usize = 1 << 20;

/// Bilinear interpolation at a grid of points in each of the bins of a region (He et al. 2017).
fn roi_align(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let max = match o.a.text("mode")?.unwrap_or("avg") {
        "avg" => false,
        "max" => true,
        other => return Err(Rule::new(format!("attribute `mode` is {other:?}")).right("avg or max").into()),
    };
    let default = if o.opset < 16 { "output_half_pixel" } else { "half_pixel" };
    let half = match o.a.text("coordinate_transformation_mode")?.unwrap_or(default) {
        "half_pixel" => true,
        "output_half_pixel" => false,
        other => return Err(Rule::new(format!("attribute `coordinate_transformation_mode` is {other:?}")).into()),
    };
    let out = [o.a.int("output_height", 1)?, o.a.int("output_width", 1)?];
    let ratio = o.a.int("sampling_ratio", 0)?;
    let scale = o.a.float("spatial_scale", 1.0)?;
    let x = o.x(0)?;
    let shape = extents(o.g(), x)?;
    let (rois, batch) = (o.known(1)?, o.known(2)?);
    let (Elements::Float(boxes), Elements::Int(batch)) = (&rois.elements, &batch.elements) else {
        return Err(Rule::new("regions that are no floats, or samples that are no whole numbers").into());
    };
    let count = batch.len();
    let wrong = || Rule::new(format!("{:?} regions of {shape:?} in bins {out:?}", rois.shape));
    let sizes = out.iter().all(|v| (1..=1 << 12).contains(v)) && (0..=1 << 12).contains(&ratio);
    let whole = batch.iter().all(|&b| usize::try_from(b).is_ok_and(|b| Some(&b) < shape.first()));
    if shape.len() != 4 || shape.contains(&0) || rois.shape != [count, 4] || !sizes || !whole || count == 0 {
        return Err(wrong().into());
    }
    let out = out.map(|v| v as usize);
    let (c, h, w) = (shape[1], shape[2], shape[3]);
    // Per bin the chosen elements with their weights, as many as the largest region needs.
    let mut bins: Vec<Vec<(usize, f64)>> = Vec::new();
    let mut total = 0usize;
    for (region, &b) in boxes.as_chunks::<4>().0.iter().zip(batch) {
        let offset = if half { 0.5 } else { 0.0 };
        let [x0, y0, x1, y1] = region.map(|v| f64::from(v) * scale - offset);
        let least = if half { f64::NEG_INFINITY } else { 1.0 };
        let bin = [(y1 - y0).max(least) / out[0] as f64, (x1 - x0).max(least) / out[1] as f64];
        let points = bin.map(|s| if ratio > 0 { ratio as f64 } else { s.ceil().max(0.0) });
        let work = points[0] * points[1] * (out[0] * out[1] * 4) as f64;
        total = total.saturating_add(work as usize);
        if total > MAX_PLACES || !work.is_finite() {
            return Err(wrong().right(format!("at most {MAX_PLACES} elements to choose")).into());
        }
        let points = points.map(|p| p as usize);
        for (by, bx) in (0..out[0]).flat_map(|y| (0..out[1]).map(move |x| (y, x))) {
            let mut list = Vec::new();
            for (py, px) in (0..points[0]).flat_map(|y| (0..points[1]).map(move |x| (y, x))) {
                let at = |start: f64, i: usize, d: usize, p: usize| {
                    start + i as f64 * bin[d] + (p as f64 + 0.5) * bin[d] / points[d] as f64
                };
                let (y, x) = (at(y0, by, 0, py), at(x0, bx, 1, px));
                let base = b as usize * h * w;
                if y < -1.0 || y > h as f64 || x < -1.0 || x > w as f64 {
                    list.extend([(base, 0.0); 4]);
                    continue;
                }
                for (row, wy) in two(y, h) {
                    list.extend(two(x, w).map(|(column, wx)| (base + row * w + column, wy * wx)));
                }
            }
            let n = (points[0] * points[1]).max(1) as f64;
            list.iter_mut().for_each(|(_, w)| {
                if !max {
                    *w /= n
                }
            });
            bins.push(list);
        }
    }
    let most = bins.iter().map(Vec::len).max().unwrap_or(0).max(1);
    if bins.len().saturating_mul(most) > MAX_PLACES {
        return Err(wrong().right(format!("at most {MAX_PLACES} elements to choose")).into());
    }
    let (mut places, mut weights) = (Vec::new(), Vec::new());
    for list in &bins {
        // What is missing repeats the first where the largest is wanted, and counts nothing otherwise.
        let (first, weight) = list.first().copied().unwrap_or((0, 0.0));
        let filler = (first, if max { weight } else { 0.0 });
        for (p, w) in list.iter().copied().chain(std::iter::repeat(filler)).take(most) {
            places.push(i32::try_from(p).map_err(|_| wrong())?);
            weights.push(w as f32);
        }
    }
    let n = bins.len();
    let g = o.g();
    let rows = g.transpose(x, &[0, 2, 3, 1])?;
    let rows = g.reshape(rows, &Shape::fixed(&[shape[0] * h * w, c]))?;
    let places = g.constant(Tensor::i32(&[n, most], places)?);
    let chosen = g.gather(rows, 0, places)?;
    let weights = g.constant(Tensor::f32(&[n, most, 1], weights)?);
    let weighted = g.mul(chosen, weights)?;
    let y = g.reduce(if max { Reduction::Max } else { Reduction::Sum }, weighted, &[1])?;
    let y = g.reshape(y, &Shape::fixed(&[count, out[0], out[1], c]))?;
    let y = g.transpose(y, &[0, 3, 1, 2])?;
    o.set(0, y)
}

/// The two elements of a line that a place lies between, with their weights.
fn two(at: f64, len: usize) -> [(usize, f64); 2] {
    let at = at.max(0.0);
    let low = at.floor() as usize;
    if low + 1 >= len {
        return [(len - 1, 1.0), (len - 1, 0.0)];
    }
    let part = at - low as f64;
    [(low, 1.0 - part), (low + 1, part)]
}
