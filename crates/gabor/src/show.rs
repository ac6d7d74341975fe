//! The samples of a training as the network will see them, on one picture.

use crate::{Error, Result};
use gabor_data::{Batch, Color, Dataset, Image, Loader, Part, Preprocessing};
use gabor_report::Picture;
use gabor_tensor::Rule;
use gabor_train::Setup;

/// What [`show`] draws.
#[derive(Clone, Debug)]
pub struct ShowOptions {
    /// Part of the data; only training samples vary.
    pub part: Part,
    /// Samples, one row each (default 6), spread over the classes in turn.
    pub samples: usize,
    /// Epochs whose variants stand beside a sample (default 6).
    pub epochs: usize,
    /// Batches below, as the first epoch begins (default 1).
    pub batches: usize,
    /// Samples of a batch that are shown (default 12).
    pub of_batch: usize,
    /// Text above the picture.
    pub title: Vec<String>,
}

impl Default for ShowOptions {
    fn default() -> Self {
        ShowOptions { part: Part::Train, samples: 6, epochs: 6, batches: 1, of_batch: 12, title: Vec::new() }
    }
}

/// A sample that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownSample {
    /// Index into the part.
    pub index: usize,
    /// The data set's name of it.
    pub id: String,
    /// Its class.
    pub class: String,
    /// Rows and columns as stored.
    pub stored: [usize; 2],
}

/// A batch that is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownBatch {
    /// Share of each sample, where samples are mixed.
    pub lambda: Option<f32>,
    /// `mixup` or `cutmix`, where samples are mixed.
    pub mixed_by: Option<&'static str>,
    /// Samples of the batch, and their partners' where they are mixed: indices into the part.
    pub samples: Vec<(u32, Option<u32>)>,
}

/// The picture, and what is on it.
#[derive(Clone, Debug)]
pub struct Show {
    /// The picture.
    pub picture: Picture,
    /// Its rows.
    pub samples: Vec<ShownSample>,
    /// Its batches.
    pub batches: Vec<ShownBatch>,
}

const INK: [u8; 3] = [32, 32, 32];
const PALE: [u8; 3] = [112, 112, 112];
const PAPER: [u8; 3] = [255, 255, 255];
/// Points of a letter, and of a line with the space above it.
const SCALE: usize = 2;
const LINE: usize = 26;
const GAP: usize = 8;
const MARGIN: usize = 20;
/// Cells are at least so wide, so that captions have room; small pictures are enlarged by whole factors up to it.
const CELL: usize = 168;
/// Larger pictures are refused.
const MOST_PIXELS: usize = 1 << 28;

