//! What an evaluation counts.

use crate::calibration::{Calibration, Calibrator};
use serde::{Deserialize, Serialize};

/// Mean loss and accuracies of one pass, sample by sample.
///
/// ```
/// use gabor_train::Tally;
/// let mut t = Tally::default();
/// t.add(&[0.1, 0.9, 0.0], 1, 0.5);
/// t.add(&[0.8, 0.1, 0.1], 2, 1.5);
/// assert_eq!((t.loss(), t.top1()), (1.0, 0.5));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Samples counted.
    pub count: u64,
    /// Sum of the losses.
    pub loss_sum: f64,
    /// Samples whose label has the highest score.
    pub first: u64,
    /// Samples whose label is among the five highest scores.
    pub in_five: u64,
}

impl Tally {
    /// Counts a sample with its scores.
    pub fn add(&mut self, scores: &[f32], label: usize, loss: f64) {
        let rank = rank(scores, label);
        self.count += 1;
        self.loss_sum += loss;
        self.first += u64::from(rank == 0);
        self.in_five += u64::from(rank < 5);
    }
    /// Counts a batch of `[n, classes]` scores with its mean loss.
    pub fn add_batch(&mut self, scores: &[f32], labels: &[i32], mean_loss: f64) {
        let classes = scores.len() / labels.len().max(1);
        for (row, &label) in scores.chunks_exact(classes.max(1)).zip(labels) {
            self.add(row, label as usize, 0.0);
        }
        self.loss_sum += mean_loss * labels.len() as f64;
    }
    /// Mean loss; 0 of no samples.
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.count.max(1) as f64
    }
    /// Part of the samples whose label has the highest score.
    pub fn top1(&self) -> f64 {
        self.first as f64 / self.count.max(1) as f64
    }
    /// Part of the samples whose label is among the five highest scores.
    pub fn top5(&self) -> f64 {
        self.in_five as f64 / self.count.max(1) as f64
    }
}

/// How many classes come before the label: those with a higher score, and those with an equal one and a lower index.
/// A score that is not a number never wins.
fn rank(scores: &[f32], label: usize) -> usize {
    let Some(&own) = scores.get(label) else { return usize::MAX };
    if own.is_nan() {
        return usize::MAX;
    }
    scores.iter().enumerate().filter(|&(i, &s)| s > own || (s == own && i < label)).count()
}

/// A sample and what the network made of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleScore {
    /// Index into the data set.
    pub index: usize,
    /// The data set's name of the sample.
    pub id: String,
    /// The true class.
    pub label: usize,
    /// What was predicted.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What a network made of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The predicted class.
    pub predicted: usize,
    /// The probability (softmax) of the predicted class; 0 where it is not a number.
    pub probability: f64,
    /// The probability of the true class; 0 where it is not a number.
    pub truth_probability: f64,
    /// The loss; the largest number there is where it is not finite.
    pub loss: f64,
}

/// Precision, recall and F1 of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// The class's name.
    pub class: String,
    /// Samples of the class, also called its support.
    pub count: u64,
    /// Samples that were predicted to be of the class.
    pub predicted: u64,
    /// Of the samples predicted to be of the class, the part that is; 0 where none is predicted.
    pub precision: f64,
    /// Of the samples of the class, the part predicted to be; 0 where there is none.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
}

/// Everything an evaluation tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Which part of the data: `test`, `validation`.
    pub split: String,
    /// Samples.
    pub count: u64,
    /// Mean loss, without label smoothing.
    pub loss: f64,
    /// Part of the samples whose label has the highest score.
    pub top1: f64,
    /// Part of the samples whose label is among the five highest scores.
    pub top5: f64,
    /// Part of the samples whose label is among the k highest scores, for k = 1, 2, … up to 10 or the number of classes.
    pub top: Vec<f64>,
    /// Mean recall over the classes that have samples: an accuracy in which every class counts alike.
    pub balanced_accuracy: f64,
    /// Mean F1 over the classes that have samples or predictions.
    pub macro_f1: f64,
    /// How far the probabilities can be believed.
    pub calibration: Calibration,
    /// `confusion[label][predicted]` samples.
    pub confusion: Vec<Vec<u64>>,
    /// Each class against all others: precision, recall and F1.
    pub classes: Vec<ClassMetrics>,
    /// The worst mistakes, by loss, worst first.
    pub mistakes: Vec<SampleScore>,
    /// Right predictions with the highest losses, highest first.
    pub hardest: Vec<SampleScore>,
}

