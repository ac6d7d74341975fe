//! Objects of S3, Google Cloud Storage, Azure and web servers, through the crate `object_store`.
//!
//! Credentials and endpoints come from the environment variables that the crate knows (`AWS_…`, `GOOGLE_…`, `AZURE_…`);
//! failed requests are made again by the crate. Whole objects (images, and what is no larger than a chunk) are fetched in one
//! request; ranges of large ones by chunks, of which a bounded number is kept for all of them.

use super::{escaped, signing, unescaped, web};
use crate::source::read::Entry;
use crate::{Error, Limits};
use gabor_tensor::Rule;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::Path as Key;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, ObjectStoreScheme, RetryConfig};
use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::runtime::Runtime;
use url::Url;

/// Bytes that are fetched at a time.
const CHUNK: u64 = 4 << 20;
/// Bytes of chunks that are kept: more than the blocks that a random order mixes (`LoaderOptions::mix_bytes`).
const KEPT: u64 = 512 << 20;
/// How often, and how long, a request that failed is made again.
const RETRIES: usize = 6;
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes that a web server's page about a folder may have.
const PAGE_BYTES: u64 = 64 << 20;

/// The threads that wait for answers.
fn runtime(path: &Path) -> Result<&'static Runtime, Error> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    let make = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    RUNTIME.get_or_init(make).as_ref().map_err(|e| Error::io(path, e))
}

fn wait<T>(path: &Path, work: impl Future<Output = object_store::Result<T>>) -> Result<T, Error> {
    runtime(path)?.block_on(work).map_err(|e| failed(path, &e))
}

/// The same of what need not be there. A store that may not be listed answers "forbidden" about an object that does not
/// exist, as S3 does; every other failure is one.
fn wait_for<T>(path: &Path, work: impl Future<Output = object_store::Result<T>>) -> Result<Option<T>, Error> {
    use object_store::Error::{NotFound, PermissionDenied, Unauthenticated};
    match runtime(path)?.block_on(work) {
        Ok(found) => Ok(Some(found)),
        Err(NotFound { .. } | PermissionDenied { .. } | Unauthenticated { .. }) => Ok(None),
        Err(e) => Err(failed(path, &e)),
    }
}

/// What a store answered, with what would help: its own words first.
fn failed(path: &Path, e: &dyn std::error::Error) -> Error {
    let mut text = e.to_string();
    // The cause says more than the outermost error, and may be part of it already.
    let mut cause = e.source();
    while let Some(c) = cause {
        let inner = c.to_string();
        if !text.contains(&inner) {
            text = format!("{text}: {inner}");
        }
        cause = c.source();
    }
    let address = path.to_string_lossy();
    let right = match address.split("://").next().unwrap_or_default() {
        "s3" | "s3a" => {
            "a bucket and key that exist, with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION; AWS_SKIP_SIGNATURE=true for a public bucket, AWS_ENDPOINT for another service than Amazon's"
        }
        "gs" => {
            "a bucket and key that exist, with GOOGLE_SERVICE_ACCOUNT (the path of a key file); GOOGLE_SKIP_SIGNATURE=true for a public bucket"
        }
        "http" | "https" => "an address that can be reached from here",
        _ => {
            "a container and key that exist, with AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY (or AZURE_STORAGE_SAS_KEY); AZURE_SKIP_SIGNATURE=true for a public one"
        }
    };
    Error::at(path, Rule::new("cannot be read").given(text).right(right))
}

/// The store of a URL, one for each host or bucket, and the key in it.
fn locate(path: &Path) -> Result<(Arc<dyn ObjectStore>, Key), Error> {
    static STORES: Mutex<BTreeMap<String, Arc<dyn ObjectStore>>> = Mutex::new(BTreeMap::new());
    let text = path.to_string_lossy();
    let url = Url::parse(&text).map_err(|e| failed(path, &e))?;
    // A query would be dropped, and a password would stand in messages and in the model's notes.
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        let place = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
        let rule = Rule::new("an address with a query, a fragment or a name before @");
        return Err(Error::new(place, rule.right("a plain one; credentials in the environment, `?` in names as %3F")));
    }
    let unknown = |_| {
        let rule = Rule::new("an address of an unknown kind").given(url.scheme());
        Error::at(path, rule.right("s3://, gs://, az://, abfs://, http:// or https://"))
    };
    let (scheme, key) = ObjectStoreScheme::parse(&url).map_err(unknown)?;
    // Some addresses of the web name the bucket in front of the key.
    let bucket = url.path().len().saturating_sub(key.as_ref().len());
    let front = if url.scheme() == "https" && scheme != ObjectStoreScheme::Http { &url.path()[..bucket] } else { "" };
    let root = format!("{}://{}{front}", url.scheme(), url.authority());
    let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(store) = stores.get(&root) {
        return Ok((store.clone(), key));
    }
    signing::install().map_err(|why| Error::at(path, Rule::new(why).right("a copy of the data on this machine")))?;
    let _context = runtime(path)?.enter();
    let store = build(scheme, &url).map_err(|e| failed(path, &e))?;
    stores.insert(root, store.clone());
    Ok((store, key))
}

