//! Functions of each element, sums of layers, and other extents.

use super::Writer;
use gabor_graph::ops::{
    BinaryMap, Clip, Concat, Elu, HardSigmoid, HardSwish, LeakyRelu, LocalResponseNorm, Reshape, Silu, Softmax,
    Softplus, UnaryMap,
};
use gabor_graph::{Node, ValueId};
use gabor_tensor::{Binary, Dim, Rule, Unary};

impl Writer<'_> {
    /// Writes the node if it is one of these.
    pub(super) fn plain(&mut self, node: &Node) -> Result<bool, Rule> {
        if let Some(op) = node.op::<BinaryMap>() {
            return self.binary(node, op.f).map(|()| true);
        }
        if node.op::<Reshape>().is_some() {
            return self.reshape(node).map(|()| true);
        }
        let x = node.inputs[0];
        let gate = node.op::<HardSwish>().is_some();
        if gate || node.op::<HardSigmoid>().is_some() {
            let (from, y) = (self.bottom(x)?, node.outputs[0]);
            let line = vec![format!("scale: {}", 1.0 / 6.0), "shift: 0.5".into()];
            let v = self.push(&format!("{}_line", node.name), "Power", vec![from.clone()], line, vec![], None);
            let ends = vec!["min: 0".into(), "max: 1".into()];
            let (name, last) = if gate { (format!("{}_clip", node.name), None) } else { (node.name.clone(), Some(y)) };
            let v = self.push(&name, "Clip", vec![v], ends, vec![], last);
            if gate {
                let product = vec!["operation: PROD".into()];
                self.push(&node.name, "Eltwise", vec![from, v], product, vec![], Some(y));
            }
            return Ok(true);
        }
        let (kind, lines) = if let Some(op) = node.op::<UnaryMap>() {
            unary(op.f)?
        } else if let Some(op) = node.op::<LeakyRelu>() {
            ("ReLU", vec![format!("negative_slope: {}", op.slope)])
        } else if let Some(op) = node.op::<Elu>() {
            ("ELU", vec![format!("alpha: {}", op.alpha)])
        } else if let Some(op) = node.op::<Clip>() {
            if !op.min.is_finite() || !op.max.is_finite() {
                return Err(Rule::new(format!("clip to [{}, {}]", op.min, op.max)).right("finite ends"));
            }
            ("Clip", vec![format!("min: {}", op.min), format!("max: {}", op.max)])
        } else if node.op::<Silu>().is_some() {
            ("Swish", vec![])
        } else if node.op::<Softplus>().is_some() {
            ("BNLL", vec![])
        } else if let Some(op) = node.op::<Softmax>() {
            ("Softmax", if op.axis == 1 { vec![] } else { vec![format!("axis: {}", op.axis)] })
        } else if let Some(op) = node.op::<LocalResponseNorm>() {
            if op.size % 2 == 0 || self.shape(x).rank() != 4 {
                let rule = Rule::new(format!("{} channels around each of {}", op.size, self.shape(x)));
                return Err(rule.right("an odd number, of [n, c, h, w]"));
            }
            let numbers = [("alpha", op.alpha), ("beta", op.beta), ("k", op.k)];
            let mut lines = vec![format!("local_size: {}", op.size)];
            lines.extend(numbers.iter().map(|(n, v)| format!("{n}: {v}")));
            ("LRN", lines)
        } else if let Some(op) = node.op::<Concat>() {
            if op.axis == 0 {
                return Err(Rule::new("joined along the batch").right("axis 1 or more"));
            }
            let bottoms = node.inputs.iter().map(|&v| self.bottom(v)).collect::<Result<Vec<_>, _>>()?;
            let lines = if op.axis == 1 { vec![] } else { vec![format!("axis: {}", op.axis)] };
            self.push(&node.name, "Concat", bottoms, lines, vec![], Some(node.outputs[0]));
            return Ok(true);
        } else {
            return Ok(false);
        };
        let x = self.bottom(x)?;
        self.push(&node.name, kind, vec![x], lines, vec![], Some(node.outputs[0]));
        Ok(true)
    }

    fn binary(&mut self, node: &Node, f: Binary) -> Result<(), Rule> {
        let (a, b, y) = (node.inputs[0], node.inputs[1], node.outputs[0]);
        let swapped = self.known.contains_key(&a);
        let (x, other) = if swapped { (b, a) } else { (a, b) };
        let Some(numbers) = self.known.get(&other) else { return self.two(node, f) };
        let &[c] = &*numbers.numbers else { return self.per_channel(node, f, x, other, swapped) };
        // A parameter that is trained stays one, where a value has but one channel.
        if self.g.parameters().any(|(v, _)| v == other) && self.per_channel(node, f, x, other, swapped).is_ok() {
            return Ok(());
        }
        if self.shape(y) != self.shape(x) {
            return Err(Rule::new(format!("{f} of {} that gives {}", self.shape(x), self.shape(y))));
        }
        let (kind, lines) = number(f, f64::from(c), swapped)?;
        let x = self.bottom(x)?;
        self.push(&node.name, kind, vec![x], lines, vec![], Some(y));
        Ok(())
    }

    /// Two layers' outputs, the second perhaps a number per channel of each sample.
    fn two(&mut self, node: &Node, f: Binary) -> Result<(), Rule> {
        let (a, b, y) = (node.inputs[0], node.inputs[1], node.outputs[0]);
        let (x, z) = (self.bottom(a)?, self.bottom(b)?);
        if self.shape(a) == self.shape(b) {
            let lines = match f {
                Binary::Add => vec!["operation: SUM".into()],
                Binary::Mul => vec!["operation: PROD".into()],
                Binary::Max => vec!["operation: MAX".into()],
                Binary::Sub => vec!["operation: SUM".into(), "coeff: 1".into(), "coeff: -1".into()],
                _ => return Err(Rule::new(format!("{f} of two layers")).right("add, mul, max or sub")),
            };
            self.push(&node.name, "Eltwise", vec![x, z], lines, vec![], Some(y));
            return Ok(());
        }
        let gates = |wide: ValueId, narrow: ValueId| {
            let (w, n) = (self.shape(wide), self.shape(narrow));
            let ones = n.0.iter().skip(2).all(|d| *d == Dim::Fixed(1));
            w.rank() > 2 && w.rank() == n.rank() && w.0[..2] == n.0[..2] && ones
        };
        let (wide, narrow) = match (gates(a, b), gates(b, a)) {
            (true, _) => (x, z),
            (_, true) => (z, x),
            _ => {
                let rule = Rule::new(format!("{f} of {} and {}", self.shape(a), self.shape(b)));
                return Err(rule.right("equal shapes, or [n, c, …] and [n, c, 1, …]"));
            }
        };
        let kind = match f {
            Binary::Mul => "Scale",
            Binary::Add => "Bias",
            _ => return Err(Rule::new(format!("{f} with a number per channel")).right("mul or add")),
        };
        let flat = self.push(&format!("{}_flat", node.name), "Flatten", vec![narrow], vec![], vec![], None);
        self.push(&node.name, kind, vec![wide, flat], vec!["axis: 0".into()], vec![], Some(y));
        Ok(())
    }

    fn reshape(&mut self, node: &Node) -> Result<(), Rule> {
        self.extents(node.inputs[0])?;
        let extents = self.extents(node.outputs[0])?;
        let x = self.bottom(node.inputs[0])?;
        let dims: String = extents.iter().map(|d| format!(" dim: {d}")).collect();
        let (kind, lines) = match extents.len() {
            1 => ("Flatten", vec![]),
            _ => ("Reshape", vec![format!("shape {{ dim: 0{dims} }}")]),
        };
        self.push(&node.name, kind, vec![x], lines, vec![], Some(node.outputs[0]));
        Ok(())
    }
}

