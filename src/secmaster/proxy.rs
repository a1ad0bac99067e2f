//! Which proxy leads to a service: decided once, from the environment or a profile.
//!
//! The rules are those of curl(1), "Environment": `HTTPS_PROXY`, else `ALL_PROXY`, unless `NO_PROXY` names the
//! host. Either case of the name counts, and an empty variable is no variable.

use std::ffi::OsString;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::HeaderValue;
use ipnet::IpNet;
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use crate::model::endpoint::Endpoint;

/// A proxy on the way to a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Its scheme, host and port.
    url: Url,
    /// User and password, as the header `Proxy-Authorization` has them.
    authorization: Option<HeaderValue>,
}

/// Why a variable names no usable proxy. The value may hold a password and is not part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyFault {
    /// A shell or a unit file left its quotes in the value.
    #[error("{variable} holds quotes: write the value without them")]
    Quotes {
        /// The name of the variable.
        variable: &'static str,
    },
    /// Neither `http` nor `https`.
    #[error(
        "{variable} names a proxy that is reached by {scheme}: only http:// and https:// proxies can be used"
    )]
    Scheme {
        /// The name of the variable.
        variable: &'static str,
        /// As it is written.
        scheme: String,
    },
    /// No host, a wrong port, bytes that are no text.
    #[error("{variable} is not the URL of a proxy: write http://HOST:PORT")]
    Shape {
        /// The name of the variable.
        variable: &'static str,
    },
}

const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const EXCEPTIONS: [&str; 2] = ["NO_PROXY", "no_proxy"];

impl Proxy {
    /// The proxy to `endpoint`: `named` by a profile, else the one that the environment names. Nothing on this
    /// machine is reached by a proxy.
    ///
    /// # Errors
    /// A variable that decides cannot be used.
    pub fn for_endpoint(
        endpoint: &Endpoint,
        named: Option<&Url>,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Option<Self>, ProxyFault> {
        if endpoint.is_loopback() {
            return Ok(None);
        }
        if let Some(url) = named {
            return Ok(Some(Self {
                url: url.clone(),
                authorization: None,
            }));
        }
        let Some((variable, proxy)) = set_variable(&PROXIES, &environment)? else {
            return Ok(None);
        };
        if let Some((_, exceptions)) = set_variable(&EXCEPTIONS, &environment)?
            && is_excepted(endpoint.url(), &exceptions)
        {
            return Ok(None);
        }
        Self::parse(variable, &proxy).map(Some)
    }

    fn parse(variable: &'static str, text: &str) -> Result<Self, ProxyFault> {
        let shape = || ProxyFault::Shape { variable };
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let scheme = scheme.to_ascii_lowercase();
        if !matches!(scheme.as_str(), "http" | "https") {
            let is_scheme = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
            return Err(match is_scheme {
                true => ProxyFault::Scheme { variable, scheme },
                false => shape(),
            });
        }
        // A password may hold an @ of its own.
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, rest),
        };
        let url = Url::parse(&format!("{scheme}://{place}")).map_err(|_| shape())?;
        // What is no URI to the HTTP client would mean going direct.
        let is_uri = url.as_str().parse::<http::Uri>().is_ok();
        let has_host = url.host_str().is_some_and(|host| !host.is_empty());
        if !is_uri || !has_host || url.path() != "/" || url.query().is_some() {
            return Err(shape());
        }
        let authorization = user.map(basic).transpose().map_err(|()| shape())?;
        Ok(Self { url, authorization })
    }

    /// Its URL, without user and password.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// What `Proxy-Authorization` is to say.
    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }

    /// Its host and port.
    pub fn address(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or_default();
        format!("{host}:{port}")
    }
}

/// `user:password`, percent-encoded where need be, for the scheme Basic (RFC 7617).
fn basic(user: &str) -> Result<HeaderValue, ()> {
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let [name, password] =
        [name, password].map(|text| percent_decode_str(text).decode_utf8_lossy());
    let encoded = STANDARD.encode(format!("{name}:{password}"));
    let mut value = HeaderValue::try_from(format!("Basic {encoded}")).map_err(|_| ())?;
    value.set_sensitive(true);
    Ok(value)
}