/// Draws samples of a training as the network will see them after preprocessing and augmentation: the stored picture and
/// its variants in the first epochs, one row a sample; then whole batches, with what was mixed. The numbers come out of the
/// loader of the training itself and are only scaled back to colours.
///
/// ```
/// use gabor::train::{Config, Setup};
/// let setup = Setup::new(&Config::load(None, [], &["mixup=0.4"]).unwrap()).unwrap();
/// let shown = gabor::show(&setup, &gabor::ShowOptions { samples: 2, epochs: 3, ..Default::default() }).unwrap();
/// assert_eq!((shown.samples.len(), shown.batches[0].mixed_by), (2, Some("mixup")));
/// ```
///
/// # Errors
/// A part that the data do not have, samples that cannot be read.
pub fn show(setup: &Setup, options: &ShowOptions) -> Result<Show> {
    let training = options.part == Part::Train;
    let part = match options.part {
        Part::Train => &setup.splits.train,
        Part::Validation => &setup.splits.validation,
        Part::Test => &setup.splits.test,
    };
    let data = part.clone().ok_or_else(|| {
        let has = Part::ALL.iter().zip([&setup.splits.train, &setup.splits.validation, &setup.splits.test]);
        let has: Vec<&str> = has.filter(|(_, d)| d.is_some()).map(|(p, _)| p.name()).collect();
        Error::new("data", Rule::new(format!("there is no part `{}`", options.part.name())).right(has.join(", ")))
    })?;
    let loader = if training { setup.training_loader()? } else { setup.evaluation_loader(data.clone())? };
    let epochs = if training { options.epochs.max(1) } else { 1 };
    let [_, h, w] = setup.preprocessing.input();
    let scale = (CELL / h.max(w)).clamp(1, 16);
    let cell = [h * scale, (w * scale).max(CELL)];
    let indices = spread(&*data, options.samples);

    let columns = (1 + epochs).max(if options.batches > 0 { 1 + epochs } else { 1 });
    let width = 2 * MARGIN + columns * (cell[1] + GAP) - GAP;
    let per_row = columns;
    let letters = (width - 2 * MARGIN) / Picture::text_size(" ", SCALE).0;
    let title: Vec<String> = options.title.iter().flat_map(|t| wrapped(t, letters)).collect();
    let batches: Vec<Batch> = batches(&loader, options.batches)?;
    let rows_of = |b: &Batch| b.indices.len().min(options.of_batch).div_ceil(per_row);
    let captions = |b: &Batch| if b.mix.is_some() { 2 } else { 1 };
    let height = 2 * MARGIN
        + title.len() * LINE
        + if indices.is_empty() { 0 } else { LINE }
        + indices.len() * (LINE + cell[0] + GAP)
        + batches.iter().map(|b| LINE + rows_of(b) * (cell[0] + captions(b) * LINE + GAP)).sum::<usize>();

    if width.saturating_mul(height) > MOST_PIXELS {
        let rule = Rule::new(format!("a picture of {width} × {height}")).right("fewer samples, epochs or batches");
        return Err(Error::new("show", rule));
    }
    let mut sheet = Sheet { picture: Picture::blank(width, height, PAPER), y: MARGIN, cell, scale };
    for line in &title {
        sheet.text(0, line, INK, letters);
        sheet.y += LINE;
    }
    let fits = (cell[1] + GAP) / Picture::text_size(" ", SCALE).0;
    if !indices.is_empty() {
        sheet.text(0, "stored", PALE, fits);
        for e in 0..epochs {
            let text = if training { format!("epoch {e}") } else { "as seen".into() };
            sheet.text(1 + e, &text, PALE, fits);
        }
        sheet.y += LINE;
    }
    let mut samples = Vec::new();
    for &i in &indices {
        let image = data.image(i)?;
        let (ih, iw) = (image.height(), image.width());
        let class = data.classes()[data.labels()[i] as usize].clone();
        sheet.text(0, &format!("{class}  {}  {iw} × {ih}", data.id(i)), INK, letters);
        sheet.y += LINE;
        sheet.stored(&image)?;
        for e in 0..epochs {
            let seen = setup.preprocessing.picture(&loader.sample(i, e as u32)?)?;
            sheet.place(1 + e, &picture(&seen)?);
        }
        sheet.y += cell[0] + GAP;
        samples.push(ShownSample { index: i, id: data.id(i), class, stored: [ih, iw] });
    }
    let mut shown = Vec::new();
    for (k, batch) in batches.iter().enumerate() {
        shown.push(sheet.batch(k, batch, &*data, &setup.preprocessing, (options.of_batch, per_row, fits, letters))?);
    }
    Ok(Show { picture: sheet.picture, samples, batches: shown })
}

/// The first batches of the first epoch.
fn batches(loader: &Loader, count: usize) -> Result<Vec<Batch>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let batches: std::result::Result<Vec<Batch>, _> = loader.epoch(0, 0).take(count).collect();
    Ok(batches?)
}

/// Samples from all classes in turn, the first of each.
fn spread(data: &dyn Dataset, count: usize) -> Vec<usize> {
    let mut of: Vec<Vec<usize>> = vec![Vec::new(); data.classes().len()];
    for (i, &label) in data.labels().iter().enumerate() {
        if let Some(list) = of.get_mut(label as usize).filter(|l| l.len() < count) {
            list.push(i);
        }
    }
    let rounds = (0..count).flat_map(|round| of.iter().filter_map(move |l| l.get(round)));
    rounds.take(count).copied().collect()
}

/// A text in lines of at most so many letters, broken at spaces and commas.
fn wrapped(text: &str, letters: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_inclusive([' ', ',']) {
        let used = lines.last().map_or(0, |l| l.chars().count());
        if used > 0 && used + word.trim_end().chars().count() > letters {
            lines.push("  ".into());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(word);
        }
    }
    lines
}

/// A picture in colours that a screen shows.
fn picture(image: &Image<'_>) -> Result<Picture> {
    let image = if image.color() == Color::Bgr { image.to_color(Color::Rgb) } else { image.view() };
    let (h, w, c) = (image.height(), image.width(), image.channels());
    Picture::new(w, h, c, image.into_data()).ok_or_else(|| Error::from(Rule::new("a picture without pixels")))
}

