//! A layer of the storage as the archive that it is made of, and what the engine says of a layer in the history.
//!
//! containers/storage keeps beside each layer what it takes to write its archive again byte for byte:
//! `<driver>-layers/<id>.tar-split.gz` (vbatts/tar-split: JSON lines, headers and padding in base64, files by name and
//! size), and the files themselves in a folder of the driver. Nothing is ever written here.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use serde::Deserialize;

use super::Version;
use super::storage::{ImageStore, ListedImage};

/// The unit of an archive, in bytes (POSIX ustar).
pub const BLOCK: usize = 512;

/// Where a layer's parts lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerSource {
    headers: PathBuf,
    files: PathBuf,
}

impl LayerSource {
    /// The topmost layer of an image; nothing where the driver keeps no folder a layer that can be read as it is.
    pub fn top_of(stores: &[ImageStore], image: &ListedImage) -> Option<Self> {
        let store = stores.get(image.store)?;
        let id = Path::new(&image.top_layer);
        let files = match store.driver.as_str() {
            "overlay" => store.root.join("overlay").join(id).join("diff"),
            "vfs" => store.root.join("vfs/dir").join(id),
            _ => return None,
        };
        let name = format!("{}.tar-split.gz", image.top_layer);
        let headers = store.root.join(format!("{}-layers", store.driver)).join(name);
        (!image.top_layer.is_empty() && headers.is_file()).then_some(Self { headers, files })
    }

    /// The members of the archive, in its order.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn members(&self) -> io::Result<Members> {
        let lines = BufReader::new(GzDecoder::new(BufReader::new(File::open(&self.headers)?)));
        Ok(Members { lines: Box::new(lines), padding: 0, line: Vec::new() })
    }

    /// A file of the layer.
    ///
    /// # Errors
    /// When it is not there, or is another user's (without privileges).
    pub fn open(&self, path: &str) -> io::Result<File> {
        use std::os::unix::fs::OpenOptionsExt;
        // No link of a container's leads out of it: members that are read here are regular files.
        File::options().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(self.files.join(path))
    }
}

/// What stands in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A file.
    Member(Member),
    /// What stands behind the last one.
    End(Vec<u8>),
}

/// A file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its path, without a slash at the end.
    pub path: String,
    /// How many bytes it has.
    pub size: u64,
    /// Its headers: those of its path where that is long, and at the end its own.
    pub headers: Vec<u8>,
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
}

impl Member {
    /// Its own header.
    pub fn header(&self) -> &[u8] {
        &self.headers[self.headers.len() - BLOCK..]
    }

    /// What it is; nothing for hard links, devices and the like, and for what has more headers than those of its names.
    pub fn kind(&self) -> Option<MemberKind> {
        let kind = match self.header()[156] {
            0 | b'0' => MemberKind::File,
            b'5' => MemberKind::Folder,
            b'2' => MemberKind::Link,
            _ => return None,
        };
        let further = &self.headers[..self.headers.len() - BLOCK];
        (further.is_empty() || names_alone(further)).then_some(kind)
    }
}

/// Whether extended headers (POSIX pax) say nothing but a path or a link's target.
fn names_alone(headers: &[u8]) -> bool {
    let Some((header, records)) = headers.split_at_checked(BLOCK) else { return false };
    let Some(length) = octal(&header[124..136]).and_then(|length| usize::try_from(length).ok()) else {
        return false;
    };
    if header[156] != b'x' || records.len() != length.next_multiple_of(BLOCK) {
        return false;
    }
    let mut left = &records[..length];
    while let Some(space) = left.iter().position(|&byte| byte == b' ') {
        let length = std::str::from_utf8(&left[..space]).ok().and_then(|digits| digits.parse().ok());
        let Some((record, rest)) = length.and_then(|length| left.split_at_checked(length)) else {
            return false;
        };
        let is_name = |key: &[u8]| record.get(space + 1..).is_some_and(|pair| pair.starts_with(key));
        if !is_name(b"path=") && !is_name(b"linkpath=") {
            return false;
        }
        left = rest;
    }
    left.is_empty()
}

