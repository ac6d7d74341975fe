//! Parts of a data set: train, validation and test, drawn by class.

use super::together::{Groups, Together, joined};
use super::{Blocks, Dataset, OpenOptions, out_of_range};
use crate::{Error, Image};
use gabor_tensor::rng::op;
use gabor_tensor::{Rule, Stream};
use std::borrow::Cow;
use std::sync::Arc;

/// The beginning of the note on a test part that was drawn.
pub(super) const NO_TEST: &str = "no test part";

/// The parts of a data set. All parts have the same classes.
#[derive(Clone)]
pub struct Splits {
    /// What the data set is: `IDX`, `CIFAR-10 binary`, `folders`, `manifest`, `tar shards`, `Parquet`, `digits`.
    pub kind: &'static str,
    /// The part to train on, where there is one.
    pub train: Option<Arc<dyn Dataset>>,
    /// The part to choose by, where there is one.
    pub validation: Option<Arc<dyn Dataset>>,
    /// The part to report on, where there is one.
    pub test: Option<Arc<dyn Dataset>>,
    /// Sentences for the user about what was passed over or split, such as files that are no images.
    pub notes: Vec<String>,
}

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// What is trained on.
    Train,
    /// What is chosen by.
    Validation,
    /// What is reported on.
    Test,
}

impl Part {
    /// All, in order.
    pub const ALL: [Part; 3] = [Part::Train, Part::Validation, Part::Test];
    /// The part that a name (of a folder, a file, a column's value) says, in any case: `train`, `training`; `val`,
    /// `valid`, `validation`, `dev`; `test`, `testing`.
    pub fn of(name: &str) -> Option<Part> {
        match name.to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Part::Train),
            "val" | "valid" | "validation" | "dev" => Some(Part::Validation),
            "test" | "testing" => Some(Part::Test),
            _ => None,
        }
    }
    /// The part that a word of a file's name says: `train-000001.tar`, `imagenet_val-00.tar`.
    pub(super) fn of_file(name: &str) -> Option<Part> {
        name.split(|c: char| !c.is_ascii_alphabetic()).find_map(Part::of)
    }
    /// The usual short name: `train`, `val`, `test`.
    pub fn name(self) -> &'static str {
        match self {
            Part::Train => "train",
            Part::Validation => "val",
            Part::Test => "test",
        }
    }
}

/// The parts that a source finds, on their way to [`Splits`].
pub(super) struct Parts {
    kind: &'static str,
    parts: [Option<Arc<dyn Dataset>>; 3],
    pub notes: Vec<String>,
}

impl Parts {
    pub fn new(kind: &'static str) -> Self {
        Parts { kind, parts: [None, None, None], notes: Vec::new() }
    }
    pub fn put(&mut self, part: Part, set: impl Dataset + 'static) {
        self.parts[part as usize] = Some(Arc::new(set));
    }
    /// The parts; a lone training part is split by the options.
    pub fn finish(self, options: &OpenOptions) -> Result<Splits, Error> {
        let [train, validation, test] = self.parts;
        let mut out = Splits { kind: self.kind, train, validation, test, notes: self.notes };
        if let (Some(all), None, None) = (&out.train, &out.validation, &out.test)
            && options.test_fraction > 0.0
        {
            let count = all.len();
            let together = Together::find(all, options.limits)?;
            let drawn = split(all.clone(), options.test_fraction, options.seed, &together)?;
            let (held, note) = (drawn.held.len(), together.note(drawn.kept_to));
            out.notes.push(format!("{NO_TEST}: {held} of {count} samples held out as the test part{note}"));
            (out.train, out.test) = (Some(drawn.kept), Some(drawn.held));
        }
        Ok(out)
    }
}

