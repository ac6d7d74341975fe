//! Samples of several data sets as one.

use super::{Dataset, out_of_range};
use crate::{Error, Image};
use std::borrow::Cow;
use std::sync::Arc;

/// Samples of several data sets with the same classes, in any order: a part of a written split may hold files that now
/// lie elsewhere.
pub struct Mixed {
    sets: Vec<Arc<dyn Dataset>>,
    items: Vec<(usize, usize)>,
    labels: Vec<u32>,
}

impl Mixed {
    /// The samples `items`, each as (set, index in it); an error if an index is out of range.
    pub fn new(sets: Vec<Arc<dyn Dataset>>, items: Vec<(usize, usize)>) -> Result<Self, Error> {
        let label = |&(s, i): &(usize, usize)| {
            let set = sets.get(s).ok_or_else(|| out_of_range(s, sets.len()))?;
            set.labels().get(i).copied().ok_or_else(|| out_of_range(i, set.len()))
        };
        let labels = items.iter().map(label).collect::<Result<_, _>>()?;
        Ok(Mixed { sets, items, labels })
    }
    fn at(&self, i: usize) -> Result<(&dyn Dataset, usize), Error> {
        let &(s, inner) = self.items.get(i).ok_or_else(|| out_of_range(i, self.items.len()))?;
        Ok((&*self.sets[s], inner))
    }
}

impl Dataset for Mixed {
    fn labels(&self) -> &[u32] {
        &self.labels
    }
    fn classes(&self) -> &[String] {
        self.sets.first().map_or(&[], |s| s.classes())
    }
    fn id(&self, i: usize) -> String {
        self.at(i).map_or_else(|_| format!("[{i}]"), |(set, inner)| set.id(inner))
    }
    fn image(&self, i: usize) -> Result<Image<'_>, Error> {
        let (set, inner) = self.at(i)?;
        set.image(inner)
    }
    fn image_at_least(&self, i: usize, enough: &dyn Fn([usize; 2]) -> [usize; 2]) -> Result<Image<'_>, Error> {
        let (set, inner) = self.at(i)?;
        set.image_at_least(inner, enough)
    }
    fn encoded(&self, i: usize) -> Result<Option<Cow<'_, [u8]>>, Error> {
        let (set, inner) = self.at(i)?;
        set.encoded(inner)
    }
    fn shape(&self) -> Option<[usize; 3]> {
        let first = self.sets.first()?.shape()?;
        self.sets.iter().all(|s| s.shape() == Some(first)).then_some(first)
    }
    fn is_remote(&self) -> bool {
        self.sets.iter().any(|s| s.is_remote())
    }
}
