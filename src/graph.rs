//! The stages of a Containerfile and what they take from each other.
//!
//! Names are resolved as buildah resolves them: a build context given by name first, then a stage that
//! stands further up, then an image. What an image is, is `bases`' work.

use std::collections::{BTreeMap, BTreeSet};

use crate::containerfile::{Containerfile, FileStage, Instruction, Keyword, ParseError};

/// Where bytes or a base come from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nothing.
    Scratch,
    /// The build context.
    Context,
    /// A build context given by name that is a folder or an archive.
    Named(String),
    /// A stage, by its index.
    Stage(usize),
    /// An image, by its name.
    Image(String),
}

/// How an instruction takes bytes from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceKind {
    /// `COPY --from`, `ADD --from`.
    Copy,
    /// `RUN --mount=…,from=`.
    Mount,
}

/// An instruction that names another stage, image or context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The instruction, by its index in the stage's body.
    pub instruction: usize,
    /// How.
    pub kind: ReferenceKind,
    /// The name, expanded.
    pub name: String,
    /// What it stands for.
    pub origin: Origin,
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its index among the stages, from 0.
    pub index: usize,
    /// The number by which the file refers to it (other than the index only where instructions stand before
    /// the first FROM).
    pub position: usize,
    /// The alias, expanded; else the position.
    pub name: String,
    /// The alias as written.
    pub alias: Option<String>,
    /// The FROM instruction.
    pub from: Instruction,
    /// The base as written.
    pub base_written: String,
    /// The base with ARGs expanded.
    pub base_expanded: String,
    /// What the base is.
    pub base: Origin,
    /// `FROM --platform`, expanded.
    pub platform: Option<String>,
    /// The instructions behind FROM.
    pub body: Vec<Instruction>,
    /// First and last line.
    pub lines: (usize, usize),
    /// What its instructions refer to.
    pub references: Vec<Reference>,
}

impl Stage {
    /// The stages that this one needs.
    pub fn needs(&self) -> BTreeSet<usize> {
        let origins = self.references.iter().map(|r| &r.origin).chain([&self.base]);
        origins.filter_map(|o| if let Origin::Stage(index) = o { Some(*index) } else { None }).collect()
    }

    /// What `name`, as the instruction has it, refers to.
    pub fn origin_of(&self, instruction: usize, name: &str) -> Option<&Origin> {
        self.references.iter().find(|r| r.instruction == instruction && r.name == name).map(|r| &r.origin)
    }
}

/// All stages of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StageGraph {
    /// The stages in the order of the file.
    pub stages: Vec<Stage>,
    /// The stage that is asked for.
    pub target: usize,
    /// The stages that the target needs, itself included.
    pub needed: BTreeSet<usize>,
}

/// What the file does not say itself.
pub struct Surroundings<'a> {
    /// Expands a word of FROM with the ARGs of the heading.
    pub expand_from: &'a dyn Fn(&str) -> Result<String, String>,
    /// Expands a name in an instruction, given the stage and the instruction's index.
    pub expand_in: &'a dyn Fn(&FileStage<'_>, usize, &str) -> Result<String, String>,
    /// `--build-context`: by name, and the image that it stands for, if it does.
    pub contexts: &'a BTreeMap<String, Option<String>>,
    /// `--from`: replaces the base of the first stage.
    pub first_base: Option<&'a str>,
    /// `--target`.
    pub target: Option<&'a str>,
    /// Leave out stages that the target does not need.
    pub skip_unused: bool,
}

/// Why a file's stages do not fit together.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// The file itself is wrong at a place.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// `--target` names no stage.
    #[error("the target {target:?} was not found in the provided Containerfile; its stages are: {stages}")]
    NoTarget {
        /// What was asked for.
        target: String,
        /// What there is.
        stages: String,
    },
    /// `--target` names one stage and the position of another.
    #[error("--target={target}: {problem}; give the stage another name")]
    TwoTargets {
        /// What was asked for.
        target: String,
        /// Which stages it could be.
        problem: String,
    },
}

/// The way out where a number is a name as well.
const OTHER_NAME: &str = "a name for the stage that is no number";

