//! Features that tell no pictures apart.

use super::NeighborIndex;
use gabor_report::count;

impl NeighborIndex {
    /// How many features are 0 on every picture.
    pub fn dead(&self) -> usize {
        let features = self.features();
        let mut alive = vec![false; features.width()];
        for i in 0..features.count() {
            alive.iter_mut().zip(features.row(i)).for_each(|(a, v)| *a |= *v != 0.0);
        }
        alive.iter().filter(|a| !**a).count()
    }
    /// What is said of features that tell no pictures apart, because they are all 0, or the same on every picture.
    pub fn dead_words(&self) -> Option<String> {
        let features = self.features();
        let (pictures, width) = (count(self.len() as u64), count(features.width() as u64));
        let so = "no picture is nearer than another";
        if self.dead() == features.width() {
            return Some(format!("dead: all {width} features are 0 on all {pictures} pictures; {so}"));
        }
        let first = (self.len() > 1).then(|| features.row(0))?;
        let same = (1..features.count()).all(|i| features.row(i) == first);
        same.then(|| format!("dead: the {width} features are the same on all {pictures} pictures; {so}"))
    }
}
