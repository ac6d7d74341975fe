//! A model that is read for one run.

use crate::{Error, Model, Result, files, load, raw};
use gabor_compile::{Backend, Executable};
use gabor_formats::{Array, ElementType, onnx};
use gabor_tensor::Tensor;
use std::path::Path;
use std::sync::Arc;

/// A model that was read for one run.
pub struct Bound {
    /// The model.
    pub model: Model,
    /// What was given for the inputs of the model's graph, in the types that it computes in.
    pub inputs: Vec<(String, Tensor)>,
    /// The element types that the file names for its outputs; empty where it does not name all.
    pub outputs: Vec<(String, ElementType)>,
    /// What was compiled for the model and these inputs; its parameters are not written.
    compiled: Option<Box<dyn Executable>>,
}

impl Model {
    /// Reads a `.onnx` file for one run on these inputs. Extents that the file leaves open are those of the inputs, and
    /// an operator may take from an input what it must know beforehand, such as a shape; such an input becomes part of
    /// the graph.
    ///
    /// # Errors
    /// As [`open`](Model::open); an input that the model does not have, or of another kind or shape than it says.
    pub fn bind(path: impl AsRef<Path>, inputs: Vec<(String, Array)>) -> Result<Bound> {
        bind(path.as_ref(), inputs, None)
    }
    /// The same, to be run on a backend, which plans while other threads still read weights.
    ///
    /// # Errors
    /// As [`bind`](Model::bind).
    pub fn bind_on(path: impl AsRef<Path>, inputs: Vec<(String, Array)>, backend: Arc<dyn Backend>) -> Result<Bound> {
        bind(path.as_ref(), inputs, Some(backend))
    }
}

fn bind(path: &Path, inputs: Vec<(String, Array)>, backend: Option<Arc<dyn Backend>>) -> Result<Bound> {
    let (bytes, beside) = files::Beside::open(path, load::LARGEST_FILE)?;
    let mut compiled = None;
    let read = onnx::import_while(&bytes, inputs, Some(&beside), |graph, inputs| {
        // What goes wrong here does so again when it is run, and is told of then.
        compiled = backend.as_ref().and_then(|b| raw::planned(graph, inputs, &**b).ok());
    });
    let bound = read.map_err(Error::from).and_then(|b| {
        let mut model = Model::of_imported(b.model)?;
        if let Some(backend) = backend {
            model = model.on(backend);
        }
        Ok(Bound { model, inputs: b.inputs, outputs: b.outputs, compiled })
    });
    bound.map_err(|e| e.inside(path.display()))
}

impl Bound {
    /// Runs the model on what it was bound to; returns its outputs in their order.
    ///
    /// # Errors
    /// As [`Model::run`].
    pub fn run(&mut self) -> Result<Vec<(String, Tensor)>> {
        let inputs: Vec<(&str, &Tensor)> = self.inputs.iter().map(|(k, t)| (k.as_str(), t)).collect();
        match self.compiled.take() {
            Some(mut compiled) => self.model.run_compiled(&mut *compiled, &inputs),
            None => self.model.run(&inputs),
        }
    }
}
