//! What stays on one side where a part is drawn: the same picture twice, and pictures that `data check` would call near
//! duplicates.

use super::{Dataset, twins};
use crate::check::{Sets, alike};
use crate::{Error, Header, Limits, common_shape};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Pictures, and bytes of their files, up to which near duplicates are looked for on opening: some seconds' work, which a
/// command that only opens the data has to wait for.
const PICTURES: usize = 10_000;
pub(super) const BYTES: u64 = 256 << 20;
/// Pixels of all of them, which flat pictures pack into few bytes.
const PIXELS: u64 = 1 << 30;
/// Bytes that decoded pictures may take, all threads together, and bytes of a pixel while it is decoded: four channels of
/// 16 bits, and what is made of them.
const DECODED: u64 = 1 << 30;
const OF_PIXEL: u64 = 12;

/// Groups of samples, each of two or more indices.
pub(super) type Groups = Vec<Vec<usize>>;

/// What a part is drawn around.
#[derive(Default)]
pub(super) struct Together {
    /// The same pictures, as far as that shows without decoding them.
    pub same: Groups,
    /// These, and pictures that look alike.
    pub alike: Groups,
    /// Whether the same pictures were not looked for either.
    pub blind: bool,
    /// Why pictures that look alike were not looked for.
    pub left_out: Option<&'static str>,
}

impl Together {
    /// Looks for what belongs together.
    pub fn find(set: &Arc<dyn Dataset>, limits: Limits) -> Result<Self, Error> {
        let twins = set.twins();
        let blind = twins.is_none();
        let same = twins.unwrap_or_default();
        let without = |left_out| Ok(Together { alike: same.clone(), same: same.clone(), blind, left_out });
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
        let Some(largest) = largest(&**set) else {
            return without(Some("more than 1,073 million pixels"));
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let at_once = DECODED / largest.saturating_mul(OF_PIXEL).max(1);
        let threads = cores.min(usize::try_from(at_once).unwrap_or(cores)).max(1);
        let alike = joined(set.len(), &[&same, &alike(set, threads, limits)?]);
        Ok(Together { same, alike, blind, left_out: None })
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
            let what =
                if self.blind { "neither equal pictures nor near duplicates were" } else { "near duplicates were not" };
            out += &format!("; {what} looked for ({why})");
        }
        out
    }
}

/// The pixels of the largest picture, by the headers; `None` where all together have more than [`PIXELS`]. What has no
/// header that is understood has none.
fn largest(set: &dyn Dataset) -> Option<u64> {
    if let Some([_, h, w]) = set.shape() {
        let one = h as u64 * w as u64;
        return (one.saturating_mul(set.len() as u64) <= PIXELS).then_some(one);
    }
    let all = AtomicU64::new(0);
    let pixels = |i: usize| {
        if all.load(Ordering::Relaxed) > PIXELS {
            return u64::MAX;
        }
        let header = set.encoded(i).ok().flatten().and_then(|bytes| Header::read(&bytes).ok());
        let pixels = header.map_or(0, |h| u64::from(h.width) * u64::from(h.height));
        all.fetch_add(pixels, Ordering::Relaxed);
        pixels
    };
    // What lies in blocks is read in its order.
    let threads = if set.blocks().is_some() { 1 } else { twins::AT_ONCE };
    let each = twins::of_all(&(0..set.len()).collect::<Vec<_>>(), threads, pixels);
    let sum = each.iter().fold(0u64, |sum, &p| sum.saturating_add(p));
    (sum <= PIXELS).then(|| each.into_iter().max().unwrap_or(0))
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

    /// So many PNG files that say 8000 × 8000 and hold nothing.
    struct Screens(Vec<u32>, bool);

    impl Dataset for Screens {
        fn labels(&self) -> &[u32] {
            &self.0
        }
        fn classes(&self) -> &[String] {
            &[]
        }
        fn id(&self, i: usize) -> String {
            i.to_string()
        }
        fn image(&self, i: usize) -> Result<crate::Image<'_>, Error> {
            Err(super::super::out_of_range(i, 0))
        }
        fn encoded(&self, _: usize) -> Result<Option<std::borrow::Cow<'_, [u8]>>, Error> {
            let side = 8000u32.to_be_bytes();
            let head = [&b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"[..], &side, &side, &[8, 2, 0, 0, 0, 0, 0, 0, 0]];
            Ok(Some(head.concat().into()))
        }
        fn is_remote(&self) -> bool {
            self.1
        }
        fn stored_bytes(&self) -> Option<u64> {
            (!self.1).then_some(33 * self.0.len() as u64)
        }
        fn twins(&self) -> Option<Groups> {
            (!self.1).then(Vec::new)
        }
    }

    #[test]
    fn pixels_are_bounded_not_only_bytes() {
        assert_eq!(largest(&Screens(vec![0; 16], false)), Some(64_000_000));
        assert_eq!(largest(&Screens(vec![0; 17], false)), None);
        let of = |n, remote| {
            let set: Arc<dyn Dataset> = Arc::new(Screens(vec![0; n], remote));
            Together::find(&set, Limits::default()).unwrap().note(0)
        };
        assert_eq!(of(16, false), "");
        assert_eq!(of(2000, false), "; near duplicates were not looked for (more than 1,073 million pixels)");
        let neither =
            "; neither equal pictures nor near duplicates were looked for (the files are not on this machine)";
        assert_eq!(of(20, true), neither);
        let mixed = super::super::mixed::Mixed::new(vec![Arc::new(Screens(vec![0], true))], vec![(0, 0)]).unwrap();
        assert!(mixed.is_remote());
    }

    #[test]
    fn groups_that_share_a_sample_are_one() {
        let a = vec![vec![1, 3], vec![9, 7]];
        let b = vec![vec![3, 5, 70], vec![2]];
        assert_eq!(joined(10, &[&a, &b]), [vec![1, 3, 5], vec![7, 9]]);
        assert!(joined(0, &[&a, &[]]).is_empty());
    }
}
