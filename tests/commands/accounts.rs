//! Credentials and accounts, against a cloud that knows them.

use std::fs;
use std::time::Duration;

use flowbatch::model::target::Workspace;
use flowbatch::simulator::access::Access;
use flowbatch::simulator::account::{Account, Key};
use jiff::SignedDuration;

use crate::cloud::{Cloud, id, workspace};
use crate::language::{CANARIES, Desk, Said, csv_rows};

const PROJECT: &str = "0f9183e1c2d34b6c8a7e5d4c3b2a1908";
const WORKSPACE: &str = "909494e3-558e-46b6-a9eb-07a8e18ca621";
const REGION: &str = "cn-north-4";
const AK: &str = "AKONE0000000000000";

fn acme() -> Account {
    Account::new("acme")
        .user("alice", CANARIES.password)
        .key(Key::new(AK, CANARIES.secret_key))
        .token(CANARIES.token)
        .project(id(PROJECT), REGION)
}

fn place() -> Workspace {
    workspace(PROJECT, WORKSPACE)
}

/// A cloud of acme's, and a desk with a row for each of its `count` workflows.
fn start(count: usize) -> (Cloud, Desk) {
    let cloud = Cloud::start(Access::of([acme()]));
    let ids = cloud.workflows(&place(), count);
    let rows: String = ids.iter().map(|id| format!("{id},Reviewed\n")).collect();
    let desk = Desk::with("rows.csv", format!("workflow_id,description\n{rows}"));
    (cloud, desk)
}

fn with_keys(desk: Desk) -> Desk {
    desk.variable("HUAWEICLOUD_SDK_AK", AK)
        .variable("HUAWEICLOUD_SDK_SK", CANARIES.secret_key)
}

fn with_password(desk: Desk, cloud: &Cloud) -> Desk {
    desk.variable("HW_USER_NAME", "alice")
        .variable("HW_USER_PASSWORD", CANARIES.password)
        .variable("HW_DOMAIN_NAME", "acme")
        .variable("HUAWEICLOUD_SDK_IAM_ENDPOINT", &cloud.address)
}

/// Sends the rows as they stand: what leaves is what the test counts.
fn run(desk: &Desk, cloud: &Cloud, arguments: &str) -> Said {
    run_as_usual(desk, cloud, &format!("--snapshot off {arguments}"))
}

fn run_as_usual(desk: &Desk, cloud: &Cloud, arguments: &str) -> Said {
    let address = &cloud.address;
    desk.flowbatch(&format!(
        "run rows.csv --endpoint {address} --project-id {PROJECT} --workspace-id {WORKSPACE} --rate 2000/s --burst 50 {arguments}"
    ))
}

fn done(said: &Said, cloud: &Cloud, count: usize) {
    assert_eq!(said.code, 0, "{}{}", said.stderr, said.stdout);
    assert_eq!(cloud.described(&place(), "Reviewed"), count);
}

#[test]
fn a_run_signs_its_requests() {
    let (cloud, desk) = start(20);
    let desk = with_keys(desk);
    let said = run(&desk, &cloud, "-vv");
    done(&said, &cloud, 20);
    let credential = format!("credential: access key {AK} from HUAWEICLOUD_SDK_AK");
    assert!(said.stderr.contains(&credential), "{}", said.stderr);
    assert_eq!(cloud.access.requests_of(AK).service, 20);
}

#[test]
fn readings_are_signed_too() {
    let (cloud, _) = start(3);
    let ids = cloud.workflows(&place(), 3);
    let rows: String = ids.iter().map(|id| format!("{id},New,Old\n")).collect();
    let csv = format!("workflow_id,description,expect_description\n{rows}");
    let said = run(&with_keys(Desk::with("rows.csv", csv)), &cloud, "");
    assert_eq!(said.code, 1, "{}", said.stderr);
    assert!(
        said.stdout.contains("conflict              3"),
        "{}",
        said.stdout
    );
    assert_eq!(cloud.access.requests_of(AK).refused, 0);
}

