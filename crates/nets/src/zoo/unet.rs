//! U-Net (Ronneberger, Fischer, Brox 2015): a score for every class at every place.

use super::{Card, Entry, Preprocessing};
use crate::{Net, Scheme, conv};
use gabor_graph::{Initializer, Result, ValueId};

const PAPER: &str = "Ronneberger, Fischer, Brox: U-Net: convolutional networks for biomedical image segmentation";

/// Colours in 0..1.
const UNIT_COLOURS: Preprocessing = Preprocessing { mean: &[0.0; 3], std: &[1.0; 3], ..Preprocessing::UNIT_GREY };

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        card: Card {
            name: "unet",
            aliases: &["unet_2015"],
            title: "U-Net as in the paper: convolutions without padding, 572×572 to 388×388, two classes",
            paper: PAPER,
            year: 2015,
            parameters: 31_030_658,
            input: &[1, 572, 572],
            preprocessing: Some(Preprocessing::UNIT_GREY),
            classes: 2,
            ..Card::BASE
        },
        build: |net, classes| valid(net, classes, 64),
    },
    Entry {
        card: Card {
            name: "unet_padded",
            aliases: &["unet_bn"],
            title: "U-Net in the common form: padding, batch normalisation, scores for every pixel",
            paper: PAPER,
            year: 2015,
            parameters: 31_037_698,
            input: &[3, 512, 512],
            preprocessing: Some(UNIT_COLOURS),
            classes: 2,
            ..Card::BASE
        },
        build: |net, classes| padded(net, classes, 64),
    },
    Entry {
        card: Card {
            name: "tiny_unet",
            title: "U-Net with 4 filters where the paper has 64, 204×204 to 20×20",
            paper: PAPER,
            year: 2015,
            parameters: 121_658,
            input: &[1, 204, 204],
            preprocessing: Some(Preprocessing::UNIT_GREY),
            classes: 2,
            ..Card::BASE
        },
        build: |net, classes| valid(net, classes, 4),
    },
    Entry {
        card: Card {
            name: "tiny_unet_padded",
            title: "padded U-Net with 4 filters where the usual one has 64",
            paper: PAPER,
            year: 2015,
            parameters: 122_098,
            input: &[3, 32, 32],
            preprocessing: Some(UNIT_COLOURS),
            classes: 2,
            ..Card::BASE
        },
        build: |net, classes| padded(net, classes, 4),
    },
];

/// How often the picture is halved.
const LEVELS: usize = 4;

fn he() -> Scheme {
    Scheme::all(Initializer::KaimingNormal { a: 0.0, fan_out: false })
}

fn valid(net: &mut Net, classes: usize, filters: usize) -> Result<()> {
    net.init(he());
    let twice = |net: &mut Net, filters: usize| -> Result<()> {
        net.conv("conv1", conv(filters, 3))?.relu()?.conv("conv2", conv(filters, 3))?.relu()?;
        Ok(())
    };
    let mut skipped = Vec::new();
    for level in 0..LEVELS {
        net.within(&format!("down{}", level + 1), |b| twice(b, filters << level).map(|()| b))?;
        if level + 1 == LEVELS {
            net.dropout(0.5)?;
        }
        skipped.push(net.value());
        net.max_pool(2)?;
    }
    // "Drop-out layers at the end of the contracting path perform further implicit data augmentation."
    net.within("bottom", |b| twice(b, filters << LEVELS).map(|()| b))?.dropout(0.5)?;
    for (level, skip) in skipped.into_iter().enumerate().rev() {
        net.within(&format!("up{}", LEVELS - level), |b| {
            let filters = filters << level;
            b.conv_transpose("up", conv(filters, 2).stride(2), &[])?;
            let (up, extents) = (b.value(), b.extents()[1..].to_vec());
            let skip = b.at(skip).center_crop(&extents)?.value();
            b.concat(&[skip, up])?;
            twice(b, filters).map(|()| b)
        })?;
    }
    net.conv("out", conv(classes, 1))?;
    Ok(())
}

fn padded(net: &mut Net, classes: usize, filters: usize) -> Result<()> {
    let twice = |net: &mut Net, filters: usize| -> Result<()> {
        net.within("double_conv", |b| {
            b.conv("0", conv(filters, 3).pad(1).no_bias())?.batch_norm("1")?.relu()?;
            b.conv("3", conv(filters, 3).pad(1).no_bias())?.batch_norm("4")?.relu()
        })?;
        Ok(())
    };
    net.within("inc", |b| twice(b, filters).map(|()| b))?;
    let mut skipped: Vec<ValueId> = Vec::new();
    for level in 1..=LEVELS {
        skipped.push(net.value());
        net.max_pool(2)?;
        net.within(&format!("down{level}.maxpool_conv.1"), |b| twice(b, filters << level).map(|()| b))?;
    }
    for (level, skip) in skipped.into_iter().enumerate().rev() {
        net.within(&format!("up{}", LEVELS - level), |b| {
            let filters = filters << level;
            b.conv_transpose("up", conv(filters, 2).stride(2), &[])?;
            // A row or column that pooling dropped comes back as zeros.
            let extents = b.graph().shape(skip).0[2..].iter().map(|d| d.at(1)).collect::<Vec<_>>();
            let up = b.pad_to(&extents)?.value();
            b.concat(&[skip, up])?;
            b.within("conv", |b| twice(b, filters).map(|()| b))
        })?;
    }
    net.within("outc", |b| b.conv("conv", conv(classes, 1)))?;
    Ok(())
}
