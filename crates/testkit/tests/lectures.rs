//! The worked examples of the lectures, with the figures that the slides print. Lectures are named by their numbers:
//! 000 backpropagation and convolution, 001 convolution in detail, 002 networks, 004 from the perceptron on.

use gabor_compile::differentiate;
use gabor_cpu::reference::{Precision, evaluate};
use gabor_graph::{Graph, Initializer, Parameter, Result, ValueId};
use gabor_tensor::{DType, PadMode, Padding, Shape, Tensor, WindowOptions};
use gabor_testkit::normal;
use std::collections::HashMap;

fn tensor(shape: &[usize], v: &[f64]) -> Tensor {
    Tensor::f64(shape, v.to_vec()).unwrap()
}

fn constant(g: &mut Graph, t: &Tensor) -> ValueId {
    g.constant(t.cast(DType::F32))
}

/// Builds values from constants and evaluates them, in the precision networks have.
fn eval(build: impl FnOnce(&mut Graph) -> Result<Vec<ValueId>>) -> Vec<Tensor> {
    let mut g = Graph::new("example");
    let wanted = build(&mut g).unwrap();
    evaluate(&g, 1, &HashMap::new(), Precision::F32, &wanted).unwrap()
}

fn one(build: impl FnOnce(&mut Graph) -> Result<ValueId>) -> Tensor {
    eval(|g| build(g).map(|y| vec![y])).remove(0)
}

/// Convolution of constants, filters as `[co, ci, kernel…]`.
fn conv(x: &Tensor, w: &Tensor, o: &WindowOptions) -> Tensor {
    one(|g| {
        let (x, w) = (constant(g, x), constant(g, w));
        g.conv(x, w, 1, o)
    })
}

fn pads(before: usize, after: usize) -> Padding {
    Padding::Explicit(vec![(before, after)])
}

fn close(a: &Tensor, b: &Tensor, tolerance: f64) {
    assert_eq!(a.shape(), b.shape());
    for (a, b) in a.to_f64().iter().zip(b.to_f64()) {
        assert!((a - b).abs() <= tolerance * (1.0 + b.abs()), "{a} and {b}");
    }
}

#[test]
fn lecture_001_convolution_in_one_dimension() {
    let x = tensor(&[1, 1, 6], &[1.0, 0.0, 2.0, 2.0, 3.0, 1.0]);
    let w = tensor(&[1, 1, 3], &[3.0, 2.0, 2.0]);
    let y = |padding| conv(&x, &w, &WindowOptions::default().padding(padding)).to_f64();
    assert_eq!(y(Padding::Valid), [7.0, 8.0, 16.0, 14.0]);
    assert_eq!(y(pads(0, 1)), [7.0, 8.0, 16.0, 14.0, 11.0]);
    assert_eq!(y(Padding::Same), [2.0, 7.0, 8.0, 16.0, 14.0, 11.0]);
}

#[test]
fn lecture_001_stride_and_its_columns() {
    // o = floor((n + p - k) / s) + 1 is 3 for one zero on the right, an exact match, and for two, where one is left over.
    let o = |p| WindowOptions::new(&[3]).stride(&[2]).padding(pads(0, p));
    for (p, dropped) in [(1, 0), (2, 0)] {
        let w = o(p).resolve(&[6]).unwrap();
        assert_eq!((w.output(), w.axes()[0].dropped()), (vec![3], dropped));
    }
    let x = tensor(&[1, 1, 6], &[1.0, 0.0, 2.0, 2.0, 3.0, 1.0]);
    let columns = one(|g| {
        let x = constant(g, &x);
        g.unfold(x, &o(1))
    });
    assert_eq!(columns.shape(), [1, 3, 3]);
    assert_eq!(columns.to_f64(), [1.0, 2.0, 3.0, 0.0, 2.0, 1.0, 2.0, 3.0, 0.0]);
    // The dot product of the filter with the columns is the convolution.
    let w = tensor(&[1, 1, 3], &[3.0, 2.0, 1.0]);
    let product = one(|g| {
        let (w, columns) = (constant(g, &tensor(&[1, 1, 3], &w.to_f64())), constant(g, &columns));
        g.matmul(w, columns, false, false)
    });
    assert_eq!(product.to_f64(), conv(&x, &w, &o(1)).to_f64());
    assert_eq!(product.to_f64(), [5.0, 13.0, 11.0]);
}

