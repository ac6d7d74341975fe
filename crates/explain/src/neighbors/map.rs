//! Maps of features in two dimensions.

use super::{Components, Metric, Near, Search, principal, tsne};
use crate::{Error, Result};
use gabor_tensor::{Rule, Stream, rng::op};

/// How a map is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MapMethod {
    /// t-SNE (van der Maaten and Hinton 2008), by Barnes and Hut's approximation (van der Maaten 2014): keeps neighbours
    /// together; distances between groups and sizes of groups mean little.
    #[default]
    Tsne,
    /// The first two principal components: a straight view that keeps the large distances.
    Pca,
}

impl MapMethod {
    /// Names and values.
    pub const ALL: [(&'static str, MapMethod); 2] = [("tsne", MapMethod::Tsne), ("pca", MapMethod::Pca)];
    /// The name.
    pub fn name(self) -> &'static str {
        MapMethod::ALL.iter().find(|m| m.1 == self).map_or("", |m| m.0)
    }
}

/// Settings of a map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MapOptions {
    /// How it is made.
    pub method: MapMethod,
    /// How many neighbours a picture has in effect, of t-SNE; a third of the other pictures at most. `None` is 30, or fewer
    /// where there are too few pictures.
    pub perplexity: Option<f64>,
    /// Steps of t-SNE.
    pub iterations: usize,
    /// Seed of the nudge by which pictures with the same features part.
    pub seed: u64,
}

impl Default for MapOptions {
    fn default() -> Self {
        MapOptions { method: MapMethod::Tsne, perplexity: None, iterations: 1000, seed: 0 }
    }
}

/// Deviation of the first component at the start of t-SNE, and that of the nudge beside it.
const START: f64 = 1e-4;
const NUDGE: f64 = 1e-6;

/// A point per picture, about the origin. `hear` gets the steps that are done. t-SNE begins at the principal components, so
/// that the large order of the map is theirs (Kobak and Berens 2019).
///
/// # Errors
/// A perplexity that is not between 1 and a third of the other pictures.
pub fn map(search: &mut Search<'_>, options: &MapOptions, hear: &mut dyn FnMut(usize)) -> Result<Vec<[f64; 2]>> {
    let features = search.features();
    let n = features.count();
    let start = flat(&principal(features, features.width().min(2))?);
    if options.method == MapMethod::Pca || n < 4 {
        return Ok(start);
    }
    let most = (n - 1) as f64 / 3.0;
    let perplexity = options.perplexity.unwrap_or(most.clamp(1.0, 30.0));
    if !(1.0..=most.max(1.0)).contains(&perplexity) {
        let rule = Rule::new(format!("a perplexity of {perplexity} for {n} pictures"));
        return Err(Error::new("map", rule.right(format!("a number from 1 to {:.0}", most.floor().max(1.0)))));
    }
    let k = ((3.0 * perplexity) as usize).clamp(1, n - 1);
    let mut near = search.nearest(features, k, &|q| Some(q))?;
    if search.metric() == Metric::Cosine {
        // The chord between directions, whose square is 2 (1 − cos).
        let chord = |n: &mut Near| n.distance = (2.0 * n.distance).sqrt();
        near.iter_mut().flatten().for_each(chord);
    }
    let spread = (start.iter().map(|p| p[0] * p[0]).sum::<f64>() / n as f64).sqrt();
    let scale = if spread > 0.0 { START / spread } else { 0.0 };
    let mut stream = Stream::new(options.seed, 0, 0, op::USER + 1);
    let mut nudged = |v: f64| v * scale + NUDGE * stream.normal();
    let places = start.into_iter().map(|[x, y]| [nudged(x), nudged(y)]).collect();
    Ok(tsne::embed(&near, places, perplexity, options.iterations, hear))
}

fn flat(c: &Components) -> Vec<[f64; 2]> {
    c.places.iter().map(|p| [p[0], p.get(1).copied().unwrap_or(0.0)]).collect()
}
