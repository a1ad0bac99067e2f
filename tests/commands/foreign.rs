//! Texts that others wrote, through every output: they reach no terminal as they are, and programs as they are.

use serde_json::{Value, json};

use crate::language::{CANARIES, Desk};
use crate::odd::{Odd, Service, WORKSPACE};

/// What a terminal obeys or hides: escape sequences of both kinds, a carriage return, bidirectional controls,
/// zero-width and default-ignorable characters, a tag.
const FOREIGN: &str =
    "x\u{1b}]0;pwned\u{7}\u{9b}31m\r\u{202e}\u{2067}\u{200b}\u{61c}\u{ad}\u{feff}\u{2028}\u{e0041}";

/// Characters that no output for people may hold.
fn hidden(text: &str) -> String {
    let hidden = |c: &char| {
        (c.is_control() && *c != '\n' && *c != '\t') || FOREIGN.contains(*c) && !c.is_ascii()
    };
    text.chars().filter(hidden).collect()
}

/// A service whose every text is foreign, and a job whose every text is.
fn start() -> (Service, Desk) {
    let service = Service::with(8);
    for workflow in service.flows().values_mut() {
        for field in [
            "name",
            "description",
            "labels",
            "modifier_name",
            "creator_name",
            "version",
            "project_name",
        ] {
            let own = workflow[field].as_str().unwrap_or_default();
            workflow[field] = format!("{own}{FOREIGN}").into();
        }
        workflow["update_time"] = format!("2025-07-18T14:47:16{FOREIGN}").into();
    }
    service.behaves(|_, asked| {
        if asked.path.ends_with("/workspaces") {
            let workspace = json!({"id": WORKSPACE, "name": format!("SOC{FOREIGN}")});
            return Odd::Says(json!({"count": 1, "workspaces": [workspace]}));
        }
        if asked.path.ends_with("/versions") {
            let mut versions = vec![json!({"id": format!("v{FOREIGN}"), "status": format!("draft{FOREIGN}"), "create_time": FOREIGN})];
            versions.push(json!({"id": "wanted", "status": format!("draft{FOREIGN}"), "create_time": FOREIGN}));
            return Odd::Says(json!({"code": "00000000", "success": true, "data": versions, "total": 2}));
        }
        match (asked.method, asked.id) {
            ("PUT", "w6") => Odd::Answers(
                400,
                json!({"error_code": format!("SecMaster.1{FOREIGN}"), "error_msg": FOREIGN, "request_id": FOREIGN}),
            ),
            ("PUT", "w7") => Odd::Answers(400, Value::String(FOREIGN.to_owned())),
            _ => Odd::No,
        }
    });
    let quoted = serde_json::to_string(FOREIGN).unwrap();
    let job = format!(
        "[job]\nname = {quoted}\ndescription = {quoted}\n[rows]\nfile = \"rows.csv\"\n[stop]\nmax_errors = \"100%\"\n\
         [retry]\nmax_attempts = 1\n"
    );
    let rows = format!(
        "workflow_id,name,description,version_id,expect_name\n\
         w1,N1,,,\nw2,\"N2{FOREIGN}\",,,\nw3,N3,\"a\n{FOREIGN}\",,\nw4,N4,,,\"other{FOREIGN}\"\n\
         w5,N5,,wanted,\nw6,N6,,,\nw7,N7,,,\nmissing,N8,,,\n"
    );
    let desk = Desk::new()
        .variable("HW_AUTH_TOKEN", CANARIES.token)
        .variable("USER", FOREIGN)
        .file("job.toml", job)
        .file("rows.csv", rows)
        .file(
            &format!("wrong{FOREIGN}.csv"),
            format!("workflow_id,na{FOREIGN}me\nw1,N{FOREIGN}\nw2\n"),
        );
    (service, desk)
}

