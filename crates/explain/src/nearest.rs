//! Which layer is meant by a name that none has.
//!
//! Two things tell: how alike the names are written, and what the words of the field mean. `fc` is a fully connected layer,
//! whatever a file calls it, `bn2` the second normalisation, `last conv` the last convolution. So a layer is compared by its name
//! and by what it computes.

use gabor_graph::Node;

/// What a layer computes, and the words for that: first those of networks' own names, then those of frameworks.
const WORDS: &[(Kind, &[&str])] = &[
    (
        Kind::Linear,
        &[
            "fc",
            "linear",
            "dense",
            "classifier",
            "head",
            "logits",
            "gemm",
            "matmul",
            "mlp",
            "ip",
            "innerproduct",
            "fullyconnected",
            "affine",
            "scores",
        ],
    ),
    (Kind::Conv, &["conv", "convolution", "convolutional", "deconv", "convtranspose"]),
    (
        Kind::Norm,
        &["bn", "batchnorm", "norm", "normalization", "normalisation", "batchnormalization", "gn", "ln", "lrn"],
    ),
    (
        Kind::Activation,
        &[
            "act",
            "activation",
            "relu",
            "rectifier",
            "nonlinearity",
            "gelu",
            "silu",
            "swish",
            "prelu",
            "elu",
            "sigmoid",
            "tanh",
        ],
    ),
    (Kind::Pool, &["pool", "pooling", "maxpool", "avgpool", "gap", "globalpool", "subsampling"]),
    (Kind::Softmax, &["softmax", "prob", "probs", "probability", "probabilities"]),
    (Kind::Dropout, &["dropout", "drop"]),
    (Kind::Sum, &["add", "sum", "residual", "shortcut", "skip"]),
    (Kind::Concat, &["concat", "cat", "concatenate", "route"]),
    (Kind::Reshape, &["flatten", "reshape", "view"]),
];

/// Words for places in the order of layers.
const FIRST: &[&str] = &["first", "stem", "input"];
const LAST: &[&str] = &["last", "final", "output", "top"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Linear,
    Conv,
    Norm,
    Activation,
    Pool,
    Softmax,
    Dropout,
    Sum,
    Concat,
    Reshape,
}

impl Kind {
    /// What a node computes.
    pub(crate) fn of(node: &Node) -> Option<Kind> {
        Some(match node.operation.name() {
            "matmul" => Kind::Linear,
            "conv" | "conv_transpose" | "conv_input_grad" | "locally_connected" => Kind::Conv,
            "relu" | "unary" | "clip" | "leaky_relu" | "prelu" | "elu" | "selu" | "gelu" | "silu" | "softplus"
            | "hard_swish" | "hard_sigmoid" | "maxout" => Kind::Activation,
            "softmax" | "log_softmax" => Kind::Softmax,
            "dropout" => Kind::Dropout,
            "binary" => Kind::Sum,
            "concat" => Kind::Concat,
            "reshape" => Kind::Reshape,
            name if name.contains("norm") => Kind::Norm,
            name if name.contains("pool") => Kind::Pool,
            _ => return None,
        })
    }
    fn of_words(words: &[String]) -> Option<Kind> {
        let whole = words.concat();
        let is = |known: &&&str| words.iter().any(|w| w == **known) || whole == **known;
        WORDS.iter().find(|(_, known)| known.iter().find(is).is_some()).map(|k| k.0)
    }
}

/// A layer that could have been meant.
pub(crate) struct Candidate<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: Option<Kind>,
}

/// A name as its words and numbers: `Conv2d_1a` is `conv`, `1`, `a`.
struct Parts {
    words: Vec<String>,
    numbers: Vec<usize>,
    all: Vec<String>,
}

impl Parts {
    fn of(name: &str) -> Self {
        let mut all: Vec<String> = Vec::new();
        let mut before = None;
        for c in name.chars() {
            let kind = if c.is_ascii_digit() { Some(true) } else { c.is_alphabetic().then_some(false) };
            match (kind, all.last_mut()) {
                (None, _) => {}
                (Some(_), Some(part)) if before == kind => part.extend(c.to_lowercase()),
                _ => all.push(c.to_lowercase().collect()),
            }
            before = kind;
        }
        // The dimensions of PyTorch's `Conv2d` number nothing.
        let dimensions =
            |i: usize| i > 0 && matches!(&*all[i], "1" | "2" | "3") && all.get(i + 1).is_some_and(|d| d == "d");
        let kept = (0..all.len()).filter(|&i| !(dimensions(i) || (all[i] == "d" && i > 0 && dimensions(i - 1))));
        let all: Vec<String> = kept.map(|i| all[i].clone()).collect();
        let is_number = |p: &&String| p.starts_with(|c: char| c.is_ascii_digit());
        let words = all.iter().filter(|p| !is_number(p)).cloned().collect();
        let numbers = all.iter().filter(is_number).filter_map(|n| n.parse().ok()).collect();
        Parts { words, numbers, all }
    }
    fn has(&self, words: &[&str]) -> bool {
        self.words.iter().any(|w| words.contains(&w.as_str()))
    }
    /// Whether all of this occurs in the other in its order, as `layer1.0.conv1` does in `/layer1/layer1.0/conv1/Conv`.
    fn within(&self, other: &Parts) -> bool {
        let mut rest = other.all.iter();
        self.all.len() > 1 && self.all.iter().all(|p| rest.any(|o| o == p))
    }
}

/// Names that differ more than this are not near.
const NEAR: f64 = 0.7;

