//! What a kernel of the backend is, and the table row that offers it.

use gabor_graph::{Node, Operation};
use gabor_kernels::blocked::Packing;
use gabor_kernels::blocked::winograd::WinogradTile;
use gabor_kernels::{Isa, SharedMut, Work};
use gabor_tensor::DType;
use std::marker::PhantomData;
use std::sync::Arc;

/// The order in which a kernel reads the elements of a tensor.
#[derive(Clone)]
pub enum Order {
    /// Rows in order: `[N, C, H, W]` as it is written.
    Plain,
    /// Blocks of 16 channels, see [`gabor_kernels::blocked`].
    Blocked,
    /// An order of the kernel's own, made from the plain one: packed or transformed filters.
    Packed(Arc<dyn Packing>),
}

/// In which order a value lies when a candidate is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Rows in order.
    Plain,
    /// Blocks of 16 channels.
    Blocked,
    /// In either order without a copy.
    Either,
}

/// A node with concrete sizes: what a candidate is asked to compute.
pub struct Problem<'a> {
    /// The node.
    pub node: &'a Node,
    /// Extents of the inputs.
    pub inputs: Vec<Vec<usize>>,
    /// Extents of the outputs.
    pub outputs: Vec<Vec<usize>>,
    /// In which order each input lies. A kernel may ask for another one; the plan then copies.
    pub stored: Vec<Stored>,
    /// Which inputs stay the same from run to run: constants, weights that the graph does not change, and what follows
    /// from them. Their packed forms are made once; none where there is one run only.
    pub fixed: Vec<bool>,
    /// Which outputs something reads.
    pub read: Vec<bool>,
    /// Whether fast algorithms with larger rounding errors are forbidden.
    pub strict: bool,
    /// Winograd's algorithm with these tiles, whether it is faster or not.
    pub winograd: Option<WinogradTile>,
    /// Instructions to use.
    pub isa: Isa,
}

impl Problem<'_> {
    /// The operation as its concrete type, if it is one.
    pub fn op<O: Operation>(&self) -> Option<&O> {
        self.node.op::<O>()
    }
    /// Whether an input lies in blocked order only, so that a kernel that follows its inputs goes on in it.
    pub fn any_blocked(&self) -> bool {
        self.stored.contains(&Stored::Blocked)
    }
}

/// A row of a candidate table: the first that accepts a problem computes it.
#[derive(Clone, Copy)]
pub struct Candidate {
    /// Name for reports: `conv.implicit_gemm`.
    pub name: &'static str,
    /// The operation's registry name.
    pub operation: &'static str,
    /// Prepares a kernel, or says why not.
    pub prepare: fn(&Problem<'_>) -> Prepared,
}

/// A kernel, or the reason why there is none.
pub type Prepared = Result<Box<dyn Kernel>, String>;

/// A kernel prepared for one problem.
pub trait Kernel: Send + Sync {
    /// Tasks, phases and working memory.
    fn work(&self) -> &dyn Work;
    /// The order in which input `i` is read.
    fn reads(&self, _i: usize) -> Order {
        Order::Plain
    }
    /// Whether output `i` is written in blocked order.
    fn writes_blocked(&self, _i: usize) -> bool {
        false
    }
    /// Whether an output may lie where an input of equal type and order lies (element-wise kernels).
    fn in_place(&self) -> bool {
        false
    }
    /// Has the kernel write output 0, which is blocked, as a part of larger images, of `pitch` blocks of channels each;
    /// false if it cannot, and then it goes on as before.
    fn spread(&mut self, _pitch: usize) -> bool {
        false
    }
    /// Computes one task of one phase.
    ///
    /// # Safety
    /// `io` matches the problem the kernel was prepared for, `workspace` and `scratch` have the lengths that
    /// [`Work`] asks for, nothing else touches `scratch` or the outputs meanwhile but other tasks of this phase, and all
    /// tasks of earlier phases are done.
    unsafe fn run(&self, phase: usize, task: usize, io: &Io<'_>, workspace: SharedMut<'_, f32>, scratch: &mut [f32]);
}

/// The address, length and type of a value.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    pub(crate) start: *mut u8,
    pub(crate) len: usize,
    pub(crate) dtype: DType,
}

/// The values that a kernel reads and writes.
pub struct Io<'a> {
    inputs: &'a [Slot],
    outputs: &'a [Slot],
    life: PhantomData<&'a mut u8>,
}

// SAFETY: an `Io` hands out shared slices of inputs and `SharedMut`s of outputs, whose own contract covers threads.
unsafe impl Sync for Io<'_> {}