impl StageGraph {
    /// Reads the stages of a file and resolves what they refer to.
    ///
    /// # Errors
    /// When the file has no stages, a name cannot be expanded, a number names no stage further up, or the
    /// target is unknown.
    pub fn new(file: &Containerfile, around: &Surroundings<'_>) -> Result<Self, GraphError> {
        let read = file.stages()?;
        let mut stages: Vec<Stage> = Vec::new();
        for (index, stage) in read.stages.iter().enumerate() {
            let expand = |what: &str, word: &str| {
                (around.expand_from)(word).map_err(|problem| {
                    file.point_at(stage.from, word, format!("{what}: {problem}"), String::new())
                })
            };
            let mut base_expanded = expand("FROM", &stage.base)?;
            if let (0, Some(first)) = (index, around.first_base) {
                base_expanded = first.to_owned();
            }
            if base_expanded.is_empty() {
                return Err(file
                    .point_at(
                        stage.from,
                        &stage.base,
                        format!("base name `{}` expands to nothing", stage.base),
                        "an ARG before the first FROM with a default, or --build-arg".into(),
                    )
                    .into());
            }
            let platform = stage.platform.as_deref().map(|p| expand("--platform", p)).transpose()?;
            let alias = stage.alias.as_deref().map(|a| expand("AS", a)).transpose()?;
            let base = match around.contexts.get(&base_expanded) {
                Some(Some(image)) => Origin::Image(image.clone()),
                Some(None) => Origin::Named(base_expanded.clone()),
                None if base_expanded == "scratch" => Origin::Scratch,
                None => {
                    clear(&stages, &base_expanded).map_err(|problem| {
                        file.point_at(stage.from, &stage.base, problem, OTHER_NAME.into())
                    })?;
                    named_stage(&stages, &base_expanded)
                        .map_or_else(|| Origin::Image(base_expanded.clone()), Origin::Stage)
                }
            };
            let mut references = Vec::new();
            for (number, instruction) in stage.body.iter().enumerate() {
                for (kind, written) in foreign_names(instruction) {
                    let name = (around.expand_in)(stage, number, &written)
                        .map_err(|problem| file.point_at(instruction, &written, problem, String::new()))?;
                    let origin = resolve(file, &stages, around.contexts, instruction, &name)?;
                    references.push(Reference { instruction: number, kind, name, origin });
                }
            }
            stages.push(Stage {
                index,
                position: stage.position,
                name: alias.unwrap_or_else(|| stage.position.to_string()),
                alias: stage.alias.clone(),
                from: stage.from.clone(),
                base_written: stage.base.clone(),
                base_expanded,
                base,
                platform,
                body: stage.body.iter().map(|i| (*i).clone()).collect(),
                lines: stage.lines,
                references,
            });
        }
        let target = find_target(&stages, around.target)?;
        let needed = if around.skip_unused { needed_for(&stages, target) } else { (0..=target).collect() };
        Ok(Self { stages, target, needed })
    }

    /// The stages that are built, in the order of the file.
    pub fn built(&self) -> impl Iterator<Item = &Stage> {
        self.needed.iter().map(|&index| &self.stages[index])
    }

    /// The target's stage.
    pub fn target_stage(&self) -> &Stage {
        &self.stages[self.target]
    }

    /// The line of a stage of that name that stands too far down to be meant.
    pub fn later_stage(&self, name: &str, from_index: usize) -> Option<usize> {
        self.stages[from_index..].iter().find(|s| s.name == name).map(|s| s.lines.0)
    }
}

fn needed_for(stages: &[Stage], target: usize) -> BTreeSet<usize> {
    let mut needed = BTreeSet::new();
    let mut todo = vec![target];
    while let Some(index) = todo.pop() {
        if needed.insert(index) {
            todo.extend(stages[index].needs());
        }
    }
    needed
}

/// With two stages of one name buildah 1.28 takes the one or the other from run to run; we take the nearer one.
fn named_stage(above: &[Stage], name: &str) -> Option<usize> {
    above.iter().rposition(|stage| stage.name == name)
}

/// Whether a number means one stage: the engines take `COPY --from=1` for the stage at that position, and FROM, `--target` and
/// mounts for the one of that name (1.28, 1.39, 1.43), so what is both is refused.
fn clear(stages: &[Stage], name: &str) -> Result<(), String> {
    let Ok(number) = name.parse::<usize>() else { return Ok(()) };
    let named = stages.iter().rfind(|stage| stage.name == name && stage.position != number);
    let placed = stages.iter().find(|stage| stage.position == number);
    match (named, placed) {
        (Some(named), Some(placed)) => Err(format!(
            "`{name}` is the name of the stage of line {} and the number of that of line {}",
            named.lines.0, placed.lines.0
        )),
        _ => Ok(()),
    }
}

fn find_target(stages: &[Stage], target: Option<&str>) -> Result<usize, GraphError> {
    let Some(target) = target.filter(|t| !t.is_empty()) else { return Ok(stages.len() - 1) };
    let by_number = || stages.iter().position(|s| target.parse() == Ok(s.position));
    clear(stages, target).map_err(|problem| GraphError::TwoTargets { target: target.to_owned(), problem })?;
    stages.iter().position(|s| s.name == target).or_else(by_number).ok_or_else(|| GraphError::NoTarget {
        target: target.to_owned(),
        stages: stages.iter().map(|s| s.name.as_str()).collect::<Vec<_>>().join(", "),
    })
}

