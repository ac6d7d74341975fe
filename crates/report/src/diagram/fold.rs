//! Repeated parts, drawn once.

use super::{Block, Diagram, Frame};
use std::collections::BTreeSet;

/// Longest part that is looked for, in segments.
const MOST_PERIOD: usize = 8;

impl Diagram {
    /// The same with parts that repeat directly after each other drawn once.
    pub(super) fn folded(&self) -> (Diagram, Vec<Frame>) {
        let n = self.blocks.len();
        let links: Vec<(usize, usize)> = self.links.iter().copied().filter(|&(a, b)| a < b && b < n).collect();
        // A cut is a block that no arrow passes by: the network is a chain of the segments between cuts.
        let mut passing = vec![0i64; n + 1];
        for &(a, b) in &links {
            passing[a + 1] += 1;
            passing[b] -= 1;
        }
        let mut over = 0;
        let mut segments: Vec<(usize, usize)> = Vec::new();
        let mut start = 0;
        for (i, change) in passing.iter().take(n).enumerate() {
            over += change;
            if over == 0 {
                segments.push((start, i + 1));
                start = i + 1;
            }
        }
        if start < n {
            segments.push((start, n));
        }
        let mut incoming: Vec<Vec<usize>> = vec![Vec::new(); n];
        links.iter().for_each(|&(a, b)| incoming[b].push(a));
        let signatures: Vec<String> = segments.iter().map(|&s| signature(&self.blocks, &incoming, s)).collect();

        // The block that stands for each block.
        let mut drawn: Vec<usize> = (0..n).collect();
        let mut frames = Vec::new();
        let mut at = 0;
        while at < segments.len() {
            let Some((period, times)) = repeat(&signatures[at..], &segments[at..]) else {
                at += 1;
                continue;
            };
            let (first, end) = (segments[at].0, segments[at + period - 1].1);
            let len = end - first;
            for copy in 1..times {
                for i in 0..len {
                    drawn[first + copy * len + i] = first + i;
                }
            }
            frames.push(Frame {
                blocks: (first..end).collect(),
                times,
                names: (self.blocks[first].name.clone(), self.blocks[first + times * len - 1].name.clone()),
            });
            at += period * times;
        }
        let kept: Vec<usize> = (0..n).filter(|&i| drawn[i] == i).collect();
        let mut place = vec![0; n];
        kept.iter().enumerate().for_each(|(new, &old)| place[old] = new);
        let links: BTreeSet<(usize, usize)> = links
            .iter()
            .filter(|&&(_, b)| drawn[b] == b)
            .map(|&(a, b)| (place[drawn[a]], place[b]))
            .filter(|(a, b)| a < b)
            .collect();
        for f in &mut frames {
            f.blocks.iter_mut().for_each(|b| *b = place[*b]);
        }
        let blocks = kept.iter().map(|&i| self.blocks[i].clone()).collect();
        (Diagram { blocks, links: links.into_iter().collect(), ..self.clone() }, frames)
    }
}

/// What a segment looks like: its blocks, and its arrows relative to its start.
fn signature(blocks: &[Block], incoming: &[Vec<usize>], (start, end): (usize, usize)) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    for i in start..end {
        let b = &blocks[i];
        let _ = write!(out, "{:?}|{}|{:?}|{}|{}|", b.kind, b.title, b.extras, b.output, b.parameters);
        for &from in &incoming[i] {
            let _ = write!(out, "{},", i - from);
        }
        out.push(';');
    }
    out
}

/// The period and number of the repeats with which a chain begins, those that save most blocks.
fn repeat(signatures: &[String], segments: &[(usize, usize)]) -> Option<(usize, usize)> {
    let mut best = None;
    for period in 1..=MOST_PERIOD.min(signatures.len() / 2) {
        let times = 1
            + (1..signatures.len() / period)
                .take_while(|k| (0..period).all(|i| signatures[k * period + i] == signatures[i]))
                .count();
        if times < 2 {
            continue;
        }
        let blocks = segments[period - 1].1 - segments[0].0;
        let saved = (times - 1) * blocks;
        if best.is_none_or(|(_, _, most)| saved > most) {
            best = Some((period, times, saved));
        }
    }
    best.map(|(period, times, _)| (period, times))
}
