//! The way to a server: connections, one request and its whole answer.

use std::io::Read;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, DATE, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use http::{Method, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::builderstates::WantsProtocols1;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use tower_service::Service;
use url::Url;

use crate::model::endpoint::Endpoint;
use crate::model::reply::{Cause, Silence, Unreadable};
use crate::model::span;

use super::error::{chain, silence, tidy};
use super::{proxy, tls};

/// The longest body that is read, decoded: a page of a hundred workflows with the longest names and
/// descriptions is below 2 MiB.
const LONGEST_BODY: usize = 4 << 20;
/// How long a connection may take to come about, with its tunnel and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection that nobody uses stays open.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// How often a silent connection is asked whether the other side is still there, and how often in vain.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const KEEP_ALIVE_RETRIES: u32 = 3;
/// How long the kernel sends again what nobody confirms.
const UNCONFIRMED: Duration = Duration::from_secs(30);

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
pub struct SetUp(pub(super) String);

impl SetUp {
    pub(super) fn because(error: impl std::error::Error) -> Self {
        Self(chain(&error))
    }
}

/// The way to one server.
#[derive(Clone, Debug)]
pub struct Transport {
    way: Way,
    via: Option<Arc<str>>,
}

type Body = Full<Bytes>;
/// TCP, with TLS where the URI says so.
type Direct = HttpsConnector<HttpConnector>;

/// A pool of connections, and how a new one comes about.
#[derive(Clone, Debug)]
enum Way {
    Direct(Box<Client<Timely<Direct>, Body>>),
    /// TLS through a tunnel through a proxy. What is not TLS stays on this machine.
    Tunnel(Box<Client<Timely<HttpsConnector<Tunnel<Direct>>>, Body>>),
}

/// A request, ready to leave.
#[derive(Debug)]
pub struct Parcel {
    /// How.
    pub method: Method,
    /// Whereto.
    pub uri: Uri,
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
    pub body: Result<Bytes, Unreadable>,
}

impl Transport {
    /// A way to `endpoint`.
    ///
    /// # Errors
    /// TLS could not be set up, for example for want of root certificates.
    pub fn new(endpoint: &Endpoint, trust: &Trust, http: Http) -> Result<Self, SetUp> {
        let believed = match &trust.ca {
            Some(pem) => tls::certificates(pem)?,
            None => Vec::new(),
        };
        // What stays on this machine needs neither a proxy nor the system's certificates.
        if endpoint.is_loopback() {
            return Ok(Self::direct(tls::by(&believed)?, http));
        }
        let tls = tls::by_system(&believed)?;
        let Some(proxy) = proxy::of(endpoint, trust.proxy.as_ref())? else {
            return Ok(Self::direct(tls, http));
        };
        // The tunnel is asked for in HTTP/1.1: a proxy that is reached by TLS is offered nothing else.
        let to_proxy = https(tls.clone()).enable_http1().wrap_connector(tcp());
        let mut tunnel = Tunnel::new(proxy.uri().clone(), to_proxy);
        if let Some(password) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(password.clone());
        }
        Ok(Self {
            way: Way::Tunnel(client(connector(tls, tunnel, http), http)),
            via: Some(proxy::place(proxy.uri()).into()),
        })
    }

    fn direct(tls: tls::ClientConfig, http: Http) -> Self {
        Self {
            way: Way::Direct(client(connector(tls, tcp(), http), http)),
            via: None,
        }
    }

    /// How many certificates `pem` holds.
    ///
    /// # Errors
    /// One of them is none.
    pub fn certificates(pem: &[u8]) -> Result<usize, SetUp> {
        Ok(tls::certificates(pem)?.len())
    }

    /// A way to a server of this machine or of its host, in the clear and past any proxy.
    ///
    /// # Errors
    /// The HTTP client could not be set up.
    pub(super) fn plain() -> Result<Self, SetUp> {
        Ok(Self::direct(tls::by(&[])?, Http::Negotiated))
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
        let exchange = async {
            let answer = self.leave(parcel).await.map_err(|error| silence(&error))?;
            let (head, body) = answer.into_parts();
            let body = read(body).await;
            Ok(Received {
                status: head.status.as_u16(),
                body: body.and_then(|body| decoded(&head.headers, body)),
                headers: head.headers,
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

    /// No redirect is followed: it would carry the credential to another host. Nothing that has left is sent
    /// again: the schedule alone does that, its record would miss it.
    fn leave(&self, parcel: Parcel) -> ResponseFuture {
        let mut request = http::Request::new(Full::from(parcel.body));
        *request.method_mut() = parcel.method;
        *request.uri_mut() = parcel.uri;
        let headers = request.headers_mut();
        // HTTP adds some of its own.
        headers.reserve(parcel.headers.len() + 8);
        headers.extend(
            parcel
                .headers
                .into_iter()
                .map(|(name, value)| (Some(name), value)),
        );
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let this = concat!("flowbatch/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(this));
        match &self.way {
            Way::Direct(client) => client.request(request),
            Way::Tunnel(client) => client.request(request),
        }
    }
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_keepalive(Some(KEEP_ALIVE));
    tcp.set_keepalive_interval(Some(KEEP_ALIVE));
    tcp.set_keepalive_retries(Some(KEEP_ALIVE_RETRIES));
    #[cfg(target_os = "linux")]
    tcp.set_tcp_user_timeout(Some(UNCONFIRMED));
    tcp
}

fn https(tls: tls::ClientConfig) -> HttpsConnectorBuilder<WantsProtocols1> {
    HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
}

fn connector<C>(tls: tls::ClientConfig, below: C, http: Http) -> HttpsConnector<C> {
    match http {
        Http::Negotiated => https(tls).enable_all_versions().wrap_connector(below),
        Http::Two => https(tls).enable_http2().wrap_connector(below),
    }
}

fn client<C>(connector: C, http: Http) -> Box<Client<Timely<C>, Body>>
where
    Timely<C>: hyper_util::client::legacy::connect::Connect + Clone,
{
    let client = Client::builder(TokioExecutor::new())
        .http2_only(http == Http::Two)
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .build(Timely(connector));
    Box::new(client)
}

/// Gives up a connection that does not come about in time, whatever it waits for.
#[derive(Clone, Debug)]
struct Timely<C>(C);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<C> Service<Uri> for Timely<C>
where
    C: Service<Uri>,
    C::Future: Send + 'static,
    C::Error: Into<BoxError>,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.call(uri);
        Box::pin(async move {
            match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
                Ok(connected) => connected.map_err(Into::into),
                Err(_elapsed) => {
                    let allowed = span::show(CONNECT_TIMEOUT);
                    Err(format!("none came about within {allowed}").into())
                }
            }
        })
    }
}

/// Reads the body, up to the cap.
async fn read(body: Incoming) -> Result<Bytes, Unreadable> {
    match Limited::new(body, LONGEST_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Unreadable::TooLarge),
        Err(_) => Err(Unreadable::Truncated),
    }
}

/// `body` as it was before it was compressed.
fn decoded(headers: &HeaderMap, body: Bytes) -> Result<Bytes, Unreadable> {
    let is_compressed = headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"gzip"));
    if !is_compressed {
        return Ok(body);
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
        self.headers.get(DATE).and_then(instant)
    }
}

/// The instant that an HTTP date (RFC 9110, 5.6.7) names.
pub(super) fn instant(date: &HeaderValue) -> Option<Timestamp> {
    let parser = rfc2822::DateTimeParser::new();
    parser.parse_timestamp(date.to_str().ok()?).ok()
}

/// The time of day, for signatures and for what ends.
#[expect(
    clippy::disallowed_methods,
    reason = "requests are signed when they leave, by the wall clock"
)]
pub(super) fn wall() -> Timestamp {
    Timestamp::now()
}
