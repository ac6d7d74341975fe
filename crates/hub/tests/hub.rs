//! The hub's protocol against a server of one machine: what it answers, and all the ways in which it may fail.

mod server;

use gabor_hub::{Hub, Kind, Name, Options};
use server::{Answer, Request, Server};
use sha1::Digest;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A directory that goes away with the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("gabor-hub-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Place(path)
    }
    fn hub(&self, server: &Server) -> Hub {
        Hub::new(self.options(&server.address))
    }
    fn options(&self, endpoint: &str) -> Options {
        Options {
            endpoint: endpoint.into(),
            cache: self.0.clone(),
            token: None,
            offline: false,
            timeout: Duration::from_millis(1500),
        }
    }
    fn repository(&self) -> PathBuf {
        self.0.join("models--owner--net")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex(&sha2::Sha256::digest(bytes))
}

fn blob(bytes: &[u8]) -> String {
    hex(&sha1::Sha1::digest([format!("blob {}\0", bytes.len()).as_bytes(), bytes].concat()))
}

fn large() -> Vec<u8> {
    (0..300_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn header(name: &str, value: impl Into<String>) -> (String, String) {
    (name.into(), value.into())
}

fn error(status: u16, code: &str) -> Answer {
    Answer { status, headers: vec![header("X-Error-Code", code)], ..Answer::default() }
}

/// Bytes from the place that the request asks for.
fn ranged(r: &Request, body: Vec<u8>) -> Answer {
    let from = r.headers.get("range").and_then(|v| v.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    match from {
        Some(from) if from >= body.len() => Answer { status: 416, ..Answer::default() },
        Some(from) => Answer {
            status: 206,
            headers: vec![header("Content-Range", format!("bytes {from}-{}/{}", body.len() - 1, body.len()))],
            body: body[from..].to_vec(),
            ..Answer::default()
        },
        None => Answer { status: 200, body, ..Answer::default() },
    }
}

/// `owner/net` with a small file and a large one, which lies on another host's path, as the hub has it.
fn hub(r: &Request) -> Answer {
    let small = br#"{"architecture":"resnet18"}"#.to_vec();
    let facts = |etag: &str| vec![header("ETag", format!("\"{etag}\"")), header("X-Repo-Commit", COMMIT)];
    let file = r.path.strip_prefix("/owner/net/resolve/");
    match file.and_then(|f| f.split_once('/')) {
        Some(("main" | "v1" | COMMIT, "config.json")) => {
            Answer { status: 200, headers: facts(&blob(&small)), body: small, ..Answer::default() }
        }
        Some(("main" | COMMIT, "sub/model.safetensors")) => {
            let mut headers = facts("0000");
            headers.push(header("X-Linked-ETag", format!("\"{}\"", sha256(&large()))));
            headers.push(header("X-Linked-Size", large().len().to_string()));
            headers.push(header("Location", "/cdn/large"));
            Answer { status: 302, headers, ..Answer::default() }
        }
        Some(("main" | COMMIT, _)) => error(404, "EntryNotFound"),
        Some(_) => error(404, "RevisionNotFound"),
        None => match r.path.as_str() {
            "/cdn/large" => ranged(r, large()),
            p if p.starts_with("/old/name/") => Answer {
                status: 307,
                headers: vec![header("Location", p.replace("/old/name/", "/owner/net/"))],
                ..Answer::default()
            },
            p if p.starts_with("/owner/gated/") => error(403, "GatedRepo"),
            p if p.starts_with("/owner/loop/") => {
                Answer { status: 307, headers: vec![header("Location", p)], ..Answer::default() }
            }
            _ => error(401, "RepoNotFound"),
        },
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn quiet(_: gabor_hub::Progress<'_>) {}

#[test]
fn a_file_lands_in_pythons_layout() {
    let (server, place) = (Server::start(hub), Place::new("layout"));
    let mut seen = Vec::new();
    let hub = place.hub(&server);
    let found = hub.file(&name("owner/net"), "sub/model.safetensors", &mut |p| seen.push((p.done, p.total))).unwrap();
    assert_eq!(fs::read(&found.path).unwrap(), large());
    assert_eq!((found.commit.as_str(), found.note), (COMMIT, None));
    assert_eq!((seen.first(), seen.last()), (Some(&(0, 300_000)), Some(&(300_000, 300_000))));
    let r = place.repository();
    assert_eq!(found.path, r.join("snapshots").join(COMMIT).join("sub/model.safetensors"));
    assert_eq!(fs::read_to_string(r.join("refs/main")).unwrap(), COMMIT);
    #[cfg(unix)]
    assert_eq!(fs::read_link(&found.path).unwrap(), Path::new(&format!("../../../blobs/{}", sha256(&large()))));
    assert!(place.0.join(".locks/models--owner--net").join(sha256(&large()) + ".lock").exists());
    // A second time one question, no bytes; at the commit not even that.
    let gets = server.gets();
    hub.file(&name("owner/net"), "sub/model.safetensors", &mut quiet).unwrap();
    assert_eq!(server.gets(), gets);
    let all = server.seen().len();
    hub.file(&name(&format!("owner/net@{COMMIT}")), "sub/model.safetensors", &mut quiet).unwrap();
    assert_eq!(server.seen().len(), all);
    // Small files carry git's checksum.
    let small = hub.file(&name("owner/net@v1"), "config.json", &mut quiet).unwrap();
    assert_eq!(fs::read(&small.path).unwrap(), br#"{"architecture":"resnet18"}"#);
    // A renamed repository.
    hub.file(&name("old/name"), "config.json", &mut quiet).unwrap();
}

#[test]
fn offline_takes_what_is_there() {
    let (server, place) = (Server::start(hub), Place::new("offline"));
    let offline = Hub::new(Options { offline: true, ..place.options(&server.address) });
    let e = offline.file(&name("owner/net"), "config.json", &mut quiet).unwrap_err();
    assert_eq!(e.kind, Kind::Offline);
    assert!(e.to_string().starts_with("owner/net: `config.json` is not in the cache, and the network is off"), "{e}");
    assert!(server.seen().is_empty());
    let online = place.hub(&server).file(&name("owner/net"), "config.json", &mut quiet).unwrap();
    let all = server.seen().len();
    assert_eq!(offline.file(&name("owner/net"), "config.json", &mut quiet).unwrap(), online);
    assert_eq!(server.seen().len(), all);
    // A hub that is out of reach: the cache has to do, and it is said.
    let away = Hub::new(place.options("http://127.0.0.1:1"));
    let found = away.file(&name("owner/net"), "config.json", &mut quiet).unwrap();
    assert_eq!(found.path, online.path);
    assert!(found.note.unwrap().ends_with("the cached file is taken"));
    let e = away.file(&name("owner/other"), "config.json", &mut quiet).unwrap_err();
    assert!(e.kind == Kind::Network && e.right.contains("HF_ENDPOINT") && e.right.contains("--offline"), "{e}");
}

#[test]
fn refusals_say_what_is_missing() {
    let (server, place) = (Server::start(hub), Place::new("refusals"));
    let hub = place.hub(&server);
    for (repository, file, kind, text) in [
        ("owner/none", "config.json", Kind::NoRepository, "owner/none: there is no such repository, or it is private"),
        (
            "owner/none@v9",
            "config.json",
            Kind::NoRepository,
            "owner/none: there is no such repository, or it is private, or it has no revision `v9`",
        ),
        ("owner/net", "none.bin", Kind::NoFile, "owner/net: the repository has no file `none.bin`"),
        ("owner/net@v9", "config.json", Kind::NoRevision, "owner/net@v9: there is no revision `v9`"),
        ("owner/gated", "config.json", Kind::Denied, "owner/gated: its terms must be accepted first"),
        ("owner/loop", "config.json", Kind::Network, ""),
        ("owner/net", "../../x", Kind::Name, "owner/net: `../../x` leads out of the repository"),
    ] {
        let e = hub.file(&name(repository), file, &mut quiet).unwrap_err();
        assert_eq!(e.kind, kind, "{e}");
        assert!(e.to_string().starts_with(text), "{e}");
    }
    assert!(server.seen().iter().filter(|r| r.contains("/owner/loop/")).count() <= 11);
    assert!(!place.repository().join("blobs").exists());
}

/// A server whose large file misbehaves on its first `times` requests.
fn faulty(times: usize, fault: impl Fn(&Request, Answer) -> Answer + Send + Sync + 'static) -> Server {
    let count = AtomicUsize::new(0);
    Server::start(move |r| {
        let fine = hub(r);
        if r.method == "GET" && r.path == "/cdn/large" && count.fetch_add(1, Ordering::SeqCst) < times {
            return fault(r, fine);
        }
        fine
    })
}

fn fetch(server: &Server, place: &Place) -> gabor_hub::Result<gabor_hub::Found> {
    place.hub(server).file(&name("owner/net"), "sub/model.safetensors", &mut quiet)
}

#[test]
fn a_broken_connection_is_resumed() {
    let (server, place) = (faulty(2, |_, a| Answer { cut: Some(70_000), ..a }), Place::new("resume"));
    let found = fetch(&server, &place).unwrap();
    assert_eq!(fs::read(found.path).unwrap(), large());
    let ranges: Vec<Option<String>> =
        (server.requests.lock().unwrap().iter().filter(|r| r.method == "GET" && r.path == "/cdn/large"))
            .map(|r| r.headers.get("range").cloned())
            .collect();
    assert_eq!(ranges[0], None);
    assert!(
        ranges.len() == 3 && ranges[1..].iter().all(|r| r.as_ref().is_some_and(|r| r.starts_with("bytes="))),
        "{ranges:?}"
    );
    // What an earlier process left is gone on with.
    let place = Place::new("left");
    let part = place.repository().join("blobs").join(sha256(&large()) + ".incomplete");
    fs::create_dir_all(part.parent().unwrap()).unwrap();
    fs::write(&part, &large()[..123_456]).unwrap();
    let server = Server::start(hub);
    assert_eq!(fs::read(fetch(&server, &place).unwrap().path).unwrap(), large());
    let last = server.requests.lock().unwrap().last().unwrap().clone();
    assert_eq!(last.headers.get("range").map(String::as_str), Some("bytes=123456-"));
    assert!(!part.exists());
    // A server without ranges begins anew.
    let (server, place) = (faulty(1, |_, a| Answer { cut: Some(5000), ..a }), Place::new("anew"));
    drop(fetch(&server, &place));
    let server = Server::start(|r| {
        let mut plain = r.clone();
        plain.headers.remove("range");
        hub(&plain)
    });
    assert_eq!(fs::read(fetch(&server, &place).unwrap().path).unwrap(), large());
}

#[test]
fn damage_is_found() {
    // Other bytes of the same length.
    let wrong = |_: &Request, a: Answer| Answer { body: vec![7; a.body.len()], ..a };
    let (server, place) = (faulty(1, wrong), Place::new("damage"));
    let e = fetch(&server, &place).unwrap_err();
    assert_eq!(e.kind, Kind::Damaged);
    assert!(e.to_string().contains(&format!("the hub says {}", sha256(&large()))), "{e}");
    // Nothing of it is left, and the next attempt is whole.
    assert_eq!(fs::read_dir(place.repository().join("blobs")).unwrap().count(), 0);
    assert!(!place.repository().join("snapshots").exists());
    assert_eq!(fs::read(fetch(&server, &place).unwrap().path).unwrap(), large());
    // More bytes than were promised: the excess is not written.
    let longer = |_: &Request, a: Answer| Answer { body: [a.body.clone(), vec![0; 1 << 20]].concat(), ..a };
    let (server, place) = (faulty(9, longer), Place::new("longer"));
    assert_eq!(fetch(&server, &place).unwrap_err().kind, Kind::Damaged);
    // A body that always ends early.
    let (server, place) = (faulty(99, |_, a| Answer { cut: Some(0), ..a }), Place::new("cut"));
    let e = fetch(&server, &place).unwrap_err();
    assert_eq!(e.kind, Kind::Network);
    assert_eq!(server.gets() % 2, 0, "each attempt asks the hub and the store");
    assert!(server.gets() <= 6, "{}", server.gets());
}

#[test]
fn a_server_that_hangs_is_left() {
    let server = Server::start(|r| {
        if r.method == "HEAD" {
            std::thread::sleep(Duration::from_secs(60));
        }
        hub(r)
    });
    let place = Place::new("hang");
    let started = Instant::now();
    assert_eq!(fetch(&server, &place).unwrap_err().kind, Kind::Network);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let server = faulty(99, |_, a| Answer { wait: Duration::from_secs(60), ..a });
    let started = Instant::now();
    assert_eq!(fetch(&server, &Place::new("stall")).unwrap_err().kind, Kind::Network);
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

#[test]
fn hostile_answers_are_refused() {
    let change = |name: &'static str, value: &'static str| {
        Server::start(move |r| {
            let mut a = hub(r);
            a.headers.retain(|h| h.0 != name);
            a.headers.push(header(name, value));
            a
        })
    };
    for (name, value, text) in [
        ("X-Linked-ETag", "\"../../../../etc/passwd\"", "no usable checksum"),
        ("X-Linked-ETag", "\"abc\"", "no usable checksum"),
        ("X-Repo-Commit", "../../../x", "no usable commit"),
        ("X-Linked-Size", "-1", "no usable size"),
        ("Location", "file:///etc/passwd", "not an address of http or https"),
        ("Location", "//other/x", "without a scheme"),
    ] {
        let (server, place) = (change(name, value), Place::new("hostile"));
        let e = fetch(&server, &place).unwrap_err();
        assert!(e.kind == Kind::Network && e.to_string().contains(text), "{name}: {e}");
        assert!(!place.repository().join("snapshots").exists(), "{name}");
    }
}

#[test]
fn the_token_is_the_hubs_alone() {
    let store = Server::start(|r| ranged(r, large()));
    let elsewhere = format!("{}/large", store.address);
    let server = Server::start(move |r| {
        let mut a = hub(r);
        if let Some(h) = a.headers.iter_mut().find(|h| h.0 == "Location") {
            h.1.clone_from(&elsewhere);
        }
        a
    });
    let place = Place::new("token");
    let hub = Hub::new(Options { token: Some("hf_secret".into()), ..place.options(&server.address) });
    hub.file(&name("owner/net"), "sub/model.safetensors", &mut quiet).unwrap();
    let sent = |s: &Server| s.requests.lock().unwrap().iter().all(|r| r.headers.contains_key("authorization"));
    assert!(sent(&server));
    assert!(store.requests.lock().unwrap().iter().all(|r| !r.headers.contains_key("authorization")));
}

#[test]
fn two_at_once_download_once() {
    let server = faulty(1, |_, a| Answer { wait: Duration::from_millis(300), ..a });
    let place = Place::new("two");
    std::thread::scope(|s| {
        let threads: Vec<_> = (0..3).map(|_| s.spawn(|| fetch(&server, &place).unwrap().path)).collect();
        for t in threads {
            assert_eq!(fs::read(t.join().unwrap()).unwrap(), large());
        }
    });
    assert_eq!(server.seen().iter().filter(|r| *r == "GET /cdn/large").count(), 1);
}

#[test]
fn https_that_is_not_there_is_said() {
    let place = Place::new("https");
    let e = Hub::new(place.options("https://127.0.0.1:1")).file(&name("a/b"), "c", &mut quiet).unwrap_err();
    assert_eq!(e.kind, Kind::Network);
    let e = Hub::new(place.options("ftp://x")).file(&name("a/b"), "c", &mut quiet).unwrap_err();
    assert!(e.to_string().contains("HF_ENDPOINT"), "{e}");
}
