//! Candidates that compute on blocked tensors; they are asked before the plain ones.
//!
//! A convolution with enough channels asks for blocked inputs ([`ordered`](crate::ordered) with [`Order::Blocked`] and
//! its filter as [`Order::Packed`]) wherever they come from: the plan reorders. Everything else follows: it accepts if
//! [`Problem::any_blocked`] (or if all that matters is [`Stored::Either`] and blocked is better), asks for the blocked form of its
//! feature maps and writes a blocked result, so that a network is reordered at its two ends only. Outputs that nothing
//! reads ([`Problem::read`]) need not be written.
//!
//! [`Order::Blocked`]: crate::Order::Blocked
//! [`Order::Packed`]: crate::Order::Packed
//! [`Problem::any_blocked`]: crate::Problem::any_blocked
//! [`Problem::read`]: crate::Problem::read
//! [`Stored::Either`]: crate::Stored::Either

use super::conv::{FollowUp, convolution};
use crate::kernel::Io;
use gabor_kernels::blocked::BlockedEpilogue;

pub mod cells;
pub mod conv;
pub mod depthwise;
pub mod filter_grad;
pub mod first;
pub mod map;
pub mod norm;
pub mod pool;
pub mod reduce;
pub mod shuffle;
pub mod winograd;
pub mod winograd_filter_grad;

/// What follows, of a call: the bias is the third input, the other summand the fourth.
fn epilogue<'a>(io: &Io<'a>, follow_up: FollowUp) -> BlockedEpilogue<'a> {
    follow_up.map_or(BlockedEpilogue::default(), |(add, a)| BlockedEpilogue {
        bias: Some(io.f32(2)),
        add: add.then(|| io.f32(3)),
        relu: a.rectifies(),
        limit: a.limit(),
    })
}