#[test]
fn lecture_001_the_quiz_of_thirteen() {
    let o = WindowOptions::new(&[6]).stride(&[5]);
    let valid = o.resolve(&[13]).unwrap();
    assert_eq!((valid.output(), valid.axes()[0].dropped()), (vec![2], 2));
    assert_eq!(
        valid.notes(),
        ["the last 2 elements of dimension 0 are dropped: (13 + 0 - 6) is not a multiple of stride 5"]
    );
    let same = o.padding(Padding::Same).resolve(&[13]).unwrap();
    let a = same.axes()[0];
    assert_eq!((a.output, a.pad_begin, a.pad_end, a.dropped()), (3, 1, 2, 0));
}

/// The input of lecture 002's animation.
const X: [f64; 25] = [
    3.0, 3.0, 2.0, 1.0, 0.0, 0.0, 0.0, 1.0, 3.0, 1.0, 3.0, 1.0, 2.0, 2.0, 3.0, 2.0, 0.0, 0.0, 2.0, 2.0, 2.0, 0.0, 0.0,
    0.0, 1.0,
];
/// Its filter.
const K: [f64; 9] = [0.0, 1.0, 2.0, 2.0, 2.0, 0.0, 0.0, 1.0, 2.0];

#[test]
fn lecture_002_convolution_in_two_dimensions() {
    let (x, k) = (tensor(&[1, 1, 5, 5], &X), tensor(&[1, 1, 3, 3], &K));
    let y = conv(&x, &k, &WindowOptions::default());
    assert_eq!(y.shape(), [1, 1, 3, 3]);
    assert_eq!(y.to_f64(), [12.0, 12.0, 17.0, 10.0, 17.0, 19.0, 9.0, 6.0, 14.0]);
    let y = conv(&x, &k, &WindowOptions::default().stride(&[2]).padding(Padding::all(1)));
    assert_eq!(y.shape(), [1, 1, 3, 3]);
    assert_eq!(y.to_f64(), [6.0, 17.0, 3.0, 8.0, 17.0, 13.0, 6.0, 4.0, 4.0]);
}

#[test]
fn lecture_001_two_kernels() {
    let x = tensor(&[1, 1, 4, 4], &[1., 2., 3., 2., 2., 3., 2., 5., 1., 2., 2., 1., 0., 2., 1., 2.]);
    let w = tensor(&[2, 1, 2, 2], &[-1., 1., -1., 1., 1., 1., 1., 1.]);
    let y = conv(&x, &w, &WindowOptions::default());
    assert_eq!(y.shape(), [1, 2, 3, 3]);
    let wanted = [2., 0., 2., 2., -1., 2., 3., -1., 0., 8., 10., 12., 8., 9., 10., 5., 7., 6.];
    assert_eq!(y.to_f64(), wanted);
}

/// Feature maps 0 and 1 of lecture 001's img2col.
const MAPS: [f64; 48] = [
    1., 2., 1., 2., 3., 4., 2., 2., 3., 1., 2., 0., 1., 1., 2., 1., 0., 1., 2., 1., 2., 1., 1., 3., //
    0., 2., 3., 2., 0., 1., 1., 0., 1., 1., 2., 0., 2., 0., 1., 1., 1., 1., 1., 1., 2., 1., 1., 2.,
];
/// Its matrix of 8 rows and 6 columns.
const COLUMNS: [f64; 48] = [
    1., 1., 3., 1., 2., 0., 2., 2., 4., 1., 1., 1., 2., 3., 2., 2., 2., 1., 2., 1., 0., 1., 1., 3., //
    0., 3., 0., 2., 1., 1., 2., 2., 1., 0., 1., 1., 1., 1., 2., 1., 2., 1., 0., 1., 0., 1., 1., 2.,
];

#[test]
fn lecture_001_img2col() {
    let columns = one(|g| {
        let x = constant(g, &tensor(&[1, 2, 4, 6], &MAPS));
        g.unfold(x, &WindowOptions::new(&[2]).stride(&[2]))
    });
    assert_eq!(columns.shape(), [1, 8, 6]);
    assert_eq!(columns.to_f64(), COLUMNS);
}

#[test]
fn lecture_001_forward_is_a_product_with_the_columns() {
    let (x, w) = (tensor(&[1, 2, 4, 6], &MAPS), normal(&[3, 2, 2, 2], 1));
    let o = WindowOptions::new(&[2]).stride(&[2]);
    let product = one(|g| {
        let (w, columns) = (g.constant(w.clone()), constant(g, &tensor(&[8, 6], &COLUMNS)));
        let w = g.reshape(w, &Shape::fixed(&[3, 8]))?;
        let y = g.matmul(w, columns, false, false)?;
        g.reshape(y, &Shape::fixed(&[1, 3, 2, 3]))
    });
    close(&product, &conv(&x, &w, &o), 1e-6);
}

