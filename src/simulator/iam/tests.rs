//! IAM, asked directly.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::super::account::Key;
use super::super::metadata::MetadataCall;
use super::super::signature::tests::vectors;
use super::*;
use crate::model::id::Id;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn gate() -> Gate {
    let mut gate = Gate::default();
    let project = |id: &str| Id::parse(id).unwrap();
    gate.add(
        Account::new("acme")
            .user("robot", "pass word")
            .token("fixed")
            .project(project("p1"), "cn-north-4")
            .project(project("p2"), "cn-east-3"),
    );
    gate.add(Account::new("other").project(project("p3"), "cn-north-4"));
    gate
}

fn received<T>(headers: &[(&str, &str)], body: &str, look: impl FnOnce(&Received<'_>) -> T) -> T {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        map.append(name, HeaderValue::from_str(value).unwrap());
    }
    look(&Received {
        method: "GET",
        path: "/",
        query: "",
        authority: Some("iam"),
        headers: &map,
        body: body.as_bytes(),
    })
}

/// Status, token and body.
fn ask(
    gate: &mut Gate,
    call: &IamCall,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, Option<String>, Value) {
    let message = received(headers, body, |request| gate.iam(call, request, at(0)));
    let message = message.unwrap();
    let json = serde_json::from_slice(&message.body).unwrap();
    (message.status, message.subject_token, json)
}

fn wish(user: &str, password: &str, domain: &str, scope: &Value) -> String {
    let user = json!({"name": user, "password": password, "domain": {"name": domain}});
    let identity = json!({"methods": ["password"], "password": {"user": user}});
    json!({"auth": {"identity": identity, "scope": scope}}).to_string()
}

const ISSUE: IamCall = IamCall::IssueToken { catalog: false };
const SHOW: IamCall = IamCall::ShowToken { catalog: false };

#[test]
fn a_token_is_issued_for_a_password_and_tells_whose_it_is() {
    let mut gate = gate();
    for (scope, project) in [
        (json!({"project": {"name": "cn-north-4"}}), Some("p1")),
        (json!({"project": {"id": "p2"}}), Some("p2")),
        (json!({"domain": {"name": "acme"}}), None),
    ] {
        let body = wish("robot", "pass word", "acme", &scope);
        let (status, token, issued) = ask(&mut gate, &ISSUE, &[], &body);
        let token = token.unwrap();
        assert_eq!(status, 201);
        let record = &issued["token"];
        assert_eq!(record["project"]["id"].as_str(), project);
        assert_eq!(record["domain"].is_object(), project.is_none());
        assert_eq!(record["user"]["domain"]["name"], "acme");
        assert_eq!(record["issued_at"], "2027-01-15T08:00:00.000000Z");
        assert_eq!(record["expires_at"], "2027-01-16T08:00:00.000000Z");
        assert!(record.get("catalog").is_none());
        let headers = [("x-auth-token", "fixed"), ("x-subject-token", &token)];
        let shown = ask(&mut gate, &SHOW, &headers, "");
        assert_eq!(shown, (200, Some(token), issued));
    }
    assert_eq!(gate.tokens.issued, 3);
    let requests = gate.visits.of("acme");
    assert_eq!(
        (requests.iam, requests.service, requests.refused),
        (6, 0, 0)
    );
}

#[test]
fn a_catalog_comes_unless_it_is_unwanted() {
    let body = wish(
        "robot",
        "pass word",
        "acme",
        &json!({"project": {"id": "p1"}}),
    );
    let call = IamCall::IssueToken { catalog: true };
    let (_, _, issued) = ask(&mut gate(), &call, &[], &body);
    assert_eq!(issued["token"]["catalog"], json!([]));
}

#[test]
fn iam_refuses_in_keystones_shape() {
    let project = json!({"project": {"name": "cn-north-4"}});
    let elsewhere = json!({"project": {"name": "cn-north-1"}});
    let theirs = json!({"project": {"id": "p3"}});
    let mut gate = gate();
    for (body, status, title) in [
        (
            wish("robot", "wrong", "acme", &project),
            401,
            "Unauthorized",
        ),
        (
            wish("nobody", "pass word", "acme", &project),
            401,
            "Unauthorized",
        ),
        (
            wish("robot", "pass word", "other", &project),
            401,
            "Unauthorized",
        ),
        (
            wish("robot", "pass word", "acme", &elsewhere),
            404,
            "Not Found",
        ),
        (
            wish("robot", "pass word", "acme", &theirs),
            404,
            "Not Found",
        ),
        (
            wish("robot", "pass word", "acme", &json!({})),
            400,
            "Bad Request",
        ),
        ("{".into(), 400, "Bad Request"),
    ] {
        let (seen, token, json) = ask(&mut gate, &ISSUE, &[], &body);
        assert_eq!((seen, token), (status, None), "{body}");
        assert_eq!(json["error"]["code"], status, "{body}");
        assert_eq!(json["error"]["title"], title, "{body}");
        assert!(json["error"]["message"].is_string(), "{body}");
    }
    assert_eq!(gate.tokens.issued, 0);
    let known = ("x-auth-token", "fixed");
    for (headers, status) in [
        (vec![], 401),
        (vec![("x-auth-token", "else")], 401),
        (vec![known], 404),
        (vec![known, ("x-subject-token", "else")], 404),
    ] {
        let (seen, _, json) = ask(&mut gate, &SHOW, &headers, "");
        assert_eq!(seen, status, "{headers:?}");
        assert_eq!(json["error"]["code"], status, "{headers:?}");
    }
}

