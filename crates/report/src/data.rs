//! What a report is made from.

use crate::{Confusion, Inside, Picture, Reliability};

/// A number that stands at the head of the page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figure {
    /// What it is: `test accuracy`.
    pub label: String,
    /// The number with its unit: `98.6 %`.
    pub value: String,
    /// A short remark below it; may be empty.
    pub note: String,
}

impl Figure {
    /// A figure.
    pub fn new(label: impl Into<String>, value: impl Into<String>, note: impl Into<String>) -> Self {
        Figure { label: label.into(), value: value.into(), note: note.into() }
    }
}

/// One line of a chart: points in the order of their epochs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// What it is: `training`, `validation`.
    pub name: String,
    /// Epochs (fractions between two) and values; values that are not finite are left out.
    pub points: Vec<(f64, f64)>,
    /// Its place in the palette, counted on after its end; `None` takes the next one of the chart.
    pub color: Option<usize>,
    /// Whether it is drawn in dashes, without a word in the legend.
    pub dashed: bool,
}

impl Curve {
    /// A curve.
    pub fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Curve { name: name.into(), points, color: None, dashed: false }
    }
    /// The same in a colour of the palette.
    pub fn colored(mut self, color: usize) -> Self {
        self.color = Some(color);
        self
    }
    /// The same in dashes, without a word in the legend.
    pub fn dashed(mut self) -> Self {
        self.dashed = true;
        self
    }
}

/// A prediction that went wrong, or nearly.
#[derive(Clone, Debug, PartialEq)]
pub struct Mistake {
    /// What the network saw.
    pub picture: Picture,
    /// The sample's name.
    pub id: String,
    /// The class that was predicted.
    pub predicted: String,
    /// Its probability, 0 to 1.
    pub probability: f64,
    /// The true class.
    pub truth: String,
    /// The probability that the true class got, 0 to 1, where it is known.
    pub truth_probability: Option<f64>,
    /// The loss.
    pub loss: f64,
}

/// A training sample as the network saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// After augmentation.
    pub picture: Picture,
    /// Its class.
    pub class: String,
    /// The sample's name.
    pub id: String,
}

/// A table of text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Heads of the columns; the first column names the rows.
    pub head: Vec<String>,
    /// The rows; a shorter one leaves cells empty.
    pub rows: Vec<Vec<String>>,
}

/// A row of the table of layers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerRow {
    /// Name and kind, the cells of the table in order of [`Report::layer_columns`].
    pub cells: Vec<String>,
}

/// What is known of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// What the page is, above its title: `training report`.
    pub kind: String,
    /// The run's name.
    pub title: String,
    /// A sentence: which network on which data.
    pub subtitle: String,
    /// Numbers at the head.
    pub figures: Vec<Figure>,
    /// Loss by epoch.
    pub loss: Vec<Curve>,
    /// Accuracy (0 to 1) by epoch.
    pub accuracy: Vec<Curve>,
    /// Learning rate by epoch.
    pub learning_rate: Curve,
    /// The epoch whose weights were kept, if one was chosen.
    pub best_epoch: Option<f64>,
    /// Predictions on the evaluation set.
    pub confusion: Option<Confusion>,
    /// What the evaluation set is called: `test`, `validation`.
    pub evaluated_on: String,
    /// Models that were measured together, the last row for all of them.
    pub models: Table,
    /// Figures about the predictions beside the confusion matrix: top-k accuracy, mean F1.
    pub scores: Vec<(String, String)>,
    /// How far probabilities can be believed; several to compare.
    pub calibration: Vec<Reliability>,
    /// Training samples as the network saw them.
    pub seen: Vec<Seen>,
    /// The worst mistakes, worst first.
    pub mistakes: Vec<Mistake>,
    /// Right predictions of which the network was least certain, least certain first; for runs with few mistakes.
    pub hardest: Vec<Mistake>,
    /// A look inside the network, or why there is none.
    pub inside: Option<Inside>,
    /// The first layer's name and the drawing of its filters.
    pub filters: Option<(String, String)>,
    /// Heads of the table of layers.
    pub layer_columns: Vec<String>,
    /// The layers.
    pub layers: Vec<LayerRow>,
    /// Remarks below the table of layers: parameters, memory.
    pub layer_notes: Vec<String>,
    /// The resolved configuration, as its file holds it.
    pub configuration: String,
    /// Where the model comes from: names and values.
    pub provenance: Vec<(String, String)>,
    /// What was warned of and noted on the way: samples left out, weights that were not found.
    pub notes: Vec<String>,
    /// Commands to type next, with what they do.
    pub commands: Vec<(String, String)>,
}
