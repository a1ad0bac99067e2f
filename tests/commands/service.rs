//! Runs against `flowbatch simulate` in a process of its own, as against a real service.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::language::{CANARIES, Desk, csv_rows};

const PROJECT: &str = "0f9183e1c2d34b6c8a7e5d4c3b2a1908";
const WORKSPACE: &str = "909494e3-558e-46b6-a9eb-07a8e18ca621";
pub(crate) const TOKEN: &str = CANARIES.token;

/// `flowbatch simulate`, ended when dropped.
pub(crate) struct Service {
    child: Child,
    address: String,
}

impl Service {
    fn start(desk: &Desk, arguments: &str) -> Self {
        Self::begin(desk, 20, arguments)
    }

    /// A service with so many workflows.
    pub(crate) fn start_with(desk: &Desk, workflows: u32) -> Self {
        Self::begin(desk, workflows, "")
    }

    /// What leads a run there.
    pub(crate) fn target(&self) -> String {
        let address = &self.address;
        format!("--endpoint {address} --project-id {PROJECT} --workspace-id {WORKSPACE}")
    }

    pub(crate) fn begin(desk: &Desk, workflows: u32, arguments: &str) -> Self {
        let mut child = desk
            .command(&format!(
                "simulate --token {TOKEN} --workflows {workflows} --latency 1ms {arguments}"
            ))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim().to_owned();
        assert!(address.starts_with("http://127.0.0.1:"), "{line:?}");
        Self { child, address }
    }

    /// Reads a path below the workspace, by hand: no client of ours.
    pub(crate) fn get(&self, path: &str) -> Value {
        let host = self.address.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        let path = format!("/v1/{PROJECT}/workspaces/{WORKSPACE}/soc/{path}");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nX-Auth-Token: {TOKEN}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }

    /// The ids of all workflows.
    pub(crate) fn ids(&self) -> Vec<String> {
        let mut ids = Vec::new();
        loop {
            let offset = ids.len();
            let list = self.get(&format!("workflows?limit=100&offset={offset}&order=ASC"));
            let data = list["data"].as_array().unwrap();
            let page = data.iter().map(|workflow| workflow["id"].as_str().unwrap());
            ids.extend(page.map(str::to_owned));
            if data.len() < 100 {
                return ids;
            }
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A CSV that describes each of `ids`.
pub(crate) fn csv(ids: &[String]) -> String {
    let rows: String = ids.iter().map(|id| format!("{id},Reviewed\n")).collect();
    format!("workflow_id,description\n{rows}")
}

fn run(desk: &Desk, service: &Service, arguments: &str) -> crate::language::Said {
    let target = service.target();
    desk.flowbatch(&format!("run rows.csv {target} --rate 500/s {arguments}"))
}

#[test]
fn a_run_changes_the_service_and_tells_the_token_to_nobody() {
    let desk = Desk::new().variable("HW_AUTH_TOKEN", TOKEN);
    let service = Service::start(&desk, "");
    let ids = service.ids();
    assert_eq!(ids.len(), 20);
    let desk = desk.file("rows.csv", csv(&ids));
    let said = run(&desk, &service, "-vv --ticket T");
    assert_eq!(said.code, 0, "{}", said.stderr);
    assert!(
        said.stderr.contains("credential: token from HW_AUTH_TOKEN"),
        "{}",
        said.stderr
    );
    for id in &ids {
        assert_eq!(
            service.get(&format!("workflows/{id}"))["data"]["description"],
            "Reviewed"
        );
    }
    assert!(!said.stdout.contains(TOKEN) && !said.stderr.contains(TOKEN));
    for entry in std::fs::read_dir(desk.only_run()).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(TOKEN), "{}", path.display());
    }
}

#[test]
fn a_workflow_that_is_not_there_fails_alone() {
    // Where it is read first, the answer that says so is none to an attempt.
    for (snapshot, http_status) in [("off", "400"), ("required", "")] {
        fails_alone(snapshot, http_status);
    }
}

fn fails_alone(snapshot: &str, http_status: &str) {
    let desk = Desk::new().secret("token", format!("{TOKEN}\n"));
    let service = Service::start(&desk, "");
    let mut ids = service.ids();
    ids.insert(3, "no-such-workflow".to_owned());
    let desk = desk.file("rows.csv", csv(&ids));
    let said = run(
        &desk,
        &service,
        &format!("--snapshot {snapshot} --token-file token --report out.csv"),
    );
    assert_eq!(said.code, 1, "{}", said.stderr);
    let rows = csv_rows(&desk.path("out.csv"));
    assert_eq!(rows[3]["status"], "failed");
    assert_eq!(rows[3]["error_class"], "not_found");
    assert_eq!(rows[3]["error_code"], "SecMaster.20040611");
    assert_eq!(rows[3]["http_status"], http_status);
    assert_eq!(
        rows.iter()
            .filter(|row| row["status"] == "succeeded")
            .count(),
        20
    );
    let next = said.stdout.lines().last().unwrap().trim();
    let token = desk.path("token").display().to_string();
    assert!(
        next.contains(" resume ") && next.contains(" --failed "),
        "{next}"
    );
    assert!(next.ends_with(&format!("--token-file {token}")), "{next}");
    // What is wrong with it is mended: the row that is left is a job by itself.
    let rerun = fs::read_to_string(desk.only_run().join("rerun.csv")).unwrap();
    assert_eq!(
        rerun,
        format!(
            "x_row,workflow_id,project_id,workspace_id,description\n4,no-such-workflow,{PROJECT},{WORKSPACE},Reviewed\n"
        )
    );
    let desk = desk.file("again.csv", rerun.replace("no-such-workflow", &ids[0]));
    let address = &service.address;
    let said = desk.flowbatch(&format!(
        "run again.csv --snapshot {snapshot} --endpoint {address} --token-file token"
    ));
    assert_eq!(said.code, 0, "{}", said.stderr);
}

#[test]
fn too_many_errors_stop_the_run() {
    let desk = Desk::new().variable("HW_AUTH_TOKEN", TOKEN);
    let service = Service::start(&desk, "");
    let ids: Vec<_> = (0..50).map(|row| format!("none-{row}")).collect();
    let desk = desk.file("rows.csv", csv(&ids));
    let said = run(
        &desk,
        &service,
        "--snapshot off --max-errors 3 -j 1 --report out.csv",
    );
    assert_eq!(said.code, 3, "{}", said.stderr);
    let rows = csv_rows(&desk.path("out.csv"));
    let count = |status: &str| rows.iter().filter(|row| row["status"] == status).count();
    assert_eq!((count("failed"), count("not_attempted")), (4, 46));
    assert!(
        said.stdout.contains("4 errors, max_errors = 3"),
        "{}",
        said.stdout
    );
    assert_eq!(rows[10]["error_message"], "4 errors, max_errors = 3");
}

#[test]
fn too_many_rows_that_cannot_be_carried_out_stop_the_run_before_anything_is_sent() {
    let desk = Desk::new().variable("HW_AUTH_TOKEN", TOKEN);
    let service = Service::start(&desk, "");
    let mut ids = service.ids();
    ids.extend((0..4).map(|row| format!("none-{row}")));
    let desk = desk.file("rows.csv", csv(&ids));
    let said = run(&desk, &service, "--max-errors 3 --report out.csv");
    assert_eq!(said.code, 3, "{}", said.stderr);
    let rows = csv_rows(&desk.path("out.csv"));
    let count = |status: &str| rows.iter().filter(|row| row["status"] == status).count();
    assert_eq!((count("failed"), count("not_attempted")), (4, 20));
    let told = rows.iter().filter(|row| row["error_class"] == "not_found");
    assert_eq!(told.count(), 4);
    assert!(rows.iter().all(|row| row["attempts"] == "0"));
    assert!(
        said.stdout
            .contains("before anything was sent: 4 errors, max_errors = 3"),
        "{}",
        said.stdout
    );
    let said = run(&desk, &service, "--max-errors 4");
    assert_eq!(said.code, 1, "{}{}", said.stderr, said.stdout);
}

#[test]
fn a_wrong_token_sends_one_request_and_is_exit_4() {
    let desk = Desk::new().variable("HW_AUTH_TOKEN", "wrong-token");
    let service = Service::start(&desk, "");
    let ids = service.ids();
    let desk = desk.file("rows.csv", csv(&ids));
    let said = run(&desk, &service, "--snapshot off --report out.csv");
    assert_eq!(said.code, 4, "{}", said.stderr);
    assert!(said.stdout.contains("get a new token"), "{}", said.stdout);
    let rows = csv_rows(&desk.path("out.csv"));
    assert_eq!(
        (rows[0]["status"].as_str(), rows[0]["error_class"].as_str()),
        ("failed", "auth")
    );
    assert!(
        rows[1..]
            .iter()
            .all(|row| row["status"] == "not_attempted" && row["attempts"] == "0")
    );
    assert!(!said.stderr.contains("wrong-token") && !said.stdout.contains("wrong-token"));
}

#[test]
fn another_workspace_is_closed_and_the_rest_goes_on() {
    // It is closed by the answer to a row, or to what reads its live state.
    for (snapshot, failed) in [("off", 1), ("required", 0)] {
        goes_on_without_the_other(snapshot, failed);
    }
}

fn goes_on_without_the_other(snapshot: &str, failed: usize) {
    let desk = Desk::new().variable("HW_AUTH_TOKEN", TOKEN);
    let service = Service::start(&desk, "");
    let ids = service.ids();
    let other: String = (0..5).map(|row| format!("other,w{row},x\n")).collect();
    let own: String = ids.iter().map(|id| format!(",{id},x\n")).collect();
    let desk = desk.file("rows.csv", format!("workspace_id,workflow_id,description\n{other}{own}")).file(
        "job.toml",
        format!("[target]\nendpoint = \"{}\"\nproject_id = \"{PROJECT}\"\nworkspace_id = \"{WORKSPACE}\"\n[run]\nrate = \"500/s\"\n[rows]\nfile = \"rows.csv\"\n", service.address),
    );
    let said = desk.flowbatch(&format!(
        "run job.toml --snapshot {snapshot} --report out.csv"
    ));
    assert_eq!(said.code, 1, "{}", said.stderr);
    let rows = csv_rows(&desk.path("out.csv"));
    let count = |status: &str| rows.iter().filter(|row| row["status"] == status).count();
    assert_eq!(
        (count("failed"), count("not_attempted"), count("succeeded")),
        (failed, 5 - failed, 20)
    );
    assert!(
        said.stdout.contains("given up: workspace other"),
        "{}",
        said.stdout
    );
}

#[test]
fn a_workspace_that_refuses_does_not_keep_another_with_few_rows_from_being_read() {
    let desk = Desk::new().variable("HW_AUTH_TOKEN", TOKEN);
    let service = Service::start(&desk, "");
    let id = &service.ids()[0];
    // The one row of its workspace is read by itself, after all lists.
    let other: String = (0..5).map(|row| format!("other,w{row},x\n")).collect();
    let desk = desk.file(
        "rows.csv",
        format!("workspace_id,workflow_id,description\n{other}{WORKSPACE},{id},x\n"),
    );
    let address = &service.address;
    let said = desk.flowbatch(&format!(
        "run rows.csv --endpoint {address} --project-id {PROJECT} --report out.csv"
    ));
    assert_eq!(said.code, 1, "{}{}", said.stderr, said.stdout);
    let rows = csv_rows(&desk.path("out.csv"));
    let statuses: Vec<_> = rows.iter().map(|row| row["status"].as_str()).collect();
    assert_eq!(statuses[..5], ["not_attempted"; 5]);
    assert_eq!(statuses[5], "succeeded", "{}", rows[5]["error_message"]);
}

#[test]
fn no_credential_is_told_before_a_run_begins() {
    let desk = Desk::with("rows.csv", csv(&["w1".to_owned()]));
    let said = desk.flowbatch(&format!(
        "run rows.csv --region cn-north-4 --project-id {PROJECT} --workspace-id {WORKSPACE}"
    ));
    assert_eq!(said.code, 4);
    assert!(!desk.has_runs());
    expect_test::expect![[r#"
        error: no credential
          give an IAM token by HW_AUTH_TOKEN or --token-file FILE, an access key by HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK, a profile by --profile NAME; to try a job without an account, say --simulate
    "#]]
    .assert_eq(&said.stderr);
}

#[test]
fn an_endpoint_that_never_answers_is_given_up() {
    let desk = Desk::with("rows.csv", csv(&["w1".to_owned(), "w2".to_owned()]))
        .variable("HW_AUTH_TOKEN", TOKEN);
    // A port that was free a moment ago: nobody listens.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let desk = desk.file("job.toml", format!("[target]\nendpoint = \"http://127.0.0.1:{port}\"\nproject_id = \"p\"\nworkspace_id = \"s\"\n[retry]\ninitial_delay = \"1ms\"\nmax_delay = \"10ms\"\n[rows]\nfile = \"rows.csv\"\n"));
    let said = desk.flowbatch("run job.toml --snapshot off --rate 500/s --report out.csv");
    assert_eq!(said.code, 4, "{}{}", said.stdout, said.stderr);
    let rows = csv_rows(&desk.path("out.csv"));
    assert!(
        rows.iter()
            .all(|row| row["status"] == "not_attempted" && row["error_class"] == "network"),
        "{rows:?}"
    );
}

#[test]
fn an_interrupt_lets_requests_in_flight_end_and_the_printed_command_does_the_rest() {
    let desk = Desk::new().variable("HW_AUTH_TOKEN", TOKEN);
    let service = Service::start(&desk, "");
    let ids = service.ids();
    let desk = desk.file("rows.csv", csv(&ids));
    let address = &service.address;
    let arguments = format!(
        "run rows.csv --endpoint {address} --project-id {PROJECT} --workspace-id {WORKSPACE} --snapshot off --rate 4/s --progress json"
    );
    let mut child = desk.command(&arguments).spawn().unwrap();
    // A line of progress that counts a row says that requests are leaving.
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("\"done\":") || line.contains("\"done\":0,") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "no progress");
    }
    let pid = child.id().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status()
        .unwrap();
    assert!(killed.success());
    let _ = std::io::copy(&mut stderr, &mut std::io::sink());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let stdout = String::from_utf8(output.stdout).unwrap();
    let rows = csv_rows(&desk.only_run().join("report.csv"));
    let left = rows
        .iter()
        .filter(|row| row["status"] == "not_attempted")
        .count();
    let done = rows
        .iter()
        .filter(|row| row["status"] == "succeeded")
        .count();
    assert!(left > 0 && done > 0 && left + done == 20, "{stdout}");
    let next = stdout.lines().last().unwrap().trim();
    let (_, rest) = next.split_once(" resume ").unwrap();
    let said = desk.flowbatch(&format!("resume {rest} --rate 500/s"));
    assert_eq!(said.code, 0, "{}", said.stderr);
    for id in &ids {
        assert_eq!(
            service.get(&format!("workflows/{id}"))["data"]["description"],
            "Reviewed"
        );
    }
}

#[test]
fn a_deadline_ends_the_run_with_5() {
    let desk = Desk::new().variable("HW_AUTH_TOKEN", TOKEN);
    let service = Service::start(&desk, "");
    let ids = service.ids();
    let desk = desk.file("rows.csv", csv(&ids));
    let address = &service.address;
    let said = desk.flowbatch(&format!("run rows.csv --endpoint {address} --project-id {PROJECT} --workspace-id {WORKSPACE} --snapshot off --rate 5/s --deadline 300ms"));
    assert_eq!(said.code, 5, "{}", said.stderr);
    assert!(
        said.stdout
            .contains("stopped: the deadline or stop_at is reached"),
        "{}",
        said.stdout
    );
}
