//! The seam behind which plans are executed. A backend is chosen at run time and takes whole programs; neither models
//! nor operations ever see one.

use crate::{Applied, Recompute};
use gabor_graph::ValidGraph;
use gabor_tensor::{DType, Data, Rule, Tensor, Unread};
use std::fmt;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong in compiling or running: where, the rule, what was given, what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    place: String,
    rule: Box<Rule>,
}

impl Error {
    /// A rule broken at a place.
    #[cold]
    pub fn new(place: impl Into<String>, rule: Rule) -> Self {
        Error { place: place.into(), rule: Box::new(rule) }
    }
    /// The broken rule.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.rule)
    }
}
impl std::error::Error for Error {}

impl From<gabor_graph::Error> for Error {
    fn from(e: gabor_graph::Error) -> Self {
        let text = e.to_string();
        let rest = text.strip_prefix(e.place()).and_then(|t| t.strip_prefix(": ")).unwrap_or(&text);
        Error::new(e.place(), Rule::new(rest))
    }
}

/// Graphs that share parameters by name: a training step, the same network for evaluation, …
#[derive(Clone, Debug, Default)]
pub struct Program {
    entries: Vec<(String, ValidGraph)>,
}

impl Program {
    /// An empty program.
    pub fn new() -> Self {
        Self::default()
    }
    /// A program of one graph.
    pub fn single(name: &str, graph: ValidGraph) -> Self {
        Program { entries: vec![(name.to_string(), graph)] }
    }
    /// Adds a graph; returns its number.
    ///
    /// # Errors
    /// A parameter that has another type in an earlier graph.
    pub fn add(&mut self, name: &str, graph: ValidGraph) -> Result<usize> {
        for (v, _) in graph.parameters() {
            let value = graph.value(v);
            for (other, g) in &self.entries {
                if let Some(o) = g.find(&value.name)
                    && g.ty(o) != &value.ty
                {
                    let rule = Rule::new(format!("{} is {} here and {} in {other}", value.name, value.ty, g.ty(o)));
                    return Err(Error::new(name, rule));
                }
            }
        }
        self.entries.push((name.to_string(), graph));
        Ok(self.entries.len() - 1)
    }
    /// Names and graphs.
    pub fn entries(&self) -> &[(String, ValidGraph)] {
        &self.entries
    }
}

/// How to compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileOptions {
    /// Whether fast algorithms with larger rounding errors (Winograd) are forbidden.
    pub strict: bool,
    /// Whether operations are fused; off for tests that compare.
    pub fuse: bool,
    /// Which values of the forward pass are made again for the backward pass instead of kept.
    pub recompute: Recompute,
    /// Whether it runs once or seldom: what is made of weights for all runs then counts as work of that run.
    pub once: bool,
}

impl Default for CompileOptions {
    fn default() -> Self {
        CompileOptions { strict: false, fuse: true, recompute: Recompute::None, once: false }
    }
}

/// A backend: compiles programs for one kind of device.
pub trait Backend: Send + Sync {
    /// The backend's name: `cpu`.
    fn name(&self) -> &str;
    /// Compiles a program. Parameters are zero until they are written.
    ///
    /// # Errors
    /// An operation that has neither a kernel nor a decomposition.
    fn compile(&self, program: &Program, options: &CompileOptions) -> Result<Box<dyn Executable>>;
}

/// A compiled program with its parameters.
pub trait Executable: Send {
    /// Runs graph `entry` on a batch of `n`. Inputs are given by name; outputs stay readable until the next run.
    /// The plan for a batch size is made at its first use and kept; later runs allocate nothing.
    ///
    /// # Errors
    /// A missing or superfluous input, or one of another type.
    fn run(&mut self, entry: usize, n: usize, inputs: &[(&str, &Tensor)]) -> Result<()>;
    /// An output of the last run.
    ///
    /// # Errors
    /// A name that the graph does not have.
    fn output(&self, name: &str) -> Result<View<'_>>;
    /// Reads a parameter.
    ///
    /// # Errors
    /// A name that no graph of the program has.
    fn read(&self, parameter: &str) -> Result<Tensor>;
    /// Writes a parameter.
    ///
    /// # Errors
    /// A name that no graph of the program has, or a tensor of another type.
    fn write(&mut self, parameter: &str, tensor: &Tensor) -> Result<()>;
    /// Writes a parameter whose elements are read by each run, right before the kernel that needs them, into memory that
    /// the next one takes again: for few runs, of networks whose weights are large.
    ///
    /// # Errors
    /// As [`write`](Executable::write). What keeps elements from being read, the runs tell, unless they are read at once.
    fn write_unread(&mut self, parameter: &str, unread: &Unread) -> Result<()> {
        let tensor = unread.tensor().map_err(|r| Error::new(parameter, r))?;
        self.write(parameter, &tensor)
    }
    /// What was compiled for graph `entry` at batch size `n`: the rewritten graph, the plan, who computes what and why.
    ///
    /// # Errors
    /// As compilation.
    fn report(&mut self, entry: usize, n: usize) -> Result<Report>;
    /// As [`run`](Executable::run), `rounds` times; returns the shortest time of each node in seconds, in the order of
    /// execution.
    ///
    /// # Errors
    /// As [`run`](Executable::run).
    fn profile(
        &mut self,
        entry: usize,
        n: usize,
        inputs: &[(&str, &Tensor)],
        rounds: usize,
    ) -> Result<Vec<(String, f64)>>;
}

