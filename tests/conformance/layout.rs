//! Puts a case's files on disk: files, links, archives and repositories, with the modes, owners and times that it asks for.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::stat::UtimensatFlags;
use nix::sys::time::TimeSpec;

use crate::corpus::{Case, Entry, EntryKind, inside, split_words};

/// The modification time of every file of a case: 2020-01-02 03:04:05 UTC, so that nothing depends on when a case was laid out.
const MTIME: i64 = 1_577_934_245;

impl Case {
    /// Lays the case out in `dir`, which is empty, with the placeholders filled in, for the user who builds.
    pub fn lay_out(
        &self,
        dir: &Path,
        filled: &dyn Fn(&str) -> String,
        owner: Option<(u32, u32)>,
    ) -> Result<()> {
        fs::create_dir_all(dir.join("context"))?;
        for copied in &self.copies {
            copy(&copied.from, &dir.join(&copied.to), filled)
                .with_context(|| format!("copying {}", copied.from.display()))?;
        }
        for entry in &self.entries {
            lay_out(entry, &self.entries, dir, filled)
                .with_context(|| format!("laying out {}", entry.path.display()))?;
        }
        if let Some(owner) = owner {
            own(dir, owner)?;
        }
        settle(dir, &self.entries)
    }

    /// Makes of the files of the build before, in `dir`, those of this one. What does not change is left alone: it keeps
    /// inode and times, as it does where people edit.
    pub fn change(
        &self,
        dir: &Path,
        filled: &dyn Fn(&str) -> String,
        owner: Option<(u32, u32)>,
    ) -> Result<()> {
        let changes = &self.changes;
        for path in &changes.removed {
            remove(&dir.join(path))?;
        }
        for entry in &changes.written {
            let path = dir.join(&entry.path);
            let is_file = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
            let stays = match entry.kind {
                EntryKind::File(_) => is_file(&path),
                EntryKind::Dir => path.is_dir(),
                _ => false,
            };
            if !stays {
                remove(&path)?;
            }
            lay_out(entry, &self.entries, dir, filled)
                .with_context(|| format!("laying out {}", entry.path.display()))?;
            if let Some(owner) = owner {
                let new =
                    entry.path.ancestors().map(|above| dir.join(above)).take_while(|above| above != dir);
                new.into_iter()
                    .try_for_each(|path| std::os::unix::fs::lchown(path, Some(owner.0), Some(owner.1)))?;
            }
            settle_below(&path, dir, std::slice::from_ref(entry))?;
        }
        for (mode, path) in &changes.modes {
            fs::set_permissions(dir.join(path), fs::Permissions::from_mode(*mode))?;
        }
        for path in &changes.touched {
            set_times(&dir.join(path), &|_| MTIME + 86_400)?;
        }
        Ok(())
    }
}

/// Copies a folder as the caller's own, with the placeholder for the context filled in.
fn copy(from: &Path, to: &Path, filled: &dyn Fn(&str) -> String) -> Result<()> {
    fs::create_dir_all(to)?;
    let output = Command::new("cp")
        .args(["-a", "--no-preserve=ownership", "--"])
        .args([&from.join("."), to])
        .stdin(Stdio::null())
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut folders = vec![to.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let found = fs::symlink_metadata(&path)?;
            if found.is_dir() {
                folders.push(path);
            } else if found.is_file()
                && let Ok(text) = String::from_utf8(fs::read(&path)?)
                && text.contains("@CONTEXT@")
            {
                fs::write(&path, filled(&text))?;
            }
        }
    }
    Ok(())
}

/// Removes what is there, whatever it is.
fn remove(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path)?,
        Ok(_) => fs::remove_file(path)?,
        Err(_) => {}
    }
    Ok(())
}

/// Gives everything below `path` to a user.
pub fn own(path: &Path, owner: (u32, u32)) -> Result<()> {
    std::os::unix::fs::lchown(path, Some(owner.0), Some(owner.1))?;
    if fs::symlink_metadata(path)?.is_dir() {
        for child in fs::read_dir(path)? {
            own(&child?.path(), owner)?;
        }
    }
    Ok(())
}

/// Sets the owners and modes that a case asks for, then the times of everything below `dir`, folders last.
fn settle(dir: &Path, entries: &[Entry]) -> Result<()> {
    settle_below(dir, dir, entries)
}

/// The same for what lies at `path` of the case's folder `dir`.
fn settle_below(path: &Path, dir: &Path, entries: &[Entry]) -> Result<()> {
    for entry in entries {
        let path = dir.join(&entry.path);
        if let Some((uid, gid)) = entry.owner {
            std::os::unix::fs::lchown(&path, Some(uid), Some(gid))?;
        }
        if let Some(mode) = entry.mode {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        }
    }
    set_times(path, &|path| {
        let own = entries.iter().find(|entry| dir.join(&entry.path) == path).and_then(|entry| entry.mtime);
        own.unwrap_or(MTIME)
    })
}

fn set_times(path: &Path, time: &dyn Fn(&Path) -> i64) -> Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        for child in fs::read_dir(path)? {
            set_times(&child?.path(), time)?;
        }
    }
    let time = TimeSpec::new(time(path), 0);
    nix::sys::stat::utimensat(nix::fcntl::AT_FDCWD, path, &time, &time, UtimensatFlags::NoFollowSymlink)?;
    Ok(())
}

