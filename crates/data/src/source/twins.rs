//! Samples that are the same, found without reading all of them: for parts that are drawn when a data set is opened.

use std::collections::BTreeMap;

/// Bytes at either end of a file that are compared.
pub(super) const END: u64 = 4096;

/// What one stage of the comparison says of a sample; `None` agrees with nothing.
pub(super) type Stage<'a> = &'a dyn Fn(usize) -> Option<u64>;

/// Groups of two and more of 0..`n` that agree in every stage; a stage is asked only of those that agree in the ones before.
pub(super) fn groups(n: usize, stages: &[Stage<'_>]) -> Vec<Vec<usize>> {
    let mut groups = vec![(0..n).collect::<Vec<_>>()];
    for stage in stages {
        let mut finer = Vec::new();
        for group in groups {
            let mut of: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
            group.into_iter().filter_map(|i| Some((stage(i)?, i))).for_each(|(v, i)| of.entry(v).or_default().push(i));
            finer.extend(of.into_values().filter(|members| members.len() > 1));
        }
        groups = finer;
    }
    groups.sort_unstable();
    groups
}

/// A number that equal bytes share, on every machine: FNV-1a over words of eight bytes. Nobody gains by a collision, which
/// would only keep two samples together.
pub(super) fn digest(parts: &[&[u8]]) -> u64 {
    let mut sum = 0xcbf2_9ce4_8422_2325u64;
    for word in parts.iter().flat_map(|bytes| bytes.chunks(8)) {
        let mut all = [0; 8];
        all[..word.len()].copy_from_slice(word);
        sum = (sum ^ u64::from_le_bytes(all)).wrapping_mul(0x100_0000_01b3);
        sum ^= sum >> 29;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_agrees_in_size_is_looked_into() {
        let files: [&[u8]; 7] = [b"abc", b"abd", b"abc", b"longer", b"", b"abd", b"abc"];
        let size = |i: usize| (i != 6).then_some(files[i].len() as u64);
        let ends = |i: usize| {
            assert!(![3, 4, 6].contains(&i), "{i} is alone");
            Some(digest(&[files[i]]))
        };
        assert_eq!(groups(7, &[&size, &ends]), [[0, 2], [1, 5]]);
        assert!(groups(0, &[&size]).is_empty());
    }
}
