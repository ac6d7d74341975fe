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
