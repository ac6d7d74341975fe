//! Every network of the zoo: parameters as published, output shapes, names as torchvision's.

use gabor_graph::{Graph, Source};
use gabor_nets::zoo::{self, Options};
use gabor_nets::{Mode, Network, Scheme, initialize, summary};

fn graph(name: &str, mode: Mode) -> Graph {
    zoo::by_name(name, &Options::default()).unwrap().graph(mode).unwrap()
}

/// Trainable numbers of a graph.
fn trainable(g: &Graph) -> usize {
    g.parameters().filter(|(_, p)| p.trainable).map(|(v, _)| g.shape(v).len_at(1)).sum()
}

#[test]
fn parameters_and_logits_are_as_published() {
    for card in zoo::cards() {
        for mode in [Mode::Infer, Mode::Train] {
            let g = graph(card.name, mode);
            let logits = g.output_value("logits").unwrap();
            // Networks of segmentation give scores for every place.
            let [_, c, places @ ..] = g.shape(logits).dims() else { panic!("{}: {}", card.name, g.ty(logits)) };
            assert_eq!(c.fixed(), Some(card.classes), "{}", card.name);
            let dense = ["unet", "fcn"].iter().any(|d| card.name.contains(d));
            assert_eq!(places.len(), if dense { 2 } else { 0 }, "{}", card.name);
            let s = summary(&g);
            assert_eq!(s.parameters as usize, trainable(&g), "{}: every parameter belongs to a layer", card.name);
            if mode == Mode::Infer {
                assert_eq!(s.parameters, card.parameters, "{}", card.name);
            }
            g.validate().unwrap();
        }
    }
}

/// The numbers once more, by hand, so that a wrong card does not pass: papers and torchvision.
#[test]
fn famous_numbers() {
    for (name, parameters) in [
        ("vgg-d", 138_357_544),
        ("resnet18", 11_689_512),
        ("resnet50", 25_557_032),
        ("resnet152", 60_192_808),
        ("alexnet_torchvision", 61_100_840),
        ("squeezenet1_1", 1_235_496),
        ("mobilenet_v2", 3_504_872),
        ("googlenet", 6_624_904),
        ("darknet19", 20_842_376),
        ("darknet_tiny", 1_042_104),
        ("text_cnn", 18_766 * 300 + 300 * (3 + 4 + 5) * 100 + 300 + 602),
        ("c3d", 79_991_015),
        ("unet", 31_030_658),
        ("unet_padded", 31_037_698),
        ("fcn32s", 136_152_917),
        ("fcn8s", 134_489_759),
        ("resnet20", 269_722),
        ("resnet44", 658_586),
        ("resnet110", 1_727_962),
        ("wide_resnet50_2", 68_883_240),
        ("resnext50_32x4d", 25_028_904),
        ("resnext101_32x8d", 88_791_336),
        ("inception_v3", 27_161_264 - 3_326_696),
        ("densenet121", 7_978_856),
        ("mobilenet_v3_large", 5_483_032),
        ("efficientnet_b0", 5_288_548),
        ("efficientnet_b4", 19_341_616),
        ("convnext_tiny", 28_589_128),
        ("shufflenet_v2_x1_0", 2_278_604),
    ] {
        assert_eq!(summary(&graph(name, Mode::Infer)).parameters, parameters, "{name}");
    }
    for (name, millions) in
        [("vgg-a", 133), ("vgg-a-lrn", 133), ("vgg-b", 133), ("vgg-c", 134), ("vgg-d", 138), ("vgg-e", 144)]
    {
        let p = summary(&graph(name, Mode::Infer)).parameters;
        assert_eq!((p as f64 / 1e6).round() as u64, millions, "{name}");
    }
    // Papers that print one decimal.
    for (name, millions) in [
        ("resnet56", "0.9"),
        ("resnet110", "1.7"),
        ("preresnet110", "1.7"),
        ("preresnet164", "1.7"),
        ("wrn_28_10", "36.5"),
        ("wrn_16_8", "11.0"),
        ("mobilenet_v1", "4.2"),
        ("efficientnet_b0", "5.3"),
        ("efficientnet_b1", "7.8"),
        // 9.2 in the paper; torchvision's has 9.1.
        ("efficientnet_b2", "9.1"),
        // 12 and 19 in the paper.
        ("efficientnet_b3", "12.2"),
        ("efficientnet_b4", "19.3"),
        // 29 and 50 in the paper.
        ("convnext_tiny", "28.6"),
        ("convnext_small", "50.2"),
    ] {
        let p = summary(&graph(name, Mode::Infer)).parameters;
        assert_eq!(format!("{:.1}", p as f64 / 1e6), millions, "{name}");
    }
}