/// A store with what the environment says of it.
fn build(scheme: ObjectStoreScheme, url: &Url) -> object_store::Result<Arc<dyn ObjectStore>> {
    let retry = RetryConfig { max_retries: RETRIES, retry_timeout: PATIENCE, ..Default::default() };
    let address = url.as_str();
    // Plain http is what an endpoint or address that begins so asks for; others stay with https.
    Ok(match scheme {
        ObjectStoreScheme::AmazonS3 => Arc::new(
            AmazonS3Builder::from_env()
                .with_url(address)
                .with_allow_http(true)
                .with_retry(retry)
                .with_crypto_provider(Arc::new(signing::Graviola))
                .build()?,
        ),
        ObjectStoreScheme::GoogleCloudStorage => Arc::new(
            GoogleCloudStorageBuilder::from_env()
                .with_url(address)
                .with_retry(retry)
                .with_crypto_provider(Arc::new(signing::Graviola))
                .build()?,
        ),
        ObjectStoreScheme::MicrosoftAzure => Arc::new(
            MicrosoftAzureBuilder::from_env()
                .with_url(address)
                .with_allow_http(true)
                .with_retry(retry)
                .with_crypto_provider(Arc::new(signing::Graviola))
                .build()?,
        ),
        _ => Arc::new(
            HttpBuilder::new()
                .with_url(&url[..url::Position::BeforePath])
                .with_client_options(ClientOptions::new().with_allow_http(true))
                .with_http_connector(web::Web)
                .with_retry(retry)
                .build()?,
        ),
    })
}

/// The objects and prefixes under a URL. A web server that lists nothing by WebDAV has what its page about the folder links
/// to, or what the index of shards there names.
pub(super) fn list(path: &Path) -> Result<Vec<Entry>, Error> {
    let (store, key) = locate(path)?;
    let entry = |name: &str, is_dir| Entry { path: path.join(escaped(name)), name: name.into(), is_dir };
    let listed = wait(path, store.list_with_delimiter(Some(&key)));
    let web = path.to_string_lossy().starts_with("http");
    let listed = match listed {
        Ok(listed) if !(listed.objects.is_empty() && listed.common_prefixes.is_empty()) => listed,
        other if web => {
            let found = match by_index(path)? {
                None => by_page(path, &store, &key)?,
                found => found,
            };
            let names = found.ok_or_else(|| nothing_listed(path, other.err()))?;
            return Ok(names.iter().map(|(name, is_dir)| entry(name, *is_dir)).collect());
        }
        other => {
            other?;
            let rule = Rule::new("nothing is there");
            return Err(Error::at(path, rule.right("a prefix with objects, such as s3://bucket/flowers")));
        }
    };
    let name = |key: &Key| key.filename().unwrap_or_default().to_string();
    let files = listed.objects.iter().map(|o| entry(&name(&o.location), false));
    Ok(files.chain(listed.common_prefixes.iter().map(|p| entry(&name(p), true))).collect())
}

fn nothing_listed(path: &Path, e: Option<Error>) -> Error {
    let rule = Rule::new("the server does not say what is there");
    let rule = rule.given(e.map_or_else(|| "an empty listing".into(), |e| e.rule().given.clone()));
    let right = "a server that lists its folders, a shard or manifest by its own address, shards by a pattern such as x-{000000..000009}.tar, or shards.idx beside the shards";
    Error::at(path, rule.right(right))
}

/// Names in a folder, with whether they are folders; none where nothing says.
type Names = Option<Vec<(String, bool)>>;

