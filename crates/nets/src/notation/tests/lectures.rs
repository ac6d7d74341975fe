//! The networks and formulas of the lectures, as they are written there.

use super::{graph, mistake, parameters};
use crate::notation::parse;
use crate::zoo::Options;
use crate::{Mode, summary};

/// Pictures of 3×32×32 in ten classes, as the lectures' examples have them.
fn cifar() -> Options {
    Options { input: Some(vec![32]), channels: Some(3), classes: Some(10), ..Options::default() }
}

/// Machine Learning, lecture 7, "Finishing things up": the typical architecture, with its raised stars; what it leaves
/// open is said after it.
#[test]
fn typical_architecture() {
    const FORMULA: &str = "Input → [[Conv → ReLU]^{*}N → Pool?]^{*}M → [FC → ReLU]^{*}Q → FC";
    let e = parse(FORMULA, &cifar()).unwrap_err().to_string();
    assert!(e.contains("`N` is a placeholder of the lectures") && e.contains("where N=2"), "{e}");
    let net = parse(&format!("{FORMULA} where N=2, M=3, Q=1"), &cifar()).unwrap();
    let g = net.graph(Mode::Infer).unwrap();
    let kinds: Vec<&str> = g.nodes().iter().filter(|n| !n.name.contains('.')).map(|n| n.name.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "conv1", "relu1", "conv2", "relu2", "pool1", "conv3", "relu3", "conv4", "relu4", "pool2", "conv5", "relu5",
            "conv6", "relu6", "pool3", "flatten1", "fc1", "relu7", "fc2"
        ]
    );
    assert_eq!(g.ty(g.output_value("logits").unwrap()).to_string(), "f32[n, 10]");
}

/// Deep Convolutional Networks, "Summary": strokes for arrows, round brackets, and a soft-max that is the classifier.
#[test]
fn strokes() {
    let with = |n, m, k| format!("[(CONV-RELU)*N-POOL?]*M-(FC-RELU)*K,SOFTMAX where N={n} M={m} K={k}");
    for (n, m, k) in [(1, 1, 0), (2, 3, 1), (5, 4, 2)] {
        let net = parse(&with(n, m, k), &cifar()).unwrap();
        let s = summary(&net.graph(Mode::Train).unwrap());
        let count = |kind: &str| s.layers.iter().filter(|l| l.kind.starts_with(kind)).count();
        assert_eq!((count("conv"), count("max_pool"), count("linear")), (n * m, m, k + 1));
        assert_eq!(net.classes(), 10);
    }
    // "where N is usually up to ~5, M is large, 0 <= K <= 2", the numbers filled in.
    let filled = parse("[(CONV-RELU)*2-POOL?]*3-(FC-RELU)*1,SOFTMAX", &cifar()).unwrap();
    let named = parse(&with(2, 3, 1), &cifar()).unwrap();
    assert_eq!(filled.graph(Mode::Train).unwrap().to_text(), named.graph(Mode::Train).unwrap().to_text());
    // "Case Study: LeNet-5 … i.e. architecture is [CONV-POOL-CONV-POOL-CONV-FC]".
    let lenet = parse("[CONV-POOL-CONV-POOL-CONV-FC]", &cifar()).unwrap();
    let kinds: Vec<String> = summary(&lenet.graph(Mode::Infer).unwrap()).layers.into_iter().map(|l| l.kind).collect();
    assert_eq!(kinds, ["input", "conv + relu", "max_pool", "conv + relu", "max_pool", "conv + relu", "linear"]);
}

/// The same lecture, "Case Study: AlexNet": the full (simplified) architecture, remarks and all.
const ALEXNET: &str = "[227x227x3] INPUT [55x55x96] CONV1: 96 11x11 filters at stride 4, pad 0 \
    [27x27x96] MAX POOL1: 3x3 filters at stride 2 [27x27x96] NORM1: Normalization layer \
    [27x27x256] CONV2: 256 5x5 filters at stride 1, pad 2 [13x13x256] MAX POOL2: 3x3 filters at stride 2 \
    [13x13x256] NORM2: Normalization layer [13x13x384] CONV3: 384 3x3 filters at stride 1, pad 1 \
    [13x13x384] CONV4: 384 3x3 filters at stride 1, pad 1 [13x13x256] CONV5: 256 3x3 filters at stride 1, pad 1 \
    [6x6x256] MAX POOL3: 3x3 filters at stride 2 [4096] FC6: 4096 neurons [4096] FC7: 4096 neurons \
    [1000] FC8: 1000 neurons (class scores)";