#[test]
fn every_place_of_the_ecosystem_is_looked_at() {
    let (cloud, desk) = start(1);
    drop(desk);
    let file = format!("[basic]\nak = {AK}\nsk = {}\n", CANARIES.secret_key);
    let csv = {
        let ids = cloud.workflows(&place(), 1);
        format!("workflow_id,description\n{},Reviewed\n", ids[0])
    };
    let desk = || Desk::with("rows.csv", &csv);
    let keys = |ak: &str, sk: &str| desk().variable(ak, AK).variable(sk, CANARIES.secret_key);
    let from_key = |name: &str| format!("access key {AK} from {name}");
    for (desk, credential) in [
        (
            keys("CLOUD_SDK_AK", "CLOUD_SDK_SK"),
            from_key("CLOUD_SDK_AK"),
        ),
        (
            keys("HW_ACCESS_KEY", "HW_SECRET_KEY"),
            from_key("HW_ACCESS_KEY"),
        ),
        (
            desk().secret(".huaweicloud/credentials", &file),
            ".huaweicloud/credentials".to_owned(),
        ),
        (
            desk()
                .secret("elsewhere.ini", &file)
                .variable("HUAWEICLOUD_SDK_CREDENTIALS_FILE", "elsewhere.ini"),
            from_key("elsewhere.ini"),
        ),
        (
            desk().variable("HW_AUTH_TOKEN", CANARIES.token),
            "token from HW_AUTH_TOKEN".to_owned(),
        ),
        (
            with_password(desk(), &cloud),
            "IAM user alice of account acme from HW_USER_NAME".to_owned(),
        ),
    ] {
        let said = run(&desk, &cloud, "");
        assert_eq!(said.code, 0, "{credential}: {}{}", said.stderr, said.stdout);
        assert!(said.stderr.contains(&credential), "{}", said.stderr);
    }
}