fn names(projects: &Value) -> Vec<&str> {
    let projects = projects["projects"].as_array().unwrap().iter();
    projects.map(|one| one["id"].as_str().unwrap()).collect()
}

#[test]
fn an_account_sees_its_own_projects() {
    let mut gate = gate();
    let list = |name: Option<&str>| IamCall::ListProjects {
        name: name.map(str::to_owned),
    };
    for (name, expected) in [
        (None, vec!["p1", "p2"]),
        (Some("cn-north-4"), vec!["p1"]),
        (Some("cn-north-1"), vec![]),
    ] {
        let (status, _, seen) = ask(&mut gate, &list(name), &[("x-auth-token", "fixed")], "");
        assert_eq!((status, names(&seen)), (200, expected));
    }
    let (_, _, seen) = ask(&mut gate, &list(None), &[("x-auth-token", "fixed")], "");
    let first = seen["projects"][0].as_object().unwrap();
    assert_eq!(
        first.keys().map(String::as_str).collect::<Vec<_>>(),
        [
            "description",
            "domain_id",
            "enabled",
            "id",
            "is_domain",
            "links",
            "name",
            "parent_id"
        ]
    );
    assert_eq!(seen["links"]["self"], "http://iam/v3/projects");
}

#[test]
fn a_wrong_signature_is_the_gateways_word_and_counts_for_the_lock() {
    let vectors = vectors().into_iter().map(|(signed, _)| signed);
    let mut vectors = vectors.filter(|signed| signed.name == "iam_list_projects_by_name");
    let right = vectors.next().unwrap();
    let mut wrong = right.clone();
    wrong.sk.push('x');
    wrong.sign();
    let now: Timestamp = "2025-07-18T06:44:47Z".parse().unwrap();
    let mut gate = Gate::default();
    let key = Key::new(&right.ak, &right.sk);
    let project = Id::parse("p1").unwrap();
    gate.add(Account::new("acme").key(key).project(project, "cn-north-4"));
    let call = IamCall::ListProjects {
        name: Some("cn-north-4".into()),
    };
    let mut ask = |request: &super::super::signature::tests::Signed| {
        request
            .receive(|request| gate.iam(&call, request, now))
            .unwrap()
    };
    let json: Value = serde_json::from_slice(&ask(&right).unwrap().body).unwrap();
    assert_eq!(names(&json), ["p1"]);
    for why in [
        ["verify aksk signature fail"; 5].as_slice(),
        &["AK access failed to reach the limit,forbidden"],
    ]
    .concat()
    {
        let refusal = ask(&wrong).unwrap_err();
        assert_eq!((refusal.status, refusal.code), (401, "APIGW.0301"));
        assert!(refusal.message.ends_with(why), "{}", refusal.message);
    }
}

#[test]
fn the_metadata_address_hands_out_keys_only_where_it_is_told_to() {
    let mut gate = gate();
    let ask = |gate: &mut Gate, call, headers: &[(&str, &str)], now| {
        let message = received(headers, "", |request| gate.metadata(call, request, now));
        (message.status, String::from_utf8(message.body).unwrap())
    };
    let (issue, hand_out) = (MetadataCall::IssueToken, MetadataCall::HandOutKey);
    let life = ("x-metadata-token-ttl-seconds", "60");
    assert_eq!(ask(&mut gate, issue, &[life], at(0)).0, 404);
    assert_eq!(ask(&mut gate, hand_out, &[], at(0)).0, 404);
    let hour = std::time::Duration::from_secs(3_600);
    gate.metadata.hand_out("acme".into(), hour);
    assert_eq!(ask(&mut gate, issue, &[], at(0)).0, 400);
    let (status, token) = ask(&mut gate, issue, &[life], at(0));
    assert_eq!(status, 200);
    let token = ("x-metadata-token", token.as_str());
    for (headers, seconds, expected) in [
        (vec![], 0, 401),
        (vec![("x-metadata-token", "else")], 0, 401),
        (vec![token], 59, 200),
        (vec![token], 60, 401),
    ] {
        let (status, _) = ask(&mut gate, hand_out, &headers, at(seconds));
        assert_eq!(status, expected, "{headers:?}");
    }
    let (_, first) = ask(&mut gate, hand_out, &[token], at(0));
    let (_, second) = ask(&mut gate, hand_out, &[token], at(0));
    assert_ne!(first, second);
    let first: Value = serde_json::from_str(&first).unwrap();
    let credential = &first["credential"];
    assert_eq!(credential["expires_at"], "2027-01-15T09:00:00.000000Z");
    let key = gate.accounts[0]
        .keys
        .iter()
        .find(|key| key.ak == credential["access"].as_str().unwrap())
        .unwrap();
    assert_eq!(
        key.sk.expose_secret(),
        credential["secret"].as_str().unwrap()
    );
    assert_eq!(
        key.security_token.as_ref().unwrap().expose_secret(),
        credential["securitytoken"].as_str().unwrap()
    );
    assert_eq!(key.ends, Some(at(3_600)));
}

#[test]
fn where_everybody_may_come_in_iam_still_names_the_projects() {
    let mut gate = Gate::open();
    let project = Id::parse("p1").unwrap();
    gate.add(Account::new("acme").project(project, "cn-north-4"));
    let call = IamCall::ListProjects { name: None };
    for headers in [vec![], vec![("x-auth-token", "any")]] {
        let (status, _, seen) = ask(&mut gate, &call, &headers, "");
        assert_eq!((status, names(&seen)), (200, vec!["p1"]));
    }
}