/// What an index of shards names, where there is one.
fn by_index(path: &Path) -> Result<Names, Error> {
    let index = path.join(crate::source::IndexBuilder::NAME);
    let limits = Limits { file_bytes: PAGE_BYTES, ..Limits::default() };
    let Some(bytes) = read_if_there(&index, &limits)? else { return Ok(None) };
    // A page that a server shows for whatever it does not have is no index.
    let Ok(text) = String::from_utf8(bytes) else { return Ok(None) };
    let shards = text.lines().filter_map(|l| l.strip_prefix("shard\t")?.split('\t').next());
    // Names right here: what an index says must not lead elsewhere.
    let plain = |n: &&str| !n.contains(['/', '\\']) && !n.starts_with('.');
    let mut names: Vec<String> = shards.filter(plain).map(str::to_string).collect();
    if names.is_empty() {
        return Ok(None);
    }
    names.push(crate::source::IndexBuilder::NAME.into());
    let classes = path.join("classes.txt");
    let (store, key) = locate(&classes)?;
    if wait_for(&classes, store.head(&key))?.is_some() {
        names.push("classes.txt".into());
    }
    Ok(Some(names.into_iter().map(|name| (name, false)).collect()))
}

/// What a web server's page about a folder links to, as nginx, Apache and Python's `http.server` write it: links to names
/// right below, those of folders with a slash at the end.
fn by_page(path: &Path, store: &Arc<dyn ObjectStore>, key: &Key) -> Result<Names, Error> {
    let Some(page) = wait_for(path, fetch(store.clone(), key.clone(), PAGE_BYTES))? else { return Ok(None) };
    let page = page.map_err(|size| {
        let rule = Rule::new(format!("the page about the folder has {size} bytes"));
        Error::at(path, rule.right(format!("at most {PAGE_BYTES}; or shards with shards.idx beside them")))
    })?;
    let names = links(&String::from_utf8_lossy(&page));
    Ok((!names.is_empty()).then_some(names))
}

/// Names that a page links to, each once, in its order.
fn links(page: &str) -> Vec<(String, bool)> {
    let (mut out, mut seen) = (Vec::new(), HashSet::new());
    let lower = page.to_ascii_lowercase();
    for (at, found) in lower.match_indices("href=") {
        let rest = &page[at + found.len()..];
        let Some(quote) = rest.chars().next().filter(|c| ['"', '\''].contains(c)) else { continue };
        let Some(target) = rest[1..].split(quote).next() else { continue };
        let target = target.strip_prefix("./").unwrap_or(target).replace("&amp;", "&");
        let (name, is_dir) = match target.strip_suffix('/') {
            Some(name) => (name, true),
            None => (target.as_str(), false),
        };
        let elsewhere = name.is_empty() || name.contains(['/', '?', '#', ':']) || name.starts_with('.');
        let Some(name) = unescaped(name).filter(|n| !elsewhere && !n.contains('/') && !n.starts_with('.')) else {
            continue;
        };
        if seen.insert(name.clone()) {
            out.push((name, is_dir));
        }
    }
    out
}

/// A whole object, its size compared with the limit before its bytes are read; the size where it is beyond.
async fn fetch(store: Arc<dyn ObjectStore>, key: Key, limit: u64) -> object_store::Result<Result<bytes::Bytes, u64>> {
    let found = store.get(&key).await?;
    match found.meta.size {
        size if size > limit => Ok(Err(size)),
        _ => found.bytes().await.map(Ok),
    }
}

/// The whole contents of an object within the limits, in one request.
pub(super) fn read_all(path: &Path, limits: &Limits) -> Result<Vec<u8>, Error> {
    let (store, key) = locate(path)?;
    within(path, wait(path, fetch(store, key, limits.file_bytes))?, limits)
}

/// The same of an object that need not be there.
pub(super) fn read_if_there(path: &Path, limits: &Limits) -> Result<Option<Vec<u8>>, Error> {
    let (store, key) = locate(path)?;
    wait_for(path, fetch(store, key, limits.file_bytes))?.map(|found| within(path, found, limits)).transpose()
}

/// What [`fetch`] found, or the limit that it is beyond.
fn within(path: &Path, found: Result<bytes::Bytes, u64>, limits: &Limits) -> Result<Vec<u8>, Error> {
    match found {
        Ok(bytes) => Ok(bytes.into()),
        Err(size) => Err(limits.check_file(size).map_err(|r| Error::at(path, r)).err().unwrap_or_else(|| {
            Error::at(path, Rule::new(format!("{size} bytes are more than the limit")).right("a smaller object"))
        })),
    }
}

/// An object, its size known.
pub(super) struct Object {
    url: Arc<PathBuf>,
    store: Arc<dyn ObjectStore>,
    key: Key,
    pub size: u64,
}