#[test]
fn lecture_001_convolution_over_channels_and_volumes() {
    // Several input channels: the results are summed. 3D: the same rule once more.
    let x = normal(&[1, 3, 5, 6], 2);
    let w = normal(&[2, 3, 3, 2], 3);
    let y = conv(&x, &w, &WindowOptions::default());
    assert_eq!(y.shape(), [1, 2, 3, 5]);
    let parts: Vec<Vec<f64>> = (0..3)
        .map(|c| {
            let x = tensor(&[1, 1, 5, 6], &x.to_f64()[c * 30..(c + 1) * 30]);
            let w: Vec<f64> = (0..2).flat_map(|l| w.to_f64()[(l * 3 + c) * 6..][..6].to_vec()).collect();
            conv(&x, &tensor(&[2, 1, 3, 2], &w), &WindowOptions::default()).to_f64()
        })
        .collect();
    let sum: Vec<f64> = (0..30).map(|i| parts.iter().map(|p| p[i]).sum()).collect();
    close(&y, &tensor(&[1, 2, 3, 5], &sum), 1e-6);
    let volume = conv(&normal(&[1, 1, 4, 5, 6], 4), &normal(&[2, 1, 2, 3, 3], 5), &WindowOptions::default());
    assert_eq!(volume.shape(), [1, 2, 3, 3, 4]);
}

/// Shape after a convolution of an `[n, c, h, w]` input, and the number of parameters.
fn layer(input: &[usize], weight: &[usize], bias: bool, o: &WindowOptions) -> (Vec<usize>, usize) {
    let mut g = Graph::new("layer");
    let x = g.input("x", Shape::batch(input), DType::F32).unwrap();
    let w = g.parameter("w", weight, Parameter::weight(Initializer::Zeros)).unwrap();
    let y = if bias {
        let b = g.parameter("b", &weight[..1], Parameter::bias(Initializer::Zeros)).unwrap();
        g.conv_bias(x, w, b, 1, o).unwrap()
    } else {
        g.conv(x, w, 1, o).unwrap()
    };
    (g.shape(y).at(1)[1..].to_vec(), g.parameters().map(|(v, _)| g.shape(v).len_at(1)).sum())
}

#[test]
fn lectures_000_and_002_sizes_and_numbers_of_parameters() {
    let o = WindowOptions::default;
    let (shape, parameters) = layer(&[3, 32, 32], &[10, 3, 5, 5], true, &o().padding(Padding::all(2)));
    assert_eq!((shape, parameters), (vec![10, 32, 32], 760));
    // AlexNet's CONV1 and POOL1.
    let (shape, weights) = layer(&[3, 227, 227], &[96, 3, 11, 11], false, &o().stride(&[4]));
    assert_eq!((shape, weights), (vec![96, 55, 55], 34_848));
    assert_eq!(WindowOptions::new(&[3, 3]).stride(&[2]).resolve(&[55, 55]).unwrap().output(), [27, 27]);
    // A 1×1 convolution makes perfect sense.
    assert_eq!(layer(&[64, 56, 56], &[32, 64, 1, 1], false, &o()).0, [32, 56, 56]);
    // 32×32 shrinks by 5×5 filters: 28, 24.
    let (shape, _) = layer(&[3, 32, 32], &[6, 3, 5, 5], false, &o());
    assert_eq!(shape, [6, 28, 28]);
    assert_eq!(layer(&shape, &[10, 6, 5, 5], false, &o()).0, [10, 24, 24]);
    // Zero padding of (F - 1)/2 keeps the size.
    for f in [3, 5, 7] {
        assert_eq!(WindowOptions::new(&[f]).padding(Padding::all((f - 1) / 2)).resolve(&[7]).unwrap().output(), [7]);
    }
    // A linear layer to one 28×28 map needs 2.4 M weights, a convolution 75.
    assert_eq!(32 * 32 * 3 * 28 * 28, 2_408_448);
    assert_eq!(layer(&[3, 32, 32], &[1, 3, 5, 5], false, &o()), (vec![1, 28, 28], 75));
}

