//! Window geometry: how a window slides over its input, in any number of dimensions.
//!
//! Convolution (1D, 2D, 3D, transposed, depthwise), pooling, im2col, importers, receptive fields and the explainer take
//! one of these values whole. The size rule stands in [`WindowOptions::resolve`] and nowhere else:
//!
//! `o = floor((n + p_begin + p_end - d·(k - 1) - 1) / s) + 1`
//!
//! with `ceil` instead of `floor` in ceil mode (where, as in PyTorch, the last window must start inside the input or
//! its left padding), and `same` padding `o = ceil(n / s)`, `p = max(s·(o - 1) + d·(k - 1) + 1 - n, 0)`, the odd
//! element on the right.

use crate::Rule;
use std::fmt;

/// Padding as a user writes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub enum Padding {
    /// No padding: only windows that lie inside the input.
    #[default]
    Valid,
    /// As many output elements as `ceil(input / stride)`; the odd padding element goes to the right.
    Same,
    /// `(begin, end)` elements per dimension. One pair stands for all dimensions.
    Explicit(Vec<(usize, usize)>),
}

impl Padding {
    /// The same number of elements on every side.
    pub fn all(p: usize) -> Self {
        Padding::Explicit(vec![(p, p)])
    }
}

/// What a user says about a window. An empty list means "one in every dimension"; a list of one stands for all.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct WindowOptions {
    /// Extent of the window per dimension.
    pub kernel_size: Vec<usize>,
    /// Step between windows.
    pub stride: Vec<usize>,
    /// Distance between the elements of a window (1: neighbours, PyTorch's meaning).
    pub dilation: Vec<usize>,
    /// Elements added around the input.
    pub padding: Padding,
    /// Whether a window that sticks out at the end counts.
    pub ceil_mode: bool,
}

impl WindowOptions {
    /// A window of that extent: stride 1, no padding.
    pub fn new(kernel_size: &[usize]) -> Self {
        WindowOptions { kernel_size: kernel_size.to_vec(), ..Default::default() }
    }
    /// Sets the step between windows.
    pub fn stride(mut self, stride: &[usize]) -> Self {
        self.stride = stride.to_vec();
        self
    }
    /// Sets the distance between the elements of a window.
    pub fn dilation(mut self, dilation: &[usize]) -> Self {
        self.dilation = dilation.to_vec();
        self
    }
    /// Sets the padding.
    pub fn padding(mut self, padding: Padding) -> Self {
        self.padding = padding;
        self
    }
    /// Sets ceil mode.
    pub fn ceil_mode(mut self, on: bool) -> Self {
        self.ceil_mode = on;
        self
    }

