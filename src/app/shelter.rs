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
    panic::set_hook(Box::new(|info| {
        terminal::say_at_last(last_words(info));
        leave();
    }));
}

/// Ends the process, wherever it went wrong: what would wait for a thread that is gone would wait for ever, with its locks held.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing can be relied on any more"
)]
fn leave() {
    std::process::exit(PANICKED);
}

/// What a Rust program returns that panics.
const PANICKED: i32 = 101;

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

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const CHILD: &str = "FLOWBATCH_TEST_PANIC_CHILD";

    #[test]
    fn a_panic_in_any_thread_ends_the_process_after_its_last_words() {
        if std::env::var_os(CHILD).is_some() {
            take();
            // A thread that waits for this one would wait for ever.
            let (_tell, told) = std::sync::mpsc::channel::<()>();
            std::thread::spawn(|| panic!("with a secret"));
            let _ = told.recv();
            return;
        }
        let own = std::env::current_exe().unwrap();
        let name =
            "app::shelter::tests::a_panic_in_any_thread_ends_the_process_after_its_last_words";
        let child = Command::new(own)
            .args([name, "--exact", "--nocapture", "--test-threads=1"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        assert_eq!(child.status.code(), Some(PANICKED));
        let said = String::from_utf8_lossy(&child.stderr);
        assert!(said.contains("please report this"), "{said}");
        assert!(!said.contains("with a secret"), "{said}");
    }
}
