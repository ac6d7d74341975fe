//! Checkpoints that survive a crash at any moment, a full disk and a read-only directory.
//!
//! A run's `checkpoints/` holds `last`, `previous` (the one before) and `best`, each a `.safetensors` file of parameters
//! and optimiser memory with the loop's state as JSON in its metadata and a checksum over everything. A new file is
//! written aside and flushed; only then `last` becomes `previous` and the new one `last`, and the directory is flushed.
//! So at every moment one whole checkpoint has its final name.

use crate::metrics::Tally;
use crate::schedule::PlateauState;
use crate::{Error, Event, Result, Sink};
use gabor_formats::safetensors;
use gabor_tensor::{Rule, Weights};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Where a training stands: everything that its next step depends on, besides parameters and optimiser memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Version of gabor that wrote it.
    pub gabor: String,
    /// Steps done.
    pub step: u64,
    /// The epoch under way.
    pub epoch: u64,
    /// Steps of it that are done.
    pub step_in_epoch: u64,
    /// What the epoch under way has counted so far.
    pub tally: Tally,
    /// Seed of the run.
    pub seed: u64,
    /// The best epoch so far.
    pub best: Option<Best>,
    /// Epochs without progress on the validation part.
    pub waited: usize,
    /// Memory of a plateau schedule.
    pub plateau: PlateauState,
    /// Settings that have an influence on the numbers.
    pub config: BTreeMap<String, String>,
    /// Whether training is over.
    pub finished: bool,
    /// Seconds of training so far.
    pub seconds: f64,
}

/// The best epoch by the validation part: higher accuracy, then lower loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// The epoch.
    pub epoch: u64,
    /// Its validation accuracy.
    pub top1: f64,
    /// Its validation loss.
    pub loss: f64,
}

/// What writes the content of a file.
pub type Content<'a> = &'a dyn Fn(&mut dyn Write) -> std::io::Result<()>;

/// How bytes reach the disk; tests put a full disk in its place.
pub trait Storage: Send {
    /// Creates (or empties) a file, has its content written and flushes it to the disk.
    ///
    /// # Errors
    /// What the operating system says.
    fn write(&self, path: &Path, content: Content<'_>) -> std::io::Result<()>;
}

/// The disk.
pub struct Disk;

impl Storage for Disk {
    fn write(&self, path: &Path, content: Content<'_>) -> std::io::Result<()> {
        let mut file = File::create(path)?;
        content(&mut file)?;
        file.sync_all()
    }
}

/// Replaces a file in one step: whoever dies in between leaves the old one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let aside = PathBuf::from(name);
    let done = Disk.write(&aside, &|file| file.write_all(bytes)).and_then(|()| std::fs::rename(&aside, path));
    done.map_err(|e| Error::io(path, "write", &e))
}

/// A run's checkpoints.
pub struct Checkpoints {
    directory: PathBuf,
    storage: Box<dyn Storage>,
}

const LAST: &str = "last.safetensors";
const PREVIOUS: &str = "previous.safetensors";
const BEST: &str = "best.safetensors";
const STATE: &str = "gabor.state";
/// The entry in which the format's writer keeps the checksum.
const CHECKSUM: &str = "\"gabor.crc32\":\"";

