//! How many files this process may have open: each lock and each connection is one.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are opened besides locks and connections: the record, its copies, the terminal, what names are looked up in.
const OTHERS: u64 = 32;

/// Lets this process have as many as the system allows.
pub(super) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // Where it may not, opening a file says so.
    let _ = setrlimit(Resource::Nofile, raised);
}

/// How many requests there may be in parallel by each of so many `lanes`, of those that are `wanted`, now that locks are
/// held. A request takes `files`.
pub(super) fn fitting(wanted: usize, lanes: usize, files: u64) -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    // Where the system does not tell, the few that every process begins with.
    let in_use = fs::read_dir("/proc/self/fd").map_or(8, |open| open.count() as u64);
    fit(limit, in_use, wanted, lanes, files)
}

/// That fewer requests than `wanted` may be in parallel.
pub(super) fn text(wanted: usize, fitting: usize) -> Option<String> {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    (fitting < wanted).then(|| {
        format!(
            "this process may open {limit} files: at most {fitting} requests in parallel, not {wanted} (raise the hard limit: ulimit -Hn, LimitNOFILE=)"
        )
    })
}

fn fit(limit: u64, in_use: u64, wanted: usize, lanes: usize, files: u64) -> usize {
    let free = limit.saturating_sub(in_use).saturating_sub(OTHERS);
    let each = free / files.max(1) / (lanes.max(1) as u64);
    usize::try_from(each)
        .unwrap_or(usize::MAX)
        .clamp(1, wanted.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_in_parallel_stay_below_the_limit_on_open_files() {
        for (limit, in_use, wanted, lanes, files, expected) in [
            (1024, 10, 64, 1, 1, 64),
            (64, 10, 64, 1, 1, 22),
            (64, 10, 64, 2, 1, 11),
            (64, 10, 64, 1, 2, 11),
            (20, 10, 64, 3, 1, 1),
            (0, 0, 0, 0, 0, 1),
            (u64::MAX, 10, 64, 1, 1, 64),
        ] {
            assert_eq!(
                fit(limit, in_use, wanted, lanes, files),
                expected,
                "{limit} {wanted} {lanes}"
            );
        }
    }
}
