//! Convolutions, linear layers, normalisations and what multiplies or adds numbers per channel.

use super::{Array, Writer};
use gabor_graph::Node;
use gabor_graph::ValueId;
use gabor_graph::ops::{
    BatchNormInference, Conv, ConvInputGrad, ConvTranspose, MatMul, PRelu, Pad, Slice, UpsampleNearest,
};
use gabor_tensor::{Binary, ConvGeometry, Dim, PadMode, Padding, Rule, Shape, WindowOptions};

/// A number per axis as Caffe writes it: once if all are equal, as `_h` and `_w` of images, else repeated.
pub(super) fn per_axis(all: &str, prefix: &str, v: &[usize]) -> Vec<String> {
    match *v {
        [h, w] if h != w && all != "dilation" => vec![format!("{prefix}_h: {h}"), format!("{prefix}_w: {w}")],
        [first, ref rest @ ..] if rest.iter().all(|&x| x == first) => vec![format!("{all}: {first}")],
        _ => v.iter().map(|x| format!("{all}: {x}")).collect(),
    }
}

/// The lines of a window; what is at its default is left out.
pub(super) fn window_lines(kernel: &[usize], stride: &[usize], pad: &[usize], dilation: &[usize]) -> Vec<String> {
    let mut lines = per_axis("kernel_size", "kernel", kernel);
    for (all, prefix, v, default) in
        [("stride", "stride", stride, 1), ("pad", "pad", pad, 0), ("dilation", "", dilation, 1)]
    {
        if v.iter().any(|&x| x != default) {
            lines.extend(per_axis(all, prefix, v));
        }
    }
    lines
}

/// Where numbers of these extents broadcast over a value: the first axis and how many.
fn spread(shape: &Shape, own: &[usize]) -> Option<(usize, usize)> {
    let lead = shape.rank().checked_sub(own.len())?;
    let at = |i: usize| if i < lead { 1 } else { own[i - lead] };
    let wide: Vec<usize> = (0..shape.rank()).filter(|&i| at(i) != 1).collect();
    let (first, last) = (wide.first().copied().unwrap_or(1), wide.last().copied().unwrap_or(1));
    let fits = (first..=last).all(|i| shape.0.get(i) == Some(&Dim::Fixed(at(i))));
    (first >= 1 && fits).then_some((first, last + 1 - first))
}

impl<'a> Writer<'a> {
    /// A layer's name: that of its parameter without the ending, or the node's.
    fn base(&self, node: &Node, weight: ValueId) -> String {
        let name = &self.g.value(weight).name;
        let stem = name.strip_suffix(".weight").or_else(|| name.strip_suffix(".gamma"));
        let is_parameter = self.g.parameters().any(|(v, _)| v == weight);
        stem.filter(|s| is_parameter && !s.is_empty()).unwrap_or(&node.name).to_string()
    }