    /// The validated window over an input of these spatial extents.
    ///
    /// ```
    /// use gabor_tensor::{Padding, WindowOptions};
    /// let w = WindowOptions::new(&[11, 11]).stride(&[4, 4]).resolve(&[227, 227]).unwrap();
    /// assert_eq!(w.output(), [55, 55]);
    /// let same = WindowOptions::new(&[6]).stride(&[5]).padding(Padding::Same).resolve(&[13]).unwrap();
    /// assert_eq!((same.axes()[0].pad_begin, same.axes()[0].pad_end), (1, 2));
    /// ```
    ///
    /// # Errors
    /// Zero extents, a wrong number of dimensions, or a window larger than the padded input.
    pub fn resolve(&self, input: &[usize]) -> Result<Window, Rule> {
        let d = input.len();
        let kernel = spread("kernel_size", &self.kernel_size, d)?;
        let stride = spread("stride", &self.stride, d)?;
        let dilation = spread("dilation", &self.dilation, d)?;
        let pads = match &self.padding {
            Padding::Explicit(p) if p.len() == 1 => Some(vec![p[0]; d]),
            Padding::Explicit(p) if p.len() == d => Some(p.clone()),
            Padding::Explicit(p) => {
                return Err(Rule::new(format!("{} pairs of padding for {d} spatial dimensions", p.len()))
                    .right(format!("1 or {d} pairs")));
            }
            Padding::Valid => Some(vec![(0, 0); d]),
            Padding::Same => None,
        };
        let axes = (0..d)
            .map(|i| {
                Axis::new(i, input[i], kernel[i], stride[i], dilation[i], pads.as_ref().map(|p| p[i]), self.ceil_mode)
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Window { axes })
    }
}

fn spread(what: &str, v: &[usize], d: usize) -> Result<Vec<usize>, Rule> {
    let v = match v.len() {
        0 => vec![1; d],
        1 => vec![v[0]; d],
        n if n == d => v.to_vec(),
        n => {
            return Err(Rule::new(format!("{n} numbers of {what} for {d} spatial dimensions"))
                .right(format!("1 or {d} numbers")));
        }
    };
    if v.contains(&0) {
        return Err(Rule::new(format!("{what} is {v:?}, and every number of it must be at least 1")));
    }
    Ok(v)
}

/// One dimension of a window: sizes in elements, all checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Axis {
    /// Extent of the input.
    pub input: usize,
    /// Number of window positions.
    pub output: usize,
    /// Extent of the window.
    pub kernel: usize,
    /// Step between windows.
    pub stride: usize,
    /// Distance between a window's elements.
    pub dilation: usize,
    /// Padding before the first element.
    pub pad_begin: usize,
    /// Padding after the last element, as asked for (in ceil mode the last window may reach beyond).
    pub pad_end: usize,
}

/// Largest extent that any number of a geometry may have, so that no product of four overflows 64 bits.
const LIMIT: usize = 1 << 31;

impl Axis {
    fn new(
        dim: usize,
        input: usize,
        kernel: usize,
        stride: usize,
        dilation: usize,
        pads: Option<(usize, usize)>,
        ceil_mode: bool,
    ) -> Result<Self, Rule> {
        let (pb0, pe0) = pads.unwrap_or((0, 0));
        if [input, kernel, stride, dilation, pb0, pe0].iter().any(|&v| v >= LIMIT) {
            return Err(Rule::new(format!("window numbers must be below {LIMIT}"))
                .given(format!("input {input}, kernel_size {kernel}, stride {stride}, dilation {dilation}")));
        }
        if input == 0 {
            return Err(Rule::new(format!("the input's extent in spatial dimension {dim} is 0")).right("at least 1"));
        }
        let reach = dilation * (kernel - 1) + 1;
        let (pad_begin, pad_end) = pads.unwrap_or_else(|| {
            let o = input.div_ceil(stride);
            let p = (stride * (o - 1) + reach).saturating_sub(input);
            (p / 2, p - p / 2)
        });
        let padded = input + pad_begin + pad_end;
        if reach > padded {
            let dilated = if dilation > 1 { format!(" at dilation {dilation} (reach {reach})") } else { String::new() };
            return Err(Rule::new(format!(
                "kernel_size {kernel}{dilated} is larger than the padded input {input} + {pad_begin} + {pad_end} = \
                 {padded} in spatial dimension {dim}"
            ))
            .right(format!("kernel_size at most {}, or more padding", (padded - 1) / dilation + 1)));
        }
        let room = padded - reach;
        let mut output = if ceil_mode { room.div_ceil(stride) } else { room / stride } + 1;
        if ceil_mode {
            output = output.min((input + pad_begin).div_ceil(stride));
        }
        Ok(Axis { input, output, kernel, stride, dilation, pad_begin, pad_end })
    }

