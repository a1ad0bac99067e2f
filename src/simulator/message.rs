//! What IAM and the metadata address answer.

use serde::Serialize;

/// An answer from beside the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// The HTTP status.
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    /// A token that was issued or looked up; `X-Subject-Token`.
    pub(super) subject_token: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Message {
    pub(super) fn json(status: u16, body: &impl Serialize) -> Self {
        Self {
            status,
            content_type: "application/json",
            subject_token: None,
            // Nothing here has keys that JSON does not know, or an `impl Serialize` that fails.
            body: serde_json::to_vec(body).unwrap_or_default(),
        }
    }

    pub(super) fn text(status: u16, text: &str) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            subject_token: None,
            body: text.into(),
        }
    }
}
