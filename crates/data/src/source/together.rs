//! What stays on one side where a part is drawn: the same picture twice, and pictures that `data check` would call near
//! duplicates.

use super::Dataset;
use crate::check::{Sets, alike};
use crate::{Error, Limits, common_shape};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Pictures, and bytes of their files, up to which near duplicates are looked for on opening: some seconds' work, which a
/// command that only opens the data has to wait for.
const PICTURES: usize = 10_000;
const BYTES: u64 = 256 << 20;

/// Groups of samples, each of two or more indices.
pub(super) type Groups = Vec<Vec<usize>>;

/// What a part is drawn around.
#[derive(Default)]
pub(super) struct Together {
    /// The same pictures, as far as that shows without decoding them.
    pub same: Groups,
    /// These, and pictures that look alike.
    pub alike: Groups,
    /// Why pictures that look alike were not looked for.
    pub left_out: Option<&'static str>,
}

impl Together {
    /// Looks for what belongs together.
    pub fn find(set: &Arc<dyn Dataset>, limits: Limits) -> Result<Self, Error> {
        let same = set.twins();
        let without = |left_out| Ok(Together { alike: same.clone(), same: same.clone(), left_out });
        if set.len() > PICTURES {
            return without(Some("more than 10,000 pictures"));
        }
        match set.stored_bytes() {
            None if !set.is_remote() => return without(Some("their size is not known")),
            None => return without(Some("the files are not on this machine")),
            Some(bytes) if bytes > BYTES => return without(Some("more than 256 MiB of files")),
            Some(_) => {}
        }
        // Written signs are alike by nature; `data check` compares none of them either.
        if common_shape(&**set).is_some_and(|[c, h, w]| c == 1 && h.max(w) <= crate::check::WRITING) {
            return without(None);
        }
        let alike = joined(set.len(), &[&same, &alike(set, limits)?]);
        Ok(Together { same, alike, left_out: None })
    }
    /// What the note on a part says of it, where the first, the second or no grouping (0, 1, 2) was kept to.
    pub fn note(&self, kept: usize) -> String {
        let groups = |n: usize, of: &str| match n {
            0 => String::new(),
            1 => format!("; 1 group of {of} stays together"),
            n => format!("; {n} groups of {of} stay together"),
        };
        let both = self.alike != self.same;
        let mut out = match kept {
            0 if both => groups(self.alike.len(), "pictures that are equal or look alike"),
            0 => groups(self.same.len(), "equal pictures"),
            1 => {
                "; pictures that look alike could not be kept together".to_string()
                    + &groups(self.same.len(), "equal pictures")
            }
            _ => "; equal pictures could not be kept together".into(),
        };
        if let Some(why) = self.left_out {
            out += &format!("; near duplicates were not looked for ({why})");
        }
        out
    }
}

/// Groups of several lists over samples 0..`n` as one list: those that share a sample are one.
pub(super) fn joined(n: usize, lists: &[&[Vec<usize>]]) -> Groups {
    let mut sets = Sets::new(n);
    for group in lists.iter().copied().flatten() {
        let mut known = group.iter().filter(|&&i| i < n);
        let Some(&first) = known.next() else { continue };
        known.for_each(|&i| sets.join(first as u32, i as u32));
    }
    let mut of: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for i in
        lists.iter().copied().flatten().flatten().copied().filter(|&i| i < n).collect::<std::collections::BTreeSet<_>>()
    {
        of.entry(sets.find(i as u32)).or_default().push(i);
    }
    of.into_values().filter(|members| members.len() > 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_share_a_sample_are_one() {
        let a = vec![vec![1, 3], vec![9, 7]];
        let b = vec![vec![3, 5, 70], vec![2]];
        assert_eq!(joined(10, &[&a, &b]), [vec![1, 3, 5], vec![7, 9]]);
        assert!(joined(0, &[&a, &[]]).is_empty());
    }
}
