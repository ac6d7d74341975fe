//! A readable interpreter of graphs over the reference kernels: the judge of every other way to run one.

use gabor_graph::ops::{
    AvgPool, AvgPoolGrad, BatchNorm, BinaryMap, Cast, Concat, Conv, ConvFilterGrad, ConvInputGrad, Embed, Fold, Gather,
    LogSoftmax, MatMul, MaxPool, MaxPoolGather, MaxUnpool, OneHot, Pad, PadGrad, RandomUniform, Reduce, ScatterAdd,
    Size, Slice, Softmax, Transpose, UnaryMap, Unfold,
};
use gabor_graph::{Error, Graph, Node, Operation, Result, Source, ValueId};
use gabor_kernels::{MatMul as Product, reference as kernels};
use gabor_tensor::{DType, Data, Real, Rule, Tensor};
use std::collections::{HashMap, HashSet};

/// The type that all floating-point values of a run have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits, as networks compute.
    F32,
    /// 64 bits, to judge and to differentiate numerically.
    F64,
}

/// Evaluates `wanted` values of a graph at batch size `n`.
///
/// `bindings` gives the inputs and parameters that they depend on; floats are converted to `precision`, integers and
/// bytes are kept. An operation without a kernel is evaluated by its decomposition. Updates are not applied.
///
/// # Errors
/// A missing binding, one of another shape or kind of element, or an operation with neither kernel nor decomposition.
pub fn evaluate(
    graph: &Graph,
    n: usize,
    bindings: &HashMap<ValueId, Tensor>,
    precision: Precision,
    wanted: &[ValueId],
) -> Result<Vec<Tensor>> {
    match precision {
        Precision::F32 => run::<f32>(graph, n, bindings, wanted),
        Precision::F64 => run::<f64>(graph, n, bindings, wanted),
    }
}

/// A floating-point type with its place in a tensor.
trait Float: Real {
    const DTYPE: DType;
    fn slice(t: &Tensor) -> Option<&[Self]>;
    fn data(v: Vec<Self>) -> Data;
}

impl Float for f32 {
    const DTYPE: DType = DType::F32;
    fn slice(t: &Tensor) -> Option<&[f32]> {
        if let Data::F32(v) = t.data() { Some(v) } else { None }
    }
    fn data(v: Vec<f32>) -> Data {
        Data::F32(v)
    }
}

impl Float for f64 {
    const DTYPE: DType = DType::F64;
    fn slice(t: &Tensor) -> Option<&[f64]> {
        if let Data::F64(v) = t.data() { Some(v) } else { None }
    }
    fn data(v: Vec<f64>) -> Data {
        Data::F64(v)
    }
}

fn run<R: Float>(
    graph: &Graph,
    n: usize,
    bindings: &HashMap<ValueId, Tensor>,
    wanted: &[ValueId],
) -> Result<Vec<Tensor>> {
    let needed = ancestors(graph, wanted);
    let mut values: HashMap<ValueId, Tensor> = HashMap::new();
    for id in graph.value_ids().filter(|id| needed.contains(id)) {
        let value = graph.value(id);
        let tensor = match &value.source {
            Source::Node(..) => continue,
            Source::Constant(t) => t,
            Source::Input | Source::Parameter(_) => bindings
                .get(&id)
                .ok_or_else(|| Error::new(&value.name, Rule::new(format!("no value is given for {}", value.ty))))?,
        };
        let (given, want) = (tensor.shape(), value.ty.shape.at(n));
        let kinds_fit = tensor.dtype() == value.ty.dtype || (tensor.dtype().is_float() && value.ty.dtype.is_float());
        if given != want || !kinds_fit {
            let rule = Rule::new(format!("a tensor of {} {given:?} for {} at n = {n}", tensor.dtype(), value.ty));
            return Err(Error::new(&value.name, rule.right(format!("{} {want:?}", value.ty.dtype))));
        }
        values.insert(id, if tensor.dtype().is_float() { tensor.cast(R::DTYPE) } else { tensor.clone() });
    }
    for node in graph.nodes().iter().filter(|node| node.outputs.iter().any(|o| needed.contains(o))) {
        let inputs: Vec<&Tensor> = node.inputs.iter().filter_map(|v| values.get(v)).collect();
        let shapes: Vec<Vec<usize>> = node.outputs.iter().map(|&o| graph.shape(o).at(n)).collect();
        let outputs = match kernel::<R>(node.operation.name()) {
            Some(f) => f(&Call { node, inputs: &inputs, shapes: &shapes }).map_err(|r| Error::new(&node.name, r))?,
            None => decomposed::<R>(graph, n, node, &inputs)?,
        };
        values.extend(node.outputs.iter().copied().zip(outputs));
    }
    wanted
        .iter()
        .map(|id| {
            let missing = || Error::new(&graph.value(*id).name, Rule::new("the value was not computed"));
            values.get(id).cloned().ok_or_else(missing)
        })
        .collect()
}

