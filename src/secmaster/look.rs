//! One reading that shows what a credential is good for.

use std::time::Duration;

use http::Method;
use http::header::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use url::Url;

use crate::model::id::Id;
use crate::model::reply::{Answer, Cause, Silence};

use super::auth::credential::Credential;
use super::client::{Lane, answer, blot_out_answer};
use super::error::tidy;
use super::transport::{Parcel, wall};
use super::wire::Wanted;

/// What a reading showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The answer.
    pub answer: Answer,
    /// How many workflows, or workspaces, there are, if the answer says so.
    pub total: Option<u64>,
    /// From leaving to the end of the answer.
    pub took: Duration,
    /// How far this machine's clock is ahead of the service's, to the second.
    pub clock_ahead: Option<SignedDuration>,
}

impl Lane {
    /// Reads one workflow of `workspace_id`; without it, one workspace of the project.
    ///
    /// # Errors
    /// There was no answer.
    pub async fn look(
        &self,
        credential: &Credential,
        project_id: &Id,
        workspace_id: Option<&Id>,
        timeout: Duration,
    ) -> Result<Look, Silence> {
        let mut parcel = self.parcel_to_look(project_id, workspace_id)?;
        let left: Timestamp = wall();
        credential.put_on(&mut parcel, Some(project_id.as_str()), left);
        let received = self.transport().send(parcel, timeout).await;
        let received = received.map_err(|silence| Silence {
            detail: credential.blot_out(silence.detail),
            ..silence
        })?;
        let arrived = wall();
        let took = arrived.duration_since(left);
        let middle = left.checked_add(took / 2).unwrap_or(left);
        let there = received.served_at();
        let total = received.body.as_deref().ok().and_then(total);
        Ok(Look {
            total,
            took: took.unsigned_abs(),
            clock_ahead: there.map(|there| {
                let ahead = middle.duration_since(there).as_millis() as f64 / 1_000.0;
                // The header counts whole seconds, begun ones not at all.
                SignedDuration::from_secs((ahead - 0.5).round() as i64)
            }),
            answer: blot_out_answer(
                credential,
                answer(received, self.transport().via(), Wanted::Nothing),
            ),
        })
    }

    fn parcel_to_look(
        &self,
        project_id: &Id,
        workspace_id: Option<&Id>,
    ) -> Result<Parcel, Silence> {
        let base = self.endpoint().as_str();
        let workspaces = format!("{base}/v1/{project_id}/workspaces");
        let path = match workspace_id {
            Some(workspace_id) => format!("{workspaces}/{workspace_id}/soc/workflows"),
            None => workspaces,
        };
        let url = Url::parse(&format!("{path}?limit=1&offset=0"));
        let url = url.map_err(|error| Silence {
            cause: Cause::Unsendable,
            detail: tidy(&error.to_string()),
        })?;
        Ok(Parcel {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Vec::new(),
        })
    }
}

/// How many there are, in the words of either list.
fn total(body: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Counted {
        #[serde(alias = "count")]
        total: Option<u64>,
    }
    serde_json::from_slice::<Counted>(body).ok()?.total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lists_tell_how_many_there_are() {
        assert_eq!(total(br#"{"total":7,"data":[]}"#), Some(7));
        assert_eq!(total(br#"{"count":2,"workspaces":[]}"#), Some(2));
        assert_eq!(total(b"<html>"), None);
    }
}
