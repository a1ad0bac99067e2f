//! Credentials as the simulator takes them on the wire: signatures, tokens, IAM, temporary keys.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it is surprised"
)]

mod asking;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use flowbatch::model::id::Id;
use flowbatch::model::row::hex;
use flowbatch::model::simulation::Simulation;
use flowbatch::model::target::Workspace;
use flowbatch::simulator::access::Access;
use flowbatch::simulator::account::{Account, Key};
use flowbatch::simulator::server;
use flowbatch::simulator::visits::Requests;
use flowbatch::simulator::world::World;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use asking::Asking;

const AK: &str = "AKIDEXAMPLE";
const SK: &str = "SkExAmPlE";
const PROJECT: &str = "p";
const WORKFLOW: &str = "/v1/p/workspaces/ws/soc/workflows/w";
const RENAME: &str = r#"{"name":"Neu 新"}"#;
const SIX_HOURS: Duration = Duration::from_secs(6 * 3_600);

/// A simulator that serves, the gateway to ask and the world to look into.
struct Served {
    address: SocketAddr,
    access: Access,
    world: Arc<Mutex<World>>,
    client: Asking,
}

/// A key to sign with.
struct Signer {
    ak: String,
    sk: String,
    security_token: Option<String>,
    /// How far its clock is ahead.
    ahead: SignedDuration,
}

/// What came back.
#[derive(Debug)]
struct Seen {
    status: u16,
    date: Timestamp,
    subject_token: Option<String>,
    text: String,
}

impl Seen {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// The status, and why the credential does not count; or nothing.
    fn denial(&self) -> (u16, String) {
        let json = self.json();
        let message = json["error_msg"].as_str().unwrap_or_default();
        let start = "Incorrect IAM authentication information: ";
        (
            self.status,
            message.strip_prefix(start).unwrap_or(message).to_owned(),
        )
    }
}

#[expect(clippy::disallowed_methods, reason = "the server dates by it too")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn acme() -> Account {
    Account::new("acme")
        .user("robot", "secret")
        .key(Key::new(AK, SK))
        .project(Id::parse(PROJECT).unwrap(), "cn-north-4")
}

fn here() -> Workspace {
    Workspace {
        project_id: Id::parse(PROJECT).unwrap(),
        workspace_id: Id::parse("ws").unwrap(),
    }
}

/// Serves a world with the workflow "w".
async fn served_by(access: Access, simulation: Simulation) -> Served {
    let mut world = World::new(Simulation {
        latency: (Duration::ZERO, Duration::ZERO),
        ..simulation
    });
    world.adopt(&here(), "w", Some("v"));
    world.keep_ledger();
    let world = Arc::new(Mutex::new(world));
    let server = server::bind(0, Arc::clone(&world), access.clone())
        .await
        .unwrap();
    let address = server.address();
    tokio::spawn(server.serve(std::future::pending()));
    Served {
        address,
        access,
        world,
        client: Asking::http_1(),
    }
}

async fn served() -> Served {
    served_by(Access::of([acme()]), Simulation::default()).await
}

fn signer() -> Signer {
    Signer {
        ak: AK.into(),
        sk: SK.into(),
        security_token: None,
        ahead: SignedDuration::ZERO,
    }
}

impl Signer {
    /// The headers that sign a request. The query has to be in its canonical form.
    fn headers(
        &self,
        method: &str,
        host: &str,
        path: &str,
        body: &str,
    ) -> Vec<(&'static str, String)> {
        let at = now() + self.ahead;
        let mut headers = vec![
            ("host", host.to_owned()),
            ("x-sdk-date", at.strftime("%Y%m%dT%H%M%SZ").to_string()),
        ];
        if let Some(token) = &self.security_token {
            headers.insert(1, ("x-security-token", token.clone()));
            headers.sort();
        }
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let lines: String = headers
            .iter()
            .map(|(name, value)| format!("{name}:{value}\n"))
            .collect();
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let payload = hex(digest(&SHA256, body.as_bytes()).as_ref());
        let canonical = format!("{method}\n{path}/\n{query}\n{lines}\n{names}\n{payload}");
        let canonical = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
        let date = at.strftime("%Y%m%dT%H%M%SZ");
        let text = format!("SDK-HMAC-SHA256\n{date}\n{canonical}");
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.sk.as_bytes());
        let signature = hex(hmac::sign(&key, text.as_bytes()).as_ref());
        let ak = &self.ak;
        headers.push((
            "authorization",
            format!("SDK-HMAC-SHA256 Access={ak}, SignedHeaders={names}, Signature={signature}"),
        ));
        // The client names the host itself.
        headers.remove(0);
        headers
    }
}

