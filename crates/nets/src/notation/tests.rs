use super::*;
use crate::summary;

mod lectures;
use gabor_graph::Graph;
use gabor_tensor::{Stream, rng};

fn graph(text: &str) -> Graph {
    parse(text, &Options::default()).unwrap_or_else(|e| panic!("{e}")).graph(Mode::Train).unwrap()
}
fn parameters(text: &str) -> u64 {
    summary(&graph(text)).parameters
}
fn mistake(text: &str) -> String {
    parse(text, &Options::default()).expect_err(text).to_string()
}

/// The column D of the lecture's table, word by word.
const VGG_D: &str = "input 3x224x224
    conv3-64 conv3-64 maxpool
    conv3-128 conv3-128 maxpool
    conv3-256 conv3-256 conv3-256 maxpool
    conv3-512 conv3-512 conv3-512 maxpool
    conv3-512 conv3-512 conv3-512 maxpool
    FC-4096 FC-4096 FC-1000 soft-max";

#[test]
fn the_vgg_table() {
    let s = summary(&graph(VGG_D));
    assert_eq!((s.parameters, s.weights, s.values), (138_357_544, 138_344_128, 15_237_608));
    // The same with repeats, and the column C with its 1×1 convolutions.
    let d = "INPUT 3x224x224 [conv3-64*2 maxpool] [conv3-128*2 maxpool] [conv3-256*3 maxpool] [[conv3-512*3] maxpool]*2 FC-4096*2 FC-1000";
    assert_eq!(parameters(d), 138_357_544);
    let c = "INPUT 3x224x224 conv3-64*2 maxpool conv3-128*2 maxpool conv3-256*2 conv1-256 maxpool \
             [conv3-512*2 conv1-512 maxpool]*2 FC-4096*2 FC-1000";
    assert_eq!(parameters(c), 133_638_952);
    let a_lrn = "INPUT 3x224x224 conv3-64 LRN maxpool conv3-128 maxpool conv3-256*2 maxpool [conv3-512*2 maxpool]*2 \
                 FC-4096*2 FC-1000 soft-max";
    assert_eq!(parameters(a_lrn), 132_863_336);
    // ReLUs are implied after every layer but the last: 13 + 2.
    let relus = graph(VGG_D).nodes().iter().filter(|n| n.name.starts_with("relu")).count();
    assert_eq!(relus, 15);
}

#[test]
fn relus_that_are_not_written_are_told() {
    let notes = |text: &str| parse(text, &Options::default()).unwrap().notes().to_vec();
    assert!(notes("INPUT 3x8x8 conv3-4 FC-2")[0].contains("no activation is written"));
    // One that is written leaves the rest to the user; where no ReLU comes in, nothing is to be told.
    assert!(notes("INPUT 3x8x8 conv3-4 tanh conv3-4 FC-2").is_empty());
    assert!(notes("INPUT 3x8x8 FC-2").is_empty());
}

#[test]
fn words_of_other_notations_are_answered() {
    let right = |word: &str| {
        let e = mistake(&format!("INPUT 3x8x8 conv3-4 {word} relu FC-2"));
        e.split_once("right would be: ").unwrap_or_else(|| panic!("{e}")).1.to_string()
    };
    assert_eq!([right("stride3"), right("pad1"), right("groups2"), right("bm")], ["s3", "p1", "g2", "bn"]);
    let e = mistake("INPUT 3x8x8 conv3-4 s9x FC-2");
    assert!(e.contains("a number is missing"), "{e}");
    for word in ["Conv2d(3,16,3)", "conv2d-16", "MaxPool2d"] {
        assert!(right(word).contains("conv3-16 (kernel 3, 16 filters)"), "{word}");
    }
    // A dilation is one still.
    assert!(parse("INPUT 3x8x8 conv3-4d2 relu FC-2", &Options::default()).is_ok());
}

#[test]
fn the_lectures_pattern() {
    let o = Options { input: Some(vec![32]), channels: Some(3), classes: Some(10), ..Options::default() };
    let net = parse("INPUT -> [[CONV -> RELU]*2 -> POOL?]*3 -> [FC -> RELU]*2 -> FC", &o).unwrap();
    assert_eq!((net.input(), net.classes()), (&[3, 32, 32][..], 10));
    let g = net.graph(Mode::Infer).unwrap();
    assert_eq!(g.shape(g.find("conv6").unwrap()).to_string(), "[n, 128, 8, 8]");
    assert_eq!(g.shape(g.find("fc2").unwrap()).to_string(), "[n, 128]");
    // With seven poolings a 32×32 picture has become a point: the open ones are left out.
    let deep = parse("INPUT -> [CONV3-8 -> RELU -> POOL?]*7 -> FC", &o).unwrap().graph(Mode::Infer).unwrap();
    assert_eq!(deep.nodes().iter().filter(|n| n.name.starts_with("pool")).count(), 5);
    assert!(parse("INPUT -> [CONV3-8 -> RELU -> POOL]*7 -> FC", &o).is_err());
}

