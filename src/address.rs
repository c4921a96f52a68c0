//! What an address is for those who read it: without its password, and never an option of a program.

/// A text with the credentials of all addresses in it taken out: `https://user:***@host/`.
///
/// A user without a password is left out as well where the address is one of HTTP: there it is a token as a rule.
pub fn masked(text: &str) -> String {
    String::from_utf8(masked_bytes(text.as_bytes()))
        .expect("what is cut out stands between characters of ASCII")
}

/// [`masked`] for what may not be text.
pub fn masked_bytes(text: &[u8]) -> Vec<u8> {
    const MARK: &[u8] = b"://";
    let mut shown = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(MARK.len()).position(|window| window == MARK) {
        let (before, behind) = rest.split_at(at + MARK.len());
        shown.extend_from_slice(before);
        rest = behind;
        // None of these may stand in credentials.
        let ends = |byte: &u8| {
            b"/?#\\\"<>`|".contains(byte) || byte.is_ascii_whitespace() || byte.is_ascii_control()
        };
        let authority = &behind[..behind.iter().position(ends).unwrap_or(behind.len())];
        if let Some(at) = authority.iter().rposition(|byte| *byte == b'@') {
            let credentials = &authority[..at];
            let scheme = before[..before.len() - MARK.len()].to_ascii_lowercase();
            let is_http = scheme.ends_with(b"http") || scheme.ends_with(b"https");
            match credentials.iter().position(|byte| *byte == b':') {
                Some(colon) => {
                    shown.extend_from_slice(&credentials[..colon]);
                    shown.extend_from_slice(b":***");
                }
                None if is_http && !credentials.is_empty() => shown.extend_from_slice(b"***"),
                None => shown.extend_from_slice(credentials),
            }
            rest = &behind[at..];
        }
    }
    shown.extend_from_slice(rest);
    shown
}

/// A part of an address that a program would take for an option.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{address}: {part} `{text}` begins with a `-`, as an option of git does, and is refused; give it another name"
)]
pub struct Refused {
    address: String,
    part: &'static str,
    text: String,
}

impl Refused {
    /// Refuses a part that begins with a `-`.
    pub(crate) fn unless_operand(address: &str, part: &'static str, text: &str) -> Result<(), Self> {
        if !text.starts_with('-') {
            return Ok(());
        }
        Err(Self { address: masked(address), part, text: masked(text) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn credentials_are_taken_out_of_every_address_in_a_text() {
        for (text, expected) in [
            ("https://u:p@h/f", "https://u:***@h/f"),
            ("https://u:p@ss@h:8/f?q=a@b", "https://u:***@h:8/f?q=a@b"),
            ("https://token@h/f", "https://***@h/f"),
            ("https://:p@h", "https://:***@h"),
            ("ssh://git@h/r", "ssh://git@h/r"),
            ("ssh://git:p@h/r", "ssh://git:***@h/r"),
            ("git@h:r", "git@h:r"),
            ("https://h/a@b", "https://h/a@b"),
            ("ADD http://a:b@h/x HTTPS://c:d@h/y /", "ADD http://a:***@h/x HTTPS://c:***@h/y /"),
            (
                "fatal: unable to access 'https://u:p@h/r.git/': no",
                "fatal: unable to access 'https://u:***@h/r.git/': no",
            ),
            ("http://u:é@h http", "http://u:***@h http"),
            ("HTTPS://token@h/", "HTTPS://***@h/"),
            (r#"ADD ["https://h","x@y"]"#, r#"ADD ["https://h","x@y"]"#),
            ("://@", "://@"),
            ("plain", "plain"),
        ] {
            assert_eq!(masked(text), expected, "{text}");
            assert_eq!(masked(expected), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_password_is_left(before in "[ a-z:/@]{0,8}", user in "[a-z]{0,4}", after in "\\PC{0,12}") {
            let text = format!("{before}https://{user}:PASSWORD@{after}");
            prop_assert!(!masked(&text).contains("PASSWORD"), "{text}");
        }
    }
}
