//! Convolution and pooling.

use super::op::{Fail, Op};
use super::reader::Role;
use super::{MAX_ELEMENTS, Row};
use gabor_graph::ValueId;
use gabor_tensor::{Padding, PoolDivisor, Rule, Shape, WindowOptions};

pub(super) const ROWS: &[(&str, Row)] = &[
    ("Conv", conv),
    ("ConvTranspose", conv_transpose),
    ("AveragePool", |o| {
        let include = o.a.flag("count_include_pad", false)?;
        let (x, options) = pool(o)?;
        let divisor = if include { PoolDivisor::CountIncludePad } else { PoolDivisor::CountExcludePad };
        let y = o.g().avg_pool_with(x, &options, divisor)?;
        o.set(0, y)
    }),
    ("LpPool", |o| {
        let p = o.a.int("p", 2)?;
        let (x, options) = pool(o)?;
        let y = o.g().lp_pool(x, p as f64, &options)?;
        o.set(0, y)
    }),
    ("GlobalAveragePool", |o| {
        let x = o.x(0)?;
        let y = o.g().global_avg_pool(x)?;
        o.set(0, y)
    }),
    ("GlobalMaxPool", |o| {
        let x = o.x(0)?;
        let y = o.g().global_max_pool(x)?;
        o.set(0, y)
    }),
    ("GlobalLpPool", |o| {
        let (p, x) = (o.a.int("p", 2)?, o.x(0)?);
        let y = o.g().global_lp_pool(x, p as f64)?;
        o.set(0, y)
    }),
];

/// Extents of the spatial axes of `[n, c, spatial…]`.
pub(super) fn spatial(shape: &Shape) -> Result<Vec<usize>, Rule> {
    let known: Option<Vec<usize>> = shape.0.iter().skip(2).map(|d| d.fixed()).collect();
    known.filter(|v| !v.is_empty()).ok_or_else(|| Rule::new(format!("x is {shape}")).right("[n, c, spatial…]"))
}

/// How padding is found.
enum Auto {
    /// As given.
    Explicit,
    /// As many outputs as inputs by stride; whether the odd element goes to the left.
    Same { lower: bool },
}

fn auto_pad(o: &mut Op<'_, '_>, pads: &Option<Vec<usize>>) -> Result<Auto, Fail> {
    let given = pads.as_ref().is_some_and(|p| p.iter().any(|&v| v > 0));
    match o.a.text("auto_pad")?.unwrap_or("NOTSET") {
        "NOTSET" => Ok(Auto::Explicit),
        kind @ ("SAME_UPPER" | "SAME_LOWER" | "VALID") if given => {
            Err(Rule::new(format!("auto_pad {kind} and pads {pads:?}")).right("one of them").into())
        }
        "VALID" => Ok(Auto::Explicit),
        "SAME_UPPER" => Ok(Auto::Same { lower: false }),
        "SAME_LOWER" => Ok(Auto::Same { lower: true }),
        other => Err(Rule::new(format!("attribute `auto_pad` is {other:?}"))
            .right("NOTSET, SAME_UPPER, SAME_LOWER or VALID")
            .into()),
    }
}

/// `[begin…, end…]` as pairs.
fn pairs(pads: &Option<Vec<usize>>, d: usize) -> Result<Padding, Rule> {
    match pads {
        None => Ok(Padding::Valid),
        Some(p) if p.len() == 2 * d => Ok(Padding::Explicit((0..d).map(|i| (p[i], p[d + i])).collect())),
        Some(p) => Err(Rule::new(format!("{} numbers of padding for {d} spatial axes", p.len()))),
    }
}

/// Strides, dilations and padding over these extents.
pub(super) fn window(o: &mut Op<'_, '_>, input: &[usize], kernel: Vec<usize>) -> Result<WindowOptions, Fail> {
    let pads = o.a.sizes("pads")?;
    let auto = auto_pad(o, &pads)?;
    let mut options = WindowOptions {
        kernel_size: kernel,
        stride: o.a.sizes("strides")?.unwrap_or_default(),
        dilation: o.a.sizes("dilations")?.unwrap_or_default(),
        padding: pairs(&pads, input.len())?,
        ceil_mode: false,
    };
    if let Auto::Same { lower } = auto {
        options.padding = Padding::Same;
        let resolved = options.resolve(input)?;
        let side = |a: &gabor_tensor::Axis| if lower { (a.pad_end, a.pad_begin) } else { (a.pad_begin, a.pad_end) };
        options.padding = Padding::Explicit(resolved.axes().iter().map(side).collect());
    }
    let taps = options.kernel_size.iter().try_fold(1usize, |a, &k| a.checked_mul(k));
    if taps.is_none_or(|t| t > MAX_ELEMENTS) {
        return Err(Rule::new(format!("a window of {:?}", options.kernel_size)).into());
    }
    Ok(options)
}