#[test]
fn lenet_alexnet_and_options() {
    let lenet = "INPUT 1x28x28 -> conv5-6 -> relu -> maxpool -> conv5-16 p0 -> relu -> maxpool \
                 -> FC-120 -> relu -> FC-84 -> relu -> FC-10";
    assert_eq!(parameters(lenet), 61_706);
    let alexnet = "INPUT 3x227x227 conv11-96/4p0 maxpool3 s2 conv5-256 p2 maxpool3s2 conv3-384*2 conv3-256 maxpool3 /2 \
                   dropout0.5 FC-4096 dropout-0.5 FC-4096 FC-1000 soft-max";
    assert_eq!(parameters(alexnet), 62_378_344);
    let grouped = "INPUT 3x227x227 conv11-96 s4 valid maxpool3 s2 conv5-256 g2 maxpool3s2 conv3-384 conv3-384g2 conv3-256g2 \
                   maxpool3/2 FC-4096 FC-4096 FC-1000";
    assert_eq!(parameters(grouped), 60_965_224);
    let g = graph("INPUT 2x9x9 dwconv3 nobias conv1-8 bn deconv2-4 s2 conv3x1-2 d2 gap FC-3");
    assert_eq!(g.shape(g.find("conv1").unwrap()).to_string(), "[n, 2, 9, 9]");
    assert_eq!(g.shape(g.find("conv3").unwrap()).to_string(), "[n, 4, 18, 18]");
    assert!(g.find("conv1.bias").is_none() && g.find("conv2.bias").is_some());
    // One and three dimensions.
    assert_eq!(parameters("INPUT 4x30 conv5-8 maxpool FC-2"), 8 * 20 + 8 + 15 * 8 * 2 + 2);
    assert_eq!(parameters("INPUT 1x8x8x8 conv3-2 gap FC-2"), 2 * 27 + 2 + 6);
}

#[test]
fn branches() {
    let g = graph("INPUT 3x16x16 conv3-16 bn res[conv3-16 bn conv3-16 bn]*2 res[conv3-32/2 bn conv3-32 bn] gap FC-10");
    assert_eq!(g.shape(g.find("add3").unwrap()).to_string(), "[n, 32, 8, 8]");
    assert_eq!(g.shape(g.find("proj1").unwrap()).to_string(), "[n, 32, 8, 8]");
    // The ReLU after a block follows the addition.
    let after = g.nodes().iter().skip_while(|n| n.name != "add1").nth(1).unwrap();
    assert!(after.name.starts_with("relu"), "{}", after.name);
    let g = graph("INPUT 8x12x12 [ conv1-4 | conv1-4 conv3-6 | maxpool3 s1 p1 conv1-2 | ] FC-2");
    assert_eq!(g.shape(g.find("concat1").unwrap()).to_string(), "[n, 20, 12, 12]");
}

