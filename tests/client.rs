//! The client against a server that answers byte by byte as told, and over HTTP/2.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on says so by panicking"
)]

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flowbatch::engine::ports::{Request, Service};
use flowbatch::model::endpoint::Endpoint;
use flowbatch::model::id::Id;
use flowbatch::model::reply::{Answer, Cause, Content, Reply, Unreadable};
use flowbatch::model::row::Row;
use flowbatch::model::simulation::Simulation;
use flowbatch::model::target::{LaneId, Workspace};
use flowbatch::model::update::Update;
use flowbatch::secmaster::auth::credential::Credential;
use flowbatch::secmaster::auth::gate::Gate;
use flowbatch::secmaster::auth::keeper::Keeper;
use flowbatch::secmaster::auth::keys::Keys;
use flowbatch::secmaster::auth::token::Token;
use flowbatch::secmaster::client::{Client, Lane};
use flowbatch::secmaster::proxy::Proxy;
use flowbatch::secmaster::transport::{Http, Transport};
use flowbatch::simulator::access::Access;
use flowbatch::simulator::account::{Account, Key};
use flowbatch::simulator::{server, world::World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const PATIENCE: Duration = Duration::from_secs(20);
const TOKEN: &str = "canary-77";

fn row(workflow_id: &str) -> Row {
    Row {
        update: Update {
            name: Some("N\u{e4}me".into()),
            ..Update::default()
        },
        ..Row::new(
            1,
            LaneId(0),
            Workspace {
                project_id: Id::parse("p1").unwrap(),
                workspace_id: Id::parse("s1").unwrap(),
            },
            Id::parse(workflow_id).unwrap(),
        )
    }
}

/// Sends all that `row` sets.
fn put(row: Row) -> Request {
    let update = Arc::new(row.update.clone());
    Request::Put(Arc::new(row), update)
}

fn token() -> Credential {
    Credential::Token(Token::parse(TOKEN).unwrap())
}

fn client(address: impl std::fmt::Display, credential: Credential, http: Http) -> Client {
    let endpoint = Endpoint::parse(&format!("http://{address}")).unwrap();
    let keeper = Keeper::fixed(credential);
    let transport = Transport::new(&endpoint, None, None, http).unwrap();
    Client::new(vec![Some(Lane::new(
        endpoint,
        keeper,
        Gate::default(),
        transport,
    ))])
}

/// Serves one connection with `answer` as it stands, then closes it; gives back what was asked.
async fn exchange(answer: &[u8]) -> (Reply, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(listener.local_addr().unwrap(), token(), Http::Negotiated);
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"}") {
            let mut part = [0; 4096];
            let length = stream.read(&mut part).await.unwrap();
            assert!(length > 0, "the client closed the connection");
            asked.extend_from_slice(&part[..length]);
        }
        stream.write_all(answer).await.unwrap();
        stream.shutdown().await.unwrap();
        String::from_utf8(asked).unwrap()
    };
    let request = put(row("w1"));
    tokio::join!(client.send(&request, PATIENCE), serve)
}

async fn answer(bytes: &[u8]) -> Answer {
    match exchange(bytes).await.0 {
        Reply::Answer(answer) => answer,
        Reply::Silence(silence) => panic!("{silence:?}"),
    }
}

