//! Hostile numbers in files that are well formed: random bytes rarely say "2⁶² channels".

use super::import;
use crate::onnx::proto::ModelProto;
use crate::wire::{Budget, Message};
use gabor_tensor::{Stream, rng::op::TEST};

const NUMBERS: [i64; 14] =
    [0, -1, 1, 2, 3, 7, -2, 1 << 16, 1 << 31, (1 << 31) - 1, 1 << 40, 1 << 62, i64::MAX, i64::MIN];

fn golden(name: &str) -> Vec<u8> {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    std::fs::read(dir.join(format!("{name}.onnx"))).unwrap()
}

/// Every whole number of the graph that may be changed.
fn numbers<'g>(model: &'g mut ModelProto<'_>) -> Vec<&'g mut i64> {
    let mut all = Vec::new();
    all.extend(model.opset_import.iter_mut().map(|o| &mut o.version));
    let Some(graph) = &mut model.graph else { return all };
    for node in &mut graph.node {
        for a in &mut node.attribute {
            all.extend(&mut a.i);
            all.extend(&mut a.ints);
            if let Some(t) = &mut a.t {
                all.extend(&mut t.dims);
                all.extend(&mut t.int64_data);
                all.push(&mut t.data_type);
            }
        }
    }
    for t in &mut graph.initializer {
        all.extend(&mut t.dims);
        all.extend(&mut t.int64_data);
        all.push(&mut t.data_type);
    }
    for i in &mut graph.input {
        if let Some(t) = i.ty.as_mut().and_then(|t| t.tensor_type.as_mut()) {
            all.push(&mut t.elem_type.0);
            all.extend(t.shape.iter_mut().flat_map(|s| &mut s.dim).filter_map(|d| d.dim_value.as_mut()));
        }
    }
    all
}

/// Moves 64-bit integers from bytes to numbers, where the test can reach them.
fn unpack(model: &mut ModelProto<'_>) {
    let Some(graph) = &mut model.graph else { return };
    let attributes = graph.node.iter_mut().flat_map(|n| &mut n.attribute).filter_map(|a| a.t.as_mut());
    for t in attributes.chain(&mut graph.initializer) {
        if t.data_type == crate::onnx::proto::elem::INT64
            && let Some(raw) = t.raw_data.take()
        {
            t.int64_data = raw.as_chunks::<8>().0.iter().map(|&c| i64::from_le_bytes(c)).collect();
        }
    }
}

#[test]
fn hostile_numbers_are_errors() {
    let cases = std::env::var("GABOR_FUZZ_CASES").ok().and_then(|v| v.parse().ok()).unwrap_or(1500);
    let mut read = 0;
    for name in ["torch_cnn_9", "torch_modern_14", "torch_modern_20", "auto_pad", "old_softmax", "opset8", "opset21"] {
        let bytes = golden(name);
        for case in 0..cases {
            let mut s = Stream::new(2, 0, case, TEST);
            let mut model = ModelProto::read(&bytes, &mut Budget::new()).unwrap();
            unpack(&mut model);
            let mut all = numbers(&mut model);
            for _ in 0..1 + s.below(3) {
                let at = s.below(all.len());
                *all[at] = NUMBERS[s.below(NUMBERS.len())];
            }
            let mut damaged = Vec::new();
            model.put(&mut damaged);
            read += u32::from(import(&damaged).is_ok());
        }
    }
    // Some changes mean nothing, so not every file is refused.
    assert!(read > 0);
}

#[test]
fn messages_are_written_as_they_are_read() {
    for name in ["torch_cnn_17", "opset8"] {
        let bytes = golden(name);
        let model = ModelProto::read(&bytes, &mut Budget::new()).unwrap();
        let mut once = Vec::new();
        model.put(&mut once);
        let mut twice = Vec::new();
        ModelProto::read(&once, &mut Budget::new()).unwrap().put(&mut twice);
        assert_eq!(once, twice);
        assert!(once.len() * 10 > bytes.len() * 9);
    }
}

#[test]
fn many_small_parts_are_refused() {
    // Two bytes for an empty node each: memory must not grow without bound.
    let graph: Vec<u8> = [0x0A, 0x00].repeat(2_500_000);
    let mut model = vec![0x3A];
    let mut len = graph.len();
    while len >= 0x80 {
        model.push(len as u8 | 0x80);
        len >>= 7;
    }
    model.push(len as u8);
    model.extend(graph);
    let e = import(&model).unwrap_err().to_string();
    assert!(e.contains("more than 2000000 messages and texts"), "{e}");
}
