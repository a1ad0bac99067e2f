//! Keeps this process's memory to itself.

use std::panic::{self, PanicHookInfo};

use rustix::process::{Resource, Rlimit, setrlimit};

use super::terminal;

/// From now on no core is dumped, and a panic does not print what it was thrown with: both may hold a
/// secret. Where the system allows neither, the run is as good as without.
pub(super) fn take() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = setrlimit(Resource::Core, none);
    // A core that goes to a program through a pipe knows no limit of size.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    panic::set_hook(Box::new(|info| terminal::complain(&last_words(info))));
}

fn last_words(info: &PanicHookInfo<'_>) -> String {
    let place = match info.location() {
        Some(place) => format!(" at {}:{}", place.file(), place.line()),
        None => String::new(),
    };
    format!(
        "error: flowbatch is wrong in itself{place} (version {})\n  please report this; what is known \
         of a run stands in its journal.jsonl",
        env!("CARGO_PKG_VERSION")
    )
}
