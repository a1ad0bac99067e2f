//! Somebody who asks the run to stop, and how often so far.

use std::future::pending;
use std::pin::Pin;

use futures::stream::{Stream, StreamExt};

use crate::model::outcome::Ended;

/// Those who ask to stop, over a whole run.
pub struct Interrupts<'a> {
    asked: Pin<&'a mut dyn Stream<Item = Ended>>,
    is_over: bool,
    first: Option<Ended>,
    leaves: bool,
}

/// What somebody who asks wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// That nothing new starts: this is the first time.
    Stop(Ended),
    /// To leave: somebody has asked before, in this way.
    Leave(Ended),
}

impl<'a> Interrupts<'a> {
    /// Nobody has asked so far.
    pub fn new(asked: Pin<&'a mut dyn Stream<Item = Ended>>) -> Self {
        Self {
            asked,
            is_over: false,
            first: None,
            leaves: false,
        }
    }

    /// How they asked first, if they have asked again.
    pub fn leaves(&self) -> Option<Ended> {
        self.first.filter(|_| self.leaves)
    }

    /// The next time somebody asks; it may never come. Whoever stops waiting for it misses nothing.
    pub async fn next(&mut self) -> Wish {
        if !self.is_over {
            if let Some(ended) = self.asked.next().await {
                return match self.first {
                    None => Wish::Stop(*self.first.insert(ended)),
                    Some(first) => {
                        self.leaves = true;
                        Wish::Leave(first)
                    }
                };
            }
            self.is_over = true;
        }
        pending().await
    }
}