#[test]
fn lecture_001_the_configuration_quiz() {
    // Three input channels, two filters of 3×4×4, padding 3, stride 1.
    let o = WindowOptions::default().padding(Padding::all(3));
    assert_eq!(layer(&[3, 6, 6], &[2, 3, 4, 4], false, &o), (vec![2, 9, 9], 96));
}

#[test]
fn lectures_000_and_002_seven_by_seven() {
    let size = |s| WindowOptions::new(&[3, 3]).stride(&[s]).resolve(&[7, 7]).unwrap();
    assert_eq!((size(1).output(), size(2).output()), (vec![5, 5], vec![3, 3]));
    // Stride 3 does not fit: the last row and column are dropped, and the user is told so.
    let w = size(3);
    assert_eq!(w.output(), [2, 2]);
    assert_eq!(
        w.notes(),
        [
            "the last 1 rows are dropped: (7 + 0 - 3) is not a multiple of stride 3",
            "the last 1 columns are dropped: (7 + 0 - 3) is not a multiple of stride 3"
        ]
    );
    let mut g = Graph::new("note");
    let x = g.input("x", Shape::batch(&[1, 7, 7]), DType::F32).unwrap();
    let w = g.full(&[1, 1, 3, 3], 1.0);
    let y = g.conv(x, w, 1, &WindowOptions::default().stride(&[3])).unwrap();
    assert_eq!(g.producer(y).unwrap().notes.len(), 2);
}

#[test]
fn lecture_002_max_pooling() {
    let x = tensor(&[1, 1, 4, 4], &[1., 1., 2., 4., 5., 6., 7., 8., 3., 2., 1., 0., 1., 2., 3., 4.]);
    let o = WindowOptions::new(&[2]).stride(&[2]);
    let y = eval(|g| {
        let x = constant(g, &x);
        let (y, switches) = g.max_pool_with_switches(x, &o)?;
        let mean = g.avg_pool(x, &o)?;
        let norm = g.lp_pool(x, 2.0, &o)?;
        let linf = g.linf_pool(x, &o)?;
        Ok(vec![y, switches, mean, norm, linf])
    });
    assert_eq!(y[0].to_f64(), [6.0, 8.0, 3.0, 4.0]);
    assert_eq!(y[1].to_f64(), [5.0, 7.0, 8.0, 15.0]);
    assert_eq!(y[2].to_f64(), [3.25, 5.25, 2.0, 2.0]);
    // The L2 norm, and its limit for large exponents.
    let l2 = [63.0f64, 133.0, 18.0, 26.0].map(f64::sqrt);
    close(&y[3], &tensor(&[1, 1, 2, 2], &l2), 1e-6);
    assert_eq!(y[4].to_f64(), y[0].to_f64());
}

#[test]
fn lecture_001_the_largest_of_each_map() {
    let maps =
        [1., 2., 1., 3., 1., 1., -1., 0., 0., 1., 1., 1., 2., 0., 1., 1., 0., 0., 0., -2., 1., 0., 1., 1., 0., 0., 0.];
    let y = one(|g| {
        let x = constant(g, &tensor(&[1, 3, 3, 3], &maps));
        g.global_max_pool(x)
    });
    assert_eq!((y.shape(), y.to_f64()), (&[1, 3, 1, 1][..], vec![3.0, 2.0, 1.0]));
}

#[test]
fn lecture_001_average_pooling_is_a_convolution() {
    let x = normal(&[2, 3, 6, 6], 6);
    let o = WindowOptions::new(&[2]).stride(&[2]);
    let y = eval(|g| {
        let x = g.constant(x.clone());
        let pooled = g.avg_pool(x, &o)?;
        let w = g.full(&[3, 1, 2, 2], 0.25);
        let convolved = g.conv(x, w, 3, &o)?;
        Ok(vec![pooled, convolved])
    });
    close(&y[0], &y[1], 1e-6);
}

/// The weights w* of the convolution that is a convolution and then average pooling (`[co, ci, kh, kw]`, square windows):
/// w*[a] = Σ_u w[a - u·stride] / pool².
fn folded(w: &Tensor, stride: usize, pool: usize) -> Tensor {
    let s = w.shape();
    let (k, wide) = (s[2], s[2] + (pool - 1) * stride);
    let (w, mut out) = (w.to_f64(), vec![0.0; s[0] * s[1] * wide * wide]);
    for plane in 0..s[0] * s[1] {
        for (u, v) in (0..pool).flat_map(|u| (0..pool).map(move |v| (u, v))) {
            for (a, b) in (0..k).flat_map(|a| (0..k).map(move |b| (a, b))) {
                let at = (plane * wide + a + u * stride) * wide + b + v * stride;
                out[at] += w[(plane * k + a) * k + b] / (pool * pool) as f64;
            }
        }
    }
    tensor(&[s[0], s[1], wide, wide], &out)
}

