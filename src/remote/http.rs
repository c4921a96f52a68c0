//! Files on servers, by HTTP and in this process: an address is no argument of a program, and nothing in it is a pattern.
//!
//! A server may be slow, but not silent; it may send us elsewhere, but not for ever; and whoever takes what it sends says how
//! much that may be. A request runs in a thread of its own, so that an interrupt need not wait for the server.

use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use ureq::http::{HeaderMap, Method, Request, StatusCode, Uri};
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector as _, DefaultConnector};

use super::forward::Forward;
use super::location;
use super::proxy::{Proxies, Way, basic, split};
use crate::address::masked;
use crate::process;

/// How often a server may send us elsewhere, as with Go, in which the engines are written.
const REDIRECTS: usize = 10;
const USER_AGENT: &str = concat!("podman-stagecache/", env!("CARGO_PKG_VERSION"));
/// How much is read at a time, and how often of that waits for its reader.
const CHUNK: usize = 64 * 1024;
const CHUNKS: usize = 4;
const LOOK_UP: Duration = Duration::from_millis(50);

/// How long a server is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Until there is a connection.
    pub connect: Duration,
    /// Until there is an answer, and from one part of it to the next.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { connect: Duration::from_secs(30), silence: Duration::from_secs(60) }
    }
}

/// Why there is no answer, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// It is no address, or one of something else.
    #[error("{0} is not an address that can be fetched")]
    Address(String),
    /// No connection in time.
    #[error("no connection to {address} within {} s", .patience.as_secs_f32())]
    Connect {
        /// Of whom.
        address: String,
        /// How long it was waited for.
        patience: Duration,
    },
    /// The server says nothing.
    #[error("{address}: the server has sent nothing for {} s", .patience.as_secs_f32())]
    Silent {
        /// Of whom.
        address: String,
        /// How long it was waited for.
        patience: Duration,
    },
    /// The server sends us from one address to the next.
    #[error("{0}: the server has sent us elsewhere {REDIRECTS} times, the last time to there")]
    Redirects(String),
    /// The server has nothing there for us.
    #[error("{address}: the server answers {status}")]
    Status {
        /// Of whom.
        address: String,
        /// Its answer.
        status: StatusCode,
    },
    /// The server sends more than there is room for.
    #[error("{address}: the server sends more than {limit} bytes, which is the limit here")]
    TooMuch {
        /// Of whom.
        address: String,
        /// How much it may be.
        limit: u64,
    },
    /// The connection is no good.
    #[error("{address}: {problem}")]
    Broken {
        /// Of whom.
        address: String,
        /// What is wrong.
        problem: String,
    },
    /// What came cannot be kept.
    #[error("keeping what {address} sends: {source}")]
    Keep {
        /// Of whom.
        address: String,
        /// What is wrong.
        source: io::Error,
    },
    /// The user has asked us to stop.
    #[error("interrupted")]
    Interrupted,
}

/// A client with the proxies of this environment and the certificates of this machine.
#[derive(Debug, Clone, Default)]
pub struct Client {
    patience: Patience,
    proxies: Proxies,
}

/// The last answer, behind all redirects.
#[derive(Debug)]
pub struct Answer {
    /// Its status, a good one or not.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Without credentials, for messages.
    address: String,
    body: Receiver<Part>,
}

enum Part {
    Answer(StatusCode, HeaderMap),
    Bytes(Vec<u8>),
    End,
    Failed(HttpError),
}

impl Client {
    /// A client of this environment.
    pub fn new() -> Self {
        Self { patience: Patience::default(), proxies: Proxies::of(&|name| std::env::var(name).ok()) }
    }

