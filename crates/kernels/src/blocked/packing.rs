//! Orders of elements other than rows in order.

use crate::{SharedMut, Work};

/// Another physical order of a tensor's elements, which some kernel wants to read: blocked activations, packed or
/// transformed filters. A plan makes each once and shares it between the kernels that ask for equal ones; what depends
/// on weights alone is made when these change.
pub trait Packing: Work + Send + Sync {
    /// Equal for equal contents: what is packed, with every number that the order depends on.
    fn key(&self) -> String;
    /// Number of `f32` of the packed form.
    fn packed_len(&self) -> usize;
    /// Runs one task: reads the tensor in plain order, writes its part of the packed form.
    ///
    /// # Safety
    /// Tasks of one phase may run at the same time, those of the next only after them; nothing else may touch `to` and
    /// `workspace` meanwhile. `scratch` belongs to this call.
    unsafe fn pack(
        &self,
        phase: usize,
        task: usize,
        from: &[f32],
        to: SharedMut<'_, f32>,
        workspace: SharedMut<'_, f32>,
        scratch: &mut [f32],
    );
}
