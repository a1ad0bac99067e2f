//! What a reply means.
//!
//! Source of the rules: the vendor's SDK and error pages, as far as they are confirmed. Success is
//! a 2xx with a JSON body whose `success` is not false; codes are compared by their digits,
//! because the gateway writes both `APIG.` and `APIGW.`.

use std::time::Duration;

use crate::model::outcome::{ErrorClass, Failure};
use crate::model::reply::{Answer, Cause, Content, Envelope, Renewal, Reply, Silence, Unreadable};

use super::adaptive::Limit;

/// What a reply means for its row and its lane.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The request did what it should.
    Done,
    /// The service wants less. No fault of the row.
    Throttled {
        /// How long the service asks to wait.
        wait: Option<Duration>,
        /// The limit, if it says which.
        limit: Option<Limit>,
        /// What it said.
        message: String,
    },
    /// May succeed another time.
    Passing {
        /// What happened.
        failure: Failure,
        /// Whether the service itself is in trouble, or out of reach.
        trouble: Trouble,
        /// Attempts after which it is final, if fewer than the job's.
        at_most: Option<u32>,
    },
    /// The credential is refused: unless there is another one by now, nothing else on the lane can
    /// succeed.
    CredentialRefused {
        /// What the service said.
        failure: Failure,
        /// The renewal that brought another one.
        renewal: Option<u32>,
    },
    /// The credential may not do this in this workspace, or not for this workflow.
    PermissionRefused {
        /// What the service said.
        failure: Failure,
        /// The whole workspace is named as the reason.
        workspace: bool,
    },
    /// The service shows a secret of the run in what an undo would send back: the run must not go on.
    Echo(Failure),
    /// The certificate is refused, or the other side speaks no TLS: nothing else on the lane can succeed.
    TlsRefused(Failure),
    /// Refused, and always will be.
    Final(Failure),
}

/// What a passing failure says about the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No answer at all.
    Silent,
    /// A 5xx.
    Failing,
    /// An answer that says nothing about an outage.
    Other,
}

/// Why nothing proves that an update was not applied.
///
/// Ordered: of two updates of one row, the one that says less counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unproven {
    /// The service, or something before it, answered with an error, which may have come after the update was applied. What a
    /// reading shows from now on is final.
    Refused,
    /// There was no usable answer: the update may even be applied later.
    Silent,
}

/// Service codes that are worth two attempts: "unknown error" of the service's own.
const TWICE: [&str; 2] = ["20039999", "20040000"];
/// The service is being upgraded.
const UPGRADING: &str = "11181002";
/// "Invalid workspace id", seen with a 403: closes the workspace, not the row.
const WRONG_WORKSPACE: &str = "20010001";
/// Not found, answered with a 400: workflow, version.
const NOT_FOUND: [&str; 3] = ["20040611", "20040605", "20011003"];
/// Gateway codes that pass by: backend unavailable or late, internal errors, IAM unavailable.
const GATEWAY_PASSING: [&str; 8] = [
    "0201", "0203", "0601", "0605", "0606", "0610", "0611", "0613",
];

/// What `reply` means.
pub fn classify(reply: &Reply) -> Verdict {
    match reply {
        Reply::Silence(silence) => classify_silence(silence),
        Reply::Answer(answer) => classify_answer(answer),
    }
}

/// Why `reply` to an update does not prove that it was not applied; nothing if it does, or if it proves that it was.
///
/// Only these prove it: the update never left (DNS, connection, TLS, no credential), or a 4xx other than 408 and 425 in JSON
/// with a code of the service or of its gateway. The "unknown error" of the service proves nothing.
pub fn unproven(reply: &Reply) -> Option<Unproven> {
    let answer = match reply {
        Reply::Silence(silence) => {
            return silence.cause.may_have_arrived().then_some(Unproven::Silent);
        }
        Reply::Answer(answer) => answer,
    };
    let is_json = matches!(answer.content, Content::Envelope(_));
    match answer.http_status {
        200..=299 if is_json => says_no(answer).then_some(Unproven::Refused),
        200..=299 | 408 | 425 | 502 | 504 => Some(Unproven::Silent),
        400..=499 if has_known_code(answer) && !TWICE.contains(&answer.code_digits()) => None,
        _ => Some(Unproven::Refused),
    }
}

