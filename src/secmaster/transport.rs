//! The way to a server: one request and its whole answer, by reqwest.

use std::error::Error;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Method;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, DATE, HeaderMap, HeaderValue};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;
use reqwest::{Certificate, redirect, retry};
use url::Url;

use crate::model::endpoint::Endpoint;
use crate::model::reply::{Cause, Silence, Unreadable};

use super::error::{chain, silence, tidy};
use super::proxy::Proxy;

/// The longest body that is read, decoded: a page of a hundred workflows with the longest names and
/// descriptions is below 2 MiB.
const LONGEST_BODY: usize = 4 << 20;
/// How long a connection may take to come about, with its tunnel and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an unused connection stays open.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// How often a silent connection is asked whether the other side is still there, and how often in vain.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const KEEP_ALIVE_RETRIES: u32 = 3;
/// How long the kernel sends again what is not confirmed.
#[cfg(target_os = "linux")]
const UNCONFIRMED: Duration = Duration::from_secs(30);

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

impl SetUp {
    /// Why.
    pub fn why(&self) -> &str {
        &self.0
    }

    fn because(error: &reqwest::Error) -> Self {
        // What follows says better what it was.
        Self(chain(error.source().unwrap_or(error)))
    }
}

/// The way to one server.
#[derive(Clone, Debug)]
pub struct Transport {
    client: reqwest::Client,
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
    pub headers: HeaderMap,
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
    pub body: Result<Bytes, Unreadable>,
}

impl Transport {
    /// A way to `endpoint` through `proxy`, past the environment's. `ca` holds PEM certificates that are
    /// believed besides those of the system; on this machine they alone count.
    ///
    /// # Errors
    /// TLS could not be set up, for example for want of root certificates.
    pub fn new(
        endpoint: &Endpoint,
        ca: Option<&[u8]>,
        proxy: Option<&Proxy>,
        http: Http,
    ) -> Result<Self, SetUp> {
        let believed = match ca {
            Some(pem) => certificates(pem)?,
            None => Vec::new(),
        };
        let mut builder = match endpoint.is_loopback() {
            true => builder().tls_certs_only(believed),
            false => builder().tls_certs_merge(believed),
        };
        if http == Http::Two {
            builder = builder.http2_prior_knowledge();
        }
        if let Some(proxy) = proxy {
            let url = proxy.url().clone();
            let mut tunnel = reqwest::Proxy::all(url).map_err(|error| SetUp::because(&error))?;
            if let Some(authorization) = proxy.authorization() {
                tunnel = tunnel.custom_http_auth(authorization.clone());
            }
            builder = builder.proxy(tunnel);
        }
        Ok(Self {
            client: built(builder)?,
            via: proxy.map(|proxy| proxy.address().into()),
        })
    }

    /// How many certificates `pem` holds.
    ///
    /// # Errors
    /// One of them is none.
    pub fn certificates(pem: &[u8]) -> Result<usize, SetUp> {
        let certificates = certificates(pem)?;
        let count = certificates.len();
        // Whether they are certificates inside.
        built(builder().tls_certs_only(certificates))?;
        Ok(count)
    }

