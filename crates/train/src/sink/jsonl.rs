//! One JSON object a line.

use crate::{Error, Event, Result, Sink};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

/// `metrics.jsonl`: every event as one line of JSON. Lines are flushed one by one, so a killed run leaves at most half a
/// line.
pub struct Jsonl {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Jsonl {
    /// Opens the file; lines of steps after `step`, which the run is going to repeat, and half a last line are dropped.
    /// `step` 0 begins anew.
    ///
    /// # Errors
    /// A file that cannot be read or written.
    pub fn open(path: &Path, step: u64) -> Result<Self> {
        let keep = if step == 0 { Vec::new() } else { kept(path, step)? };
        let fail = |e: std::io::Error| Error::io(path, "write", &e);
        let text: String = keep.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        crate::checkpoint::replace(path, text.as_bytes())?;
        let file = OpenOptions::new().append(true).open(path).map_err(fail)?;
        Ok(Jsonl { path: path.to_path_buf(), file: BufWriter::new(file) })
    }
    /// The events of a file; lines that are none are passed over.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read(path: &Path) -> Result<Vec<Event>> {
        let lines = kept(path, u64::MAX)?;
        Ok(lines.iter().filter_map(|l| serde_json::from_str(l).ok()).collect())
    }
}

/// Lines that are events up to a step.
fn kept(path: &Path, step: u64) -> Result<Vec<String>> {
    let file = match File::open(path) {
        Ok(f) => f,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io(path, "read", &e)),
    };
    let mut lines = Vec::new();
    for line in BufReader::new(file).lines() {
        let line = line.map_err(|e| Error::io(path, "read", &e))?;
        if serde_json::from_str::<Event>(&line).is_ok_and(|e| e.step().is_none_or(|s| s <= step)) {
            lines.push(line);
        }
    }
    Ok(lines)
}

impl Sink for Jsonl {
    fn event(&mut self, event: &Event) -> Result<()> {
        let fail = |e: std::io::Error| Error::io(&self.path, "write", &e);
        let line = serde_json::to_string(event).map_err(|e| fail(e.into()))?;
        writeln!(self.file, "{line}").and_then(|()| self.file.flush()).map_err(fail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: u64) -> Event {
        Event::Checkpoint { path: "x".into(), step }
    }

    #[test]
    fn going_on_drops_what_will_be_repeated() {
        let dir = std::env::temp_dir().join(format!("gabor-jsonl-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("metrics.jsonl");
        let mut file = Jsonl::open(&path, 0).unwrap();
        for s in [1, 2, 3] {
            file.event(&step(s)).unwrap();
        }
        drop(file);
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"event\":\"ste").unwrap();
        let mut file = Jsonl::open(&path, 2).unwrap();
        file.event(&Event::Note { text: "on".into() }).unwrap();
        assert_eq!(Jsonl::read(&path).unwrap(), [step(1), step(2), Event::Note { text: "on".into() }]);
        drop(file);
        Jsonl::open(&path, 0).unwrap();
        assert!(Jsonl::read(&path).unwrap().is_empty());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
