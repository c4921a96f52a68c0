//! ADD of an address: the server is asked each time, and what it says decides.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::support::{BOTH, Built, Scenario};

/// A server of one file on loopback, for as long as the test runs.
#[derive(Clone, Default)]
struct FileServer {
    file: Arc<Mutex<Option<File>>>,
}

#[derive(Clone)]
struct File {
    bytes: &'static str,
    tag: Option<&'static str>,
}

impl FileServer {
    /// The server, and the address of its file.
    fn start() -> (Self, String) {
        let server = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/f", listener.local_addr().unwrap());
        let answering = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away early is no fault.
                let _ = answering.answer(stream);
            }
        });
        (server, address)
    }

    fn has(&self, bytes: &'static str, tag: Option<&'static str>) {
        *self.file.lock().unwrap() = Some(File { bytes, tag });
    }

    fn has_nothing(&self) {
        *self.file.lock().unwrap() = None;
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut request = String::new();
        reader.read_line(&mut request)?;
        let mut line = String::new();
        while reader.read_line(&mut line)? > 2 {
            line.clear();
        }
        let Some(File { bytes, tag }) = self.file.lock().unwrap().clone() else {
            return stream
                .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        };
        let tag = tag.map(|tag| format!("ETag: {tag}\r\n")).unwrap_or_default();
        let body = if request.starts_with("HEAD") { "" } else { bytes };
        let length = bytes.len();
        write!(stream, "HTTP/1.1 200 OK\r\n{tag}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
    }
}

fn scenario(kind: crate::support::Kind, address: &str) -> Scenario {
    Scenario::on(kind, &format!("FROM docker.io/library/busybox\nADD {address} /f\nRUN cat /f >/out\n"))
}

fn out(scenario: &Scenario, built: &Built) -> String {
    let file = scenario.files(&scenario.image(&built.image()))["out"].clone();
    file.rsplit(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn an_address_is_found_again_as_long_as_its_bytes_or_its_tag_stay() {
    for kind in BOTH {
        for (first, second) in
            [(None, None), (Some("\"1\""), Some("\"2\"")), (Some("W/\"1\""), Some("W/\"1\""))]
        {
            let (server, address) = FileServer::start();
            let scenario = scenario(kind, &address);
            server.has("one", first);
            assert!(out(&scenario, &scenario.build(&[]).ok()).ends_with("one"));
            scenario.build(&[]).expect("0 hh");
            server.has("two", second);
            let changed = scenario.build(&[]).expect("0 mm");
            assert!(out(&scenario, &changed).ends_with("two"), "{kind:?} {second:?}");
            server.has("one", first);
            let back = scenario.build(&[]).expect("0 hh");
            assert!(out(&scenario, &back).ends_with("one"), "{kind:?} {first:?}");
        }
    }
}

#[test]
fn an_address_that_cannot_be_asked_for_is_the_engines_to_refuse() {
    for kind in BOTH {
        let (server, address) = FileServer::start();
        server.has_nothing();
        let scenario = scenario(kind, &address);
        let failed = scenario.build(&[]).fails(125);
        assert!(failed.error().contains("line 2: ADD "), "{}", failed.stderr);
        server.has("one", None);
        scenario.build(&[]).expect("0 mm");
    }
}

/// A repository on this machine with these commands run in it, and its address.
fn repository(scenario: &Scenario, script: &str) -> String {
    let folder = scenario.folder().join("repository");
    std::fs::create_dir_all(&folder).unwrap();
    let git = "git -c user.name=a -c user.email=a@example.org";
    let script = format!("git init -q -b main && {script} && git add -A && {git} commit -q -m one");
    let mut shell = std::process::Command::new("sh");
    assert!(shell.args(["-ec", &script]).current_dir(&folder).status().unwrap().success());
    format!("file://{}", folder.display())
}

fn build_of(scenario: &Scenario, context: &str) -> Built {
    let mut command = scenario.build_command(&[]);
    command.arg(context);
    scenario.ended(command)
}

#[test]
fn a_folder_of_a_repository_is_built_also_over_a_link_that_stays_in_it() {
    for kind in BOTH {
        let scenario = Scenario::on(kind, "");
        let file = "printf 'FROM docker.io/library/busybox\\nCOPY f /out\\n' >real/Containerfile";
        let address =
            repository(&scenario, &format!("mkdir real && {file} && echo 1 >real/f && ln -s real link"));
        for folder in ["real", "link", "/real", "real/../link"] {
            let built = build_of(&scenario, &format!("{address}#main:{folder}")).ok();
            assert!(scenario.files(&scenario.image(&built.image())).contains_key("out"), "{folder}");
        }
    }
}

#[test]
fn nothing_outside_of_a_repository_is_built() {
    let scenario = Scenario::new("");
    let outside = scenario.folder().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("Containerfile"), "FROM docker.io/library/busybox\nCOPY f /\n").unwrap();
    std::fs::write(outside.join("f"), "secret").unwrap();
    let shown = outside.display();
    let script = format!("ln -s {shown} sub && mkdir file && ln -s {shown}/Containerfile file/Containerfile");
    let address = repository(&scenario, &script);
    for (fragment, words) in [
        ("HEAD:sub", "out of what was fetched"),
        ("HEAD:../../outside", "out of what was fetched"),
        ("HEAD:../../../../../../../../etc", "out of what was fetched"),
        ("HEAD:file", "out of what was fetched"),
        ("HEAD:none", "no folder none"),
    ] {
        let failed = build_of(&scenario, &format!("{address}#{fragment}")).fails(125);
        assert!(failed.error().contains(words), "{fragment}: {}", failed.stderr);
    }
}

#[test]
fn a_reference_is_no_option_of_git() {
    for kind in BOTH {
        let scenario = Scenario::on(kind, "");
        let planted = scenario.folder().join("planted");
        let option = format!("--upload-pack=touch${{IFS}}{};git-upload-pack", planted.display());
        let address = repository(&scenario, "echo FROM scratch >Containerfile");
        for context in [format!("{address}#{option}"), format!("{address}#main:-x")] {
            let failed = build_of(&scenario, &context).fails(125);
            assert!(failed.error().contains("begins with a `-`"), "{context}: {}", failed.stderr);
        }
        scenario.containerfile(&format!(
            "FROM docker.io/library/busybox\nADD https://localhost/r.git#{option} /r\n"
        ));
        let failed = scenario.build(&[]).fails(125);
        assert!(failed.error().contains("begins with a `-`"), "{}", failed.stderr);
        scenario.containerfile("FROM docker.io/library/busybox\nRUN true\n");
        let failed =
            scenario.build(&[&format!("--build-context=x=https://localhost/r.git#{option}")]).fails(125);
        assert!(failed.error().contains("begins with a `-`"), "{}", failed.stderr);
        assert!(!planted.exists() && failed.builds() == 0);
    }
}

/// Whatever is asked of it, this is what it says, and nothing more.
fn server_that_says(text: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://u:secret@{}/g[1-50]", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(text.as_bytes());
            open.push(stream);
        }
    });
    address
}

