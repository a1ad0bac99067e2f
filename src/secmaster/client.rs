//! The client: one HTTP request for one request of the schedule.

use std::time::Duration;

use http::Method;
use http::header::{
    CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::engine::ports::{Request, Service};
use crate::model::endpoint::Endpoint;
use crate::model::field::Field;
use crate::model::reading::{Of, PAGE};
use crate::model::reply::{
    Answer, Cause, Content, Data, Renewal, Reply, Silence, Skew, Unreadable,
};
use crate::model::version::Version;
use crate::model::workflow::{Listed, OddWorkflow};

use super::auth::credential::Credential;
use super::auth::gate::{Gate, Pass};
use super::auth::keeper::{Keeper, Shown};
use super::auth::supply::SupplyError;
use super::error::tidy;
use super::transport::{Parcel, Received, Transport, instant, wall};
use super::wire::{self, Wanted};

/// The longest message of the other side that is kept, in characters.
const LONGEST_TEXT: usize = 500;
/// The longest code or id that is kept.
const LONGEST_CODE: usize = 100;
/// As much as is kept of a body that is no JSON.
const LONGEST_EXCERPT: usize = 120;
/// As much as is shown of a value that cannot be read.
const LONGEST_ODD: usize = 40;
/// What an id may hold unencoded in a path (RFC 3986's unreserved characters, without the dot:
/// `..` must not survive in any form).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

/// As many headers as a request has room for before it has to grow: those of a signed one, and those of HTTP.
const HEADERS: usize = 12;

/// The client of the service.
#[derive(Debug)]
pub struct Client {
    lanes: Vec<Option<Lane>>,
}

/// An endpoint with its credential, and the way there.
#[derive(Debug)]
pub struct Lane {
    endpoint: Endpoint,
    keeper: Keeper,
    gate: Gate,
    transport: Transport,
}

impl Lane {
    /// The lane to `endpoint` by `transport`, which shows what `keeper` keeps. Lanes that show the same
    /// credential share its `gate`.
    pub fn new(endpoint: Endpoint, keeper: Keeper, gate: Gate, transport: Transport) -> Self {
        Self {
            endpoint,
            keeper,
            gate,
            transport,
        }
    }

    /// Nothing leaves by it any more: `keeper` says why.
    pub fn give_up(&mut self, keeper: Keeper) {
        self.keeper = keeper;
        self.gate = Gate::default();
    }

    /// Where it leads.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What keeps its credential.
    pub fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// The way there.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Sends `request` and waits for its answer; the credential is had, and renewed, beyond that time.
    async fn ask(&self, request: &Request, timeout: Duration) -> Reply {
        let project_id = &request.workspace().project_id;
        let mut pass = match self.gate.enter().await {
            Ok(pass) => pass,
            Err(why) => {
                let why = format!("another request was refused with it: {why}");
                return without_credential(SupplyError::Refused(why));
            }
        };
        let shown = match self.keeper.show(project_id, wall()).await {
            Ok(shown) => shown,
            Err(error) => {
                if let SupplyError::Unauthorized(why) = &error {
                    pass.refused(why);
                }
                return without_credential(error);
            }
        };
        let mut parcel = match self.parcel(request) {
            Ok(parcel) => parcel,
            Err(silence) => return Reply::Silence(silence),
        };
        let project = Some(project_id.as_str());
        shown.credential.put_on(&mut parcel, project, wall());
        let reply = match self.transport.send(parcel, timeout).await {
            Ok(received) => {
                let date = received.headers.get(DATE).cloned();
                let answer = answer(received, self.transport.via(), wanted(request));
                self.judge(request, &shown, &mut pass, answer, date).await
            }
            Err(silence) => Reply::Silence(silence),
        };
        blot_out(&shown.credential, request, reply)
    }

    fn parcel(&self, request: &Request) -> Result<Parcel, Silence> {
        let unsendable = |detail: String| Silence {
            cause: Cause::Unsendable,
            detail,
        };
        let url = url(&self.endpoint, request);
        let (method, body) = match request {
            Request::Get(_) | Request::Read(_) => (Method::GET, Vec::new()),
            Request::Put(_, update) => {
                let body = serde_json::to_vec(&**update);
                let body = body.map_err(|error| unsendable(error.to_string()))?;
                (Method::PUT, body)
            }
        };
        let json = HeaderValue::from_static("application/json");
        // The credential follows, and what HTTP needs.
        let mut headers = HeaderMap::with_capacity(HEADERS);
        headers.insert(CONTENT_TYPE, json);
        Ok(Parcel {
            method,
            url,
            headers,
            body,
        })
    }

    /// Tells the keeper and the gate how the credential fared; a refused one is renewed.
    async fn judge(
        &self,
        request: &Request,
        shown: &Shown,
        pass: &mut Pass,
        mut answer: Answer,
        date: Option<HeaderValue>,
    ) -> Reply {
        let project_id = &request.workspace().project_id;
        if answer.accepts_credential() {
            self.keeper.accepted(project_id, shown);
            pass.accepted();
        }
        if !answer.refuses_credential() {
            return Reply::Answer(answer);
        }
        let now = wall();
        let there = date.as_ref().and_then(|date| instant(date.to_str().ok()?));
        answer.skew = there.and_then(|there| Skew::beyond(now, there));
        let renewal = self.keeper.refused(project_id, shown, now).await;
        match &renewal {
            Renewal::Renewed(_) | Renewal::Late(_) => {}
            Renewal::Same | Renewal::Lost(_) => {
                pass.refused(&shown.credential.blot_out(said(&answer)));
            }
        }
        answer.renewal = Some(renewal);
        Reply::Answer(answer)
    }
}

/// The service's own words.
fn said(answer: &Answer) -> String {
    match &answer.content {
        Content::Envelope(envelope) => envelope.message.clone().unwrap_or_default(),
        Content::Unreadable { excerpt, .. } => excerpt.clone(),
    }
}

fn without_credential(error: SupplyError) -> Reply {
    let (cause, detail) = match error {
        SupplyError::Unauthorized(detail) | SupplyError::Refused(detail) => {
            (Cause::NoCredential, detail)
        }
        SupplyError::Forbidden(detail) => (Cause::NoProject, detail),
        SupplyError::Unavailable(detail) => (Cause::CredentialLate, detail),
    };
    Reply::Silence(Silence {
        cause,
        detail: tidy(&detail),
    })
}

impl Client {
    /// A client for `lanes`; a lane that no row leaves by need not exist.
    pub fn new(lanes: Vec<Option<Lane>>) -> Self {
        Self { lanes }
    }
}

impl Service for Client {
    async fn send(&self, request: &Request, timeout: Duration) -> Reply {
        match self.lanes.get(request.lane().0) {
            Some(Some(lane)) => lane.ask(request, timeout).await,
            Some(None) | None => Reply::Silence(Silence {
                cause: Cause::Unsendable,
                detail: "nothing leads there".to_owned(),
            }),
        }
    }
}

/// What the answer to `request` is to hold.
fn wanted(request: &Request) -> Wanted {
    match request {
        Request::Get(_) | Request::Put(..) => Wanted::Workflow,
        Request::Read(reading) => match reading.of {
            Of::Page(_) => Wanted::Page,
            Of::Workflow(_) => Wanted::Listed,
            Of::Versions(_) => Wanted::Versions,
            Of::Workspaces(..) => Wanted::Workspaces,
        },
    }
}

/// The URL of `request`: the endpoint's, with its ids as one segment each.
fn url(endpoint: &Endpoint, request: &Request) -> Url {
    let workspace = request.workspace();
    let base = endpoint.url().path().trim_end_matches('/');
    let mut path = String::with_capacity(256);
    path.push_str(base);
    let mut push = |before: &str, id: &str| {
        path.push_str(before);
        path.extend(utf8_percent_encode(id, SEGMENT));
    };
    push("/v1/", workspace.project_id.as_str());
    let mut query = None;
    match request {
        Request::Read(reading) if let Of::Workspaces(offset, _) = &reading.of => {
            path.push_str("/workspaces");
            query = Some(format!("limit={PAGE}&offset={offset}"));
        }
        Request::Get(_) | Request::Put(..) | Request::Read(_) => {
            push("/workspaces/", workspace.workspace_id.as_str());
            match request.workflow_id() {
                Some(workflow_id) => push("/soc/workflows/", workflow_id.as_str()),
                None => path.push_str("/soc/workflows"),
            }
        }
    }
    if let Request::Read(reading) = request {
        match &reading.of {
            Of::Page(page) => {
                let order = if page.from_the_end { "DESC" } else { "ASC" };
                let enabled = page.enabled.map(|on| format!("enabled={on}&"));
                // Sorted, as the vendor's SDK sends it.
                query = Some(format!(
                    "{}limit={PAGE}&offset={}&order={order}&sortby=create_time",
                    enabled.unwrap_or_default(),
                    page.offset
                ));
            }
            Of::Versions(_) => path.push_str("/versions"),
            Of::Workflow(_) | Of::Workspaces(..) => {}
        }
    }
    // Scheme and host need no second reading.
    let mut url = endpoint.url().clone();
    url.set_path(&path);
    url.set_query(query.as_deref());
    url
}

pub(super) fn answer(received: Received, via: Option<&str>, wanted: Wanted) -> Answer {
    let headers = &received.headers;
    let redirect_to = headers
        .get(LOCATION)
        .filter(|_| (300..400).contains(&received.status))
        .and_then(|location| location.to_str().ok())
        .map(|location| match Url::parse(location) {
            Ok(url) => tidy(url.host_str().unwrap_or_default()),
            Err(_) => "another path".to_owned(),
        });
    let (content, body_id) = match &received.body {
        Ok(body) => wire::read(body, wanted),
        Err(how) => {
            let encoding = received.text(CONTENT_ENCODING.as_str());
            let excerpt = encoding.filter(|_| *how == Unreadable::Encoded);
            let content = Content::Unreadable {
                how: *how,
                excerpt: excerpt.unwrap_or_default(),
            };
            (content, None)
        }
    };
    Answer {
        http_status: received.status,
        request_id: received
            .text("x-request-id")
            .or(body_id.map(|id| tidy(&id))),
        retry_after: retry_after(headers),
        redirect_to,
        via: via.map(str::to_owned),
        content,
        ..Answer::default()
    }
}

/// The longest wait that is taken over; a longer one is beyond any patience.
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 365 * 24 * 3_600);