/// The first of `names` that is set and not empty, with its value.
fn set_variable(
    names: &[&'static str],
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<(&'static str, String)>, ProxyFault> {
    for &variable in names {
        let Some(value) = environment(variable) else {
            continue;
        };
        let Ok(text) = value.into_string() else {
            return Err(ProxyFault::Shape { variable });
        };
        let text = text.trim();
        let quotes = ['"', '\'', '\u{201c}', '\u{201d}'];
        if text.starts_with(quotes) || text.ends_with(quotes) {
            return Err(ProxyFault::Quotes { variable });
        }
        if !text.is_empty() {
            return Ok(Some((variable, text.to_owned())));
        }
    }
    Ok(None)
}

/// Whether the list `exceptions` names the host of `url`.
fn is_excepted(url: &Url, exceptions: &str) -> bool {
    let mut entries = exceptions.split([',', ' ', '\t']);
    entries.any(|entry| !entry.is_empty() && names_host(entry, url))
}

/// Whether `entry` names the host of `url`: `*`, an address, a network, a domain with all below it (`x` or
/// `.x`), or only what is below it (`*.x`); each with a port or for all ports.
fn names_host(entry: &str, url: &Url) -> bool {
    if entry == "*" {
        return true;
    }
    let (entry, port) = split_port(entry);
    if port.is_some() && port != url.port_or_known_default() {
        return false;
    }
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(domain)) => return is_below(domain, entry),
        None => return false,
    };
    let bare = entry.trim_matches(['[', ']']);
    match (bare.parse::<IpAddr>(), bare.parse::<IpNet>()) {
        (Ok(named), _) => named == address,
        (_, Ok(network)) => network.contains(&address),
        (Err(_), Err(_)) => false,
    }
}

fn is_below(domain: &str, entry: &str) -> bool {
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    let entry = entry.trim_end_matches('.').to_ascii_lowercase();
    let (entry, only_below) = match entry.strip_prefix("*.") {
        Some(rest) => (rest, true),
        None => (entry.trim_start_matches('.'), false),
    };
    match domain.strip_suffix(entry) {
        Some("") => !only_below && !entry.is_empty(),
        Some(before) => !entry.is_empty() && before.ends_with('.'),
        None => false,
    }
}

