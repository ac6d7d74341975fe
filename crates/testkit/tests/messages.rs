//! The words of errors: where, the rule with its numbers, what was given, what would be right.

use gabor_graph::{Graph, Initializer, Parameter, Result, ValueId};
use gabor_tensor::{DType, PadMode, Padding, Reduction, Shape, WindowOptions};

/// A network `pool1` over an input, as users build it.
fn net() -> (Graph, ValueId) {
    let mut g = Graph::new("net");
    let image = g.input("image", Shape::batch(&[7, 20, 20]), DType::F32).unwrap();
    g.scope("pool1");
    let x = g.max_pool(image, &WindowOptions::new(&[2]).stride(&[2])).unwrap();
    (g, x)
}

fn weight(g: &mut Graph, name: &str, shape: &[usize]) -> ValueId {
    g.parameter(name, shape, Parameter::weight(Initializer::Zeros)).unwrap()
}

/// The words of the error of the node `scope` that `build` adds to the network.
fn words(scope: &str, build: impl FnOnce(&mut Graph, ValueId) -> Result<ValueId>) -> String {
    let (mut g, x) = net();
    g.scope(scope);
    build(&mut g, x).expect_err("an error").to_string()
}

#[test]
fn convolution() {
    let o = WindowOptions::default;
    assert_eq!(
        words("conv2", |g, x| {
            let w = weight(g, "conv2.weight", &[16, 3, 3, 3]);
            g.conv(x, w, 1, &o())
        }),
        "conv2: 7 input channels, weight [16, 3, 3, 3] with 1 group wants 3; input [n, 7, 10, 10] comes from pool1; \
         right would be: a weight of shape [16, 7, 3, 3]"
    );
    assert_eq!(
        words("conv2", |g, x| {
            let w = weight(g, "conv2.weight", &[16, 2, 3, 3]);
            g.conv(x, w, 2, &o())
        }),
        "conv2: groups 2 must divide 7 input channels and 16 filters; input [n, 7, 10, 10] comes from pool1"
    );
    assert_eq!(
        words("conv2", |g, x| {
            let w = weight(g, "conv2.weight", &[16, 7, 3]);
            g.conv(x, w, 1, &o())
        }),
        "conv2: a weight [16, 7, 3] of 3 dimensions for an input of 2 spatial dimensions; \
         input [n, 7, 10, 10] comes from pool1; right would be: a weight of 4 dimensions: [co, ci/groups, kernel…]"
    );
    assert_eq!(
        words("conv2", |g, x| {
            let w = weight(g, "conv2.weight", &[16, 7, 11, 3]);
            g.conv(x, w, 1, &o())
        }),
        "conv2: kernel_size 11 is larger than the padded input 10 + 0 + 0 = 10 in spatial dimension 0; \
         input [n, 7, 10, 10] comes from pool1; right would be: kernel_size at most 10, or more padding"
    );
    assert_eq!(
        words("conv2", |g, x| {
            let w = weight(g, "conv2.weight", &[16, 7, 3, 3]);
            g.conv(x, w, 1, &o().stride(&[0]))
        }),
        "conv2: stride is [0, 0], and every number of it must be at least 1; input [n, 7, 10, 10] comes from pool1"
    );
    assert_eq!(
        words("conv2", |g, x| {
            let w = weight(g, "conv2.weight", &[16, 7, 3, 3]);
            g.conv(x, w, 1, &o().padding(Padding::Explicit(vec![(1, 1); 3])))
        }),
        "conv2: 3 pairs of padding for 2 spatial dimensions; input [n, 7, 10, 10] comes from pool1; \
         right would be: 1 or 2 pairs"
    );
    assert_eq!(
        words("conv2", |g, x| {
            let w = weight(g, "conv2.weight", &[16, 7, 3, 3]);
            g.conv_padded(x, w, 1, &o().padding(Padding::all(10)), PadMode::Reflect)
        }),
        "conv2: padding 10:10 in mode reflect of axis 2 with 10 elements; input [n, 7, 10, 10] comes from pool1; \
         right would be: at most 9 on each side"
    );
}

#[test]
fn transposed_and_local_convolution() {
    assert_eq!(
        words("up1", |g, x| {
            let w = weight(g, "up1.weight", &[4, 7, 2, 2]);
            g.conv_transpose(x, w, 1, &WindowOptions::default().stride(&[2]), &[])
        }),
        "up1: 7 input channels of a transposed convolution and a weight [4, 7, 2, 2]; \
         input [n, 7, 10, 10] comes from pool1; \
         right would be: a weight of 4 dimensions, the first of them 7: [ci, co/groups, kernel…]"
    );
    assert_eq!(
        words("up1", |g, x| {
            let w = weight(g, "up1.weight", &[7, 4, 2, 2]);
            g.conv_transpose(x, w, 1, &WindowOptions::default().stride(&[2]), &[2])
        }),
        "up1: output_padding 2 must be smaller than stride 2 or dilation 1; input [n, 7, 10, 10] comes from pool1"
    );
    assert_eq!(
        words("local1", |g, x| {
            let w = weight(g, "local1.weight", &[100, 4, 63]);
            g.locally_connected(x, w, &WindowOptions::new(&[3]))
        }),
        "local1: a weight [100, 4, 63] for 64 output positions; input [n, 7, 10, 10] comes from pool1; \
         local1.weight [100, 4, 63] is a parameter; right would be: [64, co, 63]: positions, filters, 7·9"
    );
}

