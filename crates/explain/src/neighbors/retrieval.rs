//! How often neighbours share a class: retrieval precision, and classification by the nearest neighbours.

use super::search::top;
use super::{Features, Near, Search};
use crate::{Error, Result};
use gabor_tensor::Rule;

/// Retrieval of a set by itself: every picture asks for its neighbours among all others; one of its class is relevant.
#[derive(Clone, Debug, PartialEq)]
pub struct Retrieval {
    /// k of precision at k.
    pub k: usize,
    /// Pictures that asked.
    pub queries: usize,
    /// Pictures that did not ask, because no other has their class.
    pub alone: usize,
    /// Part of the queries whose nearest neighbour has their class.
    pub p1: f64,
    /// Mean part of the k nearest that has the query's class; k counts as in the set, even where a class has fewer.
    pub pk: f64,
    /// Mean average precision: over queries, of the mean over relevant pictures of the precision at their rank.
    pub map: f64,
    /// The same by the query's class, in the order of the classes; classes without queries are left out.
    pub classes: Vec<ClassRetrieval>,
}

/// [`Retrieval`] by the pictures of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClassRetrieval {
    /// The class.
    pub class: u32,
    /// Its queries.
    pub queries: usize,
    /// As [`Retrieval::p1`].
    pub p1: f64,
    /// As [`Retrieval::pk`].
    pub pk: f64,
    /// As [`Retrieval::map`].
    pub map: f64,
}

/// Retrieval of a set by itself, each picture left out of its own answer. Where there are more than `most` pictures, `most`
/// of them, evenly spread over the set, ask. `hear` gets the number of queries done.
///
/// # Errors
/// Another number of labels than pictures; k or `most` of zero; no class of two pictures.
pub fn retrieval(
    search: &mut Search<'_>,
    labels: &[u32],
    k: usize,
    most: usize,
    hear: &mut dyn FnMut(usize, usize),
) -> Result<Retrieval> {
    let features = search.features();
    let n = features.count();
    check(labels, n)?;
    if k == 0 || most == 0 {
        let rule = Rule::new(format!("precision at {k} over {most} queries")).right("at least one of each");
        return Err(Error::new("retrieval", rule));
    }
    let classes = labels.iter().max().map_or(0, |&l| l as usize + 1);
    let mut members = vec![0usize; classes];
    labels.iter().for_each(|&l| members[l as usize] += 1);
    let chosen: Vec<usize> = if n <= most {
        (0..n).collect()
    } else {
        (0..most).map(|i| (i as u128 * n as u128 / most as u128) as usize).collect()
    };
    let asked: Vec<usize> = chosen.iter().copied().filter(|&i| members[labels[i] as usize] > 1).collect();
    if asked.is_empty() {
        let rule = Rule::new("no two pictures share a class").right("data with at least two pictures of a class");
        return Err(Error::new("retrieval", rule));
    }
    let rows: Vec<f32> = asked.iter().flat_map(|&i| features.row(i).iter().copied()).collect();
    let queries = Features::new(&rows, features.width())?;
    let (metric, slack) = (search.metric(), search.slack(queries));
    let mut by_class = vec![ClassRetrieval::default(); classes];
    let mut keys: Vec<u64> = Vec::with_capacity(n);
    let at = k.min(n - 1);
    search.rows(queries, &mut |q, row| {
        let own = asked[q];
        let label = labels[own];
        let near = top((features, metric), queries.row(q), row, at, Some(own), slack[q]);
        let same = |near: &Near| labels[near.index] == label;
        let c = &mut by_class[label as usize];
        c.class = label;
        c.queries += 1;
        c.p1 += f64::from(u8::from(near.first().is_some_and(same)));
        c.pk += near.iter().filter(|n| same(n)).count() as f64 / at as f64;
        // Values are not negative, so that their bits order as they do.
        keys.clear();
        keys.extend((0..n).filter(|&i| i != own).map(|i| u64::from(row[i].to_bits()) << 32 | i as u64));
        keys.sort_unstable();
        let (mut found, mut sum) = (0usize, 0.0);
        for (rank, key) in keys.iter().enumerate() {
            if labels[(key & 0xFFFF_FFFF) as usize] == label {
                found += 1;
                sum += found as f64 / (rank + 1) as f64;
            }
        }
        c.map += sum / found as f64;
        hear(q + 1, asked.len());
    })?;
    let sum = |f: fn(&ClassRetrieval) -> f64| by_class.iter().map(f).sum::<f64>() / asked.len() as f64;
    let (p1, pk, map) = (sum(|c| c.p1), sum(|c| c.pk), sum(|c| c.map));
    by_class.retain(|c| c.queries > 0);
    for c in &mut by_class {
        let n = c.queries as f64;
        (c.p1, c.pk, c.map) = (c.p1 / n, c.pk / n, c.map / n);
    }
    let alone = chosen.len() - asked.len();
    Ok(Retrieval { k: at, queries: asked.len(), alone, p1, pk, map, classes: by_class })
}

/// The class that most of the neighbours have; of several such classes the one whose nearest neighbour is nearest. `None`
/// without neighbours.
pub fn vote(near: &[Near], labels: &[u32]) -> Option<u32> {
    let of = |n: &Near| labels.get(n.index).copied();
    let count = |label: u32| near.iter().filter(|n| of(n) == Some(label)).count();
    let mut best: Option<(usize, u32)> = None;
    for label in near.iter().filter_map(of) {
        let votes = count(label);
        if best.is_none_or(|b| votes > b.0) {
            best = Some((votes, label));
        }
    }
    best.map(|b| b.1)
}

/// Classification of other pictures by the labels of their nearest neighbours.
#[derive(Clone, Debug, PartialEq)]
pub struct Vote {
    /// Pictures that were classified.
    pub count: usize,
    /// Part of them that is right, by 1, 2, … k neighbours.
    pub accuracy: Vec<f64>,
}

impl Vote {
    /// Judges what pictures with these labels got as neighbours, of which `known` are the labels; `k` of them at most.
    pub fn judge(near: &[Vec<Near>], known: &[u32], labels: &[u32], k: usize) -> Vote {
        let right = |k: usize| {
            let of = |(near, label): (&Vec<Near>, &u32)| vote(&near[..k.min(near.len())], known) == Some(*label);
            near.iter().zip(labels).filter(|&p| of(p)).count()
        };
        let count = near.len().min(labels.len());
        Vote { count, accuracy: (1..=k).map(|k| right(k) as f64 / count.max(1) as f64).collect() }
    }
}

fn check(labels: &[u32], n: usize) -> Result<()> {
    if labels.len() == n {
        return Ok(());
    }
    let rule = Rule::new(format!("{} labels for {n} pictures", labels.len())).right("one label per picture");
    Err(Error::new("labels", rule))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn votes_by_hand() {
        let near: Vec<Near> = (0..5).map(|i| Near { index: i, distance: i as f64 }).collect();
        assert_eq!(vote(&near, &[3, 1, 1, 3, 2]), Some(3), "two of each: the nearest decides");
        assert_eq!(vote(&near, &[3, 1, 1, 2, 2]), Some(1));
        assert_eq!(vote(&[], &[]), None);
        let v = Vote::judge(&[near], &[3, 1, 1, 3, 2], &[1], 3);
        assert_eq!((v.count, v.accuracy), (1, vec![0.0, 0.0, 1.0]));
    }
}
