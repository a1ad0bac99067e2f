//! What is wrong with credentials and profiles, each with its exact text.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;

use expect_test::{Expect, expect};
use flowbatch::simulator::access::Access;
use flowbatch::simulator::account::{Account, Key};

use crate::cloud::{Cloud, id, workspace};
use crate::language::{CANARIES, Desk};

const RUN: &str = "run rows.csv --project-id p --workspace-id s";

fn rows() -> Desk {
    Desk::with("rows.csv", "workflow_id,name\nw1,a\n")
}

fn told(desk: &Desk, arguments: &str, code: i32, expected: &Expect) {
    let said = desk.flowbatch(arguments);
    assert_eq!(said.code, code, "{}", said.stderr);
    assert!(!desk.has_runs());
    let home = desk.path("").display().to_string();
    expected.assert_eq(&said.stderr.replace(&home, "HOME/"));
}

fn with_profiles(text: &str) -> Desk {
    rows()
        .secret("profiles.toml", text)
        .variable("FLOWBATCH_PROFILES", "profiles.toml")
}

#[test]
fn half_a_credential() {
    let run = &format!("{RUN} --region cn-north-4");
    let desk = rows().variable("HUAWEICLOUD_SDK_AK", "AK");
    told(
        &desk,
        run,
        4,
        &expect![[r#"
        error: HUAWEICLOUD_SDK_AK is set, HUAWEICLOUD_SDK_SK is not
          set both, or unset HUAWEICLOUD_SDK_AK to have the credential found elsewhere
    "#]],
    );
    let desk = rows().variable("HW_SECRET_KEY", CANARIES.secret_key);
    told(
        &desk,
        run,
        4,
        &expect![[r#"
        error: HW_SECRET_KEY is set, HW_ACCESS_KEY is not
          set both, or unset HW_SECRET_KEY to have the credential found elsewhere
    "#]],
    );
    let desk = rows()
        .variable("HW_USER_NAME", "alice")
        .variable("HW_USER_PASSWORD", CANARIES.password);
    told(
        &desk,
        run,
        4,
        &expect![[r#"
        error: HW_USER_NAME is set, HW_DOMAIN_NAME is not
          set both, or unset HW_USER_NAME to have the credential found elsewhere
    "#]],
    );
}

#[test]
fn secret_files_that_others_can_read() {
    let run = &format!("{RUN} --region cn-north-4");
    let desk = rows().file("token", CANARIES.token);
    told(
        &desk,
        &format!("{run} --token-file token"),
        4,
        &expect![[r#"
            error: the token file token can be read or written by others (mode 644)
              make it yours alone: chmod 600 token
        "#]],
    );
    let desk = rows()
        .secret("keys", "[basic]\nak=a\nsk=b\n")
        .variable("HUAWEICLOUD_SDK_CREDENTIALS_FILE", "keys");
    set_permissions(desk.path("keys"), Permissions::from_mode(0o660)).unwrap();
    told(
        &desk,
        run,
        4,
        &expect![[r#"
            error: the credentials file keys can be read or written by others (mode 660)
              make it yours alone: chmod 600 keys
        "#]],
    );
    let desk = with_profiles("[profile.a]\nregion = \"cn-north-4\"\n");
    set_permissions(desk.path("profiles.toml"), Permissions::from_mode(0o644)).unwrap();
    told(
        &desk,
        &format!("{RUN} --profile a"),
        4,
        &expect![[r#"
            error: the profiles in profiles.toml can be read or written by others (mode 644)
              make it yours alone: chmod 600 profiles.toml
        "#]],
    );
}

#[test]
fn files_that_hold_no_credential() {
    let run = &format!("{RUN} --region cn-north-4");
    told(
        &rows(),
        &format!("{run} --token-file none"),
        4,
        &expect![[r#"
            error: the token file none cannot be read: No such file or directory (os error 2)
              check the path and its permissions
        "#]],
    );
    let desk = rows().secret("token", "two words");
    told(
        &desk,
        &format!("{run} --token-file token"),
        4,
        &expect![[r#"
            error: token from token: the token holds blanks, line breaks or characters outside ASCII
              give the token on one line, and nothing else
        "#]],
    );
    for (content, expected) in [
        (
            format!("[basic]\nak = a\n{}\n", CANARIES.secret_key),
            expect![[r#"
                error: the credentials file keys has no ak and sk in [basic]
                  write [basic], then ak = ... and sk = ... on lines of their own
            "#]],
        ),
        (
            format!(
                "[Basic]\nak = a\nsk = {}\n[default]\nx = 1\n",
                CANARIES.secret_key
            ),
            expect![[r#"
                error: the credentials file keys has no section [basic]; it has [Basic], [default]
                  write [basic], then ak = ... and sk = ... on lines of their own
            "#]],
        ),
        (
            String::new(),
            expect![[r#"
                error: the credentials file keys has no section [basic]
                  write [basic], then ak = ... and sk = ... on lines of their own
            "#]],
        ),
        (
            format!("[basic]\nak = a\nsk = \"{}\"\n", CANARIES.secret_key),
            expect![[r#"
                error: the credentials file keys cannot be used: the secret key stands in quotes
                  write [basic], then ak = ... and sk = ... on lines of their own
            "#]],
        ),
        (
            "[basic\nak".to_owned(),
            expect![[r#"
            error: the credentials file keys is no INI file
              write [basic], then ak = ... and sk = ... on lines of their own
        "#]],
        ),
    ] {
        let desk = rows()
            .secret("keys", content)
            .variable("HUAWEICLOUD_SDK_CREDENTIALS_FILE", "keys");
        told(&desk, run, 4, &expected);
        // No other identity takes its place.
        let desk = desk.variable("HW_AUTH_TOKEN", CANARIES.token);
        told(&desk, run, 4, &expected);
    }
}

#[test]
fn tokens_that_are_told_as_what_they_are() {
    let token = CANARIES.token;
    let utf_16: Vec<u8> = token.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (content, expected) in [
        (
            format!("\"{token}\"\n").into_bytes(),
            "token from token: the token stands in quotes\n",
        ),
        (
            format!("'{token}'").into_bytes(),
            "token from token: the token stands in quotes\n",
        ),
        (
            format!("{{\"token\":\"{token}\"}}").into_bytes(),
            "token from token: it is JSON, not the token alone\n",
        ),
        (
            [b"\xff\xfe".as_slice(), &utf_16].concat(),
            "the token file token is in UTF-16\n  save it as UTF-8\n",
        ),
        (
            utf_16.clone(),
            "the token file token is in UTF-16\n  save it as UTF-8\n",
        ),
        (
            format!("Bearer {token}").into_bytes(),
            "token from token: the token begins with Bearer\n  give the token alone",
        ),
        (
            format!("HW_AUTH_TOKEN={token}\n").into_bytes(),
            "token from token: the token has HW_AUTH_TOKEN= before it\n  give the token alone",
        ),
        (
            b"${TOKEN}".to_vec(),
            "token from token: a placeholder stands where the token belongs\n  put the token itself",
        ),
        (
            b"<token>\n".to_vec(),
            "token from token: a placeholder stands where the token belongs\n  put the token itself",
        ),
        (
            vec![b'a'; (4 << 20) + 1],
            "the token file token is longer than 4 MiB\n",
        ),
    ] {
        let desk = rows().secret("token", content);
        let said = desk.flowbatch(&format!("{RUN} --region cn-north-4 --token-file token"));
        assert_eq!(said.code, 4, "{}", said.stderr);
        assert!(
            said.stderr.contains(expected),
            "{expected}: {}",
            said.stderr
        );
        std::fs::remove_file(desk.path("token")).unwrap();
    }
}

#[test]
fn a_key_in_quotes_is_told_as_that() {
    let desk = rows()
        .variable("HUAWEICLOUD_SDK_AK", "AKONE")
        .variable("HUAWEICLOUD_SDK_SK", &format!("'{}'", CANARIES.secret_key));
    told(
        &desk,
        &format!("{RUN} --region cn-north-4"),
        4,
        &expect![[r#"
            error: access key from HUAWEICLOUD_SDK_AK: the secret key stands in quotes
              give it without the quotes around it
        "#]],
    );
}

#[test]
fn a_mark_before_a_token_or_a_credentials_file_is_no_part_of_it() {
    let cloud = Cloud::start(Access::of([Account::new("acme")
        .token(CANARIES.token)
        .key(Key::new("AKONE", CANARIES.secret_key))
        .project(id("p"), "cn-north-4")]));
    cloud.world().adopt(&workspace("p", "s"), "w1", None);
    let run = format!("{RUN} --endpoint {}", cloud.address);
    let desk = rows().secret("token", format!("\u{feff}{}\r\n", CANARIES.token));
    let said = desk.flowbatch(&format!("{run} --token-file token"));
    assert_eq!(said.code, 0, "{}", said.stderr);
    let keys = format!(
        "\u{feff}[basic]\r\nak = AKONE\r\nsk = {}\r\n",
        CANARIES.secret_key
    );
    let desk = rows().secret(".huaweicloud/credentials", keys);
    let said = desk.flowbatch(&run);
    assert_eq!(said.code, 0, "{}", said.stderr);
}

#[test]
fn a_default_credentials_file_that_cannot_be_used_is_a_warning_beside_another_credential() {
    let run = &format!("{RUN} --region cn-north-4");
    let desk = rows().secret(".huaweicloud/credentials", "[default]\nak = a\n");
    told(
        &desk,
        run,
        4,
        &expect![[r#"
            error: the credentials file HOME/.huaweicloud/credentials has no section [basic]; it has [default]
              write [basic], then ak = ... and sk = ... on lines of their own
        "#]],
    );
    let desk = desk.variable("HW_AUTH_TOKEN", CANARIES.token);
    let said = desk.flowbatch("check rows.csv --region cn-north-4 --project-id p --workspace-id s");
    assert_eq!(said.code, 0, "{}", said.stderr);
    let said = desk.flowbatch("auth --endpoint http://127.0.0.1:9 --project-id p");
    let warning = "token from HW_AUTH_TOKEN is used: the credentials file";
    assert!(
        said.stdout.contains(warning),
        "{}{}",
        said.stdout,
        said.stderr
    );
}

#[test]
fn a_file_without_an_end_is_no_ca_file() {
    let desk = rows().variable("HW_AUTH_TOKEN", CANARIES.token);
    told(
        &desk,
        &format!("{RUN} --region cn-north-4 --ca-file /dev/zero"),
        4,
        &expect![[r#"
            error: the CA file /dev/zero is longer than 4 MiB
              give PEM certificates: -----BEGIN CERTIFICATE-----
        "#]],
    );
}

#[test]
fn a_profiles_command_is_given_no_secret_of_another_account_and_read_no_further_than_it_should() {
    let text = "[profile.a]\nendpoint = \"http://127.0.0.1:9\"\ncommand = [\"sh\", \"-c\", \"env > seen; yes\"]\n";
    let desk = with_profiles(text)
        .variable("PATH", "/usr/bin:/bin")
        .variable("VAULT_TOKEN", "of-the-vault")
        .variable("HW_AUTH_TOKEN", CANARIES.token)
        .variable("KUNDE_B_HUAWEICLOUD_SDK_SK", CANARIES.secret_key)
        .variable("HW_USER_PASSWORD", CANARIES.password)
        .variable("HW_SECURITY_TOKEN", CANARIES.security_token);
    let said = desk.flowbatch("auth --profile a --project-id p");
    assert_eq!(said.code, 4, "{}", said.stderr);
    assert!(
        said.stdout.contains("sh prints more than 4 MiB"),
        "{}",
        said.stdout
    );
    // The desk itself looks for canaries in every file.
    let seen = desk.read("seen");
    assert!(
        seen.contains("VAULT_TOKEN=of-the-vault") && seen.contains("HOME="),
        "{seen}"
    );
}

#[test]
fn profiles_that_are_wrong() {
    let desk = with_profiles(
        "[profile.a]\nregion = \"cn-nord-4\"\nendpoit = \"x\"\nsk = \"canary\"\ntoken_file = \"t\"\ncommand = [\"c\"]\nproxy = \"http://u:p@proxy:3128\"\nendpoint = \"http://example.com\"\n",
    );
    told(
        &desk,
        &format!("{RUN} --profile a"),
        2,
        &expect![[r#"
            error: no such region: "cn-nord-4"
             --> profiles.toml:2:10
              |
            2 | region = "cn-nord-4"
              |          ^^^^^^^^^^^
              |
              = help: did you mean cn-north-4? Regions: af-north-1, af-south-1, ap-southeast-1, ap-southeast-2, ap-southeast-3, ap-southeast-4, ap-southeast-5, cn-east-2, cn-east-3, cn-east-4, cn-east-5, cn-north-1, cn-north-11, cn-north-12, cn-north-2, cn-north-4, cn-north-9, cn-south-1, cn-south-2, cn-southwest-2, cn-southwest-3, eu-west-101, la-north-2, la-south-2, me-east-1, my-kualalumpur-1, sa-brazil-1, tr-west-1

            error: unknown key `endpoit` in [profile]
             --> profiles.toml:3:1
              |
            3 | endpoit = "x"
              | ^^^^^^^
              |
              = help: did you mean `endpoint`?

            error: a secret in profiles.toml
             --> profiles.toml:4:1
              |
            4 | sk =*********
              | ^^
              |
              = help: take it out and name its place: credentials_file, token_file, env_prefix or command

            error: a second place for the credential
             --> profiles.toml:6:12
              |
            6 | command =******
              |            ^^^
              |
              = help: leave one of credentials_file, token_file, env_prefix and command

            error: the proxy holds a user name or password
             --> profiles.toml:7:9
              |
            7 | proxy = "http://***@proxy:3128"
              |         ^^^^^^^^^^^^^^^^^^^^^^^
              |
              = help: write http://HOST:PORT, without a user or password

            error: http:// to example.com would send the credential in the clear
             --> profiles.toml:8:12
              |
            8 | endpoint = "http://example.com"
              |            ^^^^^^^^^^^^^^^^^^^^
              |
              = help: write https://secmaster.REGION.myhuaweicloud.com, or give the region; http:// is for 127.0.0.1 and [::1] only

            6 problems; nothing was sent
        "#]],
    );
}

#[test]
fn profiles_that_are_not_there() {
    told(
        &rows(),
        &format!("{RUN} --profile kunde-a"),
        2,
        &expect![[r#"
            error: no such profile: "kunde-a"
            --> --profile kunde-a
             = help: there are none: write [profile.kunde-a] into HOME/.config/flowbatch/profiles.toml

            1 problem; nothing was sent
        "#]],
    );
    let desk = with_profiles("[profile.kunde-a]\nregion = \"cn-north-4\"\n");
    told(
        &desk,
        &format!("{RUN} --profile kunde-b"),
        2,
        &expect![[r#"
            error: no such profile: "kunde-b"
            --> --profile kunde-b
             = help: did you mean kunde-a? profiles.toml has kunde-a

            1 problem; nothing was sent
        "#]],
    );
    told(
        &desk,
        &format!("{RUN} --profile kunde-a"),
        4,
        &expect![[r#"
            error: profile kunde-a: it names no credential
              give it credentials_file, token_file, command, or env_prefix ("" for the usual variables)
        "#]],
    );
    let desk = desk.file(
        "rows.csv",
        "workflow_id,name,profile\nw1,a,kunde-b\nw2,a,other\n",
    );
    told(
        &desk,
        RUN,
        2,
        &expect![[r#"
            error: no such profile
             --> rows.csv:2:profile
              |
            2 | kunde-b
              | ^^^^^^^
              |
              = help: did you mean kunde-a? profiles.toml has kunde-a

            error: no such profile
             --> rows.csv:3:profile
              |
            3 | other
              | ^^^^^
              |
              = help: profiles.toml has kunde-a

            2 problems; nothing was sent
        "#]],
    );
}

#[test]
fn rows_that_contradict_the_flags() {
    let desk = with_profiles(
        "[profile.a]\nregion = \"cn-north-4\"\nproject_id = \"pa\"\n[profile.b]\nregion = \"cn-north-1\"\n",
    )
    .file(
        "rows.csv",
        "workflow_id,name,profile,region\nw1,a,a,\nw2,a,b,\nw3,a,,cn-north-1\nw4,a,a,\n",
    );
    told(
        &desk,
        &format!("{RUN} --profile b"),
        2,
        &expect![[r#"
        error: the row's profile is not that of --profile
         --> rows.csv:2:profile
          |
        2 | a
          | ^
          |
          = help: --profile says b; leave out the flag

        error: the row's profile is not that of --profile
         --> rows.csv:5:profile
          |
        5 | a
          | ^
          |
          = help: --profile says b; leave out the flag

        2 problems; nothing was sent
    "#]],
    );
    told(
        &desk,
        &format!("{RUN} --region cn-north-4"),
        2,
        &expect![[r#"
            error: the row's profile's project_id is not that of --project-id
             --> rows.csv:2:profile
              |
            2 | a
              | ^
              |
              = help: --project-id says p; leave out the flag

            error: the row's profile's project_id is not that of --project-id
             --> rows.csv:5:profile
              |
            5 | a
              | ^
              |
              = help: --project-id says p; leave out the flag

            error: the row's profile leads elsewhere than the flag
             --> rows.csv:3:profile
              |
            3 | b
              | ^
              |
              = help: the command line says cn-north-4; leave out the flag

            error: the row's region is not that of the command line
             --> rows.csv:4:region
              |
            4 | cn-north-1
              | ^^^^^^^^^^
              |
              = help: the command line says cn-north-4; leave out the flag

            4 problems; nothing was sent
        "#]],
    );
}

#[test]
fn a_command_that_prints_no_credential() {
    for (command, expected) in [
        (
            "[\"sh\", \"-c\", \"echo canary; exit 3\"]",
            expect![
                "read:       no credential can be had: sh ended with exit status: 3; run it by hand to see why (no credential variables are passed to it)"
            ],
        ),
        (
            "[\"echo\", \"canary\"]",
            expect![[
                r#"read:       no credential can be had: echo printed no credential: it is no JSON object; it must print {"ak": ..., "sk": ..., "security_token": ..., "expires_at": ...} or {"token": ..., "expires_at": ...}"#
            ]],
        ),
        (
            "[\"no-such-program\"]",
            expect![
                "read:       no credential can be had: no-such-program cannot be run: No such file or directory (os error 2); give its whole path, or look at PATH"
            ],
        ),
    ] {
        let text = format!("[profile.a]\nendpoint = \"http://127.0.0.1:9\"\ncommand = {command}\n");
        let desk = with_profiles(&text).variable("PATH", "/usr/bin:/bin");
        let said = desk.flowbatch("auth --profile a --project-id p");
        assert_eq!(said.code, 4, "{}", said.stderr);
        assert!(!said.stdout.contains("canary") && !said.stderr.contains("canary"));
        let read = said.stdout.lines().find(|line| line.starts_with("read:"));
        expected.assert_eq(read.unwrap());
    }
}

#[test]
fn a_profiles_command_and_variables_give_its_credential() {
    let account = Account::new("acme")
        .key(Key::new("AKONE", CANARIES.secret_key))
        .project(id("p"), "cn-north-4");
    let cloud = Cloud::start(Access::of([account]));
    cloud.world().adopt(&workspace("p", "s"), "w1", None);
    let printed = format!("{{\"ak\":\"AKONE\",\"sk\":\"{}\"}}", CANARIES.secret_key);
    for source in [
        "command = [\"cat\", \"printed.json\"]",
        "env_prefix = \"KUNDE_A_\"",
    ] {
        let text = format!("[profile.a]\nendpoint = \"{}\"\n{source}\n", cloud.address);
        let desk = with_profiles(&text)
            .secret("printed.json", &printed)
            .variable("PATH", "/usr/bin:/bin")
            .variable("KUNDE_A_HUAWEICLOUD_SDK_AK", "AKONE")
            .variable("KUNDE_A_HUAWEICLOUD_SDK_SK", CANARIES.secret_key);
        let said = desk.flowbatch(&format!("{RUN} --profile a"));
        assert_eq!(said.code, 0, "{}{}", said.stderr, said.stdout);
    }
}

#[test]
fn a_token_file_beside_a_profile() {
    let desk = with_profiles("[profile.a]\nregion = \"cn-north-4\"\ntoken_file = \"t\"\n")
        .secret("t", CANARIES.token);
    told(
        &desk,
        &format!("{RUN} --profile a --token-file t"),
        2,
        &expect![[r#"
            error: profile a says where its credential is, and so does --token-file or [auth] method
              leave out one of them
        "#]],
    );
}

#[test]
fn one_project_for_several_regions() {
    let desk = Desk::with(
        "rows.csv",
        "workflow_id,name,region\nw1,a,cn-north-4\nw2,a,cn-north-1\n",
    )
    .variable("HW_AUTH_TOKEN", CANARIES.token);
    told(
        &desk,
        RUN,
        2,
        &expect![[r#"
        error: rows of several regions (cn-north-4, cn-north-1 ...) would take the same project
        --> rows.csv
         = help: a project belongs to one region: name it in a column, or leave it out to have it looked up

        1 problem; nothing was sent
    "#]],
    );
}

#[test]
fn variables_that_differ_from_what_every_row_says_are_warned_of() {
    let desk = Desk::with(
        "rows.csv",
        "workflow_id,name,region,project_id,workspace_id\nw1,a,cn-north-4,p,s\n",
    )
    .variable("HW_REGION_NAME", "cn-south-1")
    .variable("HW_PROJECT_ID", "p-other");
    let said = desk.flowbatch("check rows.csv");
    assert_eq!(said.code, 0);
    expect![[r#"
        warning: HW_REGION_NAME is cn-south-1, but the rows go elsewhere (cn-north-4 ...): the rows' own is used
        warning: HW_PROJECT_ID is p-other, but the rows go elsewhere (p ...): the rows' own is used
    "#]].assert_eq(&said.stderr);
}
