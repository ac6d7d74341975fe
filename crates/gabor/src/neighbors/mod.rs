//! Pictures that a model finds alike: an index of features on disk, the nearest pictures of a query, retrieval, maps.
//!
//! ```
//! use gabor::neighbors::{IndexOptions, Metric};
//! use gabor::prelude::*;
//!
//! let digits = gabor::data::digits();
//! let test = digits.evaluation().unwrap().1.clone();
//! let net = network("INPUT 1x8x8 -> conv3-4 relu maxpool -> FC-16 relu -> FC-10", &Default::default()).unwrap();
//! let preprocessing = Preprocessing::for_dataset(&*test, [1, 8, 8]).unwrap();
//! let model = Model::of_network(&net, net.initialize(0).unwrap(), preprocessing, test.classes().to_vec()).unwrap();
//! let index = model.neighbor_index(test, &IndexOptions::default(), &mut |_| {}).unwrap();
//! let mut search = index.search(&CpuBackend::default(), Metric::Cosine).unwrap();
//! let near = search.nearest(index.features(), 5, &|own| Some(own)).unwrap();
//! assert_eq!(near[0].len(), 5);
//! ```

mod atlas;
mod dead;
mod index;
mod sheet;

pub use atlas::{Placed, Trust, atlas};
pub use gabor_explain::neighbors::*;
pub use index::{IndexOptions, NeighborExtractor, NeighborIndex, Source};
pub use sheet::{Answer, SIDE, sheet};

use crate::judged::as_people_see_it;
use crate::{Error, Result};
use gabor_data::{Color, Dataset, Image, Preprocessing, Resize};
use gabor_report::Picture;
use gabor_tensor::Rule;

/// A picture at most `side` pixels wide and high, in colour; smaller ones as they are.
///
/// # Errors
/// A picture of no pixels.
pub fn thumbnail(image: &Image<'_>, side: usize) -> Result<Picture> {
    let [h, w] = [image.height(), image.width()];
    let longest = h.max(w).max(1);
    let scaled = |v: usize| if longest <= side { v } else { (v * side).div_ceil(longest).max(1) };
    let (height, width) = (scaled(h), scaled(w));
    let mut p = Preprocessing::exact([3, height, width])?;
    p.resize = Resize::Exact { height, width };
    p.color = Color::Rgb;
    let small = as_people_see_it(&p.prepared(image)?);
    small.ok_or_else(|| Error::from(Rule::new("a picture of no pixels")))
}

/// A picture of a data set, decoded no larger than needed.
pub(crate) fn thumbnail_of(data: &dyn Dataset, i: usize, side: usize) -> Result<Picture> {
    let enough = |[h, w]: [usize; 2]| {
        let longest = h.max(w).max(1);
        if longest <= side { [h, w] } else { [(h * side).div_ceil(longest), (w * side).div_ceil(longest)] }
    };
    thumbnail(&data.image_at_least(i, &enough)?, side).map_err(|e| e.inside(data.id(i)))
}
