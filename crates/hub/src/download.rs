//! One file into the cache: locked, resumed, verified, renamed.

use crate::cache::{Repository, make_parent};
use crate::remote::{Facts, Remote};
use crate::{Error, Kind, Name, Progress, Result, checksum};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

/// Attempts in a row that bring nothing.
const MAX_FAILURES: u32 = 3;

/// The blob of a file, downloaded unless it is there.
pub(crate) fn blob(
    remote: &Remote<'_>,
    repository: &Repository,
    name: &Name,
    file: &str,
    facts: &Facts,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<()> {
    let path = repository.blob(&facts.etag);
    let _lock = repository.lock(&facts.etag)?;
    // Whoever held the lock before may have brought it.
    if fs::metadata(&path).is_ok_and(|m| m.len() == facts.size) {
        return Ok(());
    }
    make_parent(&path)?;
    let part = path.with_file_name(format!("{}.incomplete", facts.etag));
    let mut failures = 0;
    loop {
        let before = fs::metadata(&part).map_or(0, |m| m.len());
        if before >= facts.size && facts.size > 0 || before > facts.size {
            break;
        }
        let outcome = attempt(remote, name, file, facts, &part, before, progress);
        let after = fs::metadata(&part).map_or(0, |m| m.len());
        match outcome {
            Ok(()) => break,
            Err(e) if e.kind != Kind::Network => return Err(e),
            Err(e) => {
                failures = if after > before { 0 } else { failures + 1 };
                if failures >= MAX_FAILURES {
                    return Err(e);
                }
            }
        }
    }
    let length = fs::metadata(&part).map_err(|e| Error::io(&part, "read", &e))?.len();
    let found = checksum::of_file(&part, &facts.etag)?;
    if found != facts.etag || length != facts.size {
        // What is left is of no use: resuming would keep the damage.
        let _ = fs::remove_file(&part);
        let rule = format!(
            "the bytes that came have the checksum {found} ({length} bytes), the hub says {} ({} bytes)",
            facts.etag, facts.size
        );
        return Err(Error::new(Kind::Damaged, format!("{name}: {file}"), rule).right("another attempt"));
    }
    File::open(&part).and_then(|f| f.sync_all()).map_err(|e| Error::io(&part, "flush", &e))?;
    fs::rename(&part, &path).map_err(|e| Error::io(&path, "rename", &e))
}

/// Reads on from `from` until the end, or until something breaks.
fn attempt(
    remote: &Remote<'_>,
    name: &Name,
    file: &str,
    facts: &Facts,
    part: &Path,
    from: u64,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<()> {
    let (response, begins) = remote.bytes(name, &facts.commit, file, from)?;
    let mut out = OpenOptions::new().create(true).append(true).open(part).map_err(|e| Error::io(part, "write", &e))?;
    // A server that knows no ranges begins anew.
    out.set_len(begins).map_err(|e| Error::io(part, "write", &e))?;
    let mut done = begins;
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 1 << 16];
    progress(Progress { file, done, total: facts.size });
    loop {
        let broken = |what: String| Error::new(Kind::Network, format!("{name}: {file}"), what);
        match body.read(&mut buffer) {
            Ok(0) if done == facts.size => return Ok(()),
            Ok(0) => return Err(broken(format!("the connection ended after {done} of {} bytes", facts.size))),
            Ok(n) => {
                if done + n as u64 > facts.size {
                    drop(fs::remove_file(part));
                    let rule = format!("more than the {} bytes that the hub says", facts.size);
                    return Err(Error::new(Kind::Damaged, format!("{name}: {file}"), rule));
                }
                out.write_all(&buffer[..n]).map_err(|e| Error::io(part, "write", &e))?;
                done += n as u64;
                progress(Progress { file, done, total: facts.size });
            }
            Err(e) => return Err(broken(format!("the connection broke after {done} of {} bytes: {e}", facts.size))),
        }
    }
}