impl Served {
    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, String)],
        body: &str,
    ) -> Seen {
        let url = format!("http://{}{path}", self.address);
        let headers = headers.iter();
        let headers: Vec<_> = headers
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let body = body.to_owned();
        let heard = self
            .client
            .ask(&method, &url, &headers, body)
            .await
            .unwrap();
        let header = |name| {
            let value = heard.headers.get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        let date = jiff::fmt::rfc2822::parse(&header("date").unwrap()).unwrap();
        Seen {
            status: heard.status,
            date: date.timestamp(),
            subject_token: header("x-subject-token"),
            text: String::from_utf8(heard.body.to_vec()).unwrap(),
        }
    }

    async fn signed(&self, signer: &Signer, method: Method, path: &str, body: &str) -> Seen {
        let host = self.address.to_string();
        let headers = signer.headers(method.as_str(), &host, path, body);
        self.ask(method, path, &headers, body).await
    }

    /// Reads "w" with a signature.
    async fn read(&self, signer: &Signer) -> Seen {
        self.signed(signer, Method::GET, WORKFLOW, "").await
    }

    async fn with_token(&self, token: &str) -> Seen {
        let headers = [("x-auth-token", token.to_owned())];
        self.ask(Method::GET, WORKFLOW, &headers, "").await
    }

    async fn log_in(&self, password: &str) -> Seen {
        let user = json!({"name": "robot", "password": password, "domain": {"name": "acme"}});
        let identity = json!({"methods": ["password"], "password": {"user": user}});
        let scope = json!({"project": {"name": "cn-north-4"}});
        let body = json!({"auth": {"identity": identity, "scope": scope}}).to_string();
        let path = "/v3/auth/tokens?nocatalog=1";
        self.ask(Method::POST, path, &[], &body).await
    }

    /// Moves the server's clock; time in these tests does not pass by itself.
    fn wind(&self, seconds: i64) {
        let offset = SignedDuration::from_secs(seconds);
        self.access.set_clock_offset(offset);
    }

    fn name_of_w(&self) -> String {
        let world = self.world.lock().unwrap();
        world.workflow(&here(), "w").unwrap().name.clone()
    }
}

#[tokio::test]
async fn a_signed_request_gets_in_by_http_1_and_by_http_2() {
    let mut served = served().await;
    for client in [Asking::http_1(), Asking::http_2()] {
        served.client = client;
        let renamed = served
            .signed(&signer(), Method::PUT, WORKFLOW, RENAME)
            .await;
        assert_eq!(renamed.status, 200, "{}", renamed.text);
        assert_eq!(served.name_of_w(), "Neu 新");
        let list = "/v1/p/workspaces/ws/soc/workflows?limit=5&name=Neu%20%E6%96%B0";
        let listed = served.signed(&signer(), Method::GET, list, "").await;
        assert_eq!(listed.json()["total"], 1, "{}", listed.text);
    }
}

#[tokio::test]
async fn what_is_changed_on_the_way_is_refused_and_changes_nothing() {
    let served = served().await;
    let host = served.address.to_string();
    let headers = signer().headers("PUT", &host, WORKFLOW, RENAME);
    let body = RENAME.replace("Neu", "Alt");
    let seen = served.ask(Method::PUT, WORKFLOW, &headers, &body).await;
    let wrong = (401, "verify aksk signature fail".to_owned());
    assert_eq!(seen.denial(), wrong);
    assert_eq!(seen.json()["error_code"], "APIG.0301");
    assert!(seen.json()["request_id"].is_string());
    assert!(served.world.lock().unwrap().ledger().is_empty());
}

#[tokio::test]
async fn the_fifth_wrong_signature_locks_the_key_at_the_service_and_at_iam() {
    let served = served().await;
    let wrong = Signer {
        sk: "else".into(),
        ..signer()
    };
    let projects = "/v3/projects?name=cn-north-4";
    for turn in 0..5 {
        let seen = match turn {
            0 => served.signed(&wrong, Method::GET, projects, "").await,
            _ => served.read(&wrong).await,
        };
        assert_eq!(seen.denial(), (401, "verify aksk signature fail".into()));
    }
    let locked = (401, "AK access failed to reach the limit,forbidden".into());
    assert_eq!(served.read(&signer()).await.denial(), locked);
    let seen = served.signed(&signer(), Method::GET, projects, "").await;
    assert_eq!(seen.denial(), locked);
    served.wind(300);
    assert_eq!(served.read(&signer()).await.status, 200);
    let expected = Requests {
        service: 6,
        iam: 2,
        refused: 7,
    };
    assert_eq!(served.access.requests_of(AK), expected);
}

#[tokio::test]
async fn the_servers_clock_may_be_wrong_and_says_so() {
    let served = served().await;
    for (offset, ahead, fits) in [
        (0, 0, true),
        (840, 0, true),
        (960, 0, false),
        (-960, 0, false),
        (960, 960, true),
        (-86_400, -86_400, true),
    ] {
        served.wind(offset);
        let seen = served
            .read(&Signer {
                ahead: SignedDuration::from_secs(ahead),
                ..signer()
            })
            .await;
        let expected = match fits {
            true => (200, String::new()),
            false => (401, "calc ak sk signature fail:signature expired".into()),
        };
        assert_eq!(seen.denial(), expected, "{offset} {ahead}");
        let shown = seen.date.duration_since(now()).as_secs();
        assert!((shown - offset).abs() < 60, "{shown} for {offset}");
    }
}