#[test]
fn names_are_unique_and_cards_are_filled() {
    let mut seen = std::collections::HashSet::new();
    for card in zoo::cards() {
        for name in std::iter::once(&card.name).chain(card.aliases) {
            assert!(seen.insert(name.replace('-', "_")), "two networks answer to {name}");
        }
        assert!(!card.title.is_empty() && card.year > 1900 && !card.licence.is_empty(), "{}", card.name);
        if let Some(p) = card.preprocessing {
            assert_eq!([p.mean.len(), p.std.len()], [card.input[0]; 2], "{}", card.name);
            assert!(p.resize.is_none_or(|side| side >= card.input[1]), "{}: a crop inside the resize", card.name);
        }
    }
}

#[test]
fn names_are_torchvisions() {
    for (net, names) in [
        (
            "resnet50",
            vec![
                "conv1.weight",
                "bn1.running_mean",
                "layer1.0.downsample.0.weight",
                "layer1.0.downsample.1.running_var",
                "layer3.5.conv3.weight",
                "layer4.2.bn3.bias",
                "fc.weight",
                "fc.bias",
            ],
        ),
        ("vgg16", vec!["features.0.weight", "features.28.bias", "classifier.0.weight", "classifier.6.bias"]),
        ("vgg16_bn", vec!["features.1.running_mean", "features.40.weight", "features.41.bias", "classifier.6.weight"]),
        ("alexnet_torchvision", vec!["features.10.weight", "classifier.1.weight", "classifier.6.bias"]),
        (
            "squeezenet1_1",
            vec!["features.0.weight", "features.3.squeeze.weight", "features.12.expand3x3.bias", "classifier.1.weight"],
        ),
        ("squeezenet1_0", vec!["features.12.expand1x1.bias"]),
        (
            "googlenet",
            vec![
                "conv1.conv.weight",
                "inception3a.branch2.1.bn.weight",
                "inception5b.branch4.1.conv.weight",
                "fc.bias",
            ],
        ),
        (
            "mobilenet_v2",
            vec![
                "features.0.0.weight",
                "features.1.conv.0.0.weight",
                "features.1.conv.1.weight",
                "features.1.conv.2.bias",
                "features.2.conv.1.0.weight",
                "features.17.conv.3.running_var",
                "features.18.1.weight",
                "classifier.1.bias",
            ],
        ),
        ("resnet20", vec!["conv1.weight", "layer3.2.bn2.running_var", "linear.weight", "linear.bias"]),
    ] {
        let g = graph(net, Mode::Infer);
        for name in names {
            let v = g.find(name).unwrap_or_else(|| panic!("{net} has no {name}"));
            assert!(matches!(g.value(v).source, Source::Parameter(_)), "{net}: {name}");
        }
    }
}

