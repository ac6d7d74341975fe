//! Running steps.

use crate::buffer::Buffer;
use crate::kernel::{Io, Kernel, Slot};
use crate::plan::Step;
use crate::pool::{Address, Pool};
use gabor_compile::Result;
use gabor_kernels::SharedMut;

/// Runs steps one after the other, each on all threads that it has tasks for.
pub(crate) fn execute(
    steps: &[Step],
    slots: &[(Vec<Slot>, Vec<Slot>)],
    arena: *mut u8,
    scratch: &mut Buffer,
    pool: &mut Pool,
    before: &mut dyn FnMut(usize, &mut Pool) -> Result<()>,
    done: &mut dyn FnMut(usize),
) -> Result<()> {
    for (i, (step, (inputs, outputs))) in steps.iter().zip(slots).enumerate() {
        before(i, pool)?;
        // SAFETY: the plan gave every value its own place for its lifetime (overlapping only where the kernel works in
        // place), the buffers are alive, and inputs are borrowed by `run`.
        let io = unsafe { Io::new(inputs, outputs) };
        let len = step.kernel.work().workspace_len();
        // SAFETY: the plan reserved `len` floats there for this step.
        let workspace = unsafe { std::slice::from_raw_parts_mut(arena.add(step.workspace).cast::<f32>(), len) };
        // SAFETY: the kernel's contract holds by the two comments above.
        unsafe { run_kernel(&*step.kernel, &io, SharedMut::new(workspace), scratch, pool) };
        done(i);
    }
    Ok(())
}

/// All phases of a kernel, one after the other, each on all threads that it has tasks for. Every thread has its own part
/// of the scratch memory, at least as long as the kernel asks for.
///
/// # Safety
/// `io` and `workspace` are as [`Kernel::run`] demands, and nothing else uses them meanwhile.
pub(crate) unsafe fn run_kernel(
    kernel: &dyn Kernel,
    io: &Io<'_>,
    workspace: SharedMut<'_, f32>,
    scratch: &mut Buffer,
    pool: &mut Pool,
) {
    let per_thread = scratch.len() / 64 / pool.threads() * 64;
    let scratch = Address(scratch.at(0));
    let work = kernel.work();
    let scratch_len = work.scratch_len();
    assert!(scratch_len * 4 <= per_thread, "{scratch_len} floats of scratch in {per_thread} bytes");
    for (phase, &tasks) in work.phases().iter().enumerate() {
        pool.run(tasks, &|task, thread| {
            // SAFETY: each thread's part of the scratch buffer is its own and long enough; the rest is the caller's
            // promise.
            unsafe {
                let start = scratch.get().add(thread * per_thread).cast::<f32>();
                let mine = std::slice::from_raw_parts_mut(start, scratch_len);
                kernel.run(phase, task, io, workspace, mine);
            }
        });
    }
}
