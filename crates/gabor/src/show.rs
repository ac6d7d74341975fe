//! The samples of a training as the network will see them, on one picture.

use crate::{Error, Result};
use gabor_data::{Batch, Color, Dataset, Image, Loader, Part, Preprocessing};
use gabor_report::{Cell, Picture, Strip, Strips, class_name_among, class_names};
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
    /// The heading.
    pub title: String,
    /// Lines below it.
    pub lines: Vec<String>,
}

impl Default for ShowOptions {
    fn default() -> Self {
        ShowOptions {
            part: Part::Train,
            samples: 6,
            epochs: 6,
            batches: 1,
            of_batch: 12,
            title: String::new(),
            lines: Vec::new(),
        }
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
    /// The picture, for [`picture::write`](crate::picture::write) too.
    pub svg: String,
    /// Its rows.
    pub samples: Vec<ShownSample>,
    /// Its batches.
    pub batches: Vec<ShownBatch>,
}

/// Pictures in a row at least.
const COLUMNS: usize = 7;
/// Longest side of a stored picture inside the drawing: twice what it is shown at.
const STORED: usize = 264;

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
    let mut heads = vec!["stored".to_string()];
    heads.extend((0..epochs).map(|e| if training { format!("epoch {e}") } else { "as seen".into() }));
    // Room for batches beside few variants.
    heads.resize(heads.len().max(COLUMNS), String::new());
    let mut strips = Vec::new();
    let mut samples = Vec::new();
    for i in spread(&*data, options.samples) {
        let image = data.image(i)?;
        let stored = [image.height(), image.width()];
        let class = data.classes()[data.labels()[i] as usize].clone();
        let mut cells = vec![stored_picture(&image)?];
        for e in 0..epochs {
            cells.push(picture(&setup.preprocessing.picture(&loader.sample(i, e as u32)?)?)?);
        }
        let cells = cells.into_iter().map(|picture| Cell { picture, lines: Vec::new() }).collect();
        let id = data.id(i);
        let short =
            id.strip_prefix(setup.config.data.trim_end_matches('/')).map_or(&*id, |r| r.trim_start_matches('/'));
        let note = format!("{short}, {} × {}", stored[1], stored[0]);
        strips.push(Strip { caption: class_name_among(&class, data.classes()).into(), note, cells });
        samples.push(ShownSample { index: i, id, class, stored });
    }
    let mut batches = Vec::new();
    for (k, batch) in first_batches(&loader, options.batches)?.iter().enumerate() {
        let (strip, shown) = batch_strip(k, batch, &*data, &setup.preprocessing, options.of_batch)?;
        strips.push(strip);
        batches.push(shown);
    }
    let strips = Strips { title: options.title.clone(), lines: options.lines.clone(), heads, strips };
    Ok(Show { svg: strips.to_svg(), samples, batches })
}

/// The first batches of the first epoch.
fn first_batches(loader: &Loader, count: usize) -> Result<Vec<Batch>> {
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

/// A picture in colours that a screen shows.
fn picture(image: &Image<'_>) -> Result<Picture> {
    let image = if image.color() == Color::Bgr { image.to_color(Color::Rgb) } else { image.view() };
    let (h, w, c) = (image.height(), image.width(), image.channels());
    Picture::new(w, h, c, image.into_data()).ok_or_else(|| Error::from(Rule::new("a picture without pixels")))
}

/// A stored picture, made smaller where it is larger than it will be shown.
fn stored_picture(image: &Image<'_>) -> Result<Picture> {
    let (h, w) = (image.height(), image.width());
    if h.max(w) <= STORED {
        return picture(image);
    }
    let to = |v: usize| (v * STORED / h.max(w)).max(1);
    let fit = Preprocessing::exact([image.channels(), to(h), to(w)])?;
    picture(&fit.picture(&fit.apply(image)?)?)
}

/// The samples of a batch with their classes, and what was mixed.
fn batch_strip(
    number: usize,
    batch: &Batch,
    data: &dyn Dataset,
    preprocessing: &Preprocessing,
    most: usize,
) -> Result<(Strip, ShownBatch)> {
    let mixed_by = batch.mix.as_ref().map(|m| if m.region.is_some() { "cutmix" } else { "mixup" });
    let count = batch.indices.len().min(most);
    let mut note = format!("{count} of its {} samples", batch.indices.len());
    if let (Some(kind), Some(mix)) = (mixed_by, &batch.mix) {
        note += &format!(", {kind} with λ = {:.3}", mix.lambda);
    }
    let floats = batch.images.as_f32()?;
    let size = floats.len() / batch.indices.len().max(1);
    let names = class_names(data.classes());
    let class = |i: u32| names[data.labels()[i as usize] as usize].clone();
    let (mut samples, mut cells) = (Vec::new(), Vec::new());
    for k in 0..count {
        let seen = picture(&preprocessing.picture(&floats[k * size..][..size])?)?;
        let own = batch.indices[k];
        let partner = batch.mix.as_ref().map(|m| batch.indices[m.partners[k] as usize]);
        let lines = match (&batch.mix, partner) {
            (Some(mix), Some(partner)) => [(mix.lambda, own), (1.0 - mix.lambda, partner)]
                .map(|(share, i)| format!("{:.0} % {}", 100.0 * share, class(i)))
                .to_vec(),
            _ => vec![class(own)],
        };
        cells.push(Cell { picture: seen, lines });
        samples.push((own, partner));
    }
    let shown = ShownBatch { lambda: batch.mix.as_ref().map(|m| m.lambda), mixed_by, samples };
    Ok((Strip { caption: format!("batch {number}"), note, cells }, shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_take_turns() {
        let digits = gabor_data::digits();
        let train = digits.train().unwrap();
        let labels: Vec<u32> = spread(&**train, 12).iter().map(|&i| train.labels()[i]).collect();
        assert_eq!(labels, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
        assert_eq!(spread(&**train, 1_000_000).len(), train.len());
    }
}
