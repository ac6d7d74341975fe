//! Rectangles give what whole maps give, on networks with every kind of layer, at corners, edges and inside.

use super::*;
use gabor_cpu::CpuBackend;
use gabor_nets::{Mode, network, zoo::Options};
use gabor_tensor::{Stream, rng::op};
use std::sync::Arc;

fn windows(h: usize, w: usize, size: usize) -> Vec<Window> {
    let rows = [0, 1, h / 2, h - size];
    let columns = [0, 2, w / 3, w - size];
    let all = rows.iter().flat_map(|&y| columns.iter().map(move |&x| (y, x)));
    all.map(|(y, x)| Window { rows: y..y + size, columns: x..x + size }).collect()
}

#[test]
fn rectangles_and_whole_maps_agree() {
    let nets = [
        "INPUT 3x40x36 -> conv3-4 relu conv5-6 s2 relu maxpool3 s2 conv3-4 d2 relu -> FC-3",
        "INPUT 1x32x32 -> conv7-4 s2 bn relu maxpool -> res[conv3-4 bn relu conv3-4 bn] relu -> gap FC-3",
        "INPUT 3x33x31 -> conv3-6 relu avgpool -> [ conv1-4 relu | conv3-4 gelu | maxpool3 s1 p1 ] -> conv3-4 -> gap -> FC-3",
        "INPUT 3x32x32 -> conv3-6 -> res[conv3-6 bn] relu -> res[conv1-6 relu conv3-6 conv1-6] relu -> gap FC-3",
        "tiny_mobilenet_v3",
        "tiny_densenet",
        "tiny_resnet",
    ];
    for text in nets {
        let net = network(text, &Options::default()).unwrap();
        let graph = net.graph(Mode::Infer).unwrap();
        let (images, scores) = (graph.inputs().next().unwrap(), graph.output_value("logits").unwrap());
        let weights = net.initialize(3).unwrap();
        let s = Subject::new(graph, weights, images, scores, Arc::new(CpuBackend::default())).unwrap();
        let [c, h, w] = s.input();
        let mut stream = Stream::new(9, 0, 0, op::TEST);
        let mut draw = || (0..c * h * w).map(|_| stream.normal() as f32).collect::<Vec<_>>();
        let (image, cover) = (Tensor::f32(&[1, c, h, w], draw()).unwrap(), draw());
        let windows = windows(h, w, 4);
        let mut parts = Patches::new(&s, &windows, 5, false).unwrap();
        let mut whole = Patches::new(&s, &windows, 5, true).unwrap();
        // A picture seen before leaves nothing behind.
        let other = Tensor::f32(&[1, c, h, w], draw()).unwrap();
        parts.see(&other).unwrap();
        let own = parts.see(&image).unwrap()[1];
        assert_eq!(own, whole.see(&image).unwrap()[1]);
        assert!(whole.share() == 1.0 && whole.stages.is_empty());
        let (a, b) = (parts.scores(&cover, 1).unwrap(), whole.scores(&cover, 1).unwrap());
        let change = b.iter().fold(0f32, |m, v| m.max((v - own).abs()));
        assert!(change > 0.0, "{text}: the windows change nothing");
        for (i, (a, b)) in a.iter().zip(&b).enumerate() {
            assert!((a - b).abs() <= 1e-4 * (change + b.abs()), "{text}, window {i}: {a} and {b}");
        }
    }
}

/// The first layers of VGG are the dear ones, and a window changes little of them.
#[test]
fn most_of_the_work_is_saved_where_maps_are_large() {
    let net = network("vgg11", &Options { input: Some(vec![224]), ..Default::default() }).unwrap();
    let graph = net.graph(Mode::Infer).unwrap();
    let (images, scores) = (graph.inputs().next().unwrap(), graph.output_value("logits").unwrap());
    let s = Subject::new(graph, Default::default(), images, scores, Arc::new(CpuBackend::default())).unwrap();
    let plan = Plan::cheapest(&s, &windows(224, 224, 16));
    assert!(plan.share < 0.7 && !plan.stages.is_empty(), "{}", plan.share);
    assert_eq!(Plan::whole(&s, &windows(224, 224, 16)).share, 1.0);
}

/// What follows a layer place by place, up to the sum with a shortcut, belongs to its stage: a bottleneck block is two stages.
#[test]
fn a_block_is_few_stages() {
    let net = network("resnet50", &Options { input: Some(vec![224]), ..Default::default() }).unwrap();
    let graph = net.graph(Mode::Infer).unwrap();
    let (images, scores) = (graph.inputs().next().unwrap(), graph.output_value("logits").unwrap());
    let s = Subject::new(graph, Default::default(), images, scores, Arc::new(CpuBackend::default())).unwrap();
    let plan = Plan::cheapest(&s, &windows(224, 224, 28));
    let of = |name: &str| plan.stages.iter().filter(|g| s.graph().node(g.nodes[0]).name.starts_with(name)).count();
    assert_eq!([of("layer1.1."), of("layer1.2."), of("layer2.1.")], [2; 3]);
    let last = plan.stages.iter().find(|g| s.graph().node(g.nodes[0]).name == "layer1.1.conv2").unwrap();
    let names: Vec<&str> = last.nodes.iter().map(|&n| s.graph().node(n).name.as_str()).collect();
    assert!(
        last.inputs.len() == 2 && names.contains(&"layer1.1.conv3") && names.contains(&"layer1.1.relu3"),
        "{names:?}"
    );
}
