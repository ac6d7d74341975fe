//! A folder per class: the names are read, the files when they are asked for.

use super::read::{Entry, list};
use super::split::{Part, Parts};
use super::{FileDataset, OpenOptions, SOURCES, Splits};
use crate::{Error, Limits};
use gabor_tensor::Rule;
use std::path::{Path, PathBuf};

/// File name endings that are read; the contents decide the decoder.
const READ: [&str; 9] = ["png", "jpg", "jpeg", "bmp", "gif", "webp", "jfif", "tif", "tiff"];
/// Endings of images that are not read: an error, not a silent omission.
const UNREAD: [&str; 14] =
    ["heic", "heif", "avif", "jxl", "jp2", "j2k", "svg", "ico", "psd", "tga", "exr", "hdr", "dng", "raw"];
/// The types that are read, for messages.
pub(super) const IMAGES: &str = "PNG, JPEG, BMP, GIF, WebP or TIFF";
/// Folders inside a class folder are searched to this depth, which also ends a cycle of links.
const DEPTH: usize = 8;

impl FileDataset {
    /// Reads the names in a directory of class folders; nothing is decoded yet. Also gives the number of files passed
    /// over because their ending is no image's. Errors: no class folders, a class folder without images, an image of a
    /// type that is not read.
    pub fn folder(path: impl AsRef<Path>, limits: &Limits) -> Result<(Self, usize), Error> {
        let path = path.as_ref();
        let entries = list(path)?;
        let classes = entries.iter().filter(|e| e.is_dir).map(|e| e.name.clone()).collect();
        Self::with_classes(path, &entries, classes, limits)
    }
    fn with_classes(
        path: &Path,
        entries: &[Entry],
        classes: Vec<String>,
        limits: &Limits,
    ) -> Result<(Self, usize), Error> {
        let mut out = FileDataset { files: Vec::new(), labels: Vec::new(), classes, limits: *limits };
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
        // Entries are in name order.
        let folders: Vec<&str> = entries.iter().filter(|e| e.is_dir).map(|e| e.name.as_str()).collect();
        if let Some(w) = folders.windows(2).find(|w| w[0] == w[1]) {
            let rule = Rule::new("names of class folders that differ only in bytes that are no text").given(w[0]);
            return Err(Error::at(path, rule.right("names in UTF-8, a different one for each class")));
        }
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

pub(super) fn shortened(names: &[String]) -> String {
    let shown = names.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > 10 { format!("{shown}, …") } else { shown }
}

pub(super) fn ending(path: &Path) -> String {
    path.extension().map_or_else(String::new, |e| e.to_string_lossy().to_ascii_lowercase())
}

/// Whether an ending, in lower case, is that of images that are read.
pub(super) fn is_read(ending: &str) -> bool {
    READ.contains(&ending)
}

/// Whether an ending, in lower case, is that of images that are not read.
pub(super) fn is_unread(ending: &str) -> bool {
    UNREAD.contains(&ending)
}

pub(super) fn is_image(path: &Path) -> bool {
    let e = ending(path);
    is_read(&e) || is_unread(&e)
}

/// The images of a class folder, in name order.
fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>, skipped: &mut usize) -> Result<(), Error> {
    if depth == 0 {
        return Err(Error::at(
            path,
            Rule::new(format!("folders nested deeper than {DEPTH}"))
                .right("flatter folders, and no link that leads back to one of them"),
        ));
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
                Rule::new(format!("images of type {ending} are not read")).right(IMAGES),
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
    let mut parts = Parts::new("folders");
    let folders: Vec<&Entry> = entries.iter().filter(|e| e.is_dir).collect();
    let part = |p: Part| folders.iter().find(|e| Part::of(&e.name) == Some(p)).copied();
    let found = Part::ALL.map(part);
    let named = found.iter().flatten().count();
    if found[0].is_none() && (named == 0 || named < folders.len()) {
        if folders.is_empty() && !entries.iter().any(|e| is_image(&e.path)) {
            return Err(Error::at(
                path,
                Rule::new("no data set is recognised here")
                    .given(format!("{} files", entries.len()))
                    .right(format!("{SOURCES}, or a folder of images per class")),
            ));
        }
        let (all, skipped) = FileDataset::folder(path, &options.limits)?;
        note_skipped(&mut parts.notes, path, skipped);
        parts.put(Part::Train, all);
        return parts.finish(options);
    }
    let mut classes: Option<Vec<String>> = None;
    for (entry, part) in found.into_iter().zip(Part::ALL) {
        let Some(entry) = entry else { continue };
        let inner = list(&entry.path)?;
        let names = classes.get_or_insert_with(|| inner.iter().filter(|e| e.is_dir).map(|e| e.name.clone()).collect());
        let (set, skipped) = FileDataset::with_classes(&entry.path, &inner, names.clone(), &options.limits)?;
        note_skipped(&mut parts.notes, &entry.path, skipped);
        parts.put(part, set);
    }
    for e in folders.iter().filter(|e| !found.iter().flatten().any(|p| p.name == e.name)) {
        parts.notes.push(format!("{}: passed over, it is neither train, val nor test", e.path.display()));
    }
    parts.finish(options)
}

fn note_skipped(notes: &mut Vec<String>, path: &Path, skipped: usize) {
    if skipped > 0 {
        notes.push(format!("{}: {skipped} files passed over, their endings are no image's", path.display()));
    }
}
