//! The client: one HTTP request for one request of the schedule.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::{Response, Url};

use crate::engine::ports::{Request, Service};
use crate::model::endpoint::Endpoint;
use crate::model::reply::{Answer, Cause, Content, Reply, Silence, Unreadable};
use crate::model::row::Row;

use super::auth::token::{self, Token};
use super::error::{silence, tidy};
use super::wire;

/// The longest body that is read, decoded.
const LONGEST_BODY: usize = 1 << 20;
/// The longest message of the other side that is kept, in characters.
const LONGEST_TEXT: usize = 500;
/// The longest code or id that is kept.
const LONGEST_CODE: usize = 100;
/// As much as is kept of a body that is no JSON.
const LONGEST_EXCERPT: usize = 120;
/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// What an id may hold unencoded in a path (RFC 3986's unreserved characters, without the dot:
/// `..` must not survive in any form).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

/// The client of the service.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    lanes: Vec<Lane>,
}

/// An endpoint with its credential.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Where it leads.
    pub endpoint: Endpoint,
    /// What it shows there.
    pub token: Token,
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
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client could not be set up: {0}")]
pub struct SetUp(String);

impl Client {
    /// A client for `lanes`.
    ///
    /// # Errors
    /// TLS could not be set up, for example for want of root certificates.
    pub fn new(lanes: Vec<Lane>, http: Http) -> Result<Self, SetUp> {
        let loopback = lanes.iter().all(|lane| lane.endpoint.is_loopback());
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("flowbatch/", env!("CARGO_PKG_VERSION")))
            // A redirect would carry X-Auth-Token to another host.
            .redirect(reqwest::redirect::Policy::none())
            // The schedule alone sends again: its record would miss a resend in here.
            .retry(reqwest::retry::never())
            .referer(false)
            .https_only(!loopback)
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true);
        if loopback {
            // What stays on this machine needs neither a proxy nor the system's root certificates.
            builder = builder.no_proxy().tls_certs_only([]);
        }
        if http == Http::Two {
            builder = builder.http2_prior_knowledge();
        }
        let http = builder
            .build()
            .map_err(|error| SetUp(super::error::chain(&error)))?;
        Ok(Self { http, lanes })
    }

    async fn ask(&self, lane: &Lane, request: &Request) -> Reply {
        let Some(url) = workflow_url(&lane.endpoint, request.row()) else {
            return Reply::Silence(Silence {
                cause: Cause::Unsendable,
                detail: "its ids would change the URL".to_owned(),
            });
        };
        let builder = match request {
            Request::Get(_) => self.http.get(url),
            Request::Put(row) => match serde_json::to_vec(&row.update) {
                Ok(body) => self.http.put(url).body(body),
                Err(error) => {
                    return Reply::Silence(Silence {
                        cause: Cause::Unsendable,
                        detail: error.to_string(),
                    });
                }
            },
        };
        let sent = builder
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(token::HEADER, lane.token.header())
            .send()
            .await;
        match sent {
            Ok(response) => Reply::Answer(answer(response).await),
            Err(error) => Reply::Silence(silence(error)),
        }
    }
}

impl Service for Client {
    async fn send(&self, request: &Request) -> Reply {
        let lane = &self.lanes[request.row().lane.0];
        blot_out(&lane.token, self.ask(lane, request).await)
    }
}

/// The URL of the row's workflow, if it is the one that the ids mean: same origin, same prefix,
/// and segments that decode to the ids.
fn workflow_url(endpoint: &Endpoint, row: &Row) -> Option<Url> {
    let ids = [
        row.workspace.project_id.as_str(),
        row.workspace.workspace_id.as_str(),
        row.workflow_id.as_str(),
    ];
    let [project, workspace, workflow] = ids.map(|id| utf8_percent_encode(id, SEGMENT));
    let base = endpoint.as_str();
    let path = format!("{base}/v1/{project}/workspaces/{workspace}/soc/workflows/{workflow}");
    let url = Url::parse(&path).ok()?;
    let decoded: Vec<_> = url
        .path_segments()?
        .map(|segment| percent_decode_str(segment).decode_utf8_lossy())
        .collect();
    let [
        ..,
        v1,
        project,
        workspaces,
        workspace,
        soc,
        workflows,
        workflow,
    ] = &decoded[..]
    else {
        return None;
    };
    let kept = url.origin() == endpoint.url().origin()
        && [v1, workspaces, soc, workflows] == ["v1", "workspaces", "soc", "workflows"]
        && [project, workspace, workflow] == ids;
    kept.then_some(url)
}

