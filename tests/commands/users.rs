//! Several users of one machine: a service whose runs a group may read, and folders of another user. Only root can
//! play them all; as another user these stories are passed over.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;

use tempfile::TempDir;

use crate::language::{Desk, Said};

/// The service's user, and its own group.
const SERVICE: (u32, u32) = (41_001, 41_001);
/// The group of those who are on call, of which the service is no member.
const ON_CALL: u32 = 41_009;
/// Who is on call.
const READER: (u32, u32) = (41_002, ON_CALL);
/// Any other user.
const OTHER: (u32, u32) = (41_003, 41_003);

/// A desk that all may look at, and a program that all may run.
struct Shared {
    desk: Desk,
    program: TempDir,
}

impl Shared {
    /// None where this user cannot play others.
    fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let desk = Desk::with("rows.csv", "workflow_id,name\nw1,One\nw2,Two\nw3,Three\n");
        let program = TempDir::new().unwrap();
        for folder in [&desk.path(""), program.path()] {
            fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
        }
        // Where it was built, others may have no business.
        let (built, here) = (
            env!("CARGO_BIN_EXE_flowbatch"),
            program.path().join("flowbatch"),
        );
        if fs::hard_link(built, &here).is_err() {
            fs::copy(built, &here).unwrap();
        }
        Some(Self { desk, program })
    }

    /// `flowbatch ARGUMENTS` as this user, whose group it is.
    fn run_as(&self, (uid, gid): (u32, u32), arguments: &str) -> Said {
        let program = self.program.path().join("flowbatch");
        let mut command = self.desk.command_of(&program, arguments);
        command.uid(uid).gid(gid);
        Said::of(&command.output().unwrap())
    }
}

fn folder(desk: &Desk, name: &str, (uid, gid): (u32, u32), mode: u32) {
    let path = desk.path(name);
    fs::create_dir(&path).unwrap();
    chown(&path, Some(uid), Some(gid)).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
}

fn everything(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything(&path));
        }
        found.push(path);
    }
    found
}

const RUN: &str = "run rows.csv --simulate --rate 1000/s --state-dir state";

#[test]
fn whoever_is_in_the_group_of_the_state_folder_reads_what_the_service_ran() {
    let Some(shared) = Shared::new() else { return };
    let desk = &shared.desk;
    folder(desk, "state", (SERVICE.0, ON_CALL), 0o2750);
    // As systemd may start it.
    let program = shared.program.path().join("flowbatch");
    let mut strict = desk.shell(&format!("umask 077; exec {} {RUN}", program.display()));
    let ran = Said::of(&strict.uid(SERVICE.0).gid(SERVICE.1).output().unwrap());
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(!ran.stderr.contains("warning"), "{}", ran.stderr);
    for path in everything(&desk.path("state/runs")) {
        let found = path.metadata().unwrap();
        assert_eq!(found.gid(), ON_CALL, "{}", path.display());
        let mode = if found.is_dir() { 0o2750 } else { 0o640 };
        assert_eq!(found.mode() & 0o7777, mode, "{}", path.display());
    }
    for arguments in [
        "runs --simulate --state-dir state",
        "runs --simulate --changed --state-dir state",
        "verify last --simulate --state-dir state",
        "report last --simulate --csv - --state-dir state",
        "report last --simulate --html - --state-dir state",
    ] {
        let read = shared.run_as(READER, arguments);
        assert_eq!(read.code, 0, "{arguments}: {}{}", read.stdout, read.stderr);
        let other = shared.run_as(OTHER, arguments);
        assert_ne!(other.code, 0, "{arguments}: {}", other.stdout);
    }
    // The second run finds its folders as the first has left them.
    let again = shared.run_as(SERVICE, RUN);
    assert_eq!(again.code, 0, "{}{}", again.stdout, again.stderr);
    // No run of another user goes there.
    let theirs = shared.run_as(READER, RUN);
    assert_eq!(theirs.code, 2, "{}{}", theirs.stdout, theirs.stderr);
    assert!(
        theirs
            .stderr
            .contains("belongs to another user (uid 41001)"),
        "{}",
        theirs.stderr
    );
}