#[test]
fn alexnet() {
    let g = graph(ALEXNET);
    let s = summary(&g);
    assert_eq!(s.parameters, 62_378_344);
    // "Parameters: (11*11*3)*96 = 35K"
    assert_eq!(s.layers[1].weights, 11 * 11 * 3 * 96);
    for (name, shape) in [
        ("conv1.weight", "[96, 3, 11, 11]"),
        ("maxpool3", "[n, 256, 6, 6]"),
        ("norm1", "[n, 96, 27, 27]"),
        ("fc8.weight", "[1000, 4096]"),
    ] {
        assert_eq!(g.shape(g.find(name).unwrap_or_else(|| panic!("{name}"))).to_string(), shape);
    }
    // A shape that is not what comes out is a mistake, at its place.
    assert_eq!(
        mistake("[227x227x3] INPUT [54x54x96] CONV1: 96 11x11 filters at stride 4, pad 0 -> FC-10"),
        "line 1, column 19: the text says [54x54x96], and the layers give [55x55x96]
  [227x227x3] INPUT [54x54x96] CONV1: 96 11x11 filters at stride 4, pa…
                    ^^^^^^^^^^
  right would be: [55x55x96]"
    );
    // "First layer (CONV1): 96 11x11 filters applied at stride 4": 55 = (227 - 11) / 4 + 1, so nothing is padded.
    let first = graph("Input: 227x227x3 images -> CONV1: 96 11x11 filters applied at stride 4 -> FC-2");
    assert_eq!(first.shape(first.find("conv1").unwrap()).to_string(), "[n, 96, 55, 55]");
    // "Case Study: ZFNet": AlexNet, but the first window 7×7 at stride 2, and 512, 1024, 512 filters.
    let zf = ALEXNET.replace("[227x227x3]", "[225x225x3]").replace("[55x55x96]", "[110x110x96]");
    let zf = zf.replace("11x11 filters at stride 4, pad 0", "7x7 filters at stride 2, pad 0");
    assert!(mistake(&zf).contains("[27x27x96]"));
}

/// The same lecture, "DeepMind's AlphaGo": the policy network.
#[test]
fn alphago() {
    let g = graph(
        "[19x19x48] Input CONV1: 192 5x5 filters, stride 1, pad 2 => [19x19x192] \
         CONV2..12: 192 3x3 filters, stride 1, pad 1 => [19x19x192] \
         CONV: 1 1x1 filter, stride 1, pad 0 => [19x19] (probability map of promising moves)",
    );
    assert_eq!(g.ty(g.output_value("logits").unwrap()).to_string(), "f32[n, 361]");
    assert!(g.find("conv12.weight").is_some() && g.find("conv13.weight").is_some());
    assert_eq!(g.nodes().iter().filter(|n| n.name.starts_with("relu")).count(), 12);
    // With its bias for each position, as the text beside it says.
    let k192 = "INPUT 48x19x19 conv5-192 conv3-192*11 conv1-1 nobias placebias soft-max";
    assert_eq!(parameters(k192), (25 * 48 + 1) * 192 + 11 * (9 * 192 + 1) * 192 + 192 + 361);
}

