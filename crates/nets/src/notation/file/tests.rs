use super::*;
use crate::{Mode, network, summary};
use gabor_graph::Graph;
use gabor_tensor::{Stream, rng};

fn graph(text: &str) -> Graph {
    parse_toml(text, &Options::default()).unwrap_or_else(|e| panic!("{e}")).graph(Mode::Train).unwrap()
}
fn mistake(text: &str) -> String {
    parse_toml(text, &Options::default()).expect_err(text).to_string()
}

const RESNET: &str = r#"
name = "mine"            # é before the texts moves the places of bytes
input = [3, 32, 32]
classes = 10
net = """
INPUT -> stem: conv3-16 nobias -> bn -> relu
      -> unit*N -> layer2: res[conv3-32/2 bn relu conv3-32 bn] relu -> gap -> FC
"""

[blocks]
unit = "res[conv3-16 bn relu conv3-16 bn] -> relu"
N = 2
"#;

#[test]
fn notation_with_blocks() {
    let net = parse_toml(RESNET, &Options::default()).unwrap();
    assert_eq!((net.name(), net.input(), net.classes()), ("mine", &[3, 32, 32][..], 10));
    let g = net.graph(Mode::Infer).unwrap();
    assert!(g.find("stem.weight").is_some() && g.find("layer2.conv1.weight").is_some());
    assert_eq!(g.nodes().iter().filter(|n| n.name.contains("add") && !n.name.contains('.')).count(), 2);
    // The user's options take the place of the file's.
    let o = Options { classes: Some(7), input: Some(vec![16]), channels: Some(1), ..Options::default() };
    let net = network(RESNET, &o).unwrap();
    assert_eq!((net.input(), net.classes()), (&[1, 16, 16][..], 7));
    // One dimension, texts, and a length of the user's.
    let sound = "input = [2, 100]\nnet = 'conv5-4 gap FC-2'";
    assert_eq!(parse_toml(sound, &Options::default()).unwrap().input(), [2, 100]);
    let text =
        "input = [64]\nvocabulary = 500\n[[layer]]\nkind = 'embedding'\nembedding_dim = 8\n[[layer]]\nnet = 'gmp FC-2'";
    let net = parse_toml(text, &Options::default()).unwrap();
    assert_eq!((net.input(), net.vocabulary()), (&[64][..], Some(500)));
    let o = Options { input: Some(vec![20]), ..Options::default() };
    assert_eq!(parse_toml(text, &o).unwrap().input(), [20]);
    let e = mistake("input = [3, 8, 8]\nnet = 'INPUT 3x9x9 FC-2'");
    assert!(e.contains("INPUT alone"), "{e}");
    // A file's text is told from a line of the notation.
    assert!(is_toml(RESNET) && is_toml("[[layer]]\nkind = 'relu'") && !is_toml("INPUT 3x8x8 -> net: conv3-8 -> FC-2"));
    let he = parse_toml(&format!("init = 'zeros'\n{RESNET}"), &Options::default()).unwrap().initialize(1).unwrap();
    assert!(he.get("stem.weight").unwrap().to_f64().iter().all(|&x| x == 0.0));
}