/// Whether `reply` to an update is a 2xx without a body, or with one that is never read: the update was taken, and only a reading shows what became of it.
/// Sending it again would bring the same answer.
pub fn is_bare_success(reply: &Reply) -> bool {
    match reply {
        Reply::Answer(answer) => {
            let is_bare = matches!(
                answer.content,
                Content::Unreadable {
                    how: Unreadable::Empty | Unreadable::Encoded | Unreadable::TooLarge,
                    ..
                }
            );
            is_bare && (200..300).contains(&answer.http_status)
        }
        Reply::Silence(_) => false,
    }
}

/// Whether the answer names an error of the service's or of its gateway's.
fn has_known_code(answer: &Answer) -> bool {
    let code = answer.code().unwrap_or_default();
    ["SecMaster.", "APIG.", "APIGW."]
        .iter()
        .any(|of| code.starts_with(of))
}

fn classify_silence(silence: &Silence) -> Verdict {
    let (class, text) = match silence.cause {
        Cause::Dns => (ErrorClass::Network, "the host name could not be resolved"),
        Cause::Connect => (ErrorClass::Network, "no connection"),
        Cause::Tls => (ErrorClass::Tls, "TLS failed"),
        Cause::Lost => (
            ErrorClass::Network,
            "the connection was lost before the answer",
        ),
        Cause::TimedOut => (ErrorClass::Timeout, "no answer in time"),
        Cause::Unsendable => (ErrorClass::Protocol, "the request could not be built"),
        Cause::NoCredential => (ErrorClass::Auth, "no credential can be had"),
        Cause::NoProject => (
            ErrorClass::Permission,
            "no credential can be had for the project",
        ),
        Cause::CredentialLate => (ErrorClass::Auth, "the credential cannot be had just now"),
        Cause::Echo => (
            ErrorClass::Auth,
            "a secret of this run must not go on record",
        ),
    };
    let message = match silence.detail.as_str() {
        "" => text.to_owned(),
        detail => format!("{text}: {detail}"),
    };
    let failure = Failure::new(class, message);
    match silence.cause {
        Cause::Tls => Verdict::TlsRefused(failure),
        Cause::Unsendable => Verdict::Final(failure),
        Cause::Echo => Verdict::Echo(failure),
        Cause::NoCredential => Verdict::CredentialRefused {
            failure,
            renewal: None,
        },
        Cause::NoProject => Verdict::PermissionRefused {
            failure,
            workspace: true,
        },
        Cause::Dns | Cause::Connect | Cause::Lost | Cause::TimedOut | Cause::CredentialLate => {
            Verdict::Passing {
                failure,
                trouble: Trouble::Silent,
                at_most: None,
            }
        }
    }
}

fn classify_answer(answer: &Answer) -> Verdict {
    let status = answer.http_status;
    let digits = answer.code_digits();
    match status {
        429 => throttled(answer),
        503 if answer.retry_after.is_some() => throttled(answer),
        _ if digits == "0308" => throttled(answer),
        200..=299 if !says_no(answer) => classify_success(answer),
        300..=399 => Verdict::Final(failure(answer, ErrorClass::Protocol)),
        400..=499 if answer.is_from_the_way() => {
            Verdict::Final(failure(answer, ErrorClass::Network))
        }
        _ if digits == WRONG_WORKSPACE => Verdict::PermissionRefused {
            failure: failure(answer, ErrorClass::Permission),
            workspace: true,
        },
        _ if answer.refuses_credential() => refused(answer),
        403 => Verdict::PermissionRefused {
            failure: failure(answer, ErrorClass::Permission),
            workspace: false,
        },
        _ => classify_error(answer, digits),
    }
}