#[test]
fn mistakes_point_to_their_place() {
    assert_eq!(
        mistake("INPUT 3x8x8 -> CONV7-4 p0\n -> CONV3-8 p0 -> FC-10"),
        "line 2, column 5: kernel_size 3 is larger than the padded input 2 + 0 + 0 = 2 in spatial dimension 0
   -> CONV3-8 p0 -> FC-10
      ^^^^^^^^^^
  right would be: kernel_size at most 2, or more padding"
    );
    assert_eq!(
        mistake("INPUT 3x32x32 -> [CONV -> RELU]*N -> FC-10"),
        "line 1, column 33: `N` is a placeholder of the lectures
  INPUT 3x32x32 -> [CONV -> RELU]*N -> FC-10
                                  ^
  right would be: a whole number from 0 to 1000: *2, or `where N=2` at the end"
    );
    for (text, place, says) in [
        ("", 1, "empty"),
        ("INPUT 3x32x32", 1, "no layer follows"),
        ("INPUT 3x32x32 ->", 15, "no layer follows this arrow"),
        ("INPUT 3x32x32 -> [conv3-8", 18, "never closed"),
        ("INPUT 3x32x32 -> conv3-8] FC-2", 25, "closes nothing"),
        ("INPUT 3x32x32 -> conv3-8 | FC-2", 26, "separates branches"),
        ("INPUT 3x32x32 FC-10 conv3-8", 21, "spatial"),
        ("INPUT 3x32x32 FC-10 s2", 21, "FC has no stride"),
        ("INPUT 3x32x32 conv3-8 s2 s2 FC-2", 26, "twice"),
        ("INPUT 3x32x32 conv3-8 FC", 23, "number of classes"),
        ("INPUT conv3-8 FC-2", 1, "extents are not known"),
        ("conv3-8 FC-2", 1, "extents are not known"),
        ("INPUT 3x32x32 FC-2 soft-max FC-2", 29, "soft-max ends"),
        ("INPUT 3x32x32 relu? FC-2", 19, "only a pooling"),
        ("INPUT 3x32x32 conv3-99999 FC-2", 15, "too large"),
        ("INPUT 3x32x32 conv3-6 g4 FC-2", 15, "groups 4 must divide"),
        ("INPUT 3x32x32 res conv3-6 FC-2", 15, "wants a group"),
        ("INPUT 3x32x32 res[conv3-6 p0] FC-2", 15, "residual block"),
        ("INPUT 3x0x32 FC-2", 7, "0 is too small"),
        ("INPUT 3x32x32 dropout1.5 FC-2", 15, "probability"),
        ("INPUT 3x32x32 [relu]*1000 [relu]*1001 FC-2", 34, "repeats"),
        ("INPUT 3x32x32 [[relu]*1000]*1000 FC-2", 16, "more than 2000"),
        ("INPUT 3x32x32 conv3-8 € FC-2", 23, "means nothing"),
    ] {
        let e = parse(text, &Options::default()).expect_err(text);
        assert!(e.rule().rule.contains(says), "{text}: {e}");
        assert_eq!(e.column(), place, "{text}: {e}");
    }
    let o = Options { classes: Some(3), ..Options::default() };
    assert!(parse("INPUT 3x8x8 FC-10", &o).unwrap_err().to_string().contains("FC-3"));
    let o = Options { channels: Some(1), input: Some(vec![28]), ..Options::default() };
    assert!(parse("INPUT 3x8x8 FC-10", &o).unwrap_err().to_string().contains("1x28x28"));
    let e: gabor_graph::Error = parse("INPUT 3x8x8 FC-x", &o).unwrap_err().into();
    assert!(e.to_string().contains("line 1, column 13") && e.to_string().contains("^^^^"), "{e}");
}