/// The same network as tables; and each with PyTorch's defaults.
#[test]
fn tables() {
    let text = r#"
input = [3, 32, 32]
classes = 10
[[layer]]
kind = "Conv2d"
name = "stem"
out_channels = 16
kernel_size = 3
padding = 1
bias = false
[[layer]]
net = "bn relu"
[[layer]]
kind = "group"
repeat = 2
[[layer.layer]]
kind = "residual"
net = "conv3-16 bn relu conv3-16 bn"
[[layer.layer]]
kind = "relu"
[[layer]]
kind = "residual"
name = "layer2"
layer = [
    { kind = "conv", filters = 32, kernel_size = [3, 3], stride = 2, padding = [1, 1] },
    { kind = "batch_norm" }, { kind = "ReLU" }, { net = "conv3-32 bn" },
]
[[layer]]
kind = "relu"
[[layer]]
kind = "global_avg_pool"
[[layer]]
kind = "linear"
"#;
    let shapes =
        |g: &Graph| g.nodes().iter().map(|n| format!("{} {}", n.name, g.shape(n.outputs[0]))).collect::<Vec<_>>();
    assert_eq!(shapes(&graph(text)), shapes(&graph(RESNET)));
    // No padding unless said, no ReLU unless said, LRN with PyTorch's numbers, all kinds.
    let text = r#"
input = "4x20x20"
[[layer]]
kind = "conv"
out_channels = 8
kernel_size = 3
dilation = 2
padding_mode = "reflect"
padding = 2
[[layer]]
kind = "concat"
branch = ["conv1-4", "", "conv1-2 conv5-4"]
[[layer]]
kind = "add"
[[layer.branch]]
[[layer.branch]]
layer = [{ kind = "depthwise_conv", kernel_size = 3, padding = "same" }]
[[layer]]
kind = "multiply"
branch = ["", "gap conv1-16 sigmoid"]
[[layer]]
kind = "avg_pool"
kernel_size = 2
count_include_pad = false
padding = 1
[[layer]]
kind = "local_response_norm"
size = 5
[[layer]]
layer = [
    { kind = "conv_transpose", filters = 6, kernel_size = 2, stride = 2, output_padding = 1 },
    { kind = "leaky_relu", negative_slope = 0.2 }, { kind = "elu", alpha = 0.5 }, { kind = "gelu" },
    { kind = "locally_connected", filters = 4, kernel_size = 3, bias = false },
    { kind = "lp_pool", norm_type = 3, kernel_size = 2, ceil_mode = true }, { kind = "layer_norm" },
    { kind = "group_norm", num_groups = 2 }, { kind = "adaptive_max_pool2d", output_size = [4, 3] },
    { kind = "maxout", pieces = 2 }, { kind = "dropout", p = 0.1 }, { kind = "place_bias" }, { kind = "flatten" },
    { kind = "linear", out_features = 5, bias = false }, { kind = "softmax" },
]
"#;
    let g = graph(text);
    let shape = |name: &str| g.shape(g.find(name).unwrap_or_else(|| panic!("{name}"))).to_string();
    assert_eq!(shape("concat1"), "[n, 16, 20, 20]");
    assert_eq!(shape("pool2"), "[n, 16, 11, 11]");
    assert_eq!(g.ty(g.output_value("logits").unwrap()).to_string(), "f32[n, 5]");
    assert!(!g.nodes().iter().any(|n| n.name.starts_with("relu")));
    assert_eq!(parse_toml(text, &Options::default()).unwrap().name(), "description");
}

#[test]
fn mistakes_are_shown_in_the_file() {
    assert_eq!(
        mistake(&RESNET.replace("bn] -> relu", "bnn] -> relu")),
        "line 11, column 39: `bnn` is not a layer
  unit = \"res[conv3-16 bn relu conv3-16 bnn] -> relu\"
                                        ^^^
  right would be: bn"
    );
    assert_eq!(
        mistake("input = [3, 8, 8]\n[[layer]]\nkind = \"conv\"\nout_channels = 8\nkernal_size = 3\n"),
        "line 5, column 1: there is no key `kernal_size` here
  kernal_size = 3
  ^^^^^^^^^^^
  right would be: kernel_size"
    );
    assert_eq!(
        mistake("input = [3, 8, 8]\nnet = 'conv3-8 -> maxpool9 -> FC-2'"),
        "line 2, column 19: kernel_size 9 is larger than the padded input 8 + 0 + 0 = 8 in spatial dimension 0
  net = 'conv3-8 -> maxpool9 -> FC-2'
                    ^^^^^^^^
  right would be: kernel_size at most 8, or more padding"
    );
    for (text, line, says) in [
        ("net = 'FC-2", 1, "TOML"),
        ("name = 'a'", 1, "describes no network"),
        ("name = \"a\\u001b[1m\"\nnet = 'FC-2'", 1, "no name of a network"),
        ("net = 'FC-2'\nlayer = []", 1, "together"),
        ("input = 3.5\nnet = 'FC-2'", 1, "neither a whole number"),
        ("input = [3, 0]\nnet = 'FC-2'", 1, "0 is out of bounds"),
        ("net = 'FC-2'", 1, "extents are not known"),
        ("input = [8]\nclasses = 0\nnet = 'FC'", 2, "`classes` cannot have"),
        ("input = [8]\nnet = 'FC'\nclass = 2", 3, "no key `class`"),
        ("input = [8]\nnet = 'FC-2'\ninit = 'hee'", 3, "no initialiser"),
        ("input = [8]\nnet = 'FC-2'\n[blocks]\nrelu = 'tanh'", 4, "word of the notation"),
        ("input = [8]\nnet = 'a FC-2'\n[blocks]\na = 'b'\nb = 'a'", 5, "do not use themselves"),
        ("input = [8]\nnet = 7", 2, "no text"),
        ("input = [8]\n[[layer]]\nkind = 'linaer'", 3, "no kind of layer"),
        ("input = [8]\n[[layer]]\nunits = 3", 2, "without `kind`"),
        ("input = [3,8,8]\n[[layer]]\nkind = 'conv'\nkernel_size = 3", 2, "needs `out_channels`"),
        ("input = [3,8,8]\n[[layer]]\nkind = 'conv'\nfilters = 3\nkernel_size = 3\nin_channels = 3", 6, "follows from"),
        ("input = [3,8,8]\n[[layer]]\nkind = 'conv'\nfilters = 3\nout_channels = 3\nkernel_size = 3", 4, "the same"),
        ("input = [3,8,8]\n[[layer]]\nkind = 'add'\nbranch = ['relu']", 4, "two branches"),
        ("input = [3,8,8]\n[[layer]]\nkind = 'residual'", 2, "without layers"),
        ("input = [3,8,8]\n[[layer]]\nkind = 'relu'\nname = 'a b'", 4, "no name of a layer"),
        ("input = [3,8,8]\n[[layer]]\nkind = 'dropout'\np = 1.5", 4, "probability"),
        (
            "input = [3,8,8]\n[[layer]]\nkind = 'linear'\nunits = 2\nname = 'a'\n[[layer]]\nkind = 'linear'\nname = 'a'\nunits = 2",
            7,
            "two layers",
        ),
        ("input = [3,8,8]\nnet = \"relu \\u0041 FC-2\"", 2, "not a layer"),
    ] {
        let e = parse_toml(text, &Options::default()).expect_err(text);
        assert!(e.to_string().contains(says), "{text}:\n{e}");
        assert_eq!(e.line(), line, "{text}:\n{e}");
    }
}

