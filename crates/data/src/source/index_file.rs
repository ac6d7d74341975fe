//! The index of shards: what lies where, so that shards of an object store need not be read through before the first
//! sample. `gabor data convert` writes it beside the shards it makes.
//!
//! Lines of fields between tabs: `gabor-shards 1`; `shard NAME BYTES` for each shard; `OFFSET LENGTH LABEL NAME` for
//! each sample of the shard above it, in order.

use super::packed::Place;
use super::read::{Contents, Entry};
use super::split::Part;
use super::tar::Found;
use super::{OpenOptions, store};
use crate::Error;
use gabor_tensor::Rule;
use std::fmt::Write;
use std::io::BufRead;
use std::path::{Path, PathBuf};

const FIRST_LINE: &str = "gabor-shards 1";

/// The text of an index, built shard by shard.
pub(crate) struct Builder {
    text: String,
}

impl Builder {
    /// The file's name.
    pub const NAME: &str = "shards.idx";

    pub fn new() -> Self {
        Builder { text: format!("{FIRST_LINE}\n") }
    }
    /// A shard that is complete, with its samples.
    pub fn shard(&mut self, name: &str, bytes: u64, samples: &[Found]) {
        let _ = writeln!(self.text, "shard\t{name}\t{bytes}");
        for f in samples {
            let label = f.label.as_deref().unwrap_or_default();
            let _ = writeln!(self.text, "{}\t{}\t{label}\t{}", f.place.offset, f.place.length, f.name);
        }
    }
    pub fn finish(self) -> String {
        self.text
    }
}

/// The samples of each of `shards` from the index in a directory of an object store. `None` where there is none, or where
/// it is of other shards; shards of this machine are always read themselves, which takes no longer.
pub(super) fn load(
    dir: &Path,
    entries: &[Entry],
    shards: &[(PathBuf, Part)],
    options: &OpenOptions,
) -> Result<Option<Vec<Vec<Found>>>, Error> {
    let file = entries.iter().find(|e| !e.is_dir && e.name == Builder::NAME);
    let Some(file) = file.filter(|_| store::is_url(dir)) else { return Ok(None) };
    let contents = Contents::open(&file.path, &options.limits)?.into_reader();
    let mut wanted = Vec::new();
    for (path, _) in shards {
        wanted.push((
            path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            store::File::open(path)?.size(),
        ));
    }
    parse(&file.path, contents, &wanted)
}

fn parse(path: &Path, reader: impl BufRead, wanted: &[(String, u64)]) -> Result<Option<Vec<Vec<Found>>>, Error> {
    let mut out: Vec<Vec<Found>> = vec![Vec::new(); wanted.len()];
    let mut seen = vec![false; wanted.len()];
    let mut current: Option<usize> = None;
    for (number, line) in reader.lines().enumerate() {
        let line = line.map_err(|e| Error::io(path, &e))?;
        let damaged = |what: &str| {
            let place = format!("{} line {}", path.display(), number + 1);
            Error::new(
                place,
                Rule::new(what).given(line.chars().take(80).collect::<String>()).right("an intact index, or none"),
            )
        };
        if number == 0 {
            if line != FIRST_LINE {
                return Err(damaged("not an index of shards"));
            }
            continue;
        }
        let fields: Vec<&str> = line.splitn(4, '\t').collect();
        match fields[..] {
            ["shard", name, bytes] => {
                current = wanted.iter().position(|(n, b)| n == name && bytes.parse() == Ok(*b));
                let Some(i) = current else { return Ok(None) };
                if std::mem::replace(&mut seen[i], true) {
                    return Err(damaged("a shard that is there twice"));
                }
            }
            [offset, length, label, name] => {
                let i = current.ok_or_else(|| damaged("a sample before its shard"))?;
                let (Ok(offset), Ok(length)) = (offset.parse::<u64>(), length.parse::<u32>()) else {
                    return Err(damaged("a sample without its place"));
                };
                if offset.checked_add(length.into()).is_none_or(|end| end > wanted[i].1) {
                    return Err(damaged("a sample beyond the end of its shard"));
                }
                let place = Place { file: 0, offset, length };
                let label = (!label.is_empty()).then(|| label.to_string());
                out[i].push(Found { place, name: name.to_string(), label });
            }
            _ => return Err(damaged("a line of neither a shard nor a sample")),
        }
    }
    Ok(seen.iter().all(|&s| s).then_some(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(offset: u64, label: Option<&str>, name: &str) -> Found {
        Found { place: Place { file: 0, offset, length: 10 }, name: name.into(), label: label.map(String::from) }
    }

    #[test]
    fn what_is_written_is_read_for_the_same_shards_alone() {
        let samples = [found(512, Some("3"), "a b.png"), found(1536, None, "x/c.jpg")];
        let mut b = Builder::new();
        b.shard("x-0.tar", 4096, &samples);
        b.shard("x-1.tar", 512, &[]);
        let text = b.finish();
        let read = |text: &str, wanted: &[(&str, u64)]| {
            let wanted: Vec<(String, u64)> = wanted.iter().map(|w| (w.0.into(), w.1)).collect();
            parse(Path::new("shards.idx"), text.as_bytes(), &wanted).map_err(|e| e.to_string())
        };
        assert_eq!(read(&text, &[("x-1.tar", 512), ("x-0.tar", 4096)]).unwrap().unwrap(), [vec![], samples.to_vec()]);
        assert_eq!(read(&text, &[("x-1.tar", 512), ("x-0.tar", 4097)]).unwrap(), None);
        assert_eq!(read(&text, &[("x-1.tar", 512), ("x-0.tar", 4096), ("x-2.tar", 1)]).unwrap(), None);
        let e = read(&text.replace("1536\t", "4090\t"), &[("x-1.tar", 512), ("x-0.tar", 4096)]).unwrap_err();
        assert!(e.starts_with("shards.idx line 4: a sample beyond the end of its shard"), "{e}");
        assert!(read("gabor-shards 2\n", &[]).unwrap_err().contains("not an index of shards"));
        assert!(read("gabor-shards 1\n1\t2\t3\t4", &[]).unwrap_err().contains("a sample before its shard"));
    }
}
