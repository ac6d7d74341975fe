//! The backend and its options.

use crate::executor::CpuExecutable;
use crate::kernel::Candidate;
use crate::tune::Tuning;
use gabor_compile::{Backend, CompileOptions, Error, Executable, Program, Result};
use gabor_kernels::Isa;
use gabor_kernels::blocked::winograd::WinogradTile;
use gabor_tensor::Rule;
use std::sync::Arc;

/// How the backend works.
#[derive(Clone, Debug, Default)]
pub struct CpuOptions {
    /// Threads, the calling one included; `None`: as many as the process may use at once (affinity and control groups
    /// respected). Results do not depend on it.
    pub threads: Option<usize>,
    /// Instructions to use; `None`: the widest that the processor has. Results depend on it only where
    /// a set is not exact ([`Isa::is_exact`]).
    pub isa: Option<Isa>,
    /// Whether fast algorithms with larger rounding errors (Winograd) are forbidden, whatever a program's own
    /// [`CompileOptions`] say.
    pub strict: bool,
    /// Choose between kernels by measuring them, where no choice is remembered here; `None`: by rule, which needs no
    /// time and gives the same bits everywhere.
    pub tune: Option<Arc<Tuning>>,
    /// Whether feature maps at the ends, inputs and outputs of a batch with whole blocks of 16 channels, are given and
    /// taken in blocked order (NCHW16c), as they lie inside a network: neither end is reordered. Shapes stay the plain
    /// ones.
    pub blocked_ends: bool,
    /// Winograd's algorithm with these tiles wherever it can compute a convolution or a gradient, for tests and
    /// measurements of its errors; `None`: with the tiles, and where, it is expected to be fastest.
    pub winograd: Option<WinogradTile>,
    /// Candidates whose name begins with one of these are refused, for tests.
    pub refuse: Vec<String>,
}

/// Runs programs on the processor.
///
/// ```
/// use gabor_compile::{Backend, CompileOptions, Program};
/// use gabor_graph::Graph;
/// use gabor_tensor::{DType, Shape, Tensor};
/// let mut g = Graph::new("double");
/// let x = g.input("x", Shape::batch(&[]), DType::F32).unwrap();
/// let y = g.scale(x, 2.0).unwrap();
/// g.output("y", y);
/// let backend = gabor_cpu::CpuBackend::default();
/// let mut run = backend.compile(&Program::single("double", g.validate().unwrap()), &CompileOptions::default()).unwrap();
/// run.run(0, 3, &[("x", &Tensor::f32(&[3], vec![1.0, 2.0, 3.0]).unwrap())]).unwrap();
/// assert_eq!(run.output("y").unwrap().as_f32().unwrap(), [2.0, 4.0, 6.0]);
/// ```
#[derive(Clone, Default)]
pub struct CpuBackend {
    options: CpuOptions,
    custom: Vec<Candidate>,
}

impl CpuBackend {
    /// A backend with options.
    ///
    /// # Errors
    /// Zero threads, or instructions that this processor lacks.
    pub fn new(options: CpuOptions) -> Result<Self> {
        if options.threads == Some(0) {
            return Err(Error::new("threads", Rule::new("0 threads").right("at least 1")));
        }
        if let Some(isa) = options.isa
            && !Isa::available().contains(&isa)
        {
            let has: Vec<String> = Isa::available().iter().map(|i| format!("{i:?}")).collect();
            let rule = Rule::new(format!("this processor has no {isa:?}")).right(format!("one of {}", has.join(", ")));
            return Err(Error::new("isa", rule));
        }
        Ok(CpuBackend { options, custom: Vec::new() })
    }
    /// Adds a kernel of your own; it is asked before the backend's.
    #[must_use]
    pub fn with_candidate(mut self, candidate: Candidate) -> Self {
        self.custom.push(candidate);
        self
    }
    /// The kernels for an operation, in the order in which they are asked.
    pub(crate) fn candidates<'a>(&'a self, operation: &'a str) -> impl Iterator<Item = &'a Candidate> {
        let builtin = crate::candidates::all().map(|c| -> &'a Candidate { c });
        self.custom.iter().chain(builtin).filter(move |c| c.operation == operation)
    }
    /// The options.
    pub fn options(&self) -> &CpuOptions {
        &self.options
    }
    pub(crate) fn isa(&self) -> Isa {
        self.options.isa.unwrap_or_else(Isa::best)
    }
    /// Threads, the calling one included.
    pub fn threads(&self) -> usize {
        self.options.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get()))
    }
}

impl Backend for CpuBackend {
    fn name(&self) -> &str {
        if self.options.blocked_ends { "cpu+blocked" } else { "cpu" }
    }
    fn compile(&self, program: &Program, options: &CompileOptions) -> Result<Box<dyn Executable>> {
        Ok(Box::new(CpuExecutable::new(self.clone(), program, options.clone())?))
    }
}