impl std::fmt::Debug for Splits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let len = |d: &Option<Arc<dyn Dataset>>| d.as_ref().map(|d| d.len());
        f.debug_struct("Splits")
            .field("kind", &self.kind)
            .field("train", &len(&self.train))
            .field("validation", &len(&self.validation))
            .field("test", &len(&self.test))
            .field("notes", &self.notes)
            .finish()
    }
}

impl Splits {
    /// The part to train on; an error where there is none.
    pub fn train(&self) -> Result<&Arc<dyn Dataset>, Error> {
        self.train
            .as_ref()
            .ok_or_else(|| Error::new("data set", Rule::new("no training part").right("train files or a train folder")))
    }
    /// The part that results are reported on, with its name: test, else validation, else an error.
    pub fn evaluation(&self) -> Result<(&'static str, &Arc<dyn Dataset>), Error> {
        let test = self.test.as_ref().map(|d| ("test", d));
        test.or(self.validation.as_ref().map(|d| ("validation", d))).ok_or_else(|| {
            Error::new(
                "data set",
                Rule::new("no test or validation part").right("test files, or hold_out of the training part"),
            )
        })
    }
    /// The names of the classes.
    pub fn classes(&self) -> &[String] {
        [&self.train, &self.test, &self.validation].into_iter().flatten().next().map_or(&[], |d| d.classes())
    }
    /// Takes a validation part out of the training part, by class ([`stratified`]); what is known to be the same picture,
    /// or to look alike, stays together. Errors: no training part, a validation part is there already, or a fraction that
    /// leaves a part empty.
    pub fn hold_out(self, fraction: f64, seed: u64) -> Result<Self, Error> {
        Ok(self.hold_out_groups(fraction, seed, &[])?.0)
    }
    /// The same with more samples that stay together: each of `groups` holds indices of the training part
    /// ([`stratified_groups`]). Says whether they do: not where some class would have less than half of its share held out.
    pub fn hold_out_groups(mut self, fraction: f64, seed: u64, groups: &[Vec<usize>]) -> Result<(Self, bool), Error> {
        if self.validation.is_some() {
            return Err(Error::new("data set", Rule::new("a validation part is there already").right("no hold-out")));
        }
        let train = self.train()?.clone();
        let same = train.twins().unwrap_or_default();
        let alike = joined(train.len(), &[groups, &same, &train.alike()]);
        let drawn = split(train, fraction, seed, &Together { same, alike, ..Together::default() })?;
        (self.train, self.validation) = (Some(drawn.kept), Some(drawn.held));
        Ok((self, drawn.kept_to == 0))
    }
}

/// A data set in two.
pub(super) struct Drawn {
    pub kept: Arc<dyn Dataset>,
    pub held: Arc<dyn Dataset>,
    /// What was kept together: 0 all that looks alike, 1 the same pictures, 2 nothing.
    pub kept_to: usize,
}

/// Both parts of a data set under [`stratified_groups`]. Where hardly anything but copies is there, or a class is one long
/// row of pictures that look alike, no fair part can be drawn around them; then it is drawn through them.
pub(super) fn split(base: Arc<dyn Dataset>, fraction: f64, seed: u64, together: &Together) -> Result<Drawn, Error> {
    let draw = |groups: &[Vec<usize>]| {
        let mut of: Vec<u32> = (0..base.len() as u32).collect();
        for members in groups {
            members.iter().for_each(|&i| of[i] = members[0] as u32);
        }
        stratified_groups(base.labels(), &of, fraction, seed)
    };
    let counts = |indices: &[usize]| {
        let mut counts: std::collections::BTreeMap<u32, usize> = Default::default();
        indices.iter().for_each(|&i| *counts.entry(base.labels()[i]).or_default() += 1);
        counts
    };
    let free = draw(&[]);
    let share = counts(&free.1);
    let fair = |(kept, held): &(Vec<usize>, Vec<usize>)| {
        let of = counts(held);
        !kept.is_empty() && share.iter().all(|(class, &n)| 2 * of.get(class).copied().unwrap_or(0) >= n)
    };
    let tries = [&together.alike, &together.same].map(|groups| draw(groups));
    let kept_to = tries.iter().position(fair).unwrap_or(tries.len());
    let (kept, held) = tries.into_iter().nth(kept_to).unwrap_or(free);
    if kept.is_empty() || held.is_empty() {
        return Err(Error::new(
            "data set",
            Rule::new(format!(
                "a fraction of {fraction} splits {} samples into {} and {}",
                base.len(),
                kept.len(),
                held.len()
            ))
            .right("at least one sample in each part"),
        ));
    }
    let mut rest = Subset::new(base.clone(), kept)?;
    rest.same = rest.inside(&together.same);
    rest.alike = rest.inside(&together.alike);
    Ok(Drawn { kept: Arc::new(rest), held: Arc::new(Subset::new(base, held)?), kept_to })
}