fn http(head: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

#[tokio::test]
async fn the_request_is_the_one_the_vendor_documents() {
    let (_, asked) = exchange(&http("200 OK", "{}")).await;
    let (head, body) = asked.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    assert_eq!(
        lines.next().unwrap(),
        "PUT /v1/p1/workspaces/s1/soc/workflows/w1 HTTP/1.1"
    );
    let headers: Vec<_> = lines.map(str::to_ascii_lowercase).collect();
    for expected in ["x-auth-token: canary-77", "content-type: application/json"] {
        assert!(headers.contains(&expected.to_owned()), "{headers:?}");
    }
    assert_eq!(body, "{\"name\":\"N\u{e4}me\"}");
}

#[tokio::test]
async fn a_body_that_is_not_the_services_is_told_by_kind() {
    let unreadable = |answer: Answer| match answer.content {
        Content::Unreadable { how, excerpt } => (answer.http_status, how, excerpt),
        Content::Envelope(envelope) => panic!("{envelope:?}"),
    };
    let page = http("200 OK", "<html><title>Log in</title></html>");
    assert_eq!(
        unreadable(answer(&page).await),
        (200, Unreadable::Html, "Log in".into())
    );
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"success\":true";
    assert_eq!(unreadable(answer(cut).await).1, Unreadable::Truncated);
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"suc";
    assert_eq!(unreadable(answer(chunked).await).1, Unreadable::Truncated);
    let garbage = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd";
    assert_eq!(unreadable(answer(garbage).await).1, Unreadable::Truncated);
    let large = http("200 OK", &"x".repeat(5 << 20));
    assert_eq!(unreadable(answer(&large).await).1, Unreadable::TooLarge);
    assert_eq!(
        unreadable(answer(&http("204 No Content", "")).await).1,
        Unreadable::Empty
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let away =
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/login\r\nContent-Length: 0\r\n\r\n";
    let answer = answer(away).await;
    assert_eq!(answer.http_status, 302);
    assert_eq!(answer.redirect_to.as_deref(), Some("127.0.0.1"));
}

#[tokio::test]
async fn a_token_that_comes_back_is_blotted_out() {
    let body = format!(
        "{{\"error_msg\":\"bad token {TOKEN}\",\"error_code\":\"APIG.0301\",\"request_id\":\"{TOKEN}\"}}"
    );
    let answer = answer(&http("401 Unauthorized", &body)).await;
    assert!(!format!("{answer:?}").contains(TOKEN), "{answer:?}");
    let Content::Envelope(envelope) = answer.content else {
        panic!("it is JSON")
    };
    assert_eq!(envelope.message.as_deref(), Some("bad token [token]"));
}

#[tokio::test]
async fn headers_tell_the_request_id_and_the_wait() {
    let head = "429 Too Many Requests\r\nX-Request-Id: abc\r\nRetry-After: 7";
    let answer = answer(&http(head, "{}")).await;
    assert_eq!(answer.request_id.as_deref(), Some("abc"));
    assert_eq!(answer.retry_after, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn silence_is_told_by_its_cause() {
    let cause = |reply: Reply| match reply {
        Reply::Silence(silence) => silence.cause,
        Reply::Answer(answer) => panic!("{answer:?}"),
    };
    assert_eq!(cause(exchange(b"").await.0), Cause::Lost);
    assert_eq!(cause(exchange(b"HTTP/1.1 200").await.0), Cause::Lost);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let request = put(row("w1"));
    let reply = client(address, token(), Http::Negotiated)
        .send(&request, PATIENCE)
        .await;
    assert_eq!(cause(reply), Cause::Connect);
}

/// The cause and the text of the silence on the way to `endpoint`, through `proxy`.
async fn silence(endpoint: &str, proxy: Option<&str>) -> (Cause, String) {
    let endpoint = Endpoint::parse(endpoint).unwrap();
    let environment = |name: &str| proxy.filter(|_| name == "HTTPS_PROXY").map(Into::into);
    let proxy = Proxy::for_endpoint(&endpoint, None, environment).unwrap();
    let transport = Transport::new(&endpoint, None, proxy.as_ref(), Http::Negotiated).unwrap();
    let lane = Lane::new(endpoint, Keeper::fixed(token()), Gate::default(), transport);
    let client = Client::new(vec![Some(lane)]);
    match client.send(&put(row("w1")), PATIENCE).await {
        Reply::Silence(silence) => (silence.cause, silence.detail),
        Reply::Answer(answer) => panic!("{answer:?}"),
    }
}

/// A server that answers what it is first sent with `answer` and closes the connection; gives its port.
async fn answering(answer: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut part = [0; 4096];
            let _ = stream.read(&mut part).await;
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    });
    port
}

/// The HTTP client tells tunnels, TLS and names apart by texts alone: these are the real ones.
#[tokio::test]
async fn errors_before_anything_was_sent_are_told_by_kind() {
    let refusing = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let far = "https://secmaster.example";
    for (endpoint, proxy, cause, text) in [
        (
            format!(
                "https://127.0.0.1:{}",
                answering(b"\x15\x03\x03\x00\x02\x02\x28").await
            ),
            None,
            Cause::Tls,
            "received fatal alert: HandshakeFailure",
        ),
        (
            format!(
                "https://127.0.0.1:{}",
                answering(b"HTTP/1.1 400 no\r\n\r\n").await
            ),
            None,
            Cause::Tls,
            "received corrupt message of type InvalidContentType",
        ),
        (
            format!("https://127.0.0.1:{}", answering(b"").await),
            None,
            Cause::Connect,
            "tls handshake eof",
        ),
        (
            format!("https://127.0.0.1:{refusing}"),
            None,
            Cause::Connect,
            "Connection refused",
        ),
        (
            far.to_owned(),
            Some(answering(b"HTTP/1.1 407 no\r\n\r\n").await),
            Cause::Connect,
            "tunnel error: proxy authorization required (through the proxy 127.0.0.1:",
        ),
        (
            far.to_owned(),
            Some(answering(b"HTTP/1.1 502 no\r\n\r\n").await),
            Cause::Connect,
            "tunnel error: unsuccessful (through the proxy 127.0.0.1:",
        ),
        (
            far.to_owned(),
            Some(answering(b"").await),
            Cause::Connect,
            "tunnel error: unexpected end of file (through the proxy 127.0.0.1:",
        ),
        (
            far.to_owned(),
            Some(answering(b"HTTP/1.1 200 ok\r\n\r\n").await),
            Cause::Connect,
            "tls handshake eof (through the proxy 127.0.0.1:",
        ),
        (
            far.to_owned(),
            Some(refusing),
            Cause::Connect,
            "Connection refused",
        ),
    ] {
        let proxy = proxy.map(|port| format!("http://user:canary@127.0.0.1:{port}"));
        let (told, detail) = silence(&endpoint, proxy.as_deref()).await;
        assert_eq!(told, cause, "{text}: {detail}");
        assert!(
            detail.contains(text) && !detail.contains("canary"),
            "{text}: {detail}"
        );
    }
    let (told, detail) = silence("https://secmaster.invalid", None).await;
    assert_eq!(told, Cause::Dns, "{detail}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_finishes_a_handshake_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    let timed_out = (Cause::Connect, "connection timed out after 10s".to_owned());
    assert_eq!(silence(&endpoint, None).await, timed_out);
}

#[tokio::test]
async fn a_compressed_body_is_read_whatever_its_encoding_is_called() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(br#"{"message":"squeezed"}"#).unwrap();
    let body = encoder.finish().unwrap();
    for name in ["gzip", "x-gzip", "X-GZIP"] {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: {name}\r\nContent-Length: {length}\r\n\r\n"
        );
        let answer = answer(&[head.as_bytes(), &body].concat()).await;
        let Content::Envelope(envelope) = answer.content else {
            panic!("{name}: {answer:?}")
        };
        assert_eq!(envelope.message.as_deref(), Some("squeezed"));
    }
}

#[tokio::test]
async fn http_2_is_spoken_as_well_with_a_token_and_with_a_key() {
    let keys = Keys::new("AKONE", "secret-key", Some("security-token")).unwrap();
    for credential in [token(), Credential::Keys(keys)] {
        speak_http_2(credential).await;
    }
}

async fn speak_http_2(credential: Credential) {
    let mut world = World::new(Simulation::default());
    let row = row("w1");
    world.adopt(&row.workspace, "w1", None);
    let world = Arc::new(Mutex::new(world));
    let key = Key::new("AKONE", "secret-key").with_security_token("security-token");
    let project = Id::parse("p1").unwrap();
    let account = Account::new("acme")
        .token(TOKEN)
        .key(key)
        .project(project, "r");
    let access = Access::of([account]);
    let server = server::bind(0, Arc::clone(&world), access).await.unwrap();
    let client = client(server.address(), credential, Http::Two);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(async {
        let _ = stopped.await;
    }));
    for request in [put(row.clone()), Request::Get(Arc::new(row))] {
        let Reply::Answer(answer) = client.send(&request, PATIENCE).await else {
            panic!("no answer")
        };
        let Content::Envelope(envelope) = answer.content else {
            panic!("no JSON")
        };
        assert_eq!(envelope.data.into_workflow().unwrap().name, "N\u{e4}me");
    }
    stop.send(()).unwrap();
    serving.await.unwrap();
}
