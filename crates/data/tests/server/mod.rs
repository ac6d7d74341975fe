//! A server of files for tests: GET and HEAD with ranges; and, where it is asked to, pages about folders or S3's listing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// Files alone.
    Plain,
    /// Pages with links about folders, as nginx shows them; what it does not know is "not implemented".
    Pages,
    /// The same without ranges, as Python's `http.server`: every file whole.
    Whole,
    /// S3's protocol; requests must be signed. The bucket is called `bucket`.
    S3,
}

impl Kind {
    fn shows_folders(self) -> bool {
        self == Kind::Pages || self == Kind::Whole
    }
}

pub struct Server {
    address: String,
    seen: Arc<Mutex<Vec<String>>>,
}

struct Shared {
    root: PathBuf,
    kind: Kind,
    /// Every so many requests (0: never) the server says that it is overloaded.
    broken: usize,
    count: AtomicUsize,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub fn start(root: &Path, kind: Kind, broken: usize) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let shared =
            Arc::new(Shared { root: root.into(), kind, broken, count: AtomicUsize::new(0), seen: seen.clone() });
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                std::thread::spawn(move || {
                    let _ = serve(stream, &shared);
                });
            }
        });
        Server { address, seen }
    }
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address).trim_end_matches('/').into()
    }
    /// The first lines of all requests.
    pub fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut out = stream.try_clone()?;
    let mut lines = BufReader::new(stream);
    loop {
        let mut request = String::new();
        if lines.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let (mut range, mut length, mut signed) = (None, 0, false);
        loop {
            let mut line = String::new();
            lines.read_line(&mut line)?;
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(r) = line.strip_prefix("range: bytes=") {
                let (a, b) = r.split_once('-').unwrap();
                range = Some((a.parse::<usize>().unwrap(), b.parse::<usize>().unwrap()));
            }
            if let Some(n) = line.strip_prefix("content-length: ") {
                length = n.parse().unwrap();
            }
            signed |= line.starts_with("authorization: aws4-hmac-sha256 credential=key/");
        }
        lines.by_ref().take(length).read_to_end(&mut Vec::new())?;
        shared.seen.lock().unwrap().push(request.trim().into());
        let number = shared.count.fetch_add(1, Ordering::Relaxed);
        let mut words = request.split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = decoded(path);
        let mut reply = |status: &str, extra: &str, body: &[u8], length: usize| {
            let dated = "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\nETag: \"1\"";
            write!(out, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{dated}\r\n{extra}\r\n")?;
            out.write_all(body)
        };
        if shared.broken > 0 && number % shared.broken == shared.broken - 1 {
            reply("503 Service Unavailable", "", b"", 0)?;
        } else if shared.kind == Kind::S3 && !signed {
            reply("403 Forbidden", "", b"", 0)?;
        } else if path.ends_with("/refused/classes.txt") {
            reply("400 Bad Request", "", b"", 0)?;
        } else if method != "GET" && method != "HEAD" && shared.kind.shows_folders() {
            reply("501 Unsupported method", "", b"", 0)?;
        } else if method != "GET" && method != "HEAD" {
            reply("405 Method Not Allowed", "", b"", 0)?;
        } else if query.contains("list-type=2") {
            let body = listing(&shared.root, query)?;
            reply("200 OK", "Content-Type: application/xml\r\n", body.as_bytes(), body.len())?;
        } else {
            // S3 by path has the bucket in front.
            let inner = path.trim_start_matches('/');
            let inner = if shared.kind == Kind::S3 { inner.trim_start_matches("bucket/") } else { inner };
            let file = shared.root.join(inner);
            if shared.kind.shows_folders() && file.is_dir() {
                if path.ends_with('/') {
                    let body = page(&file)?;
                    reply("200 OK", "Content-Type: text/html\r\n", body.as_bytes(), body.len())?;
                } else {
                    reply("301 Moved Permanently", &format!("Location: {target}/\r\n"), b"", 0)?;
                }
                continue;
            }
            let Ok(bytes) = std::fs::read(&file) else {
                reply("404 Not Found", "", b"", 0)?;
                continue;
            };
            match range {
                _ if method == "HEAD" => reply("200 OK", "", b"", bytes.len())?,
                Some((a, b)) if shared.kind != Kind::Whole => {
                    let b = b.min(bytes.len() - 1);
                    let extra = format!("Content-Range: bytes {a}-{b}/{}\r\n", bytes.len());
                    reply("206 Partial Content", &extra, &bytes[a..=b], b + 1 - a)?;
                }
                _ => reply("200 OK", "", &bytes, bytes.len())?,
            }
        }
    }
}

fn entries(dir: &Path) -> Vec<(String, bool, u64)> {
    let read = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let entry = |e: std::fs::DirEntry| {
        let meta = e.metadata().unwrap();
        (e.file_name().into_string().unwrap(), meta.is_dir(), meta.len())
    };
    read.map(entry).collect()
}

/// A folder as nginx shows it.
fn page(dir: &Path) -> std::io::Result<String> {
    let mut out = String::from("<html><h1>Index</h1><pre><a href=\"../\">../</a>\n");
    for (name, is_dir, bytes) in entries(dir) {
        let name = name + if is_dir { "/" } else { "" };
        let link: String = name
            .bytes()
            .map(|b| match b {
                b if b.is_ascii_alphanumeric() || b"./-_".contains(&b) => (b as char).to_string(),
                b => format!("%{b:02X}"),
            })
            .collect();
        out += &format!("<a href=\"{link}\">{name}</a>   {bytes}\n");
    }
    Ok(out + "</pre></html>")
}

/// S3's answer to a listing with `/` as delimiter.
fn listing(root: &Path, query: &str) -> std::io::Result<String> {
    let mut body = String::from("<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>false</IsTruncated>");
    let prefix = query.split('&').find_map(|q| q.strip_prefix("prefix=")).map(decoded).unwrap_or_default();
    for (name, is_dir, bytes) in entries(&root.join(&prefix)) {
        body += &match is_dir {
            true => format!("<CommonPrefixes><Prefix>{prefix}{name}/</Prefix></CommonPrefixes>"),
            false => format!(
                "<Contents><Key>{prefix}{name}</Key><Size>{bytes}</Size><LastModified>2015-10-21T07:28:00.000Z</LastModified><ETag>\"1\"</ETag></Contents>"
            ),
        };
    }
    Ok(body + "</ListBucketResult>")
}

fn decoded(text: &str) -> String {
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        if bytes[at] == b'%' {
            out.push(u8::from_str_radix(&text[at + 1..at + 3], 16).unwrap());
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8(out).unwrap()
}