fn resolve(
    file: &Containerfile,
    above: &[Stage],
    contexts: &BTreeMap<String, Option<String>>,
    instruction: &Instruction,
    name: &str,
) -> Result<Origin, ParseError> {
    // A number means the stage at that position, whatever its alias (buildah: stage_executor.go).
    let by_number = || above.iter().find(|s| name.parse() == Ok(s.position));
    let asked = by_number().map_or(name, |stage| stage.name.as_str());
    Ok(match contexts.get(asked) {
        Some(Some(image)) => Origin::Image(image.clone()),
        Some(None) => Origin::Named(asked.to_owned()),
        None => {
            clear(above, name)
                .map_err(|problem| file.point_at(instruction, name, problem, OTHER_NAME.into()))?;
            let found = by_number().map(|s| s.index).or_else(|| named_stage(above, name));
            match found {
                Some(index) => Origin::Stage(index),
                None if name.parse::<usize>().is_ok() => {
                    return Err(file.point_at(
                        instruction,
                        name,
                        format!("no stage {name} stands above this instruction"),
                        match above.len() {
                            0 => "the name of an image; this is the first stage".into(),
                            n => format!("a number from 0 to {}, or a name", n - 1),
                        },
                    ));
                }
                None => Origin::Image(name.to_owned()),
            }
        }
    })
}

/// The names that an instruction takes bytes from, not expanded.
pub fn foreign_names(instruction: &Instruction) -> Vec<(ReferenceKind, String)> {
    match instruction.keyword {
        Keyword::Copy | Keyword::Add => instruction
            .flag("from")
            .and_then(|flag| flag.value.clone())
            .filter(|name| !name.is_empty())
            .map(|name| (ReferenceKind::Copy, name))
            .into_iter()
            .collect(),
        Keyword::Run => instruction
            .flags_named("mount")
            .filter_map(|flag| mount_field(flag.value.as_deref()?, &["from"]))
            .filter(|name| !name.is_empty())
            .map(|name| (ReferenceKind::Mount, name))
            .collect(),
        _ => Vec::new(),
    }
}

/// A field of a `--mount` value, by any of its names; comma separated, quoted as CSV.
pub fn mount_field(value: &str, names: &[&str]) -> Option<String> {
    mount_fields(value).into_iter().find(|(name, _)| names.contains(&name.as_str())).map(|(_, value)| value)
}