    /// A way to a server of this machine or of its host, in the clear and past any proxy.
    ///
    /// # Errors
    /// The HTTP client could not be set up.
    pub(super) fn plain() -> Result<Self, SetUp> {
        Ok(Self {
            client: built(builder().tls_certs_only([]))?,
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
        let mut request = reqwest::Request::new(parcel.method, parcel.url);
        *request.headers_mut() = parcel.headers;
        *request.body_mut() = Some(parcel.body.into());
        let exchange = async {
            let mut response = self
                .client
                .execute(request)
                .await
                .map_err(|error| silence(&error, CONNECT_TIMEOUT))?;
            let headers = std::mem::take(response.headers_mut());
            let status = response.status().as_u16();
            let body = read(response).await;
            Ok(Received {
                status,
                body: body.and_then(|body| decoded(&headers, body)),
                headers,
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
                | Cause::CredentialLate
                | Cause::Echo,
            ) => silence,
        })
    }
}

/// What all clients have in common. No redirect is followed: it would carry the credential to another host.
/// Nothing that has left is sent again: the schedule alone does that, its record would miss it.
fn builder() -> reqwest::ClientBuilder {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    let builder = reqwest::Client::builder()
        .user_agent(concat!("flowbatch/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .no_proxy()
        .redirect(redirect::Policy::none())
        .referer(false)
        // It clones nothing for a retry that never comes.
        .retry(retry::never().max_retries_per_request(0))
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tcp_nodelay(true)
        .tcp_keepalive(KEEP_ALIVE)
        .tcp_keepalive_interval(KEEP_ALIVE)
        .tcp_keepalive_retries(KEEP_ALIVE_RETRIES);
    #[cfg(target_os = "linux")]
    let builder = builder.tcp_user_timeout(UNCONFIRMED);
    builder
}

fn built(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, SetUp> {
    builder.build().map_err(|error| SetUp::because(&error))
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, SetUp> {
    Certificate::from_pem_bundle(pem).map_err(|error| SetUp::because(&error))
}

/// Reads the body, up to the cap.
async fn read(mut response: reqwest::Response) -> Result<Bytes, Unreadable> {
    let mut next = async || response.chunk().await.map_err(|_| Unreadable::Truncated);
    // Most bodies come in one piece, and need no copy.
    let first = next().await?.unwrap_or_default();
    let Some(second) = next().await? else {
        return match first.len() > LONGEST_BODY {
            true => Err(Unreadable::TooLarge),
            false => Ok(first),
        };
    };
    let mut body = BytesMut::from(first);
    body.extend_from_slice(&second);
    while body.len() <= LONGEST_BODY {
        match next().await? {
            Some(part) => body.extend_from_slice(&part),
            None => return Ok(body.freeze()),
        }
    }
    Err(Unreadable::TooLarge)
}

/// `body` as it was before it was compressed (RFC 9110, 8.4.1.3: `x-gzip` is `gzip`).
fn decoded(headers: &HeaderMap, body: Bytes) -> Result<Bytes, Unreadable> {
    let Some(encoding) = headers.get(CONTENT_ENCODING) else {
        return Ok(body);
    };
    let encoding = encoding.as_bytes().trim_ascii();
    let is = |name: &str| encoding.eq_ignore_ascii_case(name.as_bytes());
    if body.is_empty() || is("identity") || is("") {
        return Ok(body);
    }
    if !is("gzip") && !is("x-gzip") {
        return Err(Unreadable::Encoded);
    }
    let mut plain = Vec::new();
    let decoder = flate2::read::MultiGzDecoder::new(&body[..]);
    match decoder
        .take(LONGEST_BODY as u64 + 1)
        .read_to_end(&mut plain)
    {
        Ok(length) if length > LONGEST_BODY => Err(Unreadable::TooLarge),
        Ok(_) => Ok(plain.into()),
        Err(_) => Err(Unreadable::Truncated),
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
        instant(self.headers.get(DATE)?.to_str().ok()?)
    }
}

/// The instant that an HTTP date names, in any of the three forms of RFC 9110, 5.6.7.
pub(super) fn instant(date: &str) -> Option<Timestamp> {
    let date = date.trim();
    if let Ok(at) = rfc2822::DateTimeParser::new().parse_timestamp(date) {
        return Some(at);
    }
    // RFC 850, and what C's asctime() writes.
    let forms = [
        "%a, %d %b %Y %H:%M:%S GMT",
        "%A, %d-%b-%y %H:%M:%S GMT",
        "%a %b %e %H:%M:%S %Y",
    ];
    let civil = forms
        .iter()
        .find_map(|form| DateTime::strptime(form, date).ok());
    // The last hours of the year 9999 are beyond all instants.
    Some(TimeZone::UTC.to_timestamp(civil?).unwrap_or(Timestamp::MAX))
}

/// The time of day, for signatures and for what ends.
#[expect(
    clippy::disallowed_methods,
    reason = "requests are signed when they leave, by the wall clock"
)]
pub(super) fn wall() -> Timestamp {
    Timestamp::now()
}