fn unary(f: Unary) -> Result<(&'static str, Vec<String>), Rule> {
    let power = |line: &str| ("Power", vec![line.to_string()]);
    Ok(match f {
        Unary::Relu => ("ReLU", vec![]),
        Unary::Sigmoid => ("Sigmoid", vec![]),
        Unary::Tanh => ("TanH", vec![]),
        Unary::Abs => ("AbsVal", vec![]),
        Unary::Exp => ("Exp", vec![]),
        Unary::Log => ("Log", vec![]),
        Unary::Step => ("Threshold", vec![]),
        Unary::Neg => power("scale: -1"),
        Unary::Sqrt => power("power: 0.5"),
        Unary::Square => power("power: 2"),
        Unary::Recip => power("power: -1"),
        _ => return Err(Rule::new(format!("Caffe has no function {f}"))),
    })
}

/// A function with one number, on the left if `swapped`.
fn number(f: Binary, c: f64, swapped: bool) -> Result<(&'static str, Vec<String>), Rule> {
    let lines = match (f, swapped) {
        (Binary::Add, _) => vec![format!("shift: {c}")],
        (Binary::Sub, false) => vec![format!("shift: {}", -c)],
        (Binary::Sub, true) => vec!["scale: -1".into(), format!("shift: {c}")],
        (Binary::Mul, _) => vec![format!("scale: {c}")],
        (Binary::Div, false) if c != 0.0 => vec![format!("scale: {}", 1.0 / c)],
        (Binary::Div, true) if c != 0.0 => vec!["power: -1".into(), format!("scale: {}", 1.0 / c)],
        (Binary::Pow, false) => vec![format!("power: {c}")],
        (Binary::Pow, true) if c > 0.0 && c != 1.0 => return Ok(("Exp", vec![format!("base: {c}")])),
        (Binary::Max, _) if c == 0.0 => return Ok(("ReLU", vec![])),
        _ => return Err(Rule::new(format!("{f} with the number {c}"))),
    };
    if !c.is_finite() {
        return Err(Rule::new(format!("{f} with the number {c}")).right("a finite number"));
    }
    Ok(("Power", lines))
}
