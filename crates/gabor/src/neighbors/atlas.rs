//! A map of an index's pictures as plain data for its page and drawings.

use super::{MapMethod, NeighborIndex, thumbnail_of};
use crate::Result;
use gabor_compile::Backend;
use gabor_data::Dataset;
use gabor_explain::neighbors::{MapOptions, Metric, agreement, map, trustworthiness};
use gabor_report::{Atlas, AtlasPoint};

/// A map of some pictures of an index.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// Which pictures of the index.
    pub pictures: Vec<usize>,
    /// Where each of them is.
    pub places: Vec<[f64; 2]>,
    /// How far the map can be believed; none for fewer than five pictures.
    pub trust: Option<Trust>,
    /// The nearest pictures of each by features, as positions in `pictures`.
    near: Vec<Vec<u32>>,
}

/// What of the features a map keeps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trust {
    /// Neighbours that were compared.
    pub k: usize,
    /// Trustworthiness (Venna and Kaski 2001), from 0 to 1.
    pub trustworthiness: f64,
    /// The part of the pictures whose neighbours on the map vote for their class.
    pub on_map: f64,
    /// The same of neighbours by features.
    pub by_features: f64,
}

/// Neighbours that figures of a map compare.
const COMPARED: usize = 12;
/// Neighbours that the page shows of a picture.
const SHOWN: usize = 8;

impl NeighborIndex {
    /// A map of at most `most` pictures, evenly spread over the index. `hear` gets the steps done.
    ///
    /// # Errors
    /// No pictures, settings that do not fit them.
    pub fn place(
        &self,
        backend: &dyn Backend,
        metric: Metric,
        options: &MapOptions,
        most: usize,
        hear: &mut dyn FnMut(usize),
    ) -> Result<Placed> {
        let n = self.len();
        let pictures: Vec<usize> = if n <= most {
            (0..n).collect()
        } else {
            (0..most).map(|i| (i as u128 * n as u128 / most as u128) as usize).collect()
        };
        let some = self.part(&pictures);
        let mut search = some.search(backend, metric)?;
        let places = map(&mut search, options, hear)?;
        let k = COMPARED.min(pictures.len().saturating_sub(1) / 2);
        let trust = if k >= 2 {
            let trustworthiness = trustworthiness(&mut search, &places, k)?;
            let [on_map, by_features] = agreement(&mut search, &places, &some.labels, k)?;
            Some(Trust { k, trustworthiness, on_map, by_features })
        } else {
            None
        };
        let near = search.nearest(some.features(), SHOWN, &|q| Some(q))?;
        let near = near.into_iter().map(|row| row.iter().map(|n| n.index as u32).collect()).collect();
        Ok(Placed { pictures, places, trust, near })
    }
}

/// The map with its pictures, at most `side` pixels wide and high each. `hear` gets the number of pictures done.
///
/// # Errors
/// Pictures that cannot be read again.
pub fn atlas(
    index: &NeighborIndex,
    data: &dyn Dataset,
    placed: &Placed,
    how: (MapMethod, Metric),
    side: usize,
    hear: &mut dyn FnMut(usize),
) -> Result<Atlas> {
    let mut points = Vec::with_capacity(placed.pictures.len());
    for ((&i, place), near) in placed.pictures.iter().zip(&placed.places).zip(&placed.near) {
        let picture = thumbnail_of(data, i, side)?;
        let (class, id, near) = (index.labels[i], index.ids[i].clone(), near.clone());
        points.push(AtlasPoint { place: *place, class, id, picture, near });
        hear(points.len());
    }
    let (method, metric) = (if how.0 == MapMethod::Pca { "principal components" } else { "t-SNE" }, how.1.name());
    let mut figures = vec![("pictures".to_string(), gabor_report::count(placed.pictures.len() as u64))];
    if let Some(t) = placed.trust {
        figures.push(("trustworthiness".into(), format!("{:.3}", t.trustworthiness)));
        figures.push((format!("class by {} on the map", t.k), gabor_report::percent(t.on_map)));
        figures.push(("by features".into(), gabor_report::percent(t.by_features)));
    }
    Ok(Atlas {
        title: format!("What {} finds alike", index.model),
        subtitle: format!("{} · {method}, {metric} distance", index.layer),
        figures,
        classes: index.classes.iter().map(|c| gabor_report::class_name(c).to_string()).collect(),
        points,
    })
}
