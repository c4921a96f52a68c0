//! Platforms as the engines write them: `os/arch[/variant]`, normalised.

use std::fmt;
use std::str::FromStr;

use super::{BuildFlags, UsageError};

/// What an image runs on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Platform {
    /// `linux`, ...
    pub os: String,
    /// `amd64`, `arm64`, ... in Go's words.
    pub arch: String,
    /// `v7`, ...; empty where there is none.
    pub variant: String,
}

const SYSTEMS: &[&str] = &[
    "aix",
    "android",
    "darwin",
    "dragonfly",
    "freebsd",
    "hurd",
    "illumos",
    "ios",
    "js",
    "linux",
    "macos",
    "nacl",
    "netbsd",
    "openbsd",
    "plan9",
    "solaris",
    "windows",
    "zos",
];

const ARCHITECTURES: &[&str] = &[
    "386",
    "amd64",
    "amd64p32",
    "arm",
    "arm64",
    "arm64be",
    "armbe",
    "loong64",
    "mips",
    "mips64",
    "mips64le",
    "mips64p32",
    "mips64p32le",
    "mipsle",
    "ppc",
    "ppc64",
    "ppc64le",
    "riscv",
    "riscv64",
    "s390",
    "s390x",
    "sparc",
    "sparc64",
    "wasm",
];

impl Platform {
    /// The platform that this program runs on.
    pub fn host() -> Self {
        let (arch, variant) = normal_arch(host_arch(), "");
        Self { os: normal_os(std::env::consts::OS), arch, variant: without_default(variant) }
    }
}

/// This machine's architecture in Go's words.
fn host_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86" => "386",
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        "powerpc64" => "ppc64",
        "loongarch64" => "loong64",
        other => other,
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.arch)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

impl FromStr for Platform {
    type Err = UsageError;

    /// `os/arch[/variant]`, a system or an architecture alone, or `local`.
    ///
    /// The rules are containerd's, which buildah uses from 1.31 on; 1.28 takes the words as they stand.
    fn from_str(text: &str) -> Result<Self, UsageError> {
        let refused = |cause: &str| {
            let shown = super::go::quote(text.as_ref());
            UsageError::new(format!("invalid platform syntax for --platform={shown}: {cause}"))
                .with_way_out("write os/arch or os/arch/variant, for example linux/arm64")
        };
        let trimmed = text.trim_matches('/');
        if trimmed.is_empty() || trimmed == "local" {
            return Ok(Self::host());
        }
        let parts: Vec<&str> = trimmed.split('/').collect();
        let is_word = |part: &&str| {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
            !part.is_empty() && part.bytes().all(fits)
        };
        if !parts.iter().all(is_word) {
            return Err(refused("a part has characters that no platform has"));
        }
        match parts.as_slice() {
            [one] => {
                Self::of_one_word(one).ok_or_else(|| refused("unknown operating system or architecture"))
            }
            [os, arch] => {
                let (arch, variant) = normal_arch(arch, "");
                Ok(Self { os: normal_os(os), arch, variant: without_default(variant) })
            }
            [os, arch, variant] => {
                let (arch, variant) = normal_arch(arch, variant);
                let variant = if arch == "arm64" && variant.is_empty() { "v8".to_owned() } else { variant };
                Ok(Self { os: normal_os(os), arch, variant })
            }
            _ => Err(refused("more than three parts")),
        }
    }
}

impl Platform {
    fn of_one_word(word: &str) -> Option<Self> {
        let lower = word.to_ascii_lowercase();
        if SYSTEMS.contains(&lower.as_str()) {
            return Some(Self { os: normal_os(word), ..Self::host() });
        }
        let (arch, variant) = normal_arch(word, "");
        let known = ARCHITECTURES.contains(&arch.as_str());
        known.then(|| Self { os: Self::host().os, arch, variant: without_default(variant) })
    }
}

/// v7 is what `arm` means when nothing else is said.
fn without_default(variant: String) -> String {
    if variant == "v7" { String::new() } else { variant }
}

fn normal_os(os: &str) -> String {
    match os.to_ascii_lowercase().as_str() {
        "macos" => "darwin".to_owned(),
        other => other.to_owned(),
    }
}

