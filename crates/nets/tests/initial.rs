//! Parameters start as the papers or torchvision say: moments of a few, family by family.

use gabor_nets::zoo::{self, Options};
use gabor_tensor::Weights;

fn weights(name: &str) -> Weights {
    zoo::by_name(name, &Options::default()).unwrap().initialize(1).unwrap()
}

/// Mean, deviation and largest magnitude.
fn moments(w: &Weights, name: &str) -> (f64, f64, f64) {
    let v = w.get(name).unwrap_or_else(|| panic!("no {name}")).to_f64();
    let m = v.iter().sum::<f64>() / v.len() as f64;
    let var = v.iter().map(|x| (x - m) * (x - m)).sum::<f64>() / v.len() as f64;
    (m, var.sqrt(), v.iter().fold(0.0, |a, x| a.max(x.abs())))
}

/// Checks that a parameter has this deviation, mean 0, and lies within the bound (infinite for normal distributions, whose
/// largest of thousands then lies beyond two deviations).
fn has(w: &Weights, name: &str, std: f64, bound: f64) {
    let n = w.get(name).unwrap().len() as f64;
    let (m, s, most) = moments(w, name);
    assert!((s / std - 1.0).abs() < 4.0 / n.sqrt(), "{name}: deviation {s}, expected {std}");
    assert!(m.abs() < 4.0 * std / n.sqrt(), "{name}: mean {m}");
    assert!(most <= bound * 1.000_001, "{name}: {most} beyond {bound}");
    assert!(bound.is_finite() || most > 2.0 * std, "{name}: {most} is little for a normal distribution");
}

fn uniform(w: &Weights, name: &str, bound: f64) {
    has(w, name, bound / 3f64.sqrt(), bound);
}
fn normal(w: &Weights, name: &str, std: f64) {
    has(w, name, std, f64::INFINITY);
}
fn constant(w: &Weights, name: &str, value: f64) {
    assert!(w.get(name).unwrap().to_f64().iter().all(|&x| (x - value).abs() < 1e-12 + 1e-6 * value), "{name}");
}

#[test]
fn residual_networks() {
    let w = weights("resnet18");
    // He over fan-out: 128 filters of 3 × 3.
    normal(&w, "layer2.0.conv1.weight", (2.0 / (128.0 * 9.0f64)).sqrt());
    uniform(&w, "fc.weight", 1.0 / 512f64.sqrt());
    uniform(&w, "fc.bias", 1.0 / 512f64.sqrt());
    constant(&w, "layer1.0.bn2.weight", 1.0);
    constant(&w, "layer1.0.bn2.running_var", 1.0);
    constant(&w, "layer1.0.bn2.bias", 0.0);
    let w = weights("resnet20");
    normal(&w, "layer2.1.conv1.weight", (2.0 / (32.0 * 9.0f64)).sqrt());
    let w = weights("wrn_16_8");
    normal(&w, "layer1.1.conv1.weight", (2.0 / (128.0 * 9.0f64)).sqrt());
    let w = weights("preresnet18");
    normal(&w, "head.fc.weight", 0.01);
    constant(&w, "head.fc.bias", 0.0);
}

#[test]
fn plain_and_branched_networks() {
    let w = weights("squeezenet1_1");
    uniform(&w, "features.3.expand3x3.weight", (6.0 / (16.0 * 9.0f64)).sqrt());
    normal(&w, "classifier.1.weight", 0.01);
    constant(&w, "features.0.bias", 0.0);
    let w = weights("googlenet");
    normal(&w, "inception3a.branch2.1.conv.weight", 0.01);
    uniform(&w, "fc.bias", 1.0 / 1024f64.sqrt());
    let w = weights("inception_v3");
    normal(&w, "Mixed_5b.branch5x5_2.conv.weight", 0.1);
    normal(&w, "AuxLogits.conv1.conv.weight", 0.01);
    normal(&w, "AuxLogits.fc.weight", 0.001);
    normal(&w, "fc.weight", 0.1);
    uniform(&w, "fc.bias", 1.0 / 2048f64.sqrt());
    let w = weights("densenet121");
    normal(&w, "features.denseblock1.denselayer1.conv2.weight", (2.0 / (128.0 * 9.0f64)).sqrt());
    uniform(&w, "classifier.weight", 1.0 / 1024f64.sqrt());
    constant(&w, "classifier.bias", 0.0);
    // VGG, narrower: He over fan-out, small normal fully connected layers.
    let w = weights("tiny_vgg");
    normal(&w, "features.8.weight", (2.0 / (16.0 * 9.0f64)).sqrt());
    normal(&w, "classifier.0.weight", 0.01);
    constant(&w, "classifier.0.bias", 0.0);
}

#[test]
fn mobile_networks() {
    let w = weights("mobilenet_v3_small");
    // Over fan-out without regard to groups, as torch.nn.init counts it: 96 filters of 5 × 5.
    normal(&w, "features.4.block.1.0.weight", (2.0 / (96.0 * 25.0f64)).sqrt());
    normal(&w, "classifier.3.weight", 0.01);
    constant(&w, "features.1.block.1.fc1.bias", 0.0);
    let w = weights("efficientnet_b0");
    uniform(&w, "classifier.1.weight", 1.0 / 1000f64.sqrt());
    constant(&w, "classifier.1.bias", 0.0);
    normal(&w, "features.4.0.block.3.0.weight", (2.0 / 80f64).sqrt());
    let w = weights("shufflenet_v2_x1_0");
    uniform(&w, "stage3.1.branch2.0.weight", 1.0 / 116f64.sqrt());
    let w = weights("tiny_convnext");
    constant(&w, "features.1.0.layer_scale", 1e-6);
    normal(&w, "features.3.0.block.3.weight", 0.02);
    normal(&w, "features.1.0.block.0.weight", 0.02);
    constant(&w, "features.3.0.block.3.bias", 0.0);
}
