//! Pre-activation networks for CIFAR: ResNet-110 and -164 (He, Zhang, Ren, Sun 2016b), and the wide ones (Zagoruyko and
//! Komodakis 2016).

use super::{Card, Entry, preresnet};
use crate::{Net, Scheme, conv};
use gabor_graph::Result;

const PRE: Card = Card { paper: preresnet::BASE.paper, year: 2016, ..Card::CIFAR10 };
const WIDE: Card = Card { paper: "Zagoruyko, Komodakis: Wide residual networks", year: 2016, ..Card::CIFAR10 };

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        card: Card {
            name: "preresnet110",
            title: "pre-activation residual network for CIFAR-10, option-A shortcuts",
            parameters: 1_727_962,
            ..PRE
        },
        build: |net, n| build(net, n, Form { blocks: 18, width: 1, kind: Kind::PaddedBasic }),
    },
    Entry {
        card: Card {
            name: "preresnet164",
            title: "pre-activation residual network of bottlenecks for CIFAR-10",
            parameters: 1_703_258,
            ..PRE
        },
        build: |net, n| build(net, n, Form { blocks: 18, width: 1, kind: Kind::Bottleneck }),
    },
    Entry {
        card: Card {
            name: "wrn_28_10",
            aliases: &["wide_resnet28_10"],
            title: "residual network for CIFAR-10 of 28 layers, 10 times as wide",
            parameters: 36_479_194,
            ..WIDE
        },
        build: |net, n| build(net, n, Form { blocks: 4, width: 10, kind: Kind::Basic }),
    },
    Entry {
        card: Card {
            name: "wrn_16_8",
            aliases: &["wide_resnet16_8"],
            title: "residual network for CIFAR-10 of 16 layers, 8 times as wide",
            parameters: 10_961_370,
            ..WIDE
        },
        build: |net, n| build(net, n, Form { blocks: 2, width: 8, kind: Kind::Basic }),
    },
    Entry {
        card: Card {
            name: "tiny_wrn",
            aliases: &["wrn_10_1"],
            title: "pre-activation residual network for CIFAR-10 of 10 layers",
            parameters: 77_850,
            ..WIDE
        },
        build: |net, n| build(net, n, Form { blocks: 1, width: 1, kind: Kind::Basic }),
    },
];

struct Form {
    /// Blocks of each of the three stages.
    blocks: usize,
    /// Times the filters 16, 32, 64.
    width: usize,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Two 3×3 convolutions; a 1×1 convolution where the extents change.
    Basic,
    /// Two 3×3 convolutions; every second place and channels of zeros where the extents change (option A).
    PaddedBasic,
    /// 1×1, 3×3, 1×1 with four times the filters; a 1×1 convolution where the extents change.
    Bottleneck,
}

fn build(net: &mut Net, classes: usize, form: Form) -> Result<()> {
    let default = Scheme::default();
    net.init(Scheme::he_fan_out(default.linear, Some(gabor_graph::Initializer::Zeros)));
    net.conv("conv1", conv(16, 3).pad(1).no_bias())?;
    for (i, planes) in [16, 32, 64].into_iter().enumerate() {
        for j in 0..form.blocks {
            let stride = if i > 0 && j == 0 { 2 } else { 1 };
            net.within(&format!("layer{}.{j}", i + 1), |b| block(b, form.kind, planes * form.width, stride))?;
        }
    }
    net.batch_norm("bn")?.relu()?.global_avg_pool()?.flatten()?.linear("linear", classes)?;
    Ok(())
}

fn block(net: &mut Net, kind: Kind, planes: usize, stride: usize) -> Result<&mut Net> {
    let (x, inputs) = (net.value(), net.channels());
    let outputs = if kind == Kind::Bottleneck { 4 * planes } else { planes };
    let active = net.batch_norm("bn1")?.relu()?.value();
    // Where the extents change, the shortcut starts behind the activation.
    let shortcut = match kind {
        _ if stride == 1 && inputs == outputs => x,
        Kind::PaddedBasic => {
            let missing = outputs - inputs;
            net.branch(|b| b.subsample(stride)?.pad_channels(missing / 2, missing - missing / 2))?
        }
        _ => net.branch(|b| b.conv("shortcut", conv(outputs, 1).stride(stride).no_bias()))?,
    };
    net.at(active);
    if kind == Kind::Bottleneck {
        net.conv("conv1", conv(planes, 1).no_bias())?.batch_norm("bn2")?.relu()?;
        net.conv("conv2", conv(planes, 3).stride(stride).pad(1).no_bias())?.batch_norm("bn3")?.relu()?;
        net.conv("conv3", conv(outputs, 1).no_bias())?;
    } else {
        net.conv("conv1", conv(planes, 3).stride(stride).pad(1).no_bias())?.batch_norm("bn2")?.relu()?;
        net.conv("conv2", conv(outputs, 3).pad(1).no_bias())?;
    }
    net.add(shortcut)
}