/// The wanted values and all that they depend on.
fn ancestors(graph: &Graph, wanted: &[ValueId]) -> HashSet<ValueId> {
    let mut needed: HashSet<ValueId> = wanted.iter().copied().collect();
    for node in graph.nodes().iter().rev() {
        if node.outputs.iter().any(|o| needed.contains(o)) {
            needed.extend(&node.inputs);
        }
    }
    needed
}

/// Evaluates a node by its decomposition, in a graph of its own.
fn decomposed<R: Float>(graph: &Graph, n: usize, node: &Node, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
    let mut inner = Graph::new(&node.name);
    let mut bindings = HashMap::new();
    let mut ids = Vec::new();
    for (i, (&v, tensor)) in node.inputs.iter().zip(inputs).enumerate() {
        let ty = graph.ty(v);
        let id = inner.input(&format!("{}#in{i}", node.name), ty.shape.clone(), ty.dtype)?;
        bindings.insert(id, (*tensor).clone());
        ids.push(id);
    }
    inner.scope(&node.name);
    let outputs = node.operation.decompose(&mut inner, &ids).ok_or_else(|| {
        let rule = Rule::new(format!("operation `{}` has neither kernel nor decomposition", node.operation.name()));
        Error::new(&node.name, rule)
    })??;
    run::<R>(&inner, n, &bindings, &outputs)
}

/// One node with the numbers it reads and the shapes it makes.
struct Call<'a> {
    node: &'a Node,
    inputs: &'a [&'a Tensor],
    shapes: &'a [Vec<usize>],
}

type Outputs = Result<Vec<Tensor>, Rule>;

impl Call<'_> {
    fn op<O: Operation>(&self) -> Result<&O, Rule> {
        let wrong = || Rule::new(format!("another operation is registered as `{}`", self.node.operation.name()));
        self.node.op::<O>().ok_or_else(wrong)
    }
    fn input(&self, i: usize) -> Result<&Tensor, Rule> {
        self.inputs.get(i).copied().ok_or_else(|| Rule::new(format!("input {i} is missing")))
    }
    fn shape(&self, i: usize) -> Result<&[usize], Rule> {
        Ok(self.input(i)?.shape())
    }
    fn floats<R: Float>(&self, i: usize) -> Result<&[R], Rule> {
        let t = self.input(i)?;
        R::slice(t).ok_or_else(|| Rule::new(format!("input {i} has elements of {}, floats are wanted", t.dtype())))
    }
    fn ints(&self, i: usize) -> Result<&[i32], Rule> {
        self.input(i)?.as_i32()
    }
    /// Zeros for output `i`.
    fn zeros<R: Float>(&self, i: usize) -> Vec<R> {
        vec![R::ZERO; self.shapes[i].iter().product()]
    }
    /// The only output, filled by `f`.
    fn one<R: Float>(&self, f: impl FnOnce(&mut [R])) -> Outputs {
        let mut y = self.zeros::<R>(0);
        f(&mut y);
        Ok(vec![self.done(0, y)?])
    }
    fn done<R: Float>(&self, i: usize, v: Vec<R>) -> Result<Tensor, Rule> {
        Tensor::new(&self.shapes[i], R::data(v))
    }
    /// Images times channels of `[n, c, …]`.
    fn planes(&self, i: usize) -> Result<usize, Rule> {
        Ok(self.shape(i)?.iter().take(2).product())
    }
}