#[test]
fn what_others_wrote_reaches_no_terminal_as_it_is_and_programs_as_it_is() {
    let (service, desk) = start();
    let target = service.target();
    let run = |flags: &str| {
        desk.flowbatch(&format!(
            "run job.toml {flags} --ticket 'T{FOREIGN}' {target}"
        ))
    };
    let mut said = vec![
        (
            "plan",
            desk.flowbatch(&format!("plan job.toml -vv {target}")),
        ),
        (
            "plan json",
            desk.flowbatch(&format!("plan job.toml --output json {target}")),
        ),
        (
            "run",
            run("--progress plain -vv --log-format text --html page.html"),
        ),
        (
            "run json",
            run("--progress json --output json -vv --log-format json"),
        ),
        ("run quiet", run("-q")),
    ];
    for words in [
        "runs",
        "runs --output json",
        "runs --changed",
        "runs --changed --output json",
        "verify last",
        "undo last --dry-run",
        "undo last --yes -q",
        "resume last --failed --yes",
        "report last",
        "report last --html -",
        "approve last",
    ] {
        said.push((words, desk.flowbatch(words)));
    }
    said.push((
        "export",
        desk.flowbatch(&format!("export --out out.csv {target}")),
    ));
    said.push((
        "a wrong job",
        desk.flowbatch(&format!("plan 'wrong{FOREIGN}.csv' {target}")),
    ));
    for (words, said) in &said {
        for text in [&said.stdout, &said.stderr] {
            assert_eq!(hidden(text), "", "{words}: {text:?}");
        }
        assert_ne!(said.code, 101, "{words}");
    }
    let texts: String = said.iter().map(|(_, said)| said.stdout.as_str()).collect();
    assert!(
        texts.contains("\\u{1b}]0;pwned"),
        "they are shown, not dropped: {texts}"
    );
    assert_eq!(hidden(&desk.read("page.html")), "");
    for name in [
        "plan json",
        "run json",
        "runs --output json",
        "runs --changed --output json",
    ] {
        let (_, said) = said.iter().find(|(words, _)| *words == name).unwrap();
        let json: Value = serde_json::from_str(&said.stdout).unwrap();
        let exact = json.to_string();
        let foreign = serde_json::to_string(FOREIGN).unwrap();
        assert!(exact.contains(foreign.trim_matches('"')), "{name}: {exact}");
    }
}

#[test]
fn a_secret_in_a_field_that_an_undo_needs_stops_the_run_before_anything_is_sent() {
    for field in ["name", "description", "labels", "version_id"] {
        for command in [
            "run rows.csv",
            "run rows.csv --snapshot off",
            "plan rows.csv",
            "export --out out.csv",
        ] {
            let service = Service::with(3);
            service.set("w2", field, format!("see {} there", CANARIES.token));
            let desk = Desk::with(
                "rows.csv",
                "workflow_id,name,expect_name\nw1,N1,\nw2,N2,W2\n",
            )
            .variable("HW_AUTH_TOKEN", CANARIES.token);
            let said = desk.flowbatch(&format!("{command} {}", service.target()));
            let text = format!("{}{}", said.stdout, said.stderr);
            assert_eq!(said.code, 4, "{command}: {text}");
            let place = format!("the token stands in the {field} of workflow w2");
            assert!(text.contains(&place), "{command}: {text}");
            assert!(
                text.contains("remove the secret from the workflow"),
                "{command}: {text}"
            );
            if !command.contains("off") {
                assert_eq!(service.puts("w1") + service.puts("w2"), 0, "{command}");
            }
        }
    }
}

#[test]
fn a_secret_in_any_other_text_of_the_service_is_taken_out() {
    let service = Service::with(3);
    for workflow in service.flows().values_mut() {
        workflow["modifier_name"] = CANARIES.token.into();
        workflow["creator_name"] = CANARIES.token.into();
        workflow["update_time"] = CANARIES.token.into();
    }
    service.behaves(|_, asked| match asked.path.rsplit('/').next() {
        Some("workspaces") => {
            let workspace = json!({"id": WORKSPACE, "name": CANARIES.token});
            Odd::Says(json!({"count": 1, "workspaces": [workspace]}))
        }
        Some("versions") => {
            let version =
                json!({"id": CANARIES.token, "status": CANARIES.token, "create_time": "x"});
            Odd::Says(json!({"code": "00000000", "success": true, "data": [version], "total": 1}))
        }
        _ => Odd::No,
    });
    let desk = Desk::with(
        "rows.csv",
        "workflow_id,name,version_id,expect_name\nw1,N1,,\nw2,N2,other,W2\nw3,N3,,other\n",
    )
    .variable("HW_AUTH_TOKEN", CANARIES.token);
    // The desk looks for canaries in every file and every text.
    for command in [
        "plan rows.csv --max-errors 100%",
        "run rows.csv --max-errors 100%",
        "export --out out.csv",
    ] {
        let said = desk.flowbatch(&format!("{command} {}", service.target()));
        assert!(
            matches!(said.code, 0 | 1),
            "{command}: {}{}",
            said.stdout,
            said.stderr
        );
    }
    desk.flowbatch("runs --changed --output json");
}

