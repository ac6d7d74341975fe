//! How far a network's probabilities can be believed, and the temperature that mends them.
//!
//! A network that says "90 %" of a hundred pictures should be right on ninety of them. Guo et al., *On Calibration of Modern
//! Neural Networks* (2017), measure how far it is from that, and divide the scores by one number, the temperature, fitted on
//! pictures that were not trained on: classes keep their order, probabilities become honest.

use serde::{Deserialize, Serialize};

/// Bins of equal width between 0 and 1, as in Guo et al.
pub const BINS: usize = 15;

/// The samples whose predicted class got a probability within `(lower, upper]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Where the bin begins.
    pub lower: f64,
    /// Where it ends.
    pub upper: f64,
    /// Samples.
    pub count: u64,
    /// Mean probability of the predicted class; 0 of no samples.
    pub confidence: f64,
    /// Part of the samples that are right; 0 of no samples.
    pub accuracy: f64,
}

/// How far probabilities are from the truth. All figures are 0 for a perfect network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Expected calibration error: mean of |accuracy − confidence| over the bins, weighted by their samples.
    pub ece: f64,
    /// Maximum calibration error: the largest |accuracy − confidence| of a bin with samples.
    pub mce: f64,
    /// Brier score: mean of Σ (p_k − y_k)² over the classes, between 0 and 2 (Brier 1950).
    pub brier: f64,
    /// Negative log likelihood: mean of −ln p of the true class.
    pub nll: f64,
    /// The reliability diagram, [`BINS`] bins.
    pub bins: Vec<Bin>,
}

/// Collects a [`Calibration`].
///
/// ```
/// use gabor_train::Calibrator;
/// let mut c = Calibrator::default();
/// c.add(&[0.8, 0.2], 0, 0.223);
/// c.add(&[0.8, 0.2], 1, 1.609);
/// let c = c.finish();
/// // One bin holds both: 80 % sure, 50 % right.
/// assert!((c.ece - 0.3).abs() < 1e-12 && (c.brier - 0.68).abs() < 1e-12);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Calibrator {
    count: u64,
    brier: f64,
    nll: f64,
    /// Samples, sum of confidences, right ones.
    bins: [(u64, f64, u64); BINS],
}