#[test]
fn linear_layers() {
    assert_eq!(
        words("fc1", |g, x| {
            let w = weight(g, "fc1.weight", &[10, 700]);
            g.linear(x, w, None)
        }),
        "fc1: a linear layer of x [n, 7, 10, 10]; input [n, 7, 10, 10] comes from pool1; \
         right would be: [n, in]; flatten comes first"
    );
    assert_eq!(
        words("fc1", |g, x| {
            let w = weight(g, "fc1.weight", &[10, 490]);
            let flat = g.flatten(x)?;
            g.linear(flat, w, None)
        }),
        "fc1: 700 inputs, weight [10, 490] wants another number; input [n, 700] comes from fc1; \
         right would be: a weight of shape [out, 700]"
    );
    assert_eq!(
        words("fc1", |g, x| g.matmul(x, x, false, false)),
        "fc1: a matrix product of [n, 7, 10, 10] and [n, 7, 10, 10]; input [n, 7, 10, 10] comes from pool1; \
         input [n, 7, 10, 10] comes from pool1; right would be: two matrices, or two batches of matrices"
    );
}

#[test]
fn pooling() {
    assert_eq!(
        words("pool2", |g, x| g.max_pool(x, &WindowOptions::new(&[3]).padding(Padding::all(3)))),
        "pool2: padding 3:3 must be smaller than the window's reach 3, or a window holds padding alone; \
         input [n, 7, 10, 10] comes from pool1"
    );
    assert_eq!(
        words("pool2", |g, x| g.lp_pool(x, 0.5, &WindowOptions::new(&[2]))),
        "pool2: exponent p is 0.5; input [n, 7, 10, 10] comes from pool1; \
         right would be: a finite number of at least 1, or linf pooling"
    );
    assert_eq!(
        words("pool2", |g, x| g.adaptive_avg_pool(x, &[1, 1, 1])),
        "pool2: adaptive pooling of x [n, 7, 10, 10] to [1, 1, 1]; input [n, 7, 10, 10] comes from pool1; \
         right would be: 1 or 2 sizes, each at least 1"
    );
    assert_eq!(
        words("pool2", |g, x| {
            let flat = g.flatten(x)?;
            g.global_avg_pool(flat)
        }),
        "pool2: global pooling of x [n, 700]; input [n, 700] comes from pool2; right would be: [n, c, spatial…]"
    );
    assert_eq!(
        words("pool2", |g, x| g.avg_pool(x, &WindowOptions::new(&[2, 2, 2]))),
        "pool2: 3 numbers of kernel_size for 2 spatial dimensions; input [n, 7, 10, 10] comes from pool1; \
         right would be: 1 or 2 numbers"
    );
}

#[test]
fn element_wise_and_shapes() {
    assert_eq!(
        words("add1", |g, x| {
            let image = g.find("image").unwrap();
            g.add(x, image)
        }),
        "add1: [n, 7, 10, 10] and [n, 7, 20, 20] do not broadcast; input [n, 7, 10, 10] comes from pool1; \
         image [n, 7, 20, 20] is an input; right would be: extents that are equal or 1, aligned at the right"
    );
    assert_eq!(
        words("act1", |g, x| g.maxout(x, 2)),
        "act1: maxout of 2 pieces over x [n, 7, 10, 10]; input [n, 7, 10, 10] comes from pool1; \
         right would be: a number of channels that is a multiple of the pieces"
    );
    assert_eq!(
        words("act1", |g, x| g.clip(x, 1.0, 0.0)),
        "act1: an interval from 1 to 0; input [n, 7, 10, 10] comes from pool1; right would be: min ≤ max"
    );
    assert_eq!(
        words("act1", |g, x| {
            let slope = weight(g, "act1.weight", &[3]);
            g.prelu(x, slope)
        }),
        "act1: a slope of shape [3] for x [n, 7, 10, 10]; input [n, 7, 10, 10] comes from pool1; \
         act1.weight [3] is a parameter; right would be: [7] or [1]"
    );
    assert_eq!(
        words("", |g, x| g.reduce(Reduction::Sum, x, &[4])),
        "reduce: axis 4 of a value [n, 7, 10, 10] with 4 axes; input [n, 7, 10, 10] comes from pool1; \
         right would be: an axis below 4"
    );
    assert_eq!(
        words("cut", |g, x| g.slice(x, 1, 5, 9, 1)),
        "cut: elements 5..9 step 1 of an axis of 7; input [n, 7, 10, 10] comes from pool1; \
         right would be: 0 ≤ start < end ≤ 7 and step ≥ 1"
    );
    assert_eq!(
        words("cut", |g, x| g.reshape(x, &Shape::batch(&[7]))),
        "cut: [n, 7, 10, 10] cannot become [n, 7]: the numbers of elements differ; input [n, 7, 10, 10] comes from pool1"
    );
}

