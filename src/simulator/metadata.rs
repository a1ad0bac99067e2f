//! The address at which a cloud server learns about itself, as far as it hands out temporary keys
//! (as the vendor's Python SDK asks for them: `auth/internal.py`, `MetadataAccessor`).

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::account::{Account, Key};
use super::clock::{iam_time, later};
use super::message::Message;
use super::mint::Mint;
use super::signature::Received;

/// The longest life of a metadata token, in seconds.
const LONGEST: u64 = 21_600;

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MetadataCall {
    /// `PUT /meta-data/latest/api/token`
    IssueToken,
    /// `GET /openstack/latest/securitykey`
    HandOutKey,
}

/// What the address hands out, and to whom.
#[derive(Default)]
pub(super) struct Metadata {
    /// The account's name, and how long its keys live.
    of: Option<(String, Duration)>,
    /// When each token ends.
    tokens: HashMap<String, Timestamp>,
    mint: Mint,
    handed_out: u64,
}

impl Metadata {
    pub(super) fn hand_out(&mut self, account: String, life: Duration) {
        self.of = Some((account, life));
    }

    pub(super) fn handed_out(&self) -> u64 {
        self.handed_out
    }

    fn issue_token(&mut self, request: &Received<'_>, now: Timestamp) -> Message {
        let life = request.header("x-metadata-token-ttl-seconds");
        match life.and_then(|life| life.parse().ok()) {
            Some(life @ 1..=LONGEST) => {
                let text = self.mint.make("metadata token", now);
                let ends = later(now, Duration::from_secs(life));
                self.tokens.insert(text.clone(), ends);
                Message::text(200, &text)
            }
            Some(_) | None => Message::text(400, "Bad Request"),
        }
    }

    /// Whether `request` shows a token that has not ended.
    fn knows(&self, request: &Received<'_>, now: Timestamp) -> bool {
        let token = request.header("x-metadata-token");
        let ends = token.and_then(|token| self.tokens.get(token));
        ends.is_some_and(|ends| now < *ends)
    }

    fn make_key(&mut self, life: Duration, now: Timestamp) -> (Key, Credential) {
        self.handed_out += 1;
        let ak = self.mint.make("ak", now).to_uppercase();
        let credential = Credential {
            access: format!("HST{}", &ak[..17]),
            secret: self.mint.make("sk", now)[..40].to_owned(),
            securitytoken: format!("h{}", self.mint.make("security token", now)),
            expires_at: iam_time(later(now, life)),
        };
        let key = Key::new(&credential.access, &credential.secret)
            .with_security_token(&credential.securitytoken)
            .until(later(now, life));
        (key, credential)
    }
}

#[derive(Serialize)]
struct Credential {
    access: String,
    secret: String,
    securitytoken: String,
    expires_at: String,
}

impl Metadata {
    /// Answers like the metadata address; keys that it hands out are the account's from now on.
    pub(super) fn answer(
        &mut self,
        accounts: &mut [Account],
        call: MetadataCall,
        request: &Received<'_>,
        now: Timestamp,
    ) -> Message {
        let named = self.of.clone();
        let found = named.and_then(|(name, life)| {
            let mut accounts = accounts.iter_mut();
            Some((accounts.find(|account| account.name == name)?, life))
        });
        let Some((account, life)) = found else {
            return Message::text(404, "Not Found");
        };
        match call {
            MetadataCall::IssueToken => self.issue_token(request, now),
            MetadataCall::HandOutKey if self.knows(request, now) => {
                #[derive(Serialize)]
                struct Body {
                    credential: Credential,
                }
                let (key, credential) = self.make_key(life, now);
                account.keys.push(key);
                Message::json(200, &Body { credential })
            }
            MetadataCall::HandOutKey => Message::text(401, "Unauthorized"),
        }
    }
}
