//! `gabor filters` and `gabor filter` as processes.

mod common;

use common::{Place, bmp, json, read, write};
use gabor::formats::npy;

#[test]
fn filters_of_any_layer_with_what_they_are_nearest_to() {
    let p = Place::new("filters");
    let net = "net=INPUT 1x12x12 -> conv5-6 relu maxpool conv3-8 relu conv1-4 -> FC";
    p.done(&["train", "--out", "model", "max_steps=4", "epochs=1", net]);
    let model = "model/model.onnx";
    let found = json(&p.done(&["filters", model, "--json", "--npy", "arrays"]));
    assert_eq!((&found["layer"], &found["shape"]), (&"conv1".into(), &serde_json::json!([6, 1, 5, 5])));
    assert_eq!((found["first"].as_bool(), found["left_out"].as_u64()), (Some(true), Some(0)));
    let filters = found["filters"].as_array().unwrap();
    assert_eq!(filters.len(), 6);
    let count: u64 = found["kinds"].as_object().unwrap().values().map(|v| v.as_u64().unwrap()).sum();
    assert_eq!(count, 6);
    // Plain data is what the JSON says: sizes of filters, explained parts of fits.
    let arrays = ["filters", "fits"].map(|n| npy::read(&read(&p.path(found["npy"][n].as_str().unwrap()))).unwrap());
    let [weights, fits] = arrays.map(|a| a.as_f32().unwrap().to_vec());
    for (i, f) in filters.iter().enumerate() {
        let w = &weights[i * 25..(i + 1) * 25];
        let norm: f64 = w.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
        assert!((norm.sqrt() - f["norm"].as_f64().unwrap()).abs() < 1e-6);
        // Every living filter has its nearest shape, however little that explains, and a word for it.
        let rest: f64 = w.iter().zip(&fits[i * 25..]).map(|(a, b)| f64::from(a - b).powi(2)).sum();
        let r2 = f["fit"]["r2"].as_f64().unwrap();
        assert!((1.0 - rest / norm - r2).abs() < 1e-5 && r2 > 0.0, "{f}");
        assert!(f["fit"]["shape"]["sigma"].as_f64().unwrap() > 0.0, "{f}");
        assert_eq!(
            f["fit"]["word"],
            if r2 < 0.5 {
                "weak"
            } else if r2 < 0.8 {
                "fair"
            } else {
                "good"
            }
        );
    }
    let told = p.done(&["filters", model, "-o", "again.svg"]);
    assert!(told.contains("explained") && told.lines().filter(|l| l.contains(" %")).count() == 6, "{told}");
    let svg = String::from_utf8(read(&p.path("filters.svg"))).unwrap();
    assert!(svg.contains("R² ") && svg.contains("each filter by its own largest weight"));
    // Other layers are planes by input channel, the largest filters first; 1 × 1 ones are a matrix.
    let second = [
        "filters", model, "--layer", "conv2", "--top", "3", "--sort", "norm", "--scale", "layer", "-o", "two.png",
        "--json",
    ];
    let two = json(&p.done(&second));
    let norms: Vec<f64> = two["filters"].as_array().unwrap().iter().map(|f| f["norm"].as_f64().unwrap()).collect();
    assert!(norms.len() == 3 && norms.is_sorted_by(|a, b| a >= b), "{two}");
    assert_eq!((&two["left_out"], two["filters"][0]["planes"].as_array().unwrap().len()), (&5.into(), 6));
    assert!(read(&p.path("two.png")).starts_with(b"\x89PNG"));
    assert!(found["unfitted"].is_null() && two["unfitted"].as_str().unwrap().contains("of the first layer"));
    let told = p.done(&["filters", model, "--layer", "conv3", "-o", "three.svg"]);
    assert!(told.contains("no shapes: they are fitted to filters of the first layer and of one channel"), "{told}");
    let svg = String::from_utf8(read(&p.path("three.svg"))).unwrap();
    // The scale and the matrix, with the numbers of its rows and columns.
    assert!(
        svg.matches("<image").count() == 2 && svg.contains(">a row per filter, a column per input channel<"),
        "{svg}"
    );
    assert!(svg.matches("<text class=\"y\"").count() == 4 && svg.contains(">input channel →<"), "{svg}");
    let sorted = ["filters", model, "--layer", "conv3", "--top", "2", "--sort", "norm", "-o", "sorted.svg", "--json"];
    let sorted = json(&p.done(&sorted));
    let order: Vec<String> = sorted["filters"].as_array().unwrap().iter().map(|f| f["index"].to_string()).collect();
    let svg = String::from_utf8(read(&p.path("sorted.svg"))).unwrap();
    let rows: Vec<&str> = svg.split("<text class=\"y\"").skip(1).map(|t| t.split(['>', '<']).nth(1).unwrap()).collect();
    assert_eq!(rows, order, "a matrix shows the rows that were asked for");
    let e = p.fails(1, &["filters", model, "--layer", "convv2"]);
    assert!(e.contains("there is no layer `convv2`; right would be: conv2"), "{e}");
    let e = p.fails(1, &["filters", model, "--layer", "relu1"]);
    assert!(
        e.contains("layer `relu1` has no filters") && e.contains("all layers with filters: conv1, conv2, conv3"),
        "{e}"
    );
}

