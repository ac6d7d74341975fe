//! How far a map can be believed.

use super::{Near, Search};
use crate::{Error, Result};
use gabor_tensor::Rule;

/// Trustworthiness of a map (Venna and Kaski 2001): 1 if every one of a picture's `k` neighbours on the map is one of its
/// `k` neighbours by its features, less the farther away they really are:
/// 1 − 2 / (n·k·(2n − 3k − 1)) · Σᵢ Σⱼ max(0, r(i, j) − k), where r is the rank by features. As scikit-learn computes it.
///
/// # Errors
/// A map of another number of points; `k` of zero, or not below half the number of points.
pub fn trustworthiness(search: &mut Search<'_>, map: &[[f64; 2]], k: usize) -> Result<f64> {
    let features = search.features();
    let n = features.count();
    if map.len() != n {
        let rule = Rule::new(format!("a map of {} points for {n} pictures", map.len())).right("a point per picture");
        return Err(Error::new("map", rule));
    }
    if k == 0 || 2 * k >= n {
        let rule = Rule::new(format!("trustworthiness of {k} neighbours among {n} points"));
        return Err(Error::new("map", rule.right("at least one neighbour, and fewer than half the points")));
    }
    let near = nearest_on_map(map, k);
    let mut sum = 0.0;
    search.rows(features, &mut |i, row| {
        // Everything but the picture itself is ranked; what is exactly as far away ranks by its number.
        let own = (row[i], i);
        for j in &near[i] {
            let place = (row[j.index], j.index);
            let nearer = |(l, &v): (usize, &f32)| l != own.1 && (v, l) < place;
            let rank = 1 + row.iter().enumerate().filter(|&p| nearer(p)).count();
            sum += rank.saturating_sub(k) as f64;
        }
    })?;
    let (n, k) = (n as f64, k as f64);
    Ok(1.0 - 2.0 / (n * k * (2.0 * n - 3.0 * k - 1.0)) * sum)
}

/// The `k` nearest points of every point of a map, itself left out.
pub(crate) fn nearest_on_map(map: &[[f64; 2]], k: usize) -> Vec<Vec<Near>> {
    let mut all: Vec<Near> = Vec::with_capacity(map.len());
    let mut of = |i: usize| {
        let [x, y] = map[i];
        all.clear();
        let square = |p: &[f64; 2]| (p[0] - x) * (p[0] - x) + (p[1] - y) * (p[1] - y);
        let others = map.iter().enumerate().filter(|&(j, _)| j != i);
        all.extend(others.map(|(index, p)| Near { index, distance: square(p) }));
        let order = |a: &Near, b: &Near| a.distance.total_cmp(&b.distance).then(a.index.cmp(&b.index));
        let k = k.min(all.len());
        if k == 0 {
            return Vec::new();
        }
        all.select_nth_unstable_by(k - 1, order);
        let mut near = all[..k].to_vec();
        near.sort_by(order);
        near.iter_mut().for_each(|n| n.distance = n.distance.sqrt());
        near
    };
    (0..map.len()).map(&mut of).collect()
}

/// The part of the points whose `k` nearest, on the map and by features, vote for their own class: how much of the classes
/// a map keeps.
///
/// # Errors
/// As [`trustworthiness`].
pub fn agreement(search: &mut Search<'_>, map: &[[f64; 2]], labels: &[u32], k: usize) -> Result<[f64; 2]> {
    let features = search.features();
    let judge =
        |near: &[Vec<Near>]| super::Vote::judge(near, labels, labels, k).accuracy.last().copied().unwrap_or(0.0);
    let by_features = search.nearest(features, k, &|q| Some(q))?;
    Ok([judge(&nearest_on_map(map, k)), judge(&by_features)])
}