/// Splits indices 0..`labels.len()` into (kept, held out), each in ascending order.
///
/// The part held out has ⌈`fraction` · n⌉ samples, shared among the classes in proportion (largest remainders first,
/// ties to the lower class) but never a class's last sample; which ones is drawn per class from the stream
/// (`seed`, 0, class, split). A fraction outside 0..1 is taken as the nearer end.
///
/// ```
/// let (train, test) = gabor_data::stratified(&[0, 0, 0, 0, 1, 1, 1, 1], 0.25, 0);
/// assert_eq!((train.len(), test.len()), (6, 2));
/// ```
pub fn stratified(labels: &[u32], fraction: f64, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let own: Vec<u32> = (0..labels.len() as u32).collect();
    stratified_groups(labels, &own, fraction, seed)
}

/// The same with samples that stay together, such as near duplicates: those with an equal number in `group` go to the
/// same side. Groups that do not fit into the share of their class are kept; a class of nothing but such groups holds out
/// its smallest. With groups of one sample it is [`stratified`].
///
/// ```
/// let (train, test) = gabor_data::stratified_groups(&[0; 8], &[0, 0, 1, 1, 2, 2, 3, 3], 0.25, 0);
/// assert_eq!((test.len(), test[1] - test[0]), (2, 1));
/// ```
pub fn stratified_groups(labels: &[u32], group: &[u32], fraction: f64, seed: u64) -> (Vec<usize>, Vec<usize>) {
    use std::collections::BTreeMap;
    let fraction = if fraction.is_nan() { 0.0 } else { fraction.clamp(0.0, 1.0) };
    let mut classes: std::collections::BTreeMap<u32, Vec<usize>> = Default::default();
    for (i, &l) in labels.iter().enumerate() {
        classes.entry(l).or_default().push(i);
    }
    // The small subtraction keeps 0.07 · 100 = 7.000000000000001 at 7.
    let total = (fraction * labels.len() as f64 - 1e-9).ceil().max(0.0) as usize;
    let exact: Vec<f64> = classes.values().map(|m| m.len() as f64 * fraction).collect();
    let room: Vec<usize> = classes.values().map(|m| m.len() - 1).collect();
    let mut take: Vec<usize> = exact.iter().zip(&room).map(|(e, &r)| ((e + 1e-9).floor() as usize).min(r)).collect();
    let mut order: Vec<usize> = (0..take.len()).collect();
    order.sort_by(|&a, &b| {
        let rest = |i: usize| exact[i] - take[i] as f64;
        rest(b).total_cmp(&rest(a)).then(a.cmp(&b))
    });
    let mut missing = total.saturating_sub(take.iter().sum());
    for i in order {
        if missing > 0 && take[i] < room[i] {
            take[i] += 1;
            missing -= 1;
        }
    }
    let mut members_of: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    group.iter().enumerate().for_each(|(i, &g)| members_of.entry(g).or_default().push(i));
    let rank: BTreeMap<u32, usize> = classes.keys().enumerate().map(|(k, &c)| (c, k)).collect();
    // Of every sample whether it is held out, once its group is decided.
    let mut decided: Vec<Option<bool>> = vec![None; labels.len()];
    let mut held_of = vec![0usize; classes.len()];
    for (k, (&class, members)) in classes.iter().enumerate() {
        let mut order = members.clone();
        Stream::new(seed, 0, class, op::SPLIT).shuffle(&mut order);
        let mut smallest: Option<&Vec<usize>> = None;
        for i in order {
            if decided[i].is_some() {
                continue;
            }
            let unit = &members_of[&group.get(i).copied().unwrap_or(i as u32)];
            if unit.len() == 1 {
                let fits = held_of[k] < take[k];
                decided[i] = Some(fits);
                held_of[k] += usize::from(fits);
                continue;
            }
            let mut after = held_of.clone();
            unit.iter().for_each(|&j| after[rank[&labels[j]]] += 1);
            let fits = unit.iter().all(|&j| after[rank[&labels[j]]] <= take[rank[&labels[j]]]);
            unit.iter().for_each(|&j| decided[j] = Some(fits));
            if fits {
                held_of = after;
            } else if smallest.is_none_or(|s| unit.len() < s.len()) {
                smallest = Some(unit);
            }
        }
        // Groups that are all larger than the share of a class: one of them rather than none.
        if let Some(unit) = smallest.filter(|u| held_of[k] == 0 && take[k] > 0 && u.len() < members.len()) {
            unit.iter().for_each(|&j| decided[j] = Some(true));
            unit.iter().for_each(|&j| held_of[rank[&labels[j]]] += 1);
        }
    }
    let all = |wanted: bool| (0..labels.len()).filter(|&i| (decided[i] == Some(true)) == wanted).collect();
    (all(false), all(true))
}