impl Evaluation {
    /// Indices of the classes, the worst F1 first; of equal ones the larger class. Classes without samples and
    /// predictions come last.
    pub fn worst_first(&self) -> Vec<usize> {
        let mut all: Vec<usize> = (0..self.classes.len()).collect();
        let key = |i: &usize| {
            let c = &self.classes[*i];
            (c.count + c.predicted == 0, c.f1, std::cmp::Reverse(c.count))
        };
        all.sort_by(|a, b| {
            let (a, b) = (key(a), key(b));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2))
        });
        all
    }
    /// Whether classes are as uneven as three to one, so that accuracy alone tells little.
    pub fn is_uneven(&self) -> bool {
        let counts = || self.classes.iter().map(|c| c.count).filter(|&c| c > 0);
        counts().max().unwrap_or(0) >= 3 * counts().min().unwrap_or(0)
    }
}

/// Ranks that are counted one by one.
const RANKS: usize = 10;

/// Collects an [`Evaluation`].
#[derive(Clone, Debug)]
pub struct Evaluator {
    tally: Tally,
    names: Vec<String>,
    ranks: [u64; RANKS],
    confusion: Vec<Vec<u64>>,
    calibrator: Calibrator,
    mistakes: Worst,
    hardest: Worst,
}

/// The samples with the highest losses.
#[derive(Clone, Debug)]
struct Worst {
    keep: usize,
    list: Vec<SampleScore>,
}

impl Worst {
    fn offer(&mut self, loss: f64, sample: impl FnOnce() -> SampleScore) {
        let full = self.list.len() == self.keep;
        if self.keep == 0 || (full && self.list.last().is_some_and(|m| m.verdict.loss >= loss)) {
            return;
        }
        let at = self.list.partition_point(|m| m.verdict.loss >= loss);
        self.list.insert(at, sample());
        self.list.truncate(self.keep);
    }
}

impl Evaluator {
    /// An empty evaluation over classes of these names that keeps the `keep` worst mistakes, and as many right
    /// predictions that were nearly mistakes.
    pub fn new(names: &[String], keep: usize) -> Self {
        let c = names.len();
        Evaluator {
            tally: Tally::default(),
            names: names.to_vec(),
            ranks: [0; RANKS],
            confusion: vec![vec![0; c]; c],
            calibrator: Calibrator::default(),
            mistakes: Worst { keep, list: Vec::new() },
            hardest: Worst { keep, list: Vec::new() },
        }
    }
    /// Counts a sample: its index in the data set and name, scores, label and loss.
    pub fn add(
        &mut self,
        index: usize,
        id: impl FnOnce() -> String,
        scores: &[f32],
        label: usize,
        loss: f64,
    ) -> Verdict {
        self.tally.add(scores, label, loss);
        if let Some(count) = self.ranks.get_mut(rank(scores, label)) {
            *count += 1;
        }
        let predicted = highest(scores);
        if let Some(cell) = self.confusion.get_mut(label).and_then(|row| row.get_mut(predicted)) {
            *cell += 1;
        }
        let probabilities = softmax(scores);
        self.calibrator.add(&probabilities, label, loss);
        let at = |i: usize| probabilities.get(i).copied().filter(|p| p.is_finite()).unwrap_or(0.0);
        // A loss that is not a number is as bad as can be, and JSON knows finite numbers alone.
        let loss = if loss.is_finite() { loss } else { f64::MAX };
        let verdict = Verdict { predicted, probability: at(predicted), truth_probability: at(label), loss };
        let worst = if predicted == label { &mut self.hardest } else { &mut self.mistakes };
        worst.offer(loss, || SampleScore { index, id: id(), label, verdict });
        verdict
    }
    /// The counts so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }
    /// The evaluation of a part of the data.
    pub fn finish(self, split: impl Into<String>) -> Evaluation {
        let classes: Vec<ClassMetrics> = (self.names.iter().enumerate())
            .map(|(i, name)| {
                let hit = self.confusion[i][i] as f64;
                let count: u64 = self.confusion[i].iter().sum();
                let predicted: u64 = self.confusion.iter().map(|row| row[i]).sum();
                let part = |of: u64| if of == 0 { 0.0 } else { hit / of as f64 };
                let (precision, recall) = (part(predicted), part(count));
                let sum = precision + recall;
                let f1 = if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 };
                ClassMetrics { class: name.clone(), count, predicted, precision, recall, f1 }
            })
            .collect();
        let mean = |with: fn(&ClassMetrics) -> bool, of: fn(&ClassMetrics) -> f64| {
            let all: Vec<f64> = classes.iter().filter(|c| with(c)).map(of).collect();
            all.iter().sum::<f64>() / all.len().max(1) as f64
        };
        let t = self.tally;
        let within = |k: usize| self.ranks[..k].iter().sum::<u64>() as f64 / t.count.max(1) as f64;
        Evaluation {
            split: split.into(),
            count: t.count,
            loss: t.loss(),
            top1: t.top1(),
            top5: t.top5(),
            top: (1..=RANKS.min(classes.len())).map(within).collect(),
            balanced_accuracy: mean(|c| c.count > 0, |c| c.recall),
            macro_f1: mean(|c| c.count + c.predicted > 0, |c| c.f1),
            calibration: self.calibrator.finish(),
            confusion: self.confusion,
            classes,
            mistakes: self.mistakes.list,
            hardest: self.hardest.list,
        }
    }
}

