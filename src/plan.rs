//! Decides for every step whether its result is there, and if not, why not.
//!
//! Pure: stages that were prepared and what is known of earlier builds go in, verdicts come out. Keys by
//! definition are known for all steps before anything runs. Where a step takes bytes from a stage that runs
//! again, its verdict stays open until `execute` has those bytes and asks [`content_inputs`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;

use crate::engine::CopiedRequest;
use crate::event::StepId;
use crate::graph::Origin;
use crate::host;
use crate::image::ImageId;
use crate::key::{Change, Content, Parent, StepInputs, StepKey, changes, title_of};
use crate::order::{Order, Unsettled};
use crate::prepare::{FolderRead, Prepared, PreparedStage, PreparedStep};
use crate::store::{Edition, Entry};
use crate::verdict::{FoundBy, Reason, Verdict};

/// What is known of earlier builds.
pub trait Known {
    /// The step of that key.
    fn entry(&self, key: &StepKey) -> Option<Entry>;
    /// Whether the storage has the image, or all that it takes to have it again without running anything.
    fn has_image(&self, id: &ImageId) -> bool;
    /// The step that stood here last time; behind the last step stands the tail.
    fn nearest(&self, stage: &str, index: usize, step: usize) -> Option<Entry>;
    /// Inputs in the form in which those of entries are.
    fn as_kept(&self, inputs: &StepInputs) -> StepInputs;
    /// Which files two listings differ in.
    fn files(&self, old: &str, new: &str) -> Option<String>;
    /// The digest of bytes in an image.
    fn copied(&self, request: &CopiedRequest) -> Option<String>;
    /// The digest of those files of what was read that lie in these folders; nothing where there are none.
    fn part_of(&self, read: &FolderRead, folders: &BTreeSet<PathBuf>) -> Option<String>;
}

/// Which results count.
#[derive(Debug, Clone)]
pub struct Rules {
    /// `--no-cache`.
    pub no_cache: bool,
    /// `--no-cache-filter`: stages by name or number.
    pub no_cache_stages: BTreeSet<String>,
    /// `--cache-ttl`.
    pub time_to_live: Option<std::time::Duration>,
    /// The time that ages are counted from.
    pub now: Timestamp,
    /// What tells steps apart that cannot be keyed: the build's UUID.
    pub nonce: String,
    /// The build plans again, because it has lost an image or because steps have changed what others read: what it made
    /// itself counts, whatever it was told of the cache.
    pub goes_on: bool,
    /// How many steps of each stage are over; one more where the stage is.
    pub over: BTreeMap<usize, usize>,
}

impl Rules {
    fn over(&self, stage: usize) -> usize {
        self.over.get(&stage).copied().unwrap_or_default()
    }
}

/// A step with its key and verdict.
#[derive(Debug, Clone)]
pub struct StepPlan {
    /// What it hangs on, by definition.
    pub inputs: StepInputs,
    /// The key of that.
    pub key: StepKey,
    /// The decision.
    pub verdict: Verdict,
    /// The result, for a hit.
    pub found: Option<Entry>,
    /// For a step that runs because contents of files of the context changed, and for nothing else: its result of last time.
    pub alike: Option<Entry>,
    /// Whether a result of that key was known, usable or not: what it leaves when it runs is another edition then.
    pub known: bool,
    /// How long the step took when it last ran here, in milliseconds.
    pub last_duration_ms: Option<u64>,
}

/// A stage with its verdicts.
#[derive(Debug, Clone)]
pub struct StagePlan {
    /// Its steps.
    pub steps: Vec<StepPlan>,
    /// The tail's inputs.
    pub tail_inputs: StepInputs,
    /// The stage's key: that of its tail, which stands on its last step.
    pub key: StepKey,
    /// What another stage's COPY --from hangs on: the last step with a layer, or the base.
    pub files: Content,
    /// The image that holds those files, where it is known already.
    pub files_image: Option<ImageId>,
    /// The stage's key by content, where it is known already.
    pub content_key: Option<StepKey>,
    /// The edition of those files, where they are there.
    pub edition: Edition,
}

