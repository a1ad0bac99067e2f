//! The simulator as a client on the other side of a socket sees it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it is surprised"
)]

mod asking;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flowbatch::model::id::Id;
use flowbatch::model::simulation::{Fault, FaultKind, Simulation};
use flowbatch::model::target::Workspace;
use flowbatch::simulator::access::Access;
use flowbatch::simulator::ledger::What;
use flowbatch::simulator::server;
use flowbatch::simulator::world::World;
use futures::future::join_all;
use http::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use asking::Asking;

const TOKEN: &str = "let-me-in";
const WORKFLOWS: &str = "/v1/p/workspaces/ws/soc/workflows";
const PATIENCE: Duration = Duration::from_secs(10);

/// A simulator that serves, and its world to look into.
struct Served {
    address: SocketAddr,
    world: Arc<Mutex<World>>,
    client: Asking,
}

/// What came back.
#[derive(Debug)]
struct Seen {
    status: u16,
    request_id: String,
    retry_after: Option<String>,
    json: Value,
}

fn here() -> Workspace {
    Workspace {
        project_id: Id::parse("p").unwrap(),
        workspace_id: Id::parse("ws").unwrap(),
    }
}

fn at_once() -> Simulation {
    Simulation {
        latency: (Duration::ZERO, Duration::ZERO),
        ..Simulation::default()
    }
}

fn always(kind: FaultKind) -> Simulation {
    Simulation {
        faults: vec![Fault { kind, share: 1.0 }],
        ..at_once()
    }
}

/// Serves a world with the workflows "w" (version "v") and "w2" (version "v2") and `count` others.
async fn served_by(access: Access, simulation: Simulation, count: usize) -> Served {
    let mut world = World::new(simulation);
    world.adopt(&here(), "w", Some("v"));
    world.adopt(&here(), "w2", Some("v2"));
    world.populate(&here(), count);
    world.keep_ledger();
    let world = Arc::new(Mutex::new(world));
    let server = server::bind(0, Arc::clone(&world), access).await.unwrap();
    let address = server.address();
    tokio::spawn(server.serve(std::future::pending()));
    Served {
        address,
        world,
        client: Asking::http_1(),
    }
}

async fn served(simulation: Simulation, count: usize) -> Served {
    served_by(Access::by_token(TOKEN), simulation, count).await
}

impl Served {
    async fn ask(&self, method: Method, path: &str, body: impl Into<String>) -> Seen {
        self.ask_with(Some(TOKEN), method, path, body.into()).await
    }

    async fn ask_with(
        &self,
        token: Option<&str>,
        method: Method,
        path: &str,
        body: String,
    ) -> Seen {
        let url = format!("http://{}{path}", self.address);
        let token = token.map(|token| ("x-auth-token".to_owned(), token.to_owned()));
        let headers: Vec<_> = token.into_iter().collect();
        let heard = self
            .client
            .ask(&method, &url, &headers, body)
            .await
            .unwrap();
        let header = |name| {
            let value = heard.headers.get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(header("content-type").unwrap(), "application/json");
        Seen {
            status: heard.status,
            request_id: header("x-request-id").unwrap(),
            retry_after: header("retry-after"),
            json: serde_json::from_slice(&heard.body).unwrap(),
        }
    }

    async fn get(&self, path: &str) -> Seen {
        self.ask(Method::GET, &format!("{WORKFLOWS}{path}"), "")
            .await
    }

    async fn put(&self, path: &str, body: &str) -> Seen {
        self.ask(Method::PUT, &format!("{WORKFLOWS}{path}"), body)
            .await
    }

    /// Renames "w" byte for byte, and reads until the connection ends; `None` if it does not.
    async fn rename_raw(&self, patience: Duration) -> Option<String> {
        let body = r#"{"name":"New"}"#;
        let request = format!(
            "PUT {WORKFLOWS}/w HTTP/1.1\r\nhost: {}\r\nx-auth-token: {TOKEN}\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.address,
            body.len(),
        );
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A reset after some bytes is as good an end as any.
        let read = tokio::time::timeout(patience, stream.read_to_end(&mut answer));
        read.await.ok().map(|_| String::from_utf8(answer).unwrap())
    }

    fn name_of_w(&self) -> String {
        let world = self.world.lock().unwrap();
        world.workflow(&here(), "w").unwrap().name.clone()
    }
}

#[tokio::test]
async fn paging_over_250_workflows_reads_every_id_once() {
    let served = served(at_once(), 248).await;
    let mut ids = Vec::new();
    loop {
        let offset = ids.len();
        let page = served
            .get(&format!(
                "?order=ASC&sortby=create_time&limit=100&offset={offset}"
            ))
            .await;
        assert_eq!((page.status, &page.json["total"]), (200, &250.into()));
        let data = page.json["data"].as_array().unwrap();
        if data.is_empty() {
            break;
        }
        ids.extend(data.iter().map(|w| w["id"].as_str().unwrap().to_owned()));
    }
    assert_eq!(ids.len(), 250);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 250);
}

