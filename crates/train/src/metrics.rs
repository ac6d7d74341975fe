//! What an evaluation counts.

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

/// A sample that the network got wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mistake {
    /// Index into the data set.
    pub index: usize,
    /// The data set's name of the sample.
    pub id: String,
    /// The true class.
    pub label: usize,
    /// The predicted class.
    pub predicted: usize,
    /// The probability (softmax) of the predicted class.
    pub probability: f64,
    /// The loss.
    pub loss: f64,
}

/// Precision, recall and F1 of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassMetrics {
    /// The class's name.
    pub class: String,
    /// Samples of the class.
    pub count: u64,
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
    /// `confusion[label][predicted]` samples.
    pub confusion: Vec<Vec<u64>>,
    /// Per class precision, recall and F1.
    pub classes: Vec<ClassMetrics>,
    /// The worst mistakes, by loss.
    pub mistakes: Vec<Mistake>,
}

/// Collects an [`Evaluation`].
#[derive(Clone, Debug)]
pub struct Evaluator {
    tally: Tally,
    names: Vec<String>,
    confusion: Vec<Vec<u64>>,
    mistakes: Vec<Mistake>,
    keep: usize,
}

impl Evaluator {
    /// An empty evaluation over classes of these names that keeps the `keep` worst mistakes.
    pub fn new(names: &[String], keep: usize) -> Self {
        let c = names.len();
        Evaluator {
            tally: Tally::default(),
            names: names.to_vec(),
            confusion: vec![vec![0; c]; c],
            mistakes: Vec::new(),
            keep,
        }
    }
    /// Counts a sample: its index in the data set and name, scores, label and loss.
    pub fn add(&mut self, index: usize, id: impl FnOnce() -> String, scores: &[f32], label: usize, loss: f64) {
        self.tally.add(scores, label, loss);
        let predicted = highest(scores);
        if let Some(cell) = self.confusion.get_mut(label).and_then(|row| row.get_mut(predicted)) {
            *cell += 1;
        }
        // A loss that is not a number is as bad as can be.
        let badness = if loss.is_nan() { f64::INFINITY } else { loss };
        let full = self.mistakes.len() == self.keep;
        if predicted == label || self.keep == 0 || (full && self.mistakes.last().is_some_and(|m| m.loss >= badness)) {
            return;
        }
        let at = self.mistakes.partition_point(|m| m.loss >= badness);
        let probability = softmax_at(scores, predicted);
        self.mistakes.insert(at, Mistake { index, id: id(), label, predicted, probability, loss: badness });
        self.mistakes.truncate(self.keep);
    }
    /// The counts so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }
    /// The evaluation of a part of the data.
    pub fn finish(self, split: impl Into<String>) -> Evaluation {
        let classes = (self.names.iter().enumerate())
            .map(|(i, name)| {
                let hit = self.confusion[i][i] as f64;
                let count: u64 = self.confusion[i].iter().sum();
                let predicted: u64 = self.confusion.iter().map(|row| row[i]).sum();
                let part = |of: u64| if of == 0 { 0.0 } else { hit / of as f64 };
                let (precision, recall) = (part(predicted), part(count));
                let sum = precision + recall;
                let f1 = if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 };
                ClassMetrics { class: name.clone(), count, precision, recall, f1 }
            })
            .collect();
        let t = self.tally;
        Evaluation {
            split: split.into(),
            count: t.count,
            loss: t.loss(),
            top1: t.top1(),
            top5: t.top5(),
            confusion: self.confusion,
            classes,
            mistakes: self.mistakes,
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

fn softmax_at(scores: &[f32], i: usize) -> f64 {
    softmax(scores).get(i).copied().unwrap_or(0.0)
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
        assert!((e.mistakes[0].probability - p).abs() < 1e-12 && e.mistakes[0].predicted == 1);
        assert_eq!((e.top1, e.top5, e.count), (0.5, 1.0, 6));
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
