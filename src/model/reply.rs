//! What came back for one request: facts, not yet judged.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::span;
use super::target::NamedWorkspace;
use super::version::Version;
use super::workflow::{Listed, OddWorkflow, Workflow};

/// What came back.
#[expect(clippy::large_enum_variant, reason = "nearly every reply is an answer")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// An HTTP answer, whatever it says.
    Answer(Answer),
    /// No HTTP answer.
    Silence(Silence),
}

/// An HTTP answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub http_status: u16,
    /// The service's id of the request, from the `X-Request-Id` header or the body.
    pub request_id: Option<String>,
    /// How long the answer asks to wait (`Retry-After`), counted from its arrival.
    pub retry_after: Option<Duration>,
    /// The host of a redirect's `Location`.
    pub redirect_to: Option<String>,
    /// The proxy that it came through: host and port.
    pub via: Option<String>,
    /// For an answer that refuses the credential: what became of it since the request left.
    pub renewal: Option<Renewal>,
    /// For a 401: this machine's clock and the service's, where they are too far apart for
    /// signatures.
    pub skew: Option<Skew>,
    /// The body.
    pub content: Content,
}

/// What became of a credential that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// This renewal has brought another one: the same request may go again.
    Renewed(u32),
    /// There is no other.
    Same,
    /// Another one cannot be had, and asking again gives the same.
    Lost(String),
    /// Another one cannot be had just now.
    Late(String),
}

/// Gateway codes of a credential that is refused, whatever the status.
const CREDENTIAL: [&str; 4] = ["0301", "0303", "0305", "0307"];

impl Answer {
    /// The service's or the gateway's code.
    pub fn code(&self) -> Option<&str> {
        match &self.content {
            Content::Envelope(envelope) => envelope.code.as_deref(),
            Content::Unreadable { .. } => None,
        }
    }

    /// The digits of `SecMaster.20040611`, `APIG.0308`, `APIGW.0308`; empty without a code.
    pub fn code_digits(&self) -> &str {
        let code = self.code().unwrap_or_default();
        code.rsplit('.').next().unwrap_or_default()
    }

    /// Whether something before the service answered: a proxy or a captive portal. The service and
    /// its gateway always name the request; what does not, and is a web page or forbids, is not theirs.
    pub fn is_from_the_way(&self) -> bool {
        let page = matches!(
            self.content,
            Content::Unreadable {
                how: Unreadable::Html,
                ..
            }
        );
        self.request_id.is_none() && (page || matches!(self.http_status, 403 | 407))
    }

    /// Whether the service or its gateway refuses the credential itself.
    pub fn refuses_credential(&self) -> bool {
        let refuses = self.http_status == 401 || CREDENTIAL.contains(&self.code_digits());
        refuses && !self.is_from_the_way()
    }

    /// Whether the answer comes from behind the check of credentials. A service that is out of order
    /// or has no time may not have looked at it.
    pub fn accepts_credential(&self) -> bool {
        let behind = matches!(self.http_status, 200..=299 | 400..=499)
            && !matches!(self.http_status, 407 | 408 | 425 | 429);
        behind && !self.refuses_credential() && !self.is_from_the_way()
    }
}

/// Two clocks that are too far apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    /// What this machine's clock said.
    pub here: Timestamp,
    /// What the service's clock said.
    pub there: Timestamp,
}

impl Skew {
    /// How far apart clocks may be before the gateway refuses signatures.
    pub const MOST: Duration = Duration::from_secs(15 * 60);

    /// The two clocks, if they are further apart than that.
    pub fn beyond(here: Timestamp, there: Timestamp) -> Option<Self> {
        let skew = Self { here, there };
        (skew.gap() > Self::MOST).then_some(skew)
    }

    /// How far apart they are.
    pub fn gap(self) -> Duration {
        self.here.duration_since(self.there).unsigned_abs()
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "this machine's clock says {:.0}, the service's {:.0}: they are {} apart, and signatures \
             hold for {}; set the clock",
            self.here,
            self.there,
            span::show(in_minutes(self.gap())),
            span::show(Self::MOST)
        )
    }
}

/// To the next whole minute: the service's clock is known to the second only.
pub fn in_minutes(gap: Duration) -> Duration {
    Duration::from_secs((gap.as_secs() + 30) / 60 * 60)
}

