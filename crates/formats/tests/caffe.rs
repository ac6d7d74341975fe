//! Caffe's files: what they compute is compared with OpenCV's reader of Caffe and with PyTorch (`goldens/make_caffe.py`).
#![allow(clippy::print_stdout, reason = "a test prints how near it came")]

mod common;

use common::{difference, outputs};
use gabor_formats::{caffe, npy};
use std::collections::HashMap;
use std::path::Path;

fn golden(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/caffe").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn networks_compute_what_caffe_computes() {
    for name in ["modern", "older", "oldest", "train_val", "others"] {
        let text = golden(&format!("{name}.prototxt"));
        let net = caffe::import(&text, Some(&golden(&format!("{name}.caffemodel")))).unwrap_or_else(|e| panic!("{e}"));
        let x = npy::read(&golden(&format!("{name}.x.npy"))).unwrap();
        let want = npy::read(&golden(&format!("{name}.y.npy"))).unwrap();
        let input = net.graph.value(net.graph.inputs().next().unwrap()).name.clone();
        assert_eq!(net.graph.outputs().len(), 1, "{name}: {:?}", net.graph.outputs());
        let y = outputs(&net.graph, 2, &HashMap::from([(input, x)]), &net.weights).remove(0);
        let d = difference(&y, &want);
        println!("{name}: {d:.1e}");
        assert!(d < 3e-6, "{name}: {d}");
        let graph = net.graph.validate().unwrap();
        // All parameters have numbers of their shape.
        for (v, _) in graph.parameters() {
            let value = graph.value(v);
            assert_eq!(net.weights.0[&value.name].shape(), value.ty.shape.at(1), "{name}: {}", value.name);
        }
    }
}

#[test]
fn normalisation_and_scale_are_one_and_shared_arrays_too() {
    let net = caffe::import(&golden("modern.prototxt"), None).unwrap();
    let names: Vec<&str> = net.graph.parameters().map(|(v, _)| net.graph.value(v).name.as_str()).collect();
    assert_eq!(
        names[..6],
        ["conv1.weight", "conv1.bias", "bn1.running_mean", "bn1.running_var", "scale1.weight", "scale1.bias"]
    );
    let kinds = net.graph.nodes().iter().filter(|n| n.operation.name() == "batch_norm_inference").count();
    assert_eq!((kinds, net.graph.outputs()[0].0.as_str()), (1, "prob"));
    let net = caffe::import(&golden("train_val.prototxt"), None).unwrap();
    assert_eq!(net.graph.parameters().count(), 2);
    let other = &net.metadata.other;
    let how: serde_json::Value = serde_json::from_str(net.metadata.preprocessing.as_deref().unwrap()).unwrap();
    assert_eq!(
        (how["color"].as_str(), how["crop"][0].as_u64(), how["mean"][2].as_f64()),
        (Some("bgr"), Some(8), Some(123.0))
    );
    assert!((how["std"][0].as_f64().unwrap() * 0.017 - 1.0).abs() < 1e-9);
    assert_eq!(other["caffe.mean_value"], "[104.0,117.0,123.0]");
    assert_eq!((other["caffe.scale"].as_str(), other["caffe.channels"].as_str()), ("0.017", "bgr"));
}

