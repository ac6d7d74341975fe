//! Models read for one run, numbers computed while reading, and weights in other files.

use super::{import, import_for, import_with};
use crate::array::{Array, ElementType, Elements};
use crate::onnx::proto::*;
use crate::wire::Message;
use gabor_tensor::{DType, Dim, Rule};

fn value<'a>(name: &'a str, kind: i64, dims: &[Option<i64>]) -> ValueInfoProto<'a> {
    let dim = dims.iter().map(|&dim_value| DimensionProto { dim_value, ..Default::default() }).collect();
    let tensor = TensorTypeProto { elem_type: Kind::new(kind), shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: name.into(), ty: Some(TypeProto { tensor_type: Some(tensor), ..Default::default() }) }
}

fn node<'a>(op: &'a str, inputs: &[&'a str], output: &'a str) -> NodeProto<'a> {
    NodeProto {
        input: inputs.iter().map(|&i| i.into()).collect(),
        output: vec![output.into()],
        op_type: op.into(),
        ..Default::default()
    }
}

fn file(graph: GraphProto<'_>) -> Vec<u8> {
    let opset_import = vec![OperatorSetIdProto { version: 21, ..Default::default() }];
    let mut out = Vec::new();
    ModelProto { ir_version: 8, opset_import, graph: Some(graph), ..Default::default() }.put(&mut out);
    out
}

/// y = reshape(x, shape) with a shape that is an input.
fn reshaped() -> Vec<u8> {
    file(GraphProto {
        node: vec![node("Reshape", &["x", "shape"], "y")],
        input: vec![value("x", elem::FLOAT, &[None, Some(3)]), value("shape", elem::INT64, &[None])],
        output: vec![value("y", elem::FLOAT, &[None, None])],
        ..Default::default()
    })
}

fn floats(shape: &[usize]) -> Array {
    Array::floats(shape.to_vec(), (0..shape.iter().product()).map(|i| i as f32).collect())
}

#[test]
fn an_input_may_say_a_shape() {
    let e = import(&reshaped()).unwrap_err().to_string();
    assert!(e.contains("y (Reshape): the new shape is computed from values"), "{e}");
    let shape = ("shape".to_string(), Array::ints(vec![2], vec![-1, 2]));
    let bound = import_for(&reshaped(), vec![("x".into(), floats(&[4, 3])), shape.clone()], None).unwrap();
    assert_eq!(bound.inputs.len(), 1, "the shape is part of the graph");
    assert_eq!(bound.inputs[0].0, "x");
    let y = bound.model.graph.output_value("y").unwrap();
    assert_eq!(bound.model.graph.shape(y).0, [Dim::Fixed(6), Dim::Fixed(2)]);
    assert_eq!(bound.outputs, [("y".to_string(), ElementType::F32)]);
    let refused = |inputs: Vec<(String, Array)>, text: &str| {
        let e = import_for(&reshaped(), inputs, None).unwrap_err().to_string();
        assert!(e.contains(text), "{e}");
    };
    refused(vec![("z".into(), floats(&[1]))], "z: the model has no such input; right would be: one of x, shape");
    refused(vec![("x".into(), floats(&[4, 2])), shape.clone()], "another shape than the model's");
    refused(vec![("x".into(), floats(&[4, 2])), shape.clone()], "f32 [?, 3]");
    refused(vec![("x".into(), Array::ints(vec![1, 3], vec![0; 3])), shape], "elements of i64 where f32 is wanted");
}