pub(super) fn pool(o: &mut Op<'_, '_>) -> Result<(ValueId, WindowOptions), Fail> {
    let x = o.x(0)?;
    let input = spatial(&o.shape(x))?;
    let kernel = o.a.sizes("kernel_shape")?.ok_or_else(|| Rule::new("attribute `kernel_shape` is missing"))?;
    let ceil = o.opset >= 10 && o.a.flag("ceil_mode", false)?;
    let options = window(o, &input, kernel)?;
    Ok((x, WindowOptions { ceil_mode: ceil, ..options }))
}

pub(super) fn groups(o: &mut Op<'_, '_>) -> Result<usize, Fail> {
    let g = o.a.int("group", 1)?;
    let fits = usize::try_from(g).ok().filter(|g| (1..1 << 31).contains(g));
    Ok(fits.ok_or_else(|| Rule::new(format!("attribute `group` is {g}")).right("at least 1"))?)
}

/// The weight, its kernel extents, and an error if the attribute says others.
fn weight(o: &mut Op<'_, '_>) -> Result<(ValueId, Vec<usize>), Fail> {
    let w = o.role(1, Role::Weight)?;
    let shape = o.shape(w);
    let kernel = spatial(&shape)?;
    match o.a.sizes("kernel_shape")? {
        Some(k) if k != kernel => Err(Rule::new(format!("kernel_shape {k:?} and a weight {shape}")).into()),
        _ => Ok((w, kernel)),
    }
}

fn with_bias(o: &mut Op<'_, '_>, y: ValueId) -> Result<(), Fail> {
    if !o.has(2) {
        return o.set(0, y);
    }
    let b = o.role(2, Role::Bias)?;
    let shape = o.shape(y);
    if o.shape(b).0 != shape.0[1..2] {
        return Err(Rule::new(format!("a bias {} for {shape}", o.shape(b))).into());
    }
    let g = o.g();
    let b = g.per_channel(b, &shape)?;
    let y = g.add(y, b)?;
    o.set(0, y)
}

fn conv(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let x = o.x(0)?;
    let input = spatial(&o.shape(x))?;
    let (w, kernel) = weight(o)?;
    let groups = groups(o)?;
    let options = window(o, &input, kernel)?;
    let y = o.g().conv(x, w, groups, &options)?;
    with_bias(o, y)
}

fn conv_transpose(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let x = o.x(0)?;
    let input = spatial(&o.shape(x))?;
    let (w, kernel) = weight(o)?;
    let groups = groups(o)?;
    let d = input.len();
    let pads = o.a.sizes("pads")?;
    let auto = auto_pad(o, &pads)?;
    let wanted = o.a.sizes("output_shape")?;
    let mut extra = o.a.sizes("output_padding")?.unwrap_or_default();
    let mut options = WindowOptions {
        kernel_size: kernel.clone(),
        stride: o.a.sizes("strides")?.unwrap_or_default(),
        dilation: o.a.sizes("dilations")?.unwrap_or_default(),
        padding: pairs(&pads, d)?,
        ceil_mode: false,
    };
    let of = |v: &[usize], i: usize, default| v.get(i).copied().unwrap_or(default);
    let (lower, sizes) = match (auto, wanted) {
        (Auto::Explicit, None) => (false, None),
        (Auto::Explicit, Some(s)) => (true, Some(s)),
        (Auto::Same { lower }, Some(s)) => (lower, Some(s)),
        (Auto::Same { lower }, None) => {
            let scaled = input.iter().enumerate().map(|(i, &n)| n.checked_mul(of(&options.stride, i, 1)));
            (lower, scaled.collect())
        }
    };
    if let Some(sizes) = sizes {
        // The padding follows from the extents that are wanted.
        let mut found = Vec::new();
        for i in 0..d {
            let full = (input[i] - 1)
                .checked_mul(of(&options.stride, i, 1))
                .and_then(|a| (kernel[i] - 1).checked_mul(of(&options.dilation, i, 1)).and_then(|b| a.checked_add(b)))
                .and_then(|v| v.checked_add(1 + of(&extra, i, 0)));
            let full = full.ok_or_else(|| Rule::new(format!("an output of {sizes:?} from {input:?}")))?;
            let size = of(&sizes, i, 0);
            if size > full {
                // What no window reaches is added at the end.
                extra.resize(d, 0);
                extra[i] += size - full;
            }
            let total = full.saturating_sub(size);
            let half = total / 2;
            found.push(if lower { (total - half, half) } else { (half, total - half) });
        }
        options.padding = Padding::Explicit(found);
    }
    let limit = 1usize << 31;
    if options.stride.iter().chain(&options.dilation).chain(&extra).any(|&v| v >= limit) {
        return Err(Rule::new("strides, dilations and output padding must be below 2³¹").into());
    }
    let y = o.g().conv_transpose(x, w, groups, &options, &extra)?;
    with_bias(o, y)
}