#[tokio::test]
async fn a_token_by_password_gets_in_until_its_requests_are_used_up() {
    let served = served().await;
    served.access.set_token_requests(2);
    let refused = served.log_in("wrong").await;
    let error = json!({
        "code": 401,
        "message": "The username or password is wrong.",
        "title": "Unauthorized",
    });
    assert_eq!(
        (refused.status, refused.json()),
        (401, json!({ "error": error }))
    );
    let issued = served.log_in("secret").await;
    assert_eq!(issued.status, 201);
    assert_eq!(issued.json()["token"]["project"]["id"], PROJECT);
    let token = issued.subject_token.unwrap();
    assert_eq!(served.with_token(&token).await.status, 200);
    assert_eq!(served.with_token(&token).await.status, 200);
    let (status, why) = served.with_token(&token).await.denial();
    assert!(why.starts_with("token expires, expires_at: 20"), "{why}");
    assert_eq!(status, 401);
    let next = served.log_in("secret").await.subject_token.unwrap();
    assert_eq!(served.with_token(&next).await.status, 200);
    assert_eq!(served.access.tokens_issued(), 2);
    let expected = Requests {
        service: 4,
        iam: 3,
        refused: 2,
    };
    assert_eq!(served.access.requests_of("acme"), expected);
}

#[tokio::test]
async fn a_token_ends_by_its_life_or_when_it_is_ended() {
    let served = served().await;
    served.access.set_token_life(Duration::from_secs(600));
    let token = served.log_in("secret").await.subject_token.unwrap();
    assert_eq!(served.with_token(&token).await.status, 200);
    served.wind(600);
    assert_eq!(served.with_token(&token).await.status, 401);
    served.wind(0);
    assert_eq!(served.with_token(&token).await.status, 200);
    served.access.end_tokens(now());
    assert_eq!(served.with_token(&token).await.status, 401);
}

#[tokio::test]
async fn iam_is_neither_throttled_nor_in_the_ledger() {
    let limited = Simulation {
        rate_limits: vec!["1/m".parse().unwrap()],
        ..Simulation::default()
    };
    let served = served_by(Access::of([acme()]), limited).await;
    for _ in 0..3 {
        assert_eq!(served.log_in("secret").await.status, 201);
        let path = "/v3/projects?name=cn-north-4";
        let seen = served.signed(&signer(), Method::GET, path, "").await;
        assert_eq!(seen.json()["projects"][0]["id"], PROJECT);
    }
    assert_eq!(served.read(&signer()).await.status, 200);
    assert_eq!(served.read(&signer()).await.status, 429);
    assert_eq!(served.world.lock().unwrap().ledger().len(), 2);
}

#[tokio::test]
async fn a_temporary_key_of_the_metadata_address_signs_until_its_end() {
    let served = served().await;
    let key_path = "/openstack/latest/securitykey";
    let token_path = "/meta-data/latest/api/token";
    let life = [("x-metadata-token-ttl-seconds", "21600".to_owned())];
    let absent = served.ask(Method::PUT, token_path, &life, "").await;
    assert_eq!(absent.status, 404);
    served.access.metadata_of("acme", SIX_HOURS);
    assert_eq!(served.ask(Method::GET, key_path, &[], "").await.status, 401);
    let token = served.ask(Method::PUT, token_path, &life, "").await.text;
    let token = [("x-metadata-token", token)];
    let key = served.ask(Method::GET, key_path, &token, "").await.json();
    let text = |name: &str| key["credential"][name].as_str().unwrap().to_owned();
    let temporary = |ahead: i64| Signer {
        ak: text("access"),
        sk: text("secret"),
        security_token: Some(text("securitytoken")),
        ahead: SignedDuration::from_secs(ahead),
    };
    assert_eq!(served.read(&temporary(0)).await.status, 200);
    let end = SIX_HOURS.as_secs() as i64;
    served.wind(end - 60);
    assert_eq!(served.read(&temporary(end - 60)).await.status, 200);
    served.wind(end);
    let (status, why) = served.read(&temporary(end)).await.denial();
    let expected = format!("token expires, expires_at: {}", text("expires_at"));
    assert_eq!((status, why), (401, expected));
    assert_eq!(served.access.keys_handed_out(), 1);
}

#[tokio::test]
async fn a_workspace_can_be_closed_while_the_server_runs() {
    let served = served().await;
    assert_eq!(served.read(&signer()).await.status, 200);
    served.access.revoke(here());
    let seen = served.read(&signer()).await;
    let expected = (403, "The user is not authorized".to_owned());
    assert_eq!(seen.denial(), expected);
    assert_eq!(seen.json()["error_code"], "APIG.0302");
}
