//! The hub's servers: what a file is (HEAD), and its bytes (GET), through redirects.

use crate::checksum::is_checksum;
use crate::{Error, Kind, Name, Options, Result, cache, tls};
use ureq::http::Response;
use ureq::{Agent, Body};

/// Most redirects that are followed.
const MAX_REDIRECTS: usize = 10;

/// What the server says of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) commit: String,
    /// SHA-256 or git's blob number.
    pub(crate) etag: String,
    pub(crate) size: u64,
}

/// Connections to an endpoint.
pub(crate) struct Remote<'a> {
    options: &'a Options,
    agent: Agent,
}

fn header<'r>(response: &'r Response<Body>, name: &str) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok()
}

/// Scheme and authority of an address.
fn origin(url: &str) -> Option<&str> {
    let rest = url.find("://")? + 3;
    Some(&url[..url[rest..].find('/').map_or(url.len(), |i| rest + i)])
}

impl<'a> Remote<'a> {
    pub(crate) fn new(options: &'a Options) -> Result<Self> {
        let endpoint = &options.endpoint;
        let secure = endpoint.starts_with("https://");
        if !secure && !endpoint.starts_with("http://") {
            let error = Error::new(Kind::Network, endpoint, "the endpoint is no address");
            return Err(error.right("https://huggingface.co, or another in HF_ENDPOINT"));
        }
        let timeout = Some(options.timeout);
        let config = Agent::config_builder()
            .max_redirects(0)
            .http_status_as_error(false)
            .accept_encoding("identity")
            .user_agent(concat!("gabor/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(timeout)
            .timeout_connect(timeout)
            .timeout_send_request(timeout)
            .timeout_recv_response(timeout)
            .timeout_per_read(timeout);
        let config = tls::secured(config, secure).map_err(|reason| {
            let error = Error::new(Kind::Network, endpoint, format!("no https here: {reason}"));
            error.right("the file, downloaded by other means, or an http:// mirror in HF_ENDPOINT")
        })?;
        Ok(Remote { options, agent: config.build().new_agent() })
    }

    fn url(&self, name: &Name, revision: &str, file: &str) -> String {
        let escape = |text: &str| -> String {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~/".contains(&b);
            text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
        };
        // A revision may hold slashes, which must not end it.
        let revision = escape(revision).replace('/', "%2F");
        let endpoint = self.options.endpoint.trim_end_matches('/');
        format!("{endpoint}/{}/resolve/{revision}/{}", name.repository(), escape(file))
    }

    fn send(&self, method: &str, url: &str, from: Option<u64>) -> Result<Response<Body>> {
        let mut request = if method == "HEAD" { self.agent.head(url) } else { self.agent.get(url) };
        // The token is the endpoint's alone.
        if let Some(token) = self.options.token.as_ref().filter(|_| origin(url) == origin(&self.options.endpoint)) {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        if let Some(from) = from {
            request = request.header("Range", format!("bytes={from}-"));
        }
        request.call().map_err(|e| {
            let error = Error::new(Kind::Network, url, format!("cannot be reached: {e}"));
            error.right("a connection, a mirror in HF_ENDPOINT, or --offline for what the cache has")
        })
    }

    /// Commit, checksum and size of a file.
    pub(crate) fn facts(&self, name: &Name, file: &str) -> Result<Facts> {
        let mut url = self.url(name, name.revision(), file);
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send("HEAD", &url, None)?;
            let status = response.status().as_u16();
            // A renamed repository redirects within the hub; elsewhere lie the bytes, and what we ask is said here.
            let location = header(&response, "location").unwrap_or("");
            if (300..400).contains(&status) && header(&response, "x-linked-etag").is_none() && location.starts_with('/')
            {
                url = next(&url, location)?;
                continue;
            }
            if !(200..400).contains(&status) {
                return Err(refusal(&response, name, file, &url));
            }
            let strange = |what: &str| {
                let error = Error::new(Kind::Network, &url, format!("the server's answer has no usable {what}"));
                error.right("a server that speaks the hub's protocol")
            };
            let etag = header(&response, "x-linked-etag").or_else(|| header(&response, "etag")).unwrap_or("");
            let etag = etag.trim_start_matches("W/").trim_matches('"').to_string();
            if !is_checksum(&etag) {
                return Err(strange("checksum (ETag)"));
            }
            let commit = header(&response, "x-repo-commit").unwrap_or("").to_string();
            if !cache::is_commit(&commit) {
                return Err(strange("commit (X-Repo-Commit)"));
            }
            let size = header(&response, "x-linked-size").or_else(|| header(&response, "content-length"));
            let size = size.and_then(|s| s.parse().ok()).ok_or_else(|| strange("size"))?;
            return Ok(Facts { commit, etag, size });
        }
        Err(Error::new(Kind::Network, url, format!("more than {MAX_REDIRECTS} redirects")))
    }

    /// The bytes of a file at a commit, from `from` on where the server can; the place at which they begin.
    pub(crate) fn bytes(&self, name: &Name, commit: &str, file: &str, from: u64) -> Result<(Response<Body>, u64)> {
        let mut url = self.url(name, commit, file);
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send("GET", &url, (from > 0).then_some(from))?;
            match response.status().as_u16() {
                206 => {
                    let range = header(&response, "content-range").unwrap_or("");
                    let begins: Option<u64> =
                        range.strip_prefix("bytes ").and_then(|r| r.split('-').next()?.parse().ok());
                    return match begins {
                        Some(begins) if begins == from => Ok((response, from)),
                        _ => Err(Error::new(
                            Kind::Network,
                            url,
                            format!("a part from {from} on was asked for, `{range}` came"),
                        )),
                    };
                }
                200 => return Ok((response, 0)),
                300..400 => {
                    let location = header(&response, "location").unwrap_or("").to_string();
                    url = next(&url, &location)?;
                }
                // What is there is as long as the file, or longer: begin again.
                416 if from > 0 => return self.bytes(name, commit, file, 0),
                _ => return Err(refusal(&response, name, file, &url)),
            }
        }
        Err(Error::new(Kind::Network, url, format!("more than {MAX_REDIRECTS} redirects")))
    }
}

/// Where a redirect leads.
fn next(url: &str, location: &str) -> Result<String> {
    let broken = |rule: &str| Error::new(Kind::Network, url, format!("a redirect to `{:.200}`: {rule}", location));
    if location.starts_with("//") {
        return Err(broken("an address without a scheme"));
    }
    if location.starts_with('/') {
        return Ok(format!("{}{location}", origin(url).unwrap_or("")));
    }
    if url.starts_with("https://") && location.starts_with("http://") {
        return Err(broken("from https to http"));
    }
    if location.starts_with("https://") || location.starts_with("http://") {
        return Ok(location.into());
    }
    Err(broken("not an address of http or https"))
}

/// What a refusal means.
fn refusal(response: &Response<Body>, name: &Name, file: &str, url: &str) -> Error {
    let status = response.status().as_u16();
    let repository = name.repository();
    match (header(response, "x-error-code").unwrap_or(""), status) {
        ("EntryNotFound", _) => {
            Error::new(Kind::NoFile, name.to_string(), format!("the repository has no file `{file}`"))
        }
        ("RevisionNotFound", _) => {
            let error =
                Error::new(Kind::NoRevision, name.to_string(), format!("there is no revision `{}`", name.revision()));
            error.right("a branch, a tag or a commit of the repository")
        }
        ("GatedRepo", _) => Error::new(Kind::Denied, repository, "its terms must be accepted first")
            .right(format!("accept them at {}/{repository}, and a token in HF_TOKEN", origin(url).unwrap_or(""))),
        ("RepoNotFound", _) | ("", 404 | 401) => {
            // Some servers answer so where the revision alone is missing.
            let revision = match name.revision() {
                "main" => String::new(),
                other => format!(", or it has no revision `{other}`"),
            };
            let rule = format!("there is no such repository, or it is private{revision}");
            let error = Error::new(Kind::NoRepository, repository, rule);
            error.right("another name, or for a private one a token in HF_TOKEN")
        }
        (_, 403) => {
            Error::new(Kind::Denied, repository, "access is denied").right("a token in HF_TOKEN that may read it")
        }
        (_, 429) => Error::new(Kind::Network, url, "too many requests").right("a token in HF_TOKEN, or patience"),
        _ => {
            let text: String = header(response, "x-error-message").unwrap_or("").chars().take(200).collect();
            Error::new(Kind::Network, url, format!("the server answers {status} {text}").trim_end())
        }
    }
}