#[tokio::test]
async fn a_workflow_has_the_25_fields_of_the_vendors_model() {
    let served = served(at_once(), 0).await;
    let seen = served.get("/w").await;
    assert_eq!(seen.json["code"], "00000000");
    assert_eq!(seen.json["success"], true);
    assert_eq!(seen.json["request_id"], seen.request_id);
    let mut fields: Vec<&str> = Vec::new();
    fields.extend(
        seen.json["data"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str),
    );
    fields.sort_unstable();
    assert_eq!(
        fields.join(" "),
        "aop_type approve_role create_time creator_id creator_name current_approval_version_id \
         current_rejected_version_id dataclass_id dataclass_name description edit_role enabled \
         engine_type id labels modifier_id modifier_name name owner_id project_id update_time \
         use_role version version_id workspace_id"
    );
}

#[tokio::test]
async fn a_put_changes_only_what_is_sent() {
    let served = served(at_once(), 0).await;
    let mut expected = served.get("/w").await.json["data"].clone();
    for (body, field, value) in [
        (r#"{"name":"N","unheard_of":1}"#, "name", Value::from("N")),
        (r#"{"description":"D"}"#, "description", "D".into()),
        (r#"{"description":""}"#, "description", "".into()),
        (r#"{"labels":"DOMAIN"}"#, "labels", "DOMAIN".into()),
        (
            r#"{"enabled":true,"version_id":"v"}"#,
            "enabled",
            true.into(),
        ),
        (r#"{"enabled":false,"name":null}"#, "enabled", false.into()),
    ] {
        let echoed = served.put("/w", body).await;
        assert_eq!(echoed.status, 200, "{body}");
        let now = served.get("/w").await.json["data"].clone();
        assert_eq!(echoed.json["data"], now, "{body}");
        assert_ne!(now["update_time"], expected["update_time"], "{body}");
        expected["update_time"] = now["update_time"].clone();
        expected[field] = value;
        assert_eq!(now, expected, "{body}");
    }
}

#[tokio::test]
async fn versions_are_listed_by_status_and_shown_by_id() {
    let served = served(at_once(), 0).await;
    let active = served.get("/w/versions?status=activated").await;
    assert_eq!(active.json["total"], 1);
    assert_eq!(active.json["data"][0]["id"], "v");
    assert_eq!(active.json["data"][0]["aopworkflow_id"], "w");
    let rejected = served.get("/w/versions?status=rejected").await;
    assert_eq!(rejected.json["data"], Value::Array(Vec::new()));
    let shown = served.get("/versions/v").await;
    assert_eq!(shown.json["data"], active.json["data"][0]);
}

#[tokio::test]
async fn the_service_refuses_with_code_and_message() {
    let served = served(at_once(), 0).await;
    let long = format!(r#"{{"name":"{}"}}"#, "n".repeat(1_025));
    for (method, path, body, status, code) in [
        ("GET", "/w3", "", 400, "SecMaster.20040611"),
        ("GET", "/w%2F1", "", 400, "SecMaster.20040611"),
        ("PUT", "/w3", "{}", 400, "SecMaster.20040611"),
        ("GET", "/w3/versions", "", 400, "SecMaster.20040611"),
        ("GET", "/versions/v3", "", 400, "SecMaster.20040605"),
        (
            "PUT",
            "/w",
            r#"{"enabled":true}"#,
            400,
            "SecMaster.20041002",
        ),
        (
            "PUT",
            "/w",
            r#"{"version_id":"v2"}"#,
            400,
            "SecMaster.20041002",
        ),
        (
            "PUT",
            "/w",
            r#"{"version_id":"v3"}"#,
            400,
            "SecMaster.20040605",
        ),
        (
            "PUT",
            "/w",
            r#"{"labels":"HOST"}"#,
            400,
            "SecMaster.20041002",
        ),
        (
            "PUT",
            "/w",
            r#"{"enabled":"true"}"#,
            400,
            "SecMaster.20041002",
        ),
        ("PUT", "/w", r#"{"name":"#, 400, "SecMaster.20041002"),
        ("PUT", "/w", "", 400, "SecMaster.20041002"),
        ("PUT", "/w", &long, 400, "SecMaster.20041002"),
        ("GET", "?limit=101", "", 400, "SecMaster.20041002"),
        ("GET", "?offset=10001", "", 400, "SecMaster.20041002"),
        ("GET", "?order=up", "", 400, "SecMaster.20041002"),
        (
            "GET",
            "/w/versions?status=new",
            "",
            400,
            "SecMaster.20041002",
        ),
    ] {
        let method = method.parse().unwrap();
        let seen = served
            .ask(method, &format!("{WORKFLOWS}{path}"), body)
            .await;
        assert_eq!(seen.status, status, "{path} {body}");
        assert_eq!(seen.json["code"], code, "{path} {body}");
        assert!(seen.json["message"].is_string(), "{path} {body}");
    }
    for place in ["/v1/p/workspaces/other", "/v1/q/workspaces/ws"] {
        let path = format!("{place}/soc/workflows/w");
        let seen = served.ask(Method::GET, &path, "").await;
        assert_eq!(seen.status, 403, "{place}");
        assert_eq!(seen.json["code"], "SecMaster.20010001", "{place}");
    }
}

#[tokio::test]
async fn workspaces_are_listed_and_shown_without_an_envelope() {
    let served = served(at_once(), 0).await;
    for (project, workspace) in [("p", "ws2"), ("q", "ws3")] {
        let workspace = Workspace {
            project_id: Id::parse(project).unwrap(),
            workspace_id: Id::parse(workspace).unwrap(),
        };
        served.world.lock().unwrap().populate(&workspace, 0);
    }
    let get = async |path: &str| served.ask(Method::GET, path, "").await;
    let listed = get("/v1/p/workspaces?offset=0&limit=10").await;
    assert_eq!((listed.status, &listed.json["count"]), (200, &2.into()));
    let data = listed.json["workspaces"].as_array().unwrap();
    let ids: Vec<&Value> = data.iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, ["ws", "ws2"]);
    let page = get("/v1/p/workspaces?offset=1&limit=1").await;
    assert_eq!(page.json["workspaces"], Value::Array(vec![data[1].clone()]));
    let shown = get("/v1/p/workspaces/ws").await;
    assert_eq!(shown.json["workspace"], data[0]);
    assert_eq!(shown.json["workspace"]["project_id"], "p");
    let nothing = get("/v1/r/workspaces").await;
    let expected = serde_json::json!({"count": 0, "workspaces": []});
    assert_eq!((nothing.status, nothing.json), (200, expected));
}

#[tokio::test]
async fn of_workspaces_the_service_refuses_with_error_code_and_error_msg() {
    let served = served(at_once(), 0).await;
    for (path, code, message) in [
        (
            "/v1/p/workspaces/ws3",
            "SecMaster.20011003",
            "workspace not found",
        ),
        (
            "/v1/q/workspaces/ws",
            "SecMaster.20011003",
            "workspace not found",
        ),
        (
            "/v1/p/workspaces?limit=101",
            "SecMaster.20041002",
            "invalid parameter: limit=101",
        ),
    ] {
        let seen = served.ask(Method::GET, path, "").await;
        let expected = serde_json::json!({"error_code": code, "error_msg": message});
        assert_eq!((seen.status, seen.json), (400, expected), "{path}");
    }
}

#[tokio::test]
async fn the_gateway_refuses_with_error_code_and_error_msg() {
    let served = served(at_once(), 0).await;
    let (get, put) = (Method::GET, Method::PUT);
    let workflow = format!("{WORKFLOWS}/w");
    let instances = format!("{WORKFLOWS}/instances");
    let large = " ".repeat((12 << 20) + 1);
    let no_api = "The API does not exist or has not been published in the environment";
    let auth = |why| format!("Incorrect IAM authentication information: {why}");
    for (token, method, path, body, status, code, message) in [
        (Some(TOKEN), &get, "/v1/p", "", 404, "APIG.0101", no_api),
        (Some(TOKEN), &get, &instances, "", 404, "APIG.0101", no_api),
        (
            Some(TOKEN),
            &Method::DELETE,
            &workflow,
            "",
            404,
            "APIG.0101",
            no_api,
        ),
        (
            None,
            &get,
            &workflow,
            "",
            401,
            "APIG.0301",
            &auth("x-auth-token not found"),
        ),
        (
            Some("else"),
            &put,
            &workflow,
            "{}",
            401,
            "APIG.0301",
            &auth("decrypt token fail"),
        ),
        (
            Some(TOKEN),
            &put,
            &workflow,
            &large,
            413,
            "APIG.0201",
            "Request entity too large",
        ),
    ] {
        let seen = served
            .ask_with(token, method.clone(), path, body.into())
            .await;
        let expected = serde_json::json!({
            "error_msg": message,
            "error_code": code,
            "request_id": seen.request_id,
        });
        assert_eq!((seen.status, seen.json), (status, expected));
    }
    assert!(served.world.lock().unwrap().ledger().is_empty());
}

#[tokio::test]
async fn one_request_too_many_is_a_429_in_the_gateways_words() {
    let limited = |retry_after| Simulation {
        rate_limits: vec!["2/m".parse().unwrap()],
        retry_after,
        ..at_once()
    };
    for (retry_after, header) in [(false, None), (true, Some("60".to_owned()))] {
        let served = served(limited(retry_after), 0).await;
        assert_eq!(served.get("/w").await.status, 200);
        assert_eq!(served.get("/w").await.status, 200);
        let seen = served.put("/w", r#"{"name":"New"}"#).await;
        assert_eq!((seen.status, seen.retry_after), (429, header));
        assert_eq!(
            seen.json,
            serde_json::json!({
                "error_msg": "The throttling threshold has been reached: \
                    policy user over ratelimit,limit:2,time:1 minute",
                "error_code": "APIG.0308",
                "request_id": seen.request_id,
            })
        );
        let world = served.world.lock().unwrap();
        let last = world.ledger().last().unwrap();
        assert_eq!((last.what, last.applied), (What::Throttled, false));
    }
}

#[tokio::test]
async fn each_fault_shows_on_the_wire_and_is_applied_or_not() {
    for (kind, start, applied) in [
        (FaultKind::Reset, "", false),
        (FaultKind::ResetAfter, "", true),
        (
            FaultKind::Html,
            "HTTP/1.1 200 OK\r\ncontent-type: text/html",
            false,
        ),
        (FaultKind::Truncated, "HTTP/1.1 200 OK\r\n", true),
        (FaultKind::InternalError, "HTTP/1.1 500 ", false),
        (FaultKind::Unavailable, "HTTP/1.1 503 ", false),
        (FaultKind::Slow, "HTTP/1.1 200 OK\r\n", true),
    ] {
        let served = served(always(kind), 0).await;
        let answer = served.rename_raw(PATIENCE).await.unwrap();
        assert!(answer.starts_with(start), "{kind}: {answer}");
        assert_eq!(answer.is_empty(), start.is_empty(), "{kind}: {answer}");
        assert_eq!(served.name_of_w() == "New", applied, "{kind}");
        if start.is_empty() {
            continue;
        }
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let announced: usize = length.unwrap().parse().unwrap();
        let sent = if kind == FaultKind::Truncated {
            announced / 2
        } else {
            announced
        };
        assert_eq!(body.len(), sent, "{kind}: {answer}");
        let named = head.contains("x-request-id: ");
        assert_eq!(named, kind != FaultKind::Html, "{kind}: {answer}");
    }
}

#[tokio::test]
async fn a_hang_never_answers() {
    let served = served(always(FaultKind::Hang), 0).await;
    assert_eq!(served.rename_raw(Duration::from_millis(300)).await, None);
    assert_eq!(served.world.lock().unwrap().ledger().len(), 1);
    assert_ne!(served.name_of_w(), "New");
}

#[tokio::test]
async fn the_same_seed_gives_the_same_faults_whatever_the_order_of_requests() {
    let unlucky = Simulation {
        faults: vec![
            Fault {
                kind: FaultKind::InternalError,
                share: 0.3,
            },
            Fault {
                kind: FaultKind::Unavailable,
                share: 0.3,
            },
        ],
        latency: (Duration::ZERO, Duration::from_millis(3)),
        ..Simulation::default()
    };
    let fates = |served: &Served| {
        let mut fates: BTreeMap<String, Vec<What>> = BTreeMap::new();
        for entry in served.world.lock().unwrap().ledger() {
            let of_one = fates.entry(entry.subject.clone()).or_default();
            of_one.push(entry.what);
        }
        fates
    };
    let one_by_one = served(unlucky.clone(), 20).await;
    let side_by_side = served(unlucky, 20).await;
    let ids: Vec<String> = {
        let world = one_by_one.world.lock().unwrap();
        world.workflows(&here()).map(|w| w.id.clone()).collect()
    };
    for id in &ids {
        for _ in 0..3 {
            one_by_one.get(&format!("/{id}")).await;
        }
    }
    for _ in 0..3 {
        let paths: Vec<String> = ids.iter().rev().map(|id| format!("/{id}")).collect();
        join_all(paths.iter().map(|path| side_by_side.get(path))).await;
    }
    let expected = fates(&one_by_one);
    assert!(
        expected
            .values()
            .flatten()
            .any(|what| *what != What::Admitted)
    );
    assert_eq!(fates(&side_by_side), expected);
}

#[tokio::test]
async fn http_2_is_spoken_with_whoever_begins_with_it() {
    let mut served = served(at_once(), 3).await;
    served.client = Asking::http_2();
    let seen = served.get("?limit=2").await;
    assert_eq!(seen.json["data"].as_array().unwrap().len(), 2);
    let seen = served.put("/w", r#"{"name":"New"}"#).await;
    assert_eq!((seen.status, served.name_of_w().as_str()), (200, "New"));
}

#[tokio::test]
async fn a_token_of_a_mebibyte_gets_in() {
    let token = "t".repeat(1 << 20);
    let mut served = served_by(Access::by_token(token.as_str()), at_once(), 0).await;
    let path = format!("{WORKFLOWS}/w");
    for _ in ["HTTP/1.1", "HTTP/2"] {
        let seen = served
            .ask_with(Some(&token), Method::GET, &path, String::new())
            .await;
        assert_eq!(seen.status, 200);
        served.client = Asking::http_2();
    }
}

#[tokio::test]
async fn a_world_that_is_open_asks_for_no_token() {
    let served = served_by(Access::open(), at_once(), 0).await;
    let path = format!("{WORKFLOWS}/w");
    let seen = served
        .ask_with(None, Method::GET, &path, String::new())
        .await;
    assert_eq!(seen.status, 200);
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_stops_in_the_middle_of_a_hang() {
    let world = Arc::new(Mutex::new(World::new(always(FaultKind::Hang))));
    let server = server::bind(0, world, Access::open()).await.unwrap();
    let address = server.address();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(async {
        let _ = stopped.await;
    }));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {WORKFLOWS} HTTP/1.1\r\nhost: s\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let quiet = tokio::time::timeout(Duration::from_millis(100), stream.read_buf(&mut answer));
    assert!(quiet.await.is_err());
    stop.send(()).unwrap();
    let ended = tokio::time::timeout(PATIENCE, async {
        serving.await.unwrap();
        let _ = stream.read_to_end(&mut answer).await;
    });
    ended.await.unwrap();
    assert!(answer.is_empty());
}
