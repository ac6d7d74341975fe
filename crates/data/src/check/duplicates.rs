//! Which pictures are the same or look alike, without comparing all with all.
//!
//! Hashes of 64 bits are cut into four blocks of 16 (multi-index hashing; Norouzi, Punjani and Fleet, "Fast search in
//! Hamming space with multi-index hashing", 2012): two hashes that differ in at most `d` bits differ in at most ⌊d/4⌋
//! bits of some block, so only the buckets around its four blocks are looked through for a hash.

use super::likeness::Likeness;

/// Thumbnails of near duplicates correlate at least this well.
const CORRELATION: f64 = 0.95;
/// The largest distance of hashes that may be asked for: beyond it half of all pictures are alike by chance.
pub(super) const MOST_BITS: u32 = 15;

/// Pictures that are linked by likeness, each with how it is linked.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Found {
    /// Of every picture the first that has the same pixels; itself where there is none before it.
    pub same: Vec<u32>,
    /// Of every picture the first of its group; groups are linked by near likeness, and same pixels belong together.
    pub group: Vec<u32>,
    /// (picture, picture of an earlier part, differing bits): the first partner found in each earlier part.
    pub across: Vec<(u32, u32, u32)>,
}

/// Sets that are joined (union–find with halving of paths); the least member stands for its set.
pub(crate) struct Sets(Vec<u32>);

impl Sets {
    /// Sets of one member each.
    pub fn new(n: usize) -> Self {
        Sets((0..n as u32).collect())
    }
    /// The least member of the set that `i` is in.
    pub fn find(&mut self, mut i: u32) -> u32 {
        while self.0[i as usize] != i {
            let up = self.0[self.0[i as usize] as usize];
            self.0[i as usize] = up;
            i = up;
        }
        i
    }
    /// Makes two sets one.
    pub fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.find(a), self.find(b));
        self.0[a.max(b) as usize] = a.min(b);
    }
}

/// Finds pictures with the same pixels, and those whose hashes differ in at most `bits` bits and whose thumbnails
/// correlate (`None`: same pixels only). `all[i]` is `None` where picture `i` could not be read; `part[i]` is the number
/// of its part, ascending.
pub(super) fn find(all: &[Option<Likeness>], part: &[u8], bits: Option<u32>) -> Found {
    let n = all.len();
    let mut out = Found { same: (0..n as u32).collect(), ..Default::default() };
    let mut sets = Sets((0..n as u32).collect());
    let mut order: Vec<u32> = (0..n as u32).filter(|&i| all[i as usize].is_some()).collect();
    let pixels = |i: u32| all[i as usize].as_ref().map(|l| l.pixels);
    order.sort_by_key(|&i| (pixels(i), i));
    for same in order.chunk_by(|&a, &b| pixels(a) == pixels(b)) {
        for &i in &same[1..] {
            out.same[i as usize] = same[0];
            sets.join(same[0], i);
        }
        // Members stand in order, so in order of their parts.
        let mut firsts: Vec<u32> = Vec::new();
        for &i in same {
            let earlier = firsts.iter().filter(|&&j| part[j as usize] < part[i as usize]);
            out.across.extend(earlier.map(|&j| (i, j, 0)));
            if firsts.iter().all(|&j| part[j as usize] != part[i as usize]) {
                firsts.push(i);
            }
        }
    }
    if let Some(bits) = bits {
        near(all, part, bits.min(MOST_BITS), &mut sets, &mut out);
    }
    out.across.sort_unstable();
    out.group = (0..n as u32).map(|i| sets.find(i)).collect();
    out
}

/// Links near duplicates. Pictures with the same pixels are looked up once, by their first.
fn near(all: &[Option<Likeness>], part: &[u8], bits: u32, sets: &mut Sets, out: &mut Found) {
    let shaped: Vec<(u32, &Likeness)> = (all.iter().enumerate())
        .filter_map(|(i, l)| Some((i as u32, l.as_ref()?)))
        .filter(|(i, l)| l.has_shapes() && first_of_part(out, part, *i))
        .collect();
    let blocks: Vec<Buckets> = (0..4).map(|b| Buckets::new(&shaped, 16 * b)).collect();
    let masks = masks(bits / 4);
    // Parts in which a picture has a partner already, as bits.
    let mut met = vec![0u8; all.len()];
    let bit = |p: u8| 1u8 << p.min(7);
    out.across.iter().for_each(|&(i, j, _)| met[i as usize] |= bit(part[j as usize]));
    for (k, &(i, mine)) in shaped.iter().enumerate() {
        for block in &blocks {
            for mask in &masks {
                for &other in block.of(mine.hash, *mask) {
                    if other as usize >= k {
                        break;
                    }
                    let (j, theirs) = shaped[other as usize];
                    let far = (mine.hash ^ theirs.hash).count_ones();
                    if far > bits || out.same[i as usize] == out.same[j as usize] {
                        continue;
                    }
                    let theirs_bit = bit(part[j as usize]);
                    let news = part[j as usize] != part[i as usize] && met[i as usize] & theirs_bit == 0;
                    if !news && sets.find(i) == sets.find(j) || mine.correlation(theirs) < CORRELATION {
                        continue;
                    }
                    sets.join(i, j);
                    if news {
                        met[i as usize] |= theirs_bit;
                        out.across.push((i, j, far));
                    }
                }
            }
        }
    }
}

