//! A private storage with a base image, a project, and the program run on both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use regex::Regex;

/// A project with a storage of its own; both go away with it.
pub struct Workshop {
    folder: tempfile::TempDir,
}

/// What a run left.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Workshop {
    /// A storage in which `docker.io/library/busybox` is there.
    pub fn new() -> Self {
        let workshop = Self { folder: tempfile::tempdir().unwrap() };
        let base = workshop.path("base");
        let bin = base.join("rootfs/bin");
        fs::create_dir_all(&bin).unwrap();
        fs::create_dir_all(base.join("rootfs/tmp")).unwrap();
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
        fs::copy(busybox.expect("busybox-static is installed"), bin.join("busybox")).unwrap();
        for applet in ["sh", "cat", "echo", "mkdir", "sleep", "false", "cp", "ls"] {
            std::os::unix::fs::symlink("busybox", bin.join(applet)).unwrap();
        }
        fs::write(base.join("Containerfile"), "FROM scratch\nCOPY rootfs /\nENV PATH=/bin\n").unwrap();
        let name = "docker.io/library/busybox:latest";
        let built = workshop.engine(&["build", "-q", "--layers=false", "-t", name, base.to_str().unwrap()]);
        assert!(built.code == Some(0), "{}", built.stderr);
        fs::create_dir(workshop.path("project")).unwrap();
        workshop
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of the project.
    pub fn file(&self, name: &str, text: &str) {
        let path = self.path("project").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn storage(&self) -> Vec<String> {
        let at = |name: &str| self.path(name).to_str().unwrap().to_owned();
        let driver = std::env::var("STORAGE_DRIVER").unwrap_or_else(|_| "overlay".into());
        vec![
            format!("--root={}", at("root")),
            format!("--runroot={}", at("run")),
            format!("--storage-driver={driver}"),
        ]
    }

    fn command(&self, program: &str) -> Command {
        let project = self.path("project");
        let here = if project.exists() { project } else { self.folder.path().to_owned() };
        let mut command = Command::new(program);
        command
            .args(self.storage())
            .current_dir(here)
            .env("STAGECACHE_HOME", self.path("state"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        if std::env::var_os("BUILDAH_ISOLATION").is_none() {
            command.env("BUILDAH_ISOLATION", "chroot");
        }
        command
    }

    /// Runs buildah.
    pub fn engine(&self, args: &[&str]) -> Ran {
        Ran::of(self.command("buildah").args(args).output().expect("buildah is installed"))
    }

    /// Runs the program.
    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(env!("CARGO_BIN_EXE_podman-stagecache")).args(args).output().unwrap())
    }

    /// Runs the program and expects it to succeed; its standard output.
    pub fn out(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.stderr);
        ran.stdout
    }

    /// The command, for what a test has to do to it.
    pub fn program(&self) -> Command {
        self.command(env!("CARGO_BIN_EXE_podman-stagecache"))
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // The mounts of a storage outlive its folder.
        let _ = self.engine(&["rmi", "--all", "--force"]);
        let _ = Command::new("umount").arg(self.path("root").join("overlay")).stderr(Stdio::null()).status();
    }
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A text with ids, digests, times and runs of spaces behind them replaced.
pub fn redacted(text: &str) -> String {
    let rules = [
        (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID"),
        (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME"),
        (r"blake3:[0-9a-f]+", "blake3:DIGEST"),
        (r"\b[0-9a-f]{64}\b", "ID64"),
        (r"\b[0-9a-f]{12}\b", "ID12"),
        (r"(less than a minute|\d+ minutes?) ago", "AGO"),
        (r" *\b\d+m?[0-9.]*s\b", " TOOK"),
        (r"\d+(\.\d+)? [kMG]?B\b", "SIZE"),
    ];
    let text = rules.iter().fold(text.to_owned(), |text, (pattern, with)| {
        Regex::new(pattern).unwrap().replace_all(&text, *with).into_owned()
    });
    let spaces = Regex::new(" {3,}").unwrap();
    let lines = text.lines().map(|line| {
        let start = line.len() - line.trim_start().len();
        format!("{}{}\n", &line[..start], spaces.replace_all(line[start..].trim_end(), "  "))
    });
    lines.collect()
}