/// Whether the body says no although the status may be 2xx: `success` is false, or it is missing
/// and the code is one of the service's or the gateway's errors.
fn says_no(answer: &Answer) -> bool {
    let Content::Envelope(envelope) = &answer.content else {
        return false;
    };
    match envelope.success {
        Some(success) => !success,
        None => has_known_code(answer),
    }
}

/// A 2xx that does not say no: a success if its body can be read.
fn classify_success(answer: &Answer) -> Verdict {
    match &answer.content {
        Content::Envelope(_) => Verdict::Done,
        Content::Unreadable { how, .. } => Verdict::Passing {
            failure: failure(
                answer,
                match how {
                    Unreadable::Html => ErrorClass::Network,
                    Unreadable::NotJson
                    | Unreadable::Truncated
                    | Unreadable::TooLarge
                    | Unreadable::Encoded
                    | Unreadable::Empty => ErrorClass::Protocol,
                },
            ),
            trouble: Trouble::Other,
            at_most: None,
        },
    }
}

/// An answer that says no.
fn classify_error(answer: &Answer, digits: &str) -> Verdict {
    let passing = |class, trouble, at_most| Verdict::Passing {
        failure: failure(answer, class),
        trouble,
        at_most,
    };
    if TWICE.contains(&digits) {
        return passing(ErrorClass::Server, Trouble::Other, Some(2));
    }
    if digits == UPGRADING {
        return passing(ErrorClass::Server, Trouble::Other, None);
    }
    if NOT_FOUND.contains(&digits) {
        return Verdict::Final(failure(answer, ErrorClass::NotFound));
    }
    match answer.http_status {
        408 | 425 => passing(ErrorClass::Timeout, Trouble::Other, None),
        500 | 502..=504 => passing(ErrorClass::Server, Trouble::Failing, None),
        500..=599 if GATEWAY_PASSING.contains(&digits) => {
            passing(ErrorClass::Server, Trouble::Failing, None)
        }
        404 | 410 => Verdict::Final(failure(answer, ErrorClass::NotFound)),
        409 | 412 => Verdict::Final(failure(answer, ErrorClass::Conflict)),
        500..=599 => Verdict::Final(failure(answer, ErrorClass::Server)),
        200..=299 | 400..=499 => Verdict::Final(failure(answer, ErrorClass::Validation)),
        _ => Verdict::Final(failure(answer, ErrorClass::Protocol)),
    }
}

/// The credential is refused; what became of it decides whether the row goes again.
fn refused(answer: &Answer) -> Verdict {
    let mut failure = failure(answer, ErrorClass::Auth);
    let renewal = match &answer.renewal {
        Some(Renewal::Renewed(renewal)) => Some(*renewal),
        Some(Renewal::Same) | None => None,
        Some(Renewal::Lost(why)) => {
            failure.message += &format!("; there is no other: {why}");
            None
        }
        Some(Renewal::Late(why)) => {
            failure.message += &format!("; another one cannot be had just now: {why}");
            return Verdict::Passing {
                failure,
                trouble: Trouble::Silent,
                at_most: None,
            };
        }
    };
    Verdict::CredentialRefused { failure, renewal }
}

fn throttled(answer: &Answer) -> Verdict {
    let message = failure(answer, ErrorClass::RateLimited).message;
    Verdict::Throttled {
        wait: answer.retry_after,
        limit: gateway_limit(&message),
        message,
    }
}

/// The limit in the gateway's text `policy user over ratelimit,limit:XX,time:1 minute`.
fn gateway_limit(message: &str) -> Option<Limit> {
    let (_, rest) = message.split_once("limit:")?;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    let count: u32 = digits.parse().ok().filter(|count| *count > 0)?;
    let (_, rest) = rest.split_once("time:")?;
    let mut words = rest.split([' ', ',', ';', '"', '.']);
    let spans: u64 = words.next()?.parse().ok().filter(|spans| *spans > 0)?;
    let unit = match words.next()?.trim_end_matches('s') {
        "second" => 1,
        "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        _ => return None,
    };
    Some(Limit {
        count,
        window: Duration::from_secs(spans.checked_mul(unit)?),
    })
}

