//! t-SNE by Barnes and Hut: forces between near pictures one by one, those of far groups as a whole.
//!
//! Everything runs in one order on one thread, in 64 bits with functions whose bits do not depend on the platform: the same
//! neighbours and the same start give the same map.

use super::Near;

/// How much the attraction is exaggerated at the beginning, and for how many steps.
const EXAGGERATION: (f64, usize) = (12.0, 250);
/// θ: a group counts as a whole where its side is smaller than this part of its distance.
const THETA: f64 = 0.5;
/// Momentum while the attraction is exaggerated, and after.
const MOMENTUM: (f64, f64) = (0.5, 0.8);

/// The places of pictures on a map, from their places at the beginning and their nearest neighbours, by distance.
pub(crate) fn embed(
    near: &[Vec<Near>],
    mut places: Vec<[f64; 2]>,
    perplexity: f64,
    iterations: usize,
    hear: &mut dyn FnMut(usize),
) -> Vec<[f64; 2]> {
    let n = places.len();
    let attraction = Attraction::new(near, perplexity);
    let rate = (n as f64 / EXAGGERATION.0 / 4.0).max(50.0);
    let mut velocity = vec![[0.0f64; 2]; n];
    let mut gains = vec![[1.0f64; 2]; n];
    let mut forces = vec![[0.0f64; 2]; n];
    let mut tree = Tree::default();
    for step in 0..iterations {
        let early = step < EXAGGERATION.1;
        let (factor, momentum) = if early { (EXAGGERATION.0, MOMENTUM.0) } else { (1.0, MOMENTUM.1) };
        tree.build(&places);
        let mut all = 0.0;
        for (f, &p) in forces.iter_mut().zip(&places) {
            let (push, weight) = tree.repulsion(p);
            *f = push;
            all += weight;
        }
        // A point's own weight of 1 is no pair's.
        let all = (all - n as f64).max(f64::MIN_POSITIVE);
        for (i, f) in forces.iter_mut().enumerate() {
            let pull = attraction.of(i, &places);
            *f = [0, 1].map(|c| 4.0 * (factor * pull[c] - f[c] / all));
        }
        for i in 0..n {
            for c in 0..2 {
                let g = forces[i][c];
                let gain = &mut gains[i][c];
                *gain = if (g > 0.0) == (velocity[i][c] > 0.0) { (*gain * 0.8).max(0.01) } else { *gain + 0.2 };
                velocity[i][c] = momentum * velocity[i][c] - rate * *gain * g;
                places[i][c] += velocity[i][c];
            }
        }
        for c in 0..2 {
            let mean = places.iter().map(|p| p[c]).sum::<f64>() / n as f64;
            places.iter_mut().for_each(|p| p[c] -= mean);
        }
        hear(step + 1);
    }
    places
}

/// The symmetric, sparse probabilities P.
struct Attraction {
    from: Vec<usize>,
    to: Vec<(u32, f64)>,
}

impl Attraction {
    fn new(near: &[Vec<Near>], perplexity: f64) -> Self {
        let n = near.len();
        let mut pairs: Vec<(u32, u32, f64)> = Vec::new();
        for (i, row) in near.iter().enumerate() {
            let squares: Vec<f64> = row.iter().map(|n| n.distance * n.distance).collect();
            for (n, p) in row.iter().zip(conditional(&squares, perplexity)) {
                pairs.push((i as u32, n.index as u32, p));
                pairs.push((n.index as u32, i as u32, p));
            }
        }
        pairs.sort_by_key(|p| (p.0, p.1));
        let total = 2.0 * n as f64;
        let (mut from, mut to) = (vec![0; n + 1], Vec::<(u32, f64)>::with_capacity(pairs.len()));
        let mut last = None;
        for (i, j, p) in pairs {
            match to.last_mut() {
                Some(end) if last == Some((i, j)) => end.1 += p / total,
                _ => to.push((j, p / total)),
            }
            last = Some((i, j));
            from[i as usize + 1] = to.len();
        }
        for i in 0..n {
            from[i + 1] = from[i + 1].max(from[i]);
        }
        Attraction { from, to }
    }
    fn of(&self, i: usize, places: &[[f64; 2]]) -> [f64; 2] {
        let [x, y] = places[i];
        let mut sum = [0.0, 0.0];
        for &(j, p) in &self.to[self.from[i]..self.from[i + 1]] {
            let [a, b] = places[j as usize];
            let (dx, dy) = (x - a, y - b);
            let pull = p / (1.0 + dx * dx + dy * dy);
            sum[0] += pull * dx;
            sum[1] += pull * dy;
        }
        sum
    }
}