/// The value of a header's number.
pub fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    u64::from_str_radix(text, 8).ok()
}

/// The members of a layer's archive.
pub struct Members {
    lines: Box<dyn BufRead + Send>,
    /// How many bytes fill the last block of the member before.
    padding: usize,
    line: Vec<u8>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: u8,
    // A name that is not UTF-8 stands elsewhere.
    #[serde(default)]
    name: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    payload: Option<String>,
}

impl Members {
    const FILE: u8 = 1;
    const SEGMENT: u8 = 2;

    /// The next part.
    ///
    /// # Errors
    /// When it cannot be read, or is not what tar-split writes.
    pub fn next_part(&mut self) -> io::Result<Part> {
        let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let mut bytes = Vec::new();
        loop {
            self.line.clear();
            let at_end = self.lines.read_until(b'\n', &mut self.line)? == 0;
            if !at_end {
                let line: Line = serde_json::from_slice(&self.line)?;
                match (line.kind, line.payload) {
                    (Self::SEGMENT, Some(payload)) => {
                        STANDARD.decode_vec(payload, &mut bytes).map_err(|_| broken("no base64"))?;
                        continue;
                    }
                    (Self::FILE, _) if !line.name.is_empty() => {
                        let headers = self
                            .behind_padding(bytes)
                            .filter(|headers| !headers.is_empty() && headers.len().is_multiple_of(BLOCK));
                        let headers = headers.ok_or_else(|| broken("no header in front of a file"))?;
                        self.padding = padding(line.size);
                        let path = line.name.trim_end_matches('/').to_owned();
                        return Ok(Part::Member(Member { path, size: line.size, headers }));
                    }
                    _ => return Err(broken("an unknown kind of line")),
                }
            }
            let end = self.behind_padding(bytes).ok_or_else(|| broken("an archive that is cut off"))?;
            return Ok(Part::End(end));
        }
    }

    fn behind_padding(&self, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        let padding = bytes.get(..self.padding)?;
        if padding.iter().any(|&byte| byte != 0) {
            return None;
        }
        bytes.drain(..self.padding);
        Some(bytes)
    }
}

/// How many bytes fill the last block of so many.
pub fn padding(size: u64) -> usize {
    let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
    (BLOCK - over) % BLOCK
}

/// How the engine makes the digest that the history has of what a COPY took (`COPY dir:…`): of an archive without times, in
/// which the owners' names are those that the engine finds (measured on 1.28.2, 1.39.3 and 1.43.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryDigest {
    /// root's files have their owner's name.
    pub user_name: bool,
    /// root's group's files have their group's name.
    pub group_name: bool,
    /// Folders end in a slash.
    pub slash: bool,
}

