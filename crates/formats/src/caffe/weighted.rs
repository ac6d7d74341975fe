//! Layers with arrays of numbers, and pooling.

use super::Row;
use super::build::Cx;
use crate::Result;
use gabor_graph::{Initializer, Parameter, ValueId};
use gabor_tensor::{Binary, Dim, Padding, PoolDivisor, Rule, Shape, Tensor, Unary, Window, WindowOptions};

pub(super) const ROWS: &[Row] = &[
    ("Convolution", "convolution_param", |cx| convolution(cx, false)),
    // Of forks; it says the same.
    ("DepthwiseConvolution", "convolution_param", |cx| convolution(cx, false)),
    ("ConvolutionDepthwise", "convolution_param", |cx| convolution(cx, false)),
    ("Deconvolution", "convolution_param", |cx| convolution(cx, true)),
    ("InnerProduct", "inner_product_param", inner_product),
    ("PReLU", "prelu_param", prelu),
    ("Pooling", "pooling_param", pooling),
    ("LRN", "lrn_param", lrn),
];

fn weight() -> Parameter {
    Parameter::weight(Initializer::KaimingNormal { a: 0.0, fan_out: false })
}
fn bias() -> Parameter {
    Parameter::bias(Initializer::Zeros)
}

/// A number per spatial axis: repeated, or `_h` and `_w`.
fn per_axis(cx: &Cx<'_, '_>, all: &str, names: [&str; 2], d: usize, default: usize) -> Result<Vec<usize>> {
    let given = cx.p.sizes(all)?;
    let (h, w) = (cx.p.size(names[0])?, cx.p.size(names[1])?);
    match (given.len(), h, w) {
        (0, None, None) => Ok(vec![default; d]),
        (0, h, w) if d == 2 => Ok(vec![h.unwrap_or(default), w.unwrap_or(default)]),
        (1, None, None) => Ok(vec![given[0]; d]),
        (n, None, None) if n == d => Ok(given),
        _ => {
            let rule = Rule::new(format!("`{all}` {given:?}, `{}` {h:?}, `{}` {w:?} for {d} axes", names[0], names[1]));
            Err(cx.error(rule.right(format!("`{all}` once, or once per axis; or both others for images"))))
        }
    }
}

fn convolution(cx: &mut Cx<'_, '_>, transposed: bool) -> Result<Vec<ValueId>> {
    cx.p.ignore(&["weight_filler", "bias_filler", "engine", "force_nd_im2col"]);
    let inputs = cx.x.clone();
    let first = *inputs.first().ok_or_else(|| cx.error(Rule::new("no bottom").right("at least one")))?;
    let extents = cx.extents(first)?;
    let d = extents.len().saturating_sub(1);
    let axis = cx.p.int("axis", 1)?;
    if cx.axis(axis, extents.len() + 1)? != 1 || d == 0 {
        let rule = Rule::new(format!("axis {axis} of {}", cx.shape(first)));
        return Err(cx.error(rule.right("channels on axis 1 and extents behind them")));
    }
    let kernel = per_axis(cx, "kernel_size", ["kernel_h", "kernel_w"], d, 0)?;
    let stride = per_axis(cx, "stride", ["stride_h", "stride_w"], d, 1)?;
    let pad = per_axis(cx, "pad", ["pad_h", "pad_w"], d, 0)?;
    let dilation = per_axis(cx, "dilation", ["", ""], d, 1)?;
    let co = cx.p.size("num_output")?.unwrap_or(0);
    let groups = cx.p.size("group")?.unwrap_or(1);
    let with_bias = cx.p.flag("bias_term", true)?;
    let ci = extents[0];
    let numbers = [&kernel, &stride, &dilation].into_iter().flatten();
    if co == 0 || groups == 0 || numbers.into_iter().any(|&v| v == 0) {
        let rule = Rule::new(format!(
            "num_output {co}, group {groups}, kernel_size {kernel:?}, stride {stride:?}, dilation {dilation:?}"
        ));
        return Err(cx.error(rule.right("all of them at least 1")));
    }
    if !ci.is_multiple_of(groups) || !co.is_multiple_of(groups) {
        let rule = Rule::new(format!("{groups} groups of {ci} channels and {co} filters"));
        return Err(cx.error(rule.right("a number that divides both")));
    }
    let ends = if transposed { [ci, co / groups] } else { [co, ci / groups] };
    let shape = [&ends, &kernel[..]].concat();
    let options = WindowOptions::new(&kernel)
        .stride(&stride)
        .dilation(&dilation)
        .padding(Padding::Explicit(pad.iter().map(|&p| (p, p)).collect()));
    if !transposed {
        // Where the window does not fit, no parameter should be left behind.
        options.resolve(&extents[1..]).map_err(|r| cx.error(r))?;
    }
    let w = cx.parameter("weight", &shape, weight())?;
    let b = if with_bias { Some(cx.parameter("bias", &[co], bias())?) } else { None };
    let mut tops = Vec::new();
    // Several bottoms go through the same filters.
    for x in inputs {
        let y = if transposed {
            cx.g().conv_transpose(x, w, groups, &options, &[])?
        } else {
            cx.g().conv(x, w, groups, &options)?
        };
        let shape = cx.shape(y);
        tops.push(match b {
            Some(b) => {
                let b = cx.g().per_channel(b, &shape)?;
                cx.g().add(y, b)?
            }
            None => y,
        });
    }
    Ok(tops)
}