/// The page while it is drawn, from top to bottom.
struct Sheet {
    picture: Picture,
    y: usize,
    /// Rows and columns.
    cell: [usize; 2],
    scale: usize,
}

impl Sheet {
    fn x(&self, column: usize) -> usize {
        MARGIN + column * (self.cell[1] + GAP)
    }
    /// A line of at most so many letters.
    fn text(&mut self, column: usize, text: &str, color: [u8; 3], letters: usize) {
        let long = text.chars().count() > letters;
        let short: String = text.chars().take(if long { letters.saturating_sub(2) } else { letters }).collect();
        let text = if long { short + ".." } else { short };
        self.picture.write((self.x(column), self.y + 4), &text, SCALE, color);
    }
    /// A picture of the network's size in a cell.
    fn place(&mut self, column: usize, picture: &Picture) {
        self.picture.paste(self.x(column), self.y, picture, self.scale);
    }
    /// A stored picture, fitted into a cell: enlarged by a whole factor, or reduced.
    fn stored(&mut self, image: &Image<'_>) -> Result<()> {
        let (h, w) = (image.height(), image.width());
        let [ch, cw] = self.cell;
        let factor = (ch / h).min(cw / w);
        if factor > 0 {
            let shown = picture(image)?;
            self.picture.paste(self.x(0), self.y, &shown, factor);
            return Ok(());
        }
        let part = (ch as f64 / h as f64).min(cw as f64 / w as f64);
        let to = |v: usize| ((v as f64 * part).round() as usize).max(1);
        let fit = Preprocessing::exact([image.channels(), to(h), to(w)])?;
        let shown = picture(&fit.picture(&fit.apply(image)?)?)?;
        self.picture.paste(self.x(0), self.y, &shown, 1);
        Ok(())
    }
    fn batch(
        &mut self,
        number: usize,
        batch: &Batch,
        data: &dyn Dataset,
        preprocessing: &Preprocessing,
        (most, per_row, fits, letters): (usize, usize, usize, usize),
    ) -> Result<ShownBatch> {
        let mixed_by = batch.mix.as_ref().map(|m| if m.region.is_some() { "cutmix" } else { "mixup" });
        let count = batch.indices.len().min(most);
        let mut head = format!("batch {number}: {count} of its {} samples", batch.indices.len());
        if let (Some(kind), Some(mix)) = (mixed_by, &batch.mix) {
            head += &format!(", {kind}, lambda {:.3}", mix.lambda);
        }
        self.text(0, &head, INK, letters);
        self.y += LINE;
        let floats = batch.images.as_f32()?;
        let size = floats.len() / batch.indices.len().max(1);
        let class = |i: u32| data.classes()[data.labels()[i as usize] as usize].as_str();
        let mut samples = Vec::new();
        let lines = if batch.mix.is_some() { 2 } else { 1 };
        for first in (0..count).step_by(per_row) {
            for k in first..(first + per_row).min(count) {
                let column = k - first;
                let seen = preprocessing.picture(&floats[k * size..][..size])?;
                self.place(column, &picture(&seen)?);
                let (own, top) = (batch.indices[k], self.y);
                let partner = batch.mix.as_ref().map(|m| batch.indices[m.partners[k] as usize]);
                self.y += self.cell[0];
                match (&batch.mix, partner) {
                    (Some(mix), Some(partner)) => {
                        for (share, i) in [(mix.lambda, own), (1.0 - mix.lambda, partner)] {
                            self.text(column, &format!("{:2.0}% {}", 100.0 * share, class(i)), INK, fits);
                            self.y += LINE;
                        }
                    }
                    _ => self.text(column, class(own), INK, fits),
                }
                self.y = top;
                samples.push((own, partner));
            }
            self.y += self.cell[0] + lines * LINE + GAP;
        }
        Ok(ShownBatch { lambda: batch.mix.as_ref().map(|m| m.lambda), mixed_by, samples })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_words() {
        assert_eq!(wrapped("one,two three", 8), ["one,two ", "  three"]);
        assert_eq!(wrapped("", 8), [""]);
    }

    #[test]
    fn classes_take_turns() {
        let digits = gabor_data::digits();
        let train = digits.train().unwrap();
        let labels: Vec<u32> = spread(&**train, 12).iter().map(|&i| train.labels()[i]).collect();
        assert_eq!(labels, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
        assert_eq!(spread(&**train, 1_000_000).len(), train.len());
    }
}
