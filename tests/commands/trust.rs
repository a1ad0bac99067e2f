//! Whom the program believes, and what it keeps to itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, mpsc};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::language::{CANARIES, Desk, Said};

/// A certificate authority made on the spot.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// A server's configuration with a certificate for `name`, valid until the end of `year`.
    fn server(&self, name: &str, year: i32) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 12, 31);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Arc::new(config)
    }
}

/// Serves each connection one answer that says yes; gives the port. Ends with the test's process.
fn serve(config: Arc<ServerConfig>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            let mut asked = Vec::new();
            let mut part = [0; 4_096];
            while !asked.ends_with(b"}") {
                match stream.read(&mut part) {
                    // A client that does not believe us says nothing.
                    Ok(0) | Err(_) => break,
                    Ok(length) => asked.extend_from_slice(&part[..length]),
                }
            }
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
            let _ = stream.write_all(answer.as_bytes());
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    port
}

fn desk() -> Desk {
    Desk::with("rows.csv", "workflow_id,name\nw1,a\nw2,b\n")
        .variable("HW_AUTH_TOKEN", CANARIES.token)
}

/// Sends the rows as they stand: the server knows updates alone.
fn run(desk: &Desk, port: u16, arguments: &str) -> Said {
    desk.flowbatch(&format!(
        "run rows.csv --snapshot off --endpoint https://localhost:{port} --project-id p --workspace-id s --rate 100/s {arguments}"
    ))
}

/// The run ends at once: one row failed by TLS, with this text; nothing else was tried.
fn refused(said: &Said, text: &str) {
    assert_eq!(said.code, 4, "{}", said.stderr);
    assert!(said.stdout.contains(text), "{text}: {}", said.stdout);
    assert!(
        said.stdout.contains("failed                1"),
        "{}",
        said.stdout
    );
    assert!(said.stdout.contains("1 attempt\n"), "{}", said.stdout);
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused_and_a_known_one_believed() {
    let authority = Authority::new();
    let port = serve(authority.server("localhost", 2090));
    let desk = desk().file("ca.pem", &authority.pem);
    refused(&run(&desk, port, ""), "UnknownIssuer");
    let said = run(&desk, port, "--ca-file ca.pem");
    assert_eq!(said.code, 0, "{}{}", said.stderr, said.stdout);
}

#[test]
fn an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let port = serve(authority.server("localhost", 2021));
    let desk = desk().file("ca.pem", &authority.pem);
    refused(&run(&desk, port, "--ca-file ca.pem"), "certificate expired");
}

#[test]
fn a_certificate_for_another_host_is_refused() {
    let authority = Authority::new();
    let port = serve(authority.server("secmaster.example", 2090));
    let desk = desk().file("ca.pem", &authority.pem);
    refused(&run(&desk, port, "--ca-file ca.pem"), "not valid for name");
}

#[test]
fn a_profile_may_bring_its_own_authority() {
    let authority = Authority::new();
    let port = serve(authority.server("localhost", 2090));
    let profile = format!(
        "[profile.a]\nendpoint = \"https://localhost:{port}\"\nca_file = \"ca.pem\"\nenv_prefix = \"\"\n"
    );
    let desk = desk()
        .file(".config/flowbatch/ca.pem", &authority.pem)
        .secret(".config/flowbatch/profiles.toml", profile);
    let said =
        desk.flowbatch("run rows.csv --snapshot off --profile a --project-id p --workspace-id s");
    assert_eq!(said.code, 0, "{}{}", said.stderr, said.stdout);
}

#[test]
fn a_ca_file_that_holds_no_certificate() {
    let desk = desk().file("ca.pem", "none");
    let said = run(&desk, 9, "--ca-file ca.pem");
    assert_eq!(said.code, 4);
    expect_test::expect![[r#"
        error: the CA file ca.pem holds no certificate
          give PEM certificates: -----BEGIN CERTIFICATE-----
    "#]]
    .assert_eq(&said.stderr);
}

#[test]
fn missing_root_certificates_are_named_with_what_to_do() {
    let desk = desk()
        .variable("SSL_CERT_FILE", "none.pem")
        .variable("SSL_CERT_DIR", "none");
    let said = run(&desk, 9, "");
    assert_eq!(said.code, 4, "{}", said.stdout);
    assert!(
        said.stderr
            .contains("install ca-certificates, or give them by --ca-file"),
        "{}",
        said.stderr
    );
}

/// A proxy that answers every request as it is told to; gives its port.
fn proxy(answer: &'static str) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines
                .next()
                .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
            {}
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

#[test]
fn the_proxy_of_the_environment_is_used_and_named() {
    let port = proxy("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
    let desk = desk().variable(
        "HTTPS_PROXY",
        &format!("http://user:canary-pw@127.0.0.1:{port}"),
    );
    let said = desk.flowbatch(
        "run rows.csv --snapshot off --endpoint https://secmaster.example --project-id p --workspace-id s --max-attempts 1 --rate 100/s -v",
    );
    assert_ne!(said.code, 0);
    let named = format!("proxy 127.0.0.1:{port} on the way to https://secmaster.example");
    assert!(said.stderr.contains(&named), "{}", said.stderr);
    let through = format!("(through the proxy 127.0.0.1:{port})");
    assert!(said.stdout.contains(&through), "{}", said.stdout);
    assert!(!said.stderr.contains("canary") && !said.stdout.contains("canary"));
}

#[test]
fn a_proxy_that_is_reached_by_tls_is_asked_in_http_1() {
    let authority = Authority::new();
    let mut config = Arc::unwrap_or_clone(authority.server("localhost", 2090));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let config = Arc::new(config);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (asked, questions) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            let mut line = String::new();
            let _ = BufReader::new(&mut stream).read_line(&mut line);
            let spoken = stream.conn.alpn_protocol().map(<[u8]>::to_vec);
            let _ = asked.send((line, spoken));
            let _ = stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
        }
    });
    let desk = desk()
        .file("ca.pem", &authority.pem)
        .variable("HTTPS_PROXY", &format!("https://localhost:{port}"));
    let said = desk.flowbatch(
        "run rows.csv --snapshot off --endpoint https://secmaster.example --project-id p --workspace-id s --max-attempts 1 --rate 100/s --ca-file ca.pem",
    );
    assert_ne!(said.code, 0);
    let (line, spoken) = questions.try_iter().next().unwrap();
    assert_eq!(line, "CONNECT secmaster.example:443 HTTP/1.1\r\n");
    assert_ne!(spoken.as_deref(), Some(&b"h2"[..]));
    assert!(
        said.stdout.contains("proxy authorization required"),
        "{}",
        said.stdout
    );
}

#[cfg(target_os = "linux")]
#[test]
fn no_core_of_it_is_dumped() {
    let desk = Desk::new();
    let mut child = desk.command("simulate").spawn().unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id()));
    child.kill().unwrap();
    child.wait().unwrap();
    // Whoever is not root may not even look.
    if let Ok(limits) = limits {
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"));
        let numbers: Vec<_> = core.unwrap().split_whitespace().skip(4).take(2).collect();
        assert_eq!(numbers, ["0", "0"]);
    }
}
