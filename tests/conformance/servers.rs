//! Servers on loopback that hand out files of the case that is being built: a web server, which also serves git
//! repositories, and git's own daemon.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// No request of a build's is larger.
const MOST: u64 = 1 << 20;

/// Serves the folder over HTTP for as long as the process lives and gives the server's address.
///
/// `/status/404` answers with that status, `/redirect/X` leads to `/X`, `/X.git/` is a repository.
pub fn web(folder: PathBuf) -> Result<String> {
    serve("http", move |mut stream| {
        let request = Request::read(&stream)?;
        stream.write_all(&request.answer(&folder)?)?;
        Ok(())
    })
}

/// Serves the git repositories in the folder, as `web` does: each connection is answered by a `git daemon` of its own.
pub fn git(folder: PathBuf) -> Result<String> {
    serve("git", move |stream| {
        let mut daemon = Command::new("git");
        // The files may belong to the user who builds.
        daemon.args(["-c", "safe.directory=*", "daemon", "--inetd", "--export-all"]);
        daemon.arg(format!("--base-path={}", folder.display())).arg(&folder);
        daemon
            .stdin(Stdio::from(OwnedFd::from(stream.try_clone()?)))
            .stdout(Stdio::from(OwnedFd::from(stream)));
        daemon.stderr(Stdio::null()).status()?;
        Ok(())
    })
}

fn serve(scheme: &str, answer: impl Fn(TcpStream) -> Result<()> + Send + 'static) -> Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = format!("{scheme}://{}", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that goes away in the middle is the client's affair.
            let _ = answer(stream);
        }
    });
    Ok(address)
}

/// One HTTP request.
struct Request {
    method: String,
    path: String,
    query: String,
    /// By lower-case name.
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    fn read(stream: &TcpStream) -> Result<Request> {
        let mut reader = BufReader::new(stream.try_clone()?.take(MOST));
        let mut first = String::new();
        reader.read_line(&mut first)?;
        let mut headers = HashMap::new();
        loop {
            let mut header = String::new();
            if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':') {
                headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
            }
        }
        let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = Vec::new();
        reader.take(length).read_to_end(&mut body)?;
        let mut words = first.split_whitespace();
        let (method, target) = (words.next().unwrap_or("GET"), words.next().unwrap_or("/"));
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Ok(Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body,
        })
    }

    fn answer(&self, folder: &Path) -> Result<Vec<u8>> {
        let path = self.path.trim_start_matches('/');
        if path.contains(".git/") {
            return self.answer_git(folder);
        }
        if let Some(status) = path.strip_prefix("status/") {
            return Ok(response(status, "", b""));
        }
        if let Some(rest) = path.strip_prefix("redirect/") {
            return Ok(response("302 Found", &format!("Location: /{rest}\r\n"), b""));
        }
        let inside = !path.split('/').any(|part| part == "..");
        let Some(content) = inside.then(|| fs::read(folder.join(path)).ok()).flatten() else {
            return Ok(response("404 Not Found", "", b""));
        };
        let tag = format!("{:x}", HexOf(&Sha256::digest(&content)));
        let headers = format!(
            "Last-Modified: Thu, 02 Jan 2020 03:04:05 GMT\r\nETag: \"{}\"\r\nContent-Type: application/octet-stream\r\n",
            &tag[..16]
        );
        Ok(response("200 OK", &headers, &content))
    }

    /// What git's own program for web servers says.
    fn answer_git(&self, folder: &Path) -> Result<Vec<u8>> {
        let header = |name: &str| self.headers.get(name).cloned().unwrap_or_default();
        let mut backend = Command::new("git");
        backend.args(["-c", "safe.directory=*", "http-backend"]).envs([
            ("GIT_PROJECT_ROOT", folder.to_string_lossy().into_owned()),
            ("GIT_HTTP_EXPORT_ALL", "1".to_owned()),
            ("PATH_INFO", self.path.clone()),
            ("QUERY_STRING", self.query.clone()),
            ("REQUEST_METHOD", self.method.clone()),
            ("CONTENT_TYPE", header("content-type")),
            ("CONTENT_LENGTH", self.body.len().to_string()),
            ("HTTP_CONTENT_ENCODING", header("content-encoding")),
            ("GIT_PROTOCOL", header("git-protocol")),
        ]);
        let mut child = backend.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        child.stdin.take().context("no standard input")?.write_all(&self.body)?;
        let output = child.wait_with_output()?.stdout;
        let end = output.windows(4).position(|four| four == b"\r\n\r\n").context("no end of the headers")?;
        let headers = String::from_utf8_lossy(&output[..end]).into_owned();
        let status =
            headers.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK").to_owned();
        Ok(response(&status, &format!("{headers}\r\n"), &output[end + 4..]))
    }
}

fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Bytes as lower-case hexadecimal digits.
pub struct HexOf<'a>(pub &'a [u8]);

impl std::fmt::LowerHex for HexOf<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
