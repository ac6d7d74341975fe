//! What every primitive means: naive kernels that read like their definition.
//!
//! They are generic over `f32` and `f64`, know any number of dimensions and never hold back a geometry, so they are the
//! candidate that is always left and the judge of all others. Sums run in `f64` whatever the element type is: the `f32`
//! results carry a single rounding. Slices are row-major and must have the lengths that the documentation states; a
//! kernel overwrites its outputs entirely.

mod batch_norm;
mod conv;
mod index;
mod map;
mod matmul;
mod pad;
mod pool;
mod random;
mod reduce;
mod shuffle;
mod softmax;
mod unfold;

pub use batch_norm::{BatchNorm, BatchNormOut, batch_norm_grad, batch_norm_train};
pub use conv::{conv, conv_filter_grad, conv_input_grad};
pub(crate) use index::each_index;
pub use map::{binary, broadcast_shape, broadcast_to, unary};
pub use matmul::matmul;
pub(crate) use pad::source as pad_source;
pub use pad::{pad, pad_grad};
pub(crate) use pool::divisors as pool_divisors;
pub use pool::{avg_pool, avg_pool_grad, max_pool, max_pool_gather, max_unpool};
pub use random::random_uniform;
pub use reduce::reduce;
pub use shuffle::{concat, embed, gather, one_hot, scatter_add, slice, transpose};
pub use softmax::{log_softmax, softmax};
pub use unfold::{fold, unfold};

#[cfg(test)]
mod tests;
