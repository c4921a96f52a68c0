//! A web server on loopback for ADD of a URL: hands out the files of the case that is being built.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;

use anyhow::Result;
use sha2::{Digest, Sha256};

/// Serves the folder for as long as the process lives and gives the server's address.
///
/// `/status/404` answers with that status, `/redirect/X` leads to `/X`.
pub fn serve(folder: PathBuf) -> Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = format!("http://{}", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that goes away in the middle is the client's affair.
            let _ = answer(stream, &folder);
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream, folder: &std::path::Path) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?.take(64 * 1024));
    let mut request = String::new();
    reader.read_line(&mut request)?;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
    }
    let mut words = request.split_whitespace();
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or("/"));
    let path = target.split('?').next().unwrap_or("/").trim_start_matches('/');
    if let Some(status) = path.strip_prefix("status/") {
        return Ok(write!(
            stream,
            "HTTP/1.1 {status} Status\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )?);
    }
    if let Some(rest) = path.strip_prefix("redirect/") {
        return Ok(write!(
            stream,
            "HTTP/1.1 302 Found\r\nLocation: /{rest}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )?);
    }
    let Some(body) =
        (!path.split('/').any(|part| part == "..")).then(|| fs::read(folder.join(path)).ok()).flatten()
    else {
        return Ok(write!(
            stream,
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )?);
    };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nLast-Modified: Thu, 02 Jan 2020 03:04:05 GMT\r\nETag: \"{}\"\r\n\
         Content-Type: application/octet-stream\r\nConnection: close\r\n\r\n",
        body.len(),
        &format!("{:x}", HexOf(&Sha256::digest(&body)))[..16],
    )?;
    if method != "HEAD" {
        stream.write_all(&body)?;
    }
    Ok(())
}

/// Bytes as lower-case hexadecimal digits.
pub struct HexOf<'a>(pub &'a [u8]);

impl std::fmt::LowerHex for HexOf<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
