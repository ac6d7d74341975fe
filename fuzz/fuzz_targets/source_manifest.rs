#![no_main]
#[path = "../../crates/data/tests/damaged/readers.rs"]
mod readers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| (readers::reader("source_manifest").read)(bytes));
