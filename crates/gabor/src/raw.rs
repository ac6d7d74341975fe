//! A model on raw tensors, with gradients of every input and weight.

use crate::{Error, Model, Result};
use gabor_compile::{CompileOptions, Executable, Program, differentiate_with};
use gabor_graph::{Graph, ValueId};
use gabor_tensor::{Dim, Rule, Shape, Tensor, Weights};

/// Gradients of Σ dy·y.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gradients {
    /// By the names of inputs and weights, in the shape of each; zeros where y does not depend on it.
    pub by_name: Weights,
}

impl Model {
    /// Runs the graph on named inputs; returns its outputs in their order.
    ///
    /// # Errors
    /// A missing or superfluous input, or one of another type or shape.
    pub fn run(&self, inputs: &[(&str, &Tensor)]) -> Result<Vec<(String, Tensor)>> {
        Ok(self.run_with_gradients(inputs, &[])?.0)
    }
    /// The same, and the gradients of Σ dy·y for every floating-point input and every weight; `dy` holds names of outputs
    /// with tensors of their shape.
    ///
    /// # Errors
    /// As [`run`](Model::run); an unknown output, or a `dy` of another shape.
    pub fn run_with_gradients(
        &self,
        inputs: &[(&str, &Tensor)],
        dy: &[(&str, &Tensor)],
    ) -> Result<(Vec<(String, Tensor)>, Gradients)> {
        let n = batch_size(&self.graph, inputs)?;
        let mut graph = self.graph.clone();
        let outputs: Vec<String> = graph.outputs().iter().map(|o| o.0.clone()).collect();
        let mut given: Vec<(String, &Tensor)> = inputs.iter().map(|&(k, t)| (k.to_string(), t)).collect();
        let mut seeds = Vec::new();
        for &(name, tensor) in dy {
            let y = graph.output_value(name).ok_or_else(|| {
                Error::new(
                    name,
                    Rule::new("the model has no such output").right(format!("one of {}", outputs.join(", "))),
                )
            })?;
            let (shape, dtype) = (graph.shape(y).clone(), graph.ty(y).dtype);
            if !dtype.is_float() {
                return Err(Error::new(name, Rule::new(format!("an output of {dtype} has no gradient")).right("f32")));
            }
            let input = format!("gradient of {name}");
            seeds.push((y, graph.input(&input, shape, dtype)?));
            given.push((input, tensor));
        }
        let mut wanted: Vec<(String, ValueId, Option<ValueId>)> = Vec::new();
        if !seeds.is_empty() {
            let inputs = self.graph.inputs().filter(|&v| self.graph.ty(v).dtype.is_float());
            let wrt: Vec<ValueId> = inputs.chain(self.graph.parameters().map(|(v, _)| v)).collect();
            let gradients = differentiate_with(&mut graph, &seeds, &wrt, &|_, _| Ok(None))?;
            for (&v, d) in wrt.iter().zip(gradients) {
                let name = graph.value(v).name.clone();
                if let Some(d) = d {
                    graph.output(format!("gradient of {name}"), d);
                }
                wanted.push((name, v, d));
            }
        }
        let program = Program::single("run", graph.validate()?);
        let mut run = self.backend.compile(&program, &once())?;
        self.write_weights(&mut *run)?;
        let list: Vec<(&str, &Tensor)> = given.iter().map(|(k, t)| (k.as_str(), *t)).collect();
        run.run(0, n, &list)?;
        let results = results(&*run, &outputs)?;
        let mut gradients = Gradients::default();
        for (name, v, d) in wanted {
            let tensor = match d {
                Some(_) => run.output(&format!("gradient of {name}"))?.to_tensor(),
                None => Tensor::zeros(&self.graph.shape(v).at(n), self.graph.ty(v).dtype),
            };
            gradients.by_name.insert(name, tensor);
        }
        Ok((results, gradients))
    }

    fn write_weights(&self, run: &mut dyn Executable) -> Result<()> {
        for (name, tensor) in self.weights.iter().filter(|(name, _)| self.graph.find(name).is_some()) {
            run.write(name, tensor)?;
        }
        Ok(())
    }
}

/// For a program that runs once.
pub(crate) fn once() -> CompileOptions {
    CompileOptions { once: true, ..Default::default() }
}

/// Outputs of the last run.
pub(crate) fn results(run: &dyn Executable, names: &[String]) -> Result<Vec<(String, Tensor)>> {
    names.iter().map(|name| Ok((name.clone(), run.output(name)?.to_tensor()))).collect()
}

/// The batch size that the inputs' shapes say; 1 if none has a batch axis.
pub(crate) fn batch_size(graph: &Graph, inputs: &[(&str, &Tensor)]) -> Result<usize> {
    for &(name, tensor) in inputs {
        let known = || {
            graph.inputs().map(|v| format!("{} {}", graph.value(v).name, graph.ty(v))).collect::<Vec<_>>().join(", ")
        };
        let v = (graph.inputs().find(|&v| graph.value(v).name == name)).ok_or_else(|| {
            Error::new(name, Rule::new("the model has no such input").right(format!("one of {}", known())))
        })?;
        let Shape(dims) = graph.shape(v);
        let wrong = |rule: String| {
            let given = format!("{}{:?}", tensor.dtype(), tensor.shape());
            Err(Error::new(name, Rule::new(rule).given(given).right(graph.ty(v).to_string())))
        };
        if dims.len() != tensor.shape().len() {
            return wrong(format!("{} axes where {} are wanted", tensor.shape().len(), dims.len()));
        }
        for (dim, &extent) in dims.iter().zip(tensor.shape()) {
            match dim {
                Dim::Batch(k) if extent > 0 && extent % k == 0 => return Ok(extent / k),
                Dim::Batch(k) => return wrong(format!("an extent of {extent} where a multiple of {k} is wanted")),
                Dim::Fixed(_) => {}
            }
        }
    }
    Ok(1)
}