/// Probabilities of neighbours at these squared distances: a Gaussian whose width gives this perplexity, by bisection.
fn conditional(squares: &[f64], perplexity: f64) -> Vec<f64> {
    let nearest = squares.iter().copied().fold(f64::INFINITY, f64::min);
    let wanted = libm::log(perplexity.min(squares.len() as f64));
    let (mut low, mut high, mut beta) = (0.0f64, f64::INFINITY, 1.0f64);
    let mut p = vec![0.0; squares.len()];
    for _ in 0..200 {
        // The nearest is taken off all, which changes no probability and keeps the sum from vanishing.
        p.iter_mut().zip(squares).for_each(|(p, s)| *p = libm::exp(-beta * (s - nearest)));
        let sum: f64 = p.iter().sum();
        let mean = p.iter().zip(squares).map(|(p, s)| p * (s - nearest)).sum::<f64>() / sum;
        p.iter_mut().for_each(|p| *p /= sum);
        let off = libm::log(sum) + beta * mean - wanted;
        if off.abs() < 1e-9 {
            break;
        }
        if off > 0.0 {
            low = beta
        } else {
            high = beta
        }
        let next = if high.is_finite() { (low + high) / 2.0 } else { beta * 2.0 };
        if !next.is_finite() || next == beta {
            break;
        }
        beta = next;
    }
    p
}

/// A quadtree in the order of a walk: children follow their parent, `after` is where a walk goes that leaves them out.
#[derive(Default)]
struct Tree {
    nodes: Vec<Node>,
    keys: Vec<(u64, u32)>,
}

#[derive(Clone, Copy)]
struct Node {
    x: f64,
    y: f64,
    mass: f64,
    /// Squared side over θ²; a single place has none.
    reach: f64,
    after: u32,
}

/// Bits a coordinate on the way down.
const DEPTH: u32 = 24;

impl Tree {
    fn build(&mut self, places: &[[f64; 2]]) {
        self.nodes.clear();
        self.keys.clear();
        let bound = |c: usize| places.iter().fold((f64::MAX, f64::MIN), |(a, b), p| (a.min(p[c]), b.max(p[c])));
        let ((x0, x1), (y0, y1)) = (bound(0), bound(1));
        let side = (x1 - x0).max(y1 - y0).max(f64::MIN_POSITIVE);
        let cells = f64::from(1u32 << DEPTH);
        let cell = |v: f64, low: f64| (((v - low) / side * cells) as u64).min((1 << DEPTH) - 1);
        let keys =
            places.iter().enumerate().map(|(i, p)| (spread(cell(p[0], x0)) | spread(cell(p[1], y0)) << 1, i as u32));
        self.keys.extend(keys);
        self.keys.sort_unstable();
        self.add(places, 0, places.len(), DEPTH, side);
    }
    /// The subtree of keys `a..b`, which agree above the bits of `level`.
    fn add(&mut self, places: &[[f64; 2]], a: usize, b: usize, level: u32, side: f64) {
        let at = self.nodes.len();
        self.nodes.push(Node { x: 0.0, y: 0.0, mass: (b - a) as f64, reach: 0.0, after: 0 });
        let (mut x, mut y) = (0.0, 0.0);
        if b - a == 1 || level == 0 {
            for k in &self.keys[a..b] {
                x += places[k.1 as usize][0];
                y += places[k.1 as usize][1];
            }
        } else {
            let shift = 2 * (level - 1);
            let mut from = a;
            for quarter in 0..4 {
                let to = from + self.keys[from..b].partition_point(|k| (k.0 >> shift) & 3 <= quarter);
                if to > from {
                    let child = self.nodes.len();
                    self.add(places, from, to, level - 1, side / 2.0);
                    let c = self.nodes[child];
                    x += c.x * c.mass;
                    y += c.y * c.mass;
                }
                from = to;
            }
            self.nodes[at].reach = side * side / (THETA * THETA);
        }
        let after = self.nodes.len() as u32;
        let node = &mut self.nodes[at];
        (node.x, node.y, node.after) = (x / node.mass, y / node.mass, after);
    }
    /// The push of all points on a place, and the sum of their weights 1 / (1 + d²), its own with 1.
    fn repulsion(&self, [x, y]: [f64; 2]) -> ([f64; 2], f64) {
        let (mut fx, mut fy, mut all) = (0.0, 0.0, 0.0);
        let mut at = 0;
        while let Some(n) = self.nodes.get(at) {
            let (dx, dy) = (x - n.x, y - n.y);
            let d = dx * dx + dy * dy;
            if n.reach < d || n.reach == 0.0 {
                let q = 1.0 / (1.0 + d);
                let m = n.mass * q;
                all += m;
                fx += m * q * dx;
                fy += m * q * dy;
                at = n.after as usize;
            } else {
                at += 1;
            }
        }
        ([fx, fy], all)
    }
}