/// The axes from `axis` on are one vector; those before it are rows.
fn inner_product(cx: &mut Cx<'_, '_>) -> Result<Vec<ValueId>> {
    cx.p.ignore(&["weight_filler", "bias_filler"]);
    let x = cx.one()?;
    let outputs = cx.p.size("num_output")?.unwrap_or(0);
    let (with_bias, transpose) = (cx.p.flag("bias_term", true)?, cx.p.flag("transpose", false)?);
    let shape = cx.shape(x);
    let axis = cx.inner_axis(cx.p.int("axis", 1)?, shape.rank())?;
    let extents = cx.extents(x)?;
    let product = |v: &[usize]| v.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
    let (Some(inputs), Some(rows)) = (product(&extents[axis - 1..]), product(&extents[..axis - 1])) else {
        return Err(cx.error(Rule::new(format!("a bottom of shape {shape}"))));
    };
    if outputs == 0 {
        return Err(cx.error(Rule::new("`num_output` is missing or 0").right("at least 1")));
    }
    let stored = if transpose { [inputs, outputs] } else { [outputs, inputs] };
    let turn = move |t: Tensor| {
        if !transpose {
            return Ok(t);
        }
        let v = t.as_f32()?;
        let row = |o: usize| (0..inputs).map(move |i| v[i * outputs + o]);
        Tensor::f32(&[outputs, inputs], (0..outputs).flat_map(row).collect())
    };
    let w = cx.parameter_with("weight", &[outputs, inputs], &stored, weight(), turn)?;
    let b = if with_bias { Some(cx.parameter("bias", &[outputs], bias())?) } else { None };
    let flat = Shape(vec![Dim::Batch(rows), Dim::Fixed(inputs)]);
    let flat = if shape == flat { x } else { cx.g().reshape(x, &flat)? };
    let y = cx.g().linear(flat, w, b)?;
    if axis == 1 {
        return Ok(vec![y]);
    }
    let mut dims = shape.0[..axis].to_vec();
    dims.push(Dim::Fixed(outputs));
    Ok(vec![cx.g().reshape(y, &Shape(dims))?])
}

fn prelu(cx: &mut Cx<'_, '_>) -> Result<Vec<ValueId>> {
    cx.p.ignore(&["filler"]);
    let x = cx.one()?;
    let c = cx.extents(x)?.first().copied().unwrap_or(1);
    let c = if cx.p.flag("channel_shared", false)? { 1 } else { c };
    let slope = Parameter::bias(Initializer::Constant(0.25));
    let slope = cx.parameter("weight", &[c], slope)?;
    Ok(vec![cx.g().prelu(x, slope)?])
}