/// The table of kernels: the operation's registry name and what computes it.
#[rustfmt::skip]
fn kernel<R: Float>(name: &str) -> Option<fn(&Call<'_>) -> Outputs> {
    Some(match name {
        "conv" => |c| { let g = &c.op::<Conv>()?.geometry; let (x, w) = (c.floats::<R>(0)?, c.floats(1)?);
            let n = c.shape(0)?[0]; c.one(|y| kernels::conv(g, n, x, w, y)) },
        "conv_input_grad" => |c| { let g = &c.op::<ConvInputGrad>()?.geometry; let (dy, w) = (c.floats::<R>(0)?, c.floats(1)?);
            let n = c.shape(0)?[0]; c.one(|dx| kernels::conv_input_grad(g, n, dy, w, dx)) },
        "conv_filter_grad" => |c| { let g = &c.op::<ConvFilterGrad>()?.geometry; let (x, dy) = (c.floats::<R>(0)?, c.floats(1)?);
            let n = c.shape(0)?[0]; c.one(|dw| kernels::conv_filter_grad(g, n, x, dy, dw)) },
        "matmul" => matmul::<R>,
        "unfold" => |c| { let w = &c.op::<Unfold>()?.window; let (x, s) = (c.floats::<R>(0)?, c.shape(0)?);
            c.one(|y| kernels::unfold(w, s[0], s[1], x, y)) },
        "fold" => |c| { let w = &c.op::<Fold>()?.window; let (x, s) = (c.floats::<R>(0)?, &c.shapes[0]);
            c.one(|y| kernels::fold(w, s[0], s[1], x, y)) },
        "max_pool" => max_pool::<R>,
        "max_unpool" => |c| { let w = &c.op::<MaxUnpool>()?.window; let (p, dy, at) = (c.planes(0)?, c.floats::<R>(0)?, c.ints(1)?);
            c.one(|dx| kernels::max_unpool(w, p, dy, at, dx)) },
        "max_pool_gather" => |c| { let w = &c.op::<MaxPoolGather>()?.window; let (p, x, at) = (c.planes(0)?, c.floats::<R>(0)?, c.ints(1)?);
            c.one(|y| kernels::max_pool_gather(w, p, x, at, y)) },
        "avg_pool" => |c| { let o = c.op::<AvgPool>()?; let (p, x) = (c.planes(0)?, c.floats::<R>(0)?);
            c.one(|y| kernels::avg_pool(&o.window, p, o.divisor, x, y)) },
        "avg_pool_grad" => |c| { let o = c.op::<AvgPoolGrad>()?; let (p, dy) = (c.planes(0)?, c.floats::<R>(0)?);
            c.one(|dx| kernels::avg_pool_grad(&o.window, p, o.divisor, dy, dx)) },
        "unary" => |c| { let f = c.op::<UnaryMap>()?.f; let x = c.floats::<R>(0)?; c.one(|y| kernels::unary(f, x, y)) },
        "binary" => |c| { let f = c.op::<BinaryMap>()?.f; let (a, b) = (c.floats::<R>(0)?, c.floats(1)?);
            let (sa, sb) = (c.shape(0)?, c.shape(1)?); c.one(|y| kernels::binary(f, a, sa, b, sb, y)) },
        "reduce" => |c| { let o = c.op::<Reduce>()?; let (x, s) = (c.floats::<R>(0)?, c.shape(0)?);
            c.one(|y| kernels::reduce(o.kind, x, s, &o.axes, y)) },
        "broadcast" => |c| { let (x, s) = (c.floats::<R>(0)?, c.shape(0)?); c.one(|y| kernels::broadcast_to(x, s, &c.shapes[0], y)) },
        "reshape" => |c| Ok(vec![c.input(0)?.clone().reshape(&c.shapes[0])?]),
        "transpose" => transpose,
        "concat" => concat::<R>,
        "slice" => |c| { let o = c.op::<Slice>()?; let (x, s) = (c.floats::<R>(0)?, c.shape(0)?);
            let (starts, steps) = along(s.len(), o.axis, o.start, o.step);
            c.one(|y| kernels::slice(x, s, &starts, &steps, &c.shapes[0], y)) },
        "embed" => |c| { let o = c.op::<Embed>()?; let (x, s) = (c.floats::<R>(0)?, c.shape(0)?);
            let (starts, steps) = along(s.len(), o.axis, o.start, o.step);
            c.one(|y| kernels::embed(x, s, &starts, &steps, &c.shapes[0], y)) },
        "pad" => |c| { let o = c.op::<Pad>()?; let (x, s) = (c.floats::<R>(0)?, c.shape(0)?);
            c.one(|y| kernels::pad(o.mode, R::from_f64(o.value), x, s, &o.pads, y)) },
        "pad_grad" => |c| { let o = c.op::<PadGrad>()?; let dy = c.floats::<R>(0)?;
            c.one(|dx| kernels::pad_grad(o.mode, dy, &c.shapes[0], &o.pads, dx)) },
        "softmax" => |c| { let axis = c.op::<Softmax>()?.axis; let (x, s) = (c.floats::<R>(0)?, c.shape(0)?);
            c.one(|y| kernels::softmax(x, s, axis, y)) },
        "log_softmax" => |c| { let axis = c.op::<LogSoftmax>()?.axis; let (x, s) = (c.floats::<R>(0)?, c.shape(0)?);
            c.one(|y| kernels::log_softmax(x, s, axis, y)) },
        "batch_norm" => batch_norm::<R>,
        "batch_norm_grad" => batch_norm_grad::<R>,
        "one_hot" => |c| { let classes = c.op::<OneHot>()?.classes; let labels = c.ints(0)?;
            c.one::<R>(|y| kernels::one_hot(labels, classes, y)) },
        "gather" => |c| { let axis = c.op::<Gather>()?.axis; let (x, s, at) = (c.floats::<R>(0)?, c.shape(0)?, c.ints(1)?);
            let inner = s[axis + 1..].iter().product(); c.one(|y| kernels::gather(x, s[axis], inner, at, y)) },
        "scatter_add" => |c| { let (axis, s) = (c.op::<ScatterAdd>()?.axis, &c.shapes[0]); let (dy, at) = (c.floats::<R>(0)?, c.ints(1)?);
            let inner = s[axis + 1..].iter().product(); c.one(|dx| kernels::scatter_add(dy, s[axis], inner, at, dx)) },
        "cast" => |c| { let to = c.op::<Cast>()?.dtype;
            Ok(vec![c.input(0)?.cast(if to.is_float() { R::DTYPE } else { to })]) },
        "random_uniform" => random_uniform::<R>,
        "size" => |c| { let (s, axes) = (c.shape(0)?, &c.op::<Size>()?.axes);
            let size: usize = axes.iter().map(|&a| s[a]).product(); c.one(|y| y.fill(R::from_f64(size as f64))) },
        _ => return None,
    })
}