/// Some samples of another data set.
pub struct Subset {
    base: Arc<dyn Dataset>,
    indices: Vec<usize>,
    labels: Vec<u32>,
    /// What was found to belong together when the base was divided.
    same: Groups,
    alike: Groups,
}

impl Subset {
    /// The samples of `base` at `indices`, in that order; an error if an index is out of range.
    pub fn new(base: Arc<dyn Dataset>, indices: Vec<usize>) -> Result<Self, Error> {
        let label = |&i: &usize| base.labels().get(i).copied().ok_or_else(|| out_of_range(i, base.len()));
        let labels = indices.iter().map(label).collect::<Result<_, _>>()?;
        Ok(Subset { base, indices, labels, same: Vec::new(), alike: Vec::new() })
    }
    /// Groups of the base as far as they lie in this part, by its own indices.
    fn inside(&self, groups: &[Vec<usize>]) -> Groups {
        if groups.is_empty() {
            return Vec::new();
        }
        let mut at = vec![None; self.base.len()];
        self.indices.iter().enumerate().for_each(|(own, &i)| at[i] = Some(own));
        let inside = groups.iter().map(|g| g.iter().filter_map(|&i| at[i]).collect::<Vec<_>>());
        inside.filter(|g| g.len() > 1).collect()
    }
    /// The indices into the base data set.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }
}

