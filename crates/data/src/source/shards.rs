//! Data sets in several large files: which ones, and of which part.

use super::read::{Entry, list};
use super::split::Part;
use crate::Error;
use gabor_tensor::Rule;
use std::path::{Path, PathBuf};

/// Shards that a pattern may stand for.
const SHARDS: u64 = 1 << 20;

/// Whether a file's name is that of a shard with this ending (with its dot).
pub(super) fn is_shard(name: &str, ending: &str) -> bool {
    name.len() > ending.len() && name.to_ascii_lowercase().ends_with(ending)
}

fn here<'e>(entries: &'e [Entry], ending: &'e str) -> impl Iterator<Item = &'e Entry> {
    entries.iter().filter(move |e| !e.is_dir && is_shard(&e.name, ending))
}

/// The folders of parts, and `data`, where hubs keep the shards of a data set.
fn folders(entries: &[Entry]) -> impl Iterator<Item = (&Entry, Option<Part>)> {
    let folder = |e: &Entry| e.is_dir && (Part::of(&e.name).is_some() || e.name == "data");
    entries.iter().filter(move |e| folder(e)).map(|e| (e, Part::of(&e.name)))
}

/// The shards of a directory with their parts: by the names of folders, else of files; all are training where no name
/// says anything. None where there are no shards.
pub(super) fn find(dir: &Path, entries: &[Entry], ending: &str) -> Result<Vec<(PathBuf, Part)>, Error> {
    let mut found: Vec<(PathBuf, Option<Part>)> = Vec::new();
    found.extend(here(entries, ending).map(|e| (e.path.clone(), Part::of_file(&e.name))));
    for (folder, part) in folders(entries) {
        let inner = list(&folder.path)?;
        found.extend(here(&inner, ending).map(|e| (e.path.clone(), part.or(Part::of_file(&e.name)))));
    }
    let unnamed = found.iter().find(|(_, p)| p.is_none());
    if let (Some((path, _)), true) = (unnamed, found.iter().any(|(_, p)| p.is_some())) {
        return Err(Error::at(
            dir,
            Rule::new("shards of which some say their part and some do not")
                .given(path.file_name().unwrap_or_default().to_string_lossy())
                .right("names with train, val or test for all, or for none"),
        ));
    }
    found.sort();
    Ok(found.into_iter().map(|(path, part)| (path, part.unwrap_or(Part::Train))).collect())
}

/// Whether the directory holds shards.
pub(super) fn are_there(entries: &[Entry], ending: &str) -> Result<bool, Error> {
    if here(entries, ending).next().is_some() {
        return Ok(true);
    }
    for (folder, _) in folders(entries) {
        if here(&list(&folder.path)?, ending).next().is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The paths that a pattern with one `{first..last}` stands for; the path itself without one.
pub(super) fn pattern(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let text = path.to_string_lossy();
    let Some((before, rest)) = text.split_once('{') else { return Ok(vec![path.into()]) };
    let wrong = |what: &str| {
        Error::at(path, Rule::new(what).right("one range of numbers of one width, such as x-{000000..000009}.tar"))
    };
    let (range, after) = rest.split_once('}').ok_or_else(|| wrong("a pattern without its end"))?;
    let (first, last) = range.split_once("..").ok_or_else(|| wrong("a pattern that is no range"))?;
    let number = |t: &str| t.parse::<u64>().ok().filter(|_| t.bytes().all(|b| b.is_ascii_digit()));
    let (Some(from), Some(to)) = (number(first), number(last)) else {
        return Err(wrong("a range that is not of numbers"));
    };
    if from > to || to - from >= SHARDS || after.contains('{') {
        return Err(wrong("a range that is empty, too long, or not the only one"));
    }
    let width = first.len();
    Ok((from..=to).map(|n| PathBuf::from(format!("{before}{n:0width$}{after}"))).collect())
}