/// All fields of a `--mount` value; a field without `=` has an empty value.
pub fn mount_fields(value: &str) -> Vec<(String, String)> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for character in value.chars() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => fields.last_mut().expect("starts with one field").push(other),
        }
    }
    fields
        .into_iter()
        .filter(|field| !field.is_empty())
        .map(|field| match field.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => (field, String::new()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::containerfile::{Dialect, parse};

    fn graph_with(
        text: &str,
        target: Option<&str>,
        contexts: &[(&str, Option<&str>)],
    ) -> Result<StageGraph, GraphError> {
        let file = parse(text.as_bytes().to_vec(), Path::new("Containerfile"), Dialect::Heredocs).unwrap();
        let contexts = contexts.iter().map(|(n, i)| ((*n).to_owned(), i.map(str::to_owned))).collect();
        StageGraph::new(
            &file,
            &Surroundings {
                expand_from: &|word| Ok(word.replace("$V", "3")),
                expand_in: &|_, _, word| Ok(word.to_owned()),
                contexts: &contexts,
                first_base: None,
                target,
                skip_unused: true,
            },
        )
    }

    fn graph(text: &str) -> StageGraph {
        graph_with(text, None, &[]).unwrap()
    }

    #[test]
    fn stages_are_found_by_name_and_by_number_and_everything_else_is_an_image() {
        let graph = graph(
            "FROM alpine:$V AS a\nFROM scratch\nCOPY --from=a /x /\nCOPY --from=0 /x /\nCOPY --from=busybox /x /\n\
             FROM a\nRUN --mount=type=bind,from=1,target=/m true\n",
        );
        let origins: Vec<_> =
            graph.stages.iter().flat_map(|s| s.references.iter().map(|r| r.origin.clone())).collect();
        assert_eq!(
            origins,
            [Origin::Stage(0), Origin::Stage(0), Origin::Image("busybox".into()), Origin::Stage(1)]
        );
        assert_eq!(graph.stages[0].base, Origin::Image("alpine:3".into()));
        assert_eq!(graph.stages[2].base, Origin::Stage(0));
        assert_eq!(graph.stages[1].name, "1");
        let origin_of = |instruction, name| graph.stages[1].origin_of(instruction, name);
        assert_eq!(origin_of(0, "a"), Some(&Origin::Stage(0)));
        assert_eq!(origin_of(2, "busybox"), Some(&Origin::Image("busybox".into())));
        assert_eq!((origin_of(2, "a"), origin_of(0, "busybox")), (None, None));
    }

    #[test]
    fn a_stage_that_stands_too_far_down_is_known_by_its_line() {
        let graph = graph("FROM a\nCOPY --from=late x y\nFROM b AS late\nFROM c AS late\n");
        assert_eq!(graph.later_stage("late", 0), Some(3));
        assert_eq!(graph.later_stage("late", 2), Some(4));
        assert_eq!(graph.later_stage("never", 0), None);
    }

    #[test]
    fn stages_that_the_target_does_not_need_are_left_out() {
        let text = "FROM a AS one\nFROM b AS two\nFROM one AS three\nFROM three AS four\n";
        let needed = |target| graph_with(text, target, &[]).unwrap().needed.into_iter().collect::<Vec<_>>();
        assert_eq!(needed(None), [0, 2, 3]);
        assert_eq!(needed(Some("two")), [1]);
        assert_eq!(needed(Some("2")), [0, 2]);
        let graph = graph_with(text, None, &[]).unwrap();
        assert_eq!(
            graph.built().map(|stage| stage.name.as_str()).collect::<Vec<_>>(),
            ["one", "three", "four"]
        );
    }

    #[test]
    fn an_unknown_target_is_an_error_that_lists_the_stages() {
        let error = graph_with("FROM a AS one\nFROM b\n", Some("nope"), &[]).unwrap_err().to_string();
        assert!(error.contains("the target \"nope\" was not found") && error.contains("one, 1"), "{error}");
    }

    #[test]
    fn a_number_that_is_no_stage_further_up_points_into_the_file() {
        let error = graph_with("FROM a\nCOPY --from=3 x y\n", None, &[]).unwrap_err().to_string();
        assert!(error.contains("Containerfile:2:13") && error.contains("no stage 3"), "{error}");
    }

    #[test]
    fn a_build_context_takes_the_place_of_a_stage_and_of_an_image() {
        let text = "FROM a AS one\nFROM b\nCOPY --from=one x y\nCOPY --from=0 x y\nCOPY --from=two x y\n";
        let graph = graph_with(text, None, &[("one", Some("img")), ("two", None), ("b", Some("c"))]).unwrap();
        let origins: Vec<_> = graph.stages[1].references.iter().map(|r| r.origin.clone()).collect();
        assert_eq!(
            origins,
            [Origin::Image("img".into()), Origin::Image("img".into()), Origin::Named("two".into())]
        );
        assert_eq!(graph.stages[1].base, Origin::Image("c".into()));
    }

    #[test]
    fn of_two_stages_of_one_name_the_nearer_one_is_meant() {
        let graph = graph("FROM a AS x\nFROM b AS x\nFROM x\n");
        assert_eq!(graph.stages[2].base, Origin::Stage(1));
    }

    #[test]
    fn a_stage_named_like_its_own_image_is_no_cycle() {
        assert_eq!(graph("FROM alpine AS alpine\n").stages[0].base, Origin::Image("alpine".into()));
    }

    #[test]
    fn a_number_that_is_a_name_as_well_is_refused_where_it_is_used() {
        let two = "FROM a AS 1\nFROM b AS x\n";
        let told = |rest: &str, target: Option<&str>| {
            graph_with(&format!("{two}{rest}"), target, &[]).unwrap_err().to_string()
        };
        let both = "`1` is the name of the stage of line 1 and the number of that of line 2";
        for rest in
            ["FROM 1\n", "FROM c\nCOPY --from=1 /a /\n", "FROM c\nRUN --mount=from=1,target=/m true\n"]
        {
            assert!(told(rest, None).contains(both), "{rest}");
        }
        assert!(told("", Some("1")).contains(both));
        // Nobody asks, or it is one of them alone.
        assert_eq!(graph(two).stages.len(), 2);
        assert_eq!(graph("FROM a AS 1\nFROM 1\n").stages[1].base, Origin::Stage(0));
        let of_name = graph("FROM a AS 7\nFROM c\nCOPY --from=7 /a /\n");
        assert_eq!(of_name.stages[1].references[0].origin, Origin::Stage(0));
        assert_eq!(graph("FROM a AS 0\nFROM 0\n").stages[1].base, Origin::Stage(0));
    }

    #[test]
    fn mount_fields_are_comma_separated_with_quotes() {
        assert_eq!(
            mount_fields("type=bind,\"source=a,b\",rw"),
            [("type".into(), "bind".into()), ("source".into(), "a,b".into()), ("rw".into(), String::new())]
        );
    }
}
