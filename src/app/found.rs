//! A credential that was found, wherever.

use crate::error::Error;
use crate::model::endpoint::Endpoint;
use crate::secmaster::auth::credential::Credential;
use crate::secmaster::auth::keys::Keys;
use crate::secmaster::auth::metadata::Metadata;
use crate::secmaster::auth::password::User;
use crate::secmaster::auth::supply::{Fixed, Supply};

/// A credential that was found.
pub(super) struct Found {
    /// Whose it is as far as it says itself, and where it was found; nothing secret.
    pub(super) text: String,
    /// The same for the same secret, wherever it was found; nothing secret.
    pub(super) identity: String,
    pub(super) kind: Kind,
    /// IAM, where the same place names it.
    pub(super) iam_endpoint: Option<Endpoint>,
    /// What was found as well and is not used.
    pub(super) passed_over: Vec<String>,
    /// What should be known of other places.
    pub(super) warnings: Vec<String>,
}

/// What has to be done to have it.
pub(super) enum Kind {
    /// It is here, or whoever has it can be asked.
    Supply(Box<dyn Supply>),
    /// The metadata service may have one; whether there is one must be asked.
    Metadata(Metadata),
    /// IAM gives tokens for it.
    Password(User),
}

impl Found {
    /// Whether its identity is an account's, and not that of a place.
    pub(super) fn is_an_account(&self) -> bool {
        self.identity.starts_with("access key ") || self.identity.starts_with("IAM user ")
    }

    pub(super) fn new(text: String, identity: String, kind: Kind) -> Self {
        Self {
            text,
            identity,
            kind,
            iam_endpoint: None,
            passed_over: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub(super) fn fixed(text: String, credential: Credential) -> Self {
        let identity = match &credential {
            Credential::Keys(keys) => key_identity(keys),
            Credential::Token(_) => text.clone(),
        };
        Self::new(text, identity, Kind::Supply(Box::new(Fixed(credential))))
    }
}

/// A key is the same key in whatever file it stands.
pub(super) fn key_identity(keys: &Keys) -> String {
    format!("access key {}", keys.access_key())
}

const HINT: &str = "give an IAM token by HW_AUTH_TOKEN or --token-file FILE, an access key by \
                    HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK, a profile by --profile NAME; to try a job \
                    without an account, say --simulate";

/// There is no credential.
pub(super) fn none(what: String) -> Error {
    Error::Refused {
        what,
        hint: HINT.to_owned(),
    }
}
