//! Which proxy a request goes through, by `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`.
//!
//! The rules are those of Go's `httpproxy`, with which the engines fetch the same addresses; `all_proxy` is curl's, and comes
//! last. ureq itself would take one proxy for all, and ask it for a tunnel also to port 80, which many refuse.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ureq::http::Uri;
use ureq::http::uri::{PathAndQuery, Scheme};

/// The proxies of an environment.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    http: Option<String>,
    https: Option<String>,
    except: Vec<String>,
}

/// How a request gets to its server.
#[derive(Debug)]
pub(super) enum Way {
    /// By itself.
    Direct,
    /// Through a tunnel that the proxy opens.
    Tunnel(ureq::Proxy),
    /// The proxy is asked for the address.
    Forward {
        /// The proxy's own address with the server's path.
        uri: Uri,
        /// What goes in front of the path.
        server: String,
        /// What the proxy's address has of credentials.
        authorization: Option<String>,
    },
}

impl Proxies {
    /// The proxies that these variables name.
    pub fn of(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let value = |name: &str| {
            let names = [name.to_uppercase(), name.to_lowercase()];
            names.iter().find_map(|name| variable(name).filter(|value| !value.trim().is_empty()))
        };
        let all = value("all_proxy");
        let except = value("no_proxy").unwrap_or_default();
        Self {
            http: value("http_proxy").or_else(|| all.clone()),
            https: value("https_proxy").or(all),
            except: except.split(',').map(|entry| entry.trim().to_lowercase()).collect(),
        }
    }

    /// The way to a server.
    ///
    /// # Errors
    /// When the proxy is no address.
    pub(super) fn to(&self, uri: &Uri) -> Result<Way, String> {
        let is_http = uri.scheme() == Some(&Scheme::HTTP);
        let proxy = if is_http { &self.http } else { &self.https };
        let Some(proxy) = proxy.as_deref().filter(|_| !self.excepts(uri)) else { return Ok(Way::Direct) };
        // It may have a password, which is nobody's business.
        let wrong =
            || format!("the proxy in {}_proxy is not an address", if is_http { "http" } else { "https" });
        let with_scheme = if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") };
        let proxy: Uri = with_scheme.parse().map_err(|_| wrong())?;
        if !is_http || !matches!(proxy.scheme_str(), Some("http" | "https")) {
            return ureq::Proxy::new(&with_scheme).map(Way::Tunnel).map_err(|_| wrong());
        }
        let (Some(authority), Some(server)) = (proxy.authority(), uri.authority()) else {
            return Err(wrong());
        };
        let (credentials, host) = split(authority.as_str());
        let asked = Uri::builder().scheme(proxy.scheme_str().unwrap_or("http")).authority(host);
        let asked = asked.path_and_query(uri.path_and_query().map_or("/", PathAndQuery::as_str)).build();
        Ok(Way::Forward {
            uri: asked.map_err(|_| wrong())?,
            server: format!("http://{}", split(server.as_str()).1),
            authorization: credentials.map(basic),
        })
    }

    /// Whether this server is asked without a proxy.
    fn excepts(&self, uri: &Uri) -> bool {
        let host =
            uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_lowercase();
        let ip: Option<IpAddr> = host.parse().ok();
        if host == "localhost" || ip.is_some_and(|ip| ip.is_loopback()) {
            return true;
        }
        let port = uri.port_u16().unwrap_or(if uri.scheme() == Some(&Scheme::HTTP) { 80 } else { 443 });
        self.except.iter().any(|entry| is_meant(entry, &host, ip, port))
    }
}

/// Whether an entry of `no_proxy` means this server.
fn is_meant(entry: &str, host: &str, ip: Option<IpAddr>, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let Some((network, bits)) = entry.split_once('/') {
        let (Ok(network), Ok(bits), Some(ip)) = (network.parse(), bits.parse(), ip) else { return false };
        return lies_in(ip, network, bits);
    }
    let (name, of_port) = match entry.rsplit_once(':') {
        Some((name, digits)) if !name.contains(':') || name.ends_with(']') => (name, digits.parse().ok()),
        _ => (entry, None),
    };
    if of_port.is_some_and(|of_port: u16| of_port != port) {
        return false;
    }
    let name = name.trim_start_matches('[').trim_end_matches(']');
    if let Ok(other) = name.parse::<IpAddr>() {
        return ip == Some(other);
    }
    let name = name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(name);
    match name.strip_prefix('.') {
        Some("") => false,
        Some(_) => host.ends_with(name),
        None if name.is_empty() => false,
        None => host == name || host.strip_suffix(name).is_some_and(|front| front.ends_with('.')),
    }
}

