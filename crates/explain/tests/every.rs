//! Everything that this crate does, on every network of the zoo and on networks that PyTorch wrote: small, of one channel,
//! not square, with dead units.

mod common;

use common::{image, subject};
use gabor_explain::features::features;
use gabor_explain::top::{Projector, Start, Strongest};
use gabor_explain::{Backpropagation, Layer, Method, Options, Subject, attribute};
use gabor_nets::{Mode, Net, conv, zoo};
use gabor_tensor::{Tensor, Weights};

/// Every method for the class with the largest score, for which a rectifier after the last layer is open.
fn methods(name: &str, s: &Subject, x: &Tensor, something: bool) {
    let [_, h, w] = s.input();
    let part = Some([(h / 2).max(1), (w / 2).max(1)]);
    let o = Options { samples: 2, steps: 3, window: part, stride: part, ..Default::default() };
    let scores = s.values(x, &[s.scores()]).unwrap();
    let scores = scores[0].as_f32().unwrap();
    let class = (0..scores.len()).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap();
    // With random weights some networks answer the same to any picture, up to rounding: covering it changes nothing.
    let blank = Tensor::zeros(x.shape(), gabor_tensor::DType::F32);
    let blank = s.values(&blank, &[s.scores()]).unwrap()[0].as_f32().unwrap()[class];
    let same = (scores[class] - blank).abs() <= 1e-5 * blank.abs();
    for &(method, m) in Method::ALL {
        if m.of_layer() && s.last_map().is_err() {
            continue;
        }
        let found = attribute(s, x, class, m, &o).unwrap_or_else(|e| panic!("{name} {method}: {e}"));
        assert!(found.map.len() == h * w && found.map.iter().all(|v| v.is_finite()), "{name} {method}");
        // Grad-CAM may be negative everywhere.
        let may = m.of_layer() || (m == Method::Occlusion && same);
        assert!(!something || may || !found.is_empty(), "{name} {method}: nothing; {} and {blank}", scores[class]);
    }
}

/// Features of all layers; of some the strongest units of three pictures with their projections.
fn units(name: &str, s: &Subject) {
    let pictures: Vec<Tensor> = (0..3).map(|i| image(s, i)).collect();
    let all = s.layers();
    assert!(!all.is_empty(), "{name}");
    for (i, l) in all.iter().enumerate() {
        assert!(all[..i].iter().all(|k| k.name != l.name), "{name}: two layers {}", l.name);
        assert_eq!(s.layer(&l.name).unwrap(), *l);
    }
    let telling = s.telling_layers(4);
    assert!((1..=4).contains(&telling.len()), "{name}: {telling:?}");
    let found = features(s, &pictures[0], &all).unwrap_or_else(|e| panic!("{name}: {e}"));
    for f in &found {
        let place = f.layer.places();
        assert_eq!((f.peaks.len(), f.values.len()), (f.layer.units(), f.layer.shape.iter().product()), "{name}");
        assert!(f.peaks.iter().all(|p| p.place[0] < place[0] && p.place[1] < place[1]), "{name} {}", f.layer.name);
    }
    for layer in telling.iter().skip(1).step_by(2) {
        top(name, s, layer, &pictures);
    }
}

fn top(name: &str, s: &Subject, layer: &Layer, pictures: &[Tensor]) {
    let mut best = Strongest::new(s, layer, 2).unwrap();
    for (i, x) in pictures.iter().enumerate() {
        best.push(x, &[i]).unwrap_or_else(|e| panic!("{name} {}: {e}", layer.name));
    }
    let (field, [c, h, w]) = (s.field(layer).unwrap(), s.input());
    let Some(&e) = best.strongest(1).first().and_then(|&u| best.of(u).first()) else { return };
    let unit = best.strongest(1)[0];
    let part = field.at(e.place);
    assert!(part.top + part.height <= h && part.left + part.width <= w, "{name} {}", layer.name);
    for how in [Backpropagation::Plain, Backpropagation::Guided, Backpropagation::Deconvnet] {
        let mut back = Projector::new(s, layer, how).unwrap_or_else(|e| panic!("{name} {}: {e}", layer.name));
        let start = Start { unit, place: e.place, value: e.value };
        let pixels = back.project(&pictures[e.sample], &[start]).unwrap();
        assert!(pixels.len() == c * h * w && pixels.iter().all(|v| v.is_finite()), "{name} {} {how:?}", layer.name);
        // Kernels that compute in tiles (Winograd) round where zeros meet.
        let least = 1e-5 * pixels.iter().fold(0f32, |m, v| m.max(v.abs()));
        let outside = pixels.iter().enumerate().filter(|(i, v)| {
            let (y, x) = (i / w % h, i % w);
            let inside =
                (part.top..part.top + part.height).contains(&y) && (part.left..part.left + part.width).contains(&x);
            v.abs() > least && !inside
        });
        // By convention normalisation over places counts as looking at none but its own.
        let by_places = s
            .graph()
            .nodes()
            .iter()
            .any(|n| matches!(n.operation.name(), "group_norm" | "instance_norm" | "layer_norm"));
        assert!(by_places || outside.count() == 0, "{name} {} {how:?}: pixels beyond the field", layer.name);
    }
}