fn matmul<R: Float>(c: &Call<'_>) -> Outputs {
    let op = c.op::<MatMul>()?;
    let p = product(op, c.shape(0)?, c.shape(1)?);
    let (a, b) = (c.floats::<R>(0)?, c.floats(1)?);
    c.one(|y| kernels::matmul(&p, a, b, y))
}

/// The sizes of a matrix product of concrete shapes.
pub(crate) fn product(op: &MatMul, a: &[usize], b: &[usize]) -> Product {
    let r = a.len();
    let (m, k) = if op.transpose_a { (a[r - 1], a[r - 2]) } else { (a[r - 2], a[r - 1]) };
    let n = if op.transpose_b { b[r - 2] } else { b[r - 1] };
    let batch = if r == 3 { a[0] } else { 1 };
    Product { batch, m, n, k, transpose_a: op.transpose_a, transpose_b: op.transpose_b }
}

fn max_pool<R: Float>(c: &Call<'_>) -> Outputs {
    let (window, planes, x) = (&c.op::<MaxPool>()?.window, c.planes(0)?, c.floats::<R>(0)?);
    let mut y = c.zeros::<R>(0);
    let mut switches = vec![0; y.len()];
    kernels::max_pool(window, planes, x, &mut y, &mut switches);
    Ok(vec![c.done(0, y)?, Tensor::i32(&c.shapes[1], switches)?])
}

/// Starts and steps of a slice along one axis.
pub(crate) fn along(rank: usize, axis: usize, start: usize, step: usize) -> (Vec<usize>, Vec<isize>) {
    let (mut starts, mut steps) = (vec![0; rank], vec![1; rank]);
    starts[axis] = start;
    steps[axis] = step as isize;
    (starts, steps)
}

fn transpose(c: &Call<'_>) -> Outputs {
    fn go<T: Copy + Default>(x: &[T], shape: &[usize], perm: &[usize]) -> Vec<T> {
        let mut y = vec![T::default(); x.len()];
        kernels::transpose(x, shape, perm, &mut y);
        y
    }
    let (perm, x) = (&c.op::<Transpose>()?.perm, c.input(0)?);
    let data = match x.data() {
        Data::F32(v) => Data::F32(go(v, x.shape(), perm)),
        Data::F64(v) => Data::F64(go(v, x.shape(), perm)),
        Data::I32(v) => Data::I32(go(v, x.shape(), perm)),
        Data::U8(v) => Data::U8(go(v, x.shape(), perm)),
    };
    Ok(vec![Tensor::new(&c.shapes[0], data)?])
}

fn concat<R: Float>(c: &Call<'_>) -> Outputs {
    let axis = c.op::<Concat>()?.axis;
    let parts = (0..c.inputs.len()).map(|i| Ok((c.floats::<R>(i)?, c.shape(i)?))).collect::<Result<Vec<_>, Rule>>()?;
    c.one(|y| kernels::concat(&parts, axis, y))
}

