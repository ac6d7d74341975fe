//! ONNX: a graph, its weights and what prediction needs, in one file that other runtimes open.
//!
//! [`export`] writes opset 17 with a symbolic batch size; [`import`] reads the same operators from other producers, of
//! opsets 7 to 28. Both refuse what they cannot say, listing every such node at once. Adding an operator costs one
//! function and one row of a table: `export/*.rs` by the registry's name, `import/*.rs` by ONNX's.
//!
//! The messages of `onnx.proto3` are declared in `proto.rs` over the small reader and writer in `crate::wire`: no protocol
//! compiler and no build script.

mod export;
mod import;
mod metadata;
mod outline;
mod proto;
mod stored;
mod tensor;

pub use export::export;
pub use import::{Bound, import, import_for, import_with};
pub use outline::{OWN, ReadAt, outline};
pub use tensor::{External, Location, read_tensor};
// Under their old paths, too: most callers read and write ONNX alone.
pub use crate::{Imported, Metadata};

/// The opset that files are written in.
pub const OPSET: i64 = 17;
/// The version of the file format that files are written in.
const IR_VERSION: i64 = 8;
/// The oldest opset that is read.
const OLDEST_OPSET: i64 = 7;
/// The newest opset that is read.
const NEWEST_OPSET: i64 = 28;
