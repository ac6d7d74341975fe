//! The order of an epoch: a function of (data set, seed, epoch), so that an epoch may be entered anywhere.
//!
//! Samples that are reached alike are shuffled (Fisher–Yates). Where they lie in blocks, the blocks are shuffled and a
//! bounded number of them is open at a time: the next sample is the next one, in the block's own random order, of an
//! open block drawn uniformly; a block that is used up makes room for the next. So every sample comes once, any two
//! blocks may meet, and who reads in this order holds or fetches each block once.

use crate::{Blocks, Error};
use gabor_tensor::rng::op;
use gabor_tensor::{Rule, Stream};

/// Blocks that are open at least.
const OPEN: usize = 2;

/// What the orders of a data set's epochs have in common.
pub(super) struct Order {
    len: u32,
    blocks: Option<Mixed>,
}

/// Samples by blocks.
struct Mixed {
    /// The samples, block after block.
    samples: Vec<u32>,
    /// Where each block begins in them, and the end.
    starts: Vec<u32>,
    /// Blocks that are open at a time.
    open: usize,
}

impl Order {
    /// For `len` samples, of which `mix_bytes` may be mixed. An error if the blocks are not those of as many samples.
    pub fn new(len: usize, blocks: Option<Blocks>, mix_bytes: u64) -> Result<Order, Error> {
        let mut out = Order { len: len as u32, blocks: None };
        let Some(Blocks { of, count, bytes }) = blocks else { return Ok(out) };
        if of.len() != len || of.iter().any(|&b| b >= count) {
            let rule = Rule::new(format!("the blocks of {} samples for {len} samples", of.len()));
            return Err(Error::new("data set", rule.right(format!("a block below {count} for every sample"))));
        }
        let open = (mix_bytes as u128 * u128::from(count) / u128::from(bytes.max(1))).max(OPEN as u128);
        if bytes <= mix_bytes || open >= u128::from(count) {
            return Ok(out);
        }
        // Counting sort: the samples of a block in their order.
        let mut starts = vec![0u32; count as usize + 1];
        of.iter().for_each(|&b| starts[b as usize + 1] += 1);
        for b in 1..starts.len() {
            starts[b] += starts[b - 1];
        }
        let (mut next, mut samples) = (starts.clone(), vec![0; len]);
        for (i, &b) in of.iter().enumerate() {
            samples[next[b as usize] as usize] = i as u32;
            next[b as usize] += 1;
        }
        out.blocks = Some(Mixed { samples, starts, open: open as usize });
        Ok(out)
    }
    /// The order of an epoch.
    pub fn of(&self, seed: u64, epoch: u32) -> Vec<u32> {
        let mut random = Stream::new(seed, epoch, 0, op::SHUFFLE);
        match &self.blocks {
            Some(m) => m.of(&mut random),
            None => {
                let mut order: Vec<u32> = (0..self.len).collect();
                random.shuffle(&mut order);
                order
            }
        }
    }
}

impl Mixed {
    fn of(&self, random: &mut Stream) -> Vec<u32> {
        let mut samples = self.samples.clone();
        let mut blocks: Vec<(u32, u32)> = self.starts.windows(2).map(|w| (w[0], w[1])).filter(|b| b.0 < b.1).collect();
        random.shuffle(&mut blocks);
        for &(from, to) in &blocks {
            random.shuffle(&mut samples[from as usize..to as usize]);
        }
        let mut order = Vec::with_capacity(samples.len());
        let mut waiting = blocks.into_iter();
        let mut open: Vec<(u32, u32)> = waiting.by_ref().take(self.open).collect();
        while !open.is_empty() {
            let b = random.below(open.len());
            let (at, to) = &mut open[b];
            order.push(samples[*at as usize]);
            *at += 1;
            if at == to {
                match waiting.next() {
                    Some(next) => open[b] = next,
                    None => drop(open.swap_remove(b)),
                }
            }
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks of drawn sizes, some of them empty, whose samples are not in a row.
    fn drawn(case: u32) -> (usize, Blocks, u64) {
        let mut s = Stream::new(5, case, 0, op::TEST);
        let (len, count) = (1 + s.below(400), 1 + s.below(40) as u32);
        let mut of: Vec<u32> = (0..len).map(|_| s.below(count as usize) as u32).collect();
        if s.below(2) == 0 {
            of.sort_unstable();
        }
        (len, Blocks { of, count, bytes: 10 * len as u64 }, 1 + s.below(11 * len) as u64)
    }

    #[test]
    fn every_sample_comes_once_and_few_blocks_are_open() {
        for case in 0..300 {
            let (len, blocks, mix) = drawn(case);
            let order = Order::new(len, Some(blocks.clone()), mix).unwrap();
            let o = order.of(1, case);
            assert_eq!(o, order.of(1, case), "case {case}");
            let mut sorted = o.clone();
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..len as u32), "case {case}");
            let Some(m) = &order.blocks else { continue };
            // A block is open from its first sample to its last.
            let (mut first, mut last) = (vec![usize::MAX; blocks.count as usize], vec![0; blocks.count as usize]);
            for (at, &i) in o.iter().enumerate() {
                let b = blocks.of[i as usize] as usize;
                first[b] = first[b].min(at);
                last[b] = at;
            }
            let most = (0..len).map(|at| (0..first.len()).filter(|&b| first[b] <= at && at <= last[b]).count()).max();
            assert!(most.unwrap() <= m.open, "case {case}: {most:?} blocks at a time, {} allowed", m.open);
            assert!(m.open == OPEN || m.open as u64 * (blocks.bytes / u64::from(blocks.count)) <= mix, "case {case}");
        }
    }

    #[test]
    fn epochs_differ_and_blocks_meet() {
        let blocks = Blocks { of: (0..1000).map(|i| i / 20).collect(), count: 50, bytes: 1000 };
        let order = Order::new(1000, Some(blocks), 100).unwrap();
        let (a, b) = (order.of(0, 0), order.of(0, 1));
        assert_ne!(a, b);
        assert_ne!(a, order.of(1, 0));
        // A run of 100 samples has many more blocks than the five that are open, and neighbours are rarely neighbours.
        let met: std::collections::BTreeSet<u32> = a[..100].iter().map(|i| i / 20).collect();
        assert!(met.len() >= 5, "{met:?}");
        assert!(a.windows(2).filter(|w| w[0] / 20 == w[1] / 20).count() < 300);
    }

    #[test]
    fn a_small_data_set_is_mixed_as_a_whole() {
        let blocks = |bytes| Some(Blocks { of: (0..100).map(|i| i / 10).collect(), count: 10, bytes });
        assert_eq!(Order::new(100, blocks(50), 50).unwrap().of(3, 4), Order::new(100, None, 0).unwrap().of(3, 4));
        assert_ne!(Order::new(100, blocks(51), 50).unwrap().of(3, 4), Order::new(100, None, 0).unwrap().of(3, 4));
        let e = Order::new(99, blocks(1), 1).err().unwrap().to_string();
        assert_eq!(
            e,
            "data set: the blocks of 100 samples for 99 samples; right would be: a block below 10 for every sample"
        );
    }
}