/// The body of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A JSON object.
    Envelope(Envelope),
    /// Anything else.
    Unreadable {
        /// In which way.
        how: Unreadable,
        /// Its beginning, for the record; no control characters.
        excerpt: String,
    },
}

/// The members that the service's JSON bodies share. All are optional.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// `success`; the service documents true and false.
    pub success: Option<bool>,
    /// `code`, `error_code` or `errorCode`.
    pub code: Option<String>,
    /// `message`, `error_msg` or `errorMsg`.
    pub message: Option<String>,
    /// `data`, as far as it is what was asked for.
    pub data: Data,
}

/// What an answer holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Data {
    /// Nothing that was asked for.
    #[default]
    Nothing,
    /// A workflow.
    Workflow(Box<Listed>),
    /// A workflow that could not be read.
    Odd(OddWorkflow),
    /// A page of workflows.
    Page {
        /// Those on it that could be read.
        workflows: Vec<Listed>,
        /// The others.
        odd: Vec<OddWorkflow>,
        /// How many there are on all pages.
        total: Option<u64>,
    },
    /// All versions of a workflow.
    Versions(Vec<Version>),
    /// A page of a project's workspaces.
    Workspaces {
        /// Those on it.
        workspaces: Vec<NamedWorkspace>,
        /// How many there are on all pages.
        total: Option<u64>,
    },
}

impl Reply {
    /// What it holds.
    pub fn into_data(self) -> Data {
        match self {
            Self::Answer(Answer {
                content: Content::Envelope(envelope),
                ..
            }) => envelope.data,
            Self::Answer(_) | Self::Silence(_) => Data::Nothing,
        }
    }
}

impl Data {
    /// The workflow, if it is one.
    pub fn into_workflow(self) -> Option<Workflow> {
        match self {
            Self::Workflow(listed) => Some(listed.workflow),
            Self::Nothing
            | Self::Odd(_)
            | Self::Page { .. }
            | Self::Versions(_)
            | Self::Workspaces { .. } => None,
        }
    }

    /// Nothing but `workflow`.
    pub fn of(workflow: Workflow) -> Self {
        Self::Workflow(Box::new(Listed {
            workflow,
            ..Listed::default()
        }))
    }
}

/// How a body is not what the service sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// A web page.
    Html,
    /// Neither JSON nor a web page.
    NotJson,
    /// The connection ended inside the body.
    Truncated,
    /// More than the cap.
    TooLarge,
    /// Compressed in a way that is not read.
    Encoded,
    /// Nothing at all.
    Empty,
}

impl Default for Content {
    fn default() -> Self {
        Self::Envelope(Envelope::default())
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// What went wrong.
    pub cause: Cause,
    /// The errors, outermost first, without secrets and without the URL.
    pub detail: String,
}

impl Silence {
    /// No answer within `timeout`.
    pub fn timed_out(timeout: Duration) -> Self {
        Self {
            cause: Cause::TimedOut,
            detail: format!("after {}", span::show(timeout)),
        }
    }
}

/// What went wrong before an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The host name could not be resolved.
    Dns,
    /// No connection.
    Connect,
    /// The certificate was refused, or the other side speaks no TLS: the same for every request.
    Tls,
    /// The connection ended before the answer; the request may have arrived.
    Lost,
    /// No answer in time; the request may have arrived.
    TimedOut,
    /// The request could not be built: nothing left this machine.
    Unsendable,
    /// There is no credential to be had: nothing left this machine.
    NoCredential,
    /// There is no credential for this project: nothing left this machine.
    NoProject,
    /// The credential could not be had just now: the request was not carried out.
    CredentialLate,
    /// The service shows a secret of this run in a field that an undo would have to send back.
    Echo,
}

impl Cause {
    /// Whether the service may have carried out the request.
    pub fn may_have_arrived(self) -> bool {
        match self {
            Self::Lost | Self::TimedOut => true,
            Self::Dns
            | Self::Connect
            | Self::Tls
            | Self::Unsendable
            | Self::NoCredential
            | Self::NoProject
            | Self::CredentialLate
            | Self::Echo => false,
        }
    }
}
