//! A folder per class, files decoded when they are asked for.

use super::read::{Entry, list};
use super::{Dataset, OpenOptions, Splits, out_of_range, split};
use crate::decode::read_file;
use crate::{Error, Image, Limits, decode_file};
use gabor_tensor::Rule;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// File name endings that are read; the contents decide the decoder.
const READ: [&str; 7] = ["png", "jpg", "jpeg", "bmp", "gif", "webp", "jfif"];
/// Endings of images that are not read: an error, not a silent omission.
const UNREAD: [&str; 16] = [
    "tif", "tiff", "heic", "heif", "avif", "jxl", "jp2", "j2k", "svg", "ico", "psd", "tga", "exr", "hdr", "dng", "raw",
];
const TRAIN: [&str; 2] = ["train", "training"];
const VALIDATION: [&str; 3] = ["val", "valid", "validation"];
const TEST: [&str; 2] = ["test", "testing"];
/// Folders inside a class folder are searched to this depth, which also ends a cycle of links.
const DEPTH: usize = 8;

/// Images in a folder per class; the sorted folder names are the classes.
#[derive(Clone, Debug)]
pub struct FolderDataset {
    files: Vec<PathBuf>,
    labels: Vec<u32>,
    classes: Vec<String>,
    limits: Limits,
}

impl FolderDataset {
    /// Reads the names in a directory of class folders; nothing is decoded yet. Also gives the number of files passed
    /// over because their ending is no image's. Errors: no class folders, a class folder without images, an image of a
    /// type that is not read.
    pub fn open(path: impl AsRef<Path>, limits: &Limits) -> Result<(Self, usize), Error> {
        let path = path.as_ref();
        let entries = list(path)?;
        let classes = entries.iter().filter(|e| e.is_dir).map(|e| e.name.clone()).collect();
        Self::with_classes(path, &entries, classes, limits)
    }
    /// The paths of the images, in sample order.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }
    fn with_classes(
        path: &Path,
        entries: &[Entry],
        classes: Vec<String>,
        limits: &Limits,
    ) -> Result<(Self, usize), Error> {
        let mut out = FolderDataset { files: Vec::new(), labels: Vec::new(), classes, limits: *limits };
        let mut skipped = 0;
        let loose: Vec<&Entry> = entries.iter().filter(|e| !e.is_dir).collect();
        if let Some(e) = loose.iter().find(|e| is_image(&e.path)) {
            return Err(Error::at(
                path,
                Rule::new("images beside or without class folders")
                    .given(e.name.clone())
                    .right("every image in the folder of its class"),
            ));
        }
        skipped += loose.len();
        for entry in entries.iter().filter(|e| e.is_dir) {
            let Some(label) = out.classes.iter().position(|c| *c == entry.name) else {
                return Err(Error::at(
                    &entry.path,
                    Rule::new(format!(
                        "class {} is not among the {} classes of the training part",
                        entry.name,
                        out.classes.len()
                    ))
                    .right(format!("one of {}", shortened(&out.classes))),
                ));
            };
            let before = out.files.len();
            collect(&entry.path, DEPTH, &mut out.files, &mut skipped)?;
            if out.files.len() == before {
                return Err(Error::at(
                    &entry.path,
                    Rule::new("a class folder without images").right("at least one image"),
                ));
            }
            out.labels.resize(out.files.len(), label as u32);
        }
        if out.files.is_empty() {
            return Err(Error::at(path, Rule::new("no class folders").right("a folder of images per class")));
        }
        Ok((out, skipped))
    }
}

impl Dataset for FolderDataset {
    fn labels(&self) -> &[u32] {
        &self.labels
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
    fn id(&self, i: usize) -> String {
        self.files.get(i).map_or_else(|| format!("[{i}]"), |f| f.display().to_string())
    }
    fn image(&self, i: usize) -> Result<Image<'_>, Error> {
        decode_file(self.files.get(i).ok_or_else(|| out_of_range(i, self.files.len()))?, &self.limits)
    }
    fn encoded(&self, i: usize) -> Result<Option<Cow<'_, [u8]>>, Error> {
        let file = self.files.get(i).ok_or_else(|| out_of_range(i, self.files.len()))?;
        read_file(file, &self.limits).map(|bytes| Some(bytes.into()))
    }
}

