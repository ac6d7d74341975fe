//! CIFAR-10's binary version: records of one label byte and 3 × 32 × 32 bytes, a plane per colour (Krizhevsky 2009).

use super::read::{Contents, Entry, find_all};
use super::{Dataset, MemoryDataset, OpenOptions, Splits, split};
use crate::{Color, Error, Limits};
use gabor_tensor::Rule;
use std::path::Path;
use std::sync::Arc;

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
const RECORD: usize = 1 + 3 * PLANE;
const NAMES: [&str; 10] = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

fn named(name: &str, prefix: &str) -> bool {
    name.starts_with(prefix) && (name.ends_with(".bin") || name.ends_with(".bin.gz"))
}

/// Whether the directory holds CIFAR-10 binary files.
pub(super) fn is(entries: &[Entry]) -> bool {
    entries.iter().any(|e| !e.is_dir && (named(&e.name, "data_batch") || named(&e.name, "test_batch")))
}

/// Opens all training and test files, in name order; a lone training part is split by the options.
pub(super) fn open(_dir: &Path, entries: &[Entry], options: &OpenOptions) -> Result<Splits, Error> {
    let classes = match entries.iter().find(|e| !e.is_dir && e.name == "batches.meta.txt") {
        Some(e) => read_names(&e.path, &options.limits)?,
        None => NAMES.map(String::from).to_vec(),
    };
    let mut out = Splits { kind: "CIFAR-10 binary", train: None, validation: None, test: None, notes: Vec::new() };
    for (prefix, part) in [("data_batch", &mut out.train), ("test_batch", &mut out.test)] {
        let mut set = empty(&classes);
        let files = find_all(entries, |n| named(n, prefix));
        for e in &files {
            set.parts.push((e.name.clone(), set.labels.len()));
            parse(Contents::open(&e.path, &options.limits)?, &options.limits, &mut set)?;
        }
        if !files.is_empty() {
            *part = Some(Arc::new(set) as Arc<dyn Dataset>);
        }
    }
    if let (Some(train), None) = (&out.train, &out.test) {
        let (kept, held) = split::split(train.clone(), options.test_fraction, options.seed)?;
        out.notes.push(format!("no test files: {} of {} samples held out as the test part", held.len(), train.len()));
        (out.train, out.test) = (Some(kept), Some(held));
    }
    Ok(out)
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

fn read_names(path: &Path, limits: &Limits) -> Result<Vec<String>, Error> {
    let bytes = Contents::open(path, limits)?.up_to(1 << 16)?;
    let names: Vec<String> =
        String::from_utf8_lossy(&bytes).lines().map(str::trim).filter(|l| !l.is_empty()).map(String::from).collect();
    if names.len() != 10 {
        return Err(Error::at(path, Rule::new(format!("{} class names", names.len())).right("10, one a line")));
    }
    Ok(names)
}

/// Appends the records of one file, planes interleaved.
pub(super) fn parse(mut contents: Contents<'_>, limits: &Limits, set: &mut MemoryDataset) -> Result<(), Error> {
    let mut count = 0u64;
    loop {
        // A bounded number of records at a time, so that memory is checked before it is taken.
        let chunk = contents.up_to(256 * RECORD as u64)?;
        let (records, rest) = chunk.as_chunks::<RECORD>();
        limits.check_memory((set.pixels.len() + records.len() * 3 * PLANE) as u64).map_err(|r| contents.error(0, r))?;
        for record in records {
            if usize::from(record[0]) >= set.classes.len() {
                return Err(Error::new(
                    contents.place(count * RECORD as u64),
                    Rule::new(format!("label {} of record {count} is out of range", record[0]))
                        .right(format!("labels below {}", set.classes.len())),
                ));
            }
            set.labels.push(record[0].into());
            let at = set.pixels.len();
            set.pixels.resize(at + 3 * PLANE, 0);
            let (r, gb) = record[1..].split_at(PLANE);
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

    fn read(bytes: &[u8]) -> Result<MemoryDataset, String> {
        let mut set = empty(&NAMES.map(String::from));
        let path = Path::new("data_batch_1.bin");
        Contents::new(path, bytes).and_then(|c| parse(c, &Limits::default(), &mut set)).map_err(|e| e.to_string())?;
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
