//! Convolution, pooling, im2col.

use super::Row;
use super::cx::Cx;
use super::writer::{int, ints, text};
use crate::onnx::proto::{AttributeProto, elem};
use gabor_graph::ops::{
    AvgPool, AvgPoolGrad, Conv, ConvInputGrad, ConvTranspose, Fold, LpPool, MaxPool, Unfold, UpsampleNearest,
};
use gabor_tensor::{Axis, ConvGeometry, Dim, PoolDivisor, Rule, Shape, Tensor, Window};

pub(super) const ROWS: &[(&str, Row)] = &[
    ("conv", |c| {
        let geometry = c.op::<Conv>()?.geometry.clone();
        let y = c.y(0);
        conv(c, &geometry, None, &y);
        Ok(())
    }),
    ("conv_input_grad", |c| {
        let geometry = c.op::<ConvInputGrad>()?.geometry.clone();
        let y = c.y(0);
        conv_transpose(c, &geometry, None, &y);
        Ok(())
    }),
    ("conv_transpose", |c| {
        let geometry = c.op::<ConvTranspose>()?.geometry.clone();
        let y = c.y(0);
        conv_transpose(c, &geometry, None, &y);
        Ok(())
    }),
    ("global_avg_pool", |c| {
        c.done("GlobalAveragePool", vec![]);
        Ok(())
    }),
    ("global_max_pool", |c| {
        c.done("GlobalMaxPool", vec![]);
        Ok(())
    }),
    ("lp_pool", |c| {
        let LpPool { p, window } = c.op::<LpPool>()?.clone();
        let mut attributes = without(window_attributes(&window), "dilations");
        attributes.push(int("p", p as i64));
        c.done("LpPool", attributes);
        Ok(())
    }),
    ("upsample_nearest", |c| {
        let scale = c.op::<UpsampleNearest>()?.scale.clone();
        let spatial = c.shape(0).rank() - 2;
        let factor = |i: usize| scale.get(i).or(scale.first()).map_or(1.0, |&s| s as f32);
        let scales = [1.0, 1.0].into_iter().chain((0..spatial).map(factor)).collect();
        let (x, y) = (c.x(0), c.y(0));
        let scales = c.constant(&Tensor::f32(&[spatial + 2], scales)?);
        let attributes = vec![
            text("mode", "nearest"),
            text("coordinate_transformation_mode", "asymmetric"),
            text("nearest_mode", "floor"),
        ];
        c.emit_to("Resize", &[&x, "", &scales], attributes, &y);
        Ok(())
    }),
    ("max_pool", max_pool),
    ("avg_pool", avg_pool),
    ("avg_pool_grad", avg_pool_grad),
    ("unfold", unfold),
    ("fold", fold),
];

fn list(w: &Window, f: impl Fn(&Axis) -> usize) -> Vec<i64> {
    w.axes().iter().map(|a| f(a) as i64).collect()
}

/// Padding at the end with which no window sticks out, so that the rounding of sizes never matters.
fn full_pad_end(a: &Axis) -> usize {
    let reach = (a.output - 1) * a.stride + a.reach();
    a.pad_end.max(reach.saturating_sub(a.input + a.pad_begin))
}

fn window_attributes(w: &Window) -> Vec<AttributeProto<'static>> {
    let pads = [list(w, |a| a.pad_begin), list(w, full_pad_end)].concat();
    vec![
        ints("kernel_shape", list(w, |a| a.kernel)),
        ints("strides", list(w, |a| a.stride)),
        ints("dilations", list(w, |a| a.dilation)),
        ints("pads", pads),
    ]
}

/// A convolution with an optional bias `[co]`, under the name `y`.
pub(super) fn conv(c: &mut Cx<'_>, g: &ConvGeometry, bias: Option<&str>, y: &str) {
    let (x, w) = (c.x(0), c.x(1));
    let mut attributes = window_attributes(&g.window);
    attributes.push(int("group", g.groups as i64));
    let inputs: Vec<&str> = [x.as_str(), w.as_str()].into_iter().chain(bias).collect();
    c.emit_to("Conv", &inputs, attributes, y);
}

/// A transposed convolution with an optional bias, under the name `y`.
pub(super) fn conv_transpose(c: &mut Cx<'_>, g: &ConvGeometry, bias: Option<&str>, y: &str) {
    let (x, w) = (c.x(0), c.x(1));
    let attributes = transposed_attributes(&g.window, g.groups);
    let inputs: Vec<&str> = [x.as_str(), w.as_str()].into_iter().chain(bias).collect();
    c.emit_to("ConvTranspose", &inputs, attributes, y);
}

