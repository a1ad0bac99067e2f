//! The base URL of a service.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// The base URL of a service: `https://`, or `http://` to a literal loopback address; no
/// credentials, query or fragment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint(Url);

/// Why a text is no [`Endpoint`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointFault {
    /// A host alone.
    #[error("the endpoint has no https:// before it")]
    NoScheme,
    /// No URL at all.
    #[error("not a URL: {0}")]
    Shape(url::ParseError),
    /// Neither https nor http.
    #[error("the endpoint is neither https:// nor http://")]
    Scheme,
    /// `http://` to anything but a literal loopback address: the token would travel in the clear.
    #[error("http:// to {0} would send the credential in the clear")]
    Plain(String),
    /// A user or password in the URL.
    #[error("the endpoint holds a user name or password")]
    Credentials,
    /// A query or a fragment.
    #[error("the endpoint holds a query or fragment")]
    Extra,
}

/// How an endpoint is written, for hints.
pub const HINT: &str = "write https://secmaster.REGION.myhuaweicloud.com, or give the region; \
                        http:// is for 127.0.0.1 and [::1] only";

impl Endpoint {
    /// The endpoint in `text`.
    ///
    /// # Errors
    /// Names the first rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, EndpointFault> {
        if !text.contains("://") {
            return Err(EndpointFault::NoScheme);
        }
        let url = Url::parse(text.trim()).map_err(EndpointFault::Shape)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointFault::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(EndpointFault::Extra);
        }
        match url.scheme() {
            "https" if url.host().is_some() => {}
            "http" if loopback(&url).is_some() => {}
            "http" => {
                let host = url.host_str().unwrap_or_default().to_owned();
                return Err(EndpointFault::Plain(host));
            }
            _ => return Err(EndpointFault::Scheme),
        }
        Ok(Self(url))
    }

    /// The URL, without a slash at its end.
    pub fn as_str(&self) -> &str {
        self.0.as_str().trim_end_matches('/')
    }

    /// Whether requests never leave this machine.
    pub fn is_loopback(&self) -> bool {
        loopback(&self.0).is_some()
    }

    /// The URL itself.
    pub fn url(&self) -> &Url {
        &self.0
    }
}

fn loopback(url: &Url) -> Option<IpAddr> {
    let address = match url.host()? {
        Host::Ipv4(v4) => IpAddr::V4(v4),
        Host::Ipv6(v6) => IpAddr::V6(v6),
        // A name may resolve to anywhere, even `localhost`.
        Host::Domain(_) => return None,
    };
    Some(address).filter(IpAddr::is_loopback)
}

impl TryFrom<String> for Endpoint {
    type Error = EndpointFault;
    fn try_from(text: String) -> Result<Self, EndpointFault> {
        Self::parse(&text)
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.as_str().to_owned()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_https_or_literal_loopback() {
        for text in [
            "https://secmaster.cn-north-4.myhuaweicloud.com/",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
            "https://proxy.example/secmaster",
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!(endpoint.as_str(), text.trim_end_matches('/'));
        }
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        for (text, fault) in [
            (
                "http://secmaster.example",
                EndpointFault::Plain("secmaster.example".into()),
            ),
            (
                "http://localhost:80",
                EndpointFault::Plain("localhost".into()),
            ),
            ("http://10.0.0.1", EndpointFault::Plain("10.0.0.1".into())),
            ("https://me:secret@host", EndpointFault::Credentials),
            ("https://host/?a=b", EndpointFault::Extra),
            ("ftp://host", EndpointFault::Scheme),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap_err(), fault, "{text}");
        }
        for text in ["host", "127.0.0.1:8080"] {
            assert_eq!(Endpoint::parse(text), Err(EndpointFault::NoScheme));
        }
        assert!(matches!(
            Endpoint::parse("https://"),
            Err(EndpointFault::Shape(_))
        ));
    }
}