/// Extents of a normalisation over `[n, c, …]`.
pub(crate) fn extents(shape: &[usize], eps: f64, momentum: f64) -> kernels::BatchNorm {
    kernels::BatchNorm { n: shape[0], c: shape[1], s: shape[2..].iter().product(), eps, momentum }
}

fn batch_norm<R: Float>(c: &Call<'_>) -> Outputs {
    let op = c.op::<BatchNorm>()?;
    let p = extents(c.shape(0)?, op.eps, op.momentum);
    let mut out: Vec<Vec<R>> = (0..5).map(|i| c.zeros(i)).collect();
    let [y, mean, inv_std, new_running_mean, new_running_var] = &mut out[..] else { return Ok(Vec::new()) };
    let to = kernels::BatchNormOut { y, mean, inv_std, new_running_mean, new_running_var };
    kernels::batch_norm_train(&p, c.floats(0)?, c.floats(1)?, c.floats(2)?, c.floats(3)?, c.floats(4)?, to);
    out.into_iter().enumerate().map(|(i, v)| c.done(i, v)).collect()
}

fn batch_norm_grad<R: Float>(c: &Call<'_>) -> Outputs {
    let p = extents(c.shape(1)?, 0.0, 0.0);
    let mut out: Vec<Vec<R>> = (0..3).map(|i| c.zeros(i)).collect();
    let [dx, dgamma, dbeta] = &mut out[..] else { return Ok(Vec::new()) };
    let (dy, x, gamma) = (c.floats(0)?, c.floats(1)?, c.floats(2)?);
    kernels::batch_norm_grad(&p, dy, x, gamma, c.floats(3)?, c.floats(4)?, dx, dgamma, dbeta);
    out.into_iter().enumerate().map(|(i, v)| c.done(i, v)).collect()
}

fn random_uniform<R: Float>(c: &Call<'_>) -> Outputs {
    let operation = c.op::<RandomUniform>()?.operation;
    let &[seed_low, seed_high, step_low, step_high] = c.ints(0)? else {
        return Err(Rule::new("a key has 4 words: seed and step, low word first"));
    };
    let join = |low: i32, high: i32| u64::from(low as u32) | u64::from(high as u32) << 32;
    c.one::<R>(|y| kernels::random_uniform(join(seed_low, seed_high), operation, join(step_low, step_high), y))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gabor_graph::registry;
    use gabor_tensor::{Shape, WindowOptions};

    #[test]
    fn every_operation_can_be_evaluated() {
        for spec in registry() {
            for problem in (spec.samples)() {
                let types: Vec<_> = problem
                    .inputs
                    .iter()
                    .map(|(shape, dtype, _)| gabor_graph::ValueType { shape: shape.clone(), dtype: *dtype })
                    .collect();
                let known = kernel::<f64>(spec.name).is_some();
                assert_eq!(problem.operation.infer(&types).map(|_| ()), Ok(()), "{}", problem.to_text());
                let mut g = Graph::new("test");
                let ids: Vec<_> = types
                    .iter()
                    .enumerate()
                    .map(|(i, t)| g.input(&i.to_string(), t.shape.clone(), t.dtype).unwrap())
                    .collect();
                assert!(known || problem.operation.decompose(&mut g, &ids).is_some(), "{}", spec.name);
            }
        }
    }

    #[test]
    fn a_missing_binding_and_a_wrong_shape_are_errors() {
        let mut g = Graph::new("test");
        let x = g.input("x", Shape::batch(&[1, 4]), DType::F32).unwrap();
        let y = g.max_pool(x, &WindowOptions::new(&[2]).stride(&[2])).unwrap();
        let e = evaluate(&g, 1, &HashMap::new(), Precision::F32, &[y]).unwrap_err();
        assert_eq!(e.to_string(), "x: no value is given for f32[n, 1, 4]");
        let short = HashMap::from([(x, Tensor::f32(&[1, 1, 3], vec![0.0; 3]).unwrap())]);
        let e = evaluate(&g, 1, &short, Precision::F32, &[y]).unwrap_err();
        assert_eq!(
            e.to_string(),
            "x: a tensor of f32 [1, 1, 3] for f32[n, 1, 4] at n = 1; right would be: f32 [1, 1, 4]"
        );
        let good = HashMap::from([(x, Tensor::f32(&[1, 1, 4], vec![1.0, 3.0, 2.0, -1.0]).unwrap())]);
        let y = evaluate(&g, 1, &good, Precision::F64, &[y]).unwrap();
        assert_eq!(y[0].to_f64(), [3.0, 2.0]);
    }
}
