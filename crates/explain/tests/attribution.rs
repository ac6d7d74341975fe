//! Attributions against Captum's, against their own axioms, and on every network of the zoo.

use gabor_cpu::CpuBackend;
use gabor_explain::top::{Projector, Start, Strongest};
use gabor_explain::{Attribution, Backpropagation, Method, Options, Subject, attribute};
use gabor_nets::{Mode, Net, conv, pool};
use gabor_tensor::{Tensor, Weights};
use std::sync::Arc;

const CLASS: usize = 3;

/// The network of `make_captum.py`.
fn small(golden: &Weights) -> Subject {
    let mut net = Net::new("small", &[3, 20, 28], Mode::Infer).unwrap();
    net.conv("conv1", conv(6, 3).pad(1)).unwrap().batch_norm("bn1").unwrap().relu().unwrap();
    net.max_pool(pool(3).stride(2).pad(1)).unwrap();
    let x = net.value();
    net.conv("conv2", conv(6, 3).pad(1)).unwrap().add(x).unwrap().relu().unwrap();
    net.conv("conv3", conv(8, 3).stride(2).pad(1)).unwrap().relu().unwrap();
    net.global_avg_pool().unwrap().flatten().unwrap().linear("fc", 5).unwrap();
    let graph = net.finish("scores");
    let own = |(name, t): (&str, &Tensor)| Some((name.strip_prefix("net.")?.to_string(), t.clone()));
    let weights = golden.iter().filter_map(own).collect();
    subject(graph, weights, "scores")
}

fn subject(graph: gabor_graph::Graph, weights: Weights, scores: &str) -> Subject {
    let (images, scores) = (graph.inputs().next().unwrap(), graph.output_value(scores).unwrap());
    Subject::new(graph, weights, images, scores, Arc::new(CpuBackend::default())).unwrap()
}

fn golden() -> Weights {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/captum.safetensors");
    gabor_formats::safetensors::read(&std::fs::read(path).unwrap()).unwrap().0
}

/// Fails unless all numbers agree to 1e-4 of the largest.
fn agree(what: &str, ours: &[f32], theirs: &Tensor) {
    let theirs = theirs.as_f32().unwrap();
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let most = theirs.iter().fold(0f32, |m, v| m.max(v.abs()));
    let worst = ours.iter().zip(theirs).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
    assert!(most > 0.0 && worst <= 1e-4 * most, "{what}: {worst} of {most}");
}

fn explain(s: &Subject, image: &Tensor, method: Method, o: &Options) -> Attribution {
    attribute(s, image, CLASS, method, o).unwrap()
}

#[test]
fn methods_agree_with_captum() {
    let golden = golden();
    let (s, image) = (small(&golden), golden.get("picture").unwrap());
    let o = Options { window: Some([6, 5]), stride: Some([3, 4]), ..Default::default() };
    let found = |m| explain(&s, image, m, &o);
    for m in [Method::Saliency, Method::Guided, Method::Deconvnet, Method::Integrated, Method::GuidedGradCam] {
        agree(m.name(), &found(m).values.unwrap(), golden.get(m.name()).unwrap());
    }
    for m in [Method::GradCam, Method::Occlusion] {
        agree(m.name(), &found(m).map, golden.get(m.name()).unwrap());
    }
    let score = golden.get("scores").unwrap().as_f32().unwrap()[CLASS];
    assert!(Method::ALL.iter().all(|&(_, m)| (found(m).score - score).abs() < 1e-5));
    assert_eq!(found(Method::GradCam).layer.as_deref(), Some(s.last_map().unwrap().name.as_str()));
}

/// The way back from one unit of a layer: Captum's neuron gradient, guided backpropagation and deconvolution.
#[test]
fn projections_agree_with_captum() {
    let golden = golden();
    let (s, image) = (small(&golden), golden.get("picture").unwrap());
    let at: Vec<usize> = golden.get("neuron").unwrap().as_f32().unwrap().iter().map(|&v| v as usize).collect();
    let layer = s.layer("relu2").unwrap();
    let mut best = Strongest::new(&s, &layer, 1).unwrap();
    best.push(image, &[0]).unwrap();
    assert_eq!((best.strongest(1)[0], best.of(at[0])[0].place), (at[0], [at[1], at[2]]));
    let start = Start { unit: at[0], place: [at[1], at[2]], value: 1.0 };
    for (name, how) in [
        ("neuron-gradient", Backpropagation::Plain),
        ("neuron-guided", Backpropagation::Guided),
        ("neuron-deconv", Backpropagation::Deconvnet),
    ] {
        let mut back = Projector::new(&s, &layer, how).unwrap();
        agree(name, back.project(image, &[start]).unwrap(), golden.get(name).unwrap());
    }
}

