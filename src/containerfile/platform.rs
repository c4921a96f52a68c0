//! The platform a build runs on or makes an image for, as the predefined arguments name it.

use std::collections::BTreeMap;

/// Operating system, architecture and variant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, in Go's names.
    pub architecture: String,
    /// `v7`, mostly empty.
    pub variant: String,
}

impl Platform {
    /// The platform of `os/architecture[/variant]`; the architecture in Go's name.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '/');
        let (os, architecture) = (parts.next()?, parts.next()?);
        let variant = parts.next().unwrap_or_default();
        if [os, architecture].contains(&"") || variant.contains('/') {
            return None;
        }
        let (architecture, variant) = normal(&architecture.to_lowercase(), &variant.to_lowercase());
        Some(Self { os: os.to_lowercase(), architecture, variant })
    }

    /// The values of `TARGETPLATFORM` and its kin, or those with `BUILD`.
    pub(super) fn arguments(&self, prefix: &str) -> BTreeMap<String, String> {
        let Self { os, architecture, variant } = self;
        [
            ("PLATFORM", self.to_string()),
            ("OS", os.clone()),
            ("ARCH", architecture.clone()),
            ("VARIANT", variant.clone()),
        ]
        .map(|(name, value)| (format!("{prefix}{name}"), value))
        .into()
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        Ok(())
    }
}

/// The names that containerd's `platforms` gives to architectures.
fn normal(architecture: &str, variant: &str) -> (String, String) {
    let (architecture, variant) = match (architecture, variant) {
        ("i386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64", variant) => ("amd64", variant),
        ("aarch64" | "arm64", "8" | "v8") => ("arm64", ""),
        ("aarch64", variant) => ("arm64", variant),
        ("armhf", _) => ("arm", "v7"),
        ("armel", _) => ("arm", "v6"),
        ("arm", "" | "7") => ("arm", "v7"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "6") => ("arm", "v6"),
        ("arm", "8") => ("arm", "v8"),
        other => other,
    };
    (architecture.to_owned(), variant.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_have_gos_names() {
        for (text, expected) in [
            ("linux/amd64", Some("linux/amd64")),
            ("linux/x86_64", Some("linux/amd64")),
            ("Linux/aarch64", Some("linux/arm64")),
            ("linux/arm64/v8", Some("linux/arm64")),
            ("linux/arm", Some("linux/arm/v7")),
            ("linux/arm/v6", Some("linux/arm/v6")),
            ("linux", None),
            ("linux/", None),
            ("linux/a/b/c", None),
        ] {
            assert_eq!(
                Platform::parse(text).map(|platform| platform.to_string()).as_deref(),
                expected,
                "{text}"
            );
        }
    }
}
