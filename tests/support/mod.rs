//! A scenario: a build context, a private storage with a base image, and builds in them by the program and by the
//! engine itself, whose calls are logged.
//!
//! Nothing outside of a scenario's folder is touched: storage, run root, state, temporary files and context lie in it,
//! and it goes away with the scenario. An engine that is not installed fails the test.

#![allow(dead_code)] // No test file uses all of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The base image that every storage has: busybox, with some of its applets in `/bin`.
pub const BASE: &str = "docker.io/library/busybox:latest";

/// What its `/bin` has: few, because it is copied often.
const APPLETS: &str = "sh cat echo test true false sleep ls mkdir touch rm cp mv ln grep sed wc id env stat chmod \
                       chown date head tr sort uname printf hostname ulimit df cut find";

/// Variables of the machine that would change what a build does.
const STEERING: &[&str] = &[
    "BUILDAH_LAYERS",
    "BUILDAH_FORMAT",
    "BUILDAH_RUNTIME",
    "CONTAINERS_CONF",
    "CONTAINERS_STORAGE_CONF",
    "STORAGE_DRIVER",
    "STORAGE_OPTS",
    "SOURCE_DATE_EPOCH",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "XDG_STATE_HOME",
    "NO_COLOR",
];

/// An engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Buildah,
    Podman,
}

/// Both, for claims that have to hold on either.
pub const BOTH: [Kind; 2] = [Kind::Buildah, Kind::Podman];

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Buildah => "buildah",
            Kind::Podman => "podman",
        }
    }

    /// Where it is installed.
    pub fn program(self) -> PathBuf {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path)
            .map(|folder| folder.join(self.name()))
            .find(|program| program.is_file())
            .unwrap_or_else(|| panic!("{} is not installed, and the tests run it", self.name()))
    }
}

/// A storage with the base image, which each scenario copies.
struct Template {
    root: PathBuf,
    driver: String,
}

/// Made once for a version of engine and busybox, and kept in the build folder.
fn template() -> &'static Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let version = Command::new(Kind::Buildah.program()).arg("--version").output().unwrap().stdout;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&version).update(&fs::read(busybox()).unwrap()).update(APPLETS.as_bytes());
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let kept = kept.join(format!("base-{}", &hasher.finalize().to_hex()[..16]));
        if !kept.exists() {
            let made = make_template(kept.parent().unwrap());
            // Another process may have been faster; its storage is as good.
            if fs::rename(made.path(), &kept).is_ok() {
                let _ = made.keep();
            }
        }
        let driver = fs::read_to_string(kept.join("driver")).unwrap();
        Template { root: kept.join("root"), driver }
    })
}

fn make_template(parent: &Path) -> TempDir {
    let folder = tempfile::tempdir_in(parent).unwrap();
    let context = folder.path().join("context");
    make_base(&context.join("rootfs"));
    let text = "FROM scratch\nCOPY rootfs /\nENV PATH=/bin\nCMD [\"/bin/sh\"]\n";
    fs::write(context.join("Containerfile"), text).unwrap();
    let mut told = String::new();
    for driver in ["overlay", "vfs"] {
        let output = engine(Kind::Buildah, folder.path(), driver)
            .args(["build", "--quiet", "--layers=false", "--tag", BASE])
            .arg(&context)
            .output()
            .unwrap();
        unmount_below(folder.path());
        if output.status.success() {
            fs::write(folder.path().join("driver"), driver).unwrap();
            return folder;
        }
        told.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    panic!("no base image can be made: {told}");
}

fn busybox() -> &'static str {
    ["/bin/busybox", "/usr/bin/busybox", "/sbin/busybox", "/usr/sbin/busybox"]
        .into_iter()
        .find(|path| Path::new(path).is_file())
        .expect("a static busybox is the base image of the tests; install busybox-static")
}

