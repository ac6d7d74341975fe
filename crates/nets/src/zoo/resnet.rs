//! ResNet for ImageNet (He, Zhang, Ren, Sun 2016), its wide form (Zagoruyko and Komodakis 2016) and ResNeXt (Xie et al.
//! 2017), as torchvision has them: the stride is in the 3×3 convolution.

use super::{Build, Card, Entry};
use crate::{Net, Scheme, conv, pool};
use gabor_graph::{Initializer, Result};

const BASE: Card = Card {
    title: "residual network for ImageNet",
    paper: "He, Zhang, Ren, Sun: Deep residual learning for image recognition",
    year: 2016,
    ..Card::TORCHVISION
};
const WIDE: Card = Card {
    title: "residual network for ImageNet, 3×3 convolutions twice as wide",
    paper: "Zagoruyko, Komodakis: Wide residual networks",
    ..BASE
};
const NEXT: Card = Card {
    title: "residual network for ImageNet, 3×3 convolutions in groups",
    paper: "Xie, Girshick, Dollár, Tu, He: Aggregated residual transformations for deep neural networks",
    year: 2017,
    ..BASE
};

const fn entry(name: &'static str, parameters: u64, base: Card, build: Build) -> Entry {
    Entry { card: Card { name, parameters, ..base }, build }
}

pub(super) const ENTRIES: &[Entry] = &[
    entry("resnet18", 11_689_512, BASE, |net, n| resnet(net, n, basic([2, 2, 2, 2]))),
    entry("resnet34", 21_797_672, BASE, |net, n| resnet(net, n, basic([3, 4, 6, 3]))),
    entry("resnet50", 25_557_032, BASE, |net, n| resnet(net, n, bottleneck([3, 4, 6, 3], 1, 64))),
    entry("resnet101", 44_549_160, BASE, |net, n| resnet(net, n, bottleneck([3, 4, 23, 3], 1, 64))),
    entry("resnet152", 60_192_808, BASE, |net, n| resnet(net, n, bottleneck([3, 8, 36, 3], 1, 64))),
    entry("wide_resnet50_2", 68_883_240, WIDE, |net, n| resnet(net, n, bottleneck([3, 4, 6, 3], 1, 128))),
    entry("wide_resnet101_2", 126_886_696, WIDE, |net, n| resnet(net, n, bottleneck([3, 4, 23, 3], 1, 128))),
    entry("resnext50_32x4d", 25_028_904, NEXT, |net, n| resnet(net, n, bottleneck([3, 4, 6, 3], 32, 4))),
    entry("resnext101_32x8d", 88_791_336, NEXT, |net, n| resnet(net, n, bottleneck([3, 4, 23, 3], 32, 8))),
    entry("resnext101_64x4d", 83_455_272, NEXT, |net, n| resnet(net, n, bottleneck([3, 4, 23, 3], 64, 4))),
    Entry {
        card: Card {
            name: "tiny_resnext",
            title: "ResNeXt with one narrow block per stage",
            parameters: 164_018,
            paper: NEXT.paper,
            year: NEXT.year,
            ..Card::CIFAR10
        },
        build: |net, n| resnet(net, n, Form { planes: 8, ..bottleneck([1, 1, 1, 1], 4, 32) }),
    },
];

/// What distinguishes the networks of the family.
#[derive(Clone, Copy)]
struct Form {
    bottleneck: bool,
    /// Blocks of each stage.
    blocks: [usize; 4],
    /// Filters of the first stage; they double from stage to stage.
    planes: usize,
    /// Groups of the 3×3 convolutions, and their filters in each group per 64 planes.
    groups: usize,
    group_width: usize,
}

const fn basic(blocks: [usize; 4]) -> Form {
    Form { bottleneck: false, blocks, planes: 64, groups: 1, group_width: 64 }
}
const fn bottleneck(blocks: [usize; 4], groups: usize, group_width: usize) -> Form {
    Form { bottleneck: true, blocks, planes: 64, groups, group_width }
}

fn resnet(net: &mut Net, classes: usize, form: Form) -> Result<()> {
    let default = Scheme::default();
    net.init(Scheme::he_fan_out(default.linear, default.linear_bias));
    net.conv("conv1", conv(form.planes, 7).stride(2).pad(3).no_bias())?.batch_norm("bn1")?.relu()?;
    net.max_pool(pool(3).stride(2).pad(1))?;
    for (i, blocks) in form.blocks.into_iter().enumerate() {
        for j in 0..blocks {
            let stride = if i > 0 && j == 0 { 2 } else { 1 };
            net.within(&format!("layer{}.{j}", i + 1), |b| residual(b, form, form.planes << i, stride))?;
        }
    }
    net.global_avg_pool()?.flatten()?.linear("fc", classes)?;
    Ok(())
}

fn residual(net: &mut Net, form: Form, planes: usize, stride: usize) -> Result<&mut Net> {
    let outputs = if form.bottleneck { 4 * planes } else { planes };
    let projects = stride != 1 || net.channels() != outputs;
    net.residual_with(
        |b| {
            if form.bottleneck {
                let width = planes * form.group_width / 64 * form.groups;
                b.conv("conv1", conv(width, 1).no_bias())?.batch_norm("bn1")?.relu()?;
                let middle = conv(width, 3).stride(stride).pad(1).groups(form.groups).no_bias();
                b.conv("conv2", middle)?.batch_norm("bn2")?.relu()?;
                b.conv("conv3", conv(outputs, 1).no_bias())?.batch_norm("bn3")
            } else {
                b.conv("conv1", conv(planes, 3).stride(stride).pad(1).no_bias())?.batch_norm("bn1")?.relu()?;
                b.conv("conv2", conv(planes, 3).pad(1).no_bias())?.batch_norm("bn2")
            }
        },
        |s| match projects {
            true => s.conv("downsample.0", conv(outputs, 1).stride(stride).no_bias())?.batch_norm("downsample.1"),
            false => Ok(s),
        },
    )?
    .relu()
}

/// A scheme that several families of torchvision share: He over fan-out, small normal fully connected layers.
pub(super) fn he_with_small_linear() -> Scheme {
    Scheme::he_fan_out(Initializer::Normal { mean: 0.0, std: 0.01 }, Some(Initializer::Zeros))
}