/// The columns of the VGG table, word by word, its input included; parameters in millions stand below them.
#[test]
fn vgg_columns() {
    const HEAD: &str = "input (224 × 224 RGB image)";
    const TAIL: &str = "FC-4096 FC-4096 FC-1000 soft-max";
    let stages = |words: [&str; 5]| words.map(|w| format!("{w} maxpool")).join(" ");
    let double = |f: usize, more: &str| format!("conv3-{f} conv3-{f} {more}");
    let columns = [
        (133, ["conv3-64".into(), "conv3-128".into(), double(256, ""), double(512, ""), double(512, "")]),
        (133, ["conv3-64 LRN".into(), "conv3-128".into(), double(256, ""), double(512, ""), double(512, "")]),
        (133, [64, 128, 256, 512, 512].map(|f| double(f, ""))),
        (
            134,
            [
                double(64, ""),
                double(128, ""),
                double(256, "conv1-256"),
                double(512, "conv1-512"),
                double(512, "conv1-512"),
            ],
        ),
        (
            138,
            [
                double(64, ""),
                double(128, ""),
                double(256, "conv3-256"),
                double(512, "conv3-512"),
                double(512, "conv3-512"),
            ],
        ),
        (
            144,
            [
                double(64, ""),
                double(128, ""),
                double(256, "conv3-256 conv3-256"),
                double(512, "conv3-512 conv3-512"),
                double(512, "conv3-512 conv3-512"),
            ],
        ),
    ];
    for (millions, c) in columns {
        let text = format!("{HEAD} {} {TAIL}", stages([&c[0], &c[1], &c[2], &c[3], &c[4]]));
        assert_eq!((parameters(&text) as f64 / 1e6).round() as u64, millions, "{text}");
    }
}

/// The lecture's listing of VGG-16 with memory and parameters. (Its text was read from a picture; a doubled line and a
/// footnote sign are left out.)
const VGG16: &str = "INPUT: [224x224x3] memory: 224*224*3=150K params: 0
    CONV3-64: [224x224x64] memory: 224*224*64=3.2M params: (3*3*3)*64 = 1,728
    CONV3-64: [224x224x64] memory: 224*224*64=3.2M params: (3*3*64)*64 = 36,864
    POOL2: [112x112x64] memory: 112*112*64=800K params: 0
    CONV3-128: [112x112x128] memory: 112*112*128=1.6M params: (3*3*64)*128 = 73,728
    CONV3-128: [112x112x128] memory: 112*112*128=1.6M params: (3*3*128)*128 = 147,456
    POOL2: [56x56x128] memory: 56*56*128=400K params: 0
    CONV3-256: [56x56x256] memory: 56*56*256=800K params: (3*3*128)*256 = 294,912
    CONV3-256: [56x56x256] memory: 56*56*256=800K params: (3*3*256)*256 = 589,824
    CONV3-256: [56x56x256] memory: 56*56*256=800K params: (3*3*256)*256 = 589,824
    POOL2: [28x28x256] memory: 28*28*256=200K params: 0
    CONV3-512: [28x28x512] memory: 28*28*512=400K params: (3*3*256)*512 = 1,179,648
    CONV3-512: [28x28x512] memory: 28*28*512=400K params: (3*3*512)*512 = 2,359,296
    CONV3-512: [28x28x512] memory: 28*28*512=400K params: (3*3*512)*512 = 2,359,296
    POOL2: [14x14x512] memory: 14*14*512=100K params: 0
    CONV3-512: [14x14x512] memory: 14*14*512=100K params: (3*3*512)*512 = 2,359,296
    CONV3-512: [14x14x512] memory: 14*14*512=100K params: (3*3*512)*512 = 2,359,296
    CONV3-512: [14x14x512] memory: 14*14*512=100K params: (3*3*512)*512 = 2,359,296
    POOL2: [7x7x512] memory: 7*7*512=25K params: 0
    FC: [1x1x4096] memory: 4096 params: 7*7*512*4096 = 102,760,448
    FC: [1x1x4096] memory: 4096 params: 4096*4096 = 16,777,216
    FC: [1x1x1000] memory: 1000 params: 4096*1000 = 4,096,000";