#[test]
fn lecture_001_average_pooling_folds_into_the_convolution_before_it() {
    let (x, w) = (normal(&[2, 3, 12, 12], 7), normal(&[4, 3, 3, 3], 8));
    for (stride, pool) in [(1, 2), (2, 2), (1, 3)] {
        let o = WindowOptions::default().stride(&[stride]);
        let two = one(|g| {
            let (x, w) = (g.constant(x.clone()), g.constant(w.clone()));
            let y = g.conv(x, w, 1, &o)?;
            g.avg_pool(y, &WindowOptions::new(&[pool]).stride(&[pool]))
        });
        let star = folded(&w, stride, pool);
        let together = conv(&x, &star, &WindowOptions::default().stride(&[stride * pool]));
        close(&together, &two, 1e-6);
    }
}

#[test]
fn lecture_001_backward_by_both_routes() {
    let (x, w) = (normal(&[1, 2, 5, 6], 9), normal(&[3, 2, 3, 2], 10));
    for (stride, padding) in [(1, 0), (1, 1), (2, 1)] {
        let o = WindowOptions::new(&[3, 2]).stride(&[stride]).padding(Padding::all(padding));
        let (oh, ow) = {
            let size = o.resolve(&[5, 6]).unwrap().output();
            (size[0], size[1])
        };
        let dy = normal(&[1, 3, oh, ow], 11);
        let out = eval(|g| {
            let (x, w, dy) = (g.constant(x.clone()), g.constant(w.clone()), g.constant(dy.clone()));
            let y = g.conv(x, w, 1, &o)?;
            let product = g.mul(y, dy)?;
            let loss = g.sum_all(product)?;
            let d = differentiate(g, loss, &[x, w])?;
            // dL/dW = dL/dY · X̂ᵀ, dL/dX̂ = Wᵀ · dL/dY, then column to image.
            let columns = g.unfold(x, &o)?;
            let dy_rows = g.reshape(dy, &Shape::fixed(&[1, 3, oh * ow]))?;
            let w_rows = g.reshape(w, &Shape::fixed(&[1, 3, 12]))?;
            let dw = g.matmul(dy_rows, columns, false, true)?;
            let dw = g.reshape(dw, &Shape::fixed(&[3, 2, 3, 2]))?;
            let d_columns = g.matmul(w_rows, dy_rows, true, false)?;
            let window = g.window_over(x, &o, "fold")?;
            let dx = g.add_one(gabor_graph::ops::Fold { window }, &[d_columns])?;
            Ok(vec![d[0].unwrap(), d[1].unwrap(), dx, dw])
        });
        close(&out[0], &out[2], 1e-6);
        close(&out[1], &out[3], 1e-6);
        if stride > 1 {
            continue;
        }
        // The same as convolving dY, padded to the full size, with the filter turned by 180° and channels exchanged.
        let turned: Vec<f64> = (0..2)
            .flat_map(|c| (0..3).flat_map(move |j| (0..6).map(move |k| (j * 2 + c) * 6 + 5 - k)))
            .map(|i| w.to_f64()[i])
            .collect();
        let full = Padding::Explicit(vec![(2 - padding, 2 - padding), (1 - padding, 1 - padding)]);
        let dx = conv(&dy, &tensor(&[2, 3, 3, 2], &turned), &WindowOptions::default().padding(full));
        close(&dx, &out[0], 1e-6);
    }
}

#[test]
fn lecture_004_convolution_shares_weights_and_a_locally_connected_layer_does_not() {
    let (x, w) = (normal(&[2, 2, 4, 5], 12), normal(&[3, 2, 3, 2], 13));
    let o = WindowOptions::new(&[3, 2]);
    // Equal filters at every position: the same as the convolution.
    let places = 8;
    let copies: Vec<f64> = (0..places).flat_map(|_| w.to_f64()).collect();
    let local = one(|g| {
        let (x, w) = (g.constant(x.clone()), constant(g, &tensor(&[places, 3, 12], &copies)));
        g.locally_connected(x, w, &o)
    });
    close(&local, &conv(&x, &w, &o), 1e-6);
}

