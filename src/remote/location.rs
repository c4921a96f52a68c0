//! Addresses of HTTP: read as the engines read them, and those that a server sends us to.

use std::fmt::Write as _;

use ureq::http::Uri;

use super::proxy::split;

/// An address of HTTP; what no address may hold as it stands is escaped, as Go does.
pub(super) fn parse(text: &str) -> Option<Uri> {
    let text = text.split('#').next().unwrap_or_default();
    let (scheme, rest) = text.split_once("://")?;
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return None;
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let slash = if path.starts_with('/') { "" } else { "/" };
    let text = format!("{}://{authority}{slash}{}", scheme.to_ascii_lowercase(), escaped(path));
    text.parse().ok().filter(|uri: &Uri| uri.host().is_some_and(|host| !host.is_empty()))
}

fn escaped(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}"); // a String takes everything
        }
    }
    text
}

/// Where a server sends us; its own credentials are for no other server.
pub(super) fn joined(from: &Uri, location: &str) -> Option<Uri> {
    let scheme = from.scheme_str()?;
    let authority = from.authority()?.as_str();
    // A colon before anything else of a path ends a scheme.
    let is_absolute = location.split(['/', '?', '#']).next().is_some_and(|start| start.contains(':'));
    let text = if is_absolute {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else {
        let (path, query) = location.split_at(location.find(['?', '#']).unwrap_or(location.len()));
        let path = match path {
            "" => from.path().to_owned(),
            path if path.starts_with('/') => without_dots(path),
            path => {
                let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
                without_dots(&format!("{folder}/{path}"))
            }
        };
        format!("{scheme}://{authority}{path}{query}")
    };
    let found = parse(&text)?;
    let same = found.scheme() == from.scheme() && found.host() == from.host() && found.port() == from.port();
    if !same || found.authority()?.as_str().contains('@') {
        return Some(found);
    }
    // A server that names itself anew knows us already.
    let mut parts = found.into_parts();
    parts.authority = from.authority().cloned();
    Uri::from_parts(parts).ok()
}

/// The address alone: who asks is said in a header.
pub(super) fn without_credentials(uri: &Uri) -> Uri {
    let mut parts = uri.clone().into_parts();
    let host = parts.authority.as_ref().and_then(|authority| split(authority.as_str()).1.parse().ok());
    parts.authority = host.or(parts.authority);
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

/// A path without `.` and `..` (RFC 3986, 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut is_folder = false;
    for part in path.split('/').skip(1) {
        is_folder = matches!(part, "." | "..");
        match part {
            "." => {}
            ".." => drop(kept.pop()),
            part => kept.push(part),
        }
    }
    let end = if is_folder && !kept.is_empty() { "/" } else { "" };
    format!("/{}{end}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_is_read_as_it_is_meant() {
        for (text, expected) in [
            ("http://h", Some("http://h/")),
            ("HTTPS://h:8/a?b=c#d", Some("https://h:8/a?b=c")),
            ("http://h?q", Some("http://h/?q")),
            ("http://h/g[1-50]", Some("http://h/g[1-50]")),
            ("http://h/{a,b}", Some("http://h/%7Ba,b%7D")),
            ("http://h/a b/é", Some("http://h/a%20b/%C3%A9")),
            ("http://h/%20", Some("http://h/%20")),
            ("http://u:p@[::1]:8/", Some("http://u:p@[::1]:8/")),
            ("ftp://h/", None),
            ("http:///f", None),
            ("http://a b/", None),
            ("h/f", None),
        ] {
            assert_eq!(parse(text).map(|uri| uri.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_server_sends_us_on_from_where_we_are() {
        let from = parse("http://u:p@h:8/a/b?q").unwrap();
        for (location, expected) in [
            ("/c", Some("http://u:p@h:8/c")),
            ("c?x", Some("http://u:p@h:8/a/c?x")),
            ("../../../c", Some("http://u:p@h:8/c")),
            ("./", Some("http://u:p@h:8/a/")),
            ("?x", Some("http://u:p@h:8/a/b?x")),
            ("//other/c", Some("http://other/c")),
            ("https://h:8/c", Some("https://h:8/c")),
            ("http://h:8/c", Some("http://u:p@h:8/c")),
            ("http://h:9/c", Some("http://h:9/c")),
            ("http://v:q@h:8/c", Some("http://v:q@h:8/c")),
            ("file:///etc/passwd", None),
            ("mailto:x", None),
        ] {
            assert_eq!(joined(&from, location).map(|uri| uri.to_string()).as_deref(), expected, "{location}");
        }
    }

    proptest! {
        #[test]
        fn no_location_panics(from in "https?://[a-z]{1,3}(/\\PC{0,6})?", location in "\\PC{0,12}") {
            if let Some(from) = parse(&from) {
                let _ = joined(&from, &location);
            }
        }
    }
}