    /// Extent that the window covers, dilation included: `d·(k - 1) + 1`.
    pub fn reach(&self) -> usize {
        self.dilation * (self.kernel - 1) + 1
    }
    /// The input element under tap `k` of window `o`; `None` in the padding.
    #[inline]
    pub fn index(&self, o: usize, k: usize) -> Option<usize> {
        let i = (o * self.stride + k * self.dilation).checked_sub(self.pad_begin)?;
        (i < self.input).then_some(i)
    }
    /// Whether tap `k` of window `o` lies in the input or in the padding that was asked for
    /// (not beyond it, where ceil mode may reach).
    #[inline]
    pub fn in_padded(&self, o: usize, k: usize) -> bool {
        o * self.stride + k * self.dilation < self.input + self.pad_begin + self.pad_end
    }
    /// Number of trailing input elements that no window covers.
    pub fn dropped(&self) -> usize {
        let end = (self.output - 1) * self.stride + self.reach();
        (self.input + self.pad_begin).saturating_sub(end).min(self.input)
    }
}

/// A window over an input of known extents, in any number of spatial dimensions. Made by [`WindowOptions::resolve`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    axes: Vec<Axis>,
}

impl Window {
    /// One entry per spatial dimension, outermost first (`[d, h, w]`).
    pub fn axes(&self) -> &[Axis] {
        &self.axes
    }
    /// Number of spatial dimensions.
    pub fn rank(&self) -> usize {
        self.axes.len()
    }
    /// Input extents.
    pub fn input(&self) -> Vec<usize> {
        self.axes.iter().map(|a| a.input).collect()
    }
    /// Output extents.
    pub fn output(&self) -> Vec<usize> {
        self.axes.iter().map(|a| a.output).collect()
    }
    /// Window extents.
    pub fn kernel(&self) -> Vec<usize> {
        self.axes.iter().map(|a| a.kernel).collect()
    }
    /// Elements of one input plane.
    pub fn input_len(&self) -> usize {
        product(self.axes.iter().map(|a| a.input))
    }
    /// Elements of one output plane.
    pub fn output_len(&self) -> usize {
        product(self.axes.iter().map(|a| a.output))
    }
    /// Elements of the window.
    pub fn kernel_len(&self) -> usize {
        product(self.axes.iter().map(|a| a.kernel))
    }
    /// The options that give this window again over the same input (padding explicit).
    pub fn options(&self) -> WindowOptions {
        WindowOptions {
            kernel_size: self.kernel(),
            stride: self.axes.iter().map(|a| a.stride).collect(),
            dilation: self.axes.iter().map(|a| a.dilation).collect(),
            padding: Padding::Explicit(self.axes.iter().map(|a| (a.pad_begin, a.pad_end)).collect()),
            ceil_mode: self.is_ceil(),
        }
    }
    /// Whether ceil mode made a difference: the last window of some dimension reaches beyond the padding that was asked
    /// for, or one that would lie in the right padding alone is left out.
    pub fn is_ceil(&self) -> bool {
        self.axes.iter().any(|a| {
            let room = a.input + a.pad_begin + a.pad_end - a.reach();
            a.output != room / a.stride + 1
        })
    }
    /// What is legal but surprising: input elements that no window covers.
    pub fn notes(&self) -> Vec<String> {
        (self.axes.iter().enumerate())
            .filter(|(_, a)| a.dropped() > 0)
            .map(|(i, a)| {
                let name = match (self.rank() - i, self.rank()) {
                    (1, _) if self.rank() > 1 => "columns".to_string(),
                    (2, _) => "rows".to_string(),
                    _ => format!("elements of dimension {i}"),
                };
                format!(
                    "the last {} {name} are dropped: ({} + {} - {}) is not a multiple of stride {}",
                    a.dropped(),
                    a.input,
                    a.pad_begin + a.pad_end,
                    a.reach(),
                    a.stride
                )
            })
            .collect()
    }
}

/// A product that stays at the largest number where it would overflow: a shape of that extent is refused.
fn product(extents: impl Iterator<Item = usize>) -> usize {
    extents.fold(1, usize::saturating_mul)
}

