//! `flowbatch auth`, against a cloud that knows accounts.

use expect_test::expect;
use flowbatch::simulator::access::Access;
use flowbatch::simulator::account::{Account, Key};
use jiff::SignedDuration;

use crate::cloud::{Cloud, id, workspace};
use crate::language::{CANARIES, Desk, Said};

const PROJECT: &str = "0f9183e1c2d34b6c8a7e5d4c3b2a1908";
const WORKSPACE: &str = "909494e3-558e-46b6-a9eb-07a8e18ca621";

fn cloud() -> Cloud {
    let account = Account::new("acme")
        .user("alice", CANARIES.password)
        .key(Key::new("AKONE", CANARIES.secret_key))
        .token(CANARIES.token)
        .project(id(PROJECT), "cn-north-4");
    let cloud = Cloud::start(Access::of([account]));
    cloud.workflows(&workspace(PROJECT, WORKSPACE), 7);
    cloud
}

fn desk(cloud: &Cloud) -> Desk {
    Desk::new()
        .variable(
            "HUAWEICLOUD_SDK_REGION_SECMASTER_CN_NORTH_4",
            &cloud.address,
        )
        .variable("HUAWEICLOUD_SDK_IAM_ENDPOINT", &cloud.address)
}

/// What it said, without what differs from run to run.
fn plain(said: &Said, cloud: &Cloud) -> String {
    let lines = said.stdout.lines().map(|line| {
        let line = line.replace(&cloud.address, "URL");
        let cut = |line: &str, after: &str| line.split(after).next().unwrap().to_owned();
        match line.as_str() {
            _ if line.starts_with("read:") => cut(&line, " in "),
            _ if line.starts_with("ends:") => "ends: TIME".to_owned(),
            _ => line,
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_key_is_told_with_its_project_and_whether_it_reads() {
    let cloud = cloud();
    let desk = desk(&cloud)
        .variable("HUAWEICLOUD_SDK_AK", "AKONE")
        .variable("HUAWEICLOUD_SDK_SK", CANARIES.secret_key);
    let said = desk.flowbatch(&format!(
        "auth --region cn-north-4 --workspace-id {WORKSPACE}"
    ));
    assert_eq!(said.code, 0, "{}", said.stderr);
    expect![[r#"
        warning:    HUAWEICLOUD_SDK_REGION_SECMASTER_CN_NORTH_4 leads region cn-north-4 to URL
        credential: access key AKONE from HUAWEICLOUD_SDK_AK
        target:     region cn-north-4 (URL)
        account:    47740261e5ec94da3e88d38ac20e9a3f
        project:    0f9183e1c2d34b6c8a7e5d4c3b2a1908 (cn-north-4)
        workspace:  909494e3-558e-46b6-a9eb-07a8e18ca621
        clock:      in step with the service's
        read:       works: 7 workflows"#]]
    .assert_eq(&plain(&said, &cloud));
}

#[test]
fn a_password_and_a_token_are_told_with_their_account_and_end() {
    let cloud = cloud();
    let password = desk(&cloud)
        .variable("HW_USER_NAME", "alice")
        .variable("HW_USER_PASSWORD", CANARIES.password)
        .variable("HW_DOMAIN_NAME", "acme");
    let said = password.flowbatch("auth --region cn-north-4");
    assert_eq!(said.code, 0, "{}{}", said.stderr, said.stdout);
    expect![[r#"
        warning:    HUAWEICLOUD_SDK_REGION_SECMASTER_CN_NORTH_4 leads region cn-north-4 to URL
        warning:    HUAWEICLOUD_SDK_IAM_ENDPOINT leads IAM to URL
        credential: IAM user alice of account acme from HW_USER_NAME
        target:     region cn-north-4 (URL)
        account:    acme
        user:       alice
        project:    0f9183e1c2d34b6c8a7e5d4c3b2a1908 (cn-north-4)
        ends: TIME
        clock:      in step with the service's
        read:       works: 1 workspace"#]]
    .assert_eq(&plain(&said, &cloud));
    let token = desk(&cloud).variable("HW_AUTH_TOKEN", CANARIES.token);
    let said = token.flowbatch(&format!("auth --region cn-north-4 --project-id {PROJECT}"));
    assert_eq!(said.code, 0, "{}{}", said.stderr, said.stdout);
    expect![[r#"
        warning:    HUAWEICLOUD_SDK_REGION_SECMASTER_CN_NORTH_4 leads region cn-north-4 to URL
        credential: token from HW_AUTH_TOKEN
        target:     region cn-north-4 (URL)
        account:    acme
        user:       alice
        project:    0f9183e1c2d34b6c8a7e5d4c3b2a1908
        ends: TIME
        clock:      in step with the service's
        read:       works: 1 workspace"#]]
    .assert_eq(&plain(&said, &cloud));
}

#[test]
fn what_does_not_work_is_exit_4_with_the_reason() {
    let cloud = cloud();
    let wrong = desk(&cloud)
        .variable("HUAWEICLOUD_SDK_AK", "AKONE")
        .variable("HUAWEICLOUD_SDK_SK", "not-the-secret-key");
    let arguments = format!("auth --region cn-north-4 --project-id {PROJECT}");
    let said = wrong.flowbatch(&arguments);
    assert_eq!(said.code, 4, "{}", said.stderr);
    assert_eq!(
        cloud.access.requests_of("AKONE").refused,
        1,
        "five lock the key"
    );
    expect![[r#"
        warning:    HUAWEICLOUD_SDK_REGION_SECMASTER_CN_NORTH_4 leads region cn-north-4 to URL
        credential: access key AKONE from HUAWEICLOUD_SDK_AK
        target:     region cn-north-4 (URL)
        project:    0f9183e1c2d34b6c8a7e5d4c3b2a1908
        read:       not tried: IAM (URL) refuses the projects: HTTP 401 Incorrect IAM authentication information: verify aksk signature fail
        to do:      the secret key is not that of the access key: correct it; five wrong signatures lock the key for 5 minutes"#]].assert_eq(&plain(&said, &cloud));
    let right = desk(&cloud)
        .variable("HUAWEICLOUD_SDK_AK", "AKONE")
        .variable("HUAWEICLOUD_SDK_SK", CANARIES.secret_key);
    let said = right.flowbatch(&format!("{arguments}  --workspace-id none"));
    assert_eq!(said.code, 4, "{}", said.stderr);
    expect![[r#"
        warning:    HUAWEICLOUD_SDK_REGION_SECMASTER_CN_NORTH_4 leads region cn-north-4 to URL
        credential: access key AKONE from HUAWEICLOUD_SDK_AK
        target:     region cn-north-4 (URL)
        account:    47740261e5ec94da3e88d38ac20e9a3f
        project:    0f9183e1c2d34b6c8a7e5d4c3b2a1908 (cn-north-4)
        workspace:  none
        clock:      in step with the service's
        read:       the credential is good, but not for this: invalid workspace id
        to do:      the account may not change this workspace: check project_id, workspace_id and the IAM policy"#]]
    .assert_eq(&plain(&said, &cloud));
    cloud.access.set_clock_offset(SignedDuration::from_mins(20));
    let said = right.flowbatch(&arguments);
    assert_eq!(said.code, 4, "{}", said.stderr);
    assert!(
        said.stdout.contains("they are 20m apart"),
        "{}",
        said.stdout
    );
    let token = desk(&cloud).variable("HW_AUTH_TOKEN", CANARIES.token);
    let said = token.flowbatch(&arguments);
    let clock = said.stdout.lines().find(|line| line.starts_with("clock:"));
    assert_eq!(
        clock,
        Some("clock:      20m behind the service's: signatures hold for 15m, set the clock")
    );
}

#[test]
fn programs_read_it_as_json() {
    let cloud = cloud();
    let desk = desk(&cloud).variable("HW_AUTH_TOKEN", CANARIES.token);
    let said = desk.flowbatch("auth --region cn-north-4 --output json");
    assert_eq!(said.code, 0, "{}{}", said.stderr, said.stdout);
    let findings: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(findings["account"], "acme");
    assert_eq!(findings["project_id"], PROJECT);
    assert_eq!(findings["works"], true);
}

#[test]
fn without_a_target_or_a_credential_it_says_what_to_give() {
    let said = Desk::new()
        .variable("HW_AUTH_TOKEN", CANARIES.token)
        .flowbatch("auth");
    assert_eq!(said.code, 2);
    expect![[r#"
        error: there is no target
          say --region, --endpoint or --profile, or set HW_REGION_NAME
    "#]]
    .assert_eq(&said.stderr);
    let said = Desk::new().flowbatch("auth --region cn-north-4");
    assert_eq!(said.code, 4);
    expect![[r#"
        error: no credential
          give an IAM token by HW_AUTH_TOKEN or --token-file FILE, an access key by HUAWEICLOUD_SDK_AK and HUAWEICLOUD_SDK_SK, a profile by --profile NAME; to try a job without an account, say --simulate
    "#]].assert_eq(&said.stderr);
}