impl Dataset for Subset {
    fn labels(&self) -> &[u32] {
        &self.labels
    }
    fn classes(&self) -> &[String] {
        self.base.classes()
    }
    fn id(&self, i: usize) -> String {
        self.indices.get(i).map_or_else(|| format!("[{i}]"), |&j| self.base.id(j))
    }
    fn image(&self, i: usize) -> Result<Image<'_>, Error> {
        self.base.image(*self.indices.get(i).ok_or_else(|| out_of_range(i, self.indices.len()))?)
    }
    fn image_at_least(&self, i: usize, enough: &dyn Fn([usize; 2]) -> [usize; 2]) -> Result<Image<'_>, Error> {
        self.base.image_at_least(*self.indices.get(i).ok_or_else(|| out_of_range(i, self.indices.len()))?, enough)
    }
    fn encoded(&self, i: usize) -> Result<Option<Cow<'_, [u8]>>, Error> {
        self.base.encoded(*self.indices.get(i).ok_or_else(|| out_of_range(i, self.indices.len()))?)
    }
    fn shape(&self) -> Option<[usize; 3]> {
        self.base.shape()
    }
    fn is_remote(&self) -> bool {
        self.base.is_remote()
    }
    fn twins(&self) -> Option<Vec<Vec<usize>>> {
        Some(self.same.clone())
    }
    fn alike(&self) -> Vec<Vec<usize>> {
        self.alike.clone()
    }
    fn blocks(&self) -> Option<Blocks> {
        let Blocks { of, count, bytes } = self.base.blocks()?;
        let share = self.indices.len() as f64 / of.len().max(1) as f64;
        let of = self.indices.iter().map(|&i| of[i]).collect();
        Some(Blocks { of, count, bytes: (bytes as f64 * share) as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_disjoint_complete_and_in_proportion() {
        let labels: Vec<u32> = (0..1000).map(|i| if i % 10 < 7 { 0 } else { 1 + i % 3 }).collect();
        let (kept, held) = stratified(&labels, 0.2, 3);
        assert_eq!((kept.len(), held.len()), (800, 200));
        let mut all = [kept.clone(), held.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
        assert_eq!(held.iter().filter(|&&i| labels[i] == 0).count(), 140);
        assert_eq!(stratified(&labels, 0.2, 3).1, held);
        assert_ne!(stratified(&labels, 0.2, 4).1, held);
    }

    #[test]
    fn a_class_never_loses_its_last_sample() {
        let (kept, held) = stratified(&[0, 1, 1, 2], 1.0, 0);
        assert_eq!((kept.len(), held.len()), (3, 1));
        assert!(stratified(&[], 0.5, 0).0.is_empty());
        assert_eq!(stratified(&[0, 1], f64::NAN, 0).0, [0, 1]);
    }

    #[test]
    fn singles_are_the_first_of_each_class_in_its_order() {
        let labels: Vec<u32> = (0..1797u32).map(|i| i * i % 10 % 7).collect();
        let (_, held) = stratified(&labels, 0.2, 9);
        for class in 0..7 {
            let mut order: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] == class).collect();
            Stream::new(9, 0, class, op::SPLIT).shuffle(&mut order);
            let mut of: Vec<usize> = held.iter().copied().filter(|&i| labels[i] == class).collect();
            let mut first = order[..of.len()].to_vec();
            first.sort_unstable();
            of.sort_unstable();
            assert_eq!(of, first, "class {class}");
        }
    }

    #[test]
    fn groups_stay_together_and_singles_are_drawn_as_ever() {
        let labels: Vec<u32> = (0..900).map(|i| i % 3).collect();
        // Triples of one class, pairs across classes, and singles.
        let group: Vec<u32> = (0..900u32)
            .map(|i| match i {
                0..300 => i / 9 * 9 + i % 3,
                300..500 => i / 2 * 2,
                _ => i,
            })
            .collect();
        let (kept, held) = stratified_groups(&labels, &group, 0.2, 3);
        assert_eq!(kept.len() + held.len(), 900);
        let side = |i: u32| held.binary_search(&(i as usize)).is_ok();
        for i in 0..900 {
            assert_eq!(side(i), side(group[i as usize]), "{i}");
        }
        for class in 0..3 {
            let count = held.iter().filter(|&&i| labels[i] == class).count();
            assert!((55..=60).contains(&count), "{count}");
        }
        // Nothing but a large and a small group: the small one is held out.
        assert_eq!(stratified_groups(&[0; 9], &[0, 0, 0, 0, 0, 0, 6, 6, 6], 0.1, 0).1, [6, 7, 8]);
        assert!(stratified_groups(&[0; 4], &[0; 4], 0.5, 0).1.is_empty());
    }
}