#[test]
fn a_temporary_key_shows_its_token() {
    let account = Account::new("acme")
        .key(Key::new(AK, CANARIES.secret_key).with_security_token(CANARIES.security_token))
        .project(id(PROJECT), REGION);
    let cloud = Cloud::start(Access::of([account]));
    let ids = cloud.workflows(&place(), 1);
    let csv = format!("workflow_id,description\n{},Reviewed\n", ids[0]);
    let desk = with_keys(Desk::with("rows.csv", csv))
        .variable("HUAWEICLOUD_SDK_SECURITY_TOKEN", CANARIES.security_token);
    let said = run(&desk, &cloud, "");
    done(&said, &cloud, 1);
    assert!(
        said.stderr.contains("temporary access key"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_wrong_key_sends_one_request_and_is_exit_4_with_what_to_do() {
    // The one request is a row's, or that which reads the live state.
    for (snapshot, left) in [("off", 19), ("required", 20)] {
        let (cloud, desk) = start(20);
        let desk = desk
            .variable("HUAWEICLOUD_SDK_AK", AK)
            .variable("HUAWEICLOUD_SDK_SK", "not-the-secret-key");
        let said = run_as_usual(&desk, &cloud, &format!("--snapshot {snapshot}"));
        assert_eq!(said.code, 4, "{}", said.stderr);
        let requests = cloud.access.requests_of(AK);
        assert_eq!((requests.service, requests.refused), (1, 1));
        assert!(
            said.stdout
                .contains("the secret key is not that of the access key: correct it; five wrong"),
            "{snapshot}: {}",
            said.stdout
        );
        assert!(
            said.stdout
                .contains(&format!("not_attempted        {left}")),
            "{}",
            said.stdout
        );
        assert_eq!(cloud.described(&place(), "Reviewed"), 0);
    }
}

#[test]
fn a_locked_key_is_told_as_that() {
    let (cloud, desk) = start(2);
    let wrong = Desk::with("rows.csv", desk.read("rows.csv"))
        .variable("HUAWEICLOUD_SDK_AK", AK)
        .variable("HUAWEICLOUD_SDK_SK", "not-the-secret-key");
    for _ in 0..5 {
        assert_eq!(run(&wrong, &cloud, "").code, 4);
    }
    let said = run(&with_keys(desk), &cloud, "");
    assert_eq!(said.code, 4);
    assert!(
        said.stdout.contains("locked after five wrong signatures"),
        "{}",
        said.stdout
    );
}

#[test]
fn a_clock_that_is_off_is_named_with_both_times() {
    let (cloud, desk) = start(2);
    cloud
        .access
        .set_clock_offset(SignedDuration::from_mins(-40));
    let said = run(&with_keys(desk), &cloud, "");
    assert_eq!(said.code, 4, "{}", said.stderr);
    for part in [
        "this machine's clock says 20",
        ", the service's 20",
        "they are 40m apart",
        "set this machine's clock",
    ] {
        assert!(said.stdout.contains(part), "{part}: {}", said.stdout);
    }
}

#[test]
fn a_token_by_password_is_had_once() {
    let (cloud, desk) = start(20);
    let said = run(&with_password(desk, &cloud), &cloud, "");
    done(&said, &cloud, 20);
    assert_eq!(cloud.access.tokens_issued(), 1);
}

#[test]
fn a_wrong_password_is_asked_once_and_is_exit_4() {
    let (cloud, desk) = start(20);
    let desk = with_password(desk, &cloud).variable("HW_USER_PASSWORD", "wrong-password");
    let said = run(&desk, &cloud, "");
    assert_eq!(said.code, 4, "{}", said.stderr);
    assert!(
        said.stdout.contains("The username or password is wrong"),
        "{}",
        said.stdout
    );
    assert_eq!(cloud.access.requests_of("acme").iam, 1);
    assert_eq!(cloud.access.requests_of("acme").service, 0);
}

#[test]
fn two_thousand_rows_whose_token_ends_after_every_five_hundred_requests() {
    let (cloud, desk) = start(2_000);
    cloud.access.set_token_requests(500);
    let desk = with_password(desk, &cloud);
    let said = run(&desk, &cloud, "--max-errors 0 --report out.csv");
    done(&said, &cloud, 2_000);
    // Each token but the last was renewed once, whatever was in flight.
    assert_eq!(cloud.access.tokens_issued(), 4);
    let journal = fs::read_to_string(desk.only_run().join("journal.jsonl")).unwrap();
    assert_eq!(journal.matches("\"credential_renewed\"").count(), 3);
    assert!(
        said.stdout.contains("3 renewals of the credential"),
        "{}",
        said.stdout
    );
    let rows = csv_rows(&desk.path("out.csv"));
    assert!(rows.iter().all(|row| row["status"] == "succeeded"));
}

#[test]
fn the_agency_of_a_server_gives_keys_and_new_ones() {
    let (cloud, desk) = start(5);
    cloud.access.metadata_of("acme", Duration::from_secs(3_600));
    let desk = desk.variable("FLOWBATCH_METADATA", &cloud.address);
    let said = run(&desk, &cloud, "");
    done(&said, &cloud, 5);
    assert!(
        said.stderr
            .contains("credential: temporary key of this server's agency"),
        "{}",
        said.stderr
    );
    assert_eq!(cloud.access.keys_handed_out(), 1);
}

#[test]
fn a_server_without_an_agency_has_no_credential() {
    let (cloud, desk) = start(5);
    let desk = desk.variable("FLOWBATCH_METADATA", &cloud.address);
    let said = run(&desk, &cloud, "");
    assert_eq!(said.code, 4);
    assert!(
        said.stderr.contains("this server has no agency"),
        "{}",
        said.stderr
    );
    assert!(!desk.has_runs());
}

#[test]
fn a_project_that_nobody_names_is_looked_up_by_the_region() {
    let (cloud, desk) = start(2);
    let rows = desk.read("rows.csv");
    let desk = || {
        Desk::with("rows.csv", &rows)
            .variable(
                "HUAWEICLOUD_SDK_REGION_SECMASTER_CN_NORTH_4",
                &cloud.address,
            )
            .variable("HUAWEICLOUD_SDK_IAM_ENDPOINT", &cloud.address)
    };
    for desk in [with_keys(desk()), with_password(desk(), &cloud)] {
        let said = desk.flowbatch(&format!(
            "run rows.csv --region {REGION} --workspace-id {WORKSPACE} --report out.csv"
        ));
        done(&said, &cloud, 2);
        let told = format!("project:    {PROJECT} (looked up in IAM)");
        assert!(said.stderr.contains(&told), "{}", said.stderr);
        assert!(
            said.stderr.contains("warning: HUAWEICLOUD_SDK_REGION_SECMASTER_CN_NORTH_4 leads region cn-north-4 to http://127.0.0.1"),
            "{}",
            said.stderr
        );
        assert_eq!(csv_rows(&desk.path("out.csv"))[0]["project_id"], PROJECT);
        assert_eq!(csv_rows(&desk.path("out.csv"))[0]["region"], REGION);
    }
}

#[test]
fn rows_that_turn_out_to_be_for_one_workflow_are_told_once_the_project_is_known() {
    let (cloud, desk) = start(1);
    let line = desk.read("rows.csv").lines().nth(1).unwrap().to_owned();
    let csv = format!("workflow_id,description,project_id\n{line},\n{line},{PROJECT}\n");
    let desk = with_keys(Desk::with("rows.csv", csv))
        .variable(
            "HUAWEICLOUD_SDK_REGION_SECMASTER_CN_NORTH_4",
            &cloud.address,
        )
        .variable("HUAWEICLOUD_SDK_IAM_ENDPOINT", &cloud.address);
    let said = desk.flowbatch(&format!(
        "run rows.csv --region {REGION} --workspace-id {WORKSPACE}"
    ));
    assert_eq!(said.code, 2, "{}", said.stderr);
    assert!(
        said.stderr.contains("a second row for the same workflow"),
        "{}",
        said.stderr
    );
    assert!(!desk.has_runs());
}

/// Three accounts in two regions, ten workspaces of fifty rows for each of the six.
#[test]
fn many_accounts_regions_and_workspaces_in_one_job() {
    let accounts = |region: usize| {
        (0..3).map(move |account| {
            Account::new(format!("account-{account}"))
                .key(Key::new(
                    format!("AK{account}"),
                    format!("{}-{account}", CANARIES.secret_key),
                ))
                .project(
                    id(&format!("p{account}-{region}")),
                    format!("region-{region}"),
                )
        })
    };
    let clouds = [0, 1].map(|region| Cloud::start(Access::of(accounts(region))));
    let mut csv = "workflow_id,description,profile,workspace_id\n".to_owned();
    let mut profiles = String::new();
    let mut desk = Desk::new();
    let mut places = Vec::new();
    for account in 0..3 {
        // The last one's key is wrong.
        let secret = match account {
            2 => "not-the-secret-key".to_owned(),
            _ => format!("{}-{account}", CANARIES.secret_key),
        };
        let file = format!("[basic]\nak = AK{account}\nsk = {secret}\n");
        desk = desk.secret(&format!("account-{account}.ini"), file);
        for (region, cloud) in clouds.iter().enumerate() {
            profiles += &format!(
                "[profile.a{account}-r{region}]\nendpoint = \"{}\"\nregion = \"region-{region}\"\nproject_id = \"p{account}-{region}\"\ncredentials_file = \"account-{account}.ini\"\n",
                cloud.address
            );
            for number in 0..5 {
                let place = workspace(
                    &format!("p{account}-{region}"),
                    &format!("w{account}-{region}-{number}"),
                );
                for workflow in cloud.workflows(&place, 100) {
                    csv += &format!(
                        "{workflow},Reviewed,a{account}-r{region},{}\n",
                        place.workspace_id
                    );
                }
                places.push((account, region, number, place));
            }
        }
    }
    clouds[1].access.revoke(workspace("p0-1", "w0-1-3"));
    let desk = desk
        .secret("profiles.toml", profiles)
        .file("rows.csv", csv)
        .variable("FLOWBATCH_PROFILES", "profiles.toml");
    let said = desk.flowbatch("run rows.csv --snapshot off --rate 200/s -j 8 --report out.csv");
    assert_eq!(said.code, 1, "{}{}", said.stderr, said.stdout);
    assert!(said.stderr.contains("targets:    6"), "{}", said.stderr);
    let rows = csv_rows(&desk.path("out.csv"));
    assert_eq!(rows.len(), 3_000);
    for (index, row) in rows.iter().enumerate() {
        assert_eq!(row["row"], (index + 1).to_string());
        let refused = row["profile"].starts_with("a2") || row["workspace_id"] == "w0-1-3";
        let statuses: &[&str] = match refused {
            true => &["failed", "not_attempted"],
            false => &["succeeded"],
        };
        assert!(statuses.contains(&row["status"].as_str()), "{row:?}");
        assert_eq!(
            row["region"],
            format!("region-{}", &row["profile"][4..]),
            "{row:?}"
        );
    }
    for (account, region, number, place) in places {
        let refused = account == 2 || (account, region, number) == (0, 1, 3);
        let changed = clouds[region].described(&place, "Reviewed");
        assert_eq!(changed, if refused { 0 } else { 100 }, "{place}");
    }
    // A key that is wrong is shown once, by whichever of its lanes came first.
    let shown = clouds
        .each_ref()
        .map(|cloud| cloud.access.requests_of("AK2").service);
    assert_eq!(shown.iter().sum::<u64>(), 1);
    each_lane_keeps_its_pace(&desk, 200);
    for part in [
        "given up: a2-r0 in region-0: the credential is refused",
        "given up: a0-r1 in region-1: workspace w0-1-3",
    ] {
        assert!(said.stdout.contains(part), "{part}: {}", said.stdout);
    }
}

/// By the run's own record, because arrivals bunch: no second holds more attempts of a lane than its
/// rate, and one for what rounding takes.
fn each_lane_keeps_its_pace(desk: &Desk, rate: usize) {
    let run = desk.only_run();
    let report = csv_rows(&run.join("report.csv"));
    let mut lanes: std::collections::HashMap<&str, Vec<jiff::Timestamp>> = Default::default();
    for line in fs::read_to_string(run.join("journal.jsonl"))
        .unwrap()
        .lines()
    {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        if event["event"] == "attempt" {
            let row = event["row"].as_u64().unwrap() as usize;
            let at = event["at"].as_str().unwrap().parse().unwrap();
            lanes
                .entry(&report[row - 1]["profile"])
                .or_default()
                .push(at);
        }
    }
    assert_eq!(lanes.len(), 6);
    for (lane, times) in lanes {
        for window in times.windows(rate + 2) {
            let took = window[rate + 1].duration_since(window[0]);
            assert!(
                took >= SignedDuration::from_millis(1_000),
                "{lane}: {took:?}"
            );
        }
    }
}

#[test]
fn the_variables_of_another_customer_are_never_used_against_the_jobs_own_target() {
    let (cloud, desk) = start(3);
    let other = Account::new("other")
        .key(Key::new("AKOTHER", CANARIES.secret_key))
        .token(CANARIES.token)
        .project(id("p-other"), "cn-south-1");
    let theirs = Cloud::start(Access::of([other]));
    let profile = format!(
        "[profile.kunde-a]\nendpoint = \"{}\"\nregion = \"{REGION}\"\nproject_id = \"{PROJECT}\"\ncredentials_file = \"a.ini\"\n",
        cloud.address
    );
    let rows = desk.read("rows.csv");
    let exported = |desk: Desk| {
        desk.variable("HW_REGION_NAME", "cn-south-1")
            .variable("HW_PROJECT_ID", "p-other")
            .variable("HUAWEICLOUD_SDK_PROJECT_ID", "p-other")
            .variable("FLOWBATCH_WORKSPACE_ID", "w-other")
            .variable(
                "HUAWEICLOUD_SDK_REGION_SECMASTER_CN_NORTH_4",
                &theirs.address,
            )
            .variable(
                "HUAWEICLOUD_SDK_REGION_SECMASTER_CN_SOUTH_1",
                &theirs.address,
            )
            .variable("HUAWEICLOUD_SDK_IAM_ENDPOINT", &theirs.address)
            .variable("HUAWEICLOUD_SDK_AK", "AKOTHER")
            .variable("HUAWEICLOUD_SDK_SK", CANARIES.secret_key)
            .variable("HW_AUTH_TOKEN", CANARIES.token)
    };
    let keys = format!("[basic]\nak = {AK}\nsk = {}\n", CANARIES.secret_key);
    let job = format!(
        "[target]\nprofile = \"kunde-a\"\nworkspace_id = \"{WORKSPACE}\"\n[rows]\nfile = \"rows.csv\"\n"
    );
    let desk = exported(Desk::with("rows.csv", rows))
        .file("job.toml", job)
        .secret("a.ini", keys)
        .secret(".config/flowbatch/profiles.toml", profile)
        .secret(
            ".config/flowbatch/a.ini",
            format!("[basic]\nak = {AK}\nsk = {}\n", CANARIES.secret_key),
        );
    let said = desk.flowbatch("run job.toml --snapshot off");
    done(&said, &cloud, 3);
    for warning in [
        "HW_REGION_NAME is cn-south-1, but the job's region is cn-north-4: the job's is used",
        "HUAWEICLOUD_SDK_PROJECT_ID is p-other, but the job's project is 0f91",
        "FLOWBATCH_WORKSPACE_ID is w-other, but the job's workspace is 9094",
    ] {
        assert!(said.stderr.contains(warning), "{warning}: {}", said.stderr);
    }
    for credential in ["AKOTHER", "other"] {
        assert_eq!(theirs.access.requests_of(credential).service, 0);
        assert_eq!(theirs.access.requests_of(credential).iam, 0);
        assert_eq!(cloud.access.requests_of(credential).service, 0);
    }
    assert_eq!(
        cloud.access.requests_of("acme").service,
        0,
        "the exported token"
    );
    assert_eq!(cloud.access.requests_of(AK).service, 3);
}

/// Two profiles at a cloud that knows the first's key.
fn two_profiles(cloud: &Cloud, second: &str) -> Desk {
    let profiles = format!(
        "[profile.a]\nendpoint = \"{0}\"\nproject_id = \"{PROJECT}\"\nworkspace_id = \"{WORKSPACE}\"\ncredentials_file = \"a.ini\"\n[profile.b]\nendpoint = \"{0}\"\n{second}\n",
        cloud.address
    );
    Desk::new()
        .secret("profiles.toml", profiles)
        .secret(
            "a.ini",
            format!("[basic]\nak = {AK}\nsk = {}\n", CANARIES.secret_key),
        )
        .variable("FLOWBATCH_PROFILES", "profiles.toml")
}

#[test]
fn what_stands_beside_another_profile_is_not_used_with_this_one() {
    let cloud = Cloud::start(Access::of([acme()]));
    let desk = two_profiles(&cloud, "credentials_file = \"a.ini\"").file(
        "job.toml",
        format!("[target]\nprofile = \"a\"\nworkspace_id = \"{WORKSPACE}\"\n[[update]]\nworkflow_id = \"w\"\nname = \"n\"\n"),
    );
    assert_eq!(desk.flowbatch("check job.toml").code, 0);
    let said = desk.flowbatch("run job.toml --profile b");
    assert_eq!(said.code, 2, "{}", said.stderr);
    for missing in ["the row has no project_id", "the row has no workspace_id"] {
        assert!(said.stderr.contains(missing), "{}", said.stderr);
    }
}

#[test]
fn a_wrong_key_in_several_files_is_shown_once() {
    let cloud = Cloud::start(Access::of([acme()]));
    let ids = cloud.workflows(&place(), 2);
    let csv = format!("workflow_id,name,profile\n{},n,a\n{},n,b\n", ids[0], ids[1]);
    let second = format!(
        "project_id = \"{PROJECT}\"\nworkspace_id = \"{WORKSPACE}\"\ncredentials_file = \"b.ini\""
    );
    let wrong = format!("[basic]\nak = {AK}\nsk = not-the-secret-key\n");
    let desk = two_profiles(&cloud, &second)
        .file("rows.csv", csv)
        .secret("a.ini", &wrong)
        .secret("b.ini", &wrong);
    let said = desk.flowbatch("run rows.csv --snapshot off --report out.csv");
    assert_eq!(said.code, 4, "{}", said.stderr);
    assert_eq!(cloud.access.requests_of(AK).service, 1);
    let rows = csv_rows(&desk.path("out.csv"));
    let elsewhere = "another request was refused with it";
    assert!(
        rows.iter()
            .any(|row| row["error_message"].contains(elsewhere)),
        "{rows:?}"
    );
}

#[test]
fn a_project_that_iam_gives_no_token_for_closes_its_workspace_alone() {
    let (cloud, desk) = start(3);
    let mut csv = desk
        .read("rows.csv")
        .replace("workflow_id,", "project_id,workflow_id,");
    csv = csv.replace('\n', &format!("\n{PROJECT},"));
    csv = csv.trim_end_matches(&format!("{PROJECT},")).to_owned();
    csv = csv.replacen(
        "description\n",
        "description\nno-such-project,w-other,Reviewed\n",
        1,
    );
    let desk = with_password(Desk::with("rows.csv", csv), &cloud);
    let address = &cloud.address;
    let said = desk.flowbatch(&format!(
        "run rows.csv --snapshot off --endpoint {address} --workspace-id {WORKSPACE} --report out.csv"
    ));
    assert_eq!(said.code, 1, "{}{}", said.stderr, said.stdout);
    assert_eq!(cloud.described(&place(), "Reviewed"), 3);
    let rows = csv_rows(&desk.path("out.csv"));
    assert_eq!(
        (&*rows[0]["status"], &*rows[0]["error_class"]),
        ("failed", "permission")
    );
}

#[test]
fn what_is_not_needed_need_not_be_right() {
    let (cloud, desk) = start(1);
    let desk = with_keys(desk)
        .variable("HW_USER_NAME", "alice")
        .variable("HW_ACCESS_KEY", "half")
        .file(
            ".config/flowbatch/profiles.toml",
            "[profile.x]\nnonsense = 1\n",
        );
    done(&run(&desk, &cloud, ""), &cloud, 1);
}

#[test]
fn a_token_from_a_pipe_is_read_once() {
    let (cloud, desk) = start(2);
    let flowbatch = env!("CARGO_BIN_EXE_flowbatch");
    let address = &cloud.address;
    let line = format!(
        "{flowbatch} run rows.csv --endpoint {address} --project-id {PROJECT} --workspace-id {WORKSPACE} --token-file <(cat token)"
    );
    let desk = desk.secret("token", CANARIES.token);
    let output = desk.shell(&line).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let desk = desk.secret("token", "not-the-token");
    let output = desk.shell(&line).output().unwrap();
    assert_eq!(output.status.code(), Some(4), "{output:?}");
}

#[test]
fn a_profile_knows_the_endpoint_of_its_region_whoever_names_the_region_as_well() {
    let cloud = Cloud::start(Access::of([acme()]));
    cloud.workflows(&place(), 1);
    let desk = two_profiles(&cloud, "").secret(
        "profiles.toml",
        format!("[profile.a]\nregion = \"{REGION}\"\nendpoint = \"{}\"\nproject_id = \"{PROJECT}\"\ncredentials_file = \"a.ini\"\n", cloud.address),
    );
    let address = &cloud.address;
    for way in ["", "--region cn-north-4", &format!("--endpoint {address}")] {
        let said = desk.flowbatch(&format!(
            "auth --profile a --workspace-id {WORKSPACE} {way}"
        ));
        assert_eq!(said.code, 0, "{way}: {}{}", said.stderr, said.stdout);
        assert!(
            said.stdout
                .contains(&format!("region {REGION} ({address})")),
            "{}",
            said.stdout
        );
    }
}

#[test]
fn a_project_that_cannot_be_looked_up_for_one_account_does_not_stop_the_other() {
    let (one, other) = (
        Cloud::start(Access::of([acme()])),
        Cloud::start(Access::of([])),
    );
    let ids = one.workflows(&place(), 2);
    let profile = |name: &str, cloud: &Cloud| {
        format!(
            "[profile.{name}]\nregion = \"{REGION}\"\nendpoint = \"{0}\"\niam_endpoint = \"{0}\"\ncredentials_file = \"a.ini\"\n",
            cloud.address
        )
    };
    let csv = format!(
        "workflow_id,description,profile\n{},Reviewed,a\n{},Reviewed,b\n{},Reviewed,a\n",
        ids[0], "w-other", ids[1]
    );
    let desk = two_profiles(&one, "")
        .secret("profiles.toml", profile("a", &one) + &profile("b", &other))
        .file("rows.csv", csv);
    let said = desk.flowbatch(&format!(
        "run rows.csv --snapshot off --workspace-id {WORKSPACE} --report out.csv"
    ));
    assert_eq!(said.code, 1, "{}{}", said.stderr, said.stdout);
    assert_eq!(one.described(&place(), "Reviewed"), 2);
    let rows = csv_rows(&desk.path("out.csv"));
    assert_eq!(
        (&*rows[1]["status"], &*rows[1]["project_id"]),
        ("failed", "")
    );
    assert!(
        rows[1]["error_message"].contains("ak not exist"),
        "{}",
        rows[1]["error_message"]
    );
}