#[test]
fn shapes_inside() {
    for (net, node, shape) in [
        ("alexnet", "conv1", "[n, 96, 55, 55]"),
        ("alexnet", "pool1", "[n, 96, 27, 27]"),
        ("alexnet", "pool3", "[n, 256, 6, 6]"),
        ("zfnet", "conv1", "[n, 96, 110, 110]"),
        ("zfnet", "pool3", "[n, 256, 6, 6]"),
        ("googlenet", "inception3a.concat1", "[n, 256, 28, 28]"),
        ("googlenet", "inception5b.concat1", "[n, 1024, 7, 7]"),
        ("resnet50", "layer4.2.add1", "[n, 2048, 7, 7]"),
        ("alphago_policy", "conv12", "[n, 192, 19, 19]"),
        ("mobilenet_v2", "features.18.0", "[n, 1280, 7, 7]"),
        ("squeezenet1_1", "classifier.1", "[n, 1000, 13, 13]"),
        ("lenet5_1998", "c5", "[n, 120, 1, 1]"),
        ("darknet19", "conv19", "[n, 1000, 7, 7]"),
        ("darknet", "conv8", "[n, 1000, 4, 4]"),
        ("darknet_tiny", "conv16", "[n, 1000, 14, 14]"),
        ("text_cnn", "convs.0", "[n, 100, 62]"),
        // Table 1 and figure 3 of the paper on C3D.
        ("c3d", "pool1", "[n, 64, 16, 56, 56]"),
        ("c3d", "conv5b", "[n, 512, 2, 7, 7]"),
        ("c3d", "pool5", "[n, 512, 1, 4, 4]"),
        // Figure 1 of the paper on U-Net.
        ("unet", "down1.conv2", "[n, 64, 568, 568]"),
        ("unet", "bottom.conv2", "[n, 1024, 28, 28]"),
        ("unet", "up1.concat1", "[n, 1024, 56, 56]"),
        ("unet", "up4.concat1", "[n, 128, 392, 392]"),
        ("unet", "out", "[n, 2, 388, 388]"),
        ("unet_padded", "outc.conv", "[n, 2, 512, 512]"),
        ("fcn32s", "score_fr", "[n, 21, 16, 16]"),
        ("fcn32s", "upscore", "[n, 21, 544, 544]"),
        ("fcn8s", "upscore8", "[n, 21, 568, 568]"),
    ] {
        let g = graph(net, Mode::Infer);
        let v = g.find(node).unwrap_or_else(|| panic!("{net} has no {node}\n{g}"));
        assert_eq!(g.shape(v).to_string(), shape, "{net} {node}");
    }
    // "About 650,000 neurons" (AlexNet, 2012), counted as the outputs of its layers with weights.
    let s = summary(&graph("alexnet_two_group", Mode::Infer));
    let neurons: u64 = s.layers.iter().filter(|r| r.weights > 0).map(|r| r.values).sum();
    assert_eq!(neurons, 55 * 55 * 96 + 27 * 27 * 256 + 13 * 13 * (384 + 384 + 256) + 4096 * 2 + 1000);
    assert!((640_000..670_000).contains(&neurons), "{neurons}");
}

#[test]
fn sizes_are_configurable() {
    let o = Options { input: Some(vec![32]), channels: Some(3), classes: Some(7), ..Options::default() };
    for name in ["lenet5", "resnet18", "resnet20", "vgg11", "mobilenet_v2", "squeezenet1_1", "googlenet", "mlp"] {
        let net = zoo::by_name(name, &o).unwrap();
        assert_eq!(net.input(), [3, 32, 32]);
        let g = net.graph(Mode::Train).unwrap();
        assert_eq!(g.ty(g.output_value("logits").unwrap()).to_string(), "f32[n, 7]", "{name}");
    }
    let small = zoo::by_name("lenet5", &Options { input: Some(vec![8]), ..Options::default() }).unwrap();
    let message = small.graph(Mode::Infer).unwrap_err().to_string();
    assert!(message.contains("conv2") && message.contains("kernel_size 5"), "{message}");
    assert!(zoo::by_name("lenet5", &Options { input: Some(vec![0]), ..Options::default() }).is_err());
    assert!(zoo::by_name("lenet5", &Options { input: Some(vec![1, 2, 3]), ..Options::default() }).is_err());
    assert!(zoo::by_name("lenet5", &Options { classes: Some(0), ..Options::default() }).is_err());
    let message = zoo::by_name("resnt18", &Options::default()).unwrap_err().to_string();
    assert!(message.contains("resnet18"), "{message}");
}

