//! CIFAR-10's binary files: records of a label byte and three planes of 32 × 32.

use super::{Item, Place, Writer, of_sample, unwritten, write_names};
use crate::source::CIFAR_SIDE;
use crate::{Color, Error, Part};
use gabor_tensor::Rule;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// Records of a file, as CIFAR-10 has them.
const RECORDS: u64 = 10_000;

pub(super) struct Cifar {
    place: Place,
    part: Part,
    /// Samples of the part, and digits of a file's number.
    written: u64,
    digits: usize,
    file: Option<(PathBuf, BufWriter<File>)>,
    record: Vec<u8>,
}

impl Cifar {
    pub fn new(place: Place) -> Result<Self, Error> {
        super::idx::check_classes(&place, "CIFAR's binary files")?;
        Ok(Cifar { place, part: Part::Train, written: 0, digits: 1, file: None, record: Vec::new() })
    }
    fn close(&mut self) -> Result<(), Error> {
        match self.file.take() {
            Some((path, mut file)) => file.flush().map_err(|e| unwritten(&path, &e)),
            None => Ok(()),
        }
    }
}

impl Writer for Cifar {
    fn takes_files(&self) -> bool {
        false
    }
    fn begin(&mut self, part: Part, count: u64) -> Result<(), Error> {
        (self.part, self.written) = (part, 0);
        // Files are read in the order of their names.
        self.digits = count.div_ceil(RECORDS).to_string().len();
        Ok(())
    }
    fn add(&mut self, item: Item<'_>, label: u32) -> Result<(), Error> {
        let Item::Pixels(image) = item else { return Ok(()) };
        if [image.height(), image.width()] != [CIFAR_SIDE; 2] {
            let rule = Rule::new(format!("an image of {} × {}", image.height(), image.width()));
            return Err(of_sample(rule.right("--size 32x32, the only size of CIFAR's binary files")));
        }
        if self.written.is_multiple_of(RECORDS) {
            self.close()?;
            let number = self.written / RECORDS + 1;
            let digits = self.digits;
            let name = match self.part {
                Part::Train => format!("data_batch_{number:0digits$}.bin"),
                Part::Validation => format!("val_batch_{number:0digits$}.bin"),
                Part::Test => format!("test_batch_{number:0digits$}.bin"),
            };
            let path = self.place.directory.join(name);
            let file = File::create(&path).map_err(|e| unwritten(&path, &e))?;
            self.file = Some((path, BufWriter::with_capacity(1 << 20, file)));
        }
        let image = image.to_color(Color::Rgb);
        self.record.clear();
        self.record.push(label as u8);
        for channel in 0..3 {
            self.record.extend(image.data()[channel..].iter().step_by(3));
        }
        self.written += 1;
        match &mut self.file {
            Some((path, file)) => file.write_all(&self.record).map_err(|e| unwritten(path, &e)),
            None => Ok(()),
        }
    }
    fn end(&mut self) -> Result<(), Error> {
        self.close()
    }
    fn finish(&mut self) -> Result<(), Error> {
        write_names(&self.place, "batches.meta.txt")
    }
}
