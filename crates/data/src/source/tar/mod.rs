//! Tar shards as WebDataset writes them: the files of a sample follow each other and share a name up to the first dot,
//! `key.jpg` and `key.cls` (or `.json`, `.txt`) with the label. Without labels the folder inside the tar is the class.
//!
//! The members' headers are read once; images are read when they are asked for, by shard, offset and length.

mod members;

use self::members::{Member, Members};
use super::folder::{is_read, is_unread};
use super::labels::{Labels, Meaning};
use super::packed::{Names, PackedDataset, Place};
use super::read::{Entry, class_names, list};
use super::split::{Part, Parts};
use super::store::File;
use super::{OpenOptions, Splits, index_file, shards};
use crate::{Error, Limits};
use gabor_tensor::Rule;
use std::path::{Path, PathBuf};

/// Bytes that the file of a label may have.
const LABEL_BYTES: u64 = 1 << 16;
/// Keys of a JSON label, the first that is there counts.
const KEYS: [&str; 6] = ["label", "cls", "class", "class_name", "target", "category"];

/// Opens the shards of a directory.
pub(super) fn open(dir: &Path, entries: &[Entry], options: &OpenOptions) -> Result<Splits, Error> {
    read(shards::find(dir, entries, super::TAR)?, Some(dir), entries, options)
}

/// Opens the shards that a path names: one, or a pattern such as `x-{000000..000009}.tar`.
pub(super) fn open_files(path: &Path, options: &OpenOptions) -> Result<Splits, Error> {
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A lone file of the web has no listing beside it.
    let entries = list(dir).unwrap_or_default();
    read(shards::pattern(path)?.into_iter().map(|p| (p, Part::Train)).collect(), None, &entries, options)
}

/// A sample found in a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub place: Place,
    /// The image's path inside.
    pub name: String,
    /// The label as it is written.
    pub label: Option<String>,
}

impl Found {
    /// A sample that has just been written.
    pub fn new(offset: u64, length: u32, label: &str, name: &str) -> Self {
        Found { place: Place { file: 0, offset, length }, name: name.into(), label: Some(label.into()) }
    }
}

fn read(
    shards: Vec<(PathBuf, Part)>,
    dir: Option<&Path>,
    entries: &[Entry],
    options: &OpenOptions,
) -> Result<Splits, Error> {
    let (mut labels, mut folders) = (Labels::default(), Labels::default());
    let mut sets: [Collected; 3] = Default::default();
    let (mut with, mut without) = (false, None);
    let mut parts = Parts::new("tar shards");
    let index = dir.map(|d| index_file::load(d, entries, &shards, options)).transpose()?.flatten();
    for (number, (path, part)) in shards.iter().enumerate() {
        let set = &mut sets[*part as usize];
        let mut take = |f: Found| {
            let place = || format!("{}: {}", path.display(), f.name);
            if set.places.len() == u32::MAX as usize {
                return Err(Error::at(path, Rule::new(format!("more than {} samples", u32::MAX)).right("fewer")));
            }
            set.labels.push(match &f.label {
                Some(text) => {
                    with = true;
                    labels.add(text, place)
                }
                None => {
                    without.get_or_insert_with(place);
                    let folder = f.name.rsplit('/').nth(1).unwrap_or_default();
                    folders.add(folder, place)
                }
            });
            set.names.push(&f.name);
            set.places.push(Place { file: set.files.len() as u32, ..f.place });
            Ok(())
        };
        match &index {
            Some(index) => index[number].iter().cloned().try_for_each(&mut take)?,
            None => scan(path, &options.limits, &mut take)?,
        }
        set.files.push(path.clone());
    }
    if let (true, Some(place)) = (with, &without) {
        let rule = Rule::new("a sample without a label, while others have one");
        return Err(Error::new(place.clone(), rule.right("a member KEY.cls, KEY.json or KEY.txt beside the image")));
    }
    if !with && let Some(place) = folders.place_of("") {
        let rule = Rule::new("a sample without a label and without a folder that says its class");
        return Err(Error::new(place, rule.right("a member KEY.cls, KEY.json or KEY.txt, or CLASS/KEY.jpg")));
    }
    let names = class_names(entries, &options.limits)?;
    let (classes, of_text) =
        if with { labels.classes(names, Meaning::Number)? } else { folders.classes(names, Meaning::Name)? };
    for (part, mut set) in Part::ALL.into_iter().zip(sets) {
        if set.files.is_empty() {
            continue;
        }
        if set.places.is_empty() {
            return Err(Error::at(&set.files[0], Rule::new("shards without images").right("image files inside")));
        }
        set.labels.iter_mut().for_each(|l| *l = of_text[*l as usize]);
        let Collected { files, places, names, labels } = set;
        parts.put(part, PackedDataset::new(files, places, names, labels, classes.clone(), options.limits));
    }
    parts.finish(options)
}