/// `Retry-After` in seconds or as an HTTP date (RFC 9110, 10.2.3); the longest of several. A date in the past is no wait, and
/// neither is what cannot be read: that it was asked to wait counts all the same.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all(RETRY_AFTER).iter();
    let texts = values.map(|value| value.to_str().unwrap_or_default());
    let waits = texts.map(|text| match wait(text) {
        Some(wait) => wait,
        // A gateway before another may have joined theirs.
        None => text.split(',').filter_map(wait).max().unwrap_or_default(),
    });
    waits.max()
}

fn wait(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Some(until) = instant(text) {
        let wait = until.duration_since(wall());
        let wait = Duration::try_from(wait).unwrap_or(Duration::ZERO);
        return Some(wait.min(LONGEST_WAIT));
    }
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(rest) {
        return None;
    }
    let part = u64::from(rest.bytes().any(|digit| digit != b'0'));
    // Nothing but digits: more than fit.
    let seconds = whole.parse().unwrap_or(u64::MAX).saturating_add(part);
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// The reply without the secrets, should the other side have echoed them, and its texts cut to what a
/// record needs.
///
/// An undo sends back what a reading showed, so a secret there can neither be taken out nor put on record: the reading
/// counts as [`Cause::Echo`].
fn blot_out(credential: &Credential, request: &Request, reply: Reply) -> Reply {
    match reply {
        Reply::Silence(silence) => Reply::Silence(Silence {
            detail: clean_text(credential, silence.detail, LONGEST_TEXT),
            ..silence
        }),
        Reply::Answer(answer) => {
            let is_reading = match request {
                Request::Get(_) | Request::Read(_) => true,
                Request::Put(..) => false,
            };
            match echo(credential, &answer).filter(|_| is_reading) {
                Some(detail) => Reply::Silence(Silence {
                    cause: Cause::Echo,
                    detail,
                }),
                None => Reply::Answer(blot_out_answer(credential, answer)),
            }
        }
    }
}

/// Which field of which workflow in `answer` holds a secret, if an undo may need it.
fn echo(credential: &Credential, answer: &Answer) -> Option<String> {
    let Content::Envelope(envelope) = &answer.content else {
        return None;
    };
    let workflows = match &envelope.data {
        Data::Workflow(listed) => std::slice::from_ref(&**listed),
        Data::Page { workflows, .. } => workflows,
        Data::Nothing | Data::Odd(_) | Data::Versions(_) | Data::Workspaces { .. } => &[],
    };
    workflows.iter().find_map(|listed| {
        let workflow = &listed.workflow;
        let held = |field: Field| Some((field, credential.secret_in(workflow.value(field))?));
        let (field, secret) = Field::ALL.into_iter().find_map(held)?;
        let id = credential.blot_out(workflow.id.clone());
        Some(format!(
            "the {secret} stands in the {field} of workflow {id}"
        ))
    })
}

/// The answer without the secrets, and its texts cut.
pub(super) fn blot_out_answer(credential: &Credential, mut answer: Answer) -> Answer {
    let clean = |most: usize| {
        move |text: &mut String| *text = clean_text(credential, std::mem::take(text), most)
    };
    answer.request_id.iter_mut().for_each(clean(LONGEST_CODE));
    answer.redirect_to.iter_mut().for_each(clean(LONGEST_TEXT));
    match &mut answer.content {
        Content::Envelope(envelope) => {
            envelope.code.iter_mut().for_each(clean(LONGEST_CODE));
            envelope.message.iter_mut().for_each(clean(LONGEST_TEXT));
            blot_out_data(credential, &mut envelope.data);
        }
        Content::Unreadable { excerpt, .. } => clean(LONGEST_EXCERPT)(excerpt),
    }
    answer
}

/// The rest of `data` that is put on record, without the secrets. What an undo or an update may send stays to the byte: in a
/// reading it holds no secret (see [`echo`]), and an answer to an update that shows one counts as if it showed nothing.
fn blot_out_data(credential: &Credential, data: &mut Data) {
    let holds = |text: &str| credential.secret_in(text).is_some();
    let clean = |text: &mut String| {
        if holds(text) {
            *text = credential.blot_out(std::mem::take(text));
        }
    };
    let shows = |listed: &Listed| {
        let workflow = &listed.workflow;
        holds(&workflow.id)
            || Field::ALL
                .into_iter()
                .any(|field| holds(workflow.value(field)))
    };
    let clean_odd = |odd: &mut OddWorkflow| {
        odd.id = clean_text(credential, std::mem::take(&mut odd.id), LONGEST_CODE);
        odd.value = clean_text(credential, std::mem::take(&mut odd.value), LONGEST_ODD);
    };
    match data {
        Data::Nothing => {}
        Data::Workflow(listed) if shows(listed) => *data = Data::Nothing,
        Data::Workflow(listed) => listed.notes_mut().for_each(clean),
        Data::Odd(odd) => clean_odd(odd),
        Data::Page { workflows, odd, .. } => {
            odd.iter_mut().for_each(clean_odd);
            workflows
                .iter_mut()
                .flat_map(Listed::notes_mut)
                .for_each(clean);
        }
        Data::Versions(versions) => {
            versions.retain(|version| !holds(&version.id));
            versions
                .iter_mut()
                .flat_map(Version::notes_mut)
                .for_each(clean);
        }
        Data::Workspaces { workspaces, .. } => {
            workspaces
                .iter_mut()
                .map(|one| &mut one.name)
                .for_each(clean);
        }
    }
}

fn clean_text(credential: &Credential, text: String, most: usize) -> String {
    let mut text = credential.blot_out(text);
    if text.len() > most
        && let Some((end, _)) = text.char_indices().nth(most)
    {
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::model::id::Id;
    use crate::model::reading::{Need, Page, Reading};
    use crate::model::row::Row;
    use crate::model::target::{LaneId, Workspace};

    fn get(workflow_id: &str) -> Request {
        Request::Get(Arc::new(Row::new(
            1,
            LaneId(0),
            Workspace {
                project_id: Id::parse("p").unwrap(),
                workspace_id: Id::parse("s").unwrap(),
            },
            Id::parse(workflow_id).unwrap(),
        )))
    }

    #[test]
    fn ids_are_encoded_as_one_segment() {
        let endpoint = Endpoint::parse("https://host/prefix/").unwrap();
        let url = |id| url(&endpoint, &get(id)).to_string();
        let at = |id| format!("https://host/prefix/v1/p/workspaces/s/soc/workflows/{id}");
        assert_eq!(url("9b9f1b1e-5a52"), at("9b9f1b1e-5a52"));
        assert_eq!(url("a.b_c~d"), at("a%2Eb_c~d"));
    }

    #[test]
    fn readings_have_urls_of_their_own() {
        let endpoint = Endpoint::parse("https://host").unwrap();
        let at = |of| {
            let reading = Reading {
                lane: LaneId(0),
                workspace: get("w").workspace().clone(),
                of,
            };
            let url = url(&endpoint, &Request::Read(Arc::new(reading)));
            url.to_string()
                .trim_start_matches("https://host/v1/p/workspaces/s/soc/")
                .to_owned()
        };
        let page = Page {
            offset: 200,
            from_the_end: true,
            enabled: Some(false),
        };
        assert_eq!(
            at(Of::Page(page)),
            "workflows?enabled=false&limit=100&offset=200&order=DESC&sortby=create_time"
        );
        assert_eq!(
            at(Of::Versions(Id::parse("w").unwrap())),
            "workflows/w/versions"
        );
        assert_eq!(at(Of::Workflow(Id::parse("w").unwrap())), "workflows/w");
        assert_eq!(
            at(Of::Workspaces(100, Need::Must)),
            "https://host/v1/p/workspaces?limit=100&offset=100"
        );
    }

    #[test]
    fn an_id_of_dots_alone_never_leaves() {
        let endpoint = Endpoint::parse("https://host").unwrap();
        // `...` is an ordinary segment; `..` cannot even become an Id.
        let url = url(&endpoint, &get("..."));
        assert!(url.path().ends_with("/%2E%2E%2E"), "{url}");
        assert!(Id::parse("..").is_err());
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date() {
        let waits = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(RETRY_AFTER, value.parse().unwrap());
            }
            retry_after(&headers)
        };
        let wait = |value: &str| waits(&[value]);
        assert_eq!(wait("120"), Some(Duration::from_secs(120)));
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(wait("Fri, 21 Oct 2095 07:28:00 GMT").unwrap().as_secs() > 1_000_000);
        for past in [
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "soon",
            "-5",
            "",
            "1e3",
            "2.x",
        ] {
            assert_eq!(wait(past), Some(Duration::ZERO), "{past}");
        }
        assert_eq!(wait("Fri, 31 Dec 9999 23:59:59 GMT"), Some(LONGEST_WAIT));
        for (form, expected) in [
            ("Sunday, 06-Nov-94 08:49:37 GMT", "1994-11-06T08:49:37Z"),
            ("Sun Nov  6 08:49:37 1994", "1994-11-06T08:49:37Z"),
            ("Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z"),
        ] {
            assert_eq!(instant(form), expected.parse().ok(), "{form}");
        }
        assert!(wait("Friday, 21-Oct-61 07:28:00 GMT").unwrap().as_secs() > 1_000_000);
        assert!(wait("Fri Oct 21 07:28:00 2095").unwrap().as_secs() > 1_000_000);
        for (value, seconds) in [
            ("2.5", 3),
            ("2.0", 2),
            (" 7 ", 7),
            ("0.001", 1),
            ("2, 5,3", 5),
            ("x, 4", 4),
        ] {
            assert_eq!(wait(value), Some(Duration::from_secs(seconds)), "{value}");
        }
        assert_eq!(wait("12345678901234567890"), Some(LONGEST_WAIT));
        assert_eq!(wait("99999999999999999999999"), Some(LONGEST_WAIT));
        assert_eq!(waits(&["2", "9", "soon"]), Some(Duration::from_secs(9)));
        assert_eq!(waits(&[]), None);
    }
}
