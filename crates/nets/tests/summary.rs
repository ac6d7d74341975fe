//! The table of layers: as text against goldens, and against the lecture's numbers.

use gabor_nets::{Mode, Summary, TableOptions, network, summary, zoo::Options};

fn of(net: &str) -> Summary {
    summary(&network(net, &Options::default()).unwrap().graph(Mode::Infer).unwrap())
}

/// The golden is what `gabor summary vgg16 --no-time` prints below the card; its numbers are checked below.
#[test]
fn vgg16_as_text() {
    assert_eq!(of("vgg16").to_table(1), include_str!("vgg16_table.txt"));
}

/// Deep Convolutional Networks, VGGNet: "TOTAL memory: 24M * 4 bytes ~= 93MB / image (only forward! ~*2 for bwd), TOTAL
/// params: 138M parameters". The lines of the lecture sum up to 15.2 M values, which are ours; its 24 M (and 24 M · 4 bytes =
/// 92 MiB) is more than its own lines. Its lines are compared one by one in the tests of the notation.
#[test]
fn vgg16_against_the_lecture() {
    let s = of("vgg16");
    let memory = |k: &str| s.layers.iter().filter(|l| l.kind.starts_with(k)).map(|l| l.values).collect::<Vec<_>>();
    assert_eq!(memory("max_pool"), [112 * 112 * 64, 56 * 56 * 128, 28 * 28 * 256, 14 * 14 * 512, 7 * 7 * 512]);
    assert_eq!(memory("linear"), [4096, 4096, 1000]);
    assert_eq!(
        memory("conv").iter().sum::<u64>(),
        2 * 3_211_264 + 2 * 1_605_632 + 3 * 802_816 + 3 * 401_408 + 3 * 100_352
    );
    assert_eq!((s.values as f64 / 1e5).round() / 10.0, 15.2);
    assert_eq!((s.parameters as f64 / 1e6).round(), 138.0);
    assert_eq!((24e6 * 4.0 / (1u64 << 20) as f64).round(), 92.0);
    // Memory for one picture and for a batch: values and gradients grow with it, parameters do not.
    let (one, many) = (s.memory(1), s.memory(64));
    assert!(one.inference >= 4 * s.parameters && many.training >= 64 * 4 * s.values);
    assert!(many.inference < one.inference * 64);
}

#[test]
fn sequences_films_and_branches() {
    let text = of("text_cnn");
    assert_eq!(text.layers[0].kind, "input");
    assert!(text.layers.iter().any(|l| l.kind == "embedding") && text.to_string().contains("embedding"));
    let film = of("INPUT 3x4x8x8 conv3-4 relu maxpool gap FC-2");
    assert!(film.to_string().contains("4×4×8×8") && film.layers[1].receptive_field == [3, 3, 3]);
    let sound = of("INPUT 2x100 conv5-4 s2 relu gmp FC-3");
    assert!(sound.to_string().contains("4×50"), "{sound}");
    // Branches in training: logits of their own.
    let heads = network("googlenet", &Options::default()).unwrap().graph(Mode::Train).unwrap();
    assert!(heads.outputs().len() > 1 && summary(&heads).parameters > of("googlenet").parameters);
}

#[test]
fn narrow_tables() {
    let s = of("inception_v3");
    let seconds = vec![1.5e-3; s.layers.len()];
    for width in [40, 60, 72, 80, 100, 120] {
        for seconds in [None, Some(&seconds[..])] {
            let text = s.to_table_with(&TableOptions { batch: 1, width: Some(width), seconds });
            let table = text.lines().skip(1).take(s.layers.len() + 4);
            let longest = table.map(|l| l.chars().count()).max().unwrap();
            assert!(longest <= width, "{width}: {longest}");
            assert!(text.contains("parameters") && text.contains("output"));
        }
    }
    // Long names keep both ends.
    let name = "a".repeat(60) + &"z".repeat(60);
    let long = of(&format!("INPUT 3x8x8 {name}: conv3-8 FC-2"));
    let line = long.to_string().lines().find(|l| l.starts_with("aaa")).unwrap().to_string();
    assert!(line.contains("a…z") && line.chars().count() < 130, "{line}");
}
