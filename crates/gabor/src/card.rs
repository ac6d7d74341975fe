//! A card's preprocessing as the data crate's.

use gabor_data::{Color, Filter, Preprocessing, Resize};
use gabor_nets::zoo::{self, Card};

/// The preprocessing that the published weights of a network of the zoo expect, ready to be applied; `None` where its
/// input is no picture.
///
/// ```
/// use gabor::{nets::zoo, prelude::Preprocessing, published_preprocessing};
/// let net = zoo::by_name("resnet18", &Default::default()).unwrap();
/// assert_eq!(published_preprocessing(net.card().unwrap()), Some(Preprocessing::imagenet()));
/// ```
pub fn published_preprocessing(card: &Card) -> Option<Preprocessing> {
    let p = card.preprocessing?;
    let &[channels, height, width] = card.input else { return None };
    let (resize, crop) = match p.resize {
        Some(to) => (Resize::ShortSide { to }, Some([height, width])),
        None => (Resize::Exact { height, width }, None),
    };
    Some(Preprocessing {
        color: if channels == 1 { Color::Grey } else { Color::Rgb },
        resize,
        filter: match p.filter {
            zoo::Filter::Bilinear => Filter::Bilinear,
            zoo::Filter::Bicubic => Filter::Bicubic,
        },
        crop,
        divisor: p.divisor,
        mean: p.mean.to_vec(),
        std: p.std.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_card_can_be_applied() {
        for card in zoo::cards() {
            let Some(p) = published_preprocessing(card) else {
                assert!(card.preprocessing.is_none(), "{}", card.name);
                continue;
            };
            p.validate().unwrap_or_else(|e| panic!("{}: {e}", card.name));
            assert_eq!(p.input()[..], *card.input, "{}", card.name);
        }
    }
}
