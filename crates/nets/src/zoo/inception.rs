//! Inception v3 (Szegedy et al. 2016), as torchvision has it.

use super::{Card, Entry, Preprocessing, googlenet};
use crate::{ConvOptions, Net, Scheme, conv, pool};
use gabor_graph::{Initializer, Result, ValueId};

const BASE: Card = Card {
    paper: "Szegedy, Vanhoucke, Ioffe, Shlens, Wojna: Rethinking the Inception architecture for computer vision",
    year: 2016,
    ..Card::IMAGENET
};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        card: Card {
            name: "inception_v3",
            title: "Inception with factorised convolutions, as torchvision has it, in training with an auxiliary head",
            parameters: 23_834_568,
            input: &[3, 299, 299],
            preprocessing: Some(Preprocessing { resize: Some(342), ..googlenet::HALF }),
            licence: Card::TORCHVISION.licence,
            ..BASE
        },
        build: |net, n| inception_v3(net, n, 1),
    },
    Entry {
        card: Card {
            name: "tiny_inception",
            title: "Inception v3, a sixteenth as wide",
            parameters: 88_458,
            input: &[3, 75, 75],
            classes: 10,
            preprocessing: Some(Preprocessing { resize: None, ..googlenet::HALF }),
            ..BASE
        },
        build: |net, n| inception_v3(net, n, 16),
    },
];

/// All numbers of filters are divided by `narrow`.
fn inception_v3(net: &mut Net, classes: usize, narrow: usize) -> Result<()> {
    // torchvision truncates the normal distribution at 20 deviations, which changes nothing.
    let normal = Initializer::Normal { mean: 0.0, std: 0.1 };
    let scheme = Scheme { conv: normal.clone(), linear: normal, ..Scheme::default() };
    net.init(scheme.clone());
    let c = |filters: usize| filters / narrow;
    unit(net, "Conv2d_1a_3x3", conv(c(32), 3).stride(2))?;
    unit(net, "Conv2d_2a_3x3", conv(c(32), 3))?;
    unit(net, "Conv2d_2b_3x3", conv(c(64), 3).pad(1))?.max_pool(pool(3).stride(2))?;
    unit(net, "Conv2d_3b_1x1", conv(c(80), 1))?;
    unit(net, "Conv2d_4a_3x3", conv(c(192), 3))?.max_pool(pool(3).stride(2))?;
    for (name, pooled) in [("Mixed_5b", 32), ("Mixed_5c", 64), ("Mixed_5d", 64)] {
        net.within(name, |b| module_a(b, &c, pooled))?;
    }
    net.within("Mixed_6a", |b| module_b(b, &c))?;
    for (name, middle) in [("Mixed_6b", 128), ("Mixed_6c", 160), ("Mixed_6d", 160), ("Mixed_6e", 192)] {
        net.within(name, |b| module_c(b, &c, middle))?;
    }
    // The weight that TensorFlow's and torchvision's trainings use.
    net.auxiliary("AuxLogits", 0.4, |head| auxiliary(head, &c, classes))?;
    net.init(scheme);
    net.within("Mixed_7a", |b| module_d(b, &c))?;
    net.within("Mixed_7b", |b| module_e(b, &c))?;
    net.within("Mixed_7c", |b| module_e(b, &c))?;
    net.global_avg_pool()?.flatten()?.dropout(0.5)?.linear("fc", classes)?;
    Ok(())
}

/// Convolution without bias, batch normalisation (eps 0.001), ReLU.
fn unit<'a>(net: &'a mut Net, name: &str, options: ConvOptions) -> Result<&'a mut Net> {
    net.within(name, |b| googlenet::unit(b, options))
}

/// A branch of units, one after the other.
fn chain(net: &mut Net, units: Vec<(&str, ConvOptions)>) -> Result<ValueId> {
    net.branch(|mut b| {
        for (name, options) in units {
            b = unit(b, name, options)?;
        }
        Ok(b)
    })
}

/// A branch of an average pooling and a 1×1 unit.
fn pooled(net: &mut Net, filters: usize) -> Result<ValueId> {
    net.branch(|b| unit(b.avg_pool(pool(3).stride(1).pad(1))?, "branch_pool", conv(filters, 1)))
}

/// A convolution of a rectangle, padded so that the extents stay.
fn rectangle(filters: usize, kernel: [usize; 2]) -> ConvOptions {
    conv(filters, 1).kernel(&kernel).same()
}

/// Numbers of filters, made narrower for the tiny sibling.
type Count<'a> = &'a dyn Fn(usize) -> usize;

/// 35×35 places: 1×1, 5×5, two 3×3, pooling (figure 5 of the paper).
fn module_a<'a>(net: &'a mut Net, c: Count<'_>, pool_filters: usize) -> Result<&'a mut Net> {
    let one = chain(net, vec![("branch1x1", conv(c(64), 1))])?;
    let five = chain(net, vec![("branch5x5_1", conv(c(48), 1)), ("branch5x5_2", conv(c(64), 5).pad(2))])?;
    let double = chain(
        net,
        vec![
            ("branch3x3dbl_1", conv(c(64), 1)),
            ("branch3x3dbl_2", conv(c(96), 3).pad(1)),
            ("branch3x3dbl_3", conv(c(96), 3).pad(1)),
        ],
    )?;
    let last = pooled(net, c(pool_filters))?;
    net.concat(&[one, five, double, last])
}

