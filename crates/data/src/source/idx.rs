//! IDX, the format of MNIST: big-endian magic number and extents, then bytes (LeCun, Cortes, Burges,
//! "The MNIST database of handwritten digits").

use super::read::{Contents, Entry, class_names, find_one};
use super::split::{Part, Parts};
use super::{MemoryDataset, OpenOptions, Splits};
use crate::{Color, Error, Limits};
use gabor_tensor::Rule;
use std::path::Path;

const IMAGES: u32 = 0x0803;
const LABELS: u32 = 0x0801;
/// The parts as they are called in file names.
const TRAIN: &[&str] = &["train"];
const VALIDATION: &[&str] = &["val", "valid", "validation"];
const TEST: &[&str] = &["t10k", "test"];

fn named(name: &str, parts: &[&str], what: &str) -> bool {
    parts.iter().any(|p| name.contains(&format!("{p}-{what}")))
}

/// Whether the directory holds IDX files.
pub(super) fn is(entries: &[Entry]) -> bool {
    entries.iter().any(|e| {
        !e.is_dir
            && [TRAIN, VALIDATION, TEST].iter().any(|p| named(&e.name, p, "images") || named(&e.name, p, "labels"))
    })
}

/// Opens the pairs of files that are there; a lone training pair is split by the options.
pub(super) fn open(dir: &Path, entries: &[Entry], options: &OpenOptions) -> Result<Splits, Error> {
    let names = class_names(entries, &options.limits)?;
    let train = pair(dir, entries, TRAIN, options, names.clone())?;
    let names = train.as_ref().map(|t| t.classes.clone()).or(names);
    let validation = pair(dir, entries, VALIDATION, options, names.clone())?;
    let test = pair(dir, entries, TEST, options, names)?;
    let mut parts = Parts::new("IDX");
    for (part, set) in [(Part::Train, train), (Part::Validation, validation), (Part::Test, test)] {
        if let Some(set) = set {
            parts.put(part, set);
        }
    }
    parts.finish(options)
}

/// One part: images and labels, whose counts must agree.
fn pair(
    dir: &Path,
    entries: &[Entry],
    part: &[&str],
    options: &OpenOptions,
    names: Option<Vec<String>>,
) -> Result<Option<MemoryDataset>, Error> {
    let images = find_one(entries, &format!("{} images", part[0]), |n| named(n, part, "images"))?;
    let labels = find_one(entries, &format!("{} labels", part[0]), |n| named(n, part, "labels"))?;
    let (images, labels) = match (images, labels) {
        (None, None) => return Ok(None),
        (Some(i), Some(l)) => (i, l),
        (i, _) => {
            let missing = if i.is_some() { "labels" } else { "images" };
            return Err(Error::at(
                dir,
                Rule::new(format!("no {} {missing}", part[0]))
                    .given(format!("only {}", i.or(labels).map_or("", |e| &e.name)))
                    .right(format!("a file {}-{missing}-idx{}-ubyte", part[0], if i.is_some() { 1 } else { 3 })),
            ));
        }
    };
    let pixels = parse_images(Contents::open(&images.path, &options.limits)?, &options.limits)?;
    let values = parse_labels(Contents::open(&labels.path, &options.limits)?, &options.limits)?;
    join(&images.path, pixels, &labels.path, &values, names).map(Some)
}

/// The contents of a file of images.
pub(super) struct Images {
    count: u32,
    height: u32,
    width: u32,
    pixels: Vec<u8>,
}

fn magic(contents: &mut Contents<'_>, want: u32, what: &str) -> Result<(), Error> {
    let magic = contents.be_u32("the magic number")?;
    if magic != want {
        return Err(contents.error(
            0,
            Rule::new(format!("magic number {magic} (0x{magic:08x})")).right(format!("{want} for IDX {what} of bytes")),
        ));
    }
    Ok(())
}

/// Reads a file of images; extents are checked before pixels are read.
pub(super) fn parse_images(mut contents: Contents<'_>, limits: &Limits) -> Result<Images, Error> {
    magic(&mut contents, IMAGES, "images")?;
    let count = contents.be_u32("the number of images")?;
    let height = contents.be_u32("the number of rows")?;
    let width = contents.be_u32("the number of columns")?;
    if count == 0 {
        return Err(contents.error(0, Rule::new("0 images in the header").right("at least one")));
    }
    limits.check_image(height.into(), width.into(), 1).map_err(|r| contents.error(0, r))?;
    let bytes = u64::from(height) * u64::from(width) * u64::from(count);
    let given = || format!("{count} images of {height} × {width} in the header");
    limits.check_memory(bytes).map_err(|r| contents.error(0, r.given(given())))?;
    let pixels = contents.exact(bytes, &given())?;
    contents.end()?;
    Ok(Images { count, height, width, pixels })
}

/// Reads a file of labels.
pub(super) fn parse_labels(mut contents: Contents<'_>, limits: &Limits) -> Result<Vec<u8>, Error> {
    magic(&mut contents, LABELS, "labels")?;
    let count = contents.be_u32("the number of labels")?;
    limits.check_memory(count.into()).map_err(|r| contents.error(0, r))?;
    let labels = contents.exact(count.into(), &format!("{count} labels"))?;
    contents.end()?;
    Ok(labels)
}

