//! The way from a name to a file: cache, server, cache.

use crate::cache::Repository;
use crate::remote::Remote;
use crate::{Error, Kind, Name, Result, download};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How far a download is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file.
    pub file: &'a str,
    /// Bytes that are there.
    pub done: u64,
    /// Bytes of the whole file.
    pub total: u64,
}

/// Where the hub, the cache and the token are.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address of the hub.
    pub endpoint: String,
    /// Directory of the cache.
    pub cache: PathBuf,
    /// Token of an account.
    pub token: Option<String>,
    /// Whether the network is left alone.
    pub offline: bool,
    /// How long to wait for a connection, an answer, or the next bytes.
    pub timeout: Duration,
}

impl Options {
    /// As Python's `huggingface_hub` reads them: `HF_ENDPOINT`, `HF_HUB_CACHE` (else `HF_HOME/hub`, else
    /// `$XDG_CACHE_HOME/huggingface/hub`, else `~/.cache/huggingface/hub`), `HF_TOKEN` (else the file `HF_TOKEN_PATH` or
    /// `HF_HOME/token`), `HF_HUB_OFFLINE`, `HF_HUB_DOWNLOAD_TIMEOUT` in seconds (default 10).
    ///
    /// # Errors
    /// No home directory where one is needed.
    pub fn from_environment() -> Result<Self> {
        Self::from_variables(|name| std::env::var(name).ok().filter(|v| !v.is_empty()))
    }

    fn from_variables(get: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let set = |name: &str| get(name).is_some_and(|v| matches!(&*v.to_uppercase(), "1" | "ON" | "YES" | "TRUE"));
        let path = |name: &str| get(name).map(PathBuf::from);
        let home = || {
            let own = || Some(path("HOME").or_else(|| path("USERPROFILE"))?.join(".cache"));
            let cache = path("XDG_CACHE_HOME").or_else(own);
            path("HF_HOME").or_else(|| Some(cache?.join("huggingface")))
        };
        let lost =
            || Error::new(Kind::Cache, "the hub's cache", "no home directory is known").right("HF_HOME=DIRECTORY");
        let cache = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE"));
        let cache = cache.or_else(|| Some(home()?.join("hub"))).ok_or_else(lost)?;
        let stored = || std::fs::read_to_string(path("HF_TOKEN_PATH").or_else(|| Some(home()?.join("token")))?).ok();
        // A token is sent in a header: one line of visible characters.
        let token = get("HF_TOKEN").or_else(|| get("HUGGING_FACE_HUB_TOKEN")).or_else(stored);
        let token =
            token.map(|t| t.trim().to_string()).filter(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_graphic()));
        let seconds = get("HF_HUB_DOWNLOAD_TIMEOUT").and_then(|v| v.parse().ok()).filter(|&s: &u64| s > 0);
        Ok(Options {
            endpoint: get("HF_ENDPOINT").unwrap_or("https://huggingface.co".into()).trim_end_matches('/').into(),
            cache,
            token,
            offline: set("HF_HUB_OFFLINE") || set("TRANSFORMERS_OFFLINE"),
            timeout: Duration::from_secs(seconds.unwrap_or(10)),
        })
    }
}

/// A file that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// The commit that it belongs to.
    pub commit: String,
    /// Why the cache had to do, where the hub could not be asked.
    pub note: Option<String>,
}

/// A hub, through its cache.
#[derive(Clone, Debug)]
pub struct Hub {
    options: Options,
}

impl Hub {
    /// A hub by its options.
    pub fn new(options: Options) -> Self {
        Hub { options }
    }
    /// As the environment says; see [`Options::from_environment`].
    ///
    /// # Errors
    /// As there.
    pub fn from_environment() -> Result<Self> {
        Ok(Hub::new(Options::from_environment()?))
    }
    /// The options.
    pub fn options(&self) -> &Options {
        &self.options
    }
    /// A file of a repository at the name's revision. A file at a commit is taken from the cache without asking; a branch is
    /// asked for, and where the hub cannot be reached, the cache's last answer is taken, with a note.
    ///
    /// # Errors
    /// See [`Kind`].
    pub fn file(&self, name: &Name, file: &str, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Found> {
        if !crate::name::is_path(file) {
            return Err(Error::new(Kind::Name, name.to_string(), format!("`{file}` leads out of the repository")));
        }
        let repository = Repository::new(&self.options.cache, name);
        let cached = || {
            let commit = repository.commit(name.revision())?;
            Some(Found { path: repository.file(&commit, file)?, commit, note: None })
        };
        if self.options.offline {
            return cached().ok_or_else(|| self.not_cached(name, file));
        }
        if crate::cache::is_commit(name.revision())
            && let Some(found) = cached()
        {
            return Ok(found);
        }
        let asked = Remote::new(&self.options).and_then(|r| r.facts(name, file).map(|facts| (r, facts)));
        let (remote, facts) = match asked {
            Ok(both) => both,
            Err(e) => {
                return match cached().filter(|_| e.kind == Kind::Network) {
                    Some(found) => Ok(Found { note: Some(format!("{e}; the cached file is taken")), ..found }),
                    None => Err(e),
                };
            }
        };
        if repository.file(&facts.commit, file).is_none_or(|p| !ends_in(&p, &facts.etag)) {
            download::blob(&remote, &repository, name, file, &facts, progress)?;
        }
        let path = repository.link(&facts.commit, file, &facts.etag)?;
        repository.remember(name.revision(), &facts.commit)?;
        Ok(Found { path, commit: facts.commit, note: None })
    }

    fn not_cached(&self, name: &Name, file: &str) -> Error {
        let rule = format!("`{file}` is not in the cache, and the network is off (HF_HUB_OFFLINE or --offline)");
        let right = format!("one download with the network, or the file in {}", self.options.cache.display());
        Error::new(Kind::Offline, name.to_string(), rule).right(right)
    }
}

/// Whether a link leads to the blob of that checksum.
fn ends_in(path: &Path, etag: &str) -> bool {
    path.canonicalize().is_ok_and(|p| p.file_name().is_some_and(|n| n == etag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(vars: &[(&str, &str)]) -> Options {
        let get = |name: &str| vars.iter().find(|v| v.0 == name).map(|v| v.1.to_string());
        Options::from_variables(get).unwrap()
    }

    #[test]
    fn the_environment_is_read_as_python_reads_it() {
        let o = options(&[("HOME", "/h")]);
        assert_eq!((o.endpoint.as_str(), o.offline), ("https://huggingface.co", false));
        assert_eq!(o.cache, Path::new("/h/.cache/huggingface/hub"));
        assert_eq!(options(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]).cache, Path::new("/x/huggingface/hub"));
        assert_eq!(options(&[("HF_HOME", "/f")]).cache, Path::new("/f/hub"));
        assert_eq!(options(&[("HF_HOME", "/f"), ("HF_HUB_CACHE", "/c")]).cache, Path::new("/c"));
        let o =
            options(&[("HOME", "/h"), ("HF_HUB_OFFLINE", "1"), ("HF_ENDPOINT", "http://m/"), ("HF_TOKEN", " hf_x \n")]);
        assert_eq!((o.offline, o.endpoint.as_str(), o.token.as_deref()), (true, "http://m", Some("hf_x")));
        assert_eq!(options(&[("HOME", "/h"), ("HF_TOKEN", "a\nb")]).token, None);
        assert!(Options::from_variables(|_| None).unwrap_err().to_string().contains("HF_HOME"));
    }
}