/// Whatever the text, the answer is a network that builds or a mistake inside the text: no panic, no endless work.
#[test]
fn random_texts_never_panic() {
    const WORDS: &[&str] = &[
        "INPUT",
        "3x32x32",
        "1x8x8x8",
        "5x9",
        "conv3-8",
        "CONV",
        "conv11-96",
        "conv1-4",
        "conv3x5-6",
        "deconv4-4",
        "dwconv3",
        "POOL",
        "POOL?",
        "maxpool3",
        "avgpool",
        "l2pool2",
        "gap",
        "gmp",
        "adaptiveavgpool3",
        "FC",
        "FC-10",
        "FC-4096",
        "LRN",
        "bn",
        "gn2",
        "relu",
        "tanh",
        "leakyrelu0.1",
        "maxout2",
        "dropout0.5",
        "flatten",
        "soft-max",
        "res[",
        "[",
        "]",
        "(",
        ")",
        "|",
        "->",
        ",",
        "*2",
        "*0",
        "*1000",
        "*N",
        "?",
        "/2",
        "s2",
        "s1024",
        "p1",
        "p1024",
        "same",
        "valid",
        "g2",
        "d2",
        "nobias",
        "ceil",
        "\n",
        "#",
        "×",
        "é",
        "\u{0}",
        "99999999999999999999",
        "-",
        "conv",
        "conv-",
        "x",
        "fc-",
        "input-3x8x8",
        "add[",
        "mul[",
        "=>",
        "=",
        ":",
        "[8x8x3]",
        "where N=2",
        "where b=[relu b]",
        "conv1:",
        "CONV2..12:",
        "96 3x3 filters",
        "at stride 2",
        "10 neurons",
        "memory: 3*3=9K",
        "(remark)",
        "local3-4",
        "INPUT 9 words of 50",
        "embed-4",
        "shuffle2",
        "channelnorm",
        "droppath0.5",
        "layerscale",
        "ln",
        "placebias",
        "s2x1",
        "max pool",
        "-",
        "^{*}",
    ];
    let mut s = Stream::new(4, 0, 0, rng::op::TEST);
    let options = [
        Options::default(),
        Options { input: Some(vec![12]), channels: Some(3), classes: Some(10), ..Options::default() },
        Options { input: Some(vec![]), channels: Some(0), classes: Some(0), ..Options::default() },
    ];
    for round in 0..4000 {
        let text = if round % 2 == 0 {
            let start = if round % 4 == 0 { "INPUT 3x32x32 " } else { "" };
            let words = (0..s.below(14)).map(|_| WORDS[s.below(WORDS.len())]).collect::<Vec<_>>();
            format!("{start}{}", words.join([" ", "", " -> "][s.below(3)]))
        } else {
            let mut chars: Vec<char> =
                "INPUT 3x32x32 -> [[CONV3-8/2 -> RELU]*2 -> POOL?]*2 -> res[conv3-8] [a|conv1-4] FC-10"
                    .chars()
                    .collect();
            for _ in 0..1 + s.below(6) {
                let at = s.below(chars.len());
                match s.below(3) {
                    0 => {
                        chars.remove(at);
                    }
                    1 => chars.insert(at, char::from(32 + s.below(95) as u8)),
                    _ => chars[at] = char::from(32 + s.below(95) as u8),
                }
            }
            chars.into_iter().collect()
        };
        match parse(&text, &options[s.below(3)]) {
            Ok(net) => {
                let g = net.graph(Mode::Train).unwrap_or_else(|e| panic!("{text}: {e}"));
                summary(&g);
            }
            Err(e) => {
                let lines = text.split('\n').count().max(1);
                assert!(e.line() <= lines && !e.to_string().is_empty(), "{text:?}: {e}");
            }
        }
    }
    assert!(parse(&"conv3-8 ".repeat(1 << 14), &Options::default()).is_err());
    assert!(parse(&"[".repeat(60_000), &Options::default()).is_err());
    // Bytes of any kind, read as text.
    for round in 0..2000 {
        let bytes: Vec<u8> = (0..s.below(120)).map(|_| s.below(if round % 2 == 0 { 256 } else { 128 }) as u8).collect();
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(net) = parse(&text, &options[s.below(3)]) {
            net.graph(Mode::Train).unwrap_or_else(|e| panic!("{text}: {e}"));
        }
    }
    // Blocks that use each other twice grow like powers of two; blocks that use themselves do not end.
    let doubled: String = (1..40).map(|i| format!("b{i}=[b{} b{}], ", i - 1, i - 1)).collect();
    let e = parse(&format!("INPUT 3x8x8 b39 FC-2 where b0=[relu], {doubled}"), &Options::default()).unwrap_err();
    assert!(e.to_string().len() < 1000, "{e}");
    let wide: String = (1..14).map(|i| format!("b{i}={}, ", format!("b{} ", i - 1).repeat(9))).collect();
    let e = parse(&format!("INPUT 3x8x8 b13 FC-2 where b0=[relu], {wide}"), &Options::default()).unwrap_err();
    assert!(e.to_string().contains("20000 layers"), "{e}");
    let e = parse("INPUT 3x8x8 own FC-2 where own=[relu own]", &Options::default()).unwrap_err();
    assert!(e.to_string().contains("blocks that do not use themselves"), "{e}");
}

/// A description of any length is shown in a window around its mistake.
#[test]
fn long_descriptions_are_not_echoed() {
    let long = format!("INPUT 3x8x8 {} convv3-8 {} FC-2", "relu ".repeat(900), "tanh ".repeat(900));
    let e = parse(&long, &Options::default()).unwrap_err();
    let text = e.to_string();
    assert!(text.len() < 400, "{text}");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[1].starts_with("  …") && lines[1].ends_with('…'), "{text}");
    // The marks stand below the word.
    let at = lines[2].find('^').unwrap();
    assert_eq!(lines[1].chars().skip(at).take(8).collect::<String>(), "convv3-8", "{text}");
    let word = format!("INPUT 3x8x8 {} FC-2", "q".repeat(5000));
    assert!(parse(&word, &Options::default()).unwrap_err().to_string().len() < 400);
    let e: gabor_graph::Error = parse(&long, &Options::default()).unwrap_err().into();
    assert!(e.to_string().len() < 500);
}