impl fmt::Display for Window {
    /// `in=7,7 kernel=3,3 stride=2,2 dilation=1,1 pad=0:0,0:0 out=3,3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |g: &dyn Fn(&Axis) -> String| self.axes.iter().map(g).collect::<Vec<_>>().join(",");
        write!(
            f,
            "in={} kernel={} stride={} dilation={} pad={} out={}",
            list(&|a| a.input.to_string()),
            list(&|a| a.kernel.to_string()),
            list(&|a| a.stride.to_string()),
            list(&|a| a.dilation.to_string()),
            list(&|a| format!("{}:{}", a.pad_begin, a.pad_end)),
            list(&|a| a.output.to_string()),
        )
    }
}

/// The geometry of a convolution: window, channels and groups. Convolution, its input gradient and its filter gradient
/// are three operations on one such value. Sizes: x `[n, ci, spatial…]`, w `[co, ci/groups, kernel…]`,
/// y `[n, co, spatial…]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConvGeometry {
    /// Input channels.
    pub ci: usize,
    /// Output channels.
    pub co: usize,
    /// Groups: output channel `j` sees only the input channels of its group.
    pub groups: usize,
    /// The sliding window.
    pub window: Window,
}

impl ConvGeometry {
    /// A checked geometry for an input `[n, ci, input…]` and a weight `[co, ci/groups, kernel…]`.
    /// `options.kernel_size` may be empty: the weight's extents are used.
    ///
    /// # Errors
    /// Channels that do not fit weight and groups, or a window that does not fit the input.
    pub fn new(
        ci: usize,
        input: &[usize],
        weight: &[usize],
        groups: usize,
        options: &WindowOptions,
    ) -> Result<Self, Rule> {
        let d = input.len();
        if weight.len() != d + 2 {
            return Err(Rule::new(format!(
                "a weight {weight:?} of {} dimensions for an input of {d} spatial dimensions",
                weight.len()
            ))
            .right(format!("a weight of {} dimensions: [co, ci/groups, kernel…]", d + 2)));
        }
        let co = weight[0];
        if groups == 0 || co == 0 || ci == 0 {
            return Err(Rule::new(format!("groups {groups}, input channels {ci} and filters {co} must be at least 1")));
        }
        if !ci.is_multiple_of(groups) || !co.is_multiple_of(groups) {
            return Err(Rule::new(format!("groups {groups} must divide {ci} input channels and {co} filters")));
        }
        if weight[1].saturating_mul(groups) != ci {
            return Err(Rule::new(format!(
                "{ci} input channels, weight {weight:?} with {groups} group{} wants {}",
                if groups == 1 { "" } else { "s" },
                weight[1].saturating_mul(groups)
            ))
            .right(format!("a weight of shape {:?}", [&[co, ci / groups], &weight[2..]].concat())));
        }
        let kernel = weight[2..].to_vec();
        if !options.kernel_size.is_empty() && spread("kernel_size", &options.kernel_size, d)? != kernel {
            return Err(Rule::new(format!("kernel_size {:?} and a weight {weight:?}", options.kernel_size)));
        }
        let window = WindowOptions { kernel_size: kernel, ..options.clone() }.resolve(input)?;
        Ok(ConvGeometry { ci, co, groups, window })
    }
    /// The geometry whose input gradient is the transposed convolution of an input with `ci` channels and extents
    /// `input`: weight `[ci, co/groups, kernel…]` (PyTorch's layout for transposed convolution).
    /// `o = (n - 1)·s - p_begin - p_end + d·(k - 1) + 1 + output_padding`.
    ///
    /// # Errors
    /// As [`ConvGeometry::new`], and an output padding that is not smaller than stride or dilation.
    pub fn transposed(
        ci: usize,
        input: &[usize],
        weight: &[usize],
        groups: usize,
        options: &WindowOptions,
        output_padding: &[usize],
    ) -> Result<Self, Rule> {
        let d = input.len();
        if weight.len() != d + 2 || weight[0] != ci {
            return Err(Rule::new(format!("{ci} input channels of a transposed convolution and a weight {weight:?}"))
                .right(format!("a weight of {} dimensions, the first of them {ci}: [ci, co/groups, kernel…]", d + 2)));
        }
        let stride = spread("stride", &options.stride, d)?;
        let dilation = spread("dilation", &options.dilation, d)?;
        let extra = if output_padding.is_empty() { vec![0; d] } else { output_padding.to_vec() };
        let extra = if extra.len() == 1 { vec![extra[0]; d] } else { extra };
        let pads = match &options.padding {
            Padding::Valid => vec![(0, 0); d],
            Padding::Explicit(p) if p.len() == 1 => vec![p[0]; d],
            Padding::Explicit(p) if p.len() == d => p.clone(),
            Padding::Explicit(p) => {
                return Err(Rule::new(format!("{} pairs of padding for {d} spatial dimensions", p.len())));
            }
            Padding::Same => (0..d)
                .map(|i| {
                    let reach = dilation[i].saturating_mul(weight[2 + i].max(1) - 1).saturating_add(1);
                    let p = reach.saturating_sub(stride[i]);
                    (p / 2, p - p / 2)
                })
                .collect(),
        };
        if extra.len() != d {
            return Err(Rule::new(format!("{} numbers of output_padding for {d} spatial dimensions", extra.len())));
        }
        let mut output = Vec::with_capacity(d);
        for i in 0..d {
            if extra[i] > 0 && extra[i] >= stride[i].max(dilation[i]) {
                return Err(Rule::new(format!(
                    "output_padding {} must be smaller than stride {} or dilation {}",
                    extra[i], stride[i], dilation[i]
                )));
            }
            let (n, k) = (input[i], weight[2 + i]);
            if n == 0 || k == 0 || [n, k, stride[i], dilation[i], pads[i].0, pads[i].1].iter().any(|&v| v >= LIMIT) {
                return Err(Rule::new(format!("extents must be between 1 and {LIMIT}")).given(format!(
                    "input {n}, kernel_size {k}, stride {}, dilation {}, padding {:?}",
                    stride[i], dilation[i], pads[i]
                )));
            }
            let full = (n - 1) * stride[i] + dilation[i] * (k - 1) + 1 + extra[i];
            match full.checked_sub(pads[i].0 + pads[i].1) {
                Some(o) if o > 0 => output.push(o),
                _ => {
                    return Err(Rule::new(format!(
                        "padding {:?} takes away all of the {full} output elements in spatial dimension {i}",
                        pads[i]
                    )));
                }
            }
        }
        let options = WindowOptions { padding: Padding::Explicit(pads), ceil_mode: false, ..options.clone() };
        let co = weight[1].saturating_mul(groups);
        let geometry = ConvGeometry::new(co, &output, weight, groups, &options)?;
        if geometry.window.output() != input {
            return Err(Rule::new(format!(
                "a transposed convolution from {input:?} to {output:?} whose convolution gives {:?}",
                geometry.window.output()
            )));
        }
        Ok(geometry)
    }
    /// Shape of the weight.
    pub fn weight_shape(&self) -> Vec<usize> {
        [&[self.co, self.ci / self.groups], &self.window.kernel()[..]].concat()
    }
    /// Shape of the input at batch size `n`.
    pub fn input_shape(&self, n: usize) -> Vec<usize> {
        [&[n, self.ci], &self.window.input()[..]].concat()
    }
    /// Shape of the output at batch size `n`.
    pub fn output_shape(&self, n: usize) -> Vec<usize> {
        [&[n, self.co], &self.window.output()[..]].concat()
    }
    /// Multiply-adds for one image, padding counted as if it were data.
    pub fn macs(&self) -> u64 {
        let extents = [self.co, self.ci / self.groups, self.window.kernel_len(), self.window.output_len()];
        // In 64 bits, whatever addresses have.
        extents.iter().fold(1, |all, &e| all.saturating_mul(e as u64))
    }
}

impl fmt::Display for ConvGeometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ci={} co={} groups={} {}", self.ci, self.co, self.groups, self.window)
    }
}
