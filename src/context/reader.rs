//! Answers what a COPY, an ADD or a bind mount takes from the context.
//!
//! `resolve` says which paths a source means, `walk` collects what is below, `look` reads; the order in which
//! buildah's `Add` asks the ignore rules is here.

use std::collections::BTreeSet;
use std::path::Path;

use super::fs::{ContextFs, Kind};
use super::look::{Looker, Place};
use super::names::{clean, escape, lossy, split};
use super::resolve::{Target, ancestors, before_pivot, below_context, expand, follow, is_remote_source};
use super::tree::Run;
use super::walk::{Names, Walk};
use super::{ContextError, CopiedTree, FileFact, FileIndex, IgnoreRules};

/// The instruction that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyKind {
    /// `COPY`.
    Copy,
    /// `ADD`: sources that [`is_remote_source`] are passed over; a local archive is a file, its bytes decide.
    Add,
}

/// One COPY or ADD from the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyRequest {
    /// Which of the two.
    pub kind: CopyKind,
    /// The sources, expanded, without heredocs.
    pub sources: Vec<String>,
    /// The values of `--exclude`.
    pub exclude: Vec<String>,
    /// `--parents`.
    pub parents: bool,
    /// Whether `--chmod` takes the place of the modes of files and folders; what is in an archive keeps its own, and the
    /// archive's goes nowhere (1.28, 1.39, 1.43).
    pub modes_given: bool,
}

/// What an instruction takes of a context folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextPart {
    /// What COPY and ADD take.
    Copied(CopyRequest),
    /// What a bind mount shows.
    Mounted(String),
}

/// How files become facts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Keep only what git keeps of a mode: 0755 for directories and for files their owner may execute, else 0644.
    pub ignore_file_mode: bool,
}

/// A context folder under its ignore rules. Each file is looked at once in the reader's life.
#[derive(Debug)]
pub struct ContextReader {
    context: ContextFs,
    rules: IgnoreRules,
    looker: Looker,
}

impl ContextReader {
    /// Opens the context; nothing is read yet.
    pub fn new(
        root: &Path,
        rules: IgnoreRules,
        index: Option<FileIndex>,
        options: ReadOptions,
    ) -> Result<Self, ContextError> {
        let context = ContextFs::open(root)?;
        Ok(Self { context, rules, looker: Looker::new(index, options.ignore_file_mode) })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        self.context.root()
    }

    /// The same folder under the same rules, to be looked at afresh.
    ///
    /// # Errors
    /// When the folder is gone.
    pub fn again(&self) -> Result<Self, ContextError> {
        let context = ContextFs::open(self.context.root())?;
        Ok(Self { context, rules: self.rules.clone(), looker: self.looker.again() })
    }

    /// Whether a part of the folder, looked at afresh, still has the digest that [`ContextReader::digest`] told.
    pub fn is_as_read(&self, part: &ContextPart, digest: Option<&str>) -> bool {
        let now = self.again().and_then(|reader| reader.digest(part));
        self.rules.is_as_read() && now.is_ok_and(|now| now.as_deref() == digest)
    }