#[test]
fn normalisation_and_dropout() {
    assert_eq!(
        words("norm1", |g, x| {
            let (a, b) = (weight(g, "a", &[7]), weight(g, "b", &[7]));
            g.group_norm(x, a, b, 3, 1e-5)
        }),
        "norm1: 3 groups of 7 channels; input [n, 7, 10, 10] comes from pool1; a [7] is a parameter; \
         b [7] is a parameter; right would be: a divisor of 7"
    );
    assert_eq!(
        words("norm1", |g, x| {
            let (a, b) = (weight(g, "a", &[10]), weight(g, "b", &[9]));
            g.layer_norm(x, a, b, 1e-5)
        }),
        "norm1: beta is [9] for x [n, 7, 10, 10]; input [n, 7, 10, 10] comes from pool1; a [10] is a parameter; \
         b [9] is a parameter; right would be: [10]"
    );
    assert_eq!(
        words("norm1", |g, x| g.local_response_norm(x, 0, 1e-4, 0.75, 2.0)),
        "norm1: a window of 0 channels; input [n, 7, 10, 10] comes from pool1; right would be: at least 1"
    );
    assert_eq!(
        words("drop1", |g, x| {
            let key = g.input("key", Shape::fixed(&[4]), DType::I32)?;
            g.dropout(x, key, 1.0, 1)
        }),
        "drop1: dropout with probability 1; input [n, 7, 10, 10] comes from pool1; key [4] is an input; \
         right would be: 0 ≤ p < 1"
    );
}

#[test]
fn losses() {
    let classes = |g: &mut Graph, x: ValueId| {
        let flat = g.flatten(x).unwrap();
        let w = weight(g, "fc.weight", &[5, 700]);
        g.linear(flat, w, None).unwrap()
    };
    assert_eq!(
        words("fc", |g, x| {
            let y = classes(g, x);
            g.scope("loss");
            let labels = g.input("labels", Shape::batch(&[1]), DType::I32)?;
            g.cross_entropy(y, labels, 0.0)
        }),
        "loss: logits [n, 5] and labels [n, 1]; input [n, 5] comes from fc.matmul; labels [n, 1] is an input; \
         right would be: [n, c] and [n], or [n, c, spatial…] and [n, spatial…]"
    );
    assert_eq!(
        words("fc", |g, x| {
            let y = classes(g, x);
            g.scope("loss");
            let labels = g.input("labels", Shape::batch(&[]), DType::F32)?;
            g.cross_entropy(y, labels, 0.0)
        }),
        "loss: t has elements of type f32, i32 is wanted; input [n, 5] comes from fc.matmul; labels [n] is an input; \
         right would be: i32"
    );
    assert_eq!(
        words("fc", |g, x| {
            let y = classes(g, x);
            g.scope("loss");
            let t = g.input("t", Shape::batch(&[4]), DType::F32)?;
            g.mse_loss(y, t)
        }),
        "loss: y is [n, 5], t is [n, 4]; input [n, 5] comes from fc.matmul; t [n, 4] is an input; \
         right would be: equal shapes"
    );
}

#[test]
fn names_and_numbers_of_inputs() {
    let mut g = Graph::new("net");
    let x = g.input("x", Shape::batch(&[3]), DType::F32).unwrap();
    assert_eq!(
        g.input("x", Shape::batch(&[3]), DType::F32).unwrap_err().to_string(),
        "x: the name is taken; right would be: another name"
    );
    assert_eq!(
        g.add_one(gabor_graph::ops::MatMul { transpose_a: false, transpose_b: false }, &[x]).unwrap_err().to_string(),
        "matmul: 1 inputs for `matmul`; right would be: 2 inputs: a, b"
    );
    assert_eq!(
        g.parameter("w", &[3, 0], Parameter::weight(Initializer::Zeros)).unwrap_err().to_string(),
        "w: a parameter of shape [3, 0] has an extent of 0"
    );
}

#[test]
fn what_is_legal_but_surprising_is_a_note() {
    let (mut g, _) = net();
    let image = g.find("image").unwrap();
    g.scope("pool2");
    let y = g.max_pool(image, &WindowOptions::new(&[3]).stride(&[2])).unwrap();
    assert_eq!(
        g.producer(y).unwrap().notes,
        [
            "the last 1 rows are dropped: (20 + 0 - 3) is not a multiple of stride 2",
            "the last 1 columns are dropped: (20 + 0 - 3) is not a multiple of stride 2"
        ]
    );
}