#[test]
fn inputs_of_other_dimensions_are_configurable() {
    let of = |name: &str, o: Options| zoo::by_name(name, &o);
    let film =
        of("tiny_c3d", Options { input: Some(vec![16, 32, 48]), channels: Some(1), ..Options::default() }).unwrap();
    assert_eq!(film.input(), [1, 16, 32, 48]);
    film.graph(Mode::Train).unwrap();
    let text = of("text_cnn", Options { input: Some(vec![20]), vocabulary: Some(300), ..Options::default() }).unwrap();
    let g = text.graph(Mode::Infer).unwrap();
    assert_eq!(g.ty(g.find("tokens").unwrap()).to_string(), "i32[n, 20]");
    assert_eq!(g.shape(g.find("embedding.weight").unwrap()).to_string(), "[300, 300]");
    let e = |name, o| of(name, o).unwrap_err().to_string();
    assert_eq!(
        e("text_cnn", Options { channels: Some(3), ..Options::default() }),
        "text_cnn: channels for a network that reads text; right would be: one number, the length of a text in words"
    );
    assert!(
        e("text_cnn", Options { input: Some(vec![3, 4]), ..Options::default() }).contains("a text of extents [3, 4]")
    );
    assert!(e("lenet5", Options { vocabulary: Some(3), ..Options::default() }).contains("reads no text"));
    let uneven = of("document_cnn", Options { input: Some(vec![100]), ..Options::default() }).unwrap();
    assert_eq!(
        uneven.graph(Mode::Infer).unwrap_err().to_string(),
        "tokens: a document of 100 words in sentences of 30; right would be: a multiple of 30"
    );
    let short = of("text_cnn", Options { input: Some(vec![4]), ..Options::default() }).unwrap();
    let message = short.graph(Mode::Infer).unwrap_err().to_string();
    assert!(message.contains("convs.2") && message.contains("kernel_size 5"), "{message}");
    let small = of("unet", Options { input: Some(vec![100]), ..Options::default() }).unwrap();
    assert!(small.graph(Mode::Infer).unwrap_err().to_string().contains("bottom.conv1"));
    // Pictures whose sides are no multiples of 16 keep them.
    let odd = of("tiny_unet_padded", Options { input: Some(vec![37, 50]), ..Options::default() }).unwrap();
    let g = odd.graph(Mode::Infer).unwrap();
    assert_eq!(g.shape(g.output_value("logits").unwrap()).to_string(), "[n, 2, 37, 50]");
}

#[test]
fn training_graphs_update_statistics_and_drop() {
    let g = graph("resnet20", Mode::Train);
    assert_eq!(g.updates().len(), 2 * 19);
    assert!(graph("resnet20", Mode::Infer).updates().is_empty());
    assert!(graph("alexnet", Mode::Train).find("key").is_some());
    assert!(graph("alexnet", Mode::Infer).find("key").is_none());
    // Both graphs have the same parameters, but for auxiliary heads.
    let mut with_heads = Vec::new();
    for name in zoo::names() {
        let net = zoo::by_name(name, &Options::default()).unwrap();
        let list = |mode| {
            let g = net.graph(mode).unwrap();
            g.parameters().map(|(v, _)| (g.value(v).name.clone(), g.shape(v).clone())).collect::<Vec<_>>()
        };
        let only = net.training_only().unwrap();
        let mut train = list(Mode::Train);
        train.retain(|(n, _)| !only.contains(n));
        assert_eq!(train, list(Mode::Infer), "{name}");
        let (_, heads) = net.graph_and_heads(Mode::Train).unwrap();
        assert!(only.iter().all(|n| heads.iter().any(|h| n.starts_with(&format!("{}.", h.name)))), "{name}: {only:?}");
        assert_eq!(only.is_empty(), heads.is_empty(), "{name}");
        if !heads.is_empty() {
            with_heads.push(name);
        }
    }
    assert!(with_heads.contains(&"googlenet") && !with_heads.contains(&"resnet18"), "{with_heads:?}");
}