#[test]
fn messages_name_the_line() {
    let input = "input: \"x\" input_shape { dim: 1 dim: 3 dim: 8 dim: 8 }\n";
    let layer = |kind: &str, body: &str| {
        format!("{input}layer {{ name: \"l\" type: \"{kind}\" bottom: \"x\" top: \"y\" {body} }}\n")
    };
    for (text, want) in [
        (
            "layer {\n  name: \"a\"\n".into(),
            "line 3, column 1: the file ends inside a message, which began on line 1; right would be: `}`",
        ),
        ("name: \"a\nlayer".into(), "line 1, column 7: a text that does not end on its line; right would be: \""),
        (
            "layer { 3: 4 }".into(),
            "line 1, column 9: no name of a field; given: `3`; right would be: name: value, or name { … }",
        ),
        ("name: \"a\\q\"".into(), "line 1, column 7: an escape `\\q` in a text; right would be"),
        (
            "name: ".into(),
            "line 1, column 7: `name` has no value; given: the end of the file; right would be: a number",
        ),
        (
            "input_dim: [1, 2 3]".into(),
            "line 1, column 18: a list that does not go on; given: `3]`; right would be: `,` or `]`",
        ),
        (format!("{input}nets: 3"), "line 2, column 1: `nets` is not known in the network"),
        (layer("Sine", ""), "prototxt: 1 node cannot be imported\n  line 2: l (Sine): this type is not known"),
        (
            layer("ArgMax", ""),
            "prototxt: 1 node cannot be imported\n  line 2: l (ArgMax): places of maxima are whole numbers",
        ),
        (layer("ReLU", "relu_param { slope: 3 }"), "line 2, column 66: `slope` is not known in relu_param of a ReLU"),
        (layer("Power", "power_param { power: \"2\" }"), "line 2, column 68: `power` is `2`; right would be: a number"),
        (
            layer("Convolution", "convolution_param { num_output: 4 kernel_size: 9 }"),
            "line 2: layer `l` (Convolution): kernel_size 9 is larger than the padded input",
        ),
        (
            layer("Convolution", "convolution_param { num_output: 4 group: 2 kernel_size: 1 }"),
            "line 2: layer `l` (Convolution): 2 groups of 3 channels and 4 filters; right would be: a number that divides both",
        ),
        (
            layer("Convolution", "convolution_param { num_output: -4 kernel_size: 1 }"),
            "line 2, column 80: `num_output` is `-4`; right would be: a whole number from 0 on",
        ),
        (
            layer("Pooling", "pooling_param { kernel_size: 1 stride: 5 pool: STOCHASTIC }"),
            "line 2: layer `l` (Pooling): `pool` is STOCHASTIC; right would be: MAX or AVE",
        ),
        (
            layer("Pooling", "pooling_param { kernel_size: 1 stride: 9 }"),
            "line 2: layer `l` (Pooling): a last window of kernel 1 at stride 9 outside 8 elements",
        ),
        (layer("Reduction", ""), "line 2: layer `l` (Reduction): axis 0, which is the batch"),
        (
            format!("{input}layer {{ name: \"l\" type: \"ReLU\" bottom: \"z\" top: \"y\" }}"),
            "line 2: layer `l` (ReLU): no earlier layer gives `z`",
        ),
        (
            format!("{input}layers {{ name: \"l\" type: SINE bottom: \"x\" top: \"y\" }}"),
            "line 2, column 9: layer `l` has type SINE, which is none of `layers`",
        ),
        (
            "layer { name: \"d\" type: \"Data\" top: \"data\" top: \"label\" }".into(),
            "line 1: layer `d` (Data): the extents of `data` are not in the text; right would be: the deploy form",
        ),
    ] {
        let text: String = text;
        let found = caffe::import(text.as_bytes(), None).unwrap_err().to_string();
        assert!(found.starts_with(want), "{text}\n found {found}\n  want {want}");
    }
    // A short text asks for much; what it costs is checked by damaged/.
    let wide = "input: \"x\" input_shape { dim: 1 dim: 2147483647 }\nlayer { name: \"l\" type: \"BatchNorm\" bottom: \"x\" top: \"y\" }";
    let found = caffe::import(wide.as_bytes(), None).unwrap_err().to_string();
    assert!(
        found.starts_with("line 2: layer `l` (BatchNorm): [2147483647] channels; right would be: at most 1048576"),
        "{found}"
    );
    let deep = "a {".repeat(100_000);
    let found = caffe::import(deep.as_bytes(), None).unwrap_err().to_string();
    assert!(found.ends_with("more than 32 messages inside each other"), "{found}");
}

#[test]
fn numbers_that_do_not_fit_the_text() {
    let read = |text: &str, name: &str| caffe::import(text.as_bytes(), Some(&golden(name))).unwrap_err().to_string();
    let text = String::from_utf8(golden("older.prototxt")).unwrap();
    let found = read(&text.replace("num_output: 6", "num_output: 7"), "older.caffemodel");
    assert!(
        found
            .contains("array 0 of layer `b` in the .caffemodel has extents [6, 2, 1, 1]; right would be: [7, 2, 1, 1]"),
        "{found}"
    );
    let found = read(&text.replace("name: \"ip\"", "name: \"other\""), "older.caffemodel");
    assert!(found.contains("the .caffemodel has no array 0 of layer `other`"), "{found}");
    let found = read(&text.replace("num_output: 6", "num_output: 6 bias_term: false"), "older.caffemodel");
    assert!(
        found.contains("layer `b` (Convolution): the .caffemodel has 2 arrays for it; right would be: 1"),
        "{found}"
    );
    let found = caffe::import(text.as_bytes(), Some(b"\x89HDF\r\n\x1a\n1234")).unwrap_err().to_string();
    assert!(found.starts_with("caffemodel: it is an HDF5 file"), "{found}");
    let found = caffe::import(text.as_bytes(), Some(b"no such file")).unwrap_err().to_string();
    assert!(found.contains("it is damaged or no .caffemodel"), "{found}");
}
