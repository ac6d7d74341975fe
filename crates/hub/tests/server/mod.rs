//! A server of one machine that speaks the hub's protocol, and misbehaves on demand.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request: method, path, headers in lower case.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, String>,
}

/// An answer: status, headers, body, and how much of the body is sent.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Bytes after which the connection is cut.
    pub cut: Option<usize>,
    /// Time to wait before the body.
    pub wait: Duration,
}

pub type Handler = dyn Fn(&Request) -> Answer + Send + Sync;

/// A running server; its requests are kept.
pub struct Server {
    pub address: String,
    pub requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub fn start(handler: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (kept, handler): (_, Arc<Handler>) = (requests.clone(), Arc::new(handler));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (kept, handler) = (kept.clone(), handler.clone());
                std::thread::spawn(move || stream.map(|s| serve(s, &kept, &*handler)));
            }
        });
        Server { address, requests }
    }
    /// Methods and paths of all requests.
    pub fn seen(&self) -> Vec<String> {
        self.requests.lock().unwrap().iter().map(|r| format!("{} {}", r.method, r.path)).collect()
    }
    pub fn gets(&self) -> usize {
        self.seen().iter().filter(|r| r.starts_with("GET")).count()
    }
}

fn serve(stream: TcpStream, kept: &Mutex<Vec<Request>>, handler: &Handler) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let mut words = line.split_whitespace();
        let (method, path) = (words.next()?.to_string(), words.next()?.to_string());
        let mut headers = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            match line.trim().split_once(':') {
                Some((k, v)) => headers.insert(k.to_ascii_lowercase(), v.trim().to_string()),
                None => break,
            };
        }
        let request = Request { method, path, headers };
        kept.lock().unwrap().push(request.clone());
        let a = handler(&request);
        let mut head = format!("HTTP/1.1 {} X\r\n", a.status);
        a.headers.iter().for_each(|(k, v)| head += &format!("{k}: {v}\r\n"));
        if !a.headers.iter().any(|h| h.0 == "Content-Length") {
            head += &format!("Content-Length: {}\r\n", a.body.len());
        }
        stream.write_all((head + "\r\n").as_bytes()).ok()?;
        if request.method == "HEAD" {
            continue;
        }
        stream.flush().ok()?;
        std::thread::sleep(a.wait);
        let end = a.cut.unwrap_or(a.body.len()).min(a.body.len());
        stream.write_all(&a.body[..end]).ok()?;
        if a.cut.is_some() {
            return None;
        }
    }
}