    /// Writes the node if it is one of these.
    pub(super) fn weighted(&mut self, node: &Node) -> Result<bool, Rule> {
        if let Some(op) = node.op::<Conv>() {
            self.conv(node, &op.geometry)?;
        } else if let Some(op) = node.op::<ConvTranspose>() {
            self.deconv(node, &op.geometry)?;
        } else if let Some(op) = node.op::<ConvInputGrad>() {
            self.deconv(node, &op.geometry)?;
        } else if let Some(op) = node.op::<MatMul>() {
            self.linear(node, op)?;
        } else if let Some(op) = node.op::<BatchNormInference>() {
            self.batch_norm(node, op.eps)?;
        } else if node.op::<PRelu>().is_some() {
            let slope = self.array(node.inputs[1])?.clone();
            let x = self.bottom(node.inputs[0])?;
            let shared = if slope.shape == [1] { vec!["channel_shared: true".into()] } else { vec![] };
            let base = self.base(node, node.inputs[1]);
            self.push(&base, "PReLU", vec![x], shared, vec![slope], Some(node.outputs[0]));
        } else if let Some(op) = node.op::<UpsampleNearest>() {
            self.upsample(node, &op.scale)?;
        } else if let Some(op) = node.op::<Pad>() {
            self.pad(node, op)?;
        } else if let Some(op) = node.op::<Slice>().filter(|op| op.step > 1) {
            self.every(node, op)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn conv(&mut self, node: &Node, g: &ConvGeometry) -> Result<(), Rule> {
        let weight = self.array(node.inputs[1])?.clone();
        let x = self.bottom(node.inputs[0])?;
        let axes = g.window.axes();
        let pad: Vec<usize> = axes.iter().map(|a| a.pad_begin).collect();
        let mut options = g.window.options();
        options.ceil_mode = false;
        options.padding = Padding::Explicit(pad.iter().map(|&p| (p, p)).collect());
        let theirs = options.resolve(&g.window.input())?;
        if axes.iter().zip(theirs.axes()).any(|(a, b)| a.output > b.output) {
            let rule = Rule::new(format!("a window {}", g.window));
            return Err(rule.right("one that is padded equally before and behind"));
        }
        let mut lines = vec![format!("num_output: {}", g.co)];
        lines.extend(window_lines(&options.kernel_size, &options.stride, &pad, &options.dilation));
        if g.groups > 1 {
            lines.push(format!("group: {}", g.groups));
        }
        let base = self.base(node, node.inputs[1]);
        let cuts = self.cuts(&g.window, &theirs);
        self.push_cut(&base, "Convolution", x, lines, vec![weight], cuts, node.outputs[0]);
        Ok(())
    }

    /// The geometry is that of the convolution from the output to the input.
    fn deconv(&mut self, node: &Node, g: &ConvGeometry) -> Result<(), Rule> {
        let weight = self.array(node.inputs[1])?.clone();
        let x = self.bottom(node.inputs[0])?;
        for a in g.window.axes() {
            let whole = a.stride * (a.output - 1) + a.reach();
            if a.pad_begin != a.pad_end || whole != a.input + 2 * a.pad_begin {
                let rule = Rule::new(format!("{} elements of a window {}", a.input, g.window));
                return Err(rule.right(format!("{whole} less the same padding before and behind")));
            }
        }
        let o = g.window.options();
        let pad: Vec<usize> = g.window.axes().iter().map(|a| a.pad_begin).collect();
        let mut lines = vec![format!("num_output: {}", g.ci)];
        lines.extend(window_lines(&o.kernel_size, &o.stride, &pad, &o.dilation));
        if g.groups > 1 {
            lines.push(format!("group: {}", g.groups));
        }
        let base = self.base(node, node.inputs[1]);
        self.push(&base, "Deconvolution", vec![x], lines, vec![weight], Some(node.outputs[0]));
        Ok(())
    }

    /// Caffe keeps `[outputs, inputs]`.
    fn linear(&mut self, node: &Node, op: &MatMul) -> Result<(), Rule> {
        let mut weight = self.array(node.inputs[1])?.clone();
        let [a, b] = weight.shape[..] else {
            return Err(Rule::new(format!("a product with {:?}", weight.shape)).right("[outputs, inputs]"));
        };
        if op.transpose_a || self.shape(node.inputs[0]).rank() != 2 {
            let rule = Rule::new(format!("a matrix product of {}", self.shape(node.inputs[0])));
            return Err(rule.right("that of a linear layer, [n, inputs]"));
        }
        let x = self.bottom(node.inputs[0])?;
        if !op.transpose_b {
            let v = &weight.numbers;
            let turned = (0..b).flat_map(|o| (0..a).map(move |i| v[i * b + o])).collect();
            weight = Array::new(&[b, a], turned);
        }
        let lines = vec![format!("num_output: {}", weight.shape[0])];
        let base = self.base(node, node.inputs[1]);
        self.push(&base, "InnerProduct", vec![x], lines, vec![weight], Some(node.outputs[0]));
        Ok(())
    }

    /// Mean and variance are divided by the third array, which is 1; scale and bias follow in a layer of their own.
    fn batch_norm(&mut self, node: &Node, eps: f64) -> Result<(), Rule> {
        let v = &node.inputs;
        let arrays = [self.array(v[1])?, self.array(v[2])?, self.array(v[3])?, self.array(v[4])?];
        let [gamma, beta, mean, var] = arrays.map(Array::clone);
        let x = self.bottom(v[0])?;
        let base = self.base(node, v[1]);
        let lines = vec!["use_global_stats: true".into(), format!("eps: {eps}")];
        let statistics = vec![mean, var, Array::new(&[1], vec![1.0])];
        let x = self.push(&base, "BatchNorm", vec![x], lines, statistics, None);
        self.push(&format!("{base}_scale"), "Scale", vec![x], vec![], vec![gamma, beta], Some(node.outputs[0]));
        Ok(())
    }

    /// A value and numbers of several elements: a bias of the layer before, or a layer.
    pub(super) fn per_channel(
        &mut self,
        node: &Node,
        f: Binary,
        x: ValueId,
        numbers: ValueId,
        swapped: bool,
    ) -> Result<(), Rule> {
        let y = node.outputs[0];
        let array = self.array(numbers)?;
        let shape = self.shape(x);
        let place = spread(shape, &array.shape).filter(|_| self.shape(y) == shape);
        let (axis, axes) = place.ok_or_else(|| {
            let rule = Rule::new(format!("{f} of {shape} and numbers {:?}", array.shape));
            rule.right("numbers for neighbouring axes, which stand behind the batch")
        })?;
        let own = shape.at(1)[axis..axis + axes].to_vec();
        let (kind, change): (_, fn(f32) -> f32) = match (f, swapped) {
            (Binary::Add, _) => ("Bias", |v| v),
            (Binary::Sub, false) => ("Bias", |v| -v),
            (Binary::Mul, _) => ("Scale", |v| v),
            (Binary::Div, false) => ("Scale", |v| 1.0 / v),
            _ => return Err(Rule::new(format!("{f} with numbers")).right("a sum, product, difference or quotient")),
        };
        let array = match f {
            Binary::Add | Binary::Mul => array.with_shape(&own),
            _ => Array::new(&own, array.numbers.iter().map(|&v| change(v)).collect()),
        };
        let mut lines = Vec::new();
        if (axis, axes) != (1, 1) {
            lines = vec![format!("axis: {axis}"), format!("num_axes: {axes}")];
        }
        let layer = self.open(x).filter(|&i| {
            kind == "Bias" && {
                let l = &self.layers[i];
                if l.kind == "Scale" { l.lines == lines } else { (axis, axes) == (1, 1) }
            }
        });
        if let Some(i) = layer {
            self.add_bias(i, array, y);
            return Ok(());
        }
        let bottom = self.bottom(x)?;
        let base = self.base(node, self.source_of(numbers));
        // Readers of Caffe's files know Scale; few know Bias.
        let arrays = match kind {
            "Bias" => vec![Array::new(&own, vec![1.0; array.numbers.len()]), array],
            _ => vec![array],
        };
        self.push(&base, "Scale", vec![bottom], lines, arrays, Some(y));
        Ok(())
    }
    /// The parameter that was reshaped.
    fn source_of(&self, v: ValueId) -> ValueId {
        match self.g.producer(v) {
            Some(p) if p.op::<gabor_graph::ops::Reshape>().is_some() => self.source_of(p.inputs[0]),
            _ => v,
        }
    }

    /// Every element becomes a square of ones times itself.
    pub(super) fn upsample(&mut self, node: &Node, scale: &[usize]) -> Result<(), Rule> {
        let extents = self.extents(node.inputs[0])?;
        let x = self.bottom(node.inputs[0])?;
        let (c, d) = (extents[0], extents.len() - 1);
        let scale = if scale.len() == 1 { vec![scale[0]; d] } else { scale.to_vec() };
        let mut lines = vec![format!("num_output: {c}"), format!("group: {c}")];
        lines.extend(window_lines(&scale, &scale, &[], &[]));
        let shape = [&[c, 1], &scale[..]].concat();
        let ones = Array::new(&shape, vec![1.0; shape.iter().product()]);
        self.push(&node.name, "Deconvolution", vec![x], lines, vec![ones], Some(node.outputs[0]));
        Ok(())
    }

    /// A convolution of one element that multiplies by one: it pads, adds channels of zeros, or takes every n-th element.
    fn unchanged(
        &mut self,
        node: &Node,
        channels: (usize, usize),
        stride: &[usize],
        pad: &[usize],
    ) -> Result<(), Rule> {
        let c = self.extents(node.inputs[0])?[0];
        let x = self.bottom(node.inputs[0])?;
        let (before, after) = channels;
        let co = before + c + after;
        let one = vec![1; stride.len()];
        let mut lines = vec![format!("num_output: {co}")];
        lines.extend(window_lines(&one, stride, pad, &one));
        let array = if co == c {
            lines.push(format!("group: {c}"));
            Array::new(&[&[c, 1], &one[..]].concat(), vec![1.0; c])
        } else {
            let mut v = vec![0.0; co * c];
            (0..c).for_each(|i| v[(before + i) * c + i] = 1.0);
            Array::new(&[&[co, c], &one[..]].concat(), v)
        };
        self.push(&node.name, "Convolution", vec![x], lines, vec![array], Some(node.outputs[0]));
        Ok(())
    }
    fn pad(&mut self, node: &Node, op: &Pad) -> Result<(), Rule> {
        let spatial = op.pads.get(2..).unwrap_or(&[]);
        if op.mode != PadMode::Constant || op.value != 0.0 || spatial.is_empty() {
            return Err(Rule::new(format!("padding {:?} with {}", op.pads, op.mode)).right("zeros around feature maps"));
        }
        if let Some((a, b)) = spatial.iter().find(|(a, b)| a != b) {
            return Err(Rule::new(format!("{a} zeros before and {b} behind")).right("the same number"));
        }
        let pad: Vec<usize> = spatial.iter().map(|p| p.0).collect();
        self.unchanged(node, op.pads[1], &vec![1; pad.len()], &pad)
    }
    /// Every n-th element from the first on.
    fn every(&mut self, node: &Node, op: &Slice) -> Result<(), Rule> {
        let extents = self.extents(node.inputs[0])?;
        let rule =
            || Rule::new(format!("every element {} from {} to {} of axis {}", op.step, op.start, op.end, op.axis));
        let Some(d) = op.axis.checked_sub(2) else { return Err(rule().right("an axis of feature maps")) };
        let whole = WindowOptions::new(&[1]).stride(&[op.step]).resolve(&[extents[d + 1]])?.output()[0];
        if op.start != 0 || self.extents(node.outputs[0])?[d + 1] != whole {
            return Err(rule().right("all elements from the first to the last"));
        }
        let mut stride = vec![1; extents.len() - 1];
        stride[d] = op.step;
        self.unchanged(node, (0, 0), &stride, &vec![0; stride.len()])
    }
}