/// Whether no earlier picture of the same part has the same pixels.
fn first_of_part(found: &Found, part: &[u8], i: u32) -> bool {
    let first = found.same[i as usize];
    first == i || part[first as usize] != part[i as usize]
}

/// The hashes with a given block, for all blocks at one place: positions in order of the block.
struct Buckets {
    shift: usize,
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Buckets {
    fn new(all: &[(u32, &Likeness)], shift: usize) -> Self {
        let key = |l: &Likeness| (l.hash >> shift & 0xffff) as usize;
        let mut starts = vec![0u32; (1 << 16) + 1];
        all.iter().for_each(|(_, l)| starts[key(l) + 1] += 1);
        for i in 0..1 << 16 {
            starts[i + 1] += starts[i];
        }
        let mut next = starts.clone();
        let mut items = vec![0; all.len()];
        for (i, (_, l)) in all.iter().enumerate() {
            let at = &mut next[key(l)];
            items[*at as usize] = i as u32;
            *at += 1;
        }
        Buckets { shift, starts, items }
    }
    /// Positions of the hashes whose block is that of `hash` with some bits turned, in ascending order.
    fn of(&self, hash: u64, mask: u16) -> &[u32] {
        let key = ((hash >> self.shift) as u16 ^ mask) as usize;
        &self.items[self.starts[key] as usize..self.starts[key + 1] as usize]
    }
}

/// All 16-bit numbers with at most `radius` ones, those with fewer first.
fn masks(radius: u32) -> Vec<u16> {
    let mut out: Vec<u16> = (0..=u16::MAX).filter(|m| m.count_ones() <= radius).collect();
    out.sort_by_key(|m| (m.count_ones(), *m));
    out
}

#[cfg(test)]
mod tests {
    use super::super::likeness::Maker;
    use super::*;
    use crate::{Color, Image};
    use gabor_tensor::Stream;
    use gabor_tensor::rng::op;

    /// Noise on a coarse grid: many pictures, some of which repeat with small changes.
    fn pictures(n: usize) -> Vec<Option<Likeness>> {
        let mut maker = Maker::new().unwrap();
        (0..n)
            .map(|i| {
                let mut s = Stream::new(5, 0, (i % 60) as u32, op::TEST);
                let mut data: Vec<u8> = (0..64).map(|_| s.next_u32() as u8).collect();
                // Every third round is the same, the others differ in some pixels.
                for k in 0..(i / 60) % 3 {
                    let at = (i * 7 + k * 11) % 64;
                    data[at] = data[at].wrapping_add(40);
                }
                (i % 41 != 40).then(|| maker.make(&Image::new(8, 8, Color::Grey, data).unwrap()).unwrap())
            })
            .collect()
    }

    #[test]
    fn buckets_find_what_comparing_all_with_all_finds() {
        let all = pictures(400);
        let part: Vec<u8> = (0..400).map(|i| u8::from(i >= 150) + u8::from(i >= 300)).collect();
        for bits in [0, 3, 6, 8, 12] {
            let found = find(&all, &part, Some(bits));
            let mut sets = Sets((0..400).collect());
            let mut leaks = std::collections::BTreeSet::new();
            for i in 0..400u32 {
                for j in 0..i {
                    let (Some(a), Some(b)) = (&all[i as usize], &all[j as usize]) else { continue };
                    let near = (a.hash ^ b.hash).count_ones() <= bits && a.correlation(b) >= CORRELATION;
                    if a.pixels == b.pixels || near && a.has_shapes() && b.has_shapes() {
                        sets.join(i, j);
                        if part[i as usize] != part[j as usize] {
                            leaks.insert((i, part[j as usize]));
                        }
                    }
                }
            }
            let group: Vec<u32> = (0..400).map(|i| sets.find(i)).collect();
            assert_eq!(found.group, group, "{bits} bits");
            assert!(group.iter().enumerate().any(|(i, &g)| g != i as u32));
            // Of pictures with the same pixels in one part the first is looked up for near ones.
            let direct: std::collections::BTreeSet<_> =
                found.across.iter().map(|&(i, j, _)| (i, part[j as usize])).collect();
            assert!(direct.is_subset(&leaks), "{bits} bits");
            for (i, p) in &leaks {
                let first = (0..=*i).find(|&k| {
                    found.same[k as usize] == found.same[*i as usize] && part[k as usize] == part[*i as usize]
                });
                assert!(direct.contains(&(first.unwrap(), *p)), "{bits} bits: {i}");
            }
        }
        let same = find(&all, &part, None);
        assert_eq!(same.group, same.same);
    }

    #[test]
    fn masks_are_all_there() {
        assert_eq!([0, 1, 2, 3].map(|r| masks(r).len()), [1, 17, 137, 697]);
    }
}
