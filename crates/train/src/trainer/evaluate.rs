//! Evaluation of a network on a part of the data.

use crate::metrics::{Evaluation, Evaluator};
use crate::step::{Forward, LABELS, evaluation};
use crate::{Error, Loss, Result};
use gabor_compile::{Backend, CompileOptions, Executable, Program};
use gabor_data::Loader;
use gabor_tensor::{DType, Rule, Weights};

/// Runs graph `entry` (as [`evaluation`] makes it, with the images' input called `images`) over all samples of a loader
/// in its order, and keeps the `keep` worst mistakes.
///
/// # Errors
/// A sample that cannot be read, or a graph that does not fit the loader.
pub fn run_evaluation(
    executable: &mut dyn Executable,
    entry: usize,
    images: &str,
    loader: &Loader,
    keep: usize,
) -> Result<Evaluator> {
    let data = loader.dataset().clone();
    let mut evaluator = Evaluator::new(data.classes(), keep);
    let mut epoch = loader.epoch(0, 0);
    while let Some(batch) = epoch.next() {
        let batch = batch?;
        let n = batch.indices.len();
        // All of a batch may be left out as unreadable.
        if n == 0 {
            continue;
        }
        executable.run(entry, n, &[(images, &batch.images), (LABELS, &batch.labels)])?;
        let scores = executable.output("logits")?.as_f32()?;
        let losses = executable.output("loss")?.as_f32()?;
        let classes = scores.len() / n.max(1);
        let labels = batch.labels.as_i32().map_err(|r| Error::new(LABELS, r))?;
        for (i, row) in scores.chunks_exact(classes.max(1)).enumerate() {
            let index = batch.indices[i] as usize;
            evaluator.add(index, || data.id(index), row, labels[i] as usize, f64::from(losses[i]));
        }
        epoch.recycle(batch);
    }
    Ok(evaluator)
}

/// Evaluates a network with its weights on a part of the data: cross-entropy, accuracies, confusion matrix, per-class
/// metrics and the `keep` worst mistakes. The graph is the one for inference.
///
/// # Errors
/// A graph with no or several inputs, weights that are missing, or data that cannot be read.
pub fn evaluate(
    backend: &dyn Backend,
    forward: Forward,
    weights: &Weights,
    loader: &Loader,
    split: &str,
    keep: usize,
) -> Result<Evaluation> {
    let inputs: Vec<String> = (forward.graph.inputs())
        .filter(|&v| forward.graph.ty(v).dtype == DType::F32)
        .map(|v| forward.graph.value(v).name.clone())
        .collect();
    let [images] = inputs.as_slice() else {
        let rule = Rule::new(format!("{} inputs: {}", inputs.len(), inputs.join(", "))).right("one input, the images");
        return Err(Error::new(&forward.graph.name, rule));
    };
    let graph = evaluation(forward, Loss::CrossEntropy { smoothing: 0.0 })?.validate()?;
    let program = Program::single("evaluate", graph);
    let mut executable = backend.compile(&program, &CompileOptions::default())?;
    write_weights(&program, &mut *executable, weights)?;
    Ok(run_evaluation(&mut *executable, 0, images, loader, keep)?.finish(split))
}

/// Writes every parameter of a program from `weights`.
///
/// # Errors
/// A parameter that is missing there or has another shape.
pub fn write_weights(program: &Program, executable: &mut dyn Executable, weights: &Weights) -> Result<()> {
    for (_, graph) in program.entries() {
        for (v, _) in graph.parameters() {
            let name = &graph.value(v).name;
            let tensor = weights.get(name).ok_or_else(|| {
                Error::new(name, Rule::new("the weights do not hold this parameter").right("weights of this network"))
            })?;
            executable.write(name, tensor)?;
        }
    }
    Ok(())
}
