//! Whose folders and files are believed: this user's, root's, and those of a group that this user is in.
//!
//! What lies in the state folder decides which image stands for a step, so nobody else may write there. Who may only
//! rename a folder above can take ours away, and not put one in its place: that one would be his.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, anyhow, bail};

/// As many links as the kernel follows.
const LINKS: usize = 40;

/// Who this process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Us {
    uid: u32,
    groups: Vec<u32>,
    /// In a user namespace: who everybody is there that the namespace does not know, the machine's root among them.
    unmapped: Option<u32>,
}

impl Us {
    /// This process.
    pub fn now() -> &'static Self {
        static US: OnceLock<Us> = OnceLock::new();
        US.get_or_init(|| {
            let mut groups = vec![nix::unistd::getegid().as_raw()];
            groups.extend(nix::unistd::getgroups().into_iter().flatten().map(nix::unistd::Gid::as_raw));
            let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
            let overflow = || {
                let text = fs::read_to_string("/proc/sys/kernel/overflowuid").unwrap_or_default();
                text.trim().parse().unwrap_or(65534)
            };
            let uid = nix::unistd::geteuid().as_raw();
            Self { uid, groups, unmapped: (!knows_all(&map)).then(overflow) }
        })
    }

    /// Whether what this user owns is believed.
    pub fn believe(&self, uid: u32) -> bool {
        uid == self.uid || uid == 0 || self.unmapped == Some(uid)
    }

    /// Whether a file that was opened is believed: it may be of another member of a group that shares the folder.
    pub fn believe_file(&self, meta: &Metadata) -> bool {
        self.believe(meta.uid()) || self.groups.contains(&meta.gid())
    }

    /// The mode that a state folder should have, where it is another; an error says who else may write there.
    fn judge(&self, owner: u32, group: u32, mode: u32) -> Result<Option<u32>, String> {
        if !self.believe(owner) {
            return Err(format!("it is user {owner}'s, and this is user {}", self.uid));
        }
        if mode & 0o002 != 0 {
            return Err("everybody may write there".to_owned());
        }
        let shared = mode & 0o020 != 0;
        if shared && !self.groups.contains(&group) {
            return Err(format!("group {group} may write there, which this user is not in"));
        }
        // Who may open a lock may hold it for ever.
        let wanted = mode & !if shared { 0o007 } else { 0o077 };
        Ok((owner == self.uid && wanted != mode).then_some(wanted))
    }
}

/// Whether a user namespace has all users of the machine.
fn knows_all(uid_map: &str) -> bool {
    let all = |line: &str| line.split_whitespace().nth(2) == Some("4294967295");
    uid_map.is_empty() || uid_map.lines().any(all)
}

/// The real path of a state folder, which need not be there yet.
///
/// # Errors
/// When somebody else can decide what is in it.
pub fn folder(path: &Path) -> anyhow::Result<PathBuf> {
    check(path, Us::now()).map_err(|why| {
        anyhow!(
            "the state folder {} is not used: {why}; who can write there decides what a build takes from its cache. Set \
             STAGECACHE_HOME to a folder of your own that only you can write to (or make this one so, with chown and chmod, \
             when you know what is in it)",
            path.display()
        )
    })
}

fn check(path: &Path, us: &Us) -> anyhow::Result<PathBuf> {
    let real = resolve(path, us)?;
    let meta = match fs::symlink_metadata(&real) {
        Ok(meta) => meta,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(real),
        Err(error) => return Err(error).context("looking at it"),
    };
    if !meta.is_dir() {
        bail!("it is no folder");
    }
    let wanted = us.judge(meta.uid(), meta.gid(), meta.mode() & 0o7777).map_err(|why| anyhow!(why))?;
    if let Some(mode) = wanted {
        // On a file system that is only read nobody holds a lock either.
        let _ = fs::set_permissions(&real, fs::Permissions::from_mode(mode));
    }
    Ok(real)
}