#[test]
fn names_and_joins() {
    let n = "INPUT 3x16x16 -> [[CONV -> RELU]*N -> POOL?]*M -> [FC -> RELU]*K -> FC-10 where N=2, M=3 K=1";
    let m = "INPUT 3x16x16 -> [[CONV -> RELU]*2 -> POOL?]*3 -> [FC -> RELU]*1 -> FC-10";
    assert_eq!(graph(n).to_text(), graph(m).to_text());
    let g = graph("INPUT 3x16x16 stem: conv3-8 unit*2 gap FC-2 where unit = res[conv3-8 bn conv3-8 bn]");
    assert!(g.find("stem.weight").is_some());
    assert_eq!(g.nodes().iter().filter(|n| n.name.starts_with("add")).count(), 2);
    // A group's name is the prefix of the names inside, and a repeat counts.
    let g = graph("INPUT 3x16x16 layer1: res[conv3-3 bn relu conv3-3 bn]*2 relu gap FC-2");
    for name in ["layer1.0.conv1.weight", "layer1.1.conv2.weight", "layer1.1.bn2.running_var", "fc1.weight"] {
        assert!(g.find(name).is_some(), "{name}");
    }
    // Squeeze and excitation, a shortcut of one's own, a gate.
    let g = graph(
        "INPUT 8x16x16 conv3-16 relu mul[ | gap conv1-4 relu conv1-16 sigmoid ] \
         add[ conv3-32/2 bn relu conv3-32 bn | avgpool2 conv1-32 nobias bn ] relu gap FC-10",
    );
    assert_eq!(g.shape(g.find("add1").unwrap()).to_string(), "[n, 32, 8, 8]");
    assert_eq!(g.shape(g.find("weigh1").unwrap()).to_string(), "[n, 16, 16, 16]");
    // Without written activations the ReLU stands after a sum.
    let g = graph("INPUT 3x16x16 conv3-16 add[ conv3-16 conv3-16 | conv1-16 ] FC-10");
    let after = g.nodes().iter().skip_while(|n| n.name != "add1").nth(1).unwrap();
    assert!(after.name.starts_with("relu"), "{}", after.name);
    let g = graph("INPUT 2x9x12 conv3x5-4 s2x3 p1x0 local3-3 adaptivemaxpool2x3 ln placebias FC-3 nobias");
    assert_eq!(g.shape(g.find("conv1").unwrap()).to_string(), "[n, 4, 5, 3]");
    assert!(g.find("fc1.weight").is_some() && g.find("fc1.bias").is_none());
    // A text, shuffled groups, a block of ConvNeXt.
    let g = graph("INPUT 64 words of 500 -> embed-30 -> [conv3-10 valid relu gmp | conv4-10 valid relu gmp] -> FC-2");
    assert_eq!(g.shape(g.find("concat1").unwrap()).to_string(), "[n, 20, 1]");
    assert_eq!(g.shape(g.find("embedding1.weight").unwrap()).to_string(), "[500, 30]");
    let o = Options { input: Some(vec![20]), ..Options::default() };
    assert_eq!(parse("INPUT words of 500 embed-8 gap FC-2", &o).unwrap().input(), [20]);
    let g = graph(
        "INPUT 8x9x9 conv1-8 g2 relu shuffle2 res[dwconv7 channelnorm conv1-32 gelu conv1-8 layerscale droppath0.1] gap FC-2",
    );
    assert!(g.nodes().iter().any(|n| n.name == "shuffle1") && g.nodes().iter().any(|n| n.name.starts_with("scale1")));
    for (text, says) in [
        ("INPUT 64 words embed-8 FC-2", "out of how many"),
        ("INPUT words of 9 embed-8 FC-2", "length of a text"),
        ("INPUT 3x8x8 embed-8 FC-2", "embedding"),
        ("INPUT 64 words of 9 conv3-8 FC-2", "right would be"),
        ("INPUT 3x8x8 layerscalex FC-2", "not a layer"),
        ("INPUT 3x8x8 [relu]*N FC-2", "where N=2"),
        ("INPUT 3x8x8 relu FC-2 where relu=2", "word of the notation"),
        ("INPUT 3x8x8 relu FC-2 where", "nothing follows"),
        ("INPUT 3x8x8 relu FC-2 where a=", "given no meaning"),
        ("INPUT 3x8x8 relu FC-2 where a=1 a=2", "meaning already"),
        ("INPUT 3x8x8 blok FC-2 where block=[relu]", "block"),
        ("INPUT 3x8x8 n FC-2 where n=3", "a number, and a layer"),
        ("INPUT 3x8x8 add[relu] FC-2", "one branch alone"),
        ("INPUT 3x8x8 add relu FC-2", "wants branches"),
        ("INPUT 3x8x8 conv3-8 stride FC-2", "no number follows `stride`"),
    ] {
        assert!(mistake(text).contains(says), "{text}: {}", mistake(text));
    }
}
