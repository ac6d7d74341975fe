//! CIFAR's binary versions (Krizhevsky 2009): records of one label byte (CIFAR-10) or two, coarse and fine (CIFAR-100),
//! and 3 × 32 × 32 bytes, a plane per colour.

use super::read::{Contents, Entry, find_all, read_names};
use super::split::{Part, Parts};
use super::{MemoryDataset, OpenOptions, Splits};
use crate::{Color, Error, Limits};
use gabor_tensor::Rule;
use std::path::Path;

pub(super) const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
const NAMES: [&str; 10] = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// One of the two versions.
struct Version {
    kind: &'static str,
    /// Label bytes of a record; the last one counts.
    labels: usize,
    /// What the names of files begin with.
    files: &'static [(&'static str, Part)],
    /// The file of class names, and what they are without it.
    names: &'static str,
}

const TEN: Version = Version {
    kind: "CIFAR-10 binary",
    labels: 1,
    files: &[("data_batch", Part::Train), ("val_batch", Part::Validation), ("test_batch", Part::Test)],
    names: "batches.meta.txt",
};
const HUNDRED: Version = Version {
    kind: "CIFAR-100 binary",
    labels: 2,
    files: &[("train", Part::Train), ("test", Part::Test)],
    names: "fine_label_names.txt",
};

impl Version {
    fn owns(&self, name: &str, prefix: &str) -> bool {
        let stem = name.strip_suffix(".gz").unwrap_or(name).strip_suffix(".bin");
        // CIFAR-100's two files are called just so; CIFAR-10's are numbered.
        stem.is_some_and(|s| if self.labels == 2 { s == prefix } else { s.starts_with(prefix) })
    }
    fn is(&self, entries: &[Entry]) -> bool {
        entries.iter().any(|e| !e.is_dir && self.files.iter().any(|(prefix, _)| self.owns(&e.name, prefix)))
    }
    /// The names where no file says them: CIFAR-10's are known, CIFAR-100's are numbers.
    fn default_names(&self) -> Vec<String> {
        if self.labels == 1 { NAMES.map(String::from).to_vec() } else { (0..100).map(|i| i.to_string()).collect() }
    }
}

/// Whether the directory holds CIFAR binary files.
pub(super) fn is(entries: &[Entry]) -> bool {
    TEN.is(entries) || HUNDRED.is(entries)
}

/// Opens all training and test files, in name order; a lone training part is split by the options.
pub(super) fn open(_dir: &Path, entries: &[Entry], options: &OpenOptions) -> Result<Splits, Error> {
    let version = if TEN.is(entries) { TEN } else { HUNDRED };
    let classes = match entries.iter().find(|e| !e.is_dir && e.name == version.names) {
        Some(e) => read_names(&e.path, &options.limits)?,
        None => version.default_names(),
    };
    let mut parts = Parts::new(version.kind);
    for &(prefix, part) in version.files {
        let mut set = empty(&classes);
        let files = find_all(entries, |n| version.owns(n, prefix));
        for e in &files {
            set.parts.push((e.name.clone(), set.labels.len()));
            let contents = Contents::open(&e.path, &options.limits)?;
            match version.labels {
                1 => parse::<{ 1 + 3 * PLANE }>(contents, &options.limits, &mut set)?,
                _ => parse::<{ 2 + 3 * PLANE }>(contents, &options.limits, &mut set)?,
            }
        }
        if !files.is_empty() {
            parts.put(part, set);
        }
    }
    parts.finish(options)
}

/// A data set of no images yet.
pub(super) fn empty(classes: &[String]) -> MemoryDataset {
    MemoryDataset {
        height: SIDE,
        width: SIDE,
        color: Color::Rgb,
        pixels: Vec::new(),
        labels: Vec::new(),
        classes: classes.to_vec(),
        parts: Vec::new(),
    }
}

