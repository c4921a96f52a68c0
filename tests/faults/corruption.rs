//! State files that something has damaged.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::random::Random;
use crate::support::{Kind, Scenario};
use crate::{count, numbers, world};

#[test]
#[ignore = "minutes long: make test-faults"]
fn damaged_state_is_told_once_and_made_anew() {
    let (rounds, mut random) = (count("CORRUPTIONS", 1000), numbers("corruptions"));
    let mut wrong = Vec::new();
    let scenario = world::scenario(Kind::Buildah);
    build(&scenario, "0").unwrap();
    for round in 0..rounds {
        let files = files_below(&scenario.state());
        let path = random.pick(&files).clone();
        let damage = damage(&path, &files, &mut random);
        let label = format!("{round}: {damage} {}", path.strip_prefix(scenario.folder()).unwrap().display());
        // A change on top, so that what is read of old state counts.
        let n = random.below(3).to_string();
        let result = build(&scenario, &n).and_then(|told| {
            let again = build(&scenario, &n)?;
            let complaint =
                |text: &str| text.lines().any(|line| line.starts_with("warning:") && line.contains("state"));
            if complaint(&told) && complaint(&again) {
                return Err(format!("told twice: {again}"));
            }
            let views = [&["ls"][..], &["ls", "--stages"], &["info"]];
            for view in views {
                let output = scenario.program(&[]).args(scenario.globals()).args(view).output().unwrap();
                if !output.status.success() {
                    return Err(format!("{view:?}: {}", world::told(&output)));
                }
            }
            Ok(())
        });
        if let Err(problem) = result {
            println!("WRONG {label}: {problem}");
            wrong.push(label);
        }
    }
    println!("{rounds} corruptions, {} wrong", wrong.len());
    assert_eq!(wrong, [""; 0]);
}

/// A build, which has to be right; what it told.
fn build(scenario: &Scenario, n: &str) -> Result<String, String> {
    let output = world::build(scenario, &world::flags(n, "1")).output().unwrap();
    let told = world::told(&output);
    if !output.status.success() || told.contains("panicked") {
        return Err(told);
    }
    world::wrong_files(scenario, world::TAG, n, "1").map_or(Ok(told), Err)
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files.extend(files_below(&entry.path())),
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    files.sort();
    files
}

/// Damages a file, and says how.
fn damage(path: &Path, files: &[PathBuf], random: &mut Random) -> &'static str {
    let mut bytes = fs::read(path).unwrap();
    match random.below(8) {
        0..=2 if !bytes.is_empty() => {
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
            fs::write(path, bytes).unwrap();
            "a bit of"
        }
        3 => {
            fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
            "the end of"
        }
        4 => {
            fs::write(path, "").unwrap();
            "all of"
        }
        5 => {
            // That of another of its kind is well formed, and says something else.
            let alike: Vec<&PathBuf> = files.iter().filter(|other| other.parent() == path.parent()).collect();
            let other = fs::read(random.pick(&alike)).unwrap();
            fs::write(path, other).unwrap();
            "swapped"
        }
        6 => {
            fs::remove_file(path).unwrap();
            match random.below(2) {
                0 => fs::create_dir(path).unwrap(),
                _ => nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
            }
            "a folder or pipe for"
        }
        _ => {
            OpenOptions::new()
                .append(true)
                .open(path)
                .and_then(|mut file| std::io::Write::write_all(&mut file, b"}"))
                .unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
            "something behind"
        }
    }
}
