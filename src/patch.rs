//! A COPY of which only contents of files changed since last time: its layer is last time's, with those files.
//!
//! The engine makes such a layer in three passes over all files (into the container, into an archive, into the new
//! layer); with the archive at hand it takes one. Headers, order and everything else stay as the engine made them.
//! Nothing is taken on trust: the archive of last time is made again in the same way as the new one, from last time's
//! files where they changed and the context's where not, and has to be last time's bit for bit (its diff id, and the
//! digest that the engine wrote into the history); each file of the new one has to have the content that the step's key
//! says. In any other case the engine copies.
//!
//! What a COPY leaves beside contents (modes, owners, folders that it makes) hangs on its text, on what it stands on, and
//! on the modes and kinds of its files: all the same, or there is no patch.

mod header;
mod image;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use self::header::{in_fields, number, seal};
pub use self::image::image;
use crate::context::{CopiedTree, Digest, FileFact};
use crate::engine::layer::{BLOCK, HistoryDigest, LayerSource, Member, MemberKind, Part, octal, padding};
use crate::image::hex;
use crate::process;

/// What a layer is patched with.
pub struct Patch<'a> {
    /// The layer of last time.
    pub layer: &'a LayerSource,
    /// The context.
    pub context: &'a Path,
    /// The sources as they stand in the instruction, expanded.
    pub sources: &'a [String],
    /// What was copied last time.
    pub before: &'a CopiedTree,
    /// What is to be copied.
    pub after: &'a CopiedTree,
    /// How the engine makes the digest that is in the history.
    pub digest: HistoryDigest,
    /// How many bytes are free where the archive is written.
    pub room: u64,
}

/// A layer's archive that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The digest of the archive, `sha256:…`.
    pub diff_id: String,
    /// Its size in bytes.
    pub size: u64,
    /// What the history says of the copied bytes: `dir:…`, `file:…`, `multi:…`.
    pub copied: String,
}

/// Both archives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patched {
    /// That of last time, made again.
    pub before: Made,
    /// The new one, which was written.
    pub after: Made,
    /// How many files have another content.
    pub changed: usize,
}

/// What a source of the instruction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SourceKind {
    File,
    Folder,
}

impl SourceKind {
    fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Folder => "dir",
        }
    }
}

/// A file that is copied.
#[derive(Debug, Clone, Copy)]
struct Item<'a> {
    /// Which of the sources it belongs to.
    source: usize,
    /// Its path in the context.
    path: &'a str,
    /// What it is to be.
    fact: &'a FileFact,
}

/// Where the files of the context stand in the layer.
struct Layout<'a> {
    kinds: Vec<SourceKind>,
    /// By path behind `prefix`.
    items: HashMap<&'a str, Item<'a>>,
    /// The destination in the layer, with a slash at the end; empty for the root.
    prefix: String,
    /// The name in the layer of the only file, which may have another one there.
    only: Option<String>,
}