/// Appends the records of one file, of `RECORD` bytes each, planes interleaved; a record's last label counts.
fn parse<const RECORD: usize>(
    mut contents: Contents<'_>,
    limits: &Limits,
    set: &mut MemoryDataset,
) -> Result<(), Error> {
    let mut count = 0u64;
    loop {
        // A bounded number of records at a time, so that memory is checked before it is taken.
        let chunk = contents.up_to(256 * RECORD as u64)?;
        let (records, rest) = chunk.as_chunks::<RECORD>();
        limits.check_memory((set.pixels.len() + records.len() * 3 * PLANE) as u64).map_err(|r| contents.error(0, r))?;
        for record in records {
            let label = record[RECORD - 3 * PLANE - 1];
            if usize::from(label) >= set.classes.len() {
                return Err(Error::new(
                    contents.place(count * RECORD as u64),
                    Rule::new(format!("label {label} of record {count} is out of range"))
                        .right(format!("labels below {}", set.classes.len())),
                ));
            }
            set.labels.push(label.into());
            let at = set.pixels.len();
            set.pixels.resize(at + 3 * PLANE, 0);
            let (r, gb) = record[RECORD - 3 * PLANE..].split_at(PLANE);
            let (g, b) = gb.split_at(PLANE);
            for (out, ((&r, &g), &b)) in set.pixels[at..].as_chunks_mut::<3>().0.iter_mut().zip(r.iter().zip(g).zip(b))
            {
                *out = [r, g, b];
            }
            count += 1;
        }
        if !rest.is_empty() {
            return Err(contents.error(
                0,
                Rule::new(format!("the file ends within record {count}"))
                    .given(format!("{} bytes", rest.len()))
                    .right(format!("{RECORD} bytes a record")),
            ));
        }
        if records.len() < 256 {
            break;
        }
    }
    if count == 0 {
        return Err(contents.error(0, Rule::new("no records").right(format!("at least one of {RECORD} bytes"))));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dataset;

    const RECORD: usize = 1 + 3 * PLANE;

    fn read(bytes: &[u8]) -> Result<MemoryDataset, String> {
        let mut set = empty(&NAMES.map(String::from));
        let path = Path::new("data_batch_1.bin");
        Contents::new(path, bytes)
            .and_then(|c| parse::<RECORD>(c, &Limits::default(), &mut set))
            .map_err(|e| e.to_string())?;
        Ok(set)
    }

    #[test]
    fn planes_become_pixels() {
        let mut bytes = vec![3];
        bytes.extend([10; PLANE].iter().chain(&[20; PLANE]).chain(&[30; PLANE]));
        let set = read(&bytes).unwrap();
        assert_eq!(set.labels(), [3]);
        assert_eq!(set.image(0).unwrap().data()[..6], [10, 20, 30, 10, 20, 30]);
    }

    #[test]
    fn the_fine_label_of_cifar_100_counts() {
        let mut set = empty(&HUNDRED.default_names());
        let mut bytes = vec![3, 77];
        bytes.resize(2 + 3 * PLANE, 9);
        let contents = Contents::new(Path::new("train.bin"), &bytes[..]).unwrap();
        parse::<{ 2 + 3 * PLANE }>(contents, &Limits::default(), &mut set).unwrap();
        assert_eq!((set.labels(), set.image(0).unwrap().data()[0]), (&[77][..], 9));
    }

    #[test]
    fn messages() {
        assert_eq!(
            read(&[0; 2 * RECORD + 5]).unwrap_err(),
            "data_batch_1.bin at byte 6151: the file ends within record 2; given: 5 bytes; right would be: 3073 bytes a record"
        );
        let mut bytes = vec![0; 2 * RECORD];
        bytes[RECORD] = 10;
        assert_eq!(
            read(&bytes).unwrap_err(),
            "data_batch_1.bin at byte 3073: label 10 of record 1 is out of range; right would be: labels below 10"
        );
        assert!(read(&[]).unwrap_err().contains("no records"));
    }
}