/// Whatever the text, a network that builds or a mistake; no panic, no endless work.
#[test]
fn random_files_never_panic() {
    let mut s = Stream::new(5, 0, 0, rng::op::TEST);
    let mut good = 0;
    for round in 0..1500 {
        let mut chars: Vec<char> = if round % 3 == 0 {
            (0..s.below(80)).map(|_| char::from_u32(s.below(300) as u32).unwrap_or('x')).collect()
        } else if round % 3 == 1 {
            RESNET.chars().collect()
        } else {
            "input = [3, 9, 9]\n[[layer]]\nkind = 'concat'\nbranch = ['conv3-4', '', { net = 'relu' }]\n[[layer]]\nkind = 'max_pool'\nkernel_size = 3\nstride = [2, 1]\nrepeat = 2\n[[layer]]\nkind = 'linear'\nunits = 4\n"
                .chars()
                .collect()
        };
        for _ in 0..s.below(4) {
            let at = s.below(chars.len().max(1)).min(chars.len().saturating_sub(1));
            match s.below(3) {
                0 if !chars.is_empty() => {
                    chars.remove(at);
                }
                1 => chars.insert(at, char::from(32 + s.below(95) as u8)),
                _ if !chars.is_empty() => chars[at] = char::from(32 + s.below(95) as u8),
                _ => {}
            }
        }
        let text: String = chars.into_iter().collect();
        match parse_toml(&text, &Options::default()) {
            Ok(net) => {
                good += 1;
                summary(&net.graph(Mode::Train).unwrap_or_else(|e| panic!("{text}: {e}")));
            }
            Err(e) => assert!(e.line() <= text.split('\n').count() && e.to_string().len() < 4000, "{text:?}: {e}"),
        }
    }
    assert!(good > 200, "{good}");
    assert!(parse_toml(&format!("layer = {}", "[".repeat(50_000)), &Options::default()).is_err());
    let deep = "{ kind = 'group', layer = [".repeat(60) + &"] }".repeat(60);
    assert!(parse_toml(&format!("input = [3]\nlayer = [{deep}]"), &Options::default()).is_err());
}

#[test]
fn words_of_other_programs_are_answered() {
    let e = mistake("input = [3, 8, 8]\nlayers = [{ kind = 'linear' }]");
    assert!(e.contains("line 2, column 1: there is no key `layers`") && e.contains("[[layer]]"), "{e}");
    let e = mistake("input = [3, 8, 8]\n[[layer]]\ntype = 'Conv2d'");
    assert!(e.contains("line 3, column 1: there is no key `type`") && e.contains("kind = \"conv\""), "{e}");
    let e = mistake("input = [3, 8, 8]\nclasses = 4\n[[layer]]\nkind = 'linear'\nout_features = 7");
    assert!(e.contains("7 outputs, and there are 4 classes") && e.contains("out_features = 4"), "{e}");
}

#[test]
fn numbers_out_of_bounds_are_told_as_such() {
    let e = mistake("input = [3, 8, 8]\n[[layer]]\nkind = 'max_pool'\nkernel_size = -3");
    assert!(e.contains("line 4, column 15: -3 is out of bounds") && e.contains("from 1 to 255"), "{e}");
    let o = Options { classes: Some(99_999_999_999), ..Options::default() };
    let e = network("lenet5", &o).unwrap_err().to_string();
    assert!(e.contains("1 to 1048576"), "{e}");
}

/// The example of the documents.
#[test]
fn the_documented_list_of_layers() {
    let text = include_str!("../../../../../docs/layers.toml");
    assert!(is_toml(text));
    let net = parse_toml(text, &Options::default()).unwrap();
    assert_eq!((net.input(), net.classes()), (&[3, 32, 32][..], 10));
    let g = net.graph(Mode::Infer).unwrap();
    assert_eq!(g.shape(g.find("block.conv1.weight").unwrap()).to_string(), "[32, 32, 3, 3]");
}
