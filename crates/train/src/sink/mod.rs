//! Files that take events.

mod jsonl;
mod tensorboard;

pub use jsonl::Jsonl;
pub use tensorboard::TensorBoard;