    /// The files of a part of the folder.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub fn part(&self, part: &ContextPart) -> Result<CopiedTree, ContextError> {
        match part {
            ContextPart::Copied(request) => self.copied(request),
            ContextPart::Mounted(source) => self.tree(source),
        }
    }

    /// The digest of a part of the folder; nothing where it is not there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn digest(&self, part: &ContextPart) -> Result<Option<String>, ContextError> {
        match self.part(part) {
            Ok(tree) => Ok(Some(tree.digest().to_hex())),
            Err(ContextError::NoMatch { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The files that the instruction takes from the context, by their paths there.
    ///
    /// Together with the text of the sources this decides what arrives in the image. The folder that a source names
    /// is not listed itself: its mode and attributes go nowhere (buildah 1.28.2 to 1.43.2: `/x` of `COPY a /x` has
    /// 0755), except with `--parents`. Setuid and setgid are in the facts though these engines strip them here.
    pub fn copied(&self, request: &CopyRequest) -> Result<CopiedTree, ContextError> {
        let combined;
        let rules = if request.exclude.is_empty() {
            &self.rules
        } else {
            combined = self.rules.with_excludes(&request.exclude);
            &combined
        };
        rules.check()?;
        let local = |source: &&String| request.kind == CopyKind::Copy || !is_remote_source(source);
        let mut matched = Vec::new();
        for source in request.sources.iter().filter(local) {
            let items = expand(&self.context, &below_context(self.context.root(), source))?;
            matched.push((source, items));
        }
        // A wildcard may match nothing as long as another source matches: `COPY package.json yarn.lock* /`.
        let none_matched = matched.iter().all(|(_, items)| items.is_empty());
        let wildcard = |source: &str| source.contains(['*', '?', '[']);
        let required = |(source, items): &&(&String, BTreeSet<_>)| {
            items.is_empty() && (none_matched || !wildcard(source))
        };
        if let Some((source, _)) = matched.iter().find(required) {
            return Err(ContextError::NoMatch { wanted: source.to_string() });
        }
        let mut found = Vec::new();
        for (source, items) in matched.iter().filter(|(_, items)| !items.is_empty()) {
            self.copy_source(source, items, rules, request.parents, &mut found)?;
        }
        if request.modes_given && !request.parents {
            found.iter_mut().for_each(Run::leave_out_modes);
        }
        Ok(CopiedTree::of(found))
    }

    fn copy_source(
        &self,
        source: &str,
        items: &BTreeSet<Vec<u8>>,
        rules: &IgnoreRules,
        parents: bool,
        found: &mut Vec<Run>,
    ) -> Result<(), ContextError> {
        let mut anything = false;
        for item in items {
            let shown = lossy(item);
            if rules.excluded(&shown) {
                let real = self.context.resolve(item)?;
                let is_dir =
                    real.map(|real| self.context.kind(&real)).transpose()?.flatten() == Some(Kind::Dir);
                if !is_dir || !rules.copied_anyway(&shown) {
                    continue;
                }
            } else {
                anything = true;
            }
            anything |= self.copy_item(item, rules, parents, found)? > 0;
            if parents {
                self.copy_parents(item, &before_pivot(source), found)?;
            }
        }
        if anything { Ok(()) } else { Err(self.all_excluded(source, items.len())) }
    }

    /// Adds what one matched path stands for and says how much that is.
    fn copy_item(
        &self,
        item: &[u8],
        rules: &IgnoreRules,
        parents: bool,
        found: &mut Vec<Run>,
    ) -> Result<usize, ContextError> {
        let target = follow(&self.context, item)?;
        if target.kind == Kind::Dir {
            let listed = if parents { &target.named } else { item };
            let names = Names {
                real: target.real(),
                named: target.named.clone(),
                listed: escape(listed).into_owned(),
            };
            let walk = Walk { context: &self.context, looker: &self.looker, rules: Some(rules) };
            let mut below = walk.run(names)?;
            let count = below.iter().map(Run::len).sum();
            found.append(&mut below);
            return Ok(count);
        }
        if rules.excluded(&lossy(&target.named)) {
            // A link that is left in to a file that is left out: "copied no items".
            return Err(self.all_excluded(&escape(item), 1));
        }
        if target.kind == Kind::Socket {
            return Err(ContextError::Socket { path: escape(item).into_owned() });
        }
        let fact = self.look(&target)?;
        found.push(Run::of(&escape(item), fact));
        Ok(1)
    }

    /// The folders that `--parents` makes on the way to `item`; for a folder, the item itself.
    fn copy_parents(
        &self,
        item: &[u8],
        skipped: &[Vec<u8>],
        found: &mut Vec<Run>,
    ) -> Result<(), ContextError> {
        for parent in ancestors(item).chain([item.to_vec()]) {
            let target = follow(&self.context, &parent)?;
            // A link to a folder is a folder on the way, but as the item itself it is not made.
            let made = parent != item || target.named == item;
            if target.kind == Kind::Dir && made && !parent.is_empty() && !skipped.contains(&parent) {
                let (listing, _) = self.context.list(&target.real())?;
                found.push(Run::of(&escape(&parent), self.looker.directory(&listing)));
            }
        }
        Ok(())
    }

    /// The whole tree at `source` as a bind mount shows it, the top directory included.
    ///
    /// The ignore file does not count: buildah 1.28.2 and 1.43.2 mount the folder as it is, later ones may hide what
    /// is ignored, and then the key knows too much. A source that leads out of the context is an error: some engines
    /// follow it on the host, and that cannot be keyed.
    pub fn tree(&self, source: &str) -> Result<CopiedTree, ContextError> {
        let outside = || ContextError::Link { path: source.to_owned(), problem: "leads out of the context" };
        let cleaned = clean(source.trim_start_matches('/').as_bytes());
        if cleaned == b".." || cleaned.starts_with(b"../") {
            return Err(outside());
        }
        let named = if cleaned == b"." { Vec::new() } else { cleaned };
        let real = self.context.resolve(&named)?;
        let real = real.ok_or_else(|| ContextError::NoMatch { wanted: source.to_owned() })?;
        if self.context.leaves(&named)? {
            return Err(outside());
        }
        let found = if self.context.kind(&real)? == Some(Kind::Dir) {
            let walk = Walk { context: &self.context, looker: &self.looker, rules: None };
            walk.run(Names { real, listed: escape(&named).into_owned(), named })?
        } else {
            let fact = self.look(&follow(&self.context, &real)?)?;
            vec![Run::of(&escape(&named), fact)]
        };
        Ok(CopiedTree::of(found))
    }

    fn look(&self, target: &Target) -> Result<FileFact, ContextError> {
        let gone = || ContextError::NoMatch { wanted: escape(&target.named).into_owned() };
        let (listing, _) = self.context.list(&target.real_dir)?;
        let name = split(&target.name).1;
        let entry = listing.find(name).ok_or_else(gone)?;
        let place = Place::new(&target.real_dir, None);
        self.looker.look(&self.context, &place, name, entry, &mut Vec::new())?.ok_or_else(gone)
    }

    fn all_excluded(&self, source: &str, filtered: usize) -> ContextError {
        let ignore_file = self.rules.path().map(Path::to_owned);
        ContextError::AllExcluded { wanted: source.to_owned(), filtered, ignore_file }
    }

    /// The rules it was made with.
    pub fn rules(&self) -> &IgnoreRules {
        &self.rules
    }

    /// Files that changed or vanished while they were read: what was found of them may be neither the old nor the
    /// new state, so a step that takes them should not be stored under a key made of it.
    pub fn changed_while_read(&self) -> Vec<String> {
        self.looker.changed()
    }

    /// How many files had to be read so far; none in an unchanged context with its index.
    pub fn files_read(&self) -> usize {
        self.looker.files_read()
    }

    /// The index of its files.
    pub fn index(&self) -> Option<&FileIndex> {
        self.looker.index()
    }
}