impl Patch<'_> {
    /// Writes the new layer's archive to `out`; nothing where there is no patch.
    ///
    /// # Errors
    /// When something cannot be read or written, or is not as it has to be.
    pub fn write(&self, out: &mut (dyn Write + Send)) -> io::Result<Option<Patched>> {
        let Some(changed) = self.changed() else { return Ok(None) };
        let Some(layout) = self.layout()? else { return Ok(None) };
        let (before, after) = std::thread::scope(|scope| {
            let before =
                scope.spawn(|| Pass { patch: self, layout: &layout, new: false }.run(&mut io::sink()));
            let after = Pass { patch: self, layout: &layout, new: true }.run(out);
            (before.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), after)
        });
        Ok(Some(Patched { before: before?, after: after?, changed }))
    }

    /// How many files have another content; nothing where something else differs too.
    fn changed(&self) -> Option<usize> {
        let diff = CopiedTree::diff(self.before, self.after);
        let in_content = |path: &String| {
            matches!(
                (self.before.file(path), self.after.file(path)),
                (Some(FileFact::File { mode: a, .. }), Some(FileFact::File { mode: b, .. })) if a == b
            )
        };
        let alike = diff.added.is_empty() && diff.removed.is_empty() && diff.changed.iter().all(in_content);
        // Attributes stand in headers of their own.
        let plain = self.after.files().all(|(path, fact)| match fact {
            FileFact::File { xattrs, .. } | FileFact::Dir { xattrs, .. } => {
                xattrs.is_empty() && !path.contains('\\')
            }
            FileFact::Symlink { .. } => !path.contains('\\'),
            _ => false,
        });
        (alike && plain && !diff.is_empty()).then_some(diff.changed.len())
    }

    fn layout(&self) -> io::Result<Option<Layout<'_>>> {
        let Some((kinds, items)) = self.items() else { return Ok(None) };
        let mut bytes = 0;
        let mut found: Vec<(String, MemberKind)> = Vec::new();
        let mut members = self.layer.members()?;
        while let Part::Member(member) = members.next_part()? {
            let Some(kind) = member.kind() else { return Ok(None) };
            bytes += member.size + 2 * BLOCK as u64;
            found.push((member.path, kind));
        }
        // The engine keeps a copy while it takes the layer in (1.28), and nobody else is to be left without any.
        if bytes.saturating_mul(3) > self.room {
            return Ok(None);
        }
        let mut copied: Vec<&str> =
            found.iter().filter(|(_, k)| *k != MemberKind::Folder).map(|(p, _)| p.as_str()).collect();
        let is_folder = |item: &Item<'_>| matches!(item.fact, FileFact::Dir { .. });
        let mut wanted: Vec<&str> =
            items.iter().filter(|(_, item)| !is_folder(item)).map(|(rel, _)| *rel).collect();
        if copied.len() != wanted.len() {
            return Ok(None);
        }
        let in_parts = |path: &&str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
        copied.sort_by_cached_key(in_parts);
        wanted.sort_by_cached_key(in_parts);
        let (Some(&first), Some(&rel)) = (copied.first(), wanted.first()) else { return Ok(None) };
        let only = (kinds == [SourceKind::File]).then(|| first.to_owned());
        let prefix = match &only {
            Some(path) => path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/")),
            None => match first.strip_suffix(rel) {
                Some(prefix) if prefix.is_empty() || prefix.ends_with('/') => prefix.to_owned(),
                _ => return Ok(None),
            },
        };
        let layout = Layout { kinds, items, prefix, only };
        let fits = |(path, kind): &(String, MemberKind)| match (layout.item(path), kind) {
            (Some(Item { fact: FileFact::File { .. }, .. }), MemberKind::File)
            | (Some(Item { fact: FileFact::Dir { .. }, .. }), MemberKind::Folder)
            | (Some(Item { fact: FileFact::Symlink { .. }, .. }), MemberKind::Link) => true,
            // A folder on the way to the destination, or one that a WORKDIR in front names.
            (None, MemberKind::Folder) => true,
            _ => false,
        };
        Ok(found.iter().all(fits).then_some(layout))
    }

    /// The files by where they come to stand below the destination.
    fn items(&self) -> Option<(Vec<SourceKind>, HashMap<&str, Item<'_>>)> {
        let mut kinds = Vec::new();
        let mut items = HashMap::new();
        for (source, written) in self.sources.iter().enumerate() {
            let path = plain_source(written)?;
            let mut add = |rel, path, fact| items.insert(rel, Item { source, path, fact }).is_none();
            let is_alone = self.after.file(&path).is_some_and(|fact| !matches!(fact, FileFact::Dir { .. }));
            if is_alone && let Some((path, fact)) = self.after.files().find(|(at, _)| *at == path) {
                kinds.push(SourceKind::File);
                if !matches!(fact, FileFact::File { .. }) || !add(path.rsplit('/').next()?, path, fact) {
                    return None;
                }
                continue;
            }
            kinds.push(SourceKind::Folder);
            for (at, fact) in self.after.files() {
                let rel = match path.as_str() {
                    "" => Some(at),
                    folder => at.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')),
                };
                if let Some(rel) = rel
                    && !add(rel, at, fact)
                {
                    return None;
                }
            }
        }
        (items.len() == self.after.files().count()).then_some((kinds, items))
    }
}

