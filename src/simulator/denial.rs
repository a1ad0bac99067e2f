//! Why a credential does not let anybody in, in the gateway's words.

use jiff::Timestamp;

use super::answer::Refusal;
use super::clock::iam_time;

/// Why a credential does not let anybody in. The texts are those that the vendor's pages list; which
/// of them a temporary key without its security token gets is not known, and decided here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Denial {
    /// There is neither a token nor a signature.
    #[error("x-auth-token not found")]
    NoToken,
    /// The token, or the security token of a temporary key, was never given out.
    #[error("decrypt token fail")]
    UnknownToken,
    /// The token, or the temporary key, has ended.
    #[error("token expires, expires_at: {}", iam_time(*ends))]
    Ended {
        /// When.
        ends: Timestamp,
    },
    /// There is no such access key, or a temporary one came without its security token.
    #[error("Get secretKey failed,ak:{ak},err:ak not exist")]
    UnknownKey {
        /// Its id.
        ak: String,
    },
    /// The signature is another one.
    #[error("verify aksk signature fail")]
    WrongSignature,
    /// It was signed too long ago, or too far ahead.
    #[error("calc ak sk signature fail:signature expired")]
    StaleSignature,
    /// Too many wrong signatures in a row.
    #[error("AK access failed to reach the limit,forbidden")]
    LockedKey,
}

impl Denial {
    /// What the gateway of the service answers.
    pub(super) fn at_service(&self) -> Refusal {
        Refusal::unauthorized(&self.to_string())
    }

    /// What the gateway of IAM answers: the same, by its other prefix.
    pub(super) fn at_iam(&self) -> Refusal {
        Refusal {
            code: "APIGW.0301",
            ..self.at_service()
        }
    }
}