impl<'a> Io<'a> {
    /// # Safety
    /// Every slot is valid for its length for the whole life `'a`; outputs are written by nobody else, and overlap
    /// inputs only where the kernel is in place.
    pub(crate) unsafe fn new(inputs: &'a [Slot], outputs: &'a [Slot]) -> Self {
        Io { inputs, outputs, life: PhantomData }
    }
    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.inputs.len()
    }
    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.outputs.len()
    }
    /// Input `i`, of floats.
    pub fn f32(&self, i: usize) -> &'a [f32] {
        self.slice(i, DType::F32)
    }
    /// Address of input `i`, of floats, for kernels whose outputs may lie over it.
    pub fn address_f32(&self, i: usize) -> *const f32 {
        let s = self.inputs[i];
        assert!(s.dtype == DType::F32, "input {i} holds {}, not f32", s.dtype);
        s.start.cast()
    }
    /// Input `i`, of floats or integers, as floats of the same bits: for kernels that only move elements.
    pub fn bits(&self, i: usize) -> &'a [f32] {
        let s = self.inputs[i];
        assert!(s.dtype.size() == 4, "input {i} holds {}, not 4 bytes each", s.dtype);
        // SAFETY: valid by the contract of `new`; any 4 bytes are a float.
        unsafe { std::slice::from_raw_parts(s.start.cast(), s.len) }
    }
    /// Output `i`, of floats or integers, as floats of the same bits.
    pub fn out_bits(&self, i: usize) -> SharedMut<'a, f32> {
        if self.outputs[i].dtype == DType::I32 { self.out_i32(i).as_f32() } else { self.out_f32(i) }
    }
    /// Input `i`, of integers.
    pub fn i32(&self, i: usize) -> &'a [i32] {
        self.slice(i, DType::I32)
    }
    /// Input `i`, of bytes.
    pub fn u8(&self, i: usize) -> &'a [u8] {
        self.slice(i, DType::U8)
    }
    /// Element type of input `i`.
    pub fn input_type(&self, i: usize) -> DType {
        self.inputs[i].dtype
    }
    /// Output `i`, of floats.
    pub fn out_f32(&self, i: usize) -> SharedMut<'a, f32> {
        self.shared(i, DType::F32)
    }
    /// Output `i`, of integers.
    pub fn out_i32(&self, i: usize) -> SharedMut<'a, i32> {
        self.shared(i, DType::I32)
    }
    /// Output `i`, of bytes.
    pub fn out_u8(&self, i: usize) -> SharedMut<'a, u8> {
        self.shared(i, DType::U8)
    }
    fn slice<T>(&self, i: usize, dtype: DType) -> &'a [T] {
        let s = self.inputs[i];
        assert!(s.dtype == dtype, "input {i} holds {}, not {dtype}", s.dtype);
        // SAFETY: valid by the contract of `new`; the type was checked.
        unsafe { std::slice::from_raw_parts(s.start.cast(), s.len) }
    }
    fn shared<T>(&self, i: usize, dtype: DType) -> SharedMut<'a, T> {
        let s = self.outputs[i];
        assert!(s.dtype == dtype, "output {i} holds {}, not {dtype}", s.dtype);
        // SAFETY: valid by the contract of `new`; the type was checked.
        SharedMut::new(unsafe { std::slice::from_raw_parts_mut(s.start.cast(), s.len) })
    }
}

/// A kernel that reads or writes other orders than the plain one: `reads` for each input (plain where the list ends),
/// `writes_blocked` for all outputs.
pub fn ordered(kernel: Box<dyn Kernel>, reads: Vec<Order>, writes_blocked: bool) -> Box<dyn Kernel> {
    Box::new(Ordered { kernel, reads, writes_blocked })
}

struct Ordered {
    kernel: Box<dyn Kernel>,
    reads: Vec<Order>,
    writes_blocked: bool,
}

impl Kernel for Ordered {
    fn work(&self) -> &dyn Work {
        self.kernel.work()
    }
    fn reads(&self, i: usize) -> Order {
        self.reads.get(i).cloned().unwrap_or(Order::Plain)
    }
    fn writes_blocked(&self, _i: usize) -> bool {
        self.writes_blocked
    }
    fn in_place(&self) -> bool {
        self.kernel.in_place()
    }
    fn spread(&mut self, pitch: usize) -> bool {
        self.kernel.spread(pitch)
    }
    unsafe fn run(&self, phase: usize, task: usize, io: &Io<'_>, workspace: SharedMut<'_, f32>, scratch: &mut [f32]) {
        // SAFETY: the same contract.
        unsafe { self.kernel.run(phase, task, io, workspace, scratch) }
    }
}

/// A kernel in one task, from a function: for operations that are not hot, and for operations of your own.
///
/// The function gets the values and must write every element of every output.
pub fn whole(run: impl Fn(&Io<'_>) + Send + Sync + 'static) -> Box<dyn Kernel> {
    Box::new(Whole { run, work: One })
}

/// As [`whole`], from a safe function of the inputs and the outputs, all of them floats.
pub fn floats(run: impl Fn(&[&[f32]], &mut [&mut [f32]]) + Send + Sync + 'static) -> Box<dyn Kernel> {
    whole(move |io| {
        let inputs: Vec<&[f32]> = (0..io.inputs()).map(|i| io.f32(i)).collect();
        let all = |i| {
            let o = io.out_f32(i);
            // SAFETY: the only task of a kernel that is not in place, so nothing else reads or writes its outputs.
            unsafe { o.part(0, o.len()) }
        };
        run(&inputs, &mut (0..io.outputs()).map(all).collect::<Vec<_>>());
    })
}

struct One;

impl Work for One {
    fn phases(&self) -> &[usize] {
        &[1]
    }
}

struct Whole<F> {
    run: F,
    work: One,
}

impl<F: Fn(&Io<'_>) + Send + Sync> Kernel for Whole<F> {
    fn work(&self) -> &dyn Work {
        &self.work
    }
    unsafe fn run(&self, _phase: usize, _task: usize, io: &Io<'_>, _w: SharedMut<'_, f32>, _s: &mut [f32]) {
        (self.run)(io);
    }
}
