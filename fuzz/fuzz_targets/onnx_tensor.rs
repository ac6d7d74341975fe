#![no_main]
#[path = "../../crates/formats/tests/damaged/readers.rs"]
mod readers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (readers::reader("onnx_tensor").read)(bytes));