impl StagePlan {
    /// Whether nothing has to run.
    pub fn is_cached(&self) -> bool {
        self.steps.iter().all(|step| step.verdict.is_hit())
    }

    /// The first reason of the first step that runs.
    pub fn first_cause(&self) -> Option<&Reason> {
        self.steps.iter().find_map(|step| step.verdict.reasons().first())
    }
}

/// The verdicts of a build, by stage.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The stages that are built, without those of which nothing can be told yet.
    pub stages: BTreeMap<usize, StagePlan>,
    /// What waits for what, because of what steps write to this machine.
    pub order: Order,
    /// For steps that may write to this machine, what is there now of what those behind them read of that.
    pub left: BTreeMap<StepId, Left>,
}

/// What a step has left on this machine for the steps behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// The digest of what they read of it, one after the other.
    pub digest: String,
    /// The first instruction that reads some of it.
    pub taker: String,
}

impl Plan {
    /// Decides.
    pub fn new(prepared: &Prepared, known: &dyn Known, rules: &Rules) -> Self {
        let mut plan = Self { left: Self::left(prepared, known), ..Self::default() };
        let last = prepared.stages.keys().chain(prepared.unknown.keys()).max().map_or(0, |last| last + 1);
        for index in 0..last {
            if prepared.unknown.contains_key(&index) {
                plan.order.add_unknown(index);
            }
            let Some(stage) = prepared.stages.get(&index) else { continue };
            let over = rules.over(index);
            let unsettled = plan.order.unsettled(stage, over);
            let planner = Planner { plan: &plan, prepared: &prepared.stages, known, rules, stage, unsettled };
            let decided = planner.stage();
            plan.order.add(stage, over, &|n| decided.steps[n].verdict.clone());
            plan.stages.insert(index, decided);
        }
        plan
    }

    /// What is there now of what steps may write to this machine, for those of them behind which something reads it.
    pub fn left(prepared: &Prepared, known: &dyn Known) -> BTreeMap<StepId, Left> {
        let steps = prepared.stages.iter().flat_map(|(&index, stage)| {
            stage.steps.iter().enumerate().map(move |(n, step)| ((index, n), step))
        });
        let writers = steps.filter(|(_, step)| !step.host.writes.is_empty());
        writers
            .filter_map(|(id, step)| Some((id, left_by(id, &step.host.writes, prepared, known)?)))
            .collect()
    }

    /// Whether what a step with this result has left on this machine for others is there.
    pub fn is_left(&self, step: StepId, entry: &Entry) -> bool {
        self.left.get(&step).is_none_or(|left| entry.left.contains(&left.digest))
    }

    /// How many steps run, at most.
    pub fn misses(&self) -> usize {
        self.stages.values().flat_map(|s| &s.steps).filter(|s| !s.verdict.is_hit()).count()
    }
}

fn left_by(
    writer: StepId,
    folders: &BTreeSet<PathBuf>,
    prepared: &Prepared,
    known: &dyn Known,
) -> Option<Left> {
    let (mut read, mut taker): (Vec<String>, Option<String>) = (Vec::new(), None);
    let mut take = |what: String, title: &str| {
        read.push(what);
        taker.get_or_insert_with(|| title.to_owned());
    };
    for (&index, stage) in prepared.stages.range(writer.0..) {
        if index > writer.0 && host::overlap(folders, &stage.base_reads) {
            let image = stage.base.as_ref().map(|base| base.image.id.to_string());
            take(format!("base {image:?}"), &title_of(&stage.stage.from.original));
        }
        for (n, step) in stage.steps.iter().enumerate() {
            if (index, n) <= writer || !host::overlap(folders, &step.host.reads) {
                continue;
            }
            for part in &step.reads {
                if let Some(digest) = known.part_of(part, folders) {
                    take(format!("files {:?} {:?} {digest}", part.named, part.part), &step.title);
                }
            }
            for foreign in &step.foreign {
                if matches!(&foreign.origin, Origin::Image(name) if host::image_path(name).is_some()) {
                    take(format!("image {:?}", step.inputs.sources[foreign.source].content), &step.title);
                }
            }
            if let Some(unread) = &step.unread {
                take("nothing".to_owned(), &unread.title);
            }
        }
    }
    for (index, unknown) in prepared.unknown.range(writer.0 + 1..) {
        if host::overlap(folders, &unknown.reads) {
            take(format!("unknown {index}"), "FROM");
        }
    }
    let digest = blake3::hash(read.join("\n").as_bytes()).to_hex()[..32].to_owned();
    taker.map(|taker| Left { digest, taker })
}

