//! A data set held in memory as bytes.

use super::{Dataset, out_of_range, twins};
use crate::{Color, Error, Image};
use gabor_tensor::Rule;

/// Images of one size, held in memory: n × h × w × c bytes. Images are borrowed, never copied.
#[derive(Clone, Debug)]
pub struct MemoryDataset {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) color: Color,
    pub(super) pixels: Vec<u8>,
    pub(super) labels: Vec<u32>,
    pub(super) classes: Vec<String>,
    /// The name of each part and the index of its first sample.
    pub(super) parts: Vec<(String, usize)>,
}

impl MemoryDataset {
    /// A data set from its pixels (n × `height` × `width` × channels), labels and class names; `name` is what samples
    /// are called after. Errors: sizes that disagree, no images, a label beyond the classes.
    ///
    /// ```
    /// use gabor_data::{Color, Dataset, MemoryDataset};
    /// let names = vec!["dark".to_string(), "bright".to_string()];
    /// let set = MemoryDataset::new("toy", 1, 2, Color::Grey, vec![0, 1, 254, 255], vec![0, 1], names).unwrap();
    /// assert_eq!(set.sample(1).unwrap().image.data(), [254, 255]);
    /// assert_eq!(set.id(1), "toy[1]");
    /// ```
    pub fn new(
        name: &str,
        height: usize,
        width: usize,
        color: Color,
        pixels: Vec<u8>,
        labels: Vec<u32>,
        classes: Vec<String>,
    ) -> Result<Self, Error> {
        let fail = |rule| Err(Error::new(name, rule));
        let want = height.checked_mul(width).and_then(|v| v.checked_mul(color.channels() * labels.len()));
        if want != Some(pixels.len()) || pixels.is_empty() {
            return fail(
                Rule::new(format!(
                    "{} bytes for {} images of {height} × {width} × {}",
                    pixels.len(),
                    labels.len(),
                    color.channels()
                ))
                .right(
                    want.filter(|&w| w > 0)
                        .map_or("at least one image of at least one pixel".into(), |w| format!("{w} bytes")),
                ),
            );
        }
        if let Some((i, l)) = labels.iter().enumerate().find(|(_, l)| **l as usize >= classes.len()) {
            return fail(
                Rule::new(format!("label {l} of sample {i} with {} classes", classes.len()))
                    .right("labels below the number of classes"),
            );
        }
        Ok(MemoryDataset { height, width, color, pixels, labels, classes, parts: vec![(name.into(), 0)] })
    }
}

impl Dataset for MemoryDataset {
    fn labels(&self) -> &[u32] {
        &self.labels
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
    fn id(&self, i: usize) -> String {
        match self.parts.iter().rev().find(|(_, first)| *first <= i) {
            Some((name, first)) => format!("{name}[{}]", i - first),
            None => format!("[{i}]"),
        }
    }
    fn image(&self, i: usize) -> Result<Image<'_>, Error> {
        let size = self.height * self.width * self.color.channels();
        let pixels = i.checked_mul(size).and_then(|at| self.pixels.get(at..at.checked_add(size)?));
        let pixels = pixels.ok_or_else(|| out_of_range(i, self.labels.len()))?;
        Ok(Image::trusted(self.height, self.width, self.color, pixels))
    }
    fn twins(&self) -> Option<Vec<Vec<usize>>> {
        let whole = |i: usize| self.image(i).ok().map(|image| twins::digest(&[image.data()]));
        Some(twins::groups(self.labels.len(), 1, &[&whole]))
    }
    fn stored_bytes(&self) -> Option<u64> {
        Some(self.pixels.len() as u64)
    }
    fn shape(&self) -> Option<[usize; 3]> {
        Some([self.color.channels(), self.height, self.width])
    }
}
