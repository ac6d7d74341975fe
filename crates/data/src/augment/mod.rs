//! Random variation of training images: a declared list of operations, applied in their order.
//!
//! Works on bytes at the model's size, before normalisation. Geometric operations that follow each other are composed
//! into one map ([`map`]) and drawn with one interpolation; boxes, points and label pictures go through the same map
//! ([`Targets`]). Every draw comes from a stream keyed by (seed, epoch, sample, kind of operation), so results depend
//! neither on threads nor on what else the pipeline holds.

mod blur;
mod components;
mod draw;
mod erase;
mod field;
mod geometry;
mod map;
mod operation;
mod parameter;
mod pixels;
mod policy;
mod targets;
pub(crate) mod text;
mod tone;
mod view;
mod warp;

pub(crate) use draw::Key;
pub use operation::{Operation, OperationPage};
pub use policy::Style;
pub use targets::Targets;

use crate::preprocess::resize;
use crate::{Color, Error, Filter, Image};
use draw::REPEATS;
use gabor_tensor::Rule;
use map::Map;
use serde::{Deserialize, Serialize};
use serde_json::{Map as Table, Value};
use warp::{Pixels, Sampling};

/// An operation and how often it is applied. As data: the operation's name as `name`, its probability as `p`, and its
/// parameters, those with defaults optional: `{"name": "rotate", "degrees": 10, "p": 0.5}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Table<String, Value>", into = "Table<String, Value>")]
pub struct Step {
    /// The operation.
    pub operation: Operation,
    /// Probability with which it is applied.
    pub probability: f64,
}

impl Step {
    /// An operation with its usual probability: ½ for mirroring, 1 for those that draw an extent.
    pub fn new(operation: Operation) -> Self {
        let probability = operation.page().probability;
        Step { operation, probability }
    }
}

impl TryFrom<Table<String, Value>> for Step {
    type Error = Rule;

    fn try_from(mut table: Table<String, Value>) -> Result<Self, Rule> {
        let name = table.remove("name").and_then(|n| n.as_str().map(String::from));
        let name = name.ok_or_else(|| Rule::new("an operation without a name").right("name = \"rotate\""))?;
        let p = table.remove("p");
        let mut step = Step::new(Operation::read(&name, table)?);
        if let Some(p) = p {
            let wrong = || Rule::new(format!("`{name}` with p = {p}")).right("a probability from 0 to 1");
            step.probability = p.as_f64().filter(|p| (0.0..=1.0).contains(p)).ok_or_else(wrong)?;
        }
        Ok(step)
    }
}

impl From<Step> for Table<String, Value> {
    fn from(step: Step) -> Self {
        let mut table: Table<String, Value> =
            step.operation.values().into_iter().map(|(k, v)| (k.to_string(), v)).collect();
        table.insert("name".into(), step.operation.page().name.into());
        table.insert("p".into(), step.probability.into());
        table
    }
}

/// The variation of training images: operations in their order. The default is none. Unknown keys are errors.
///
/// As data, a list of [`Step`]s called `operation` (in TOML, `[[operation]]` tables) and the colour `fill`; as text, a
/// preset's name or words with commas between ([`FromStr`](std::str::FromStr)).
///
/// ```
/// use gabor_data::{Augmentation, Color, Image};
/// let image = Image::new(2, 2, Color::Grey, vec![1, 2, 3, 4]).unwrap();
/// let same = Augmentation::default().apply(&image, [2, 2], 7, 0, 0).unwrap();
/// assert_eq!(same.data(), image.data());
/// let pipeline: Augmentation = "shift:2,rotate:10,mirror".parse().unwrap();
/// assert_eq!(pipeline.operations.len(), 3);
/// assert_eq!(pipeline.to_string().parse(), Ok(pipeline));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augmentation {
    /// The colour beyond the edges and of what is cut out: red, green, blue; grey pictures take its luma.
    pub fill: [u8; 3],
    /// What is applied, first to last.
    #[serde(rename = "operation")]
    pub operations: Vec<Step>,
}