#[derive(Default)]
struct Collected {
    files: Vec<PathBuf>,
    places: Vec<Place>,
    names: Names,
    labels: Vec<u32>,
}

/// The files of one sample.
#[derive(Default)]
struct Group {
    key: String,
    image: Option<Member>,
    /// The label's text and the rank of the member that says it.
    label: Option<(u8, String)>,
}

/// Goes through the members of a shard and hands over its samples, in their order.
pub(super) fn scan(
    path: &Path,
    limits: &Limits,
    take: &mut dyn FnMut(Found) -> Result<(), Error>,
) -> Result<(), Error> {
    let file = File::open(path)?;
    let mut members = Members::new(&file);
    let mut group = Group::default();
    let mut end = |g: Group| match g.image {
        Some(Member { name, offset, size }) => {
            let place = Place { file: 0, length: size as u32, offset };
            take(Found { place, name, label: g.label.map(|l| l.1) })
        }
        None => Ok(()),
    };
    while let Some(mut member) = members.next()? {
        if let Some(rest) = member.name.strip_prefix("./") {
            member.name = rest.to_string();
        }
        let at = |rule: Rule| Error::new(format!("{}: {}", path.display(), member.name), rule);
        let base = member.name.rsplit('/').next().unwrap_or_default();
        let Some((stem, ending)) = base.split_once('.').filter(|(stem, _)| !stem.is_empty()) else { continue };
        let key = &member.name[..member.name.len() - base.len() + stem.len()];
        if key != group.key {
            let next = Group { key: key.to_string(), ..Default::default() };
            end(std::mem::replace(&mut group, next))?;
        }
        let ending = ending.to_ascii_lowercase();
        let kind = ending.rsplit('.').next().unwrap_or_default();
        if is_read(kind) {
            if let Some(other) = &group.image {
                let rule = Rule::new("a second image of one sample").given(format!("{} before", other.name));
                return Err(at(rule.right("one image for each key, which ends at the first dot of the name")));
            }
            if member.size > limits.file_bytes.min(u32::MAX.into()) {
                let rule = Rule::new(format!("an image of {} bytes is larger than the limit", member.size));
                return Err(at(rule.right(format!("at most {} bytes", limits.file_bytes.min(u32::MAX.into())))));
            }
            group.image = Some(member);
        } else if is_unread(kind) {
            return Err(at(Rule::new(format!("images of type {kind} are not read")).right(super::folder::IMAGES)));
        } else if let Some(rank) = ["cls", "json", "txt"].iter().position(|&k| k == kind) {
            // A caption may be long; only what may be a label is read.
            if member.size > LABEL_BYTES || group.label.as_ref().is_some_and(|l| usize::from(l.0) <= rank) {
                continue;
            }
            let bytes = members.read(member.offset, member.size)?;
            let text = std::str::from_utf8(bytes)
                .map_err(|_| at(Rule::new("a label that is not UTF-8 text").right("text")))?;
            let text = if kind == "json" { json(text).map_err(at)? } else { Some(text.trim().to_string()) };
            if let Some(text) = text.filter(|t| !t.is_empty()) {
                group.label = Some((rank as u8, text));
            }
        }
    }
    end(group)
}

/// The label that a JSON text says: a number or a text under one of [`KEYS`], or alone.
fn json(text: &str) -> Result<Option<String>, Rule> {
    let value: serde_json::Value = serde_json::from_str(text)
        .map_err(|e| Rule::new("damaged JSON").given(e.to_string()).right("an object with a `label`"))?;
    let label = match &value {
        serde_json::Value::Object(map) => KEYS.iter().find_map(|k| map.get(*k)),
        other => Some(other),
    };
    Ok(match label {
        Some(serde_json::Value::String(s)) => Some(s.trim().to_string()),
        Some(serde_json::Value::Number(n)) => Some(n.to_string()),
        _ => None,
    })
}