/// The path without links, of which none may be somebody else's.
fn resolve(path: &Path, us: &Us) -> anyhow::Result<PathBuf> {
    let parts = |path: &Path| path.components().rev().map(|c| c.as_os_str().to_owned()).collect::<Vec<_>>();
    let mut left: Vec<OsString> = parts(path);
    let mut real = PathBuf::from("/");
    let mut links = 0;
    while let Some(part) = left.pop() {
        match Path::new(&part).components().next() {
            Some(Component::RootDir) => real = "/".into(),
            Some(Component::ParentDir) => drop(real.pop()),
            Some(Component::Normal(_)) => {
                let next = real.join(&part);
                // What cannot be looked at cannot be used either, and that is said there.
                let link = fs::symlink_metadata(&next).ok().filter(Metadata::is_symlink);
                let Some(meta) = link else {
                    real = next;
                    continue;
                };
                if !us.believe(meta.uid()) {
                    bail!("{} is a link that user {} has made", next.display(), meta.uid());
                }
                links += 1;
                if links > LINKS {
                    bail!("too many links lead there");
                }
                let target =
                    fs::read_link(&next).with_context(|| format!("reading the link {}", next.display()))?;
                left.extend(parts(&target));
            }
            _ => {}
        }
    }
    Ok(real)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{chown, symlink};

    const ALICE: u32 = 1000;
    const MALLORY: u32 = 1001;

    fn us(uid: u32, groups: &[u32]) -> Us {
        Us { uid, groups: groups.to_vec(), unmapped: None }
    }

    #[test]
    fn a_state_folder_is_written_by_us_root_and_a_group_of_ours_alone() {
        let root = us(0, &[0]);
        let alice = us(ALICE, &[ALICE, 100]);
        // As container platforms start a program: any user, in root's group.
        let arbitrary = us(1_000_650_000, &[0]);
        let mapped = Us { unmapped: Some(65534), ..us(0, &[0, 65534]) };
        type Judged = Result<Option<u32>, &'static str>;
        let cases: &[(&Us, (u32, u32, u32), Judged)] = &[
            (&root, (0, 0, 0o700), Ok(None)),
            (&root, (0, 0, 0o755), Ok(Some(0o700))),
            (&root, (ALICE, ALICE, 0o700), Err("it is user 1000's, and this is user 0")),
            (&root, (0, 0, 0o1777), Err("everybody may write there")),
            (&root, (0, ALICE, 0o770), Err("group 1000 may write there, which this user is not in")),
            (&alice, (ALICE, ALICE, 0o755), Ok(Some(0o700))),
            (&alice, (ALICE, ALICE, 0o750), Ok(Some(0o700))),
            (&alice, (ALICE, ALICE, 0o775), Ok(Some(0o770))),
            (&alice, (ALICE, 100, 0o2770), Ok(None)),
            (&alice, (ALICE, MALLORY, 0o770), Err("group 1001 may write there, which this user is not in")),
            (&alice, (MALLORY, ALICE, 0o770), Err("it is user 1001's, and this is user 1000")),
            (&alice, (0, 0, 0o755), Ok(None)),
            (&arbitrary, (0, 0, 0o2775), Ok(None)),
            (&arbitrary, (0, 0, 0o2777), Err("everybody may write there")),
            (&arbitrary, (1_000_650_000, 0, 0o2775), Ok(Some(0o2770))),
            (&mapped, (0, 0, 0o755), Ok(Some(0o700))),
            (&mapped, (65534, 65534, 0o775), Ok(None)),
            (&root, (65534, 65534, 0o700), Err("it is user 65534's, and this is user 0")),
        ];
        for (us, (owner, group, mode), expected) in cases {
            let judged = us.judge(*owner, *group, *mode);
            assert_eq!(judged, expected.map_err(str::to_owned), "{us:?} {owner}:{group} {mode:o}");
        }
    }

    #[test]
    fn a_namespace_that_has_not_all_users_is_known_by_its_map() {
        assert!(knows_all("         0          0 4294967295\n"));
        assert!(knows_all(""));
        assert!(!knows_all("         0       1000          1\n"));
        assert!(!knows_all("0 1000 1\n1 100000 65536\n"));
    }

    #[test]
    fn a_link_of_somebody_else_is_not_followed_and_ours_is() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| fs::canonicalize(dir.path()).unwrap().join(name);
        fs::create_dir(at("state")).unwrap();
        symlink("state", at("ours")).unwrap();
        symlink("loop", at("loop")).unwrap();
        let here = Us::now();
        assert_eq!(check(&at("ours/below"), here).unwrap(), at("state/below"));
        assert_eq!(check(&at("state/../ours"), here).unwrap(), at("state"));
        assert!(check(&at("loop"), here).unwrap_err().to_string().contains("too many links"));
        let stranger = us(here.uid + 4242, &[]);
        if here.uid == 0 {
            std::os::unix::fs::lchown(at("ours"), Some(MALLORY), None).unwrap();
            let told = check(&at("ours/below"), here).unwrap_err().to_string();
            assert!(told.contains("ours is a link that user 1001 has made"), "{told}");
            chown(at("state"), Some(MALLORY), None).unwrap();
            assert!(check(&at("state"), here).is_err());
        } else {
            assert!(check(&at("ours"), &stranger).is_err());
        }
    }

    #[test]
    fn a_folder_of_ours_that_others_can_look_into_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        folder(dir.path()).unwrap();
        assert_eq!(fs::metadata(dir.path()).unwrap().mode() & 0o7777, 0o700);
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        let told = folder(dir.path()).unwrap_err().to_string();
        assert!(told.contains("everybody may write there") && told.contains("STAGECACHE_HOME"), "{told}");
    }
}