/// A source that is one path of the context, cleaned; nothing where it is a pattern or leads elsewhere.
fn plain_source(written: &str) -> Option<String> {
    if written.contains(['*', '?', '[', '\\']) {
        return None;
    }
    let parts: Vec<&str> = written.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    (!parts.contains(&"..")).then(|| parts.join("/"))
}

impl<'a> Layout<'a> {
    /// The file of the context that a member is, if it is one.
    fn item(&self, member: &str) -> Option<&Item<'a>> {
        if let Some(only) = &self.only {
            return self.items.values().next().filter(|_| member == only);
        }
        self.items.get(member.strip_prefix(&self.prefix)?)
    }

    /// The name of a member in the archive whose digest the history has.
    fn name<'m>(&self, member: &'m str) -> &'m str {
        &member[self.prefix.len()..]
    }
}

/// One way through the layer: that of last time made again, or the new one.
struct Pass<'a> {
    patch: &'a Patch<'a>,
    layout: &'a Layout<'a>,
    new: bool,
}

/// Where the bytes of an archive go.
struct Archive<'a> {
    out: io::BufWriter<&'a mut (dyn Write + Send)>,
    digest: Sha256,
    size: u64,
}

impl Archive<'_> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.size += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}

impl Pass<'_> {
    fn run(&self, out: &mut (dyn Write + Send)) -> io::Result<Made> {
        let mut archive =
            Archive { out: io::BufWriter::with_capacity(256 * 1024, out), digest: Sha256::new(), size: 0 };
        let mut copied: Vec<Sha256> = self.layout.kinds.iter().map(|_| Sha256::new()).collect();
        let mut members = self.patch.layer.members()?;
        let mut buffer = vec![0; 128 * 1024];
        let mut fill = 0;
        loop {
            let mut member = match members.next_part()? {
                Part::Member(member) => member,
                Part::End(end) => {
                    archive.put(&[0; BLOCK][..fill])?;
                    archive.put(&end)?;
                    break;
                }
            };
            if process::interrupted() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            archive.put(&[0; BLOCK][..fill])?;
            fill = self.member(&mut member, &mut archive, &mut copied, &mut buffer)?;
        }
        archive.out.flush()?;
        let parts = self.layout.kinds.iter().zip(copied).map(|(kind, mut digest)| {
            digest.update([0; 2 * BLOCK]);
            format!("{}:{}", kind.name(), hex(&digest.finalize()))
        });
        let parts: Vec<String> = parts.collect();
        let copied = match parts.as_slice() {
            [one] => one.clone(),
            several => format!("multi:{}", hex(&Sha256::digest(several.join(",")))),
        };
        Ok(Made {
            diff_id: format!("sha256:{}", hex(&archive.digest.finalize())),
            size: archive.size,
            copied,
        })
    }

    /// Writes a member; tells how many bytes fill its last block.
    fn member(
        &self,
        member: &mut Member,
        archive: &mut Archive<'_>,
        copied: &mut [Sha256],
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        let Some(item) = self.layout.item(&member.path) else {
            archive.put(&member.headers)?;
            return Ok(0);
        };
        let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {what}", item.path));
        let path = self.patch.context.join(item.path);
        let FileFact::File { digest: expected, .. } = item.fact else {
            let meta = match item.fact {
                FileFact::Symlink { .. } => fs::symlink_metadata(&path)?,
                _ => fs::metadata(&path)?,
            };
            self.headers(member, item, &meta, 0, archive, copied)?;
            return Ok(0);
        };
        let of_context = File::open(&path)?;
        let meta = of_context.metadata()?;
        if !meta.is_file() || meta.nlink() != 1 {
            return Err(wrong("is no file of its own"));
        }
        let is_of_last_time = !self.new && self.patch.before.file(item.path) != Some(item.fact);
        let (mut file, size) = if is_of_last_time {
            (self.patch.layer.open(&member.path)?, member.size)
        } else {
            (of_context, meta.len())
        };
        self.headers(member, item, &meta, size, archive, copied)?;
        let mut content = self.new.then(blake3::Hasher::new);
        let mut left = size;
        loop {
            let read = file.read(buffer)?;
            if read == 0 {
                break;
            }
            left = left.checked_sub(read as u64).ok_or_else(|| wrong("has grown"))?;
            archive.put(&buffer[..read])?;
            copied[item.source].update(&buffer[..read]);
            if let Some(content) = &mut content {
                content.update(&buffer[..read]);
            }
        }
        if left > 0 || content.is_some_and(|content| Digest::from(content.finalize()) != *expected) {
            return Err(wrong("has changed meanwhile"));
        }
        let fill = padding(size);
        copied[item.source].update(&[0; BLOCK][..fill]);
        Ok(fill)
    }

    /// Writes a member's headers, those of the archive whose digest the history has among them.
    fn headers(
        &self,
        member: &mut Member,
        item: &Item<'_>,
        meta: &fs::Metadata,
        size: u64,
        archive: &mut Archive<'_>,
        copied: &mut [Sha256],
    ) -> io::Result<()> {
        let no_place = |what: &str| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{}: its {what} has no place in a header", item.path),
            )
        };
        self.stamp(member, meta, size).ok_or_else(|| no_place("time or size"))?;
        let name = self.layout.name(&member.path);
        let header = self.history_header(name, member, meta).ok_or_else(|| no_place("name"))?;
        copied[item.source].update(header);
        archive.put(&member.headers)
    }

    /// Writes time and size into a member's header, as the engine does; last time's stays as it is.
    fn stamp(&self, member: &mut Member, meta: &fs::Metadata, size: u64) -> Option<()> {
        if !self.new {
            return Some(());
        }
        // To the nearest second (Go's archive/tar).
        let seconds = u64::try_from(meta.mtime() + i64::from(meta.mtime_nsec() >= 500_000_000)).ok()?;
        let at = member.headers.len() - BLOCK;
        let header = &mut member.headers[at..];
        number(&mut header[124..136], size)?;
        number(&mut header[136..148], seconds)?;
        seal(header);
        Some(())
    }

    /// The header of a member in the archive whose digest the history has.
    fn history_header(&self, name: &str, member: &Member, meta: &fs::Metadata) -> Option<[u8; BLOCK]> {
        let rules = self.patch.digest;
        let own = member.header();
        let mut header = [0; BLOCK];
        let is_folder = own[156] == b'5';
        let name = if is_folder && rules.slash { format!("{name}/") } else { name.to_owned() };
        let (folder, name) = in_fields(&name)?;
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[345..345 + folder.len()].copy_from_slice(folder.as_bytes());
        // The storage writes the file's type with its mode; then owner and group, size, kind and target of a link.
        number(&mut header[100..108], octal(&own[100..108])? & 0o7777)?;
        header[108..124].copy_from_slice(&own[108..124]);
        header[124..136].copy_from_slice(&own[124..136]);
        header[136..148].copy_from_slice(b"00000000000\0");
        header[156..257].copy_from_slice(&own[156..257]);
        header[257..265].copy_from_slice(b"ustar\x0000");
        // Without privileges what is one's own is root's in the engine's eyes.
        let is_root = |id: u32, own: u32| id == 0 || id == own;
        let (user, group) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        if rules.user_name && is_root(meta.uid(), user) {
            header[265..269].copy_from_slice(b"root");
        }
        if rules.group_name && is_root(meta.gid(), group) {
            header[297..301].copy_from_slice(b"root");
        }
        header[329..337].copy_from_slice(b"0000000\0");
        header[337..345].copy_from_slice(b"0000000\0");
        seal(&mut header);
        Some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::plain_source;

    #[test]
    fn a_source_is_a_path_or_is_left_to_the_engine() {
        for (written, expected) in [
            (".", Some("")),
            ("/", Some("")),
            ("./src/", Some("src")),
            ("/a//b/./c", Some("a/b/c")),
            ("a*", None),
            ("a?", None),
            ("[ab]", None),
            ("a\\b", None),
            ("a/../b", None),
        ] {
            assert_eq!(plain_source(written).as_deref(), expected, "{written}");
        }
    }
}
