//! Where a number first stopped being finite.

use crate::Result;
use crate::step::{Forward, StepOptions, backward};
use gabor_compile::{Backend, CompileOptions, Executable, Program};
use gabor_graph::{Graph, Phase, ValueId};
use gabor_tensor::{DType, Tensor};

/// Values looked at in one run: few enough that they fit into memory together.
const AT_ONCE: usize = 48;

/// Runs a batch again on the parameters of `executable` and says in words what is not finite first: an input, a
/// parameter, the value of a layer, the loss, or a gradient.
///
/// # Errors
/// A graph that cannot be compiled.
pub(crate) fn first_not_finite(
    backend: &dyn Backend,
    executable: &dyn Executable,
    forward: &Forward,
    options: &StepOptions,
    n: usize,
    inputs: &[(&str, &Tensor)],
) -> Result<String> {
    for (name, tensor) in inputs {
        if let Some(count) = bad(tensor) {
            return Ok(format!("{count} of {} numbers of the input `{name}` are not finite", tensor.len()));
        }
    }
    let (graph, gradients) = backward(forward.clone(), options)?;
    let mut parameters = Vec::new();
    for (v, p) in graph.parameters() {
        let name = &graph.value(v).name;
        let tensor = executable.read(name)?;
        // Running statistics take every step's numbers, bad ones too, but training never reads them.
        if let (Some(count), true) = (bad(&tensor), p.trainable) {
            return Ok(format!("{count} of {} numbers of the parameter `{name}` are not finite", tensor.len()));
        }
        parameters.push((name.clone(), tensor));
    }
    let values: Vec<ValueId> = (graph.nodes().iter())
        .flat_map(|node| node.outputs.iter().copied())
        .filter(|&v| graph.ty(v).dtype == DType::F32)
        .collect();
    let given: Vec<String> = graph.inputs().map(|v| graph.value(v).name.clone()).collect();
    let inputs: Vec<_> = inputs.iter().filter(|(name, _)| given.iter().any(|g| g == name)).copied().collect();
    for chunk in values.chunks(AT_ONCE) {
        let mut part = graph.clone();
        part.clear_outputs();
        for (i, &v) in chunk.iter().enumerate() {
            part.output(i.to_string(), v);
        }
        let program = Program::single("diagnose", part.validate()?);
        let mut run = backend.compile(&program, &CompileOptions { fuse: false, strict: true, ..Default::default() })?;
        for (name, tensor) in &parameters {
            run.write(name, tensor)?;
        }
        run.run(0, n, &inputs)?;
        for (i, &v) in chunk.iter().enumerate() {
            let tensor = run.output(&i.to_string())?.to_tensor();
            if let Some(count) = bad(&tensor) {
                let of = format!("{count} of {} numbers are not finite", tensor.len());
                return Ok(format!("first at {}: {of}", place(&graph, &gradients, v)));
            }
        }
    }
    Ok("every value is finite when the batch runs again: the norm of the gradients is too large for a 32-bit number, or \
        weights that the step did change hide the place"
        .into())
}

/// A value in words.
fn place(graph: &Graph, gradients: &[(ValueId, ValueId)], v: ValueId) -> String {
    if let Some(&(w, _)) = gradients.iter().find(|(_, d)| *d == v) {
        return format!("the gradient of `{}`", graph.value(w).name);
    }
    let Some(node) = graph.producer(v) else { return graph.value(v).name.clone() };
    let operation = node.operation.name();
    match node.phase {
        Phase::Forward => format!("node `{}` ({operation}) of the network", node.name),
        Phase::Loss => format!("node `{}` ({operation}) of the loss", node.name),
        Phase::Backward | Phase::Update => format!("node `{}` ({operation}) of the backward pass", node.name),
    }
}

/// How many numbers are not finite, if any.
fn bad(tensor: &Tensor) -> Option<usize> {
    let count = tensor.as_f32().map_or(0, |v| v.iter().filter(|x| !x.is_finite()).count());
    (count > 0).then_some(count)
}