#[test]
fn no_other_group_is_let_in_where_the_service_cannot_give_its_files_to_the_one_that_is_meant() {
    let Some(shared) = Shared::new() else { return };
    let desk = &shared.desk;
    folder(desk, "state", (SERVICE.0, ON_CALL), 0o750);
    let ran = shared.run_as(SERVICE, RUN);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    for path in everything(&desk.path("state")) {
        let mode = path.metadata().unwrap().mode();
        assert_eq!(mode & 0o077, 0, "{}", path.display());
    }
    assert!(
        ran.stderr.contains("warning: the group of "),
        "{}",
        ran.stderr
    );
    // Its own group it can let in.
    folder(desk, "own", SERVICE, 0o750);
    let ran = shared.run_as(SERVICE, &RUN.replace("state-dir state", "state-dir own"));
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    for path in everything(&desk.path("own/runs")) {
        let mode = path.metadata().unwrap().mode();
        assert_eq!(mode & 0o040, 0o040, "{}", path.display());
    }
}

#[test]
fn a_state_folder_for_all_is_a_warning_and_what_others_made_in_it_is_refused() {
    let Some(shared) = Shared::new() else { return };
    let desk = &shared.desk;
    folder(desk, "state", (0, 0), 0o777);
    let ran = shared.run_as(SERVICE, RUN);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stderr.contains("warning: all users may write in "),
        "{}",
        ran.stderr
    );
    let other = shared.run_as(OTHER, RUN);
    assert_eq!(other.code, 2, "{}", other.stderr);
    for (name, state) in [("runs", "a"), ("locks", "b"), ("tmp", "c")] {
        folder(desk, state, (0, 0), 0o1777);
        folder(desk, &format!("{state}/{name}"), OTHER, 0o777);
        let ran = shared.run_as(
            SERVICE,
            &RUN.replace("state-dir state", &format!("state-dir {state}")),
        );
        assert_eq!(ran.code, 2, "{name}: {}", ran.stderr);
        assert!(
            ran.stderr.contains("belongs to another user (uid 41003)"),
            "{}",
            ran.stderr
        );
        let linked = format!("{state}-linked");
        folder(desk, &linked, (0, 0), 0o1777);
        folder(desk, &format!("{linked}-own"), SERVICE, 0o700);
        let to = desk.path(&format!("{linked}-own"));
        std::os::unix::fs::symlink(to, desk.path(&format!("{linked}/{name}"))).unwrap();
        let ran = shared.run_as(
            SERVICE,
            &RUN.replace("state-dir state", &format!("state-dir {linked}")),
        );
        assert_eq!(ran.code, 2, "{name}: {}", ran.stderr);
        assert!(
            ran.stderr.contains(&format!("{name} is a link")),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn a_report_goes_into_a_file_that_stands_where_nothing_can_be_made() {
    let Some(shared) = Shared::new() else { return };
    let desk = &shared.desk;
    folder(desk, "state", SERVICE, 0o700);
    folder(desk, "mounted", (0, 0), 0o755);
    for name in ["report.csv", "page.html", "figures.prom"] {
        let path = desk.path(&format!("mounted/{name}"));
        fs::write(&path, "").unwrap();
        chown(&path, Some(SERVICE.0), None).unwrap();
    }
    let all =
        "--report mounted/report.csv --html mounted/page.html --metrics-file mounted/figures.prom";
    let ran = shared.run_as(SERVICE, &format!("{RUN} {all}"));
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(desk.read("mounted/report.csv").contains(",succeeded,"));
    assert!(
        desk.read("mounted/page.html")
            .starts_with("<!DOCTYPE html>")
    );
    assert!(
        desk.read("mounted/figures.prom")
            .contains("flowbatch_run_exit_code")
    );
    assert!(
        ran.stdout.contains("page:   mounted/page.html\n"),
        "{}",
        ran.stdout
    );
    // What could not be written is told before anything is sent.
    for flag in [
        "--report mounted/new.csv",
        "--html mounted/new.html",
        "--metrics-file mounted/new.prom",
    ] {
        let ran = shared.run_as(SERVICE, &format!("{RUN} {flag}"));
        assert_eq!(ran.code, 2, "{flag}: {}{}", ran.stdout, ran.stderr);
        assert!(
            ran.stderr
                .contains("nothing can be written in mounted: Permission denied"),
            "{}",
            ran.stderr
        );
    }
}