/// From 35×35 to 17×17 places (figure 10).
fn module_b<'a>(net: &'a mut Net, c: Count<'_>) -> Result<&'a mut Net> {
    let three = chain(net, vec![("branch3x3", conv(c(384), 3).stride(2))])?;
    let double = chain(
        net,
        vec![
            ("branch3x3dbl_1", conv(c(64), 1)),
            ("branch3x3dbl_2", conv(c(96), 3).pad(1)),
            ("branch3x3dbl_3", conv(c(96), 3).stride(2)),
        ],
    )?;
    let last = net.branch(|b| b.max_pool(pool(3).stride(2)))?;
    net.concat(&[three, double, last])
}

/// 17×17 places: 7×7 as 1×7 and 7×1 (figure 6).
fn module_c<'a>(net: &'a mut Net, c: Count<'_>, middle: usize) -> Result<&'a mut Net> {
    let (m, out) = (c(middle), c(192));
    let one = chain(net, vec![("branch1x1", conv(out, 1))])?;
    let seven = chain(
        net,
        vec![
            ("branch7x7_1", conv(m, 1)),
            ("branch7x7_2", rectangle(m, [1, 7])),
            ("branch7x7_3", rectangle(out, [7, 1])),
        ],
    )?;
    let double = chain(
        net,
        vec![
            ("branch7x7dbl_1", conv(m, 1)),
            ("branch7x7dbl_2", rectangle(m, [7, 1])),
            ("branch7x7dbl_3", rectangle(m, [1, 7])),
            ("branch7x7dbl_4", rectangle(m, [7, 1])),
            ("branch7x7dbl_5", rectangle(out, [1, 7])),
        ],
    )?;
    let last = pooled(net, out)?;
    net.concat(&[one, seven, double, last])
}

/// Average pooling to a third, 1×1, a convolution over what is left (5×5 of the published picture), a fully connected layer.
fn auxiliary<'a>(net: &'a mut Net, c: Count<'_>, classes: usize) -> Result<&'a mut Net> {
    let normal = |std| Scheme {
        conv: Initializer::Normal { mean: 0.0, std },
        linear: Initializer::Normal { mean: 0.0, std },
        ..Scheme::default()
    };
    // A 5×5 window must fit behind the pooling; the feature maps of smaller pictures are brought to it.
    if net.extents()[1..].iter().any(|&e| e < 17) {
        net.adaptive_avg_pool(&[5, 5])?;
    } else {
        net.avg_pool(pool(5).stride(3))?;
    }
    unit(net, "conv0", conv(c(128), 1))?;
    unit(net.init(normal(0.01)), "conv1", conv(c(768), 5))?.global_avg_pool()?;
    net.init(normal(0.001)).linear("fc", classes)
}

/// From 17×17 to 8×8 places.
fn module_d<'a>(net: &'a mut Net, c: Count<'_>) -> Result<&'a mut Net> {
    let three = chain(net, vec![("branch3x3_1", conv(c(192), 1)), ("branch3x3_2", conv(c(320), 3).stride(2))])?;
    let seven = chain(
        net,
        vec![
            ("branch7x7x3_1", conv(c(192), 1)),
            ("branch7x7x3_2", rectangle(c(192), [1, 7])),
            ("branch7x7x3_3", rectangle(c(192), [7, 1])),
            ("branch7x7x3_4", conv(c(192), 3).stride(2)),
        ],
    )?;
    let last = net.branch(|b| b.max_pool(pool(3).stride(2)))?;
    net.concat(&[three, seven, last])
}

/// 8×8 places: 1×3 and 3×1 side by side (figure 7).
fn module_e<'a>(net: &'a mut Net, c: Count<'_>) -> Result<&'a mut Net> {
    let one = chain(net, vec![("branch1x1", conv(c(320), 1))])?;
    let from = net.value();
    let three = chain(net, vec![("branch3x3_1", conv(c(384), 1))])?;
    net.at(three);
    let a = chain(net, vec![("branch3x3_2a", rectangle(c(384), [1, 3]))])?;
    let b = chain(net, vec![("branch3x3_2b", rectangle(c(384), [3, 1]))])?;
    net.at(from);
    let double = chain(net, vec![("branch3x3dbl_1", conv(c(448), 1)), ("branch3x3dbl_2", conv(c(384), 3).pad(1))])?;
    net.at(double);
    let d = chain(net, vec![("branch3x3dbl_3a", rectangle(c(384), [1, 3]))])?;
    let e = chain(net, vec![("branch3x3dbl_3b", rectangle(c(384), [3, 1]))])?;
    net.at(from);
    let last = pooled(net, c(192))?;
    net.concat(&[one, a, b, d, e, last])
}
