//! IDX, as MNIST has it: images and labels in a file each, counts in front.

use super::{Item, Place, Writer, of_sample, unwritten, write_file, write_names};
use crate::{Color, Error, Part};
use gabor_tensor::Rule;
use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::PathBuf;

pub(super) struct Idx {
    place: Place,
    part: Part,
    images: Option<(PathBuf, BufWriter<File>)>,
    labels: Vec<u8>,
    /// Height and width, which the first image says for all parts.
    size: Option<[usize; 2]>,
}

/// The checks of classes that formats with a byte for the label share.
pub(super) fn check_classes(place: &Place, format: &str) -> Result<(), Error> {
    if place.classes.len() > 256 {
        let rule = Rule::new(format!("{} classes in {format}, whose labels are bytes", place.classes.len()));
        return Err(Error::new("data set", rule.right("at most 256, or --to folder, tar or parquet")));
    }
    Ok(())
}

/// What the part is called in file names.
fn stem(part: Part) -> &'static str {
    match part {
        Part::Train => "train",
        Part::Validation => "val",
        Part::Test => "t10k",
    }
}

fn word(n: usize) -> Result<[u8; 4], Error> {
    let rule = || Rule::new(format!("{n} is too large a number for IDX")).right(format!("at most {}", u32::MAX));
    u32::try_from(n).map(u32::to_be_bytes).map_err(|_| Error::new("data set", rule()))
}

impl Idx {
    pub fn new(place: Place) -> Result<Self, Error> {
        check_classes(&place, "IDX")?;
        Ok(Idx { place, part: Part::Train, images: None, labels: Vec::new(), size: None })
    }
}

impl Writer for Idx {
    fn takes_files(&self) -> bool {
        false
    }
    fn begin(&mut self, part: Part, count: u64) -> Result<(), Error> {
        word(count as usize)?;
        let path = self.place.directory.join(format!("{}-images-idx3-ubyte", stem(part)));
        let file = File::create(&path).map_err(|e| unwritten(&path, &e))?;
        let mut file = BufWriter::with_capacity(1 << 20, file);
        // The header comes when the count is known.
        file.write_all(&[0; 16]).map_err(|e| unwritten(&path, &e))?;
        self.part = part;
        self.images = Some((path, file));
        self.labels.clear();
        Ok(())
    }
    fn add(&mut self, item: Item<'_>, label: u32) -> Result<(), Error> {
        let (Item::Pixels(image), Some((path, file))) = (item, &mut self.images) else { return Ok(()) };
        if image.color() != Color::Grey {
            let rule = Rule::new("a coloured image, and IDX of this kind holds grey ones");
            return Err(of_sample(rule.right("--color grey, or another format")));
        }
        let [height, width] = *self.size.get_or_insert([image.height(), image.width()]);
        if [height, width] != [image.height(), image.width()] {
            let rule = Rule::new(format!("an image of {} × {}", image.height(), image.width()))
                .given(format!("{height} × {width} before, and IDX holds one size"));
            return Err(of_sample(rule.right("--size HEIGHTxWIDTH, or another format")));
        }
        self.labels.push(label as u8);
        file.write_all(image.data()).map_err(|e| unwritten(path, &e))
    }
    fn end(&mut self) -> Result<(), Error> {
        let Some((path, mut file)) = self.images.take() else { return Ok(()) };
        let [height, width] = self.size.unwrap_or_default();
        let header = [[0, 0, 8, 3], word(self.labels.len())?, word(height)?, word(width)?].concat();
        let io = |e| unwritten(&path, &e);
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        file.write_all(&header).map_err(io)?;
        file.flush().map_err(io)?;
        let labels = [&[0, 0, 8, 1], &word(self.labels.len())?[..], &self.labels].concat();
        write_file(&self.place.directory.join(format!("{}-labels-idx1-ubyte", stem(self.part))), &labels)
    }
    fn finish(&mut self) -> Result<(), Error> {
        write_names(&self.place, "classes.txt")
    }
}
