//! Concatenation, slices, padding: elements that only change place.

mod moves;
mod plan;
#[cfg(test)]
mod tests;

pub use plan::BlockedMove;