struct Planner<'a> {
    plan: &'a Plan,
    prepared: &'a BTreeMap<usize, PreparedStage>,
    known: &'a dyn Known,
    rules: &'a Rules,
    stage: &'a PreparedStage,
    /// Its steps to which a step of another stage may write.
    unsettled: BTreeMap<usize, Unsettled>,
}

impl Planner<'_> {
    fn stage(&self) -> StagePlan {
        let stage = self.stage;
        let (mut parent, content_parent) = self.parents();
        let mut definitions = Vec::new();
        for step in &stage.steps {
            let inputs = self.definition(step, parent);
            let key = inputs.key();
            parent = Parent::Step(key.clone());
            definitions.push((inputs, key));
        }
        let mut tail_inputs = stage.tail_inputs.clone();
        tail_inputs.parent = parent;
        let key = tail_inputs.key();
        let files = match definitions.last() {
            Some((_, key)) => Content::Stage(key.clone()),
            None => self.base_files(),
        };
        let (steps, top) = self.verdicts(definitions, content_parent);
        let content_key = top.content.map(|parent| {
            let mut inputs = tail_inputs.clone();
            inputs.parent = parent;
            inputs.key()
        });
        StagePlan {
            steps,
            tail_inputs,
            key,
            files,
            files_image: top.image,
            content_key,
            edition: top.edition,
        }
    }

    /// What the first step stands on: by definition, and by content where that is known.
    fn parents(&self) -> (Parent, Option<Parent>) {
        match (&self.stage.stage.base, &self.stage.base) {
            (Origin::Stage(index), _) => {
                let below = &self.plan.stages[index];
                (Parent::Step(below.key.clone()), below.content_key.clone().map(Parent::Step))
            }
            (_, Some(base)) => {
                let parent = Parent::Image(base.image.id.clone());
                (parent.clone(), Some(parent))
            }
            (_, None) => (Parent::Scratch, Some(Parent::Scratch)),
        }
    }

    fn base_files(&self) -> Content {
        match (&self.stage.stage.base, &self.stage.base) {
            (Origin::Stage(index), _) => self.plan.stages[index].files.clone(),
            (_, Some(base)) => Content::Image(base.image.id.clone()),
            (_, None) => Content::Bytes("scratch".into()),
        }
    }

    fn base_image(&self) -> Option<ImageId> {
        match (&self.stage.stage.base, &self.stage.base) {
            (Origin::Stage(index), _) => self.plan.stages[index].files_image.clone(),
            (_, base) => base.as_ref().map(|base| base.image.id.clone()),
        }
    }

    fn base_edition(&self) -> Edition {
        match self.stage.stage.base {
            Origin::Stage(index) => self.plan.stages[&index].edition.clone(),
            _ => Edition::FIRST,
        }
    }

    /// The editions that a step would be made of now.
    fn editions(&self, step: &PreparedStep, below: Edition) -> Vec<Edition> {
        editions(step, below, &|index| self.plan.stages[&index].edition.clone())
    }

    fn definition(&self, step: &PreparedStep, parent: Parent) -> StepInputs {
        let mut inputs = step.inputs.clone();
        inputs.parent = parent;
        for foreign in &step.foreign {
            if let Origin::Stage(index) = foreign.origin {
                inputs.sources[foreign.source].content = self.plan.stages[&index].files.clone();
            }
        }
        if step.always.is_some() || step.unread.as_ref().is_some_and(|unread| unread.problem.is_some()) {
            inputs.flags.insert("build".into(), vec![self.rules.nonce.clone()]);
        }
        inputs
    }

    /// Whether what a step with this result has left on this machine for others is there.
    fn is_left(&self, n: usize, entry: Option<&Entry>) -> bool {
        let id = (self.stage.stage.index, n);
        match entry {
            Some(entry) => self.plan.is_left(id, entry),
            None => !self.plan.left.contains_key(&id),
        }
    }

    /// The first step that is not over and of which it cannot be said that it need not run for what it writes.
    fn wanted(&self, entries: &[Option<Entry>]) -> usize {
        let over = self.rules.over(self.stage.stage.index);
        let mut steps = entries.iter().enumerate().skip(over);
        steps.find(|(n, entry)| !self.is_left(*n, entry.as_ref())).map_or(usize::MAX, |(n, _)| n)
    }

    /// Why a step that may be found runs, or is told later: because of what steps write to this machine.
    fn by_order(&self, n: usize, entry: Option<&Entry>) -> Option<Reason> {
        let stage = &self.stage.stage;
        let over = self.rules.over(stage.index) > n;
        if entry.is_some() && !over && !self.is_left(n, entry) {
            let taker = self.plan.left[&(stage.index, n)].taker.clone();
            return Some(Reason::Wanted { taker });
        }
        self.unsettled.get(&n).filter(|unsettled| !unsettled.what_it_wrote || entry.is_some()).map(
            |unsettled| {
                let (index, step) = unsettled.writer;
                let stage = &self.prepared[&index];
                let (first, _) = stage.steps[step].lines;
                Reason::MayBeWritten { by: format!("stage {}, line {first}", stage.stage.name) }
            },
        )
    }

    /// The first step that cannot be told before a step of another stage is over.
    fn settled(&self, entries: &[Option<Entry>]) -> usize {
        let known = |n: usize| entries.get(n).is_some_and(Option::is_some);
        let mut unsettled = self.unsettled.iter();
        let first = unsettled.find(|(n, unsettled)| !unsettled.what_it_wrote || known(**n));
        first.map_or(usize::MAX, |(n, _)| *n)
    }

    fn bypass(&self) -> Option<Reason> {
        let stage = &self.stage.stage;
        if self.rules.no_cache {
            return Some(Reason::NoCache);
        }
        let named =
            |name: &str| self.rules.no_cache_stages.iter().any(|wanted| wanted.eq_ignore_ascii_case(name));
        (named(&stage.name) || named(&stage.position.to_string())).then_some(Reason::NoCacheFilter)
    }

    fn usable(&self, entry: &Entry) -> Result<(), Reason> {
        if !self.known.has_image(&entry.image) {
            return Err(Reason::ImageGone { image: entry.image.clone() });
        }
        if let Some(limit) = self.rules.time_to_live {
            let created: Option<Timestamp> = entry.created.parse().ok();
            let age = created.map(|created| self.rules.now.duration_since(created));
            let old = age.is_none_or(|age| age > jiff::SignedDuration::try_from(limit).unwrap_or_default());
            if old {
                let age = age.map_or("of unknown age".into(), |age| format!("{age:#}"));
                return Err(Reason::Expired { age });
            }
        }
        Ok(())
    }

    /// Whether the stage stands on one of which a step runs for sure: then it does, too.
    fn base_runs(&self) -> bool {
        match self.stage.stage.base {
            Origin::Stage(index) => {
                let steps = &self.plan.stages[&index].steps;
                steps.iter().any(|step| matches!(step.verdict, Verdict::Miss { .. }))
            }
            _ => false,
        }
    }

    /// How many steps can be found by definition: a stage that runs again under an old key (`--no-cache-filter`, an image
    /// that is gone) can leave other bytes, so what takes them, and all behind it, is found by content alone.
    fn trusted(&self) -> usize {
        let cached = |origin: &Origin| match origin {
            Origin::Stage(index) => self.plan.stages[index].is_cached(),
            _ => true,
        };
        if !cached(&self.stage.stage.base) {
            return 0;
        }
        let steps = &self.stage.steps;
        let taken = steps.iter().position(|step| step.foreign.iter().any(|f| !cached(&f.origin)));
        taken.unwrap_or(steps.len())
    }

    /// How many steps' results are of the editions that are current, and within `--cache-ttl`: a step that was run again
    /// makes what was made of its earlier result a thing of the past.
    fn current(&self, entries: &[Option<Entry>], trusted: usize) -> usize {
        let mut below = Some(self.base_edition());
        for (n, entry) in entries[..trusted].iter().enumerate() {
            let Some(entry) = entry else {
                below = None;
                continue;
            };
            let own = || entry.made_of.first().cloned().unwrap_or_default();
            let editions = self.editions(&self.stage.steps[n], below.unwrap_or_else(own));
            if !entry.is_made_of(&editions) || matches!(self.usable(entry), Err(Reason::Expired { .. })) {
                return n;
            }
            below = Some(entry.edition.clone());
        }
        trusted
    }

    fn verdicts(
        &self,
        definitions: Vec<(StepInputs, StepKey)>,
        content_parent: Option<Parent>,
    ) -> (Vec<StepPlan>, Top) {
        let bypass = self.bypass();
        let entries: Vec<Option<Entry>> = definitions.iter().map(|(_, key)| self.known.entry(key)).collect();
        let trusted = self.trusted().min(self.settled(&entries));
        let current = self.current(&entries, trusted).min(self.wanted(&entries));
        let counts = |entry: &Entry| {
            let own = self.rules.goes_on && entry.build == self.rules.nonce;
            let usable = own && self.known.has_image(&entry.image);
            usable || (bypass.is_none() && self.usable(entry).is_ok())
        };
        // The layers below an image are there when the image is: the deepest hit covers all before it.
        let covered = entries[..current].iter().rposition(|entry| entry.as_ref().is_some_and(counts));
        let covered = covered.map_or(0, |n| n + 1);
        let mut steps: Vec<StepPlan> = Vec::new();
        let mut top = Top { image: self.base_image(), content: content_parent, edition: self.base_edition() };
        for (n, ((inputs, key), entry)) in definitions.into_iter().zip(entries).enumerate() {
            let step = &self.stage.steps[n];
            let known = entry.is_some();
            let last_duration_ms = entry.as_ref().map(|entry| entry.duration_ms);
            if n < covered {
                let by_content =
                    entry.as_ref().and_then(|entry| entry.by_content.clone()).unwrap_or_else(|| key.clone());
                top = Top {
                    image: entry.as_ref().map(|entry| entry.image.clone()),
                    content: Some(Parent::Step(by_content)),
                    edition: entry.as_ref().map_or(top.edition, |entry| entry.edition.clone()),
                };
                let verdict = Verdict::Hit { by: FoundBy::Definition };
                steps.push(StepPlan {
                    inputs,
                    key,
                    verdict,
                    found: entry,
                    alike: None,
                    known,
                    last_duration_ms,
                });
                continue;
            }
            let outdated = || self.outdated(n, entry.as_ref(), &top.edition);
            let by_order = self.by_order(n, entry.as_ref());
            let is_wanted = matches!(by_order, Some(Reason::Wanted { .. }));
            let reasons = match bypass.clone().or(by_order) {
                Some(reason) => vec![reason],
                None => outdated()
                    .filter(|_| n == current && n == covered && n < trusted)
                    .unwrap_or_else(|| self.reasons(n, step, &inputs, entry.as_ref(), n >= current)),
            };
            let before_runs = steps.last().is_some_and(|s| matches!(s.verdict, Verdict::Miss { .. }));
            let before_is_there = steps.last().is_none_or(|s| s.verdict.is_hit());
            let by_content = self.by_content(step, &inputs, top.content.as_ref());
            let content_key = by_content.as_ref().map(StepInputs::key);
            let found = match &bypass {
                Some(_) => None,
                // What stands on a stage that runs again is told when that stage is there.
                None if n >= trusted || !before_is_there => None,
                None => content_key
                    .as_ref()
                    .filter(|content| **content != key)
                    .and_then(|content| self.known.entry(content))
                    .filter(|entry| entry.stands_on(&top.edition) && self.usable(entry).is_ok())
                    .filter(|entry| self.is_left(n, Some(entry))),
            };
            let (verdict, last) = match &found {
                Some(entry) => {
                    top.image = Some(entry.image.clone());
                    top.edition = entry.edition.clone();
                    (Verdict::Hit { by: FoundBy::Content }, Some(entry.duration_ms))
                }
                None => {
                    top.image = None;
                    let open = bypass.is_none()
                        && !is_wanted
                        && (content_key.is_none() || n >= trusted)
                        && !before_runs
                        && !self.base_runs()
                        && step.always.is_none();
                    let last = last_duration_ms.or_else(|| self.last_duration(n));
                    let verdict = if open { Verdict::Open { reasons } } else { Verdict::Miss { reasons } };
                    (verdict, last)
                }
            };
            top.content = content_key.map(Parent::Step);
            let alike = self.alike(n, &inputs, &verdict);
            steps.push(StepPlan { inputs, key, verdict, found, alike, known, last_duration_ms: last });
        }
        (steps, top)
    }

    /// Why a result is not of the editions that are current.
    fn outdated(&self, n: usize, entry: Option<&Entry>, below: &Edition) -> Option<Vec<Reason>> {
        let entry = entry.filter(|entry| self.usable(entry).is_ok())?;
        let step = &self.stage.steps[n];
        let now = self.editions(step, below.clone());
        let of = |at: usize| match (
            at.checked_sub(1).map(|at| &step.foreign[at].origin),
            &self.stage.stage.base,
        ) {
            (Some(Origin::Stage(index)), _) => format!("stage {}", self.prepared[index].stage.name),
            (None, Origin::Stage(index)) if n == 0 => format!("stage {}", self.prepared[index].stage.name),
            _ => "the step before it".to_owned(),
        };
        let was = |at: usize| entry.made_of.get(at).unwrap_or(&Edition::FIRST);
        let reasons: Vec<Reason> = (0..now.len())
            .filter(|at| was(*at) != &now[*at])
            .map(|at| Reason::Outdated { of: of(at) })
            .collect();
        (!reasons.is_empty()).then_some(reasons)
    }

    /// The result of last time of a step that runs because files of the context changed, and for nothing else.
    fn alike(&self, n: usize, inputs: &StepInputs, verdict: &Verdict) -> Option<Entry> {
        let of_files = |reason: &Reason| matches!(reason, Reason::Changed(Change::Files { .. }));
        let Verdict::Miss { reasons } = verdict else { return None };
        if reasons.is_empty() || !reasons.iter().all(of_files) {
            return None;
        }
        let inputs = self.known.as_kept(inputs);
        let entry = self.last_time(n).filter(|entry| entry.inputs.is_alike_but_for_files(&inputs))?;
        self.usable(&entry).is_ok().then_some(entry)
    }

    fn last_duration(&self, n: usize) -> Option<u64> {
        self.last_time(n).map(|entry| entry.duration_ms)
    }

    /// The step that stood here last time.
    fn last_time(&self, n: usize) -> Option<Entry> {
        let stage = &self.stage.stage;
        self.known.nearest(&stage.name, stage.index, n)
    }

    /// The step's inputs by content, where all bytes it takes are there already.
    fn by_content(
        &self,
        step: &PreparedStep,
        inputs: &StepInputs,
        parent: Option<&Parent>,
    ) -> Option<StepInputs> {
        let mut bytes = BTreeMap::new();
        for foreign in &step.foreign {
            let image = match &foreign.origin {
                Origin::Stage(index) => self.plan.stages[index].files_image.clone()?,
                _ => match &inputs.sources[foreign.source].content {
                    Content::Image(id) => id.clone(),
                    _ => continue,
                },
            };
            let request = CopiedRequest { image, sources: foreign.paths.clone() };
            match self.known.copied(&request) {
                Some(digest) => drop(bytes.insert(foreign.source, digest)),
                // Only the stage's tip may have been kept: `execute` reads that.
                None if matches!(foreign.origin, Origin::Stage(_)) => return None,
                None => {}
            }
        }
        Some(content_inputs(inputs, parent?, &bytes))
    }

    fn reasons(
        &self,
        n: usize,
        step: &PreparedStep,
        inputs: &StepInputs,
        entry: Option<&Entry>,
        tainted: bool,
    ) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if let Some(why) = &step.always {
            reasons.push(Reason::Always { why: why.clone() });
        }
        if let Some(Err(reason)) = entry.map(|entry| self.usable(entry)) {
            reasons.push(reason);
            return reasons;
        }
        let stage = &self.stage.stage;
        if tainted && entry.is_some() {
            let below = match &stage.base {
                Origin::Stage(index) if n == 0 => Some(*index),
                _ => None,
            };
            let sources = step.foreign.iter().filter_map(|f| match f.origin {
                Origin::Stage(index) => Some(index),
                _ => None,
            });
            reasons.extend(below.into_iter().chain(sources).filter_map(|index| self.stage_runs(index)));
            if reasons.is_empty() {
                reasons.push(Reason::StepBefore);
            }
            return reasons;
        }
        let Some(old) = self.known.nearest(&stage.name, stage.index, n) else {
            if reasons.is_empty() {
                reasons.push(Reason::FirstBuild);
            }
            return reasons;
        };
        for change in changes(&old.inputs, &self.known.as_kept(inputs), &|a, b| self.known.files(a, b)) {
            match change {
                Change::Parent => reasons.push(self.before(n)),
                Change::Bytes { from } => reasons.push(self.stage_reason(&from)),
                Change::Flag { name, .. } if name == "build" => {}
                other => reasons.push(Reason::Changed(other)),
            }
        }
        if reasons.is_empty() {
            reasons.push(Reason::FirstBuild);
        }
        reasons
    }

    /// What a step stands on runs: the step before it, or for the first the stage below.
    fn before(&self, n: usize) -> Reason {
        let below = match self.stage.stage.base {
            Origin::Stage(index) if n == 0 => self.stage_runs(index),
            _ => None,
        };
        below.unwrap_or(Reason::StepBefore)
    }

    /// A stage runs, with the first cause: in it, or where what it stands on and copies from leads to.
    fn stage_runs(&self, index: usize) -> Option<Reason> {
        let cause = match self.plan.stages.get(&index)?.first_cause()? {
            Reason::StageRuns { cause, .. } if cause.starts_with("stage ") => cause.clone(),
            Reason::StageRuns { stage, cause } if !cause.is_empty() => format!("stage {stage}: {cause}"),
            other => other.to_string(),
        };
        Some(Reason::StageRuns { stage: self.prepared[&index].stage.name.clone(), cause })
    }

    /// Other bytes from a stage: that stage's own first cause, if it runs.
    fn stage_reason(&self, from: &str) -> Reason {
        let runs = from
            .strip_prefix("stage ")
            .and_then(|name| self.stage_runs(*self.prepared.iter().rfind(|(_, s)| s.stage.name == name)?.0));
        runs.unwrap_or_else(|| Reason::Changed(Change::Bytes { from: from.to_owned() }))
    }
}

/// What a stage's steps have come to.
struct Top {
    image: Option<ImageId>,
    /// Its key by content.
    content: Option<Parent>,
    edition: Edition,
}

/// The editions that a step is made of: of what it stands on, then of the stages whose bytes it takes.
pub fn editions(step: &PreparedStep, below: Edition, of_stage: &dyn Fn(usize) -> Edition) -> Vec<Edition> {
    let of_sources = step.foreign.iter().map(|foreign| match foreign.origin {
        Origin::Stage(index) => of_stage(index),
        _ => Edition::FIRST,
    });
    std::iter::once(below).chain(of_sources).collect()
}

/// A step's inputs with the bytes that are really copied in place of where they come from.
///
/// `bytes` has the digests by source; a source without one keeps its definition.
pub fn content_inputs(inputs: &StepInputs, parent: &Parent, bytes: &BTreeMap<usize, String>) -> StepInputs {
    let mut by_content = inputs.clone();
    by_content.parent = parent.clone();
    for (&source, digest) in bytes {
        by_content.sources[source].content = Content::Bytes(digest.clone());
    }
    by_content
}
