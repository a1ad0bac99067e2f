//! Bodies: what an update's says, and what an answer's is to say.

use serde::{Deserialize, Serialize};

use crate::model::update::{Label, Update};

use super::answer::{Answered, Page, Refusal, Speaker};
use super::call::Invalid;
use super::records::WorkspaceRecord;

/// What a proxy shows instead of an answer.
pub(super) const WEB_PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Web filter</title></head>\
    <body><h1>One moment please</h1><p>Your request is being checked.</p></body></html>\n";

/// The update that `body` asks for. As in the service, members that it does not know say nothing,
/// and neither does `null`.
pub(super) fn update(body: &[u8]) -> Result<Update, Invalid> {
    #[derive(Deserialize)]
    struct Body {
        name: Option<String>,
        description: Option<String>,
        enabled: Option<bool>,
        version_id: Option<String>,
        labels: Option<Label>,
    }
    // An array would do for serde.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(Invalid("the body is no JSON object".into()));
    }
    let body: Body = serde_json::from_slice(body).map_err(|error| Invalid(error.to_string()))?;
    if let Some(Label::Raw(text)) = &body.labels {
        return Err(Invalid(format!("labels: {text:?} is none")));
    }
    Ok(Update {
        name: body.name,
        description: body.description,
        enabled: body.enabled,
        version_id: body.version_id,
        labels: body.labels,
    })
}

/// The members that all successes share.
#[derive(Serialize)]
struct Envelope<'a, T> {
    code: &'a str,
    message: &'a str,
    success: bool,
    request_id: &'a str,
    #[serde(flatten)]
    place: Option<Place>,
    data: &'a T,
}

/// Where a page stands in its list.
#[derive(Serialize)]
struct Place {
    total: usize,
    offset: usize,
    limit: usize,
    size: usize,
    page: usize,
}

/// Workspaces come without the envelope.
#[derive(Serialize)]
struct OneWorkspace<'a> {
    workspace: &'a WorkspaceRecord,
}

#[derive(Serialize)]
struct SomeWorkspaces<'a> {
    count: usize,
    workspaces: &'a [WorkspaceRecord],
}

/// The body of an answer.
pub(super) fn body(answered: &Answered, request_id: &str) -> serde_json::Result<Vec<u8>> {
    match answered {
        Answered::Workspace(workspace) => serde_json::to_vec(&OneWorkspace { workspace }),
        Answered::Workspaces(page) => serde_json::to_vec(&SomeWorkspaces {
            count: page.total,
            workspaces: &page.data,
        }),
        Answered::Workflow(workflow) => success(workflow, None, request_id),
        Answered::Version(version) => success(version, None, request_id),
        Answered::Workflows(page) => success(&page.data, Some(page.place()), request_id),
        Answered::Versions(page) => success(&page.data, Some(page.place()), request_id),
        Answered::Refused(refusal) => refusal.body(request_id),
    }
}

fn success<T: Serialize>(
    data: &T,
    place: Option<Place>,
    request_id: &str,
) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Envelope {
        code: "00000000",
        message: "",
        success: true,
        request_id,
        place,
        data,
    })
}

impl<T> Page<T> {
    fn place(&self) -> Place {
        Place {
            total: self.total,
            offset: self.offset,
            limit: self.limit,
            size: self.data.len(),
            page: self.offset.checked_div(self.limit).unwrap_or_default() + 1,
        }
    }
}

impl Answered {
    /// The HTTP status that it comes with.
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::Workspace(_)
            | Self::Workspaces(_)
            | Self::Workflow(_)
            | Self::Workflows(_)
            | Self::Version(_)
            | Self::Versions(_) => 200,
            Self::Refused(refusal) => refusal.status,
        }
    }
}

impl Refusal {
    /// The service's own refusals name the request in the header only.
    fn body(&self, request_id: &str) -> serde_json::Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Service<'a> {
            code: &'a str,
            message: &'a str,
        }
        #[derive(Serialize)]
        struct Gateway<'a> {
            error_msg: &'a str,
            error_code: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            request_id: Option<&'a str>,
        }
        let request_id = match self.speaker {
            Speaker::Workflows => {
                return serde_json::to_vec(&Service {
                    code: self.code,
                    message: &self.message,
                });
            }
            Speaker::Workspaces => None,
            Speaker::Gateway => Some(request_id),
        };
        serde_json::to_vec(&Gateway {
            error_msg: &self.message,
            error_code: self.code,
            request_id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_sets_what_it_holds_and_passes_over_what_it_does_not_know() {
        let body = br#" {"name":"N","description":"","labels":"IP","enabled":null,"owner":[1]} "#;
        assert_eq!(
            update(body),
            Ok(Update {
                name: Some("N".into()),
                description: Some(String::new()),
                labels: Some(Label::Ip),
                ..Update::default()
            })
        );
        assert_eq!(update(b"{}"), Ok(Update::default()));
    }

    #[test]
    fn a_body_of_another_type_is_no_update() {
        for body in [
            "",
            "null",
            "[\"N\"]",
            "\"N\"",
            "{\"name\":1}",
            "{\"enabled\":\"true\"}",
            "{\"labels\":\"ip\"}",
            "{\"labels\":[\"IP\"]}",
            "{\"name\":\"N\"",
            "{} {}",
        ] {
            assert!(update(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn a_refusal_is_shaped_by_who_refuses() {
        let text = |refusal: Refusal| String::from_utf8(refusal.body("r").unwrap()).unwrap();
        assert_eq!(
            text(Refusal::no_such_workflow()),
            r#"{"code":"SecMaster.20040611","message":"workflow not found"}"#
        );
        assert_eq!(
            text(Refusal::no_workspace_to_show().about_workspaces()),
            r#"{"error_msg":"workspace not found","error_code":"SecMaster.20011003"}"#
        );
        assert_eq!(
            text(Refusal::no_such_api().about_workspaces()),
            r#"{"error_msg":"The API does not exist or has not been published in the environment","error_code":"APIG.0101","request_id":"r"}"#
        );
    }

    #[test]
    fn a_page_tells_where_it_stands() {
        let page = Page {
            data: Vec::new(),
            total: 12,
            offset: 10,
            limit: 5,
        };
        let body = body(&Answered::Workflows(page), "r").unwrap();
        assert_eq!(
            String::from_utf8(body).unwrap(),
            r#"{"code":"00000000","message":"","success":true,"request_id":"r","total":12,"offset":10,"limit":5,"size":0,"page":3,"data":[]}"#
        );
    }
}
