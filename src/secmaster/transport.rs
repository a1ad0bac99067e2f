//! The way to a server: TLS, proxies, one request and its whole answer.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{DATE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Method, Response};
use url::Url;

use crate::model::endpoint::Endpoint;
use crate::model::reply::{Cause, Silence, Unreadable};

use super::error::{chain, silence, tidy};

/// The longest body that is read, decoded: a page of a hundred workflows with the longest names and
/// descriptions is below 2 MiB.
const LONGEST_BODY: usize = 4 << 20;
/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Whom a server is believed by, and by which way it is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// PEM certificates that are believed besides those of the system.
    pub ca: Option<Arc<[u8]>>,
    /// The proxy; otherwise the environment's (`HTTPS_PROXY`, `NO_PROXY` ...).
    pub proxy: Option<Url>,
}

/// Which HTTP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http {
    /// HTTP/2 where TLS negotiates it, else HTTP/1.1.
    Negotiated,
    /// HTTP/2 from the first byte, as a server without TLS needs it.
    Two,
}

/// The HTTP client could not be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the HTTP client could not be set up: {0}")]
pub struct SetUp(String);

/// The way to one server.
#[derive(Clone, Debug)]
pub struct Transport {
    http: reqwest::Client,
    via: Option<Arc<str>>,
}

/// A request, ready to leave.
#[derive(Debug)]
pub struct Parcel {
    /// How.
    pub method: Method,
    /// Whereto.
    pub url: Url,
    /// Besides those that HTTP itself needs.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Byte for byte.
    pub body: Vec<u8>,
}

/// An answer, whatever it says.
#[derive(Debug)]
pub struct Received {
    /// The status code.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// The body, decoded, or why there is none.
    pub body: Result<Vec<u8>, Unreadable>,
}

impl Transport {
    /// A way to `endpoint`.
    ///
    /// # Errors
    /// TLS could not be set up, for example for want of root certificates.
    pub fn new(endpoint: &Endpoint, trust: &Trust, http: Http) -> Result<Self, SetUp> {
        let set_up = |error: reqwest::Error| SetUp(chain(&error));
        let mut builder = plain()
            .https_only(endpoint.url().scheme() == "https")
            .tls_version_min(reqwest::tls::Version::TLS_1_2);
        let mut believed = Vec::new();
        if let Some(pem) = &trust.ca {
            believed = Certificate::from_pem_bundle(pem).map_err(set_up)?;
        }
        builder = match endpoint.is_loopback() {
            // What stays on this machine needs neither a proxy nor the system's certificates.
            true => builder.no_proxy().tls_certs_only(believed),
            false => builder.tls_certs_merge(believed),
        };
        let mut via = None;
        if !endpoint.is_loopback() {
            via = match &trust.proxy {
                Some(proxy) => {
                    builder = builder.proxy(reqwest::Proxy::all(proxy.as_str()).map_err(set_up)?);
                    Some(place(proxy.host_str(), proxy.port_or_known_default()))
                }
                None => environment_proxy(endpoint),
            };
        }
        if http == Http::Two {
            builder = builder.http2_prior_knowledge();
        }
        Ok(Self {
            http: builder.build().map_err(set_up)?,
            via: via.map(Arc::from),
        })
    }

    /// How many certificates `pem` holds.
    ///
    /// # Errors
    /// One of them is none.
    pub fn certificates(pem: &[u8]) -> Result<usize, SetUp> {
        let certificates = Certificate::from_pem_bundle(pem);
        let certificates = certificates.map_err(|error| SetUp(chain(&error)))?;
        Ok(certificates.len())
    }

    /// A way to a server of this machine or of its host, in the clear and past any proxy.
    ///
    /// # Errors
    /// The HTTP client could not be set up.
    pub(super) fn plain() -> Result<Self, SetUp> {
        let builder = plain().no_proxy().tls_certs_only([]);
        Ok(Self {
            http: builder.build().map_err(|error| SetUp(chain(&error)))?,
            via: None,
        })
    }

    /// The proxy on the way, if there is one: host and port.
    pub fn via(&self) -> Option<&str> {
        self.via.as_deref()
    }

    /// Sends `parcel` once and waits `timeout` for the whole answer.
    ///
    /// # Errors
    /// There was none.
    pub async fn send(&self, parcel: Parcel, timeout: Duration) -> Result<Received, Silence> {
        let mut request = self.http.request(parcel.method, parcel.url);
        for (name, value) in parcel.headers {
            request = request.header(name, value);
        }
        let exchange = async {
            let mut response = request.body(parcel.body).send().await.map_err(silence)?;
            Ok(Received {
                status: response.status().as_u16(),
                headers: std::mem::take(response.headers_mut()),
                body: read(&mut response).await,
            })
        };
        let received = match tokio::time::timeout(timeout, exchange).await {
            Ok(received) => received,
            Err(_elapsed) => Err(Silence::timed_out(timeout)),
        };
        received.map_err(|silence: Silence| match (&self.via, silence.cause) {
            (Some(via), Cause::Dns | Cause::Connect | Cause::Lost | Cause::TimedOut) => Silence {
                detail: format!("{} (through the proxy {via})", silence.detail),
                ..silence
            },
            (None, _)
            | (
                Some(_),
                Cause::Tls
                | Cause::Unsendable
                | Cause::NoCredential
                | Cause::NoProject
                | Cause::CredentialLate,
            ) => silence,
        })
    }
}

fn plain() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("flowbatch/", env!("CARGO_PKG_VERSION")))
        // A redirect would carry X-Auth-Token to another host.
        .redirect(reqwest::redirect::Policy::none())
        // The schedule alone sends again: its record would miss a resend in here.
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
}

/// The proxy that the environment names for `endpoint`, found as the HTTP client itself finds it.
fn environment_proxy(endpoint: &Endpoint) -> Option<String> {
    let uri = endpoint.as_str().parse().ok()?;
    let intercept = Matcher::from_env().intercept(&uri)?;
    let proxy = intercept.uri();
    Some(place(proxy.host(), proxy.port_u16()))
}

fn place(host: Option<&str>, port: Option<u16>) -> String {
    let host = host.unwrap_or_default();
    match port {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Reads the body, up to the cap.
async fn read(response: &mut Response) -> Result<Vec<u8>, Unreadable> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > LONGEST_BODY => {
                return Err(Unreadable::TooLarge);
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(_) => return Err(Unreadable::Truncated),
        }
    }
}

impl Received {
    /// The header `name` as text, if it says anything.
    pub fn text(&self, name: &str) -> Option<String> {
        let value = self.headers.get(name)?.to_str().ok()?;
        Some(tidy(value)).filter(|text| !text.is_empty())
    }

    /// What the server's clock said.
    pub fn served_at(&self) -> Option<Timestamp> {
        let date = self.headers.get(DATE)?.to_str().ok()?;
        rfc2822::DateTimeParser::new().parse_timestamp(date).ok()
    }
}

/// The time of day, for signatures and for what ends.
#[expect(
    clippy::disallowed_methods,
    reason = "requests are signed when they leave, by the wall clock"
)]
pub(super) fn wall() -> Timestamp {
    Timestamp::now()
}
