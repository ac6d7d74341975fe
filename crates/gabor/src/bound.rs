//! Models that are read for one run.

use crate::folded::{Scaled, fold};
use crate::model::check_parameters;
use crate::{Model, Result, files, load, raw};
use gabor_compile::{Backend, Executable, Program};
use gabor_formats::{Array, ElementType, onnx};
use gabor_tensor::{Data, Tensor, Unread};
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
}

impl Model {
    /// Reads a `.onnx` file for one run on these inputs. Extents that the file leaves open are those of the inputs, and
    /// an operator may take from an input what it must know beforehand, such as a shape; such an input becomes part of
    /// the graph.
    ///
    /// # Errors
    /// As [`open`](Model::open); an input that the model does not have, or of another kind or shape than it says.
    pub fn bind(path: impl AsRef<Path>, inputs: Vec<(String, Array)>) -> Result<Bound> {
        let path = path.as_ref();
        let bound = read(path, inputs).and_then(|b| {
            let b = b.whole()?;
            Ok(Bound { model: Model::of_imported(b.model)?, inputs: b.inputs, outputs: b.outputs })
        });
        bound.map_err(|e| e.inside(path.display()))
    }
    /// Reads a `.onnx` file as [`bind`](Model::bind), for nothing but the run on a backend: its large weights are read
    /// then, one after the other, where the backend can wait for them.
    ///
    /// # Errors
    /// As [`bind`](Model::bind), and as compilation.
    pub fn once(path: impl AsRef<Path>, inputs: Vec<(String, Array)>, backend: &dyn Backend) -> Result<Once> {
        let path = path.as_ref();
        read(path, inputs).and_then(|b| Once::new(b, backend)).map_err(|e| e.inside(path.display()))
    }
}

fn read(path: &Path, inputs: Vec<(String, Array)>) -> Result<onnx::Bound> {
    let (bytes, beside) = files::Beside::open(path, load::LARGEST_FILE)?;
    Ok(onnx::import_for(&bytes, inputs, Some(&beside))?)
}

/// A model that was read and compiled for one run.
pub struct Once {
    /// The element types that the file names for its outputs; empty where it does not name all.
    pub outputs: Vec<(String, ElementType)>,
    inputs: Vec<(String, Tensor)>,
    names: Vec<String>,
    compiled: Box<dyn Executable>,
    n: usize,
}

impl Once {
    fn new(b: onnx::Bound, backend: &dyn Backend) -> Result<Self> {
        let (graph, mut weights) = (b.model.graph, b.model.weights);
        let unread = |name: &str| b.unread.iter().find(|(n, _)| n == name).map(|(_, u)| u.shape());
        check_parameters(&graph, |name| weights.get(name).map(Tensor::shape).or_else(|| unread(name)))?;
        let n = raw::batch_size(&graph, &views(&b.inputs))?;
        let names = graph.outputs().iter().map(|o| o.0.clone()).collect();
        let (graph, mut factors) = fold(graph.validate()?, n, &weights)?;
        let mut compiled = backend.compile(&Program::single("run", graph), &raw::once())?;
        for (name, tensor) in &mut weights.0 {
            let shape = tensor.shape().to_vec();
            if let (Some(factors), Data::F32(v)) = (factors.remove(name), tensor.data_mut()) {
                Scaled::scale(&shape, &factors, 0, v);
            }
            compiled.write(name, tensor)?;
        }
        for (name, unread) in b.unread {
            let unread = match factors.remove(&name) {
                Some(factors) => {
                    let shape = unread.shape().to_vec();
                    Unread::new(&shape, Arc::new(Scaled { weights: unread, factors }))
                }
                None => unread,
            };
            compiled.write_unread(&name, &unread)?;
        }
        Ok(Once { outputs: b.outputs, inputs: b.inputs, names, compiled, n })
    }
    /// Runs the model on the inputs that it was read for; returns its outputs in their order.
    ///
    /// # Errors
    /// As [`Model::run`]; weights that cannot be read any more.
    pub fn run(&mut self) -> Result<Vec<(String, Tensor)>> {
        self.compiled.run(0, self.n, &views(&self.inputs))?;
        raw::results(&*self.compiled, &self.names)
    }
}

fn views(inputs: &[(String, Tensor)]) -> Vec<(&str, &Tensor)> {
    inputs.iter().map(|(k, t)| (k.as_str(), t)).collect()
}
