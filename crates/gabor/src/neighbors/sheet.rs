//! Queries and their neighbours as a picture, as in AlexNet's figure 4.

use super::{NeighborIndex, thumbnail_of};
use crate::Result;
use gabor_data::Dataset;
use gabor_explain::neighbors::{Metric, Near};
use gabor_report::{NearRow, NearSheet, Panel, Picture, class_name};

/// A query and what was found for it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The picture.
    pub picture: Picture,
    /// What it is called.
    pub name: String,
    /// Which picture of the index it is, if it is one; then its class is known.
    pub own: Option<usize>,
    /// Its neighbours, the nearest first.
    pub near: Vec<Near>,
}

/// Longest side of a picture on the sheet, in pixels: sharp at twice the size at which it is shown.
pub const SIDE: usize = 224;

/// The sheet: a query a row, its neighbours to the right with class and distance.
///
/// # Errors
/// Pictures that cannot be read again.
pub fn sheet(index: &NeighborIndex, data: &dyn Dataset, answers: &[Answer], metric: Metric) -> Result<NearSheet> {
    let mut rows = Vec::new();
    for a in answers {
        let label = a.own.and_then(|i| index.labels.get(i));
        let (caption, note) = match a.own {
            Some(i) => (class_name(index.class(i)).to_string(), format!("picture {i}")),
            None => ("query".to_string(), a.name.clone()),
        };
        let query = Panel { picture: a.picture.clone(), caption, note };
        let mut near = Vec::new();
        for n in &a.near {
            let picture = thumbnail_of(data, n.index, SIDE)?;
            let note = format!("{:.3}", n.distance);
            let same = label.map(|l| index.labels.get(n.index) == Some(l));
            near.push((Panel { picture, caption: class_name(index.class(n.index)).into(), note }, same));
        }
        rows.push(NearRow { query, near });
    }
    let dead = index.dead_words().map_or(String::new(), |d| format!(" · {d}"));
    let subtitle = format!(
        "{} of {} · {} · {} pictures{dead}",
        index.layer,
        index.model,
        match metric {
            Metric::Cosine => "cosine distance",
            Metric::Euclidean => "Euclidean distance",
        },
        gabor_report::count(index.len() as u64)
    );
    Ok(NearSheet { title: "Nearest neighbours".into(), subtitle, rows })
}