impl Object {
    pub fn open(path: &Path) -> Result<Object, Error> {
        let (store, key) = locate(path)?;
        let size = wait(path, store.head(&key))?.size;
        Ok(Object { url: Arc::new(path.into()), store, key, size })
    }
    /// Fills `out` from `offset` on; both lie within the size.
    pub fn fill(&self, path: &Path, offset: u64, out: &mut [u8]) -> Result<(), Error> {
        let (mut at, mut rest) = (offset, out);
        while !rest.is_empty() {
            let number = at / CHUNK;
            let chunk = self.chunk(path, number)?;
            let from = (at - number * CHUNK) as usize;
            let n = rest.len().min(chunk.len().saturating_sub(from));
            if n == 0 {
                let rule = Rule::new("the object ends before its size").given(format!("{} bytes", self.size));
                return Err(Error::at_byte(path, at, rule.right("an object that does not change while it is read")));
            }
            let (now, later) = rest.split_at_mut(n);
            now.copy_from_slice(&chunk[from..from + n]);
            (at, rest) = (at + n as u64, later);
        }
        Ok(())
    }
    /// A chunk, fetched once while it is kept; who comes second waits for the first.
    fn chunk(&self, path: &Path, number: u64) -> Result<bytes::Bytes, Error> {
        static CHUNKS: Mutex<Vec<Chunk>> = Mutex::new(Vec::new());
        let slot = {
            let mut chunks = CHUNKS.lock().unwrap_or_else(PoisonError::into_inner);
            let slot = match chunks.iter().position(|c| c.number == number && c.url == self.url) {
                Some(at) => chunks.remove(at),
                None => Chunk { url: self.url.clone(), number, slot: Arc::default() },
            };
            let found = slot.slot.clone();
            chunks.push(slot);
            if chunks.len() as u64 > KEPT / CHUNK {
                chunks.remove(0);
            }
            found
        };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = &*slot {
            return Ok(bytes.clone());
        }
        let bytes = self.asked(path, number)?;
        *slot = Some(bytes.clone());
        Ok(bytes)
    }
    /// A chunk from the store. An object of one chunk is asked for whole, which every server understands.
    fn asked(&self, path: &Path, number: u64) -> Result<bytes::Bytes, Error> {
        if self.size <= CHUNK {
            let limits = Limits { file_bytes: CHUNK, ..Limits::default() };
            return within(path, wait(path, fetch(self.store.clone(), self.key.clone(), CHUNK))?, &limits)
                .map(Into::into);
        }
        let range = number * CHUNK..((number + 1) * CHUNK).min(self.size);
        runtime(path)?.block_on(self.store.get_range(&self.key, range)).map_err(|e| match e {
            object_store::Error::NotSupported { .. } => {
                let rule = Rule::new("the server hands out whole files only, as Python's http.server does");
                let rule = rule.given(format!("{} bytes", self.size));
                let right = format!(
                    "a server that answers requests for ranges, such as nginx; files of at most {CHUNK} bytes; or a copy on this machine"
                );
                Error::at(path, rule.right(right))
            }
            e => failed(path, &e),
        })
    }
}

/// A chunk that is kept or under way.
struct Chunk {
    url: Arc<PathBuf>,
    number: u64,
    slot: Arc<Mutex<Option<bytes::Bytes>>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_three_servers() {
        let nginx = "<h1>Index of /set/</h1><hr><pre><a href=\"../\">../</a>\n<a href=\"bees%20%26%20co/\">bees &amp; co/</a> 1\n<a href=\"a.csv\">a.csv</a>";
        let dir = |n: &str| (n.to_string(), true);
        let file = |n: &str| (n.to_string(), false);
        assert_eq!(links(nginx), [dir("bees & co"), file("a.csv")]);
        let apache =
            "<a href=\"?C=N;O=D\">Name</a><a href=\"/\">Parent</a><a HREF='50%25.png'>x</a><a href='50%25.png'>x</a>";
        assert_eq!(links(apache), [file("50%.png")]);
        let python =
            "<li><a href=\".hidden\">.hidden</a></li><li><a href=\"caf%C3%A9/\">café/</a></li><a href=https://x>";
        assert_eq!(links(python), [dir("café")]);
        assert_eq!(links("%e2%ef<a href=\"%ff\">"), []);
        assert_eq!(
            (escaped("50% #1?"), unescaped("50%25 %231%3F").unwrap()),
            ("50%25 %231%3F".into(), "50% #1?".into())
        );
    }
}
