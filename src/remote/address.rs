//! What an address is for those who read it: without its password, and never an option of a program.

/// A text with the credentials of all addresses in it taken out: `https://user:***@host/`.
///
/// A user without a password is left out as well where the address is one of HTTP: there it is a token as a rule.
pub fn masked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let ends = |c: char| matches!(c, '/' | '?' | '#' | '\\') || c.is_whitespace() || c.is_control();
        let authority = &behind[..behind.find(ends).unwrap_or(behind.len())];
        rest = behind;
        if let Some(at) = authority.rfind('@') {
            let (user, password) =
                authority[..at].split_once(':').map_or((&authority[..at], None), |(u, p)| (u, Some(p)));
            let is_http = before.ends_with("http") || before.ends_with("https");
            match password {
                Some(_) => {
                    shown.push_str(user);
                    shown.push_str(":***");
                }
                None if is_http && !user.is_empty() => shown.push_str("***"),
                None => shown.push_str(user),
            }
            rest = &behind[at..];
        }
    }
    shown.push_str(rest);
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
    pub(super) fn unless_operand(address: &str, part: &'static str, text: &str) -> Result<(), Self> {
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
