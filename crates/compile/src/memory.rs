//! One arena for all values, by lifetimes.

/// Where a value lies in the arena, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Distance from the arena's begin.
    pub offset: usize,
    /// Extent.
    pub bytes: usize,
}

/// Offsets of values that live from one step to another: values whose lives overlap do not share memory.
/// Greedy by size (Pisarchyk and Lee 2020, "Efficient memory management for deep neural net inference").
#[derive(Clone, Debug, Default)]
pub struct MemoryPlan {
    requests: Vec<Request>,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    bytes: usize,
    first: usize,
    last: usize,
}

/// Every value begins at a multiple of this many bytes: a cache line, and the widest vector.
pub const ALIGN: usize = 64;

impl MemoryPlan {
    /// An empty plan.
    pub fn new() -> Self {
        Self::default()
    }
    /// Asks for memory from step `first` to step `last`, both included; returns the request's number.
    pub fn request(&mut self, bytes: usize, first: usize, last: usize) -> usize {
        self.requests.push(Request { bytes: bytes.next_multiple_of(ALIGN).max(ALIGN), first, last: last.max(first) });
        self.requests.len() - 1
    }
    /// Lengthens a request's life.
    pub fn extend(&mut self, request: usize, last: usize) {
        let r = &mut self.requests[request];
        r.last = r.last.max(last);
    }
    /// Bytes of all requests side by side.
    pub fn total(&self) -> usize {
        self.requests.iter().map(|r| r.bytes).sum()
    }
    /// The step at which most bytes are alive, and the requests that are alive then, the largest first.
    pub fn peak(&self) -> (usize, Vec<usize>) {
        let end = self.requests.iter().map(|r| r.last + 1).max().unwrap_or(0);
        let mut change = vec![0isize; end + 1];
        for r in &self.requests {
            change[r.first] += r.bytes as isize;
            change[r.last + 1] -= r.bytes as isize;
        }
        let (mut alive, mut most, mut at) = (0, 0, 0);
        for (step, c) in change.iter().enumerate() {
            alive += c;
            if alive > most {
                (most, at) = (alive, step);
            }
        }
        let is_alive = |i: &usize| (self.requests[*i].first..=self.requests[*i].last).contains(&at);
        let mut holders: Vec<usize> = (0..self.requests.len()).filter(is_alive).collect();
        holders.sort_by_key(|&i| std::cmp::Reverse(self.requests[i].bytes));
        (at, holders)
    }
    /// Bytes of a request, and the last step that it lives in.
    pub fn life(&self, request: usize) -> (usize, usize) {
        (self.requests[request].bytes, self.requests[request].last)
    }
    /// Places every request; returns the places in order of the requests and the arena's size in bytes.
    pub fn solve(&self) -> (Vec<Place>, usize) {
        let mut order: Vec<usize> = (0..self.requests.len()).collect();
        order.sort_by_key(|&i| (std::cmp::Reverse(self.requests[i].bytes), self.requests[i].first, i));
        let mut places = vec![Place { offset: 0, bytes: 0 }; self.requests.len()];
        let mut placed: Vec<usize> = Vec::new(); // by offset
        let mut arena = 0;
        for i in order {
            let r = self.requests[i];
            let mut offset = 0;
            // Walk over what is alive at the same time, by offset, and take the first gap that is large enough.
            for &j in &placed {
                let other = self.requests[j];
                if other.last < r.first || r.last < other.first {
                    continue;
                }
                if places[j].offset >= offset + r.bytes {
                    break;
                }
                offset = offset.max(places[j].offset + places[j].bytes);
            }
            places[i] = Place { offset, bytes: r.bytes };
            let at = placed.partition_point(|&j| places[j].offset <= offset);
            placed.insert(at, i);
            arena = arena.max(offset + r.bytes);
        }
        (places, arena)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gabor_tensor::Stream;

    #[test]
    fn living_values_never_overlap() {
        let mut s = Stream::new(3, 0, 0, gabor_tensor::rng::op::TEST);
        for _ in 0..50 {
            let mut plan = MemoryPlan::new();
            for _ in 0..40 {
                let first = s.below(30);
                plan.request(1 + s.below(5000), first, first + s.below(10));
            }
            let (places, arena) = plan.solve();
            let (_, holders) = plan.peak();
            assert!(holders.iter().map(|&h| plan.life(h).0).sum::<usize>() <= arena);
            for (i, a) in places.iter().enumerate() {
                assert!(a.offset % ALIGN == 0 && a.offset + a.bytes <= arena);
                for (j, b) in places.iter().enumerate().skip(i + 1) {
                    let (x, y) = (plan.requests[i], plan.requests[j]);
                    let together = x.first <= y.last && y.first <= x.last;
                    let apart = a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset;
                    assert!(!together || apart, "{x:?} at {a:?} and {y:?} at {b:?}");
                }
            }
            assert!(arena <= plan.total());
        }
    }
}