#[test]
fn whole_numbers_are_computed_in_their_own_type() {
    let add = |kind, a: i64, b: i64, number| {
        let bytes = file(GraphProto {
            node: vec![node("Add", &["a", "b"], "y")],
            input: vec![value("a", number, &[Some(1)]), value("b", number, &[Some(1)])],
            output: vec![value("y", number, &[Some(1)])],
            ..Default::default()
        });
        let given = |v| Array { shape: vec![1], kind, elements: Elements::Int(vec![v]) };
        import_for(&bytes, vec![("a".into(), given(a)), ("b".into(), given(b))], None)
    };
    let result = |b: crate::onnx::Bound| {
        let y = b.model.graph.output_value("y").unwrap();
        match &b.model.graph.value(y).source {
            gabor_graph::Source::Constant(t) => t.to_f64()[0],
            _ => panic!("{}", b.model.graph),
        }
    };
    assert_eq!(result(add(ElementType::U8, 200, 100, elem::UINT8).unwrap()), 44.0);
    assert_eq!(result(add(ElementType::I8, 100, 100, elem::INT8).unwrap()), -56.0);
    // 2^24 + 1 is no 32-bit float.
    assert_eq!(result(add(ElementType::I64, 1 << 24, 1, elem::INT64).unwrap()), 16_777_217.0);
    let e = add(ElementType::I64, 1 << 40, 1, elem::INT64).unwrap_err().to_string();
    assert!(e.contains("does not fit a 32-bit integer"), "{e}");
    let e = add(ElementType::I64, 300, 1, elem::UINT8).unwrap_err().to_string();
    assert!(e.contains("the number 300 is no u8"), "{e}");
}

/// y = x + w with w in another file.
fn external(location: &str, length: &str) -> Vec<u8> {
    let entry = |key: &'static str, v: &str| StringStringEntryProto { key: key.into(), value: v.to_string().into() };
    let w = TensorProto {
        dims: vec![2],
        data_type: elem::FLOAT,
        name: "w".into(),
        data_location: 1,
        external_data: vec![entry("location", location), entry("offset", "4"), entry("length", length)],
        ..Default::default()
    };
    file(GraphProto {
        node: vec![node("Add", &["x", "w"], "y")],
        initializer: vec![w],
        input: vec![value("x", elem::FLOAT, &[None, Some(2)])],
        output: vec![value("y", elem::FLOAT, &[None, Some(2)])],
        ..Default::default()
    })
}

#[test]
fn weights_in_another_file() {
    let read = |at: &crate::onnx::Location<'_>| {
        assert_eq!((at.file, at.offset, at.length), ("w.bin", 4, 8));
        Ok([1.5f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>())
    };
    let net = import_with(&external("w.bin", "8"), Some(&read)).unwrap();
    assert_eq!(net.weights.get("w").unwrap().as_f32().unwrap(), [1.5, -2.0]);
    let never = |_: &crate::onnx::Location<'_>| -> Result<Vec<u8>, Rule> { panic!("this must not be opened") };
    for (location, length, text) in [
        ("../w.bin", "8", "external data at \"../w.bin\""),
        ("a/../../w.bin", "8", "without `..`"),
        ("/etc/passwd", "8", "external data at"),
        ("c:\\w.bin", "8", "external data at"),
        ("", "8", "external data at"),
        ("w.bin", "9", "external data of 9 bytes; right would be: 8 bytes"),
        ("w.bin", "x", "a number"),
    ] {
        let e = import_with(&external(location, length), Some(&never)).unwrap_err().to_string();
        assert!(e.contains(text), "{location} {length}: {e}");
    }
    let short = |_: &crate::onnx::Location<'_>| Ok(vec![0; 4]);
    assert!(import_with(&external("w.bin", "8"), Some(&short)).unwrap_err().to_string().contains("4 bytes of `w.bin`"));
    let e = import(&external("w.bin", "8")).unwrap_err().to_string();
    assert!(e.contains("lie in another file, `w.bin`") && e.contains("opened by its path"), "{e}");
}

#[test]
fn one_tensor_under_several_names_is_one_parameter() {
    let w = TensorProto {
        dims: vec![2],
        data_type: elem::FLOAT,
        name: "w".into(),
        float_data: vec![1.0, 2.0],
        ..Default::default()
    };
    let bytes = file(GraphProto {
        node: vec![
            node("Identity", &["w"], "again"),
            node("Identity", &["x"], "same"),
            node("Add", &["same", "again"], "a"),
            node("Mul", &["x", "w"], "b"),
            node("Add", &["a", "b"], "y"),
        ],
        initializer: vec![w],
        input: vec![value("x", elem::FLOAT, &[None, Some(2)])],
        output: vec![value("y", elem::FLOAT, &[None, Some(2)])],
        ..Default::default()
    });
    let net = import(&bytes).unwrap();
    assert_eq!((net.graph.parameters().count(), net.weights.len(), net.graph.inputs().count()), (1, 1, 1));
    let bound = import_for(&bytes, vec![("x".into(), floats(&[3, 2]))], None).unwrap();
    assert_eq!((bound.model.graph.inputs().count(), bound.model.weights.len()), (1, 1));
}