/// The bits of a number with a zero between each two.
fn spread(v: u64) -> u64 {
    let mut v = v & 0xFFFF_FFFF;
    for (shift, mask) in [
        (16, 0x0000_FFFF_0000_FFFF),
        (8, 0x00FF_00FF_00FF_00FF),
        (4, 0x0F0F_0F0F_0F0F_0F0F),
        (2, 0x3333_3333_3333_3333),
        (1, 0x5555_5555_5555_5555),
    ] {
        v = (v | v << shift) & mask;
    }
    v
}

#[cfg(test)]
mod tests {
    use super::*;
    use gabor_tensor::{Stream, rng::op};

    fn cloud(n: usize) -> Vec<[f64; 2]> {
        let mut s = Stream::new(3, 0, 0, op::TEST);
        (0..n).map(|i| [s.normal() + (i % 3) as f64 * 9.0, s.normal()]).collect()
    }

    #[test]
    fn the_tree_sums_what_the_points_sum() {
        let mut places = cloud(400);
        places.extend([[0.5, 0.5]; 5]);
        let mut tree = Tree::default();
        tree.build(&places);
        for &[x, y] in places.iter().step_by(37) {
            let (mut exact, mut all) = ([0.0, 0.0], 0.0);
            for &[a, b] in &places {
                let q = 1.0 / (1.0 + (x - a) * (x - a) + (y - b) * (y - b));
                all += q;
                exact = [exact[0] + q * q * (x - a), exact[1] + q * q * (y - b)];
            }
            let (found, sum) = tree.repulsion([x, y]);
            assert!((sum - all).abs() < 0.01 * all, "{sum}, exactly {all}");
            let size = exact[0].hypot(exact[1]).max(1.0);
            assert!((found[0] - exact[0]).hypot(found[1] - exact[1]) < 0.03 * size, "{found:?}, exactly {exact:?}");
        }
        assert_eq!(tree.nodes[0].mass, 405.0);
    }

    #[test]
    fn widths_give_the_perplexity() {
        let squares: Vec<f64> = (1..=60).map(|i| f64::from(i * i)).collect();
        let p = conditional(&squares, 12.0);
        let entropy: f64 = -p.iter().map(|p| p * p.ln()).sum::<f64>();
        assert!((entropy.exp() - 12.0).abs() < 1e-5, "{}", entropy.exp());
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        // All alike: no width gives another perplexity than their number.
        assert!(conditional(&[4.0; 8], 3.0).iter().all(|p| (p - 0.125).abs() < 1e-12));
        assert!(conditional(&[0.0, 1e300], 1.0)[0] > 0.999);
    }

    #[test]
    fn attraction_is_symmetric_and_sums_to_one() {
        let near =
            |of: &[(usize, f64)]| of.iter().map(|&(index, distance)| Near { index, distance }).collect::<Vec<_>>();
        let rows = [
            near(&[(1, 1.0), (2, 2.0)]),
            near(&[(0, 1.0), (2, 1.5)]),
            near(&[(1, 1.5), (0, 2.0)]),
            near(&[(0, 9.0), (1, 9.0)]),
        ];
        let a = Attraction::new(&rows, 1.5);
        let p = |i: usize, j: u32| a.to[a.from[i]..a.from[i + 1]].iter().find(|t| t.0 == j).map_or(0.0, |t| t.1);
        assert!((a.to.iter().map(|t| t.1).sum::<f64>() - 1.0).abs() < 1e-12);
        for i in 0..4 {
            for j in 0..4 {
                assert_eq!(p(i, j as u32), p(j, i as u32));
            }
        }
        assert!(p(0, 3) > 0.0 && p(2, 3) == 0.0);
    }
}
