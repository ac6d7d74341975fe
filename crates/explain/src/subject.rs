//! A network as it is looked at: graph, weights, where pictures go in and scores come out.

use crate::room::{Guarded, Room};
use crate::{Error, Result};
use gabor_compile::{Backend, CompileOptions, Executable, Program};
use gabor_graph::{Graph, ValueId};
use gabor_tensor::{DType, Dim, Rule, Tensor, Weights};
use std::ops::Range;
use std::sync::Arc;

/// Pictures that are always computed together where many go by: enough to read large weights seldom, few enough for a single
/// query not to wait long.
const TOGETHER: usize = 8;

/// Who hears of a part of the pictures, while what was computed of it can be read.
pub(crate) type HearPart<'a> = dyn FnMut(&dyn Executable, Range<usize>) -> Result<()> + 'a;

/// A classifier of pictures with its weights. The graph is the one for inference.
#[derive(Clone)]
pub struct Subject {
    // Shared, so that clones are cheap.
    graph: Arc<Graph>,
    weights: Arc<Weights>,
    images: ValueId,
    scores: ValueId,
    backend: Arc<dyn Backend>,
    room: Room,
}

impl Subject {
    /// A network whose input `images` is `[n, c, h, w]` and whose `scores` (before softmax) are `[n, classes]`.
    ///
    /// # Errors
    /// Values of other shapes.
    pub fn new(
        graph: Graph,
        weights: Weights,
        images: ValueId,
        scores: ValueId,
        backend: Arc<dyn Backend>,
    ) -> Result<Self> {
        let (graph, weights) = (Arc::new(graph), Arc::new(weights));
        let subject = Subject { graph, weights, images, scores, backend, room: Room::default() };
        let known = |v: ValueId, rank: usize| {
            let (g, ty) = (&subject.graph, subject.graph.ty(v));
            let fixed = ty.shape.0.iter().skip(1).all(|d| matches!(d, Dim::Fixed(1..)));
            if ty.dtype == DType::F32 && ty.shape.rank() == rank && fixed && ty.shape.0[0] == Dim::Batch(1) {
                return Ok(());
            }
            let right = if rank == 4 { "[n, channels, height, width]" } else { "[n, classes]" };
            Err(Error::new(&g.value(v).name, Rule::new(format!("a value of type {ty}")).right(right)))
        };
        known(images, 4)?;
        known(scores, 2)?;
        Ok(subject)
    }
    /// The same, computed only where the memory for it is there.
    #[must_use]
    pub fn within(self, room: Room) -> Self {
        Subject { room, ..self }
    }
    /// How much memory may be taken.
    pub(crate) fn room(&self) -> &Room {
        &self.room
    }
    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
    /// Parameters and running statistics.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }
    /// Where pictures go in.
    pub fn images(&self) -> ValueId {
        self.images
    }
    /// The scores of the classes, before softmax.
    pub fn scores(&self) -> ValueId {
        self.scores
    }
    /// The name of the input of pictures.
    pub fn images_name(&self) -> &str {
        &self.graph.value(self.images).name
    }
    /// `[c, h, w]` of a picture.
    pub fn input(&self) -> [usize; 3] {
        let shape = self.extents(self.images);
        [shape[0], shape[1], shape[2]]
    }
    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.extents(self.scores)[0]
    }
    /// Extents of a value without the batch.
    pub fn extents(&self, v: ValueId) -> Vec<usize> {
        self.graph.shape(v).at(1)[1..].to_vec()
    }
    /// Compiles a graph over this network's parameters.
    ///
    /// # Errors
    /// A graph that is not sound, or one that the backend cannot run.
    pub fn compile(&self, graph: Graph) -> Result<Box<dyn Executable>> {
        let graph = graph.validate()?;
        let names: Vec<String> = graph.parameters().map(|(v, _)| graph.value(v).name.clone()).collect();
        let mut run = self.backend.compile(&Program::single("explain", graph), &CompileOptions::default())?;
        for name in names {
            let tensor = self.weights.get(&name).ok_or_else(|| {
                Error::new(&name, Rule::new("the weights do not hold this parameter").right("weights of this network"))
            })?;
            run.write(&name, tensor)?;
        }
        Ok(Box::new(Guarded::new(run, self.room, &self.graph.name)))
    }
    /// That the memory is there for a run of so many pictures, before anything is made ready for it. Runs look for themselves.
    ///
    /// # Errors
    /// That it is not.
    pub(crate) fn foresee(&self, run: &mut dyn Executable, n: usize) -> Result<()> {
        self.room.check_plan(&self.graph.name, &run.report(0, n)?)
    }
    /// Values of the network for pictures `[n, c, h, w]`, in the order asked for.
    ///
    /// # Errors
    /// Pictures of another shape.
    pub fn values(&self, images: &Tensor, wanted: &[ValueId]) -> Result<Vec<Tensor>> {
        let mut graph = self.graph().clone();
        graph.clear_outputs();
        for (i, &v) in wanted.iter().enumerate() {
            graph.output(format!("value{i}"), v);
        }
        let mut run = self.compile(graph)?;
        let n = self.count(images)?;
        run.run(0, n, &[(self.images_name(), images)])?;
        (0..wanted.len()).map(|i| Ok(run.output(&format!("value{i}"))?.to_tensor())).collect()
    }
    /// Runs a graph of [`compile`](Subject::compile) on pictures, [`TOGETHER`] at a time; `hear` gets which pictures they are
    /// while their outputs can be read, in which more rows may follow. Returns how many pictures there are.
    ///
    /// A backend may sum in another order for another number of pictures, over more threads or by another kernel. So it always
    /// gets the same number, the last ones again where there are fewer: no bit depends on how pictures fall into batches.
    ///
    /// # Errors
    /// Pictures of another shape; those of `hear`.
    pub(crate) fn run_parts(
        &self,
        run: &mut dyn Executable,
        images: &Tensor,
        hear: &mut HearPart<'_>,
    ) -> Result<usize> {
        let (n, place) = (self.count(images)?, |r: Rule| Error::new(self.images_name(), r));
        let [c, h, w] = self.input();
        let all = images.as_f32().map_err(place)?;
        for first in (0..n).step_by(TOGETHER) {
            let last = (first + TOGETHER).min(n);
            let which = (first..first + TOGETHER).map(|i| i.min(n - 1) * c * h * w);
            let part = which.flat_map(|at| &all[at..at + c * h * w]).copied().collect();
            let part = Tensor::f32(&[TOGETHER, c, h, w], part).map_err(place)?;
            run.run(0, TOGETHER, &[(self.images_name(), &part)])?;
            hear(run, first..last)?;
        }
        Ok(n)
    }
    /// How many pictures a tensor holds.
    ///
    /// # Errors
    /// A tensor of another shape than this network's pictures.
    pub fn count(&self, images: &Tensor) -> Result<usize> {
        let [c, h, w] = self.input();
        match *images.shape() {
            [n, ic, ih, iw] if n > 0 && [ic, ih, iw] == [c, h, w] => Ok(n),
            _ => {
                let rule = Rule::new(format!("pictures of shape {:?}", images.shape()));
                Err(Error::new(self.images_name(), rule.right(format!("[n, {c}, {h}, {w}]"))))
            }
        }
    }
}