    /// Asks what there is.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn head(&self, address: &str) -> Result<Answer, HttpError> {
        self.ask(Method::HEAD, address)
    }

    /// Writes what there is into `sink`, up to `limit` bytes.
    ///
    /// # Errors
    /// When there is nothing, not all of it, or too much.
    pub fn get(&self, address: &str, limit: u64, sink: &mut dyn Write) -> Result<u64, HttpError> {
        let answer = self.ask(Method::GET, address)?;
        if !answer.status.is_success() {
            return Err(HttpError::Status { address: answer.address, status: answer.status });
        }
        answer.write_to(limit, sink)
    }

    fn ask(&self, method: Method, address: &str) -> Result<Answer, HttpError> {
        let shown = masked(address);
        let uri = location::parse(address).ok_or_else(|| HttpError::Address(shown.clone()))?;
        let (sender, body) = sync_channel(CHUNKS);
        let client = self.clone();
        let exchange = move || {
            let last = match client.follow(&method, uri, &sender) {
                Ok(()) => Part::End,
                Err(error) => Part::Failed(error),
            };
            // Nobody waits for it any more.
            let _ = sender.send(last);
        };
        let named = thread::Builder::new().name("http".into());
        named.spawn(exchange).map_err(|error| HttpError::Broken {
            address: shown.clone(),
            problem: format!("starting a thread for it: {error}"),
        })?;
        match next(&body, &shown)? {
            Part::Answer(status, headers) => Ok(Answer { status, headers, address: shown, body }),
            Part::Failed(error) => Err(error),
            Part::Bytes(_) | Part::End => Err(ended_early(&shown)),
        }
    }

    /// Asks, goes where the server sends us, and hands on what comes of it.
    fn follow(&self, method: &Method, first: Uri, sender: &SyncSender<Part>) -> Result<(), HttpError> {
        let mut uri = first;
        for _ in 0..=REDIRECTS {
            let response = self.exchange(method, &uri)?;
            let shown = masked(&uri.to_string());
            if let Some(next) = redirected(response.status(), response.headers()) {
                uri = location::joined(&uri, next).ok_or_else(|| HttpError::Broken {
                    address: shown,
                    problem: format!("the server sends us to `{}`, which is no HTTP", masked(next)),
                })?;
                continue;
            }
            let (parts, body) = response.into_parts();
            if sender.send(Part::Answer(parts.status, parts.headers)).is_err() {
                return Ok(());
            }
            return self.hand_on(body.into_reader(), &shown, sender);
        }
        Err(HttpError::Redirects(masked(&uri.to_string())))
    }

    fn hand_on(&self, mut body: impl Read, shown: &str, sender: &SyncSender<Part>) -> Result<(), HttpError> {
        loop {
            let mut bytes = vec![0; CHUNK];
            let length = match body.read(&mut bytes) {
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.error(shown, ureq::Error::from(error))),
            };
            bytes.truncate(length);
            if sender.send(Part::Bytes(bytes)).is_err() {
                return Ok(());
            }
        }
    }

    fn exchange(&self, method: &Method, uri: &Uri) -> Result<ureq::http::Response<ureq::Body>, HttpError> {
        let shown = masked(&uri.to_string());
        let way = self.proxies.to(uri);
        let way = way.map_err(|problem| HttpError::Broken { address: shown.clone(), problem })?;
        let (credentials, host) = split(uri.authority().map_or("", |authority| authority.as_str()));
        let (uri, through, server, of_proxy) = match way {
            Way::Direct => (uri.clone(), None, None, None),
            Way::Tunnel(proxy) => (uri.clone(), Some(proxy), None, None),
            Way::Forward { uri, server, authorization } => (uri, None, Some(server), authorization),
        };
        let headers = [
            ("host", Some(host.to_owned())),
            ("authorization", credentials.map(basic)),
            ("proxy-authorization", of_proxy),
        ];
        let headers = headers.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let request = Request::builder().method(method.clone()).uri(location::without_credentials(&uri));
        let request = headers.fold(request, |request, (name, value)| request.header(name, value));
        let request = request.body(()).map_err(|_| HttpError::Address(shown.clone()))?;
        let tls = TlsConfig::builder().provider(TlsProvider::Rustls).root_certs(RootCerts::PlatformVerifier);
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(through)
            .tls_config(tls.build())
            .user_agent(USER_AGENT)
            .timeout_resolve(Some(self.patience.connect))
            .timeout_connect(Some(self.patience.connect))
            .timeout_send_request(Some(self.patience.silence))
            .timeout_recv_response(Some(self.patience.silence))
            .timeout_per_read(Some(self.patience.silence))
            .build();
        let connector = DefaultConnector::new().chain(Forward(server));
        let agent = ureq::Agent::with_parts(config, connector, DefaultResolver::default());
        agent.run(request).map_err(|error| self.error(&shown, error))
    }

    fn error(&self, shown: &str, error: ureq::Error) -> HttpError {
        use ureq::Timeout;
        let address = shown.to_owned();
        match error {
            ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
                HttpError::Connect { address, patience: self.patience.connect }
            }
            ureq::Error::Timeout(_) => HttpError::Silent { address, patience: self.patience.silence },
            error => HttpError::Broken { address, problem: masked(&error.to_string()) },
        }
    }
}

impl Answer {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim)
    }

    fn write_to(self, limit: u64, sink: &mut dyn Write) -> Result<u64, HttpError> {
        let address = self.address;
        let promised =
            self.headers.get("content-length").and_then(|length| length.to_str().ok()?.parse().ok());
        if promised.is_some_and(|promised: u64| promised > limit) {
            return Err(HttpError::TooMuch { address, limit });
        }
        let mut length = 0;
        loop {
            match next(&self.body, &address)? {
                Part::Bytes(bytes) => {
                    length += bytes.len() as u64;
                    if length > limit {
                        return Err(HttpError::TooMuch { address, limit });
                    }
                    sink.write_all(&bytes)
                        .map_err(|source| HttpError::Keep { address: address.clone(), source })?;
                }
                Part::End => return Ok(length),
                Part::Failed(error) => return Err(error),
                Part::Answer(..) => return Err(ended_early(&address)),
            }
        }
    }
}

/// What comes next; the thread behind it ends by its time-outs.
fn next(parts: &Receiver<Part>, address: &str) -> Result<Part, HttpError> {
    loop {
        if process::interrupted() {
            return Err(HttpError::Interrupted);
        }
        match parts.recv_timeout(LOOK_UP) {
            Ok(part) => return Ok(part),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(ended_early(address)),
        }
    }
}

fn ended_early(address: &str) -> HttpError {
    HttpError::Broken {
        address: address.to_owned(),
        problem: "the request has ended without an answer".into(),
    }
}

fn redirected(status: StatusCode, headers: &HeaderMap) -> Option<&str> {
    let is_redirect = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
    headers.get("location").filter(|_| is_redirect)?.to_str().ok()
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