/// `host:443` in its parts; the colons of an IPv6 address are no port's.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    match entry.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (entry, None),
        },
        Some(_) | None => (entry, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(endpoint: &str, variables: &[(&str, &str)]) -> Result<Option<Proxy>, ProxyFault> {
        let endpoint = Endpoint::parse(endpoint).unwrap();
        Proxy::for_endpoint(&endpoint, None, |name| {
            let variable = variables.iter().find(|(set, _)| *set == name);
            variable.map(|(_, value)| OsString::from(value))
        })
    }

    fn address(endpoint: &str, variables: &[(&str, &str)]) -> Option<String> {
        decide(endpoint, variables)
            .unwrap()
            .map(|proxy| proxy.address())
    }

    #[test]
    fn the_first_variable_that_is_set_and_not_empty_names_the_proxy() {
        let p = |text: &'static str| Some(text.to_owned());
        for (variables, expected) in [
            (&[][..], None),
            (&[("HTTPS_PROXY", "http://p:3128")], p("p:3128")),
            (&[("https_proxy", "p:3128")], p("p:3128")),
            (&[("HTTPS_PROXY", ""), ("https_proxy", "p")], p("p:80")),
            (
                &[("HTTPS_PROXY", " "), ("ALL_PROXY", "https://q/")],
                p("q:443"),
            ),
            (&[("HTTP_PROXY", "http://p:3128")], None),
            (&[("HTTPS_PROXY", "HTTP://[::1]:3128")], p("[::1]:3128")),
        ] {
            assert_eq!(
                address("https://host", variables),
                expected,
                "{variables:?}"
            );
        }
    }

    #[test]
    fn a_value_that_names_no_proxy_is_an_error_with_its_variable_and_without_its_password() {
        for (value, said) in [
            (
                "\"http://u:canary@p:3128\"",
                "HTTPS_PROXY holds quotes: write the value without them",
            ),
            (
                "'p'",
                "HTTPS_PROXY holds quotes: write the value without them",
            ),
            (
                "socks5://u:canary@p",
                "HTTPS_PROXY names a proxy that is reached by socks5: only http:// and https:// proxies can be used",
            ),
            (
                "http://",
                "HTTPS_PROXY is not the URL of a proxy: write http://HOST:PORT",
            ),
            (
                "http://p:99999",
                "HTTPS_PROXY is not the URL of a proxy: write http://HOST:PORT",
            ),
            (
                "http://${PROXY_HOST}:3128",
                "HTTPS_PROXY is not the URL of a proxy: write http://HOST:PORT",
            ),
            (
                "u:canary://p",
                "HTTPS_PROXY is not the URL of a proxy: write http://HOST:PORT",
            ),
            (
                "http://p/path",
                "HTTPS_PROXY is not the URL of a proxy: write http://HOST:PORT",
            ),
        ] {
            let fault = decide("https://host", &[("HTTPS_PROXY", value)]).unwrap_err();
            assert_eq!(fault.to_string(), said, "{value}");
        }
        let quoted = [("HTTPS_PROXY", "p"), ("NO_PROXY", "\"host\"")];
        let fault = decide("https://host", &quoted).unwrap_err();
        assert_eq!(
            fault.to_string(),
            "NO_PROXY holds quotes: write the value without them"
        );
    }

    #[test]
    fn the_last_at_sign_ends_user_and_password() {
        for (value, user) in [
            ("http://u:p@ss@p:1", "u:p@ss"),
            ("u:p%40ss@p:1", "u:p@ss"),
            ("http://u:p#/?w@p:1", "u:p#/?w"),
            ("http://u@p:1", "u:"),
            ("http://u:100%@p:1", "u:100%"),
            ("http://u:it's@p:1", "u:it's"),
        ] {
            let proxy = decide("https://host", &[("HTTPS_PROXY", value)])
                .unwrap()
                .unwrap();
            assert_eq!(proxy.address(), "p:1");
            let expected = format!("Basic {}", STANDARD.encode(user));
            assert_eq!(proxy.authorization.unwrap(), expected, "{value}");
            assert!(!proxy.url.as_str().contains('@'));
        }
    }

    #[test]
    fn no_proxy_names_hosts_domains_networks_and_ports() {
        let direct = |endpoint: &str, list: &str| {
            address(endpoint, &[("HTTPS_PROXY", "p"), ("NO_PROXY", list)]).is_none()
        };
        for (endpoint, list, expected) in [
            ("https://a.x.com", "x.com", true),
            ("https://x.com", "x.com", true),
            ("https://x.com", ".x.com", true),
            ("https://a.X.com", "*.x.COM", true),
            ("https://x.com", "*.x.com", false),
            ("https://ax.com", "x.com", false),
            ("https://a.x.com", "b.com, a.x.com:443", true),
            ("https://a.x.com:8443", "a.x.com:443", false),
            ("https://a.x.com:8443", "b.com x.com:8443", true),
            ("https://a.x.com", "*", true),
            ("https://10.1.2.3", "10.0.0.0/8", true),
            ("https://10.1.2.3", "10.1.2.3", true),
            ("https://11.1.2.3", "10.0.0.0/8", false),
            ("https://[fe80::1]", "[fe80::1]:443", true),
            ("https://[fe80::1]", "fe80::1", true),
            ("https://[fe80::1]", "fe80::/10", true),
            ("https://a.x.com", ".", false),
            ("https://a.x.com", "", false),
        ] {
            assert_eq!(direct(endpoint, list), expected, "{endpoint} {list}");
        }
    }

    #[test]
    fn this_machine_is_reached_without_a_proxy_and_a_profile_comes_first() {
        let proxy = [("HTTPS_PROXY", "\"p\"")];
        assert_eq!(address("http://127.0.0.1:1", &proxy), None);
        let endpoint = Endpoint::parse("https://host").unwrap();
        let named = Url::parse("http://q:1").unwrap();
        let chosen = Proxy::for_endpoint(&endpoint, Some(&named), |_| Some("\"".into()));
        assert_eq!(chosen.unwrap().unwrap().address(), "q:1");
    }
}
