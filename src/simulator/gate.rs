//! What the gateway knows, and whom it lets in. No clock: `now` comes in, and is the server's.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;

use crate::model::id::Id;
use crate::model::target::Workspace;

use super::account::{Account, Key};
use super::answer::Refusal;
use super::denial::Denial;
use super::message::Message;
use super::metadata::{Metadata, MetadataCall};
use super::signature::{Claim, Received};
use super::strikes::Strikes;
use super::tokens::Tokens;
use super::visits::{Door, Visits};

/// How far a signature's time may be from the server's (vendor's page on API signing).
const LARGEST_SKEW: Duration = Duration::from_secs(15 * 60);

/// What the gateway knows.
#[derive(Default)]
pub(super) struct Gate {
    /// Everybody is let in, with whatever credential.
    open: bool,
    pub(super) accounts: Vec<Account>,
    pub(super) tokens: Tokens,
    pub(super) visits: Visits,
    pub(super) metadata: Metadata,
    /// Workspaces that are closed to everybody.
    pub(super) revoked: BTreeSet<Workspace>,
    /// How far the server's clock is ahead.
    pub(super) offset: SignedDuration,
    strikes: Strikes,
}

/// Who a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// Nobody in particular, who may do all.
    Anybody,
    /// An account.
    Account {
        /// Its number.
        index: usize,
        /// The only project that its token is good for.
        project: Option<Id>,
    },
}

/// A credential as it was shown.
pub(super) struct Shown {
    /// How its requests are counted: by a key's id, the name of a token's account, or the text of
    /// a token that is nobody's. Nothing for tokens that are not known, which may be long and many.
    pub(super) credential: String,
    /// The token, if it was one.
    pub(super) token: Option<String>,
    /// Whom it lets in.
    pub(super) caller: Result<Caller, Denial>,
}

impl Gate {
    /// What the metadata address answers.
    pub(super) fn metadata(
        &mut self,
        call: MetadataCall,
        request: &Received<'_>,
        now: Timestamp,
    ) -> Message {
        let Self {
            metadata, accounts, ..
        } = self;
        metadata.answer(accounts, call, request, now)
    }

    /// Lets everybody in.
    pub(super) fn open() -> Self {
        Self {
            open: true,
            ..Self::default()
        }
    }

    /// Makes `account` known, with its tokens.
    pub(super) fn add(&mut self, account: Account) {
        let index = self.accounts.len();
        for token in &account.tokens {
            self.tokens.fix(token.expose_secret(), Some(index));
        }
        self.accounts.push(account);
    }

    /// Lets a request to the service in, or not.
    pub(super) fn admit(
        &mut self,
        request: &Received<'_>,
        project_id: &Id,
        workspace: Option<&Workspace>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let shown = self.look(request, now);
        let admitted = match shown.caller {
            Err(denial) => Err(denial.at_service()),
            Ok(caller) if self.allows(&caller, request, project_id, workspace) => Ok(()),
            Ok(_) => Err(Refusal::not_authorized()),
        };
        if let (Ok(()), Some(token)) = (&admitted, &shown.token) {
            self.tokens.count(token, now);
        }
        let door = Door::Service;
        self.visits.count(&shown.credential, door, admitted.is_ok());
        admitted
    }

    fn allows(
        &self,
        caller: &Caller,
        request: &Received<'_>,
        project_id: &Id,
        workspace: Option<&Workspace>,
    ) -> bool {
        if workspace.is_some_and(|workspace| self.revoked.contains(workspace)) {
            return false;
        }
        let Caller::Account { index, project } = caller else {
            return true;
        };
        let account = self.accounts.get(*index);
        let told = request.headers.get("x-project-id");
        account.is_some_and(|account| account.owns(project_id))
            && project.as_ref().is_none_or(|scope| scope == project_id)
            && told.is_none_or(|told| told.as_bytes() == project_id.as_str().as_bytes())
    }

    /// Looks at the credential of `request`. Where there are both, the token counts.
    pub(super) fn look(&mut self, request: &Received<'_>, now: Timestamp) -> Shown {
        let mut shown = match (request.headers.get("x-auth-token"), Claim::of(request)) {
            (Some(token), _) => self.look_at_token(token.to_str().unwrap_or_default(), now),
            (None, Some(claim)) => Shown {
                credential: claim.access.to_owned(),
                token: None,
                caller: self.look_at_claim(&claim, request, now),
            },
            (None, None) => {
                let signed = request.headers.contains_key("authorization");
                Shown {
                    credential: String::new(),
                    token: None,
                    caller: Err(match signed {
                        true => Denial::WrongSignature,
                        false => Denial::NoToken,
                    }),
                }
            }
        };
        if self.open {
            shown.caller = Ok(Caller::Anybody);
        }
        shown
    }

    fn look_at_token(&self, text: &str, now: Timestamp) -> Shown {
        let known = self.tokens.find(text);
        let credential = known.map(|token| {
            let owner = token.account.and_then(|index| self.accounts.get(index));
            owner.map_or(text, |owner| owner.name.as_str())
        });
        let caller = self.tokens.valid(text, now).map(|token| {
            let project = token.project.as_ref().map(|project| project.id.clone());
            let account = token.account;
            account.map_or(Caller::Anybody, |index| Caller::Account { index, project })
        });
        Shown {
            credential: credential.unwrap_or_default().to_owned(),
            token: Some(text.to_owned()),
            caller,
        }
    }

    fn look_at_claim(
        &mut self,
        claim: &Claim<'_>,
        request: &Received<'_>,
        now: Timestamp,
    ) -> Result<Caller, Denial> {
        let ak = claim.access;
        let Some((index, key)) = self.key(ak) else {
            return Err(Denial::UnknownKey { ak: ak.to_owned() });
        };
        if self.strikes.lock(ak, now) {
            return Err(Denial::LockedKey);
        }
        key.check_security_token(request, now)?;
        if now.duration_since(claim.at).unsigned_abs() > LARGEST_SKEW {
            return Err(Denial::StaleSignature);
        }
        let holds = claim.holds(request, key.sk.expose_secret());
        if !holds {
            self.strikes.wrong(ak, now);
            return Err(Denial::WrongSignature);
        }
        self.strikes.right(ak);
        Ok(Caller::Account {
            index,
            project: None,
        })
    }

    /// The access key, and the number of its account.
    fn key(&self, ak: &str) -> Option<(usize, &Key)> {
        let accounts = self.accounts.iter().enumerate();
        accounts
            .filter_map(|(index, account)| {
                let mut keys = account.keys.iter();
                Some((index, keys.find(|key| key.ak == ak)?))
            })
            .next()
    }
}

impl Key {
    /// Whether a temporary key came with its token, and has not ended.
    fn check_security_token(&self, request: &Received<'_>, now: Timestamp) -> Result<(), Denial> {
        let brought = request.headers.get("x-security-token");
        match (&self.security_token, brought) {
            (None, _) => {}
            (Some(_), None) => {
                let ak = self.ak.clone();
                return Err(Denial::UnknownKey { ak });
            }
            (Some(token), Some(brought)) => {
                if token.expose_secret().as_bytes() != brought.as_bytes() {
                    return Err(Denial::UnknownToken);
                }
            }
        }
        match self.ends {
            Some(ends) if ends <= now => Err(Denial::Ended { ends }),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
