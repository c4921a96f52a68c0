//! Headers of an archive, written as Go's archive/tar writes them, which the engines use.

/// A number as a header has it: octal digits and a zero.
pub(super) fn number(field: &mut [u8], value: u64) -> Option<()> {
    let digits = field.len() - 1;
    let text = format!("{value:0digits$o}\0");
    (text.len() == field.len()).then(|| field.copy_from_slice(text.as_bytes()))
}

/// Writes a header's checksum (POSIX ustar).
pub(super) fn seal(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().copied().map(u32::from).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// A name in the two fields of a header, as Go's archive/tar divides it; nothing where it needs further headers.
pub(super) fn in_fields(name: &str) -> Option<(&str, &str)> {
    const NAME: usize = 100;
    const FOLDER: usize = 155;
    if !name.is_ascii() {
        return None;
    }
    if name.len() <= NAME {
        return Some(("", name));
    }
    let most =
        if name.len() > FOLDER + 1 { FOLDER + 1 } else { name.len() - usize::from(name.ends_with('/')) };
    let at = name[..most].rfind('/')?;
    let (folder, rest) = (&name[..at], &name[at + 1..]);
    let fits = !folder.is_empty() && folder.len() <= FOLDER && !rest.is_empty() && rest.len() <= NAME;
    fits.then_some((folder, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::layer::octal;

    #[test]
    fn a_long_name_is_divided_at_a_slash_as_go_does_it() {
        let (long, longer) = ("d".repeat(90), "e".repeat(120));
        for (name, expected) in [
            ("a/b".to_owned(), Some((String::new(), "a/b".to_owned()))),
            ("x".repeat(100), Some((String::new(), "x".repeat(100)))),
            ("x".repeat(101), None),
            (format!("{long}/{long}"), Some((long.clone(), long.clone()))),
            (format!("{long}/d/{long}"), Some((format!("{long}/d"), long.clone()))),
            (format!("{long}/{long}/"), Some((long.clone(), format!("{long}/")))),
            (format!("{longer}/{longer}"), None),
            (format!("/{longer}"), None),
            ("é".to_owned(), None),
        ] {
            let found = in_fields(&name).map(|(folder, name)| (folder.to_owned(), name.to_owned()));
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn a_number_that_has_no_place_in_a_header_is_none() {
        let mut field = [1; 12];
        assert_eq!(number(&mut field, 0o17), Some(()));
        assert_eq!(&field, b"00000000017\0");
        assert_eq!(number(&mut field, 1 << 33), None);
        assert_eq!(number(&mut field, (1 << 33) - 1), Some(()));
        assert_eq!(&field, b"77777777777\0");
    }

    #[test]
    fn the_checksum_of_a_header_is_that_of_tar() {
        let mut header = tar::Header::new_ustar();
        header.set_path("a/f").unwrap();
        header.set_size(3);
        header.set_mode(0o644);
        header.set_cksum();
        let mut sealed = *header.as_bytes();
        sealed[148..156].fill(b'x');
        seal(&mut sealed);
        assert_eq!(octal(&sealed[148..156]), Some(header.cksum().unwrap().into()));
    }
}