/// What a pipeline begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// The image as the model would get it.
    Window,
    /// The image after its resize and before its crop.
    Resized,
    /// The image as it is stored.
    Stored,
}

/// Memory that augmentation reuses from image to image.
#[derive(Default)]
pub(crate) struct Buffers {
    pub(crate) out: Vec<u8>,
    spare: Vec<u8>,
    map: Map,
    resize: resize::Buffers,
    blur: blur::Buffers,
}

fn fail(rule: Rule) -> Error {
    Error::new("augmentation", rule)
}

impl Augmentation {
    /// Whether nothing varies.
    pub fn is_off(&self) -> bool {
        self.operations.is_empty()
    }
    /// Checks that every parameter is in its bounds, that a crop comes first, and that there is only one.
    pub fn validate(&self) -> Result<(), Error> {
        for (i, step) in self.operations.iter().enumerate() {
            step.operation.validate().map_err(fail)?;
            let (name, p) = (step.operation.page().name, step.probability);
            if !(0.0..=1.0).contains(&p) {
                return Err(fail(Rule::new(format!("`{name}` with p = {p}")).right("a probability from 0 to 1")));
            }
            if step.operation.is_view() && (i > 0 || p < 1.0) {
                let rule = Rule::new(format!("`{name}` is operation {} with probability {p}", i + 1));
                return Err(fail(rule.right("a crop comes first, is alone of its kind, and is always done")));
            }
            if self.repeat(i) >= REPEATS {
                let rule = Rule::new(format!("{} operations `{name}`", REPEATS + 1));
                return Err(fail(rule.right(format!("at most {REPEATS} of a kind"))));
            }
        }
        Ok(())
    }
    /// How many operations before `i` are of its kind.
    fn repeat(&self, i: usize) -> u32 {
        let kind = std::mem::discriminant(&self.operations[i].operation);
        self.operations[..i].iter().filter(|s| std::mem::discriminant(&s.operation) == kind).count() as u32
    }
    pub(crate) fn needs(&self) -> Needs {
        match self.operations.first().map(|s| &s.operation) {
            Some(Operation::RandomCrop {}) => Needs::Resized,
            Some(Operation::CenterCrop {}) => Needs::Window,
            Some(op) if op.is_view() => Needs::Stored,
            _ => Needs::Window,
        }
    }
    /// What stands against making windows of `size` = [h, w] from images of so many channels, whose resize is followed by a
    /// crop or not.
    pub(crate) fn check(&self, size: [usize; 2], channels: usize, cropped: bool) -> Result<(), Error> {
        for step in &self.operations {
            if let Operation::PcaNoise { values, vectors, .. } = &step.operation
                && (values.len() != channels || vectors.len() != channels * channels)
            {
                let given =
                    format!("pca_noise of {} and {} numbers for {channels} channels", values.len(), vectors.len());
                let right = format!("{channels} values and {} vectors, or components of the data", channels * channels);
                return Err(fail(Rule::new(given).right(right)));
            }
        }
        match self.operations.first().map(|s| &s.operation) {
            Some(Operation::RandomCrop {}) if !cropped => Err(fail(
                Rule::new("random_crop without a crop in the preprocessing")
                    .right("a preprocessing with a crop, or random_resized_crop"),
            )),
            Some(Operation::CenterCrop {}) if !cropped => Err(fail(
                Rule::new("center_crop without a crop in the preprocessing")
                    .right("a preprocessing with a crop, or no center_crop: pictures are seen whole"),
            )),
            Some(Operation::ShortSide { to }) if to[0] < size[0].max(size[1]) as f64 => Err(fail(
                Rule::new(format!("short_side of {} for a window of {} × {}", to[0], size[0], size[1]))
                    .right(format!("at least {}", size[0].max(size[1]))),
            )),
            _ => Ok(()),
        }
    }
    /// A varied image of `size` = `[h, w]` rows and columns: what training sees of `sample` in `epoch` under `seed`. A
    /// pipeline that begins with `short_side` or `random_resized_crop` takes an image of any size; else an image larger
    /// than `size` is cut (anywhere with `random_crop`, at the centre with `center_crop` or without), and a smaller one is an error.
    pub fn apply(
        &self,
        image: &Image<'_>,
        size: [usize; 2],
        seed: u64,
        epoch: u32,
        sample: u32,
    ) -> Result<Image<'static>, Error> {
        self.apply_with(image, &mut Targets::default(), size, seed, epoch, sample)
    }
    /// The same with boxes, points and a label picture, which move with the image.
    pub fn apply_with(
        &self,
        image: &Image<'_>,
        targets: &mut Targets,
        size: [usize; 2],
        seed: u64,
        epoch: u32,
        sample: u32,
    ) -> Result<Image<'static>, Error> {
        self.validate()?;
        self.check(size, image.channels(), true)?;
        let smaller = size[0] > image.height() || size[1] > image.width();
        if size.contains(&0) || (smaller && self.needs() != Needs::Stored) {
            return Err(fail(
                Rule::new(format!("a window of {} × {} from {} × {}", size[0], size[1], image.height(), image.width()))
                    .right("a window inside the image"),
            ));
        }
        targets.check([image.height(), image.width()])?;
        let mut buffers = Buffers::default();
        self.apply_into(image, size, Filter::Bilinear, Key { seed, epoch, sample }, &mut buffers, Some(targets));
        Ok(Image::trusted(size[0], size[1], image.color(), buffers.out))
    }
    /// Leaves the result in `buffers.out`. The window must lie inside the image unless the pipeline resizes.
    pub(crate) fn apply_into(
        &self,
        image: &Image<'_>,
        size: [usize; 2],
        filter: Filter,
        key: Key,
        buffers: &mut Buffers,
        targets: Option<&mut Targets>,
    ) {
        let fill = match image.color() {
            Color::Grey => [crate::image::luma(&self.fill); 3],
            Color::Rgb => self.fill,
            Color::Bgr => [self.fill[2], self.fill[1], self.fill[0]],
        };
        let mut canvas = Canvas { source: Some(image), size, color: image.color(), fill, filter, buffers, targets };
        let view = self.operations.first().map(|s| &s.operation).filter(|op| op.is_view());
        canvas.open(view, key);
        for (i, step) in self.operations.iter().enumerate().skip(usize::from(view.is_some())) {
            let mut s = key.stream(step.operation.page().code, self.repeat(i));
            // Drawn also where it decides nothing, so that a probability of 1 draws the same extents as 0.99.
            if s.uniform() < step.probability {
                step.operation.run(&mut canvas, &mut s);
            }
        }
        canvas.settle();
    }
}

