//! The confusion matrix and what follows from it.

use crate::text::table;
use crate::words::class_names;

/// Counts of predictions: `counts[truth][predicted]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confusion {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// One row per true class, one column per predicted class.
    pub counts: Vec<Vec<u64>>,
}

/// How well one class is told from the others.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassScore {
    /// The class.
    pub class: String,
    /// Samples of the class.
    pub count: u64,
    /// Part of the predictions of this class that are right; `None` if it was never predicted.
    pub precision: Option<f64>,
    /// Part of its samples that were found; `None` if there are none.
    pub recall: Option<f64>,
    /// Harmonic mean of both.
    pub f1: Option<f64>,
}

impl Confusion {
    /// A matrix without predictions.
    pub fn new(classes: Vec<String>) -> Self {
        let n = classes.len();
        Confusion { classes, counts: vec![vec![0; n]; n] }
    }
    /// What the classes are called in tables: without the numbers of synsets, where that tells them apart.
    pub fn names(&self) -> Vec<String> {
        class_names(&self.classes)
    }
    /// Counts one prediction; classes that do not exist are not counted.
    pub fn add(&mut self, truth: usize, predicted: usize) {
        if let Some(c) = self.counts.get_mut(truth).and_then(|r| r.get_mut(predicted)) {
            *c += 1;
        }
    }
    /// Number of predictions.
    pub fn total(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }
    /// Part of the predictions that are right, or 0 if there are none.
    pub fn accuracy(&self) -> f64 {
        let right: u64 = self.counts.iter().enumerate().filter_map(|(i, r)| r.get(i)).sum();
        right as f64 / self.total().max(1) as f64
    }
    /// Precision, recall and F₁ of every class.
    pub fn scores(&self) -> Vec<ClassScore> {
        let part = |a: u64, b: u64| (b > 0).then(|| a as f64 / b as f64);
        (self.classes.iter().enumerate())
            .map(|(i, class)| {
                let row: u64 = self.counts.get(i).map_or(0, |r| r.iter().sum());
                let column: u64 = self.counts.iter().filter_map(|r| r.get(i)).sum();
                let right = self.counts.get(i).and_then(|r| r.get(i)).copied().unwrap_or(0);
                ClassScore {
                    class: class.clone(),
                    count: row,
                    precision: part(right, column),
                    recall: part(right, row),
                    f1: part(2 * right, row + column),
                }
            })
            .collect()
    }
    /// The pairs of classes that are taken for each other most often: truth, prediction and how often, worst first.
    pub fn worst_pairs(&self, most: usize) -> Vec<(usize, usize, u64)> {
        let mut all: Vec<(usize, usize, u64)> = (self.counts.iter().enumerate())
            .flat_map(|(t, r)| r.iter().enumerate().map(move |(p, &c)| (t, p, c)))
            .filter(|&(t, p, c)| t != p && c > 0)
            .collect();
        all.sort_by_key(|&(t, p, c)| (std::cmp::Reverse(c), t, p));
        all.truncate(most);
        all
    }
    /// The matrix for a terminal: up to 20 classes as a table, more as the list of the worst pairs.
    pub fn to_text(&self) -> String {
        let names = self.names();
        if self.classes.len() > 20 {
            let rows: Vec<Vec<String>> = (self.worst_pairs(10).into_iter())
                .map(|(t, p, c)| vec![names[t].clone(), names[p].clone(), c.to_string()])
                .collect();
            return table(&["truth", "taken for", "times"], &[false, false, true], &rows);
        }
        let short = |name: &String| name.chars().take(10).collect::<String>();
        let mut head = vec!["true \\ predicted".to_string()];
        head.extend(names.iter().map(short));
        head.push("recall".into());
        let rows: Vec<Vec<String>> = (self.scores().iter().zip(&self.counts).zip(&names))
            .map(|((score, row), name)| {
                let cells = row.iter().map(|&c| if c == 0 { "·".to_string() } else { c.to_string() });
                let recall = score.recall.map_or("–".into(), |r| format!("{:.1} %", r * 100.0));
                std::iter::once(name.chars().take(16).collect()).chain(cells).chain([recall]).collect()
            })
            .collect();
        let right: Vec<bool> = (0..head.len()).map(|c| c > 0).collect();
        table(&head.iter().map(String::as_str).collect::<Vec<_>>(), &right, &rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_by_hand() {
        let mut c = Confusion::new(vec!["cat".into(), "dog".into(), "owl".into()]);
        for (t, p) in [(0, 0), (0, 0), (0, 1), (1, 1), (9, 0), (0, 9)] {
            c.add(t, p);
        }
        assert_eq!((c.total(), c.accuracy()), (4, 0.75));
        let s = c.scores();
        assert_eq!((s[0].precision, s[0].recall, s[0].f1), (Some(1.0), Some(2.0 / 3.0), Some(0.8)));
        assert_eq!((s[2].precision, s[2].recall, s[2].f1), (None, None, None));
        assert_eq!(c.worst_pairs(5), [(0, 1, 1)]);
        assert!(c.to_text().contains("cat"));
        assert_eq!(c.to_text().lines().nth(2), Some("cat                 2    1    ·   66.7 %"));
        let many = Confusion::new((0..21).map(|i| i.to_string()).collect());
        assert!(many.to_text().starts_with("truth"));
    }
}
