//! Tokens that let somebody in, until they end.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use super::account::Project;
use super::clock::later;
use super::denial::Denial;
use super::mint::Mint;

/// How long IAM's tokens live.
pub(super) const LIFE: Duration = Duration::from_secs(24 * 3_600);

/// All tokens that were ever given out.
pub(super) struct Tokens {
    known: HashMap<String, Token>,
    mint: Mint,
    /// How long those live that are issued from now on.
    pub(super) life: Duration,
    /// How many service requests they admit.
    pub(super) requests: Option<u64>,
    /// How many were issued.
    pub(super) issued: u64,
}

/// A token.
#[derive(Clone, Debug)]
pub(super) struct Token {
    /// The number of its account; none if it is nobody's and may do all.
    pub(super) account: Option<usize>,
    /// The only project that it is good for.
    pub(super) project: Option<Project>,
    pub(super) issued: Timestamp,
    pub(super) ends: Timestamp,
    /// How many more service requests it admits.
    left: Option<u64>,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
            mint: Mint::default(),
            life: LIFE,
            requests: None,
            issued: 0,
        }
    }
}

impl Tokens {
    /// Makes `text` a token that does not end by itself.
    pub(super) fn fix(&mut self, text: &str, account: Option<usize>) {
        let token = Token {
            account,
            project: None,
            issued: Timestamp::UNIX_EPOCH,
            ends: Timestamp::MAX,
            left: None,
        };
        self.known.insert(text.to_owned(), token);
    }

    /// A new token of an account.
    pub(super) fn issue(
        &mut self,
        account: usize,
        project: Option<Project>,
        now: Timestamp,
    ) -> (String, Token) {
        self.issued += 1;
        // IAM's begin so, being CMS messages in Base64.
        let text = format!("MII{}", self.mint.make("token", now));
        let token = Token {
            account: Some(account),
            project,
            issued: now,
            ends: later(now, self.life),
            left: self.requests,
        };
        self.known.insert(text.clone(), token.clone());
        (text, token)
    }

    /// Whose token `text` is.
    pub(super) fn find(&self, text: &str) -> Option<&Token> {
        self.known.get(text)
    }

    /// The token `text`, if it lets anybody in `now`.
    pub(super) fn valid(&self, text: &str, now: Timestamp) -> Result<&Token, Denial> {
        let token = self.find(text).ok_or(Denial::UnknownToken)?;
        if token.ends <= now {
            return Err(Denial::Ended { ends: token.ends });
        }
        Ok(token)
    }

    /// The token has admitted one more service request.
    pub(super) fn count(&mut self, text: &str, now: Timestamp) {
        if let Some(token) = self.known.get_mut(text)
            && let Some(left) = &mut token.left
        {
            *left = left.saturating_sub(1);
            if *left == 0 {
                token.ends = now;
            }
        }
    }

    /// Ends every token there is.
    pub(super) fn end_all(&mut self, now: Timestamp) {
        for token in self.known.values_mut() {
            token.ends = token.ends.min(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn a_token_lives_for_a_day() {
        let mut tokens = Tokens::default();
        let (text, _) = tokens.issue(0, None, at(0));
        assert!(tokens.valid(&text, at(86_399)).is_ok());
        let ended = tokens.valid(&text, at(86_400)).unwrap_err();
        assert_eq!(ended, Denial::Ended { ends: at(86_400) });
        assert_eq!(
            tokens.valid("else", at(0)).unwrap_err(),
            Denial::UnknownToken
        );
    }

    #[test]
    fn a_token_that_has_admitted_its_share_ends() {
        let mut tokens = Tokens {
            requests: Some(2),
            ..Tokens::default()
        };
        let (first, _) = tokens.issue(0, None, at(0));
        let (second, _) = tokens.issue(0, None, at(0));
        assert_ne!(first, second);
        tokens.count(&first, at(1));
        assert!(tokens.valid(&first, at(2)).is_ok());
        tokens.count(&first, at(2));
        let ended = tokens.valid(&first, at(2)).unwrap_err();
        assert_eq!(ended, Denial::Ended { ends: at(2) });
        assert!(tokens.valid(&second, at(2)).is_ok());
    }

    #[test]
    fn a_fixed_token_ends_only_when_it_is_ended() {
        let mut tokens = Tokens::default();
        tokens.fix("fixed", None);
        assert!(tokens.valid("fixed", at(1 << 32)).is_ok());
        tokens.end_all(at(7));
        assert!(tokens.valid("fixed", at(7)).is_err());
    }
}