/// An image under way: pixels, and the map that geometric operations have added to it since they were drawn last.
struct Canvas<'a> {
    /// The image that nothing was drawn from yet; afterwards the pixels are in `buffers.out`.
    source: Option<&'a Image<'a>>,
    size: [usize; 2],
    color: Color,
    fill: [u8; 3],
    filter: Filter,
    buffers: &'a mut Buffers,
    targets: Option<&'a mut Targets>,
}

impl Canvas<'_> {
    fn channels(&self) -> usize {
        self.color.channels()
    }
    /// Draws what geometric operations have gathered.
    fn settle(&mut self) {
        let Buffers { out, spare, map, .. } = &mut *self.buffers;
        let src = match self.source.take() {
            Some(image) => Pixels { data: image.data(), size: [image.height(), image.width()] },
            None if map.is_identity() => return,
            None => Pixels { data: out, size: self.size },
        };
        let [r, g, b] = self.fill;
        match self.color {
            Color::Grey => warp::draw::<1>(src, self.size, map, Sampling::Bilinear, [r], spare),
            Color::Rgb | Color::Bgr => warp::draw::<3>(src, self.size, map, Sampling::Bilinear, [r, g, b], spare),
        }
        if let Some(targets) = &mut self.targets {
            targets.follow(map, self.size);
        }
        std::mem::swap(out, spare);
        map.reset(0.0, 0.0);
    }
    /// The pixels, drawn.
    fn pixels(&mut self) -> &mut Vec<u8> {
        self.settle();
        &mut self.buffers.out
    }
}

#[cfg(test)]
mod tests;
