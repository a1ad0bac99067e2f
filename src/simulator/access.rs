//! Who may come in. The gateway looks at it before the service gets to see anything.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::model::id::Id;
use crate::model::target::Workspace;

use super::account::Account;
use super::answer::Refusal;
use super::gate::Gate;
use super::iam::IamCall;
use super::message::Message;
use super::metadata::MetadataCall;
use super::signature::Received;
use super::visits::Requests;

/// Who may come in. A clone is the same gateway: what is told to the one holds for the other, also
/// while a server uses it.
#[derive(Clone)]
pub struct Access {
    gate: Arc<Mutex<Gate>>,
}

impl Access {
    fn behind(gate: Gate) -> Self {
        Self {
            gate: Arc::new(Mutex::new(gate)),
        }
    }

    /// Everybody, whatever credential they bring.
    pub fn open() -> Self {
        Self::behind(Gate::open())
    }

    /// Those who bring `token` as their `X-Auth-Token`. It is no account's, and may do all.
    pub fn by_token(token: impl Into<String>) -> Self {
        let mut gate = Gate::default();
        gate.tokens.fix(&token.into(), None);
        Self::behind(gate)
    }

    /// Those who show a credential of one of the accounts; each may act on its own projects.
    pub fn of(accounts: impl IntoIterator<Item = Account>) -> Self {
        let mut gate = Gate::default();
        accounts.into_iter().for_each(|account| gate.add(account));
        Self::behind(gate)
    }

    /// Makes one more account known. Where everybody may come in, IAM still answers by it.
    pub fn add(&self, account: Account) {
        self.gate().add(account);
    }

    /// How long tokens live that are issued from now on. Not told: 24 hours.
    pub fn set_token_life(&self, life: Duration) {
        self.gate().tokens.life = life;
    }

    /// Tokens that are issued from now on end with their `count`th admitted service request
    /// (throttled ones count: it is the gateway that admits). Not told: they do not.
    pub fn set_token_requests(&self, count: u64) {
        self.gate().tokens.requests = Some(count);
    }

    /// Ends every token there is, the fixed ones too, at the real time `now`.
    pub fn end_tokens(&self, now: Timestamp) {
        let mut gate = self.gate();
        let now = gate.clock(now);
        gate.tokens.end_all(now);
    }

    /// How far the server's clock is ahead of the real time, or behind it. It dates answers, tells
    /// how old a signature is, and ends tokens, temporary keys and locks.
    pub fn set_clock_offset(&self, offset: SignedDuration) {
        self.gate().offset = offset;
    }

    /// From now on, one workspace answers 403 to everybody.
    pub fn revoke(&self, workspace: Workspace) {
        self.gate().revoked.insert(workspace);
    }

    /// From now on, the metadata address hands out temporary keys of the account called `account`;
    /// each lives for `life`. Not told, or told of an account that there is not: 404.
    pub fn metadata_of(&self, account: impl Into<String>, life: Duration) {
        self.gate().metadata.hand_out(account.into(), life);
    }

    /// How many tokens were issued.
    pub fn tokens_issued(&self) -> u64 {
        self.gate().tokens.issued
    }

    /// How many temporary keys the metadata address has handed out.
    pub fn keys_handed_out(&self) -> u64 {
        self.gate().metadata.handed_out()
    }

    /// How often a credential came: named by the id of an access key, by the name of a token's (or
    /// password's) account, or by the text of a token that is nobody's. The empty text names all
    /// that brought nothing, or a token that was never given out.
    pub fn requests_of(&self, credential: &str) -> Requests {
        self.gate().visits.of(credential)
    }

    /// The server's time at the real time `now`.
    pub(super) fn clock(&self, now: Timestamp) -> Timestamp {
        self.gate().clock(now)
    }

    /// Lets a request to the service in at the real time `now`, or not.
    pub(super) fn admit(
        &self,
        request: &Received<'_>,
        project_id: &Id,
        workspace: Option<&Workspace>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let mut gate = self.gate();
        let now = gate.clock(now);
        gate.admit(request, project_id, workspace, now)
    }

    /// What IAM answers at the real time `now`.
    pub(super) fn iam(
        &self,
        call: &IamCall,
        request: &Received<'_>,
        now: Timestamp,
    ) -> Result<Message, Refusal> {
        let mut gate = self.gate();
        let now = gate.clock(now);
        gate.iam(call, request, now)
    }

    /// What the metadata address answers at the real time `now`.
    pub(super) fn metadata(
        &self,
        call: MetadataCall,
        request: &Received<'_>,
        now: Timestamp,
    ) -> Message {
        let mut gate = self.gate();
        let now = gate.clock(now);
        gate.metadata(call, request, now)
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        // Whoever panicked with it left it whole: nothing is half done when anything could panic.
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gate {
    fn clock(&self, now: Timestamp) -> Timestamp {
        now.checked_add(self.offset).unwrap_or(now)
    }
}