#[test]
fn axioms_hold() {
    let golden = golden();
    let (s, image) = (small(&golden), golden.get("picture").unwrap());
    // Completeness: the parts sum up to the whole, and the better the more points.
    let gap =
        |steps| explain(&s, image, Method::Integrated, &Options { steps, ..Default::default() }).gap.unwrap().abs();
    assert!(gap(400) < 2e-3 && gap(400) < gap(4), "{} {}", gap(400), gap(4));
    // Without noise SmoothGrad is the gradient.
    let still = Options { noise: 0.0, samples: 3, batch: 2, ..Default::default() };
    let (smooth, plain) =
        (explain(&s, image, Method::SmoothGrad, &still), explain(&s, image, Method::Saliency, &still));
    let (a, b) = (smooth.values.unwrap(), plain.values.unwrap());
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 1e-6 * (1.0 + b.abs())));
    // The seed decides, the batch does not.
    let of = |seed, batch| {
        explain(&s, image, Method::SmoothGrad, &Options { seed, batch, samples: 6, ..Default::default() }).map
    };
    assert_eq!(of(1, 6), of(1, 6));
    assert_ne!(of(1, 6), of(2, 6));
    let close = of(1, 6).iter().zip(of(1, 4)).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(close);
    // LayerCAM by its formula on the last map: the gradient of a mean is the same everywhere, so it equals Grad-CAM
    // with negative weights dropped.
    let layer = s.last_map().unwrap();
    assert_eq!(layer.shape, [8, 5, 7]);
    let maps = s.values(image, &[layer.value]).unwrap();
    let fc = golden.get("net.fc.weight").unwrap().as_f32().unwrap();
    let at = |y: usize, x: usize| -> f32 {
        (0..8).map(|c| maps[0].as_f32().unwrap()[(c * 5 + y) * 7 + x] * (fc[CLASS * 8 + c] / 35.0).max(0.0)).sum()
    };
    let cam = explain(&s, image, Method::LayerCam, &Options::default());
    // The corner of the picture sees the corner of the map alone.
    assert!((cam.map[0] - at(0, 0)).abs() < 1e-6 && (cam.map[20 * 28 - 1] - at(4, 6)).abs() < 1e-6);
}

#[test]
fn what_does_not_fit_is_said() {
    let golden = golden();
    let (s, image) = (small(&golden), golden.get("picture").unwrap());
    let e = |o: Options| attribute(&s, image, CLASS, Method::GradCam, &o).unwrap_err().to_string();
    let layer = |name: &str| Options { layer: Some(name.into()), ..Default::default() };
    let text = e(layer("conv4"));
    assert!(text.contains("there is no layer `conv4`; right would be: conv"), "{text}");
    assert!(text.contains("all layers: conv1") && text.contains("fc"), "{text}");
    assert!(e(layer("fc")).contains("which has no places"));
    let wide = Options { window: Some([4, 4]), stride: Some([4, 5]), ..Default::default() };
    let text = attribute(&s, image, CLASS, Method::Occlusion, &wide).unwrap_err().to_string();
    assert_eq!(
        text,
        "stride: a stride of 4 × 5 leaves places out between windows of 4 × 4; right would be: at most the window"
    );
    assert!(e(Options { steps: 0, ..Default::default() }).contains("1 to 10000"));
    assert!(e(Options { window: Some([21, 1]), ..Default::default() }).contains("21 × 1 on a picture of 20 × 28"));
    let text = attribute(&s, image, 5, Method::Saliency, &Options::default()).unwrap_err().to_string();
    assert_eq!(text, "class: class 5 of 5; right would be: 0 to 4");
    let text = attribute(
        &s,
        &Tensor::zeros(&[1, 3, 28, 20], gabor_tensor::DType::F32),
        0,
        Method::Saliency,
        &Options::default(),
    );
    assert!(text.unwrap_err().to_string().contains("[n, 3, 20, 28]"));
}