impl HistoryDigest {
    /// That of a version of buildah; of one in between that of the measured one below.
    pub fn of(buildah: Version) -> Self {
        Self {
            user_name: buildah < Version(1, 43, 0),
            group_name: buildah < Version(1, 39, 0),
            slash: buildah >= Version(1, 43, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn header(kind: u8) -> Vec<u8> {
        let mut header = vec![0; BLOCK];
        header[156] = kind;
        header
    }

    fn extended(records: &str) -> Vec<u8> {
        let mut headers = header(b'x');
        let size = format!("{:011o}\0", records.len());
        headers[124..136].copy_from_slice(size.as_bytes());
        headers.extend(records.as_bytes());
        headers.resize(headers.len().next_multiple_of(BLOCK), 0);
        headers
    }

    fn members(lines: &[String]) -> Members {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("overlay-layers/l.tar-split.gz");
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        let mut gz = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
        lines.iter().for_each(|line| writeln!(gz, "{line}").unwrap());
        gz.finish().unwrap();
        let store = ImageStore { root: folder.path().into(), driver: "overlay".into() };
        let image = ListedImage { digest: String::new(), names: Vec::new(), top_layer: "l".into(), store: 0 };
        LayerSource::top_of(&[store], &image).unwrap().members().unwrap()
    }

    fn segment(bytes: &[u8]) -> String {
        format!(r#"{{"type":2,"payload":"{}","position":0}}"#, STANDARD.encode(bytes))
    }

    #[test]
    fn an_archive_is_read_as_members_with_their_headers_and_what_is_behind_them() {
        let mut behind = vec![0; BLOCK - 3];
        behind.extend(header(b'5'));
        let mut members = members(&[
            segment(&header(b'0')),
            r#"{"type":1,"name":"a/f","size":3,"payload":"AAAAAAAAAAA=","position":1}"#.into(),
            segment(&behind),
            r#"{"type":1,"name":"a/d/","payload":null,"position":3}"#.into(),
            segment(&[0; 2 * BLOCK]),
        ]);
        let Part::Member(file) = members.next_part().unwrap() else { panic!() };
        assert_eq!((file.path.as_str(), file.size, file.kind()), ("a/f", 3, Some(MemberKind::File)));
        let Part::Member(folder) = members.next_part().unwrap() else { panic!() };
        assert_eq!((folder.path.as_str(), folder.kind()), ("a/d", Some(MemberKind::Folder)));
        assert_eq!(folder.headers, header(b'5'));
        assert_eq!(members.next_part().unwrap(), Part::End(vec![0; 2 * BLOCK]));
    }

    #[test]
    fn what_is_no_archive_is_an_error() {
        for lines in [
            vec![segment(&[0; 100]), r#"{"type":1,"name":"f","size":1,"position":1}"#.into()],
            vec![r#"{"type":1,"name":"f","size":1,"position":1}"#.into()],
            vec![segment(&header(b'0')), r#"{"type":1,"name_raw":"/w==","size":1,"position":1}"#.into()],
            vec![r#"{"type":3}"#.into()],
            vec!["{".into()],
        ] {
            assert!(members(&lines).next_part().is_err(), "{lines:?}");
        }
        let padded_with_something = vec![
            segment(&header(b'0')),
            r#"{"type":1,"name":"f","size":1,"position":1}"#.into(),
            segment(&[1; BLOCK]),
        ];
        let mut members = members(&padded_with_something);
        assert!(members.next_part().is_ok());
        assert!(members.next_part().is_err());
    }

    #[test]
    fn a_member_with_more_headers_than_those_of_its_names_is_of_no_known_kind() {
        let member = |further: Vec<u8>, kind: u8| {
            let headers = [further, header(kind)].concat();
            Member { path: "f".into(), size: 0, headers }.kind()
        };
        assert_eq!(member(Vec::new(), b'2'), Some(MemberKind::Link));
        assert_eq!(member(extended("10 path=f\n"), b'0'), Some(MemberKind::File));
        assert_eq!(member(extended("10 path=f\n14 linkpath=g\n"), b'2'), Some(MemberKind::Link));
        assert_eq!(member(extended("10 path=f\n12 size=123\n"), b'0'), None);
        assert_eq!(member(extended("30 mtime=1350244992.023960108\n"), b'0'), None);
        assert_eq!(member(header(b'L'), b'0'), None);
        for kind in [b'1', b'3', b'4', b'6'] {
            assert_eq!(member(Vec::new(), kind), None);
        }
    }

    #[test]
    fn a_driver_without_a_folder_a_layer_has_nothing_to_read() {
        let store = ImageStore { root: "/nonexistent".into(), driver: "btrfs".into() };
        let image = ListedImage { digest: String::new(), names: Vec::new(), top_layer: "l".into(), store: 0 };
        assert_eq!(LayerSource::top_of(&[store], &image), None);
    }
}