fn classifier(name: &str, options: &zoo::Options) -> Option<Subject> {
    let net = zoo::by_name(name, options).ok()?;
    let graph = net.graph(Mode::Infer).ok()?;
    let fits = graph.output_value("logits").is_some_and(|v| graph.shape(v).rank() == 2);
    let weights = fits.then(|| net.initialize(1).ok()).flatten()?;
    Some(subject(graph, Some(weights), "logits"))
}

#[test]
fn every_network_of_the_zoo() {
    let (mut seen, mut small, mut long) = (0, 0, 0);
    for card in zoo::cards().filter(|c| c.name.starts_with("tiny_") && c.input.len() == 3) {
        let Some(s) = classifier(card.name, &Default::default()) else { continue };
        methods(card.name, &s, &image(&s, 5), true);
        units(card.name, &s);
        seen += 1;
        // One channel and 8 × 8, where the network has room for that.
        let tiny = zoo::Options { channels: Some(1), input: Some(vec![8, 8]), ..Default::default() };
        if let Some(s) = classifier(card.name, &tiny) {
            methods(card.name, &s, &image(&s, 6), false);
            units(card.name, &s);
            small += 1;
        }
        let wide = vec![card.input[1], card.input[2] + card.input[2] / 2];
        if let Some(s) = classifier(card.name, &zoo::Options { input: Some(wide), ..Default::default() }) {
            units(card.name, &s);
            long += 1;
        }
    }
    assert!(seen > 12 && small > 3 && long > 5, "{seen} {small} {long}");
}

/// Networks that PyTorch's exporter wrote, as it named their nodes.
#[test]
fn networks_that_pytorch_wrote() {
    let goldens = concat!(env!("CARGO_MANIFEST_DIR"), "/../formats/tests/goldens");
    let mut seen = 0;
    for name in ["torch_cnn_9", "torch_cnn_13", "torch_cnn_17", "torch_modern_17", "torch_modern_20"] {
        let bytes = std::fs::read(format!("{goldens}/{name}.onnx")).unwrap();
        let read = gabor_formats::onnx::import(&bytes).unwrap();
        let output = read.graph.outputs()[0].clone();
        if read.graph.shape(output.1).rank() != 2 {
            continue;
        }
        let s = subject(read.graph, Some(read.weights), &output.0);
        assert!(s.layers().iter().all(|l| !l.name.contains(".binary")), "{:?}", s.layers());
        methods(name, &s, &image(&s, 1), true);
        units(name, &s);
        seen += 1;
    }
    assert!(seen > 2, "{seen}");
}

#[test]
fn a_dead_unit_says_that_it_is_dead() {
    let mut net = Net::new("dead", &[1, 8, 11], Mode::Infer).unwrap();
    net.conv("conv1", conv(3, 3)).unwrap().relu().unwrap().conv("conv2", conv(2, 3)).unwrap();
    net.global_avg_pool().unwrap().flatten().unwrap().linear("fc", 2).unwrap();
    let graph = net.finish("logits");
    let mut weights: Weights = gabor_nets::initialize(&graph, 3);
    weights.insert("conv1.bias", Tensor::f32(&[3], vec![0.1, -1e3, 0.1]).unwrap());
    let s = subject(graph, Some(weights), "logits");
    methods("dead", &s, &image(&s, 1), true);
    units("dead", &s);
    let layer = s.layer("relu1").unwrap();
    let mut best = Strongest::new(&s, &layer, 2).unwrap();
    best.push(&image(&s, 1), &[0]).unwrap();
    assert_eq!((best.dead(), best.is_dead(1), best.of(1)[0].value), (1, true, 0.0));
    assert_eq!(features(&s, &image(&s, 1), &[layer]).unwrap()[0].zero, [1]);
}