fn shortened(names: &[String]) -> String {
    let shown = names.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > 10 { format!("{shown}, …") } else { shown }
}

fn ending(path: &Path) -> String {
    path.extension().map_or_else(String::new, |e| e.to_string_lossy().to_ascii_lowercase())
}

fn is_image(path: &Path) -> bool {
    let e = ending(path);
    READ.contains(&e.as_str()) || UNREAD.contains(&e.as_str())
}

/// The images of a class folder, in name order.
fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>, skipped: &mut usize) -> Result<(), Error> {
    if depth == 0 {
        return Err(Error::at(path, Rule::new(format!("folders nested deeper than {DEPTH}")).right("flatter folders")));
    }
    for entry in list(path)? {
        let ending = ending(&entry.path);
        if entry.is_dir {
            collect(&entry.path, depth - 1, files, skipped)?;
        } else if READ.contains(&ending.as_str()) {
            files.push(entry.path);
        } else if UNREAD.contains(&ending.as_str()) {
            return Err(Error::at(
                &entry.path,
                Rule::new(format!("images of type {ending} are not read")).right("PNG, JPEG, BMP, GIF or WebP"),
            ));
        } else {
            *skipped += 1;
        }
    }
    Ok(())
}

/// Opens `train/`, `val/` and `test/` where there is a `train` folder (or nothing but such folders), else splits the
/// one set of class folders by the options.
pub(super) fn open(path: &Path, entries: &[Entry], options: &OpenOptions) -> Result<Splits, Error> {
    let mut out = Splits { kind: "folders", train: None, validation: None, test: None, notes: Vec::new() };
    let folders: Vec<&Entry> = entries.iter().filter(|e| e.is_dir).collect();
    let part = |names: &[&str]| folders.iter().find(|e| names.contains(&e.name.to_ascii_lowercase().as_str())).copied();
    let parts = [part(&TRAIN), part(&VALIDATION), part(&TEST)];
    let named = parts.iter().flatten().count();
    if parts[0].is_none() && (named == 0 || named < folders.len()) {
        if folders.is_empty() && !entries.iter().any(|e| is_image(&e.path)) {
            return Err(Error::at(
                path,
                Rule::new("no data set is recognised here")
                    .given(format!("{} files", entries.len()))
                    .right("IDX files (train-images…), CIFAR-10 binary files (data_batch…bin), or a folder of images per class"),
            ));
        }
        let (all, skipped) = FolderDataset::open(path, &options.limits)?;
        note_skipped(&mut out.notes, path, skipped);
        let count = all.len();
        let (train, test) = split::split(Arc::new(all), options.test_fraction, options.seed)?;
        out.notes.push(format!("no test folder: {} of {count} samples held out as the test part", test.len()));
        (out.train, out.test) = (Some(train), Some(test));
        return Ok(out);
    }
    let mut classes: Option<Vec<String>> = None;
    for (entry, slot) in parts.into_iter().zip([&mut out.train, &mut out.validation, &mut out.test]) {
        let Some(entry) = entry else { continue };
        let inner = list(&entry.path)?;
        let names = classes.get_or_insert_with(|| inner.iter().filter(|e| e.is_dir).map(|e| e.name.clone()).collect());
        let (set, skipped) = FolderDataset::with_classes(&entry.path, &inner, names.clone(), &options.limits)?;
        note_skipped(&mut out.notes, &entry.path, skipped);
        *slot = Some(Arc::new(set) as Arc<dyn Dataset>);
    }
    for e in folders.iter().filter(|e| !parts.iter().flatten().any(|p| p.name == e.name)) {
        out.notes.push(format!("{}: passed over, it is neither train, val nor test", e.path.display()));
    }
    Ok(out)
}

fn note_skipped(notes: &mut Vec<String>, path: &Path, skipped: usize) {
    if skipped > 0 {
        notes.push(format!("{}: {skipped} files passed over, their endings are no image's", path.display()));
    }
}
