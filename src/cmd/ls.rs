//! `ls`: builds, or the images of stages, newest first.

use std::collections::BTreeSet;

use anyhow::anyhow;
use jiff::Timestamp;
use serde::Serialize;

use super::Format;
use crate::cli::LsArgs;
use crate::engine::{Layers, Listing};
use crate::flags::Leading;
use crate::image::ImageId;
use crate::record::{BuildRecord, BuildStatus, StageRecord, StageStatus, short_id};
use crate::report::filter::{Filters, meant, names_image, time};
use crate::report::table::{ago, bytes, duration, one_line, table};
use crate::report::{print, print_json};
use crate::session::Session;
use crate::upkeep::alive;
use crate::visible::visible;

const FILTERS: &[&str] = &["status", "stage", "name", "label", "since", "before"];

/// Lists.
///
/// # Errors
/// When a filter is not valid or nothing can be read.
pub fn run(leading: Leading, args: &LsArgs) -> anyhow::Result<()> {
    let session = super::session(leading, &args.engine)?;
    let format = Format::parse(args.format.as_deref())?;
    let filters = Filters::parse(&args.filter, FILTERS)?;
    let span = Span::new(&filters, &session)?;
    let mut records = session.store.records();
    records.reverse();
    if args.stages {
        let rows = stages(&session, &records, &filters, &span, args)?;
        return show(&rows, args, &format);
    }
    let labelled = |record: &BuildRecord, label: &str| {
        record.stages.iter().filter_map(|s| s.image.as_ref()).any(|id| has_label(&session, id, label))
    };
    let rows: Vec<BuildRow> = records
        .iter()
        .filter(|record| span.holds(&record.started))
        .filter(|record| filters.allows("status", |word| word == status(record)))
        .filter(|record| filters.allows("stage", |name| record.stages.iter().any(|s| meant(name, &s.name))))
        .filter(|record| {
            filters.allows("name", |name| target_names(record).iter().any(|n| names_image(name, n)))
        })
        .filter(|record| filters.allows("label", |label| labelled(record, label)))
        .take(args.last.unwrap_or(usize::MAX))
        .map(|record| BuildRow::new(record, args.no_trunc))
        .collect();
    show(&rows, args, &format)
}

/// A row of a listing.
trait Row: Serialize {
    const HEADINGS: &'static [&'static str];
    /// What `-q` shows.
    fn shown(&self) -> &str;
    fn cells(&self) -> Vec<String>;
}

fn show<R: Row>(rows: &[R], args: &LsArgs, format: &Format) -> anyhow::Result<()> {
    if args.quiet {
        return print(&rows.iter().map(|row| format!("{}\n", visible(row.shown()))).collect::<String>());
    }
    match format {
        Format::Json => print_json(rows),
        Format::Template(template) => {
            let values = rows.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
            print(&template.rows(&values, !args.noheading)?)
        }
        Format::Text => {
            let cells: Vec<Vec<String>> = rows.iter().map(Row::cells).collect();
            let drawn = table(R::HEADINGS, &cells);
            let body =
                if args.noheading { drawn.split_once('\n').map_or("", |(_, rest)| rest) } else { &drawn };
            print(body)
        }
    }
}

/// A build, as `ls --format` has it.
#[derive(Debug, Serialize)]
struct BuildRow {
    id: String,
    status: &'static str,
    started: String,
    ended: Option<String>,
    duration_ms: Option<u64>,
    names: Vec<String>,
    image: Option<ImageId>,
    target: Option<String>,
    platform: String,
    stages_ran: usize,
    stages: usize,
    steps_ran: usize,
    steps: usize,
    containerfile: String,
    context: String,
    engine: String,
    error: Option<String>,
    #[serde(skip)]
    shown_id: String,
}

impl BuildRow {
    fn new(record: &BuildRecord, whole: bool) -> Self {
        let wanted = || record.stages.iter().filter(|s| s.status != StageStatus::Skipped);
        let steps = || wanted().flat_map(|stage| &stage.steps);
        let ran = |stage: &&StageRecord| matches!(stage.status, StageStatus::Built | StageStatus::Failed);
        Self {
            id: record.build_id.clone(),
            status: status(record),
            started: record.started.clone(),
            ended: record.ended.clone(),
            duration_ms: record.duration_ms(),
            names: target_names(record).to_vec(),
            image: record.result.as_ref().map(|result| result.image.clone()),
            target: record.request.target.clone(),
            platform: record.platform.clone(),
            stages_ran: wanted().filter(ran).count(),
            stages: wanted().count(),
            steps_ran: steps().filter(|step| step.started.is_some()).count(),
            steps: steps().count(),
            containerfile: record.request.containerfile.clone(),
            context: record.request.context.clone(),
            engine: format!("{} {}", record.engine.name, record.engine.version),
            error: record.error.clone(),
            shown_id: if whole { record.build_id.clone() } else { record.short_id().to_owned() },
        }
    }
}

impl Row for BuildRow {
    const HEADINGS: &'static [&'static str] = &["BUILD", "STARTED", "STATUS", "TARGET", "STAGES RAN", "TIME"];

    fn shown(&self) -> &str {
        &self.shown_id
    }

    fn cells(&self) -> Vec<String> {
        let target = match (self.names.as_slice(), &self.target, &self.image) {
            ([first], ..) => first.clone(),
            ([first, more @ ..], ..) => format!("{first} +{}", more.len()),
            (_, Some(stage), _) => format!("<{stage}>"),
            (_, _, Some(image)) => image.short().to_owned(),
            _ => "<none>".into(),
        };
        vec![
            self.shown_id.clone(),
            ago(&self.started, Timestamp::now()),
            self.status.to_owned(),
            target,
            format!("{}/{}", self.stages_ran, self.stages),
            self.duration_ms.map(duration).unwrap_or_default(),
        ]
    }
}

