//! How large the cache may be.

use std::path::Path;

use anyhow::bail;

/// A bound on the cache: bytes of layers that stage images have and no other image of a name has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// So many bytes.
    Bytes(u64),
    /// So many hundredths of the file system that the storage lies on.
    Share(u8),
    /// None.
    Unbounded,
}

impl Default for Bound {
    /// A fifth of the disk: room for the images themselves, for what containers write, and for everything else.
    fn default() -> Self {
        Self::Share(20)
    }
}

impl Bound {
    /// Reads `20GB`, `512MiB`, `10%`, `all`.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let wrong = || {
            anyhow::anyhow!(
                "--keep-storage={text}: write a size such as 20GB, a share of the disk such as 10%, or all"
            )
        };
        if text == "all" {
            return Ok(Self::Unbounded);
        }
        if let Some(share) = text.strip_suffix('%') {
            return match share.trim().parse() {
                Ok(share @ 0..=100) => Ok(Self::Share(share)),
                _ => Err(wrong()),
            };
        }
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let Ok(number) = text[..digits].parse::<f64>() else { bail!(wrong()) };
        let unit = text[digits..].trim().to_ascii_lowercase();
        let factor: f64 = match unit.as_str() {
            "" | "b" => 1.0,
            "k" | "kb" => 1e3,
            "m" | "mb" => 1e6,
            "g" | "gb" => 1e9,
            "t" | "tb" => 1e12,
            "ki" | "kib" => 1024.0,
            "mi" | "mib" => 1024.0 * 1024.0,
            "gi" | "gib" => 1024.0 * 1024.0 * 1024.0,
            "ti" | "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
            _ => bail!(wrong()),
        };
        Ok(Self::Bytes((number * factor) as u64))
    }

    /// In bytes for a storage at this place; nothing where there is no bound, or the disk cannot be asked.
    pub fn bytes(self, graph_root: &Path) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Share(share) => {
                let disk = rustix::fs::statvfs(graph_root).ok()?;
                Some((disk.f_blocks * disk.f_frsize) / 100 * u64::from(share))
            }
            Self::Unbounded => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_sizes_shares_or_none() {
        for (text, expected) in [
            ("20GB", Some(Bound::Bytes(20_000_000_000))),
            ("1.5k", Some(Bound::Bytes(1500))),
            ("512 MiB", Some(Bound::Bytes(512 << 20))),
            ("7", Some(Bound::Bytes(7))),
            ("10%", Some(Bound::Share(10))),
            ("all", Some(Bound::Unbounded)),
            ("101%", None),
            ("GB", None),
            ("5 parsec", None),
        ] {
            assert_eq!(Bound::parse(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_share_is_of_the_disk_that_the_storage_is_on() {
        let all = Bound::Share(100).bytes(Path::new("/")).unwrap();
        let half = Bound::Share(50).bytes(Path::new("/")).unwrap();
        assert!(half > 0 && half * 2 <= all);
    }
}