#[test]
fn one_odd_workflow_hides_none_of_the_others() {
    for (field, value, said) in [
        (
            "description",
            json!(5),
            "workflow w2 has the description 5, which cannot be read",
        ),
        (
            "labels",
            json!(["IP"]),
            "workflow w2 has the labels [\"IP\"], which cannot be read",
        ),
        (
            "enabled",
            json!("true"),
            "workflow w2 has the enabled \"true\", which cannot be read",
        ),
    ] {
        let service = Service::with(5);
        service.set("w2", field, value);
        let desk = Desk::with("rows.csv", "workflow_id,name\nw1,N1\nw2,N2\nw3,N3\n")
            .file("names.csv", "workflow_name,description\nW4,new\n")
            .file("missing.csv", "workflow_name,description\nW9,new\n")
            .file(
                "change.toml",
                "[[change]]\nwhere = [\"name~^W\"]\nset = { description = \"all\" }\n",
            )
            .variable("HW_AUTH_TOKEN", CANARIES.token);
        let target = service.target();
        let export = desk.flowbatch(&format!("export --out all.csv {target}"));
        assert_eq!(export.code, 1, "{}", export.stderr);
        assert!(
            export
                .stderr
                .contains(&format!("warning: {said}; it is left out\n")),
            "{}",
            export.stderr
        );
        assert!(
            export.stderr.contains("exported 4 workflows"),
            "{}",
            export.stderr
        );
        let plan = desk.flowbatch(&format!("plan change.toml {target}"));
        assert_eq!(plan.code, 0, "{}{}", plan.stdout, plan.stderr);
        assert!(
            plan.stderr
                .contains(&format!("warning: {said}; it is left out\n")),
            "{}",
            plan.stderr
        );
        assert!(plan.stdout.contains("4 to change"), "{}", plan.stdout);
        let named = desk.flowbatch(&format!("run names.csv {target}"));
        assert_eq!(named.code, 0, "{}{}", named.stdout, named.stderr);
        let missing = desk.flowbatch(&format!("run missing.csv {target}"));
        assert!(missing.stdout.contains(said), "{}", missing.stdout);
        let run = desk.flowbatch(&format!("run rows.csv --max-errors 50% {target}"));
        assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
        assert!(
            run.stdout.contains("succeeded             2"),
            "{}",
            run.stdout
        );
        assert!(run.stdout.contains(said), "{}", run.stdout);
        assert_eq!(service.puts("w2"), 0);
        let alone = desk.flowbatch(&format!(
            "run rows.csv --only row=2 --max-errors 100% {target}"
        ));
        assert!(alone.stdout.contains(said), "{}", alone.stdout);
    }
}

#[test]
fn a_field_that_is_not_needed_fails_nothing() {
    let service = Service::with(3);
    service.set("w2", "creator_name", json!({"half": true}));
    service.set("w2", "update_time", json!(17));
    let desk = Desk::with("rows.csv", "workflow_id,name\nw1,N1\nw2,N2\n")
        .variable("HW_AUTH_TOKEN", CANARIES.token);
    for command in ["export --out all.csv", "run rows.csv"] {
        let said = desk.flowbatch(&format!("{command} {}", service.target()));
        assert_eq!(said.code, 0, "{}{}", said.stdout, said.stderr);
        assert!(!said.stderr.contains("warning"), "{}", said.stderr);
    }
}

#[test]
fn what_only_looks_like_a_secret_is_read_and_sent_as_it_is() {
    let service = Service::with(3);
    let beginning = &CANARIES.token[..11];
    service.set("w1", "description", format!("see {beginning} there"));
    service.set("w2", "name", beginning.to_owned());
    let desk = Desk::with("rows.csv", "workflow_id,labels\nw1,ACCOUNT\nw2,ACCOUNT\n")
        .variable("HW_AUTH_TOKEN", CANARIES.token);
    let target = service.target();
    let export = desk.flowbatch(&format!("export --out all.csv {target}"));
    assert_eq!(export.code, 0, "{}", export.stderr);
    assert!(
        desk.read("all.csv")
            .contains(&format!("see {beginning} there"))
    );
    let run = desk.flowbatch(&format!("run rows.csv --send full {target}"));
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert_eq!(
        service.field("w1", "description"),
        format!("see {beginning} there")
    );
    assert_eq!(service.field("w2", "name"), beginning);
}