#[test]
fn large_constants_cost_no_memory() {
    let shape =
        TensorProto { dims: vec![2], data_type: elem::INT64, int64_data: vec![4096, 25088], ..Default::default() };
    let attribute =
        vec![AttributeProto { name: "value".into(), t: Some(shape), kind: attr::TENSOR, ..Default::default() }];
    let mut nodes =
        vec![node("Constant", &[], "s"), node("ConstantOfShape", &["s"], "w"), node("Gemm", &["x", "w"], "y")];
    nodes[0].attribute = attribute;
    let bytes = file(GraphProto {
        node: nodes,
        input: vec![value("x", elem::FLOAT, &[None, Some(4096)])],
        output: vec![value("y", elem::FLOAT, &[None, Some(25088)])],
        ..Default::default()
    });
    let net = import(&bytes).unwrap();
    let largest = net.graph.values().iter().filter_map(|v| match &v.source {
        gabor_graph::Source::Constant(t) => Some(t.len()),
        _ => None,
    });
    assert!(largest.max().unwrap() < 100);
    let y = net.graph.output_value("y").unwrap();
    assert_eq!(net.graph.ty(y).dtype, DType::F32);
}

/// What a run is given may be anything: no number may make the reader panic or take much memory.
#[test]
fn hostile_numbers_of_a_run_are_errors() {
    const NUMBERS: [i64; 13] =
        [0, -1, 1, 2, 3, -2, 1 << 16, 1 << 31, -(1 << 31), 1 << 40, i64::MAX, i64::MIN, i64::MIN + 5];
    // Each with the number of lists that it takes after its first input.
    const OPERATORS: [(&str, usize); 20] = [
        ("Reshape", 1),
        ("Expand", 1),
        ("Tile", 1),
        ("Slice", 4),
        ("Pad", 1),
        ("Gather", 1),
        ("GatherElements", 1),
        ("GatherND", 1),
        ("ScatterND", 2),
        ("ScatterElements", 2),
        ("Squeeze", 1),
        ("Unsqueeze", 1),
        ("Split", 1),
        ("TopK", 1),
        ("CumSum", 1),
        ("OneHot", 2),
        ("Trilu", 1),
        ("CenterCropPad", 1),
        ("AffineGrid", 1),
        ("Mod", 1),
    ];
    let mut done = 0;
    for (op, lists) in OPERATORS {
        for case in 0..260u32 {
            let mut s = gabor_tensor::Stream::new(7, 0, case, gabor_tensor::rng::op::TEST);
            let names = ["x", "a", "b", "c", "d"];
            let whole = s.below(2) == 0;
            let kind = if whole { elem::INT64 } else { elem::FLOAT };
            let mut input = vec![value("x", kind, &[None, None])];
            let mut number = || NUMBERS[s.below(NUMBERS.len())];
            let x = if whole { Array::ints(vec![2, 2], (0..4).map(|_| number()).collect()) } else { floats(&[2, 2]) };
            let mut given = vec![("x".to_string(), x)];
            let len = 1 + case as usize % 2;
            for name in &names[1..=lists] {
                input.push(value(name, elem::INT64, &[None]));
                given.push((name.to_string(), Array::ints(vec![len], (0..len).map(|_| number()).collect())));
            }
            let bytes = file(GraphProto {
                node: vec![node(op, &names[..=lists], "y")],
                input,
                output: vec![value("y", kind, &[None])],
                ..Default::default()
            });
            done += usize::from(import_for(&bytes, given, None).is_ok());
        }
    }
    assert!(done > 100, "{done} were read");
}
