//! Damages files and watches what a reader does: it must not panic, and time and memory must follow the file's size.
//!
//! Changes depend on (file, case) alone, so a failure names the case that shows it again. The same readers are fuzzed with
//! coverage by `fuzz/`, for hours where somebody has them.
//!
//! - `GABOR_FUZZ_CASES`: random changes per file (default 5000).
//! - `GABOR_FUZZ_SECONDS`: seconds per file at most (default 4); whichever ends first.
//! - `GABOR_FUZZ_SEEDS`: a directory in which libFuzzer is to begin: the files are written there instead, and the words of each
//!   format as a dictionary (`cargo xtask fuzz`).

use crate::readers::Reader;
use gabor_tensor::{Stream, rng::name_key, rng::op::TEST};
use peak_alloc::PeakAlloc;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// One file is read at a time, so that what is allocated meanwhile is the reader's.
static ALONE: Mutex<()> = Mutex::new(());

/// The longest that one file may take, with room for a busy machine and an unoptimised build.
const LONGEST: Duration = Duration::from_secs(5);

fn setting(name: &str, default: u32) -> u32 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

/// While this is held, nothing else of the process is measured.
pub fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What comes of `f`, and the bytes of memory that it took at most. Hold [`alone`].
#[allow(dead_code, reason = "some crates damage files only")]
pub fn peak_of<T>(f: impl FnOnce() -> T) -> (T, usize) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let out = f();
    (out, MEMORY.peak_usage().saturating_sub(before))
}

/// Reads the file whole, cut at many lengths, and changed at random. `others` are files of the same kind, of which parts
/// are mixed in.
pub fn damage(reader: &Reader, name: &str, bytes: &[u8], others: &[Vec<u8>]) {
    let lock = alone();
    if let Some(seeds) = std::env::var_os("GABOR_FUZZ_SEEDS") {
        return seed(PathBuf::from(seeds), reader, name, bytes);
    }
    let started = Instant::now();
    let most = Duration::from_secs(setting("GABOR_FUZZ_SECONDS", 4).into());
    let watch = Watch { reader, name, limit: reader.free + reader.memory * bytes.len() };
    watch.read("whole", bytes);
    let step = (bytes.len() / 400).max(1);
    for n in (0..bytes.len()).step_by(step) {
        watch.read(&format!("cut at {n}"), &bytes[..n]);
    }
    for case in 0..setting("GABOR_FUZZ_CASES", 5000) {
        if started.elapsed() > most {
            break;
        }
        let mut s = Stream::new(1, name_key(name), case, TEST);
        let changed = change(bytes, others, reader.words, &mut s);
        watch.read(&format!("case {case}"), &changed);
    }
    drop(lock);
}

/// Writes what libFuzzer begins with: the file, and the words of the format with every byte escaped.
fn seed(directory: PathBuf, reader: &Reader, name: &str, bytes: &[u8]) {
    let own = directory.join(reader.name);
    std::fs::create_dir_all(&own).unwrap();
    std::fs::write(own.join(name.replace(['/', ' '], "-")), bytes).unwrap();
    let word = |w: &&[u8]| format!("\"{}\"\n", w.iter().map(|b| format!("\\x{b:02x}")).collect::<String>());
    let words: String = reader.words.iter().map(word).collect();
    std::fs::write(directory.join(format!("{}.dict", reader.name)), words).unwrap();
}

struct Watch<'a> {
    reader: &'a Reader,
    name: &'a str,
    limit: usize,
}

impl Watch<'_> {
    fn read(&self, what: &str, bytes: &[u8]) {
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        let started = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| (self.reader.read)(bytes)));
        let (took, used) = (started.elapsed(), MEMORY.peak_usage().saturating_sub(before));
        let fault = match outcome {
            Err(_) => "panics".to_string(),
            Ok(()) if took > LONGEST => format!("takes {took:?}"),
            Ok(()) if used > self.limit => format!("takes {used} bytes of memory, may take {}", self.limit),
            Ok(()) => return,
        };
        let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("damaged-{}", self.reader.name));
        std::fs::write(&kept, bytes).unwrap();
        panic!(
            "{}: {} {what} ({} bytes) {fault}; kept as {}",
            self.reader.name,
            self.name,
            bytes.len(),
            kept.display()
        );
    }
}

/// One to four random changes.
fn change(bytes: &[u8], others: &[Vec<u8>], words: &[&[u8]], s: &mut Stream) -> Vec<u8> {
    let mut v = bytes.to_vec();
    for _ in 0..1 + s.below(4) {
        if v.is_empty() {
            break;
        }
        // Half of all changes fall into the first kilobyte, where most formats say their sizes, or into the last.
        let near = v.len().min(1024);
        let at = match s.below(4) {
            0 => s.below(near),
            1 => v.len() - 1 - s.below(near),
            _ => s.below(v.len()),
        };
        match s.below(10) {
            0 => v[at] ^= 1 << s.below(8),
            1 => v[at] = s.next_u32() as u8,
            2 => put(&mut v, at, &number(s)),
            3 => v.insert(at, s.next_u32() as u8),
            4 => drop(v.remove(at)),
            5 => {
                let part = part(&v, at, s).to_vec();
                let to = s.below(v.len());
                v.splice(to..to, part);
            }
            6 => {
                let end = at + part(&v, at, s).len();
                v.drain(at..end);
            }
            7 if !others.is_empty() => {
                let other = &others[s.below(others.len())];
                let from = s.below(other.len().max(1));
                let part = part(other, from.min(other.len()), s).to_vec();
                put(&mut v, at, &part);
            }
            8 if !words.is_empty() => {
                let word = words[s.below(words.len())];
                if s.below(2) == 0 {
                    put(&mut v, at, word);
                } else {
                    v.splice(at..at, word.iter().copied());
                }
            }
            _ => {
                let from = s.below(v.len());
                let part = part(&v, from, s).to_vec();
                put(&mut v, at, &part);
            }
        }
    }
    v
}

/// A few bytes, now and then many.
fn part<'a>(v: &'a [u8], at: usize, s: &mut Stream) -> &'a [u8] {
    let most = if s.below(8) == 0 { v.len() } else { 24 };
    let end = (at + 1 + s.below(most.max(1))).min(v.len());
    &v[at.min(end)..end]
}

fn put(v: &mut [u8], at: usize, part: &[u8]) {
    let end = (at + part.len()).min(v.len());
    v[at..end].copy_from_slice(&part[..end - at]);
}

/// A size that lies: near 0, near a power of two, of 2, 4 or 8 bytes in either order.
fn number(s: &mut Stream) -> Vec<u8> {
    let power = 1u64.checked_shl(s.below(65) as u32).unwrap_or(0);
    let value = power.wrapping_add(s.below(3) as u64).wrapping_sub(1);
    let mut bytes = match s.below(3) {
        0 => (value as u16).to_le_bytes().to_vec(),
        1 => (value as u32).to_le_bytes().to_vec(),
        _ => value.to_le_bytes().to_vec(),
    };
    if s.below(3) == 0 {
        bytes.reverse();
    }
    bytes
}