impl Checkpoints {
    /// The checkpoints of a run directory, in its folder `checkpoints`, which is made where it is missing.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn open(run: &Path) -> Result<Self> {
        Self::with_storage(run, Box::new(Disk))
    }
    /// The same over another storage.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn with_storage(run: &Path, storage: Box<dyn Storage>) -> Result<Self> {
        let directory = run.join("checkpoints");
        std::fs::create_dir_all(&directory).map_err(|e| Error::io(&directory, "make the folder", &e))?;
        Ok(Checkpoints { directory, storage })
    }
    /// The file of the last checkpoint.
    pub fn last(&self) -> PathBuf {
        self.directory.join(LAST)
    }
    /// The file of the best epoch's weights.
    pub fn best(&self) -> PathBuf {
        self.directory.join(BEST)
    }
    /// Whether there is a checkpoint to go on from.
    pub fn exist(&self) -> bool {
        self.last().exists() || self.directory.join(PREVIOUS).exists()
    }
    /// Writes a checkpoint as `last`; the one before becomes `previous`. On an error the old ones stay as they are.
    ///
    /// # Errors
    /// What the operating system says, with the file.
    pub fn save_last(&self, weights: &Weights, state: &State) -> Result<PathBuf> {
        let (new, last) = (self.write_aside(LAST, weights, state)?, self.last());
        let fail = |e: std::io::Error| Error::io(&last, "put the checkpoint in place", &e);
        if last.exists() {
            std::fs::rename(&last, self.directory.join(PREVIOUS)).map_err(fail)?;
        }
        std::fs::rename(new, &last).map_err(fail)?;
        self.flush_directory()?;
        Ok(last)
    }
    /// Writes the weights of the best epoch.
    ///
    /// # Errors
    /// What the operating system says, with the file.
    pub fn save_best(&self, weights: &Weights, state: &State) -> Result<PathBuf> {
        let (new, best) = (self.write_aside(BEST, weights, state)?, self.best());
        std::fs::rename(new, &best).map_err(|e| Error::io(&best, "put the checkpoint in place", &e))?;
        self.flush_directory()?;
        Ok(best)
    }
    fn write_aside(&self, name: &str, weights: &Weights, state: &State) -> Result<PathBuf> {
        let path = self.directory.join(format!("{name}.new"));
        let json = serde_json::to_string(state).map_err(|e| Error::io(&path, "write", &e.into()))?;
        let file = safetensors::Encoded::with_checksum(weights, &[(STATE.to_string(), json)].into());
        if let Err(e) = self.storage.write(&path, &|out| file.write_to(out)) {
            // Half a file is of no use and holds space that the next try needs.
            let _ = std::fs::remove_file(&path);
            let rule = Rule::new(format!("cannot write a checkpoint of {} bytes: {e}", file.size()))
                .right("a writable directory with space left; the checkpoints before are untouched");
            return Err(Error::new(path.display().to_string(), rule));
        }
        Ok(path)
    }
    /// Renames are durable once the directory itself is on the disk.
    fn flush_directory(&self) -> Result<()> {
        #[cfg(unix)]
        File::open(&self.directory)
            .and_then(|d| d.sync_all())
            .map_err(|e| Error::io(&self.directory, "flush the folder", &e))?;
        Ok(())
    }
    /// The last checkpoint; where it is missing or damaged the one before, with a warning to the sink.
    ///
    /// # Errors
    /// No checkpoint that can be read.
    pub fn load_last(&self, sink: &mut dyn Sink) -> Result<(Weights, State)> {
        let first = match read(&self.last()) {
            Ok(found) => return Ok(found),
            Err(e) => e,
        };
        match read(&self.directory.join(PREVIOUS)) {
            Ok(found) => {
                let text = format!("{first}; going on from the checkpoint before it, of step {}", found.1.step);
                sink.event(&Event::Warning { text })?;
                Ok(found)
            }
            Err(second) => Err(Error::new(
                self.directory.display().to_string(),
                Rule::new("no checkpoint can be read")
                    .given(format!("{first}; {second}"))
                    .right("a run with a checkpoint"),
            )),
        }
    }
    /// The weights of the best epoch.
    ///
    /// # Errors
    /// A file that is missing or damaged.
    pub fn load_best(&self) -> Result<(Weights, State)> {
        read(&self.best())
    }
}

/// A checkpoint from a file; its checksum is verified.
///
/// # Errors
/// A file that cannot be read, is damaged or is no checkpoint.
pub fn read(path: &Path) -> Result<(Weights, State)> {
    let place = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, "read", &e))?;
    let damaged = |e: gabor_formats::Error| Error::new(format!("{place}, {}", e.place()), e.rule().clone());
    // The reader believes a file without a checksum; a checkpoint always has one.
    let header = bytes.first_chunk::<8>().map_or(0, |l| u64::from_le_bytes(*l)).min(bytes.len() as u64) as usize;
    if !bytes[..header].windows(CHECKSUM.len()).any(|w| w == CHECKSUM.as_bytes()) {
        return Err(Error::new(place, Rule::new("the file is no checkpoint, or damaged: it holds no checksum")));
    }
    let (weights, metadata) = safetensors::read(&bytes).map_err(damaged)?;
    let no_checkpoint = |why: &str| Error::new(&place, Rule::new(format!("the file is no checkpoint: {why}")));
    let json = metadata.get(STATE).ok_or_else(|| no_checkpoint("it holds no state"))?;
    let state = serde_json::from_str(json).map_err(|e| no_checkpoint(&e.to_string()))?;
    Ok((weights, state))
}