fn lies_in(ip: IpAddr, network: IpAddr, bits: u32) -> bool {
    let (one, other, width) = match (ip, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return false,
    };
    bits <= width && (one ^ other).checked_shr(width - bits).unwrap_or(0) == 0
}

/// Credentials and host of an authority.
pub(super) fn split(authority: &str) -> (Option<&str>, &str) {
    authority.rsplit_once('@').map_or((None, authority), |(credentials, host)| (Some(credentials), host))
}

/// Credentials of an address as a header.
pub(super) fn basic(credentials: &str) -> String {
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let text = [unescaped(user), b":".to_vec(), unescaped(password)].concat();
    format!("Basic {}", STANDARD.encode(text))
}

/// A text without its `%41`.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let digits =
            behind.get(..2).filter(|digits| first == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::of(&|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn way(proxies: &Proxies, address: &str) -> String {
        match proxies.to(&address.parse().unwrap()) {
            Ok(Way::Direct) => "direct".into(),
            Ok(Way::Tunnel(proxy)) => format!("tunnel {}:{}", proxy.host(), proxy.port()),
            Ok(Way::Forward { uri, server, authorization }) => {
                format!("{uri} {server} {}", authorization.unwrap_or_default()).trim().to_owned()
            }
            Err(problem) => problem,
        }
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        let both = proxies(&[("http_proxy", "p1:1"), ("https_proxy", "http://p2:2"), ("all_proxy", "p3:3")]);
        assert_eq!(way(&both, "http://h/f?q"), "http://p1:1/f?q http://h");
        assert_eq!(way(&both, "https://h/f"), "tunnel p2:2");
        let one = proxies(&[("HTTP_PROXY", "p1:1")]);
        assert_eq!(way(&one, "https://h/f"), "direct");
        let socks = proxies(&[("all_proxy", "socks5://p:9")]);
        assert_eq!(way(&socks, "http://h/f"), "tunnel p:9");
        assert_eq!(way(&proxies(&[]), "http://h/f"), "direct");
    }

    #[test]
    fn credentials_go_to_whom_they_are_for() {
        let known = proxies(&[("http_proxy", "http://a:b%40@p:1")]);
        assert_eq!(way(&known, "http://c:d@h/f"), "http://p:1/f http://h Basic YTpiQA==");
        let wrong = proxies(&[("http_proxy", "http://a:secret@p q/")]);
        assert_eq!(way(&wrong, "http://h/"), "the proxy in http_proxy is not an address");
    }

    #[test]
    fn exceptions_are_read_as_go_reads_them() {
        for (entries, address, expected) in [
            ("", "http://localhost/", true),
            ("", "http://127.0.0.2/", true),
            ("", "http://[::1]/", true),
            ("", "http://h/", false),
            ("*", "http://h/", true),
            ("a.org, h", "http://h/", true),
            ("a.org", "http://x.A.org/", true),
            ("a.org", "http://xa.org/", false),
            (".a.org", "http://x.a.org/", true),
            (".a.org", "http://a.org/", false),
            ("*.a.org", "http://x.a.org/", true),
            ("h:81", "http://h:81/", true),
            ("h:81", "http://h/", false),
            ("h:443", "https://h/", true),
            ("10.0.0.0/8", "http://10.1.2.3/", true),
            ("10.0.0.0/8", "http://11.1.2.3/", false),
            ("0.0.0.0/0", "http://11.1.2.3/", true),
            ("10.0.0.0/99", "http://10.0.0.0/", false),
            ("fd00::/8", "http://[fd01::1]/", true),
            ("fd01::1", "http://[fd01::1]/", true),
            ("[fd01::1]:80", "http://[fd01::1]/", true),
            ("10.1.2.3", "http://10.1.2.3/", true),
            (".,:,/,*.", "http://h/", false),
        ] {
            let proxies = proxies(&[("no_proxy", entries), ("all_proxy", "p:1")]);
            assert_eq!(way(&proxies, address) == "direct", expected, "{entries} {address}");
        }
    }
}
