//! Snapshots of ConvNetJS: what they compute is compared with NumPy's rendering of its code (`goldens/make_convnetjs.py`).

mod common;

use common::{difference, outputs};
use gabor_formats::{convnetjs, npy};
use std::collections::HashMap;
use std::path::Path;

fn golden(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/convnetjs").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn networks_compute_what_convnetjs_computes() {
    for name in ["image", "vector"] {
        let net = convnetjs::import(&golden(&format!("{name}.json"))).unwrap();
        let x = npy::read(&golden(&format!("{name}.x.npy"))).unwrap();
        let want = npy::read(&golden(&format!("{name}.y.npy"))).unwrap();
        let y = outputs(&net.graph, 2, &HashMap::from([("input".to_string(), x)]), &net.weights).remove(0);
        let d = difference(&y, &want);
        assert!(d < 1e-6, "{name}: {d}");
        assert_eq!(net.notes.len(), usize::from(name == "vector"));
    }
}

#[test]
fn messages_name_the_layer() {
    let input = r#"{"layer_type":"input","out_depth":1,"out_sx":4,"out_sy":4}"#;
    for (layer, want) in [
        (
            r#"{"layer_type":"quadtransform","out_depth":1,"out_sx":1,"out_sy":1}"#,
            "layer 1 (quadtransform): this layer is not known; right would be: input, conv",
        ),
        (
            r#"{"layer_type":"relu","out_depth":1,"out_sx":5,"out_sy":4}"#,
            "layer 1 (relu): the layer gives out_depth 1, out_sy 4, out_sx 4, the file says out_depth 1, out_sy 4, out_sx 5",
        ),
        (
            r#"{"layer_type":"pool","out_depth":1,"out_sx":1,"out_sy":1,"sx":9,"stride":1}"#,
            "layer 1 (pool): pool_1: kernel_size 9 is larger than the padded input",
        ),
        (
            r#"{"layer_type":"fc","out_depth":1,"out_sx":1,"out_sy":1,"filters":[],"biases":{"sx":1,"sy":1,"depth":1,"w":[1]}}"#,
            "layer 1 (fc): 0 filters and 1 biases for 1 outputs; right would be: one of each per output",
        ),
        (
            r#"{"layer_type":"fc","out_depth":1,"out_sx":1,"out_sy":1,"filters":[],"biases":{"sx":1,"sy":1,"depth":1,"w":{"1":1}}}"#,
            "json: the keys of the numbers are not 0, 1, 2, … without a gap at line 1",
        ),
        (
            r#"{"layer_type":"relu","out_depth":99999999,"out_sx":1,"out_sy":1}"#,
            "layer 1 (relu): `out_depth` is 99999999; right would be: at most 1048576",
        ),
        (r#"{"layer_type":"relu","slope":1}"#, "json: unknown field `slope`"),
        (input, "layer 1 (input): an input after other layers; right would be: one, in front"),
    ] {
        let text = format!("{{\"layers\":[{input},{layer}]}}");
        let found = convnetjs::import(text.as_bytes()).unwrap_err().to_string();
        assert!(found.starts_with(want), "found {found}\n want {want}");
    }
    assert!(convnetjs::import(b"{\"layers\":[]}").is_err());
}
