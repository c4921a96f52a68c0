//! A client against servers that behave in one way or another.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::*;

/// A server on loopback whose answers are these, by path; it notes what it is asked.
struct Server {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (noted, answer) = (asked.clone(), Arc::new(answer));
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (noted, answer) = (noted.clone(), answer.clone());
                thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    let mut request = String::new();
                    while reader.read_line(&mut request).unwrap() > 2 {}
                    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
                    noted.lock().unwrap().push(request);
                    answer(&path, &mut stream);
                });
            }
        });
        Self { address, asked }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn say(stream: &mut TcpStream, text: &str) {
    // A client that goes away early is no fault.
    let _ = stream.write_all(text.as_bytes());
}

fn file(stream: &mut TcpStream, text: &str) {
    say(
        stream,
        &format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}", text.len()),
    );
}

fn sent_on(stream: &mut TcpStream, location: &str) {
    say(
        stream,
        &format!(
            "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ),
    );
}

fn impatient() -> Client {
    let patience = Patience { connect: Duration::from_secs(5), silence: Duration::from_millis(300) };
    Client { patience, proxies: Proxies::default() }
}

fn get(client: &Client, address: &str) -> Result<String, HttpError> {
    let mut bytes = Vec::new();
    client.get(address, 1000, &mut bytes)?;
    Ok(String::from_utf8(bytes).unwrap())
}

#[test]
fn an_address_is_asked_for_as_it_stands() {
    let server = Server::start(|path, stream| file(stream, path));
    let client = impatient();
    for path in ["/g[1-3]", "/a?b=c&d={e}", "/%20", "/-o"] {
        let expected = path.replace('{', "%7B").replace('}', "%7D");
        assert_eq!(get(&client, &server.at(path)).unwrap(), expected);
    }
    let asked = server.asked();
    assert_eq!(asked.len(), 4);
    assert!(asked[0].to_lowercase().contains("user-agent: podman-stagecache/"), "{}", asked[0]);
}

#[test]
fn credentials_of_an_address_are_a_header_and_go_to_no_other_server() {
    let other = Server::start(|_, stream| file(stream, "other"));
    let there = other.at("/there");
    let server = Server::start(move |path, stream| match path {
        "/on" => sent_on(stream, "/file"),
        "/away" => sent_on(stream, &there),
        _ => file(stream, "file"),
    });
    let client = impatient();
    let with_password = |path: &str| server.at(path).replace("http://", "http://u:p%21@");
    assert_eq!(get(&client, &with_password("/on")).unwrap(), "file");
    assert_eq!(get(&client, &with_password("/away")).unwrap(), "other");
    for asked in server.asked() {
        assert!(
            asked.to_lowercase().contains("authorization: basic dTpwIQ==".to_lowercase().as_str()),
            "{asked}"
        );
    }
    assert!(other.asked().iter().all(|asked| !asked.to_lowercase().contains("authorization")));
}

#[test]
fn a_server_may_not_send_us_on_for_ever_or_to_what_is_no_http() {
    let server = Server::start(|path, stream| match path {
        "/file" => sent_on(stream, "file:///etc/passwd"),
        _ => sent_on(stream, "/again"),
    });
    let error = get(&impatient(), &server.at("/")).unwrap_err().to_string();
    assert!(error.contains("elsewhere 10 times"), "{error}");
    assert_eq!(server.asked().len(), 11);
    let error = get(&impatient(), &server.at("/file")).unwrap_err().to_string();
    assert!(error.contains("`file:///etc/passwd`, which is no HTTP"), "{error}");
}

#[test]
fn a_silent_server_is_left_after_a_while() {
    let silent = |stream: &mut TcpStream| {
        let _ = stream.read(&mut [0; 1]);
    };
    let server = Server::start(move |path, stream| {
        if path == "/half" {
            say(stream, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        }
        if path == "/header" {
            say(stream, "HTTP/1.1 200 OK\r\nContent-");
        }
        silent(stream);
    });
    for path in ["/nothing", "/header", "/half"] {
        let began = Instant::now();
        let error = get(&impatient(), &server.at(path)).unwrap_err();
        assert!(matches!(error, HttpError::Silent { .. }), "{path}: {error}");
        assert!(error.to_string().contains("sent nothing for 0.3 s"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(5), "{path}");
    }
}

#[test]
fn a_slow_server_is_not_a_silent_one() {
    let server = Server::start(|_, stream| {
        say(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        for _ in 0..8 {
            thread::sleep(Duration::from_millis(100));
            say(stream, "x");
        }
    });
    assert_eq!(get(&impatient(), &server.at("/")).unwrap(), "xxxxxxxx");
}

#[test]
fn what_a_server_may_send_has_a_limit() {
    let server = Server::start(|path, stream| {
        let promise = if path == "/promised" { "Content-Length: 1000000000000\r\n" } else { "" };
        say(stream, &format!("HTTP/1.1 200 OK\r\n{promise}Connection: close\r\n\r\n"));
        while path != "/promised" && stream.write_all(&[b'x'; 1000]).is_ok() {}
    });
    for path in ["/promised", "/endless"] {
        let mut bytes = Vec::new();
        let error = impatient().get(&server.at(path), 100_000, &mut bytes).unwrap_err();
        assert!(matches!(error, HttpError::TooMuch { limit: 100_000, .. }), "{path}: {error}");
        assert!(bytes.len() <= 100_000, "{path}");
    }
    let endless_header = Server::start(|_, stream| {
        say(stream, "HTTP/1.1 200 OK\r\nX: ");
        while stream.write_all(&[b'x'; 1000]).is_ok() {}
    });
    assert!(get(&impatient(), &endless_header.at("/")).is_err());
}

#[test]
fn a_file_that_is_cut_short_is_an_error() {
    let server = Server::start(|_, stream| {
        say(stream, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nhalf")
    });
    let error = get(&impatient(), &server.at("/")).unwrap_err();
    assert!(matches!(error, HttpError::Broken { .. }), "{error}");
}

#[test]
fn what_a_server_refuses_is_said_without_the_password() {
    let server =
        Server::start(|_, stream| say(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone"));
    let address = server.at("/f").replace("http://", "http://u:secret@");
    let error = get(&impatient(), &address).unwrap_err().to_string();
    assert!(error.contains("u:***@") && error.contains("404 Not Found"), "{error}");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://u:secret@{}/", nobody.local_addr().unwrap());
    drop(nobody);
    let error = get(&impatient(), &address).unwrap_err().to_string();
    assert!(error.contains("u:***@") && !error.contains("secret"), "{error}");
}

#[test]
fn a_proxy_is_asked_for_the_whole_address() {
    let proxy = Server::start(|path, stream| file(stream, path));
    let variable = proxy.address.replace("http://", "http://a:b@");
    let proxies = Proxies::of(&|name| (name == "http_proxy").then(|| variable.clone()));
    let client = Client { proxies, ..impatient() };
    let got = get(&client, "http://u:p@server.invalid:81/f?q").unwrap();
    assert_eq!(got, "http://server.invalid:81/f?q");
    let asked = proxy.asked()[0].to_lowercase();
    for header in
        ["host: server.invalid:81", "proxy-authorization: basic ytpi", "\r\nauthorization: basic dtpw"]
    {
        assert!(asked.contains(header), "{header} in {asked}");
    }
}

#[test]
fn nothing_but_http_is_fetched() {
    for address in ["file:///etc/passwd", "ftp://h/", "/etc/passwd", "http://", ""] {
        let error = get(&impatient(), address).unwrap_err();
        assert!(matches!(error, HttpError::Address(_)), "{address}: {error}");
    }
}