#[test]
fn a_context_is_fetched_by_its_address_and_its_password_is_not_shown() {
    for kind in BOTH {
        let scenario = Scenario::on(kind, "");
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 40\r\nConnection: close\r\n\r\n\
                    FROM docker.io/library/busybox\nUSER one\n";
        let built = build_of(&scenario, &server_that_says(text)).ok();
        assert_eq!(scenario.image(&built.image()).config["config"]["User"], "one");
        let text = "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let failed = build_of(&scenario, &server_that_says(text)).fails(125);
        assert!(
            failed.error().contains("u:***@") && failed.error().contains("410 Gone"),
            "{}",
            failed.stderr
        );
    }
}

#[test]
fn a_silent_server_does_not_hold_up_an_interrupt() {
    use nix::sys::signal::{Signal, kill};
    let scenario = Scenario::new("");
    let mut command = scenario.build_command(&[]);
    command.arg(server_that_says("")).stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    let began = std::time::Instant::now();
    kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(began.elapsed() < std::time::Duration::from_secs(3));
}

#[test]
fn a_password_in_an_address_is_neither_shown_nor_kept() {
    for kind in BOTH {
        let (server, address) = FileServer::start();
        server.has("one", None);
        let password = "pA55wordX";
        let of = |password: &str| address.replace("http://", &format!("http://user:{password}@"));
        let scenario = Scenario::on(kind, "");
        let write = |password: &str| {
            let text = format!("FROM docker.io/library/busybox\nENV AT={0}\nADD {0} /f\n", of(password));
            scenario.containerfile(&text);
        };
        write(password);
        let first = scenario.build(&["--progress=plain", "--print-containerfiles"]).ok();
        let again = scenario.build(&["--progress=plain"]).expect("0 h");
        server.has_nothing();
        let failed = scenario.build(&["--progress=plain"]).fails(125);
        scenario.containerfile(&format!(
            "FROM docker.io/library/busybox\nADD {} --x /f /g\nENV A\n",
            of(password)
        ));
        let wrong = scenario.build(&[]).fails(125);
        for built in [&first, &again, &failed, &wrong] {
            assert!(!built.stderr.contains(password) && !built.stdout.contains(password), "{}", built.stderr);
            assert!(!built.record.to_string().contains(password), "{}", built.record);
        }
        // The configs of images have their history, which is the engine's own.
        let mut grep = std::process::Command::new("grep");
        let kept =
            grep.args(["-rl", "--exclude-dir=images", password]).arg(scenario.state()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&kept.stdout), "");
        assert!(first.stderr.contains("http://user:***@"), "{}", first.stderr);
        // Another one may be for other bytes, and stands in the history.
        server.has("one", None);
        write("other");
        let other = scenario.build(&[]).expect("0 m");
        assert!(other.stderr.contains("the credentials of addresses"), "{}", other.stderr);
    }
}