impl Calibrator {
    /// Counts a sample: its probabilities, label and −ln p of the label. The prediction is the first of the highest ones.
    pub fn add(&mut self, probabilities: &[f64], label: usize, nll: f64) {
        let (mut best, mut brier) = (0, 0.0);
        for (i, &p) in probabilities.iter().enumerate() {
            if p > probabilities[best] {
                best = i;
            }
            let d = p - f64::from(u8::from(i == label));
            brier += d * d;
        }
        let confidence = probabilities.get(best).copied().unwrap_or(0.0);
        self.count += 1;
        self.brier += brier;
        self.nll += nll;
        // Bins are closed above; what is not a number falls into the first.
        let at = ((confidence * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        let bin = &mut self.bins[at];
        bin.0 += 1;
        bin.1 += confidence;
        bin.2 += u64::from(best == label);
    }
    /// The figures; zeros of no samples.
    pub fn finish(&self) -> Calibration {
        let n = self.count.max(1) as f64;
        let mut out = Calibration { brier: self.brier / n, nll: self.nll / n, ..Default::default() };
        for (i, &(count, sum, right)) in self.bins.iter().enumerate() {
            let of = count.max(1) as f64;
            let (confidence, accuracy) = (sum / of, right as f64 / of);
            let gap = (accuracy - confidence).abs();
            out.ece += count as f64 / n * gap;
            out.mce = out.mce.max(gap);
            let edge = |i: usize| i as f64 / BINS as f64;
            out.bins.push(Bin { lower: edge(i), upper: edge(i + 1), count, confidence, accuracy });
        }
        out
    }
}

/// Scores of samples with their labels, to fit a temperature on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    classes: usize,
    values: Vec<f32>,
    labels: Vec<u32>,
}

/// The temperatures that are tried. A fit that ends on an edge has no minimum between: every sample is right, or none.
pub const TEMPERATURES: (f64, f64) = (0.01, 100.0);

impl Scores {
    /// No scores, over a number of classes.
    pub fn new(classes: usize) -> Self {
        Scores { classes, ..Default::default() }
    }
    /// Takes a sample: scores before softmax (log probabilities serve as well) and label. Samples with another number of
    /// scores, with scores that are no numbers or with an unknown label are passed over; the answer says which.
    pub fn push(&mut self, scores: &[f32], label: u32) -> bool {
        let good = scores.len() == self.classes
            && (label as usize) < self.classes
            && scores.iter().all(|s| !s.is_nan() && *s < f32::INFINITY)
            && scores[label as usize] > f32::NEG_INFINITY;
        if good {
            self.values.extend_from_slice(scores);
            self.labels.push(label);
        }
        good
    }
    /// Number of samples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
    /// The temperature T that minimises the mean of −ln softmax(scores / T) of the labels, within [`TEMPERATURES`]; 1 of no
    /// samples. The loss is convex in 1/T, so Newton's method, kept within a bracket, finds its only minimum.
    pub fn temperature(&self) -> f64 {
        if self.is_empty() {
            return 1.0;
        }
        let (mut low, mut high) = (1.0 / TEMPERATURES.1, 1.0 / TEMPERATURES.0);
        if self.slope(low).0 >= 0.0 {
            return TEMPERATURES.1;
        }
        if self.slope(high).0 <= 0.0 {
            return TEMPERATURES.0;
        }
        let mut x = 1.0;
        for _ in 0..200 {
            let (slope, curvature) = self.slope(x);
            if slope > 0.0 {
                high = x
            } else {
                low = x
            }
            let step = x - slope / curvature;
            let next = if step > low && step < high { step } else { (low * high).sqrt() };
            let done = (next - x).abs() <= 1e-12 * x;
            x = next;
            if done {
                break;
            }
        }
        1.0 / x
    }
    /// First and second derivative of the loss by 1/T: the mean of E\[s\] − s_label, and of the variance of s, under the
    /// softmax at that temperature.
    fn slope(&self, inverse: f64) -> (f64, f64) {
        let (mut first, mut second) = (0.0, 0.0);
        for (row, &label) in self.values.chunks_exact(self.classes.max(1)).zip(&self.labels) {
            let top = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            // About the highest score, so that nothing large is subtracted from something large.
            let (mut sum, mut mean, mut square) = (0.0, 0.0, 0.0);
            for &s in row.iter().filter(|s| s.is_finite()) {
                let d = f64::from(s) - top;
                let e = libm::exp(d * inverse);
                sum += e;
                mean += e * d;
                square += e * d * d;
            }
            mean /= sum;
            first += mean - (f64::from(row[label as usize]) - top);
            second += (square / sum - mean * mean).max(0.0);
        }
        let n = self.labels.len() as f64;
        (first / n, second / n)
    }
    /// The calibration at a temperature.
    pub fn calibration(&self, temperature: f64) -> Calibration {
        let mut out = Calibrator::default();
        for (row, &label) in self.values.chunks_exact(self.classes.max(1)).zip(&self.labels) {
            let logs = log_softmax_at(row, temperature);
            let probabilities: Vec<f64> = logs.iter().map(|&l| libm::exp(l)).collect();
            out.add(&probabilities, label as usize, -logs[label as usize]);
        }
        out.finish()
    }
}

/// The logarithm of the softmax of scores, in double precision.
pub fn log_softmax(scores: &[f32]) -> Vec<f64> {
    log_softmax_at(scores, 1.0)
}

/// The logarithm of the softmax of scores divided by a temperature, in double precision.
pub fn log_softmax_at(scores: &[f32], temperature: f64) -> Vec<f64> {
    tempered(&scores.iter().map(|&s| f64::from(s)).collect::<Vec<_>>(), temperature)
}

/// The same of scores in double precision, such as logarithms of probabilities.
pub fn tempered(scores: &[f64], temperature: f64) -> Vec<f64> {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let scaled: Vec<f64> = scores.iter().map(|&s| (s - top) / temperature).collect();
    let log = libm::log(scaled.iter().map(|&s| libm::exp(s)).sum());
    scaled.into_iter().map(|s| s - log).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_by_hand() {
        let mut c = Calibrator::default();
        // Three bins are hit: (13/15, 14/15] by 0.9 twice, (8/15, 9/15] by 0.6 once, (14/15, 1] by 1.0 once.
        for (p, label) in [([0.9, 0.1], 0), ([0.9, 0.1], 1), ([0.4, 0.6], 1), ([0.0, 1.0], 1)] {
            c.add(&p, label, -f64::ln(p[label]));
        }
        let c = c.finish();
        // Gaps: |0.5 − 0.9| of two, |1 − 0.6| of one, 0 of one.
        assert!((c.ece - (2.0 * 0.4 + 0.4) / 4.0).abs() < 1e-12);
        assert!((c.mce - 0.4).abs() < 1e-12);
        assert!((c.brier - (0.02 + 1.62 + 0.32) / 4.0).abs() < 1e-12);
        assert!((c.nll + (0.9f64.ln() + 0.1f64.ln() + 0.6f64.ln()) / 4.0).abs() < 1e-12);
        let hit: Vec<(usize, u64)> =
            c.bins.iter().enumerate().filter(|b| b.1.count > 0).map(|(i, b)| (i, b.count)).collect();
        assert_eq!(hit, [(8, 1), (13, 2), (14, 1)]);
        assert_eq!(Calibrator::default().finish().ece, 0.0);
    }

    #[test]
    fn bins_are_closed_above() {
        let mut c = Calibrator::default();
        // 0.6 = 9/15 exactly belongs to the ninth bin.
        c.add(&[0.6, 0.4], 0, 0.0);
        c.add(&[0.6 + 1e-9, 0.4], 0, 0.0);
        let c = c.finish();
        assert_eq!((c.bins[8].count, c.bins[9].count), (1, 1));
    }

    #[test]
    fn a_temperature_with_a_closed_form() {
        // Scores ±a for two classes, a part r of them right: the best probability is r, so a·2/T = ln(r / (1 − r)).
        let mut s = Scores::new(2);
        for i in 0..10 {
            assert!(s.push(&[3.0, -3.0], u32::from(i >= 8)));
        }
        let t = s.temperature();
        assert!((t - 6.0 / 4f64.ln()).abs() < 1e-9, "{t}");
        assert!(s.calibration(t).ece < 1e-7 && s.calibration(1.0).ece > 0.19);
        // Scaled scores ask for a scaled temperature; the same shift for all classes changes nothing.
        let mut twice = Scores::new(2);
        assert!((0..10).all(|i| twice.push(&[106.0, 94.0], u32::from(i >= 8))));
        assert!((twice.temperature() - 2.0 * t).abs() < 1e-9);
    }

    #[test]
    fn a_temperature_without_a_minimum_is_an_edge() {
        let mut s = Scores::new(2);
        assert_eq!(s.temperature(), 1.0);
        s.push(&[1.0, 0.0], 0);
        assert_eq!(s.temperature(), TEMPERATURES.0);
        let mut s = Scores::new(2);
        s.push(&[1.0, 0.0], 1);
        assert_eq!(s.temperature(), TEMPERATURES.1);
        assert!(!s.push(&[f32::NAN, 0.0], 0) && !s.push(&[1.0], 0) && !s.push(&[1.0, 2.0], 2));
        assert!(!s.push(&[f32::NEG_INFINITY, 0.0], 0) && s.push(&[0.0, f32::NEG_INFINITY], 0));
        assert!(s.temperature().is_finite());
    }
}