/// Keeps a second trainer out of a run directory while it lives.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunLock {
    /// Takes the lock of a run directory; the system gives it back when the process ends, however it ends.
    ///
    /// # Errors
    /// A directory in which another process is training, or that cannot be written.
    pub fn take(run: &Path) -> Result<Self> {
        let path = run.join(".lock");
        let file = File::options().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|e| Error::io(&path, "open the lock", &e))?;
        match file.try_lock() {
            Ok(()) => Ok(RunLock { _file: file }),
            Err(std::fs::TryLockError::WouldBlock) => Err(Error::new(
                run.display().to_string(),
                Rule::new("another process is training in this run").right("another run directory, or wait for it"),
            )),
            Err(std::fs::TryLockError::Error(e)) => Err(Error::io(&path, "lock", &e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gabor_tensor::Tensor;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn directory(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("gabor-checkpoint-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }
    fn weights(v: f32) -> Weights {
        [("w".to_string(), Tensor::f32(&[2], vec![v, -v]).unwrap())].into_iter().collect()
    }
    fn state(step: u64) -> State {
        let tally = Tally { count: 3, loss_sum: 0.1 + 0.2, ..Default::default() };
        let best = Some(Best { epoch: 1, top1: 1.0 / 3.0, loss: 1e-300 });
        State { step, tally, best, seconds: 1.0 / 7.0, ..Default::default() }
    }

    #[test]
    fn state_comes_back_bit_for_bit() {
        let dir = directory("round");
        let c = Checkpoints::open(&dir).unwrap();
        assert!(!c.exist());
        c.save_last(&weights(0.1), &state(5)).unwrap();
        assert_eq!(c.load_last(&mut Vec::new()).unwrap(), (weights(0.1), state(5)));
        c.save_best(&weights(0.2), &state(6)).unwrap();
        assert_eq!(c.load_best().unwrap().0, weights(0.2));
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_damaged_checkpoint_gives_way_to_the_one_before() {
        let dir = directory("damaged");
        let c = Checkpoints::open(&dir).unwrap();
        for s in 1..=3 {
            c.save_last(&weights(s as f32), &state(s)).unwrap();
        }
        let good = std::fs::read(c.last()).unwrap();
        let mut hits = 0;
        // Every byte counts: bits are turned all over the file, and it is cut short.
        for at in (0..good.len()).step_by(7) {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            std::fs::write(c.last(), &bad).unwrap();
            let mut events = Vec::new();
            let (w, s) = c.load_last(&mut events).unwrap();
            if s.step == 2 {
                assert_eq!(w, weights(2.0));
                assert!(matches!(&events[..], [Event::Warning { text }] if text.contains("step 2")), "{events:?}");
                hits += 1;
            }
        }
        assert_eq!(hits, good.len().div_ceil(7));
        std::fs::write(c.last(), &good[..good.len() - 1]).unwrap();
        assert_eq!(c.load_last(&mut Vec::new()).unwrap().1.step, 2);
        std::fs::remove_file(c.last()).unwrap();
        assert_eq!(c.load_last(&mut Vec::new()).unwrap().1.step, 2);
        std::fs::write(dir.join("checkpoints").join(PREVIOUS), b"").unwrap();
        let e = c.load_last(&mut Vec::new()).unwrap_err().to_string();
        assert!(e.contains("no checkpoint can be read"), "{e}");
        std::fs::remove_dir_all(&dir).unwrap();
    }

    /// A disk that fills up after some bytes.
    struct Full(Arc<AtomicBool>);

    impl Storage for Full {
        fn write(&self, path: &Path, content: Content<'_>) -> std::io::Result<()> {
            if !self.0.load(Ordering::Relaxed) {
                return Disk.write(path, content);
            }
            let mut bytes = Vec::new();
            content(&mut bytes)?;
            Disk.write(path, &|file| file.write_all(&bytes[..bytes.len() / 2]))?;
            Err(std::io::ErrorKind::StorageFull.into())
        }
    }

    #[test]
    fn a_full_disk_destroys_nothing() {
        let dir = directory("full");
        let full = Arc::new(AtomicBool::new(false));
        let c = Checkpoints::with_storage(&dir, Box::new(Full(full.clone()))).unwrap();
        c.save_last(&weights(1.0), &state(1)).unwrap();
        c.save_last(&weights(2.0), &state(2)).unwrap();
        c.save_best(&weights(2.0), &state(2)).unwrap();
        full.store(true, Ordering::Relaxed);
        let e = c.save_last(&weights(3.0), &state(3)).unwrap_err().to_string();
        assert!(e.contains("checkpoints before are untouched"), "{e}");
        c.save_best(&weights(3.0), &state(3)).unwrap_err();
        assert_eq!(c.load_last(&mut Vec::new()).unwrap(), (weights(2.0), state(2)));
        assert_eq!(c.load_best().unwrap().1.step, 2);
        assert_eq!(std::fs::read_dir(dir.join("checkpoints")).unwrap().count(), 3);
        full.store(false, Ordering::Relaxed);
        c.save_last(&weights(3.0), &state(3)).unwrap();
        assert_eq!(c.load_last(&mut Vec::new()).unwrap().1.step, 3);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    #[cfg(unix)]
    fn a_read_only_directory_destroys_nothing() {
        use std::os::unix::fs::PermissionsExt;
        let dir = directory("readonly");
        let c = Checkpoints::open(&dir).unwrap();
        c.save_last(&weights(1.0), &state(1)).unwrap();
        let inner = dir.join("checkpoints");
        std::fs::set_permissions(&inner, std::fs::Permissions::from_mode(0o555)).unwrap();
        // The superuser may write anywhere; then there is nothing to see.
        let denied = File::create(inner.join("probe")).is_err();
        if denied {
            let e = c.save_last(&weights(2.0), &state(2)).unwrap_err().to_string();
            assert!(e.contains("cannot write a checkpoint"), "{e}");
            assert_eq!(c.load_last(&mut Vec::new()).unwrap().1.step, 1);
        }
        std::fs::set_permissions(&inner, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn one_trainer_a_run() {
        let dir = directory("lock");
        let first = RunLock::take(&dir).unwrap();
        let e = RunLock::take(&dir).unwrap_err().to_string();
        assert!(e.contains("another process is training in this run"), "{e}");
        drop(first);
        RunLock::take(&dir).unwrap();
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
