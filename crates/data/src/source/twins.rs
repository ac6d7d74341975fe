//! Samples that are the same, found without reading all of them: for parts that are drawn when a data set is opened.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes at either end of a file that are compared.
pub(super) const END: u64 = 4096;
/// Samples that are asked about at a time: most of the time goes into waiting for the disk, which needs no core, and a disk
/// that is asked for many things at once answers sooner.
pub(super) const AT_ONCE: usize = 16;
/// Fewer than so many are not worth a thread.
const FEW: usize = 64;

/// What one stage of the comparison says of a sample; `None` agrees with nothing.
pub(super) type Stage<'a> = &'a (dyn Fn(usize) -> Option<u64> + Sync);

/// Groups of two and more of 0..`n` that agree in every stage; a stage is asked only of those that agree in the ones before,
/// by so many threads.
pub(super) fn groups(n: usize, threads: usize, stages: &[Stage<'_>]) -> Vec<Vec<usize>> {
    let mut groups = vec![(0..n).collect::<Vec<_>>()];
    for stage in stages {
        let members: Vec<usize> = groups.iter().flatten().copied().collect();
        let mut values = of_all(&members, threads, stage).into_iter();
        let mut finer = Vec::new();
        for group in groups {
            let mut of: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
            for (i, value) in group.into_iter().zip(&mut values) {
                value.into_iter().for_each(|v| of.entry(v).or_default().push(i));
            }
            finer.extend(of.into_values().filter(|members| members.len() > 1));
        }
        groups = finer;
    }
    groups.sort_unstable();
    groups
}

/// Whether files of so many bytes are compared whole already where their ends are.
pub(super) fn is_ends(bytes: u64) -> bool {
    bytes <= 2 * END
}

/// What `ask` says of each of `items`, in their order, asked by so many threads.
pub(super) fn of_all<T: Copy + Sync, V: Send>(items: &[T], threads: usize, ask: impl Fn(T) -> V + Sync) -> Vec<V> {
    if items.len() < FEW || threads < 2 {
        return items.iter().map(|&i| ask(i)).collect();
    }
    let next = AtomicUsize::new(0);
    let some = || {
        let mut said = Vec::new();
        loop {
            let k = next.fetch_add(1, Ordering::Relaxed);
            let Some(&item) = items.get(k) else { return said };
            said.push((k, ask(item)));
        }
    };
    let mut said: Vec<(usize, V)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..threads).map(|_| scope.spawn(some)).collect();
        let mine = some();
        let theirs = threads.into_iter().flat_map(|t| t.join().unwrap_or_else(|e| std::panic::resume_unwind(e)));
        theirs.chain(mine).collect()
    });
    said.sort_unstable_by_key(|(k, _)| *k);
    said.into_iter().map(|(_, v)| v).collect()
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
        assert_eq!(groups(7, 1, &[&size, &ends]), [[0, 2], [1, 5]]);
        assert!(groups(0, AT_ONCE, &[&size]).is_empty());
    }

    #[test]
    fn many_are_asked_about_at_once_and_answered_in_order() {
        let at_once = AtomicUsize::new(0);
        let most = AtomicUsize::new(0);
        let slow = |i: usize| {
            most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(std::time::Duration::from_millis(1));
            at_once.fetch_sub(1, Ordering::SeqCst);
            (!i.is_multiple_of(5)).then_some(i as u64 / 3)
        };
        let found = groups(300, AT_ONCE, &[&slow, &|i| Some(i as u64 % 2)]);
        let singly: Vec<Vec<usize>> = (0..100)
            .flat_map(|k| [0, 1].map(|odd| (3 * k..3 * k + 3).filter(|i| i % 5 != 0 && i % 2 == odd).collect()))
            .filter(|g: &Vec<usize>| g.len() > 1)
            .collect();
        assert_eq!(found, singly);
        assert!(most.load(Ordering::SeqCst) > 4, "{most:?} at once");
    }
}
