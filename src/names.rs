//! Names of stage images: valid in any repository, and telling what they are.

use crate::image::ImageId;

/// The repository below which all names of ours lie.
pub const REPOSITORY: &str = "localhost/stagecache";

/// A stage's name as the last component of a repository: in lower case, with a short hash where anything else than
/// the case had to change.
///
/// A component is runs of `[a-z0-9]` joined by `.`, `_`, `__` or dashes (the distribution's reference grammar).
pub fn slug(stage: &str) -> String {
    let mut slug = String::new();
    for character in stage.to_lowercase().chars() {
        let last = slug.chars().next_back();
        match character {
            'a'..='z' | '0'..='9' => slug.push(character),
            '.' | '_' | '-' if last.is_some_and(|c| c.is_ascii_alphanumeric()) => slug.push(character),
            '-' if last == Some('-') => slug.push('-'),
            _ if last.is_some_and(|c| c.is_ascii_alphanumeric()) => slug.push('-'),
            _ => {}
        }
    }
    let trimmed = slug.trim_end_matches(['.', '_', '-']);
    if trimmed == stage && (1..=80).contains(&trimmed.len()) {
        return trimmed.to_owned();
    }
    let hash = blake3::hash(stage.as_bytes()).to_hex();
    let short: String = trimmed.chars().take(80).collect();
    let short = short.trim_end_matches(['.', '_', '-']);
    if short.is_empty() { format!("stage-{}", &hash[..8]) } else { format!("{short}-{}", &hash[..8]) }
}

/// The name of a stage's image: digest of the image before the labels, and of the labels.
pub fn leaf_name(stage: &str, tip: &ImageId, labels: &[(String, String)]) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(tip.as_str().as_bytes());
    for (key, value) in labels {
        hasher.update(format!("\n{key}={value}").as_bytes());
    }
    format!("{REPOSITORY}/{}:{}", slug(stage), &hasher.finalize().to_hex()[..12])
}

/// The name that the newest step of a stage has while a build works on it, and keeps when the stage fails.
///
/// Each build has its own: removing a name that another build has moved to its only step would take that step away.
pub fn building_name(stage: &str, build_id: &str) -> String {
    let last = build_id.len().saturating_sub(12);
    format!("{REPOSITORY}/{}:building-{}", slug(stage), &build_id[last..])
}

/// The name that an image which is made for others to stand on has until the build ends.
pub fn holding_name(stage: &str, build_id: &str, image: &ImageId) -> String {
    format!("{}-{}", building_name(stage, build_id), image.short())
}

/// A name without its tag and digest.
pub fn repository(name: &str) -> &str {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

/// A name as the storage has it: `localhost/` and `:latest` made explicit.
pub fn full(name: &str) -> String {
    let name = name.strip_prefix("docker://").unwrap_or(name);
    let mut full = match name.split_once('/') {
        Some((domain, _)) if domain.contains(['.', ':']) || domain == "localhost" => name.to_owned(),
        _ => format!("localhost/{name}"),
    };
    if let Some(rest) = full.strip_prefix("docker.io/").filter(|rest| !rest.contains('/')) {
        full = format!("docker.io/library/{rest}");
    }
    if repository(&full) == full {
        full.push_str(":latest");
    }
    full
}

/// Whether a name without a transport in front of it (`docker-archive:...`) is one that an image can have.
pub fn is_valid(name: &str) -> bool {
    const REFERENCE: &str = r"(?x)^
        (?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]+)?/)?
        [a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*
        (?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$";
    static PATTERN: std::sync::LazyLock<Option<regex::Regex>> =
        std::sync::LazyLock::new(|| regex::Regex::new(REFERENCE).ok());
    // With upper case in it the first part is no domain, unless it has the look of one.
    let first = name.split_once('/').map_or("", |(first, _)| first);
    let is_domain = first.contains(['.', ':']) || first == "localhost";
    let upper_case = !is_domain && first.contains(|c: char| c.is_ascii_uppercase());
    !upper_case && !is_id(name) && PATTERN.as_ref().is_none_or(|pattern| pattern.is_match(name))
}

/// Whether this is the id of an image, which no image can be called.
pub fn is_id(name: &str) -> bool {
    ImageId::parse(name).is_some_and(|id| id.as_str() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_a_valid_component_and_two_stages_never_share_one() {
        for (stage, expected) in [("build", "build"), ("a-b.c_d", "a-b.c_d"), ("0", "0")] {
            assert_eq!(slug(stage), expected);
        }
        let component = regex::Regex::new("^[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*$").unwrap();
        for stage in [
            "Build",
            "a+b",
            "a..b",
            "-a",
            "a/b",
            "ä",
            "",
            "a--b-",
            "x_-y",
            "A".repeat(300).as_str(),
            "a".repeat(300).as_str(),
        ] {
            let slug = slug(stage);
            assert!(component.is_match(&slug) && slug.len() < 128 && slug != stage, "{stage} -> {slug}");
        }
        assert_ne!(slug("Build"), slug("BUILD"));
        assert_ne!(slug("a+b"), slug("a/b"));
    }

    #[test]
    fn a_name_is_valid_where_the_engines_take_it() {
        for name in ["app", "app:1", "me/app:1.0_x-y", "localhost:5000/a/b__c", "Quay.io/a", "a--b"] {
            assert!(is_valid(name), "{name}");
        }
        let id = "0a".repeat(32);
        for name in [
            id.as_str(),
            "UPPER/case",
            "Quay/a",
            "Not Valid",
            "App",
            "app:",
            "a//b",
            "a..b",
            "-a",
            "a/B",
            "app:a:b",
            "",
        ] {
            assert!(!is_valid(name), "{name}");
        }
    }

    #[test]
    fn names_are_made_explicit_as_the_engines_tag() {
        for (name, expected) in [
            ("app:1", "localhost/app:1"),
            ("app", "localhost/app:latest"),
            ("me/app", "localhost/me/app:latest"),
            ("quay.io/me/app:2", "quay.io/me/app:2"),
            ("localhost:5000/app", "localhost:5000/app:latest"),
            ("docker.io/app", "docker.io/library/app:latest"),
        ] {
            assert_eq!(full(name), expected);
        }
    }

    #[test]
    fn a_repository_is_a_name_without_tag_and_digest() {
        for (name, expected) in [
            ("docker.io/library/alpine:3", "docker.io/library/alpine"),
            ("localhost:5000/a", "localhost:5000/a"),
            ("a@sha256:12", "a"),
            ("r:5/a:t@sha256:12", "r:5/a"),
        ] {
            assert_eq!(repository(name), expected);
        }
    }
}