fn normal_arch(arch: &str, variant: &str) -> (String, String) {
    let (arch, variant) = (arch.to_ascii_lowercase(), variant.to_ascii_lowercase());
    let (arch, variant) = match (arch.as_str(), variant.as_str()) {
        ("i386", _) => ("386", ""),
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64" | "amd64", other) => ("amd64", other),
        ("aarch64" | "arm64", "8" | "v8") => ("arm64", ""),
        ("aarch64" | "arm64", other) => ("arm64", other),
        ("armhf", _) => ("arm", "v7"),
        ("armel", _) => ("arm", "v6"),
        ("arm", "" | "7") => ("arm", "v7"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "6") => ("arm", "v6"),
        ("arm", "8") => ("arm", "v8"),
        (arch, variant) => (arch, variant),
    };
    (arch.to_owned(), variant.to_owned())
}

/// The platforms that a command line asks for; none of the flags means the host's.
///
/// `--os`, `--arch` and `--variant` name one platform together, and a part that is left out is the host's.
pub fn platforms(flags: &BuildFlags) -> Result<Vec<Platform>, UsageError> {
    let part = |name| flags.value(name).map(|value| value.to_string_lossy().into_owned());
    let (os, arch, variant) = (part("os"), part("arch"), part("variant"));
    let single = [&os, &arch, &variant].into_iter().flatten().any(|part| !part.is_empty());
    if !flags.is_given("platform") {
        if !single {
            return Ok(vec![Platform::host()]);
        }
        let host = Platform::host();
        let named = |part: Option<String>| part.filter(|part| !part.is_empty());
        let os = named(os).unwrap_or(host.os);
        let arch = named(arch).unwrap_or(host.arch);
        let variant = named(variant).map(|variant| format!("/{variant}")).unwrap_or_default();
        return Ok(vec![format!("{os}/{arch}{variant}").parse()?]);
    }
    if single {
        let fault = "invalid --platform may not be used with --os, --arch, or --variant";
        return Err(
            UsageError::new(fault).with_way_out("write the whole platform: --platform=os/arch/variant")
        );
    }
    let mut platforms: Vec<Platform> = Vec::new();
    for value in flags.values("platform") {
        let platform = value.to_string_lossy().parse()?;
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
    }
    Ok(platforms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::parse_build;

    #[test]
    fn platforms_are_normalised() {
        let cases = [
            ("linux/amd64", "linux/amd64"),
            ("linux/x86_64", "linux/amd64"),
            ("Linux/X86-64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64/v8"),
            ("linux/arm64/8", "linux/arm64/v8"),
            ("linux/i386", "linux/386"),
            ("linux/arm", "linux/arm"),
            ("linux/arm/v7", "linux/arm/v7"),
            ("linux/arm/6", "linux/arm/v6"),
            ("linux/armhf", "linux/arm"),
            ("linux/armel", "linux/arm/v6"),
            ("macos/arm64", "darwin/arm64"),
            ("/linux/s390x/", "linux/s390x"),
            ("linux/unheard-of", "linux/unheard-of"),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), expected, "{text}");
        }
        let host = Platform::host();
        assert_eq!("local".parse(), Ok(host.clone()));
        assert_eq!("".parse(), Ok(host.clone()));
        assert_eq!("linux".parse(), Ok(Platform { os: "linux".to_owned(), ..host.clone() }));
        let s390x = Platform { arch: "s390x".to_owned(), variant: String::new(), ..host };
        assert_eq!("s390x".parse(), Ok(s390x));
    }

    #[test]
    fn what_is_no_platform_is_refused() {
        for text in ["x", "linux/a b", "linux//v7", "a/b/c/d", "linux/ämd"] {
            let error = text.parse::<Platform>().unwrap_err();
            assert!(error.message.starts_with("invalid platform syntax for --platform="), "{text}");
        }
    }

    fn of(args: &str) -> Result<Vec<String>, UsageError> {
        let args: Vec<_> = args.split_whitespace().map(Into::into).collect();
        let platforms = platforms(&parse_build(&args, &|_| None).unwrap())?;
        Ok(platforms.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_command_line_names_its_platforms_one_way_or_the_other() {
        let host = Platform::host().to_string();
        assert_eq!(of("").unwrap(), of("--os= --arch=").unwrap());
        assert_eq!(of("").unwrap(), [host]);
        assert_eq!(
            of("--platform=linux/amd64,linux/arm64 --platform linux/x86_64").unwrap(),
            ["linux/amd64", "linux/arm64"]
        );
        assert_eq!(of("--os linux --override-arch=arm --variant v6").unwrap(), ["linux/arm/v6"]);
        assert_eq!(
            of("--platform=linux/arm64 --arch=arm64").unwrap_err().message,
            "invalid --platform may not be used with --os, --arch, or --variant"
        );
    }
}
