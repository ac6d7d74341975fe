//! Writes a page of made-up numbers, for work on its looks: `cargo run -p gabor-report --example demo -- demo.html`.

use gabor_report::{
    Confusion, Curve, FeatureStrip, Figure, FilterGrid, FilterTile, Inside, LayerRow, Mistake, Picture, Reason,
    Reliability, ReliabilityBin, Report, Seen, Table, heat,
};

fn noise(i: u64) -> f64 {
    let x = i.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f64 / (1u64 << 24) as f64
}

fn filters(weights: &[f32]) -> String {
    let picture = |w: &[f32]| heat::heat(w, [5, 5], heat::extent(w, 0.0), heat::Scale::Diverging);
    let tile = |(i, w): (usize, &[f32])| FilterTile {
        pictures: picture(w).into_iter().collect(),
        name: i.to_string(),
        ..Default::default()
    };
    let tiles = weights.chunks_exact(25).enumerate().map(tile).collect();
    FilterGrid { title: "conv1".into(), tiles, ..Default::default() }.to_svg()
}

fn reliability(name: &str, honest: f64) -> Reliability {
    let bin = |i: u64| {
        let (lower, upper) = (i as f64 / 15.0, (i + 1) as f64 / 15.0);
        let confidence = (lower + upper) / 2.0;
        ReliabilityBin { range: (lower, upper), count: i * i * i, confidence, accuracy: confidence * honest }
    };
    let figures = [("expected calibration error", "3.10 %"), ("largest calibration error", "8.91 %")];
    Reliability {
        name: name.into(),
        bins: (0..15).map(bin).collect(),
        figures: figures.map(|(a, b)| (a.to_string(), b.to_string())).to_vec(),
    }
}

fn main() -> std::io::Result<()> {
    let mut confusion = Confusion::new((0..10).map(|c| c.to_string()).collect());
    for i in 0..360u64 {
        let truth = i as usize % 10;
        confusion.add(truth, if noise(i) > 0.97 { (truth * 7 + 3) % 10 } else { truth });
    }
    let curve = |start: f64, end: f64, wobble: f64| {
        let at = |e: u64| (e as f64, end + (start - end) * (-0.35 * e as f64).exp() * (1.0 + wobble * noise(e)));
        (1..=30).map(at).collect::<Vec<_>>()
    };
    let picture = |seed: u64| {
        Picture::new(8, 8, 1, (0..64).map(|i| (noise(seed * 64 + i) * 255.0) as u8).collect()).unwrap_or(Picture {
            width: 1,
            height: 1,
            channels: 1,
            data: vec![0],
        })
    };
    let weights: Vec<f32> = (0..6 * 25).map(|i| noise(i) as f32 - 0.5).collect();
    let row = |cells: [&str; 6]| LayerRow { cells: cells.map(String::from).to_vec() };
    let hardest = Mistake {
        picture: picture(9),
        id: "digits[9]".into(),
        predicted: "9".into(),
        probability: 0.6,
        truth: "9".into(),
        truth_probability: Some(0.6),
        loss: 0.51,
    };
    let report = Report {
        hardest: vec![hardest],
        kind: "training report".into(),
        title: "lenet5-digits-1".into(),
        subtitle: "LeNet-5 on digits: 1,437 training and 360 test images of 1 × 8 × 8, 10 classes.".into(),
        figures: vec![
            Figure::new("test accuracy", "98.61 %", "355 of 360"),
            Figure::new("test loss", "0.0512", "cross-entropy"),
            Figure::new("parameters", "61,706", "241 KiB"),
            Figure::new("epochs", "30", "690 steps"),
            Figure::new("time", "4.2 s", "10,264 images/s"),
        ],
        loss: vec![Curve::new("training", curve(2.3, 0.004, 0.2)), Curve::new("test", curve(2.0, 0.05, 0.5))],
        accuracy: vec![Curve::new("training", curve(0.1, 1.0, 0.0)), Curve::new("test", curve(0.2, 0.985, 0.1))],
        learning_rate: Curve::new(
            "",
            (0..120).map(|s| (s as f64 / 4.0, 0.001 * (1.0 + (s as f64 / 38.0).cos()))).collect(),
        ),
        best_epoch: Some(24.0),
        confusion: Some(confusion),
        evaluated_on: "test".into(),
        scores: vec![("top-2".into(), "99.44 %".into()), ("mean F\u{2081}".into(), "0.986".into())],
        models: Table {
            head: ["model", "accuracy", "loss"].map(String::from).to_vec(),
            rows: vec![
                ["a.onnx", "97.2 %", "0.09"].map(String::from).to_vec(),
                ["b.onnx", "97.5 %", "0.08"].map(String::from).to_vec(),
                ["together", "98.6 %", "0.05"].map(String::from).to_vec(),
            ],
        },
        calibration: vec![reliability("before", 0.85), reliability("at temperature 1.6", 0.99)],
        seen: (20..28)
            .map(|i| Seen { picture: picture(i), class: (i % 10).to_string(), id: format!("digits[{i}]") })
            .collect(),
        mistakes: (0..5)
            .map(|i| Mistake {
                picture: picture(i),
                id: format!("digits[{i}]"),
                predicted: format!("{}", (i + 3) % 10),
                probability: 0.98 - 0.1 * i as f64,
                truth: format!("{i}"),
                truth_probability: Some(0.001 + 0.05 * i as f64),
                loss: 6.9 - i as f64,
            })
            .collect(),
        inside: Some(Inside {
            layer: "relu2".into(),
            reasons: (30..33)
                .map(|i| Reason {
                    picture: picture(i),
                    id: format!("digits[{i}]"),
                    classes: vec![("3".into(), picture(i + 10)), ("8".into(), picture(i + 20))],
                })
                .collect(),
            strips: vec![FeatureStrip { caption: "relu1, 6 × 8 × 8".into(), maps: (60..68).map(picture).collect() }],
            ..Default::default()
        }),
        filters: Some(("conv1".into(), filters(&weights))),
        layer_columns: ["layer", "operation", "output", "parameters", "FLOPs", "field"].map(String::from).to_vec(),
        layers: vec![
            row(["conv1", "conv 5×5, pad 2", "6×28×28", "156", "235,200", "5×5"]),
            row(["relu1", "relu", "6×28×28", "0", "4,704", "5×5"]),
            row(["fc1", "linear", "120", "48,120", "96,000", "28×28"]),
        ],
        layer_notes: vec!["61,706 parameters (241 KiB); 6,518 values held for an image.".into()],
        configuration: "net = \"lenet5\"\nepochs = 30\nbatch_size = 64\n\n[optimiser]\nname = \"adamw\"\nlr = 0.002"
            .into(),
        provenance: vec![("seed".into(), "0".into()), ("gabor".into(), "0.1.0".into())],
        notes: vec!["data: 2 samples could not be read and are left out".into()],
        commands: vec![("gabor predict runs/lenet5-digits-1/model.onnx image.png".into(), "name a picture".into())],
    };
    std::fs::write(std::env::args().nth(1).unwrap_or("demo.html".into()), report.to_html())
}