/// A borrowed tensor.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Extents.
    pub shape: &'a [usize],
    /// Element type.
    pub dtype: DType,
    /// The elements' bytes, in native order.
    bytes: Elements<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Elements<'a> {
    F32(&'a [f32]),
    I32(&'a [i32]),
    U8(&'a [u8]),
}

impl<'a> View<'a> {
    /// A view of floats.
    pub fn f32(shape: &'a [usize], data: &'a [f32]) -> Self {
        View { shape, dtype: DType::F32, bytes: Elements::F32(data) }
    }
    /// A view of integers.
    pub fn i32(shape: &'a [usize], data: &'a [i32]) -> Self {
        View { shape, dtype: DType::I32, bytes: Elements::I32(data) }
    }
    /// A view of bytes.
    pub fn u8(shape: &'a [usize], data: &'a [u8]) -> Self {
        View { shape, dtype: DType::U8, bytes: Elements::U8(data) }
    }
    /// The elements as floats; an error for other types.
    ///
    /// # Errors
    /// Another element type.
    pub fn as_f32(&self) -> Result<&'a [f32]> {
        match self.bytes {
            Elements::F32(v) => Ok(v),
            _ => Err(Error::new("output", Rule::new(format!("elements of type {}, not f32", self.dtype)))),
        }
    }
    /// The value of a single float.
    ///
    /// # Errors
    /// Another element type or more than one element.
    pub fn scalar(&self) -> Result<f32> {
        match self.as_f32()? {
            [v] => Ok(*v),
            v => Err(Error::new("output", Rule::new(format!("{} elements, not one", v.len())))),
        }
    }
    /// A tensor of its own.
    pub fn to_tensor(&self) -> Tensor {
        let data = match self.bytes {
            Elements::F32(v) => Data::F32(v.to_vec()),
            Elements::I32(v) => Data::I32(v.to_vec()),
            Elements::U8(v) => Data::U8(v.to_vec()),
        };
        Tensor::new(self.shape, data).unwrap_or_else(|_| Tensor::zeros(&[0], self.dtype))
    }
}

/// What was compiled, for people and tests.
#[derive(Clone, Debug)]
pub struct Report {
    /// The rewritten graph.
    pub graph: ValidGraph,
    /// The batch size.
    pub n: usize,
    /// Rules that were applied, in order.
    pub applied: Vec<Applied>,
    /// One entry per node, in the order of execution.
    pub nodes: Vec<NodeReport>,
    /// Bytes of the arena that values share by their lifetimes.
    pub arena_bytes: usize,
    /// Bytes that the same values would take side by side.
    pub value_bytes: usize,
    /// Bytes of parameters and state.
    pub parameter_bytes: usize,
    /// Bytes of the kernels' working memory.
    pub scratch_bytes: usize,
    /// What stays from run to run besides parameters: constants, packed weights; the largest first.
    pub kept: Vec<Holder>,
    /// The node at which most of the arena is taken.
    pub peak: String,
    /// What lies in the arena then, the largest first.
    pub holders: Vec<Holder>,
}

/// Something that takes memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The node that made it, and its order if it is not plain; `NODE (workspace)`; or a constant's name.
    pub name: String,
    /// How much it takes.
    pub bytes: usize,
    /// The node that reads it last; empty for the run's outputs and for what stays.
    pub until: String,
}

/// Who computes a node, and where its result lies.
#[derive(Clone, Debug)]
pub struct NodeReport {
    /// The node's name.
    pub node: String,
    /// The kernel that was chosen.
    pub kernel: String,
    /// Kernels that were asked before and refused, with the reason.
    pub refused: Vec<(String, String)>,
    /// Where the outputs lie: `arena 4096+1024`, `parameter conv1.weight`, …
    pub places: Vec<String>,
    /// Parallel tasks of the kernel.
    pub tasks: usize,
    /// Floating-point operations.
    pub flops: u64,
    /// Bytes of all that it reads and writes.
    pub bytes: u64,
    /// Whether it runs once after the parameters change instead of in every run.
    pub prepared: bool,
}