/// The word for how a build stands; one whose process is gone without a word is `lost`.
fn status(record: &BuildRecord) -> &'static str {
    if record.status == BuildStatus::Running && !alive(record.pid) {
        return "lost";
    }
    record.status.word()
}

/// Names as they were given to the image, else as they were asked for.
fn target_names(record: &BuildRecord) -> &[String] {
    match &record.result {
        Some(result) => &result.names,
        None => &record.request.names,
    }
}

/// The image of a stage, as `ls --stages --format` has it.
#[derive(Debug, Serialize)]
struct StageRow {
    stage: String,
    id: ImageId,
    name: Option<String>,
    base: String,
    status: &'static str,
    build: String,
    platform: String,
    created: String,
    size: Option<u64>,
    in_storage: bool,
    key: Option<String>,
    #[serde(skip)]
    shown_id: String,
}

impl Row for StageRow {
    const HEADINGS: &'static [&'static str] =
        &["STAGE", "IMAGE ID", "NAME", "BASE", "LAST", "BUILD", "CREATED", "SIZE"];

    fn shown(&self) -> &str {
        &self.shown_id
    }

    fn cells(&self) -> Vec<String> {
        let size = self.size.map(bytes).unwrap_or_default();
        vec![
            self.stage.clone(),
            self.shown_id.clone(),
            self.name.clone().unwrap_or_else(|| "<none>".into()),
            one_line(&self.base, 40),
            self.status.to_owned(),
            short_id(&self.build).to_owned(),
            ago(&self.created, Timestamp::now()),
            if self.in_storage { size } else { "gone".into() },
        ]
    }
}

/// Each image once, with the newest build that has it.
fn stages(
    session: &Session,
    records: &[BuildRecord],
    filters: &Filters,
    span: &Span,
    args: &LsArgs,
) -> anyhow::Result<Vec<StageRow>> {
    let listing = session.engine.list()?;
    let layers = session.engine.layers()?;
    let mut seen = BTreeSet::new();
    let mut rows = Vec::new();
    for record in records.iter().take(args.last.unwrap_or(usize::MAX)) {
        for stage in &record.stages {
            let Some(id) = stage.image.clone().filter(|id| seen.insert(id.clone())) else { continue };
            let row = stage_row(session, (&listing, &layers), record, stage, id, args);
            let name = row.name.clone().unwrap_or_default();
            let wanted = (args.all || row.in_storage)
                && span.holds(&row.created)
                && filters.allows("status", |word| word == row.status)
                && filters.allows("stage", |wanted| meant(wanted, &row.stage))
                && filters.allows("name", |wanted| names_image(wanted, &name))
                && filters.allows("label", |label| has_label(session, &row.id, label));
            if wanted {
                rows.push(row);
            }
        }
    }
    Ok(rows)
}

fn stage_row(
    session: &Session,
    (listing, layers): (&Listing, &Layers),
    record: &BuildRecord,
    stage: &StageRecord,
    id: ImageId,
    args: &LsArgs,
) -> StageRow {
    let listed = listing.get(&id);
    let created = match listed {
        Some(_) => session.engine.image(&id).ok().map(|image| image.created().to_owned()),
        None => None,
    };
    let name = listed.and_then(|listed| listed.names.first()).cloned();
    StageRow {
        stage: stage.name.clone(),
        name: name.or_else(|| stage.image_name.clone().filter(|_| listed.is_none())),
        base: stage.base.expanded.clone(),
        status: stage.status.word(),
        build: record.build_id.clone(),
        platform: record.platform.clone(),
        created: created.unwrap_or_else(|| record.started.clone()),
        size: listed.map(|listed| layers.total(&listed.top_layer)),
        in_storage: listed.is_some(),
        key: stage.key.as_ref().map(ToString::to_string),
        shown_id: if args.no_trunc { id.to_string() } else { id.short().to_owned() },
        id,
    }
}

fn has_label(session: &Session, id: &ImageId, label: &str) -> bool {
    let (key, value) = label.split_once('=').map_or((label, None), |(key, value)| (key, Some(value)));
    let Ok(image) = session.engine.image(id) else { return false };
    image.label(key).is_some_and(|found| value.is_none_or(|value| meant(value, found)))
}

/// `since` and `before`.
struct Span {
    since: Option<Timestamp>,
    before: Option<Timestamp>,
}

impl Span {
    fn new(filters: &Filters, session: &Session) -> anyhow::Result<Self> {
        let read = |key: &str| -> anyhow::Result<Option<Timestamp>> {
            let Some(text) = filters.values(key).last() else { return Ok(None) };
            if let Some(time) = time(text, Timestamp::now()) {
                return Ok(Some(time));
            }
            let build = session.store.find_build(text).map_err(|error| {
                anyhow!(
                    "--filter {key}={text}: neither a time, nor an age such as 24h, nor a build ({error})"
                )
            })?;
            Ok(session.store.record(&build)?.started.parse().ok())
        };
        Ok(Self { since: read("since")?, before: read("before")? })
    }

    fn holds(&self, time: &str) -> bool {
        let Ok(time) = time.parse::<Timestamp>() else {
            return self.since.is_none() && self.before.is_none();
        };
        self.since.is_none_or(|since| time > since) && self.before.is_none_or(|before| time < before)
    }
}
