//! What a page says of predictions: figures, confusion, calibration, the pictures with the highest losses.

use crate::{Evaluated, Result};
use gabor_data::{Color, Dataset, Image, Preprocessing, Views};
use gabor_report::{
    Confusion, Figure, Mistake, Picture, Reliability, ReliabilityBin, Report, Table, class_names, count, percent,
};
use gabor_train::{Calibration, Evaluation, SampleScore};

/// Right predictions are shown where there are fewer mistakes than half of this, and so many of them.
const SHOWN: usize = 16;

/// The confusion matrix of an evaluation.
pub fn confusion(e: &Evaluation) -> Confusion {
    Confusion { classes: e.classes.iter().map(|c| c.class.clone()).collect(), counts: e.confusion.clone() }
}

/// What an evaluation is of, for its page.
pub struct EvaluationPage<'a> {
    /// Head of the page.
    pub title: String,
    /// A sentence below it: which models on which data.
    pub subtitle: String,
    /// What the models are called, in their order.
    pub models: &'a [String],
    /// The data.
    pub dataset: &'a dyn Dataset,
    /// How the first model looks at pictures.
    pub preprocessing: &'a Preprocessing,
    /// Views of a picture.
    pub views: Views,
    /// What scores were divided by.
    pub temperature: Option<f64>,
    /// Commands to type next, with what they do.
    pub commands: Vec<(String, String)>,
}

impl EvaluationPage<'_> {
    /// The page of an evaluation.
    ///
    /// # Errors
    /// Pictures of the highest losses that cannot be read again.
    pub fn report(self, e: &Evaluated) -> Result<Report> {
        let mut r = Report {
            kind: "evaluation".into(),
            title: self.title,
            subtitle: self.subtitle,
            commands: self.commands,
            ..Default::default()
        };
        let before = e.before.as_ref().map(|b| &b.calibration).zip(self.temperature);
        judged(&mut r, &e.evaluation, before, self.dataset, self.preprocessing)?;
        r.models = models(e, self.models);
        if let Some(t) = self.temperature {
            r.figures.push(Figure::new("temperature", format!("{t:.3}"), "fitted on the validation part"));
        }
        if self.views != Views::One {
            let note = format!("{} a picture, probabilities averaged", self.views.count());
            r.figures.push(Figure::new("views", self.views.name(), note));
        }
        Ok(r)
    }
}

/// Each model alone and all together; empty for one model.
fn models(e: &Evaluated, names: &[String]) -> Table {
    let head = ["model", "accuracy", "top-5", "loss", "mean F₁", "calibration error"].map(String::from).to_vec();
    let row = |name: &str, e: &Evaluation| {
        let five = if e.classes.len() > 5 { percent(e.top5) } else { "–".into() };
        let (loss, f1) = (format!("{:.4}", e.loss), format!("{:.4}", e.macro_f1));
        vec![name.to_string(), percent(e.top1), five, loss, f1, percent(e.calibration.ece)]
    };
    let mut rows: Vec<Vec<String>> = names.iter().zip(&e.members).map(|(n, e)| row(n, e)).collect();
    if !rows.is_empty() {
        rows.push(row("together", &e.evaluation));
    }
    Table { head, rows }
}

/// Adds all that an evaluation says; `before` is the calibration without a temperature.
pub(crate) fn judged(
    r: &mut Report,
    e: &Evaluation,
    before: Option<(&Calibration, f64)>,
    data: &dyn Dataset,
    preprocessing: &Preprocessing,
) -> Result<()> {
    r.confusion = Some(confusion(e));
    r.evaluated_on = e.split.clone();
    let right = (e.top1 * e.count as f64).round() as u64;
    let of = format!("{} of {}", count(right), count(e.count));
    r.figures.push(Figure::new(format!("{} accuracy", e.split), percent(e.top1), of));
    if e.classes.len() > 10 {
        r.figures.push(Figure::new("top-5 accuracy", percent(e.top5), ""));
    }
    if e.is_uneven() {
        r.figures.push(Figure::new("balanced accuracy", percent(e.balanced_accuracy), "every class counts alike"));
    }
    r.figures.push(Figure::new(format!("{} loss", e.split), format!("{:.4}", e.loss), "cross-entropy"));
    r.scores = scores(e);
    r.calibration = match before {
        Some((c, t)) => {
            vec![reliability("before", c), reliability(&format!("at temperature {t:.2}"), &e.calibration)]
        }
        None => vec![reliability("", &e.calibration)],
    };
    let names = class_names(&e.classes.iter().map(|c| c.class.as_str()).collect::<Vec<_>>());
    let shown = |list: &[SampleScore]| -> Result<Vec<Mistake>> {
        let all = list.iter().map(|s| picture(s, &names, data, preprocessing));
        Ok(all.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    };
    r.mistakes = shown(&e.mistakes)?;
    if e.mistakes.len() < SHOWN / 2 {
        r.hardest = shown(&e.hardest[..e.hardest.len().min(SHOWN)])?;
    }
    Ok(())
}

fn scores(e: &Evaluation) -> Vec<(String, String)> {
    let classes = e.classes.len();
    // The last of k = classes is always 1.
    let ranks = [2, 3, 5, 10].into_iter().filter(|&k| k < classes);
    let mut out: Vec<(String, String)> =
        ranks.filter_map(|k| Some((format!("top-{k}"), percent(*e.top.get(k - 1)?)))).collect();
    out.push(("mean F₁".into(), format!("{:.4}", e.macro_f1)));
    out.push(("balanced accuracy".into(), percent(e.balanced_accuracy)));
    out
}

fn reliability(name: &str, c: &Calibration) -> Reliability {
    let bin = |b: &gabor_train::calibration::Bin| ReliabilityBin {
        range: (b.lower, b.upper),
        count: b.count,
        confidence: b.confidence,
        accuracy: b.accuracy,
    };
    let figures: [(String, String); 4] = [
        ("expected calibration error".into(), percent(c.ece)),
        ("largest error of a bin".into(), percent(c.mce)),
        ("Brier score".into(), format!("{:.4}", c.brier)),
        ("negative log likelihood".into(), format!("{:.4}", c.nll)),
    ];
    Reliability { name: name.into(), bins: c.bins.iter().map(bin).collect(), figures: figures.to_vec() }
}

/// A sample as the network saw it, and what it made of it.
fn picture(s: &SampleScore, names: &[String], data: &dyn Dataset, p: &Preprocessing) -> Result<Option<Mistake>> {
    let class = |i: usize| names.get(i).cloned().unwrap_or_else(|| i.to_string());
    let seen = p.prepared(&data.image_at_least(s.index, &|whole| p.enough(whole))?)?;
    Ok(as_people_see_it(&seen).map(|picture| Mistake {
        picture,
        id: s.id.clone(),
        predicted: class(s.verdict.predicted),
        probability: s.verdict.probability,
        truth: class(s.label),
        truth_probability: Some(s.verdict.truth_probability),
        loss: s.verdict.loss,
    }))
}

/// People look at red, green and blue in that order, whatever the network does.
pub(crate) fn as_people_see_it(image: &Image<'_>) -> Option<Picture> {
    let rgb = if image.color() == Color::Bgr { image.to_color(Color::Rgb) } else { image.view() };
    Picture::new(rgb.width(), rgb.height(), rgb.channels(), rgb.data().to_vec())
}