#[test]
fn lecture_004_the_perceptron_reaches_the_least_squares_line() {
    let data = [(10.0, 10.1), (2.0, 1.9), (3.5, 3.4), (1.0, 1.1)];
    let mut g = Graph::new("y = wx");
    let x = g.input("x", Shape::batch(&[]), DType::F32).unwrap();
    let t = g.input("t", Shape::batch(&[]), DType::F32).unwrap();
    let w = g.parameter("w", &[1], Parameter::weight(Initializer::Zeros)).unwrap();
    let y = g.mul(x, w).unwrap();
    let loss = g.mse_loss(y, t).unwrap();
    let dw = differentiate(&mut g, loss, &[w]).unwrap()[0].unwrap();
    let rate = g.number(0.01);
    let step = g.mul(dw, rate).unwrap();
    let next = g.sub(w, step).unwrap();
    g.update(w, next).unwrap();
    let column = |i: usize| data.map(|(x, t)| if i == 0 { x } else { t }).to_vec();
    let mut bindings =
        HashMap::from([(x, tensor(&[4], &column(0))), (t, tensor(&[4], &column(1))), (w, tensor(&[1], &[0.0]))]);
    let mut losses = Vec::new();
    for _ in 0..60 {
        let out = evaluate(&g, 4, &bindings, Precision::F64, &[next, loss]).unwrap();
        losses.push(out[1].to_f64()[0]);
        bindings.insert(w, out[0].clone());
    }
    let best = data.iter().map(|(x, t)| x * t).sum::<f64>() / data.iter().map(|(x, _)| x * x).sum::<f64>();
    assert!((best - 1.00469).abs() < 1e-5);
    assert!((bindings[&w].to_f64()[0] - best).abs() < 1e-9, "{:?}", bindings[&w]);
    // The loss falls until rounding is all that is left.
    assert!(losses.windows(2).all(|l| l[1] <= l[0] + 1e-15));
}

#[test]
fn lecture_004_the_losses() {
    let out = eval(|g| {
        let y = constant(g, &tensor(&[2], &[0.5, -2.0]));
        let label = constant(g, &tensor(&[2], &[1.0, 1.0]));
        Ok(vec![g.l1_loss(y, label)?, g.mse_loss(y, label)?, g.hinge_loss(y, label)?, g.logistic_loss(y, label)?])
    });
    let all: Vec<f64> = out.iter().map(|t| t.to_f64()[0]).collect();
    assert_eq!(all[..3], [(0.5 + 3.0) / 2.0, (0.25 + 9.0) / 2.0, (0.5 + 3.0) / 2.0]);
    // ln(1 + e^{-s·y}) for labels s of +1.
    let logistic = ((-0.5f64).exp().ln_1p() + 2f64.exp().ln_1p()) / 2.0;
    assert!((all[3] - logistic).abs() < 1e-6);
}

#[test]
fn lecture_004_the_sigmoid_and_its_derivative() {
    // ds/dx = s(x)(1 - s(x)).
    let out = eval(|g| {
        let x = constant(g, &tensor(&[3], &[-2.0, 0.0, 3.0]));
        let y = g.sigmoid(x)?;
        let loss = g.sum_all(y)?;
        let dx = differentiate(g, loss, &[x])?[0].unwrap();
        Ok(vec![y, dx])
    });
    for (s, d) in out[0].to_f64().iter().zip(out[1].to_f64()) {
        assert!((d - s * (1.0 - s)).abs() < 1e-7);
    }
}

#[test]
fn lecture_001_padding_modes() {
    // One filter that shows what stands in the padding.
    let x = tensor(&[1, 1, 3], &[1.0, 2.0, 3.0]);
    let y = |mode| {
        one(|g| {
            let (x, w) = (constant(g, &x), g.full(&[1, 1, 1], 1.0));
            g.conv_padded(x, w, 1, &WindowOptions::default().padding(Padding::all(2)), mode)
        })
        .to_f64()
    };
    assert_eq!(y(PadMode::Constant), [0., 0., 1., 2., 3., 0., 0.]);
    assert_eq!(y(PadMode::Reflect), [3., 2., 1., 2., 3., 2., 1.]);
    assert_eq!(y(PadMode::Replicate), [1., 1., 1., 2., 3., 3., 3.]);
    assert_eq!(y(PadMode::Circular), [2., 3., 1., 2., 3., 1., 2.]);
}