fn lay_out(entry: &Entry, all: &[Entry], dir: &Path, filled: &dyn Fn(&str) -> String) -> Result<()> {
    let path = dir.join(&entry.path);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match &entry.kind {
        EntryKind::File(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => fs::write(&path, filled(text))?,
            Err(_) => fs::write(&path, bytes)?,
        },
        EntryKind::Dir => fs::create_dir_all(&path)?,
        EntryKind::Symlink(target) => symlink(target, &path)?,
        EntryKind::Hardlink(other) => fs::hard_link(dir.join(inside(other)?), &path)?,
        EntryKind::Fifo => nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o644))?,
        EntryKind::Busybox(applets) => {
            let busybox = in_path("busybox").context("busybox is not installed (package busybox-static)")?;
            fs::copy(busybox, &path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
            for applet in applets {
                symlink("busybox", path.with_file_name(applet))?;
            }
        }
        EntryKind::Archive { of, compression } => {
            let of = packed(of, all, dir)?;
            let mut tar = Command::new("tar");
            tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=pax"]);
            tar.args(["--pax-option=delete=atime,delete=ctime", "-C"]).arg(&of);
            match compression.as_str() {
                "none" => {}
                "gz" => drop(tar.args(["-I", "gzip -n"])),
                "bz2" => drop(tar.args(["-I", "bzip2"])),
                "xz" => drop(tar.args(["-I", "xz"])),
                "zst" => drop(tar.args(["-I", "zstd -q"])),
                other => bail!("unknown compression {other}"),
            }
            run(tar.arg("-cf").arg(&path).arg("."))?;
        }
        EntryKind::Git { of, branch } => {
            let work = packed(of, all, dir)?;
            let git = |args: &[&str]| {
                let mut git = Command::new("git");
                git.arg("-C").arg(&work).args(args).env("HOME", &path).env("GIT_CONFIG_NOSYSTEM", "1");
                for who in ["AUTHOR", "COMMITTER"] {
                    git.env(format!("GIT_{who}_NAME"), "corpus")
                        .env(format!("GIT_{who}_EMAIL"), "corpus@example.com");
                    git.env(format!("GIT_{who}_DATE"), format!("{MTIME} +0000"));
                }
                run(&mut git)
            };
            git(&["init", "-q", "-b", branch])?;
            git(&["add", "-A"])?;
            git(&["commit", "-q", "-m", "corpus"])?;
            git(&["tag", "v1"])?;
            run(Command::new("git").args(["clone", "-q", "--bare"]).arg(&work).arg(&path))?;
        }
        EntryKind::SshKey => {
            run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&path))?;
        }
        EntryKind::TarLines(lines) => fs::write(&path, tar_of_lines(lines)?)?,
    }
    Ok(())
}

/// A tar archive of lines `PATH TYPE MODE UID:GID [=TEXT|->TARGET] [NAME=VALUE...]`, the last ones being extended attributes.
fn tar_of_lines(lines: &str) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for line in lines.lines().filter(|line| !line.is_empty()) {
        let words = split_words(line)?;
        let [path, kind, mode, owner, rest @ ..] = words.as_slice() else { bail!("not a tar line: {line}") };
        let (uid, gid) = owner.split_once(':').context("no UID:GID")?;
        let mut header = tar::Header::new_ustar();
        header.set_mode(u32::from_str_radix(mode, 8)?);
        header.set_uid(uid.parse()?);
        header.set_gid(gid.parse()?);
        header.set_mtime(MTIME as u64);
        header.set_entry_type(match kind.as_str() {
            "file" => tar::EntryType::Regular,
            "dir" => tar::EntryType::Directory,
            "symlink" => tar::EntryType::Symlink,
            "hardlink" => tar::EntryType::Link,
            "fifo" => tar::EntryType::Fifo,
            other => bail!("unknown type {other}"),
        });
        let (mut text, mut xattrs) = (String::new(), Vec::new());
        for word in rest {
            if let Some(target) = word.strip_prefix("->") {
                header.set_link_name_literal(target)?;
            } else if let Some(content) = word.strip_prefix('=') {
                text = format!("{content}\n");
            } else {
                let (name, value) = word.split_once('=').context("no NAME=VALUE")?;
                xattrs.push((format!("SCHILY.xattr.{name}"), value.as_bytes().to_vec()));
            }
        }
        archive
            .append_pax_extensions(xattrs.iter().map(|(name, value)| (name.as_str(), value.as_slice())))?;
        header.set_size(text.len() as u64);
        archive.append_data(&mut header, path, text.as_bytes())?;
    }
    Ok(archive.into_inner()?)
}

/// The folder that goes into an archive or a repository, with the modes and times that its entries ask for.
fn packed(of: &str, all: &[Entry], dir: &Path) -> Result<PathBuf> {
    let of = inside(of)?;
    let entries: Vec<Entry> = all.iter().filter(|entry| entry.path.starts_with(&of)).cloned().collect();
    settle(dir, &entries)?;
    Ok(dir.join(of))
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("running {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// The path of an installed program.
pub fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|path| path.is_file())
}
