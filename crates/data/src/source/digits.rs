//! The 1,797 handwritten digits that are part of this crate.

use super::read::{Contents, Entry, find_one};
use super::{MemoryDataset, OpenOptions, Splits, split};
use crate::{Color, Error, Limits};
use gabor_tensor::Rule;
use std::path::Path;
use std::sync::Arc;

static ASSET: &[u8] = include_bytes!("../../assets/digits.csv.gz");
const PIXELS: usize = 64;
const CLASSES: u32 = 10;
/// Part and seed of the fixed split.
const SPLIT: (f64, u64) = (0.2, 0);

/// The embedded digits: 1,797 grey images of 8 × 8, classes `0` to `9`, split by class with seed 0 into 1,437 to train
/// and 360 to test.
///
/// The original grey levels 0..16 are rescaled to 0..255 (`round(255 · v / 16)`), so that a model trained on them
/// reads ordinary pictures alike.
///
/// Source: "Optical Recognition of Handwritten Digits" (its test part), E. Alpaydin and C. Kaynak 1998, UCI Machine
/// Learning Repository, <https://doi.org/10.24432/C50P49>, licence CC BY 4.0.
///
/// ```
/// use gabor_data::Dataset;
/// let splits = gabor_data::digits();
/// assert_eq!((splits.train().unwrap().len(), splits.evaluation().unwrap().1.len()), (1437, 360));
/// ```
pub fn digits() -> Splits {
    let read = || Contents::new(Path::new("digits"), ASSET).and_then(|c| parse(c, &Limits::default())).and_then(splits);
    read().expect("the embedded digits are checked by a test")
}

fn splits(set: MemoryDataset) -> Result<Splits, Error> {
    let split::Drawn { kept: train, held: test, .. } =
        split::split(Arc::new(set), SPLIT.0, SPLIT.1, &Default::default())?;
    Ok(Splits { kind: "digits", train: Some(train), validation: None, test: Some(test), notes: Vec::new() })
}

fn named(name: &str) -> bool {
    name == "digits.csv" || name == "digits.csv.gz"
}

/// Whether the directory holds the digits as a file.
pub(super) fn is(entries: &[Entry]) -> bool {
    entries.iter().any(|e| !e.is_dir && named(&e.name))
}

/// Opens `digits.csv` with the same fixed split.
pub(super) fn open(dir: &Path, entries: &[Entry], options: &OpenOptions) -> Result<Splits, Error> {
    let entry = find_one(entries, "digits", named)?
        .ok_or_else(|| Error::at(dir, Rule::new("no digits.csv").right("digits.csv or digits.csv.gz")))?;
    splits(parse(Contents::open(&entry.path, &options.limits)?, &options.limits)?)
}

/// Reads lines of 64 grey levels 0..16 and a label 0..9.
fn parse(mut contents: Contents<'_>, limits: &Limits) -> Result<MemoryDataset, Error> {
    let bytes = contents.up_to(limits.memory.min(1 << 26) + 1)?;
    if bytes.len() > 1 << 26 {
        return Err(contents.error(0, Rule::new("more text than 64 MiB").right("lines of 65 numbers")));
    }
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for (number, line) in bytes.split(|&b| b == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let fail = |what: String| {
            let right = "64 grey levels 0..16 and a label 0..9, separated by commas";
            Error::new(contents.file(), Rule::new(format!("line {}: {what}", number + 1)).right(right))
        };
        let text = std::str::from_utf8(line).map_err(|_| fail("not text".into()))?;
        let values: Vec<f32> = text.split(',').map_while(|v| v.trim().parse().ok()).collect();
        if values.len() != PIXELS + 1 {
            return Err(fail(format!("{} numbers", values.len())));
        }
        if let Some(v) = values[..PIXELS].iter().find(|v| !(0.0..=16.0).contains(*v)) {
            return Err(fail(format!("grey level {v}")));
        }
        let label = values[PIXELS];
        if !(0.0..CLASSES as f32).contains(&label) || label.fract() != 0.0 {
            return Err(fail(format!("label {label}")));
        }
        pixels.extend(values[..PIXELS].iter().map(|v| (v * (255.0 / 16.0) + 0.5) as u8));
        labels.push(label as u32);
    }
    MemoryDataset::new("digits", 8, 8, Color::Grey, pixels, labels, (0..CLASSES).map(|c| c.to_string()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dataset;

    #[test]
    fn embedded_digits_are_whole() {
        let set = parse(Contents::new(Path::new("digits"), ASSET).unwrap(), &Limits::default()).unwrap();
        assert_eq!(set.len(), 1797);
        assert_eq!(set.histogram(), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        assert_eq!(set.image(0).unwrap().data()[..8], [0, 0, 80, 207, 143, 16, 0, 0]);
        assert!(set.image(1797).is_err() && set.image(usize::MAX).is_err());
        let s = digits();
        let (train, test) = (s.train.unwrap(), s.test.unwrap());
        assert_eq!((train.len(), test.len()), (1437, 360));
        assert!(test.histogram().iter().all(|&c| (35..=37).contains(&c)), "{:?}", test.histogram());
        assert!(test.id(0).starts_with("digits["));
    }

    #[test]
    fn messages() {
        let parse = |b: &[u8]| {
            parse(Contents::new(Path::new("d.csv"), b).unwrap(), &Limits::default()).unwrap_err().to_string()
        };
        let line = |v: &str, l: &str| [vec![v; 64], vec![l]].concat().join(",");
        assert!(parse(b"1,2,3\n").starts_with("d.csv: line 1: 3 numbers; right would be: 64 grey levels"));
        assert!(parse(line("17", "3").as_bytes()).contains("grey level 17"));
        assert!(parse(line("nan", "3").as_bytes()).contains("grey level NaN"));
        assert!(parse(line("1", "10").as_bytes()).contains("label 10"));
        assert!(parse(b"").contains("0 bytes for 0 images"));
    }
}