#[test]
fn vgg_listing() {
    let s = summary(&graph(VGG16));
    assert_eq!((s.parameters, s.weights, s.values), (138_357_544, 138_344_128, 15_237_608));
    // Each line's product and number of parameters are those of our table.
    let lines: Vec<&str> = VGG16.lines().collect();
    assert_eq!(lines.len(), s.layers.len());
    for (line, layer) in lines.iter().zip(&s.layers) {
        let product = |text: &str| -> u64 {
            text.split('*').map(|f| f.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().unwrap()).product()
        };
        let memory = line.split("memory:").nth(1).unwrap().split("params").next().unwrap().split('=').next().unwrap();
        assert_eq!(product(memory), layer.values, "{line}");
        let weights: u64 = line.rsplit(['=', ':']).next().unwrap().trim().replace(',', "").parse().unwrap();
        assert_eq!(weights, layer.weights, "{line}");
    }
}

/// Sentences about single layers.
#[test]
fn sentences() {
    let o = Options { classes: Some(2), ..Options::default() };
    let shape = |text: &str, name: &str| {
        let g = parse(text, &o).unwrap_or_else(|e| panic!("{e}")).graph(Mode::Infer).unwrap();
        g.shape(g.find(name).unwrap_or_else(|| panic!("{text}: {name}"))).to_string()
    };
    // "Input volume: 32x32x3, 10 5x5 filters with stride 1, pad 2": 32x32x10, and 760 parameters.
    let text = "Input: 32x32x3 volume, 10 5x5 filters with stride 1, pad 2 -> gap";
    assert_eq!(graph(text).shape(graph(text).find("conv1").unwrap()).to_string(), "[n, 10, 32, 32]");
    assert_eq!(parameters(text), 760);
    // "if we had 6 5x5 filters … a new image of size 28x28x6".
    assert_eq!(shape("INPUT 3x32x32, 6 5x5 filters, FC", "conv1"), "[n, 6, 28, 28]");
    // "max pool with 2x2 filters and stride 2", "Max pooling with 2×2 filter and stride 2".
    assert_eq!(shape("INPUT 1x4x4 max pool with 2x2 filters and stride 2 FC", "pool1"), "[n, 1, 2, 2]");
    assert_eq!(shape("INPUT 1x4x4 Max pooling with 2×2 filter and stride 2 FC", "pool1"), "[n, 1, 2, 2]");
    // "Only 3x3 CONV stride 1, pad 1 and 2x2 MAX POOL stride 2", each as a layer.
    assert_eq!(shape("INPUT 3x8x8 CONV3-4 stride 1, pad 1, MAX POOL2 stride 2, FC", "pool1"), "[n, 4, 4, 4]");
    // Input length 13, stride 5, kernel length 6: "valid" drops two elements, "same" pads three.
    assert_eq!(shape("INPUT 1x13 conv6-1 stride 5 padding valid FC", "conv1"), "[n, 1, 2]");
    assert_eq!(shape("INPUT 1x13 conv6-1 stride 5 padding same FC", "conv1"), "[n, 1, 3]");
    // "Kernel size: 3 x 4 x 4, 3 input channels, 2 filters, padding = 3, stride = 1".
    assert_eq!(shape("INPUT 3x5x5, 2 4x4 filters padding=3 stride=1, FC", "conv1"), "[n, 2, 8, 8]");
    // "doesn't fit! cannot apply 3x3 filter on 7x7 input with stride 3": a row and a column are left out, with a note.
    let g = graph("INPUT 1x7x7, 1 3x3 filter at stride 3, FC-2");
    assert!(summary(&g).notes[0].contains("conv1"), "{:?}", summary(&g).notes);
    // Neural Network Optimization: the world's smallest network y = wx, and "function of FOUR parameters and FOUR layers".
    assert_eq!(parameters("INPUT 1 -> FC-1 nobias"), 1);
    let four = "INPUT 1 -> FC-1 -> sigmoid -> FC-1 nobias -> sigmoid -> FC-1 nobias -> sigmoid";
    assert_eq!(parameters(four), 4);
    // "Without weight sharing, this is called a locally connected layer".
    assert_eq!(parameters("INPUT 3x32x32 local5-1 valid nobias FC-1 nobias"), 28 * 28 * 5 * 5 * 3 + 28 * 28);
}