/// Who answered on the way, if something did.
fn someone(answer: &Answer) -> String {
    match &answer.via {
        Some(proxy) => format!("something on the way (the proxy {proxy}?) answered"),
        None => "something on the way (a proxy?) answered".to_owned(),
    }
}

fn failure(answer: &Answer, class: ErrorClass) -> Failure {
    let status = answer.http_status;
    let message = match &answer.content {
        Content::Envelope(Envelope {
            message: Some(message),
            ..
        }) if !message.is_empty() => match answer.is_from_the_way() {
            true => format!("{} HTTP {status}: {message}", someone(answer)),
            false => message.clone(),
        },
        Content::Envelope(_) => format!("HTTP {status} without a message"),
        Content::Unreadable { how, excerpt } => {
            let what = match how {
                Unreadable::Html => "a web page",
                Unreadable::NotJson => "no JSON",
                Unreadable::Truncated => "a truncated body",
                Unreadable::TooLarge => "a body larger than 4 MiB",
                Unreadable::Encoded => "a body in an encoding that was not asked for",
                Unreadable::Empty => "an empty body",
            };
            let who = match answer.is_from_the_way() {
                true => format!("{} ", someone(answer)),
                false => String::new(),
            };
            match excerpt.as_str() {
                "" => format!("{who}HTTP {status} with {what}"),
                excerpt => format!("{who}HTTP {status} with {what}: {excerpt}"),
            }
        }
    };
    let message = match (&answer.redirect_to, answer.skew) {
        (Some(host), _) => format!("HTTP {status} redirects to {host}; redirects are not followed"),
        (None, Some(skew)) => format!("{message}; {skew}"),
        (None, None) => message,
    };
    Failure {
        class,
        code: answer.code().map(str::to_owned),
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::reply::Data;

    fn json(status: u16, success: Option<bool>, code: &str, message: &str) -> Answer {
        Answer {
            http_status: status,
            request_id: Some("r".into()),
            content: Content::Envelope(Envelope {
                success,
                code: Some(code.into()).filter(|c: &String| !c.is_empty()),
                message: Some(message.into()),
                data: Data::Nothing,
            }),
            ..Answer::default()
        }
    }

    fn body(status: u16, how: Unreadable) -> Answer {
        Answer {
            request_id: None,
            content: Content::Unreadable {
                how,
                excerpt: String::new(),
            },
            ..json(status, None, "", "")
        }
    }

    /// One word for a verdict, to keep the table readable.
    fn word(answer: Answer) -> String {
        match classify(&Reply::Answer(answer)) {
            Verdict::Done => "done".into(),
            Verdict::Throttled { wait, limit, .. } => {
                let limit = limit.map(|limit| (limit.count, limit.window));
                format!("throttled {wait:?} {limit:?}")
            }
            Verdict::Passing {
                failure,
                trouble,
                at_most,
            } => {
                format!("passing {} {trouble:?} {at_most:?}", failure.class)
            }
            Verdict::CredentialRefused { renewal, .. } => match renewal {
                Some(renewal) => format!("credential, renewed {renewal}"),
                None => "credential".into(),
            },
            Verdict::PermissionRefused {
                workspace: true, ..
            } => "workspace".into(),
            Verdict::PermissionRefused {
                workspace: false, ..
            } => "permission".into(),
            Verdict::Echo(failure) => format!("echo {}", failure.class),
            Verdict::TlsRefused(_) => "tls".into(),
            Verdict::Final(failure) => format!("final {}", failure.class),
        }
    }

    #[test]
    fn an_answer_is_judged_by_status_success_and_code() {
        for (answer, expected) in [
            (json(200, Some(true), "00000000", ""), "done".to_owned()),
            (json(201, None, "SOAR.0000", ""), "done".into()),
            (json(200, None, "", ""), "done".into()),
            (
                json(200, Some(false), "SecMaster.20040611", ""),
                "final not_found".into(),
            ),
            (
                json(200, Some(false), "00000000", ""),
                "final validation".into(),
            ),
            (
                json(200, None, "SecMaster.20041002", ""),
                "final validation".into(),
            ),
            (
                json(400, None, "SecMaster.20040611", ""),
                "final not_found".into(),
            ),
            (
                json(400, None, "SecMaster.20040605", ""),
                "final not_found".into(),
            ),
            (
                json(400, None, "SecMaster.20041002", ""),
                "final validation".into(),
            ),
            (
                json(400, None, "SecMaster.20040000", ""),
                "passing server Other Some(2)".into(),
            ),
            (
                json(400, None, "SecMaster.11181002", ""),
                "passing server Other None".into(),
            ),
            (json(401, None, "APIG.0301", ""), "credential".into()),
            (json(401, None, "APIGW.0307", ""), "credential".into()),
            (json(403, None, "APIG.0302", ""), "permission".into()),
            (
                json(403, None, "SecMaster.20010001", ""),
                "workspace".into(),
            ),
            (json(404, None, "APIG.0101", ""), "final not_found".into()),
            (json(409, None, "", ""), "final conflict".into()),
            (
                json(500, None, "", ""),
                "passing server Failing None".into(),
            ),
            (
                json(502, None, "APIG.0201", ""),
                "passing server Failing None".into(),
            ),
            (json(501, None, "", ""), "final server".into()),
            (json(301, None, "", ""), "final protocol".into()),
            (
                body(200, Unreadable::Html),
                "passing network Other None".into(),
            ),
            (
                body(200, Unreadable::Truncated),
                "passing protocol Other None".into(),
            ),
            (
                body(204, Unreadable::Empty),
                "passing protocol Other None".into(),
            ),
            (json(200, None, "APIG.0301", ""), "credential".into()),
            (
                json(200, Some(false), "SecMaster.20010001", ""),
                "workspace".into(),
            ),
            (body(403, Unreadable::Html), "final network".into()),
            (body(404, Unreadable::Html), "final network".into()),
            (body(407, Unreadable::NotJson), "final network".into()),
            (
                Answer {
                    request_id: None,
                    ..json(403, None, "", "denied by policy")
                },
                "final network".into(),
            ),
            (
                body(503, Unreadable::Html),
                "passing server Failing None".into(),
            ),
            (
                json(429, None, "APIG.0308", "no window"),
                "throttled None None".into(),
            ),
        ] {
            assert_eq!(word(answer.clone()), expected, "{answer:?}");
        }
    }

    #[test]
    fn a_throttle_tells_its_wait_by_header_and_its_limit_by_the_gateways_text() {
        let text = |unit: &str| {
            format!(
                "The throttling threshold has been reached: policy user over ratelimit,limit:20,time:{unit}"
            )
        };
        for (unit, seconds) in [
            ("1 minute", 60),
            ("1 second", 1),
            ("5 second", 5),
            ("2 hours", 7_200),
        ] {
            assert_eq!(
                word(json(429, None, "APIGW.0308", &text(unit))),
                format!(
                    "throttled None Some((20, {:?}))",
                    Duration::from_secs(seconds)
                )
            );
        }
        let vague = json(
            429,
            None,
            "APIGW.0308",
            "over ratelimit,limit:XX,time:1 minute",
        );
        assert_eq!(word(vague), "throttled None None");
        let header = Answer {
            retry_after: Some(Duration::from_secs(3)),
            ..json(429, None, "APIG.0308", &text("1 minute"))
        };
        assert_eq!(word(header), "throttled Some(3s) Some((20, 60s))");
        let unavailable = Answer {
            retry_after: Some(Duration::from_secs(2)),
            ..json(503, None, "", "")
        };
        assert_eq!(word(unavailable), "throttled Some(2s) None");
    }

    #[test]
    fn silence_is_a_passing_trouble_but_for_tls() {
        let silent = |cause| {
            classify(&Reply::Silence(Silence {
                cause,
                detail: "why".into(),
            }))
        };
        for cause in [Cause::Dns, Cause::Connect, Cause::Lost, Cause::TimedOut] {
            let verdict = silent(cause);
            let Verdict::Passing {
                trouble, failure, ..
            } = verdict
            else {
                panic!("{verdict:?}")
            };
            assert_eq!(trouble, Trouble::Silent);
            assert!(failure.message.ends_with(": why"), "{}", failure.message);
        }
        assert!(matches!(silent(Cause::Tls), Verdict::TlsRefused(_)));
    }

    #[test]
    fn only_what_never_left_and_a_refusal_by_name_prove_that_an_update_was_not_applied() {
        let silence = |cause| {
            Reply::Silence(Silence {
                cause,
                detail: String::new(),
            })
        };
        for cause in [
            Cause::Dns,
            Cause::Connect,
            Cause::Tls,
            Cause::Unsendable,
            Cause::NoCredential,
            Cause::NoProject,
            Cause::CredentialLate,
        ] {
            assert_eq!(unproven(&silence(cause)), None, "{cause:?}");
        }
        for cause in [Cause::Lost, Cause::TimedOut] {
            assert_eq!(unproven(&silence(cause)), Some(Unproven::Silent));
        }
        let of = |answer: Answer| unproven(&Reply::Answer(answer));
        for (status, code) in [
            (400, "SecMaster.20041002"),
            (400, "SecMaster.11181002"),
            (401, "APIG.0301"),
            (403, "APIGW.0302"),
            (404, "APIG.0101"),
            (409, "SecMaster.20040001"),
            (429, "APIG.0308"),
        ] {
            assert_eq!(of(json(status, None, code, "no")), None, "{status} {code}");
        }
        for (status, code) in [
            (400, "SecMaster.20040000"),
            (400, "X"),
            (400, ""),
            (401, ""),
            (429, ""),
            (500, "SecMaster.20041002"),
            (501, ""),
            (503, "APIG.0613"),
            (507, ""),
            (520, ""),
            (524, ""),
            (302, ""),
        ] {
            let refused = Some(Unproven::Refused);
            assert_eq!(
                of(json(status, None, code, "no")),
                refused,
                "{status} {code}"
            );
        }
        let by_body = json(200, Some(false), "SecMaster.20040611", "no");
        assert_eq!(of(by_body), Some(Unproven::Refused));
        for status in [403, 407, 429, 500] {
            assert_eq!(of(body(status, Unreadable::Html)), Some(Unproven::Refused));
        }
        for answer in [
            json(408, None, "APIG.0201", ""),
            json(425, None, "APIG.0201", ""),
            json(502, None, "APIG.0201", ""),
            json(504, None, "", ""),
            body(200, Unreadable::Truncated),
            body(200, Unreadable::Html),
            body(204, Unreadable::Empty),
        ] {
            assert_eq!(of(answer.clone()), Some(Unproven::Silent), "{answer:?}");
        }
        assert_eq!(of(json(200, Some(true), "00000000", "")), None);
        assert!(Unproven::Silent > Unproven::Refused);
    }

    #[test]
    fn a_redirect_is_told_with_its_host() {
        let answer = Answer {
            redirect_to: Some("login.example".into()),
            ..json(302, None, "", "")
        };
        let Verdict::Final(failure) = classify(&Reply::Answer(answer)) else {
            panic!("a redirect is no success")
        };
        assert_eq!(
            failure.message,
            "HTTP 302 redirects to login.example; redirects are not followed"
        );
    }
}