/// Up to three candidates that may be meant, the likeliest first, and the list of all under `title`: what would be right.
pub(crate) fn suggestion(wanted: &str, all: &[Candidate<'_>], title: &str) -> String {
    let near = nearest(wanted, all);
    let near = if near.is_empty() { String::new() } else { format!("{}; ", near.join(" or ")) };
    format!("{near}{title}: {}", all.iter().map(|c| c.name).collect::<Vec<_>>().join(", "))
}

fn nearest<'a>(wanted: &str, all: &[Candidate<'a>]) -> Vec<&'a str> {
    let asked = Parts::of(wanted);
    let kind = Kind::of_words(&asked.words);
    let parts: Vec<Parts> = all.iter().map(|c| Parts::of(c.name)).collect();
    let ends = [asked.has(FIRST), asked.has(LAST)];
    // The layers of that kind by what they compute; by their names where nothing computes that.
    let computed = |i: usize| kind.is_some() && all[i].kind == kind;
    let named = |i: usize| kind.is_some() && Kind::of_words(&parts[i].words) == kind;
    let any = (0..all.len()).any(computed);
    let alike: Vec<usize> = (0..all.len())
        .filter(|&i| if kind.is_none() { ends.contains(&true) } else { computed(i) || (!any && named(i)) })
        .collect();
    let meant = |i: usize| {
        let Some(at) = alike.iter().position(|&a| a == i) else { return 0.0 };
        let (at, count) = (at as f64, alike.len() as f64);
        let number = asked.numbers.last();
        let told = match (ends, number) {
            ([true, false], None) => 0.19 * (1.0 - at / count),
            ([false, true], None) => 0.19 * (at + 1.0) / count,
            // The number of a name, or the place among its like.
            (_, Some(n)) if parts[i].numbers.last() == Some(n) => 0.15,
            (_, Some(&n)) if n == alike.iter().take_while(|&&a| a != i).count() + 1 => 0.1,
            // A classifier is what ends a network.
            (_, None) if kind == Some(Kind::Linear) => 0.1 * (at + 1.0) / count,
            _ => 0.0,
        };
        0.8 + told + if named(i) { 0.01 } else { 0.0 }
    };
    let score = |i: usize| {
        let spelling = strsim::jaro_winkler(&wanted.to_lowercase(), &all[i].name.to_lowercase());
        let within = if asked.within(&parts[i]) {
            0.9 + 0.1 * wanted.len() as f64 / (all[i].name.len().max(1)) as f64
        } else {
            0.0
        };
        spelling.max(meant(i)).max(within)
    };
    let mut near: Vec<(f64, &str)> = (0..all.len()).map(|i| (score(i), all[i].name)).collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    near.into_iter().filter(|n| n.0 > NEAR).take(3).map(|n| n.1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NET: &[(&str, Kind)] = &[
        ("conv1", Kind::Conv),
        ("bn1", Kind::Norm),
        ("relu1", Kind::Activation),
        ("layer1.0.conv1", Kind::Conv),
        ("layer1.0.add", Kind::Sum),
        ("maxpool", Kind::Pool),
        ("linear1", Kind::Linear),
        ("linear2", Kind::Linear),
        ("softmax", Kind::Softmax),
    ];

    fn first(wanted: &str, net: &[(&'static str, Kind)]) -> Option<&'static str> {
        let all: Vec<Candidate<'static>> =
            net.iter().map(|&(name, kind)| Candidate { name, kind: Some(kind) }).collect();
        nearest(wanted, &all).first().copied()
    }

    #[test]
    fn words_of_the_field_are_known() {
        for (wanted, right) in [
            ("fc", "linear2"),
            ("fc1", "linear1"),
            ("dense_2", "linear2"),
            ("classifier", "linear2"),
            ("Gemm", "linear2"),
            ("inner_product", "linear2"),
            ("BatchNorm2d", "bn1"),
            ("norm1", "bn1"),
            ("convolution", "conv1"),
            ("Conv2d_1", "conv1"),
            ("last_conv", "layer1.0.conv1"),
            ("first", "conv1"),
            ("final", "softmax"),
            ("prob", "softmax"),
            ("gap", "maxpool"),
            ("activation", "relu1"),
            ("conv_2", "layer1.0.conv1"),
            // Spelling still counts.
            ("maxpol", "maxpool"),
            ("linaer2", "linear2"),
            ("LAYER1.0.CONV", "layer1.0.conv1"),
        ] {
            assert_eq!(first(wanted, NET), Some(right), "{wanted}");
        }
        assert_eq!(first("zzz", NET), None);
    }

    /// A file's names may say nothing of what is computed, or say it within a path.
    #[test]
    fn names_of_files_are_understood() {
        let file = [("/layer1/layer1.0/conv1/Conv", Kind::Conv), ("node_17", Kind::Linear), ("/fc/Gemm", Kind::Linear)];
        assert_eq!(first("layer1.0.conv1", &file), Some("/layer1/layer1.0/conv1/Conv"));
        assert_eq!(first("fc", &file), Some("/fc/Gemm"));
        assert_eq!(first("head", &file[..2]), Some("node_17"));
    }

    #[test]
    fn all_are_listed_however_far() {
        let all = [Candidate { name: "a", kind: None }, Candidate { name: "b", kind: None }];
        assert_eq!(suggestion("zzz", &all, "all layers"), "all layers: a, b");
        assert_eq!(suggestion("last", &all, "all layers"), "b or a; all layers: a, b");
    }
}
