//! The first convolution as a whitening of the data: its filters are the principal components of the pictures' patches,
//! so that what it gives has no correlation and variance 1 (Jordan 2024, section 3.2; after Page 2019).

use crate::setup::Setup;
use crate::{Error, Result};
use gabor_data::Dataset;
use gabor_graph::ops::Conv;
use gabor_graph::{Graph, Source, ValueId};
use gabor_tensor::{Rule, Weights, symmetric_eigen};
use std::sync::Arc;

/// Pictures and patches that are looked at; more change little.
const PICTURES: usize = 5000;
const PATCHES: usize = 1 << 18;
/// Added to each variance: components that hardly occur are not blown up.
const EPS: f64 = 5e-4;
/// Largest patch, in numbers: the matrix of correlations is its square.
const MOST: usize = 1024;

/// Sets the first convolution's filters to the principal components of the training pictures' patches, scaled to
/// variance 1, each with both signs, the strongest first; filters beyond these stay as they are drawn. Gives the
/// parameter's name and how many filters were set.
///
/// # Errors
/// A network whose pictures do not go into a plain convolution first; samples that cannot be read.
pub fn whiten(setup: &Setup, graph: &Graph, images: &str, weights: &mut Weights) -> Result<(String, usize)> {
    let (name, window) = first_filters(graph, images)?;
    let shape = weights.get(&name).map_or(Vec::new(), |t| t.shape().to_vec());
    let &[filters, channels, kh, kw] = shape.as_slice() else {
        return Err(refused(format!("`{name}` has a shape of {shape:?}")));
    };
    let length = channels * kh * kw;
    if length > MOST {
        return Err(refused(format!("a filter of `{name}` sees {length} numbers, and at most {MOST} can be whitened")));
    }
    let correlation = correlation(setup, [channels, kh, kw], window)?;
    let pairs = symmetric_eigen(&correlation, length);
    let count = length.min(filters / 2);
    let tensor = weights.0.get_mut(&name).ok_or_else(|| refused(format!("`{name}` is missing")))?;
    let gabor_tensor::Data::F32(data) = tensor.data_mut() else { return Err(refused(format!("`{name}` is not f32"))) };
    for (i, (variance, vector)) in pairs.iter().take(count).enumerate() {
        let scale = 1.0 / (variance.max(0.0) + EPS).sqrt();
        for (k, x) in vector.iter().enumerate() {
            data[i * length + k] = (x * scale) as f32;
            data[(count + i) * length + k] = (-x * scale) as f32;
        }
    }
    Ok((name, 2 * count))
}

fn refused(what: String) -> Error {
    let rule = Rule::new(what).right("a network whose first layer is a convolution of the pictures, or whiten=false");
    Error::new("key `whiten`", rule)
}

/// The weight of the one convolution that reads the pictures, and its dilation.
fn first_filters(graph: &Graph, images: &str) -> Result<(String, [usize; 2])> {
    let input = graph.find(images).ok_or_else(|| refused(format!("the network has no input `{images}`")))?;
    let reads = |v: ValueId| graph.nodes().iter().filter(move |n| n.inputs.contains(&v));
    let mut readers = reads(input);
    let (Some(node), None) = (readers.next(), readers.next()) else {
        return Err(refused("several layers read the pictures".into()));
    };
    let Some(conv) = node.op::<Conv>() else {
        return Err(refused(format!("the first layer, `{}`, is a {}", node.name, node.operation.name())));
    };
    let weight = graph.value(node.inputs[1]);
    if !matches!(weight.source, Source::Parameter(_)) || conv.geometry.groups != 1 {
        return Err(refused(format!("`{}` has no filters of its own over all channels", node.name)));
    }
    let axes = conv.geometry.window.axes();
    let &[y, x] = axes else { return Err(refused(format!("`{}` has {} dimensions", node.name, axes.len()))) };
    Ok((weight.name.clone(), [y.dilation, x.dilation]))
}

/// Mean product of any two numbers of a patch, in f64 and in one order, so that it is the same on every machine.
fn correlation(setup: &Setup, [c, kh, kw]: [usize; 3], [dy, dx]: [usize; 2]) -> Result<Vec<f64>> {
    let data: &Arc<dyn Dataset> = setup.splits.train()?;
    let [_, h, w] = setup.preprocessing.input();
    let (across, down) = ((kw - 1) * dx, (kh - 1) * dy);
    if across >= w || down >= h {
        return Err(refused(format!("filters of {kh} × {kw} do not fit into pictures of {h} × {w}")));
    }
    let (rows, columns) = (h - down, w - across);
    let pictures = data.len().min(PICTURES);
    let places = (rows * columns).min(PATCHES.div_ceil(pictures));
    let length = c * kh * kw;
    let (mut sum, mut patch) = (vec![0.0; length * length], vec![0.0; length]);
    for k in 0..pictures {
        let sample = (k as u128 * data.len() as u128 / pictures as u128) as usize;
        let values = setup.preprocessing.apply(&data.image(sample)?)?;
        for place in 0..places {
            let at = place * rows * columns / places;
            let (y, x) = (at / columns, at % columns);
            let mut next = patch.iter_mut();
            for channel in 0..c {
                for i in 0..kh {
                    for j in 0..kw {
                        let v = values[(channel * h + y + i * dy) * w + x + j * dx];
                        if let Some(p) = next.next() {
                            *p = f64::from(v);
                        }
                    }
                }
            }
            for (row, &a) in sum.chunks_exact_mut(length).zip(&patch) {
                row.iter_mut().zip(&patch).for_each(|(s, &b)| *s += a * b);
            }
        }
    }
    let count = (pictures * places) as f64;
    sum.iter_mut().for_each(|s| *s /= count);
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use gabor_nets::Mode;

    fn set_up(words: &[&str]) -> Setup {
        Setup::new(&Config::load(None, [], words).unwrap()).unwrap()
    }

    #[test]
    fn responses_are_uncorrelated_with_variance_one() {
        // Nine components and nine opposites, and two filters that stay.
        let setup = set_up(&["net=INPUT 1x8x8 -> CONV3-20 -> RELU -> FC", "whiten=true"]);
        let graph = setup.network.graph(Mode::Train).unwrap();
        let mut weights = setup.network.initialize(0).unwrap();
        let before = weights.clone();
        let (name, count) = whiten(&setup, &graph, "images", &mut weights).unwrap();
        assert_eq!(count, 18);
        let (new, old) = (weights.get(&name).unwrap().to_f64(), before.get(&name).unwrap().to_f64());
        assert_eq!(new[18 * 9..], old[18 * 9..]);
        assert!((0..81).all(|i| new[i] == -new[81 + i]));
        let c = correlation(&setup, [1, 3, 3], [1, 1]).unwrap();
        let largest = symmetric_eigen(&c, 9)[0].0;
        for i in 0..9 {
            for j in 0..9 {
                let response: f64 = (0..81).map(|k| new[i * 9 + k / 9] * c[k] * new[j * 9 + k % 9]).sum();
                // Exact but for EPS, which shrinks weak components.
                let want = if i == j { 1.0 } else { 0.0 };
                assert!((response - want).abs() < 0.01 + EPS * 81.0 / largest, "{i}, {j}: {response}");
            }
        }
    }

    #[test]
    fn networks_without_a_first_convolution_are_refused() {
        let setup = set_up(&["net=mlp"]);
        let graph = setup.network.graph(Mode::Train).unwrap();
        let e = whiten(&setup, &graph, "images", &mut setup.network.initialize(0).unwrap()).unwrap_err();
        assert!(e.to_string().starts_with("key `whiten`: the first layer"), "{e}");
    }
}