/// The index of the highest score; the first of equal ones, and 0 where no score is a number.
pub fn highest(scores: &[f32]) -> usize {
    let mut best = 0;
    for (i, &s) in scores.iter().enumerate() {
        if s > scores[best] || (scores[best].is_nan() && !s.is_nan()) {
            best = i;
        }
    }
    best
}

/// The softmax of scores, in double precision.
pub fn softmax(scores: &[f32]) -> Vec<f64> {
    let top = scores.get(highest(scores)).map_or(0.0, |&s| f64::from(s));
    let e: Vec<f64> = scores.iter().map(|&s| libm::exp(f64::from(s) - top)).collect();
    let sum: f64 = e.iter().sum();
    e.into_iter().map(|v| v / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(c: usize) -> Vec<String> {
        (0..c).map(|i| i.to_string()).collect()
    }

    #[test]
    fn confusion_precision_recall() {
        let mut e = Evaluator::new(&names(3), 2);
        let hot = |i: usize| (0..3).map(|j| if i == j { 2.0 } else { 0.0 }).collect::<Vec<f32>>();
        for (i, (label, predicted, loss)) in
            [(0, 0, 0.1), (0, 1, 3.0), (1, 1, 0.1), (1, 1, 0.2), (2, 1, 5.0), (2, 0, 4.0)].into_iter().enumerate()
        {
            e.add(i, || format!("s{i}"), &hot(predicted), label, loss);
        }
        let e = e.finish("test");
        assert_eq!(e.confusion, [[1, 1, 0], [0, 2, 0], [1, 1, 0]]);
        assert_eq!((e.classes[1].precision, e.classes[1].recall), (0.5, 1.0));
        assert!((e.classes[1].f1 - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!((e.classes[2].precision, e.classes[2].recall, e.classes[2].f1), (0.0, 0.0, 0.0));
        assert_eq!(e.mistakes.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(), ["s4", "s5"]);
        let p = 2f64.exp() / (2f64.exp() + 2.0);
        let worst = e.mistakes[0].verdict;
        assert!((worst.probability - p).abs() < 1e-12 && worst.predicted == 1 && worst.loss == 5.0);
        assert!((worst.truth_probability - (1.0 - p) / 2.0).abs() < 1e-12);
        assert_eq!(e.hardest.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(), ["s3", "s0"]);
        assert_eq!((e.top1, e.top5, e.count), (0.5, 1.0, 6));
        assert_eq!((e.top.len(), e.top[0], e.top[2]), (3, 0.5, 1.0));
        assert_eq!(e.balanced_accuracy, (0.5 + 1.0 + 0.0) / 3.0);
        assert!((e.macro_f1 - (0.5 + 2.0 / 3.0) / 3.0).abs() < 1e-12);
        assert_eq!(e.worst_first(), [2, 0, 1]);
        assert!(!e.is_uneven());
    }

    #[test]
    fn what_is_not_a_number_is_the_worst_and_can_be_written() {
        let mut e = Evaluator::new(&names(2), 3);
        e.add(0, || "a".into(), &[f32::NAN, f32::NAN], 1, f64::NAN);
        e.add(1, || "b".into(), &[5.0, 0.0], 1, 5.0);
        let e = e.finish("test");
        assert_eq!(e.mistakes.iter().map(|m| m.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        let text = serde_json::to_string(&e.mistakes).unwrap();
        assert_eq!(serde_json::from_str::<Vec<SampleScore>>(&text).unwrap(), e.mistakes);
        let keys = serde_json::to_value(&e.mistakes[1]).unwrap();
        assert!(["index", "id", "label", "predicted", "probability", "loss"].iter().all(|k| !keys[k].is_null()));
    }

    #[test]
    fn ranks_with_ties_and_nan() {
        assert_eq!(rank(&[1.0, 1.0, 0.5], 1), 1);
        assert_eq!(rank(&[1.0, f32::NAN, 0.5], 1), usize::MAX);
        assert_eq!(rank(&[1.0], 3), usize::MAX);
        assert_eq!(highest(&[f32::NAN, 1.0, 2.0, 2.0]), 2);
        let mut t = Tally::default();
        t.add_batch(&[0.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0, 9.0], &[0, 5], 2.0);
        assert_eq!((t.count, t.first, t.in_five, t.loss()), (2, 1, 1, 2.0));
    }
}