/// Numbers of torchvision's `googlenet(aux_logits=True)`.
#[test]
fn auxiliary_heads_are_for_training_alone() {
    let net = zoo::by_name("googlenet", &Options::default()).unwrap();
    let (g, heads) = net.graph_and_heads(Mode::Train).unwrap();
    assert_eq!(trainable(&g), 13_004_888);
    assert_eq!(trainable(&net.clone().without_auxiliary().graph(Mode::Train).unwrap()), 6_624_904);
    let heads: Vec<(&str, f64)> = heads.iter().map(|h| (h.name.as_str(), h.weight)).collect();
    assert_eq!(heads, [("aux1", 0.3), ("aux2", 0.3)]);
    for (name, shape) in [
        ("aux1.conv.conv.weight", "[128, 512, 1, 1]"),
        ("aux2.conv.conv.weight", "[128, 528, 1, 1]"),
        ("aux1.conv.bn.running_var", "[128]"),
        ("aux2.fc1.weight", "[1024, 2048]"),
        ("aux1.fc2.bias", "[1000]"),
    ] {
        assert_eq!(g.shape(g.find(name).unwrap()).to_string(), shape, "{name}");
    }
    for name in ["aux1", "aux2"] {
        assert_eq!(g.ty(g.output_value(name).unwrap()).to_string(), "f32[n, 1000]");
    }
    let inception = zoo::by_name("inception_v3", &Options::default()).unwrap();
    let (g3, heads) = inception.graph_and_heads(Mode::Train).unwrap();
    assert_eq!(trainable(&g3), 27_161_264);
    assert_eq!((heads[0].name.as_str(), heads.len()), ("AuxLogits", 1));
    for (name, shape) in [
        ("AuxLogits.conv0.conv.weight", "[128, 768, 1, 1]"),
        ("AuxLogits.conv1.conv.weight", "[768, 128, 5, 5]"),
        ("AuxLogits.fc.weight", "[1000, 768]"),
    ] {
        assert_eq!(g3.shape(g3.find(name).unwrap()).to_string(), shape, "{name}");
    }
    let infer = net.graph(Mode::Infer).unwrap();
    assert_eq!(infer.outputs().len(), 1);
    assert!(infer.values().iter().all(|v| !v.name.starts_with("aux")));
    let twice = Network::new("twice", &[4], 2, |net| {
        net.auxiliary("a", 1.0, |h| h.linear("fc", 2))?.auxiliary("a", 1.0, |h| h.linear("fc2", 2))?;
        net.linear("fc", 2).map(|_| ())
    });
    assert!(twice.graph(Mode::Train).unwrap_err().to_string().contains("two heads of this name"));
    let weight = Network::new("weight", &[4], 2, |net| net.auxiliary("a", -1.0, |h| h.linear("fc", 2)).map(|_| ()));
    assert!(weight.graph(Mode::Train).unwrap_err().to_string().contains("at least 0"));
}

#[test]
fn a_scheme_rules_the_whole_network() {
    let scheme = Some(Scheme::by_name("zeros").unwrap());
    let net = zoo::by_name("tiny_resnet", &Options { scheme, ..Options::default() }).unwrap();
    let w = initialize(&net.graph(Mode::Train).unwrap(), 1);
    for (name, t) in w.iter() {
        let zero = t.to_f64().iter().all(|&x| x == 0.0);
        let norm = name.contains("bn") && (name.ends_with("weight") || name.ends_with("var"));
        assert_eq!(zero, !norm, "{name}");
    }
    assert!(Scheme::by_name("hee").unwrap_err().right.contains("he"));
    let w = zoo::by_name("lenet5", &Options::default()).unwrap().initialize(1).unwrap();
    assert!(w.iter().all(|(n, t)| n.ends_with("bias") == t.to_f64().iter().all(|&x| x == 0.0)));
}