fn make_base(root: &Path) {
    for folder in ["bin", "etc", "tmp"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::copy(busybox(), root.join("bin/busybox")).unwrap();
    for applet in APPLETS.split_whitespace() {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n")
        .unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\nuser:x:1000:\n").unwrap();
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
}

fn globals(folder: &Path, driver: &str) -> Vec<String> {
    vec![
        format!("--root={}", folder.join("root").display()),
        format!("--runroot={}", folder.join("run").display()),
        format!("--storage-driver={driver}"),
    ]
}

/// The engine itself on the storage of this folder.
fn engine(kind: Kind, folder: &Path, driver: &str) -> Command {
    let mut command = Command::new(kind.program());
    command.args(globals(folder, driver));
    steer(&mut command, folder);
    command
}

fn steer(command: &mut Command, folder: &Path) {
    for name in STEERING {
        command.env_remove(name);
    }
    let tmp = folder.join("tmp");
    fs::create_dir_all(&tmp).unwrap();
    command.env("TMPDIR", tmp);
    if std::env::var_os("BUILDAH_ISOLATION").is_none() {
        // The one that works in any container and for any user.
        command.env("BUILDAH_ISOLATION", "chroot");
    }
    command.stdin(Stdio::null());
}

/// Unmounts what the storage driver has left mounted.
fn unmount_below(folder: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let below = |point: &&str| Path::new(point).starts_with(folder);
    let points: Vec<&str> = mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(below).collect();
    for point in points.iter().rev() {
        let _ = Command::new("umount").arg("--lazy").arg(point).output();
    }
}

/// One build after the other of one context on one storage.
pub struct Scenario {
    pub kind: Kind,
    folder: TempDir,
    driver: &'static str,
    flags: Vec<String>,
}

impl Drop for Scenario {
    fn drop(&mut self) {
        unmount_below(self.folder.path());
    }
}

impl Scenario {
    /// A context with this Containerfile, built by buildah.
    pub fn new(containerfile: &str) -> Self {
        Self::on(Kind::Buildah, containerfile)
    }

    /// The same, built by the engine that is named.
    pub fn on(kind: Kind, containerfile: &str) -> Self {
        let template = template();
        let folder = tempfile::Builder::new().prefix("stagecache-test-").tempdir().unwrap();
        let copied = Command::new("cp")
            .args(["-a", "--reflink=auto"])
            .arg(&template.root)
            .arg(folder.path().join("root"))
            .status()
            .unwrap();
        assert!(copied.success(), "the storage with the base image cannot be copied");
        fs::create_dir(folder.path().join("context")).unwrap();
        let scenario = Self { kind, folder, driver: &template.driver, flags: vec!["--pull=never".into()] };
        scenario.make_wrapper(kind);
        scenario.write("Containerfile", containerfile);
        scenario
    }

    /// Builds with another engine from here on.
    pub fn switch(&mut self, kind: Kind) {
        self.kind = kind;
        self.make_wrapper(kind);
    }

    /// A program of the engine's name that notes its arguments and becomes the engine.
    fn make_wrapper(&self, kind: Kind) {
        let script = format!(
            "#!/bin/sh\nprintf '%s\\n' \"call $*\" >>'{}'\nexec '{}' \"$@\"\n",
            self.log().display(),
            kind.program().display()
        );
        let path = self.wrapper(kind);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The program that stands for the engine.
    pub fn wrapper(&self, kind: Kind) -> PathBuf {
        self.folder.path().join("bin").join(kind.name())
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("calls")
    }

    /// The folder of everything.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The build context.
    pub fn context(&self) -> PathBuf {
        self.folder.path().join("context")
    }

    /// The state folder.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The folder for temporary files.
    pub fn tmp(&self) -> PathBuf {
        self.folder.path().join("tmp")
    }

    /// Flags for each build from now on.
    #[must_use]
    pub fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
        self
    }

    /// A file of the context.
    #[must_use]
    pub fn file(self, path: &str, text: &str) -> Self {
        self.write(path, text);
        self
    }

    /// Writes a file of the context.
    pub fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.context().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// Writes the Containerfile.
    pub fn containerfile(&self, text: &str) -> &Self {
        self.write("Containerfile", text)
    }

    /// Sets a file's mode.
    pub fn chmod(&self, path: &str, mode: u32) -> &Self {
        fs::set_permissions(self.context().join(path), fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    /// Makes a symbolic link, in the place of what is there.
    pub fn link(&self, path: &str, target: &str) -> &Self {
        let path = self.context().join(path);
        let _ = fs::remove_file(&path);
        symlink(target, path).unwrap();
        self
    }

    /// Runs a command in the context folder.
    pub fn shell(&self, script: &str) -> &Self {
        let output = Command::new("sh").args(["-ec", script]).current_dir(self.context()).output().unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        self
    }

    /// Removes a file or folder.
    pub fn remove(&self, path: &str) -> &Self {
        let path = self.context().join(path);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        self
    }

    /// Gives a file, or all files of a folder, a new time.
    pub fn touch(&self, path: &str) -> &Self {
        fn touch(path: &Path) {
            let meta = fs::symlink_metadata(path).unwrap();
            if meta.is_symlink() {
                return;
            }
            if meta.is_dir() {
                fs::read_dir(path).unwrap().for_each(|entry| touch(&entry.unwrap().path()));
            }
            File::open(path).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
        }
        touch(&self.context().join(path));
        self
    }

    /// The global flags that name the storage.
    pub fn globals(&self) -> Vec<String> {
        globals(self.folder.path(), self.driver)
    }

    /// The program with these arguments, and nothing else on its command line.
    pub fn program(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_podman-stagecache"));
        steer(&mut command, self.folder.path());
        command.env("STAGECACHE_HOME", self.state()).current_dir(self.folder.path()).args(args);
        command
    }

    /// `build` with these flags, context and Containerfile left to the caller.
    pub fn build_command(&self, flags: &[&str]) -> Command {
        let mut command = self.program(&[]);
        command
            .args(self.globals())
            .arg("build")
            .arg(format!("--engine={}", self.wrapper(self.kind).display()))
            .args(&self.flags)
            .args(flags);
        command
    }

    /// Builds the context.
    pub fn build(&self, flags: &[&str]) -> Built {
        let metadata = self.folder.path().join("metadata.json");
        let _ = fs::remove_file(&metadata);
        let mut command = self.build_command(flags);
        command.arg(format!("--metadata-file={}", metadata.display())).arg(self.context());
        self.ended(command)
    }

    /// Runs a command line of the program to its end and notes what the engine was called for.
    pub fn ended(&self, mut command: Command) -> Built {
        let before = self.calls().len();
        let output = command.output().unwrap();
        self.built(output, before)
    }

    fn built(&self, output: Output, calls_before: usize) -> Built {
        let metadata = fs::read(self.folder.path().join("metadata.json")).ok();
        let record = match metadata {
            Some(bytes) => Some(serde_json::from_slice(&bytes).expect("the record is JSON")),
            None => self.records().pop(),
        };
        Built {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            record: record.unwrap_or(Value::Null),
            calls: self.calls().split_off(calls_before),
        }
    }

    /// All records, oldest first.
    pub fn records(&self) -> Vec<Value> {
        let mut files: Vec<PathBuf> = fs::read_dir(self.state().join("storages"))
            .into_iter()
            .flatten()
            .flat_map(|storage| fs::read_dir(storage.unwrap().path().join("builds")).into_iter().flatten())
            .map(|file| file.unwrap().path())
            .collect();
        files.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
        let read = |path: &PathBuf| {
            serde_json::from_slice(&fs::read(path).unwrap())
                .unwrap_or_else(|error| panic!("half a record, {}: {error}", path.display()))
        };
        files.iter().map(read).collect()
    }

    fn calls(&self) -> Vec<String> {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        log.lines().filter_map(|line| line.strip_prefix("call ")).map(str::to_owned).collect()
    }

    /// Starts a build and returns when one of its lines contains `text`.
    pub fn start_until(&self, flags: &[&str], text: &str) -> Running<'_> {
        let before = self.calls().len();
        // That of an earlier build is not this one's.
        let _ = fs::remove_file(self.folder.path().join("metadata.json"));
        let mut command = self.build_command(flags);
        command.arg(self.context()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut seen = String::new();
        while !seen.contains(text) {
            let read = lines.read_line(&mut seen).unwrap();
            assert!(read > 0, "the build ended before it said `{text}`:\n{seen}");
        }
        Running { scenario: self, child, lines, seen, calls_before: before }
    }

    /// Runs the engine itself on the storage; it has to succeed.
    pub fn engine(&self, args: &[&str]) -> String {
        let output = self.engine_output(self.kind, args);
        assert!(
            output.status.success(),
            "{} {args:?}: {}",
            self.kind.name(),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs an engine on the storage.
    pub fn engine_output(&self, kind: Kind, args: &[&str]) -> Output {
        engine(kind, self.folder.path(), self.driver).args(args).output().unwrap()
    }

    /// Builds the context with the engine alone.
    pub fn native(&self, flags: &[&str]) -> Image {
        let iid = self.folder.path().join("native-iid");
        let mut args = vec!["build".to_owned(), "--no-cache".into(), "--force-rm".into()];
        args.extend(self.flags.iter().cloned());
        if !flags.iter().any(|flag| flag.starts_with("--layers")) {
            args.push("--layers".into());
        }
        args.extend(flags.iter().map(|flag| (*flag).to_owned()));
        args.extend([format!("--iidfile={}", iid.display()), self.context().display().to_string()]);
        self.engine(&args.iter().map(String::as_str).collect::<Vec<_>>());
        self.image(fs::read_to_string(iid).unwrap().trim())
    }

    /// Names and ids of all images, untagged ones included.
    pub fn listed(&self) -> Vec<Listed> {
        let bytes = fs::read(self.images_folder().join("images.json")).unwrap();
        let images: Vec<Value> = serde_json::from_slice(&bytes).unwrap();
        let strings = |value: &Value| value.as_array().into_iter().flatten().map(string).collect();
        images
            .iter()
            .map(|image| Listed { id: string(&image["id"]), names: strings(&image["names"]) })
            .collect()
    }

    fn images_folder(&self) -> PathBuf {
        self.folder.path().join("root").join(format!("{}-images", self.driver))
    }

    /// An image by id or by a name as the storage has it.
    pub fn image(&self, wanted: &str) -> Image {
        let wanted = wanted.trim_start_matches("sha256:");
        let named = |listed: &Listed| listed.id == wanted || listed.names.iter().any(|name| name == wanted);
        let listed = self
            .listed()
            .into_iter()
            .find(named)
            .unwrap_or_else(|| panic!("no image {wanted} in the storage"));
        let folder = self.images_folder().join(&listed.id);
        let config =
            format!("={}", base64::engine::general_purpose::STANDARD.encode(format!("sha256:{}", listed.id)));
        let json = |name: &str| serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap();
        Image { id: listed.id, names: listed.names, config: json(&config), manifest: json("manifest") }
    }

    /// The manifest of an image as it is stored.
    pub fn manifest(&self, id: &str) -> String {
        fs::read_to_string(self.images_folder().join(id).join("manifest")).unwrap()
    }

    /// Whether the storage has an image of that id.
    pub fn has(&self, id: &str) -> bool {
        self.listed().iter().any(|image| image.id == id)
    }

    /// The files that each layer of an image brings, the lowest first, as the engine hands them out.
    pub fn layers(&self, image: &Image) -> Vec<Files> {
        let folder = tempfile::tempdir_in(self.folder.path()).unwrap();
        let mut args = vec!["push", "--quiet"];
        if self.kind == Kind::Buildah {
            args.push("--disable-compression");
        }
        let to = format!("dir:{}", folder.path().display());
        args.extend([image.id.as_str(), &to]);
        self.engine(&args);
        let manifest: Value =
            serde_json::from_slice(&fs::read(folder.path().join("manifest.json")).unwrap()).unwrap();
        let blobs = manifest["layers"].as_array().unwrap().iter();
        blobs
            .map(|blob| {
                let digest = string(&blob["digest"]);
                files_of(File::open(folder.path().join(digest.trim_start_matches("sha256:"))).unwrap())
            })
            .collect()
    }

    /// The files of an image.
    pub fn files(&self, image: &Image) -> Files {
        let mut files = Files::new();
        for layer in self.layers(image) {
            for (path, what) in &layer {
                let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
                if name == ".wh..wh..opq" {
                    files.retain(|known, _| !known.starts_with(&format!("{folder}/")));
                } else if let Some(gone) = name.strip_prefix(".wh.") {
                    let gone = if folder.is_empty() { gone.to_owned() } else { format!("{folder}/{gone}") };
                    files.retain(|known, _| *known != gone && !known.starts_with(&format!("{gone}/")));
                } else {
                    files.insert(path.clone(), what.clone());
                }
            }
        }
        files
    }

    /// What two builds of one file have to have in common: everything but ids, times, and labels of ours.
    pub fn comparable(&self, image: &Image) -> Value {
        let mut config = image.config.clone();
        config["config"]["Labels"] = json!(image.labels_of_others());
        // Docker format: the name of the container that it was committed from.
        config["config"]["Hostname"] = json!("");
        let history: Vec<Value> = image.config["history"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| json!([entry["created_by"], entry["empty_layer"], entry["author"]]))
            .filter(|entry| !string(&entry[0]).contains("io.stagecache.key"))
            .collect();
        json!({
            "config": config["config"],
            "author": config["author"],
            "platform": [config["architecture"], config["os"], config["variant"]],
            "history": history,
            "layers": self.layers(image),
            "media": image.manifest["mediaType"],
        })
    }

    /// Working containers that are left in the storage.
    pub fn containers(&self) -> Vec<String> {
        let folder = self.folder.path().join("root").join(format!("{}-containers", self.driver));
        ["containers.json", "volatile-containers.json"]
            .iter()
            .filter_map(|name| fs::read(folder.join(name)).ok())
            .flat_map(|bytes| serde_json::from_slice::<Vec<Value>>(&bytes).unwrap_or_default())
            .map(|container| container["names"].to_string())
            .collect()
    }

    /// What builds have left that no build may leave, in words: working containers, temporary files, records that say
    /// `running`.
    pub fn left(&self) -> Vec<String> {
        let mut left: Vec<String> =
            self.containers().into_iter().map(|name| format!("working container {name}")).collect();
        let files = fs::read_dir(self.tmp()).unwrap();
        let files = files.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        // The content of cache mounts lives there.
        let lasting = |name: &String| name.starts_with("storage-run-") || name.starts_with("buildah-cache");
        left.extend(files.filter(|name| !lasting(name)).map(|name| format!("temporary file {name}")));
        let running = self.records().into_iter().filter(|record| record["status"] == "running");
        left.extend(running.map(|record| format!("record {}, half done", record["build_id"])));
        left
    }

    /// Fails where a build has left what no build may leave.
    #[track_caller]
    pub fn assert_clean(&self) {
        assert_eq!(self.left(), [""; 0], "something is left");
    }

    /// Ids of the images that the engine finds by a label; `images` without `-a`, as people call it.
    pub fn labelled(&self, key: &str, value: &str) -> Vec<String> {
        let filter = format!("label={key}={value}");
        let told = self.engine(&["images", "--quiet", "--no-trunc", "--filter", &filter]);
        let ids: BTreeSet<String> =
            told.lines().map(|id| id.trim_start_matches("sha256:").to_owned()).collect();
        ids.into_iter().collect()
    }
}

/// Path to what is there: type, mode, owner, content; and `PATH@NAME` to the value of an extended attribute of users.
pub type Files = BTreeMap<String, String>;

pub fn files_of(archive: impl Read) -> Files {
    let mut archive = tar::Archive::new(archive);
    let mut files = Files::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let path = path.trim_start_matches("./").trim_end_matches('/').to_owned();
        let header = entry.header();
        let mode = header.mode().unwrap() & 0o7777;
        let owner = format!("{}:{}", header.uid().unwrap(), header.gid().unwrap());
        let link = entry.link_name().unwrap().map(|link| link.display().to_string()).unwrap_or_default();
        let attributes: Vec<(String, String)> = entry
            .pax_extensions()
            .unwrap()
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|pair| {
                let name = pair.key().ok()?.strip_prefix("SCHILY.xattr.user.")?;
                Some((format!("{path}@{name}"), pair.value().ok()?.to_owned()))
            })
            .collect();
        files.extend(attributes);
        let what = match entry.header().entry_type() {
            tar::EntryType::Directory => format!("folder {mode:o} {owner}"),
            tar::EntryType::Symlink => format!("link {link}"),
            tar::EntryType::Link => format!("also {link}"),
            tar::EntryType::Regular => {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).unwrap();
                let content = match String::from_utf8(bytes) {
                    Ok(text) if text.len() < 200 => text,
                    Ok(text) => format!("{} bytes, {}", text.len(), blake3::hash(text.as_bytes())),
                    Err(error) => {
                        format!("{} bytes, {}", error.as_bytes().len(), blake3::hash(error.as_bytes()))
                    }
                };
                format!("file {mode:o} {owner} {content}")
            }
            other => format!("{other:?} {mode:o} {owner}"),
        };
        files.insert(path, what);
    }
    files
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// An image of the listing.
#[derive(Clone, Debug)]
pub struct Listed {
    pub id: String,
    pub names: Vec<String>,
}

/// An image with what it is made of.
#[derive(Clone, Debug)]
pub struct Image {
    pub id: String,
    pub names: Vec<String>,
    pub config: Value,
    pub manifest: Value,
}

impl Image {
    /// A label's value.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.config["config"]["Labels"][key].as_str()
    }

    /// All labels but those that a stage's image gets.
    pub fn labels_of_others(&self) -> BTreeMap<String, Value> {
        let labels = self.config["config"]["Labels"].as_object();
        let ours = |key: &str| key.starts_with("io.stagecache.") || key.starts_with("io.buildah.stage.");
        labels
            .into_iter()
            .flatten()
            .filter(|(key, _)| !ours(key))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    }

    /// The digests of its layers.
    pub fn diff_ids(&self) -> Vec<String> {
        self.config["rootfs"]["diff_ids"].as_array().unwrap().iter().map(string).collect()
    }
}

/// A build that runs.
pub struct Running<'a> {
    scenario: &'a Scenario,
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
    seen: String,
    calls_before: usize,
}

impl Running<'_> {
    /// Sends a signal.
    pub fn signal(&self, signal: nix::sys::signal::Signal) -> &Self {
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        nix::sys::signal::kill(pid, signal).unwrap();
        self
    }

    /// Waits for the end.
    pub fn ended(mut self) -> Built {
        self.lines.read_to_string(&mut self.seen).unwrap();
        let status = wait(&mut self.child, Duration::from_secs(60));
        let mut stdout = Vec::new();
        self.child.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
        let output = Output { status, stdout, stderr: self.seen.into_bytes() };
        self.scenario.built(output, self.calls_before)
    }
}

fn wait(child: &mut Child, limit: Duration) -> std::process::ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if start.elapsed() > limit {
            let _ = child.kill();
            panic!("the build does not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A finished run of the program.
#[derive(Debug)]
pub struct Built {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    /// The build's record; null where there is none.
    pub record: Value,
    /// The engine calls, their arguments joined by spaces.
    pub calls: Vec<String>,
}

impl Built {
    /// It has succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "the build failed:\n{}", self.stderr);
        self
    }

    /// It has failed with this code.
    #[track_caller]
    pub fn fails(self, code: i32) -> Self {
        assert_eq!(self.code, code, "another exit code was expected:\n{}", self.stderr);
        self
    }

    /// The image of the target.
    pub fn image(&self) -> String {
        string(&self.record["result"]["image"])
    }

    /// What the record says of a stage.
    #[track_caller]
    pub fn stage(&self, name: &str) -> &Value {
        let stages = self.record["stages"].as_array().expect("a record with stages");
        stages
            .iter()
            .find(|stage| stage["name"] == name)
            .unwrap_or_else(|| panic!("no stage {name}:\n{}", self.record))
    }

    /// Each built stage with a letter a step: `h` for a hit, `c` for one by content, `m` for a miss, `-` where it was
    /// not reached: `base h, build hm`.
    pub fn verdicts(&self) -> String {
        let stages = self.record["stages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let shown = stages.iter().filter(|stage| stage["status"] != "skipped").map(|stage| {
            let steps = stage["steps"].as_array().unwrap();
            let letters: String = steps.iter().map(|step| letter(&step["verdict"])).collect();
            format!("{} {letters}", string(&stage["name"])).trim_end().to_owned()
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    /// The verdicts are these.
    #[track_caller]
    pub fn expect(self, verdicts: &str) -> Self {
        let built = self.ok();
        assert_eq!(built.verdicts(), verdicts, "{}", built.stderr);
        built
    }

    /// How often the engine was asked to build.
    pub fn builds(&self) -> usize {
        self.called("build")
    }

    /// How many steps' layers were made of those of last time, without a `build` of the engine.
    pub fn taken_over(&self) -> usize {
        self.stderr.matches("took over the layer of").count()
    }

    /// How often the engine was asked for this.
    pub fn called(&self, verb: &str) -> usize {
        let is = |call: &&String| call.split(' ').find(|word| !word.starts_with("--")) == Some(verb);
        self.calls.iter().filter(is).count()
    }

    /// The error that the program itself tells, without the word in front of it.
    #[track_caller]
    pub fn error(&self) -> &str {
        let (before, error) = self
            .stderr
            .split_once("Error: ")
            .filter(|(before, _)| before.is_empty())
            .or_else(|| self.stderr.split_once("\nError: "))
            .unwrap_or_else(|| panic!("no error is told:\n{}", self.stderr));
        assert!(!before.contains("panicked at"), "{}", self.stderr);
        error.trim_end()
    }
}

fn letter(verdict: &Value) -> char {
    match (verdict["verdict"].as_str(), verdict["by"].as_str()) {
        (Some("hit"), Some("content")) => 'c',
        (Some("hit"), _) => 'h',
        (Some("miss"), _) => 'm',
        _ => '-',
    }
}