async fn answer(mut response: Response) -> Answer {
    let http_status = response.status().as_u16();
    let headers = response.headers();
    let header_id = text(headers, "x-request-id");
    let retry_after = retry_after(headers);
    let redirect_to = headers
        .get(LOCATION)
        .filter(|_| (300..400).contains(&http_status))
        .and_then(|location| location.to_str().ok())
        .map(|location| match Url::parse(location) {
            Ok(url) => tidy(url.host_str().unwrap_or_default()),
            Err(_) => "another path".to_owned(),
        });
    let (content, body_id) = read(&mut response).await;
    Answer {
        http_status,
        request_id: header_id.or(body_id.map(|id| tidy(&id))),
        retry_after,
        redirect_to,
        content,
    }
}

/// Reads the body, up to the cap.
async fn read(response: &mut Response) -> (Content, Option<String>) {
    let unreadable = |how| {
        let excerpt = String::new();
        (Content::Unreadable { how, excerpt }, None)
    };
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > LONGEST_BODY => {
                return unreadable(Unreadable::TooLarge);
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return wire::read(&body),
            Err(_) => return unreadable(Unreadable::Truncated),
        }
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(tidy(value)).filter(|text| !text.is_empty())
}

/// `Retry-After` in seconds or as an HTTP date (RFC 9110, 10.2.3); a date in the past is no wait.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    #[expect(
        clippy::disallowed_methods,
        reason = "the header names an instant of the wall clock"
    )]
    let wait = until.duration_since(Timestamp::now());
    Some(wait.try_into().unwrap_or(Duration::ZERO))
}

/// The reply without the token, should the other side have echoed it, and its texts cut to what
/// a record needs.
fn blot_out(token: &Token, reply: Reply) -> Reply {
    let clean = |most: usize| {
        move |text: &mut String| {
            let clean = token.blot_out(std::mem::take(text));
            *text = clean.chars().take(most).collect();
        }
    };
    match reply {
        Reply::Silence(mut silence) => {
            clean(LONGEST_TEXT)(&mut silence.detail);
            Reply::Silence(silence)
        }
        Reply::Answer(mut answer) => {
            answer.request_id.iter_mut().for_each(clean(LONGEST_CODE));
            answer.redirect_to.iter_mut().for_each(clean(LONGEST_TEXT));
            match &mut answer.content {
                Content::Envelope(envelope) => {
                    envelope.code.iter_mut().for_each(clean(LONGEST_CODE));
                    envelope.message.iter_mut().for_each(clean(LONGEST_TEXT));
                }
                Content::Unreadable { excerpt, .. } => clean(LONGEST_EXCERPT)(excerpt),
            }
            Reply::Answer(answer)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::guard::Guards;
    use crate::model::id::Id;
    use crate::model::target::{LaneId, Workspace};
    use crate::model::update::Update;

    fn row(workflow_id: &str) -> Row {
        Row {
            number: 1,
            line: 2,
            lane: LaneId(0),
            workspace: Workspace {
                project_id: Id::parse("p").unwrap(),
                workspace_id: Id::parse("s").unwrap(),
            },
            workflow_id: Id::parse(workflow_id).unwrap(),
            update: Update::default(),
            guards: Guards::default(),
        }
    }

    #[test]
    fn ids_are_encoded_as_one_segment() {
        let endpoint = Endpoint::parse("https://host/prefix/").unwrap();
        let url = |id| workflow_url(&endpoint, &row(id)).map(String::from);
        let at = |id| format!("https://host/prefix/v1/p/workspaces/s/soc/workflows/{id}");
        assert_eq!(url("9b9f1b1e-5a52"), Some(at("9b9f1b1e-5a52")));
        assert_eq!(url("a.b_c~d"), Some(at("a%2Eb_c~d")));
    }

    #[test]
    fn an_id_of_dots_alone_never_leaves() {
        let endpoint = Endpoint::parse("https://host").unwrap();
        // `...` is an ordinary segment; `..` cannot even become an Id.
        assert!(workflow_url(&endpoint, &row("...")).is_some());
        assert!(Id::parse("..").is_err());
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date() {
        let wait = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(wait("120"), Some(Duration::from_secs(120)));
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(wait("Fri, 21 Oct 2095 07:28:00 GMT").unwrap().as_secs() > 1_000_000);
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("-5"), None);
    }
}