/// Joins images and labels. Without names the classes are 0..=the largest label; a label far beyond the others is then
/// an error and not hundreds of empty classes.
pub(super) fn join(
    images_path: &Path,
    images: Images,
    labels_path: &Path,
    labels: &[u8],
    names: Option<Vec<String>>,
) -> Result<MemoryDataset, Error> {
    if images.count as usize != labels.len() {
        return Err(Error::at(
            labels_path,
            Rule::new(format!("{} labels for {} images", labels.len(), images.count))
                .given(format!("images from {}", images_path.display()))
                .right("as many labels as images"),
        ));
    }
    let classes = match names {
        Some(names) => {
            check_below(labels_path, labels, names.len(), "the number of classes")?;
            names
        }
        None => {
            let different = (0..=255u8).filter(|v| labels.contains(v)).count();
            check_below(labels_path, labels, 2 * different, "twice the number of different labels")?;
            let largest = labels.iter().max().map_or(0, |&v| usize::from(v));
            (0..=largest).map(|v| v.to_string()).collect()
        }
    };
    let name = images_path.file_name().map_or_else(|| "images".into(), |n| n.to_string_lossy());
    let labels = labels.iter().map(|&l| u32::from(l)).collect();
    MemoryDataset::new(
        &name,
        images.height as usize,
        images.width as usize,
        Color::Grey,
        images.pixels,
        labels,
        classes,
    )
}

fn check_below(path: &Path, labels: &[u8], bound: usize, why: &str) -> Result<(), Error> {
    match labels.iter().position(|&l| usize::from(l) >= bound) {
        Some(i) => Err(Error::at_byte(
            path,
            8 + i as u64,
            Rule::new(format!("label {} of sample {i} is out of range", labels[i]))
                .right(format!("labels below {bound}, {why}")),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dataset;

    fn images(magic: u32, n: u32, h: u32, w: u32, bytes: usize) -> Vec<u8> {
        let mut out: Vec<u8> = [magic, n, h, w].iter().flat_map(|v| v.to_be_bytes()).collect();
        out.resize(16 + bytes, 7);
        out
    }
    fn parse(bytes: &[u8]) -> Result<Images, String> {
        let path = Path::new("x-images");
        Contents::new(path, bytes).and_then(|c| parse_images(c, &Limits::default())).map_err(|e| e.to_string())
    }
    fn parse_l(bytes: &[u8]) -> Result<Vec<u8>, String> {
        Contents::new(Path::new("x-labels"), bytes)
            .and_then(|c| parse_labels(c, &Limits::default()))
            .map_err(|e| e.to_string())
    }

    #[test]
    fn messages() {
        let err = |b: &[u8]| parse(b).err().unwrap();
        assert_eq!(
            err(&images(2049, 1, 2, 2, 4)),
            "x-images at byte 4: magic number 2049 (0x00000801); right would be: 2051 for IDX images of bytes"
        );
        assert_eq!(
            err(&images(2051, 3, 2, 2, 7)),
            "x-images at byte 23: the file ends within 3 images of 2 × 2 in the header; given: 7 bytes; right would be: 12 bytes"
        );
        assert_eq!(
            err(&images(2051, u32::MAX, 1000, 1000, 7)),
            "x-images at byte 16: 4294967295000000 bytes when unpacked are more than the limit; \
             given: 4294967295 images of 1000 × 1000 in the header; right would be: at most 4294967296 bytes"
        );
        assert!(err(&images(2051, 1, u32::MAX, u32::MAX, 7)).contains("more pixels than the limit"));
        assert!(err(&images(2051, 1, 0, 4, 0)).contains("without pixels"));
        assert!(err(&images(2051, 0, 4, 4, 0)).contains("0 images"));
        assert!(err(&images(2051, 1, 2, 2, 5)).contains("bytes follow"));
        assert!(err(&[0, 0]).contains("ends within the magic number"));
        assert!(parse_l(&[0, 0, 8, 1, 0, 0, 0, 9, 1]).unwrap_err().contains("ends within 9 labels"));
    }

    #[test]
    fn counts_and_labels_are_checked() {
        let join = |labels: &[u8], names| {
            let images = parse(&images(2051, 2, 1, 1, 2)).unwrap();
            join(Path::new("i"), images, Path::new("l"), labels, names).map_err(|e| e.to_string())
        };
        assert_eq!(join(&[1, 0], None).unwrap().classes(), ["0", "1"]);
        assert_eq!(
            join(&[1], None).unwrap_err(),
            "l: 1 labels for 2 images; given: images from i; right would be: as many labels as images"
        );
        assert_eq!(
            join(&[0, 255], None).unwrap_err(),
            "l at byte 9: label 255 of sample 1 is out of range; right would be: labels below 4, twice the number of different labels"
        );
        assert!(
            join(&[0, 2], Some(vec!["a".into(), "b".into()]))
                .unwrap_err()
                .contains("labels below 2, the number of classes")
        );
    }
}