/// Whether ONNX has this norm over windows: a whole exponent, no dilation, little padding.
pub(super) fn has_lp(l: &LpPool) -> bool {
    let small = |a: &Axis| a.dilation == 1 && a.pad_begin < a.kernel && full_pad_end(a) < a.kernel;
    l.p.fract() == 0.0 && l.p <= 64.0 && l.window.axes().iter().all(small)
}

/// Attributes of the transposed convolution whose result has the window's input extents.
fn transposed_attributes(w: &Window, groups: usize) -> Vec<AttributeProto<'static>> {
    let mut attributes = window_attributes(w);
    let extra = list(w, |a| (a.input + a.pad_begin + a.pad_end).saturating_sub((a.output - 1) * a.stride + a.reach()));
    attributes.push(ints("output_padding", extra));
    attributes.push(int("group", groups as i64));
    attributes
}

fn max_pool(c: &mut Cx<'_>) -> Result<(), Rule> {
    let w = c.op::<MaxPool>()?.window.clone();
    let (x, y) = (c.x(0), c.y(0));
    let attributes = window_attributes(&w);
    if w.axes().iter().all(|a| a.pad_begin < a.kernel && full_pad_end(a) < a.kernel) {
        if !c.used(1) {
            c.emit_to("MaxPool", &[&x], attributes, &y);
            return Ok(());
        }
        // ONNX counts through the whole value, a switch within its plane.
        let (switches, plane) = (c.y(1), c.ints(&[w.input_len() as i64]));
        let all = c.w.fresh(&format!("{}.indices", c.node.name));
        let name = c.node.name.clone();
        c.first = false;
        c.w.push("MaxPool", &name, vec![x], vec![y, all.clone()], attributes);
        let place = c.emit("Mod", &[&all, &plane], vec![]);
        c.emit_to("Cast", &[&place], vec![int("to", elem::INT32)], &switches);
        return Ok(());
    }
    if c.used(1) {
        return Err(Rule::new("its switches are used, and its padding is larger than ONNX runtimes allow"));
    }
    // Runtimes refuse padding as large as the kernel even where dilation makes it sensible.
    let padded = pad_spatial(c, &x, &w, f64::NEG_INFINITY);
    c.emit_to("MaxPool", &[&padded], without(attributes, "pads"), &y);
    Ok(())
}

fn pad_spatial(c: &mut Cx<'_>, x: &str, w: &Window, value: f64) -> String {
    let pads = [vec![0, 0], list(w, |a| a.pad_begin), vec![0, 0], list(w, full_pad_end)].concat();
    let (pads, value) = (c.ints(&pads), c.number(value));
    c.emit("Pad", &[x, &pads, &value], vec![])
}