/// Sizes are rounded up; with padding, a last window that would begin in the padding is left out. An average is divided
/// by the window's elements in the image and its padding.
fn pooling(cx: &mut Cx<'_, '_>) -> Result<Vec<ValueId>> {
    cx.p.ignore(&["engine"]);
    let x = cx.one()?;
    let extents = cx.extents(x)?;
    let [_, h, w] = extents[..] else {
        return Err(cx.error(Rule::new(format!("a bottom of shape {}", cx.shape(x))).right("[n, c, h, w]")));
    };
    if cx.layer.tops.len() > 1 {
        return Err(cx.error(Rule::new("a second top, the places of the maxima, is not known").right("one top")));
    }
    let average = match cx.p.word("pool")?.unwrap_or("MAX") {
        "MAX" | "0" => false,
        "AVE" | "1" => true,
        other => return Err(cx.error(Rule::new(format!("`pool` is {other}")).right("MAX or AVE"))),
    };
    let floor = match cx.p.word("round_mode")?.unwrap_or("CEIL") {
        "CEIL" | "0" => false,
        "FLOOR" | "1" => true,
        other => return Err(cx.error(Rule::new(format!("`round_mode` is {other}")).right("CEIL or FLOOR"))),
    };
    let ceil = !floor && cx.p.flag("ceil_mode", true)?;
    let stride = per_axis(cx, "stride", ["stride_h", "stride_w"], 2, 1)?;
    let pad = per_axis(cx, "pad", ["pad_h", "pad_w"], 2, 0)?;
    let kernel = per_axis(cx, "kernel_size", ["kernel_h", "kernel_w"], 2, 0)?;
    if cx.p.flag("global_pooling", false)? {
        if pad != [0, 0] || stride != [1, 1] || kernel != [0, 0] {
            return Err(
                cx.error(Rule::new("global pooling with a window of its own").right("neither size, pad nor stride"))
            );
        }
        let g = cx.g();
        return Ok(vec![if average { g.global_avg_pool(x)? } else { g.global_max_pool(x)? }]);
    }
    let (options, _) = pool_window(&kernel, &stride, &pad, ceil, &[h, w]).map_err(|r| cx.error(r))?;
    if average {
        return Ok(vec![cx.g().avg_pool_with(x, &options, PoolDivisor::CountIncludePad)?]);
    }
    Ok(vec![cx.g().max_pool(x, &options)?])
}

/// The windows of Caffe's pooling, one number per axis.
///
/// # Errors
/// Numbers that Caffe refuses, and a last window outside the input, which holds no number.
pub(super) fn pool_window(
    kernel: &[usize],
    stride: &[usize],
    pad: &[usize],
    ceil: bool,
    input: &[usize],
) -> Result<(WindowOptions, Window), Rule> {
    if (0..input.len()).any(|i| kernel[i] == 0 || stride[i] == 0 || pad[i] >= kernel[i]) {
        let rule = Rule::new(format!("kernel_size {kernel:?}, stride {stride:?}, pad {pad:?}"));
        return Err(rule.right("kernel and stride at least 1, pad below the kernel"));
    }
    let pads = Padding::Explicit(pad.iter().map(|&p| (p, p)).collect());
    let options = WindowOptions::new(kernel).stride(stride).padding(pads).ceil_mode(ceil);
    let window = options.resolve(input)?;
    for (a, p) in window.axes().iter().zip(pad) {
        let room = a.input + 2 * p - a.kernel;
        let mut output = if ceil { room.div_ceil(a.stride) } else { room / a.stride } + 1;
        if pad.iter().any(|&p| p > 0) && (output - 1) * a.stride >= a.input + p {
            output -= 1;
        }
        if output != a.output {
            let rule = Rule::new(format!(
                "a last window of kernel {} at stride {} outside {} elements",
                a.kernel, a.stride, a.input
            ));
            return Err(rule.right("windows that meet the image"));
        }
    }
    Ok((options, window))
}

fn lrn(cx: &mut Cx<'_, '_>) -> Result<Vec<ValueId>> {
    cx.p.ignore(&["engine"]);
    let x = cx.one()?;
    let size = cx.p.size("local_size")?.unwrap_or(5);
    let (alpha, beta, k) = (cx.p.float("alpha", 1.0)?, cx.p.float("beta", 0.75)?, cx.p.float("k", 1.0)?);
    if size.is_multiple_of(2) {
        return Err(cx.error(Rule::new(format!("`local_size` is {size}")).right("an odd number")));
    }
    match cx.p.word("norm_region")?.unwrap_or("ACROSS_CHANNELS") {
        "ACROSS_CHANNELS" | "0" => Ok(vec![cx.g().local_response_norm(x, size, alpha, beta, k)?]),
        // (1 + alpha · mean of squares)^beta, whatever `k` says.
        "WITHIN_CHANNEL" | "1" => {
            let options = WindowOptions::new(&[size, size]).padding(Padding::all((size - 1) / 2));
            let g = cx.g();
            let square = g.unary(Unary::Square, x)?;
            let mean = g.avg_pool_with(square, &options, PoolDivisor::CountIncludePad)?;
            let scaled = g.scale(mean, alpha)?;
            let base = g.shift(scaled, 1.0)?;
            let power = g.number(-beta);
            let factor = g.binary(Binary::Pow, base, power)?;
            Ok(vec![g.mul(x, factor)?])
        }
        other => {
            Err(cx.error(Rule::new(format!("`norm_region` is {other}")).right("ACROSS_CHANNELS or WITHIN_CHANNEL")))
        }
    }
}