#[test]
fn a_layer_that_reads_a_picture_has_filters() {
    let p = Place::new("filters-linear");
    p.model();
    let found = json(&p.done(&["filters", "model/model.onnx", "--json", "--top", "10"]));
    assert_eq!(found["kind"], "fully connected");
    assert_eq!(found["shape"].as_array().unwrap()[1..], *serde_json::json!([1, 28, 28]).as_array().unwrap());
    assert_eq!(found["filters"].as_array().unwrap().len(), 10);
}

#[test]
fn classic_filters_on_a_picture() {
    let p = Place::new("filter");
    // A step from 50 to 200 at column 10.
    write(&p.path("step.bmp"), bmp(20, 12, |x, _| [if x < 10 { 50 } else { 200 }; 3]));
    let sobel =
        ["filter", "step.bmp", "--kernel", "sobel", "--gain", "1", "--npy", "a", "--json", "--show", "sheet.svg"];
    let found = json(&p.done(&sobel));
    assert_eq!(
        (&found["draw"], &found["channels"], &found["largest"]),
        (&"magnitude".into(), &1.into(), &600.0.into())
    );
    let values = npy::read(&read(&p.path("a/filtered.npy"))).unwrap();
    let row: Vec<f32> = values.as_f32().unwrap()[60..80].to_vec();
    assert!(
        row.iter().enumerate().all(|(x, &v)| (v - if x == 9 || x == 10 { 600.0 } else { 0.0 }).abs() < 1e-2),
        "{row:?}"
    );
    assert!(read(&p.path("filtered.png")).starts_with(b"\x89PNG"));
    let svg = String::from_utf8(read(&p.path("sheet.svg"))).unwrap();
    assert!(svg.contains("sobel across") && svg.contains(">−2<") && svg.matches("<image").count() == 2);
    // Weights of one's own, and the same as the named filter.
    let own =
        json(&p.done(&["filter", "step.bmp", "--kernel", "[[-1,0,1],[-2,0,2],[-1,0,1]]", "-o", "own.png", "--json"]));
    p.done(&["filter", "step.bmp", "--kernel", "sobel", "--theta", "0", "-o", "named.png"]);
    assert_eq!(own["draw"], "signed");
    assert_eq!(read(&p.path("own.png")), read(&p.path("named.png")));
    p.done(&["filter", "step.bmp", "--kernel", "gaussian", "--sigma", "1", "--border", "wrap"]);
    assert!(p.done(&["filter", "--kernel", "list"]).contains("gabor"));
    // Far from the step there is nothing for a filter that is blind to light.
    let far = |more: &[&str]| {
        p.done(&[&["filter", "step.bmp", "--kernel", "gabor", "--sigma", "1", "--npy", "g"], more].concat());
        npy::read(&read(&p.path("g/filtered.npy"))).unwrap().as_f32().unwrap()[60]
    };
    let (usual, blind) = (far(&[]), far(&["--zero-mean"]));
    assert!(usual.abs() > 1.0 && blind.abs() < 1e-3, "{usual} {blind}");
    let e = |code, more: &[&str]| p.fails(code, &[&["filter", "step.bmp"], more].concat());
    assert!(e(2, &["--kernel", "box", "--zero-mean"]).contains("the filter box takes no zero-mean"));
    assert!(e(2, &["--kernel", "list"]).contains("a picture has no part in --kernel list"));
    assert!(
        e(2, &["--kernel", "sobel", "--sigma", "2"])
            .contains("the filter sobel takes no sigma; right would be: size, theta")
    );
    assert!(e(2, &["--kernel", "sobbel"]).contains("there is no filter `sobbel`"));
    assert!(e(2, &["--kernel", "[[1,2],[3]]"]).contains("a row of 1 numbers after one of 2"));
    assert!(e(2, &["--kernel", "[[1]]", "--size", "3"]).contains("take no other numbers"));
    assert!(e(2, &["--kernel", "box", "--border", "much"]).contains("reflect, replicate, wrap, zero"));
    assert!(e(2, &["--kernel", "box", "-o", "a.jpg"]).contains("a name in .png"));
    assert!(e(2, &["--kernel", "box", "--gain", "0"]).contains("a positive number"));
    assert!(p.fails(2, &["filter", "--kernel", "box"]).contains("gabor filter IMAGE --kernel NAME"));
    assert!(p.fails(1, &["filter", "none.png", "--kernel", "box"]).contains("none.png"));
}