fn without(attributes: Vec<AttributeProto<'static>>, name: &str) -> Vec<AttributeProto<'static>> {
    attributes.into_iter().filter(|a| a.name != name).collect()
}

/// What each window's sum is divided by, `[1, 1, outputs…]`.
fn divisors(w: &Window, divisor: PoolDivisor) -> Vec<f32> {
    let per_axis = |a: &Axis| -> Vec<usize> {
        let count = |o| match divisor {
            PoolDivisor::CountIncludePad => (0..a.kernel).filter(|&k| a.in_padded(o, k)).count(),
            PoolDivisor::CountExcludePad => (0..a.kernel).filter(|&k| a.index(o, k).is_some()).count(),
            PoolDivisor::One => 1,
        };
        (0..a.output).map(count).collect()
    };
    w.axes()
        .iter()
        .map(per_axis)
        .fold(vec![1.0], |all, axis| all.iter().flat_map(|&p| axis.iter().map(move |&c| p * c as f32)).collect())
}

fn plane_tensor(w: &Window, v: Vec<f32>) -> Result<Tensor, Rule> {
    Tensor::f32(&[&[1, 1], &w.output()[..]].concat(), v)
}

fn avg_pool(c: &mut Cx<'_>) -> Result<(), Rule> {
    let AvgPool { window: w, divisor } = c.op::<AvgPool>()?.clone();
    let (x, y) = (c.x(0), c.y(0));
    let kernel = w.kernel_len() as f32;
    let divisors = divisors(&w, divisor);
    let small = w.axes().iter().all(|a| a.dilation == 1 && a.pad_begin < a.kernel && full_pad_end(a) < a.kernel);
    let mut attributes = without(window_attributes(&w), "dilations");
    if small {
        let global = w.axes().iter().all(|a| a.output == 1 && a.kernel == a.input && a.pad_begin + a.pad_end == 0);
        if global && divisor != PoolDivisor::One {
            c.emit_to("GlobalAveragePool", &[&x], vec![], &y);
            return Ok(());
        }
        let include = divisors.iter().all(|&d| d == kernel);
        if include || divisor == PoolDivisor::CountExcludePad {
            attributes.push(int("count_include_pad", i64::from(include)));
            c.emit_to("AveragePool", &[&x], attributes, &y);
            return Ok(());
        }
        attributes.push(int("count_include_pad", 1));
        let mean = c.emit("AveragePool", &[&x], attributes);
        let factor = plane_tensor(&w, divisors.iter().map(|d| kernel / d).collect())?;
        let factor = c.constant(&factor);
        c.emit_to("Mul", &[&mean, &factor], vec![], &y);
        return Ok(());
    }
    // A dilated average is a depthwise convolution with ones.
    let channels = channels(c.shape(0))?;
    let ones = ones(c, channels, &w)?;
    let mut attributes = window_attributes(&w);
    attributes.push(int("group", channels as i64));
    let sum = c.emit("Conv", &[&x, &ones], attributes);
    let factor = plane_tensor(&w, divisors.iter().map(|d| 1.0 / d).collect())?;
    let factor = c.constant(&factor);
    c.emit_to("Mul", &[&sum, &factor], vec![], &y);
    Ok(())
}

/// Each element of dy goes, divided, to all of its window: a transposed depthwise convolution with ones.
fn avg_pool_grad(c: &mut Cx<'_>) -> Result<(), Rule> {
    let AvgPoolGrad { window: w, divisor } = c.op::<AvgPoolGrad>()?.clone();
    let (dy, dx) = (c.x(0), c.y(0));
    let channels = channels(c.shape(0))?;
    let factor = plane_tensor(&w, divisors(&w, divisor).iter().map(|d| 1.0 / d).collect())?;
    let factor = c.constant(&factor);
    let scaled = c.emit("Mul", &[&dy, &factor], vec![]);
    let ones = ones(c, channels, &w)?;
    c.emit_to("ConvTranspose", &[&scaled, &ones], transposed_attributes(&w, channels), &dx);
    Ok(())
}

fn channels(shape: &Shape) -> Result<usize, Rule> {
    shape.0[1].fixed().ok_or_else(|| Rule::new(format!("the number of channels of {shape} is unknown")))
}

fn ones(c: &mut Cx<'_>, channels: usize, w: &Window) -> Result<String, Rule> {
    let shape = [&[channels, 1], &w.kernel()[..]].concat();
    let t = Tensor::f32(&shape, vec![1.0; channels * w.kernel_len()])?;
    Ok(c.constant(&t))
}

/// One filter per tap of the window, for every channel: the depthwise convolution that is im2col.
fn taps(c: &mut Cx<'_>, channels: usize, w: &Window) -> Result<String, Rule> {
    let k = w.kernel_len();
    let mut v = vec![0.0; channels * k * k];
    v.chunks_mut(k).enumerate().for_each(|(row, filter)| filter[row % k] = 1.0);
    let shape = [&[channels * k, 1], &w.kernel()[..]].concat();
    Ok(c.constant(&Tensor::f32(&shape, v)?))
}

/// `[n, c·kernel, outputs…]`, the columns before they are joined.
fn columns_shape(n: Dim, rows: usize, w: &Window) -> Shape {
    Shape([n, Dim::Fixed(rows)].into_iter().chain(w.output().into_iter().map(Dim::Fixed)).collect())
}

fn unfold(c: &mut Cx<'_>) -> Result<(), Rule> {
    let w = c.op::<Unfold>()?.window.clone();
    let (x, y, n) = (c.x(0), c.y(0), c.shape(0).0[0]);
    let channels = channels(c.shape(0))?;
    let filters = taps(c, channels, &w)?;
    let mut attributes = window_attributes(&w);
    attributes.push(int("group", channels as i64));
    let apart = c.emit("Conv", &[&x, &filters], attributes);
    let from = columns_shape(n, channels * w.kernel_len(), &w);
    let to = c.out_shape(0).clone();
    let target = c.reshape_target(&from, &to)?;
    c.emit_to("Reshape", &[&apart, &target], vec![], &y);
    Ok(())
}

fn fold(c: &mut Cx<'_>) -> Result<(), Rule> {
    let w = c.op::<Fold>()?.window.clone();
    let (x, y, from) = (c.x(0), c.y(0), c.shape(0).clone());
    let rows = channels(&from)?;
    let channels = rows / w.kernel_len();
    let apart = c.reshape(&x, &from, &columns_shape(from.0[0], rows, &w))?;
    let filters = taps(c, channels, &w)?;
    c.emit_to("ConvTranspose", &[&apart, &filters], transposed_attributes(&w, channels), &y);
    Ok(())
}
