//! What a job comes to against the live state. Pure: live states come in, decisions go out.

pub mod assessment;
pub mod decision;
pub mod directory;
pub mod estimate;
pub mod preview;
pub mod snapshot;
pub mod survey;
pub mod undo;
