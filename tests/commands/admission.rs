//! `flowbatch simulate` with credentials, asked by hand: no client of ours.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use crate::language::Desk;

const PROJECT: &str = "0f9183e1c2d34b6c8a7e5d4c3b2a1908";
const WORKSPACE: &str = "909494e3-558e-46b6-a9eb-07a8e18ca621";

/// `flowbatch simulate`, ended when dropped.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the simulator, and lets `ask` send it heads (the request line and more headers) with bodies.
fn answers(desk: &Desk, arguments: &str, ask: impl FnOnce(&dyn Fn(&str, &str) -> String)) {
    let child = desk
        .command(&format!("simulate --workflows 3 {arguments}"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut service = Service(child);
    let mut line = String::new();
    let mut stdout = BufReader::new(service.0.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let host = line.trim().strip_prefix("http://").unwrap().to_owned();
    ask(&|head, body| {
        let mut stream = TcpStream::connect(&host).unwrap();
        let length = body.len();
        write!(
            stream,
            "{head}\r\nHost: {host}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
}

#[test]
fn a_user_gets_a_token_that_ends_after_its_requests() {
    let desk = Desk::new().secret("password", "secret\n");
    let arguments = "--user robot --password-file password --account acme --region cn-east-3 \
                     --token-requests 1 --clock-offset -1d";
    answers(&desk, arguments, |ask| {
        let body = r#"{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"robot","password":"secret","domain":{"name":"acme"}}}},"scope":{"project":{"name":"cn-east-3"}}}}"#;
        let issued = ask("POST /v3/auth/tokens?nocatalog=1 HTTP/1.1", body);
        assert!(issued.starts_with("HTTP/1.1 201 "), "{issued}");
        assert!(issued.contains(PROJECT), "{issued}");
        let header = |line: &str| line.strip_prefix("x-subject-token: ").map(str::to_owned);
        let token = issued.lines().find_map(header).unwrap();
        let list = format!(
            "GET /v1/{PROJECT}/workspaces/{WORKSPACE}/soc/workflows HTTP/1.1\r\nX-Auth-Token: {token}"
        );
        let first = ask(&list, "");
        assert!(first.starts_with("HTTP/1.1 200 "), "{first}");
        let second = ask(&list, "");
        assert!(second.starts_with("HTTP/1.1 401 "), "{second}");
        assert!(second.contains("token expires, expires_at: "), "{second}");
    });
}

#[test]
fn temporary_keys_are_handed_out_on_demand() {
    let token = "PUT /meta-data/latest/api/token HTTP/1.1\r\nX-Metadata-Token-Ttl-Seconds: 60";
    for (arguments, status) in [("--metadata", "200"), ("", "404")] {
        answers(&Desk::new(), arguments, |ask| {
            let answer = ask(token, "");
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{answer}"
            );
        });
    }
}

#[test]
fn a_credential_that_is_not_whole_is_told_with_what_it_lacks() {
    let desk = Desk::new().secret("empty", "\n").file("open", "s");
    let mut told = String::new();
    for arguments in [
        "--ak A",
        "--sk-file key",
        "--ak A --sk-file nowhere",
        "--ak A --sk-file empty",
        "--ak A --sk-file open",
        "--security-token-file empty",
        "--user robot",
        "--password-file empty",
        "--token-life 5",
        "--token-requests 0",
        "--clock-offset -soon",
    ] {
        let said = desk.flowbatch(&format!("simulate {arguments}"));
        assert_eq!(said.code, 2, "{arguments}");
        told += &said.stderr;
    }
    expect_test::expect![[r#"
        error: --ak without --sk-file
          give --sk-file too, or leave --ak out
        error: --sk-file without --ak
          give --ak too, or leave --sk-file out
        error: --sk-file: the file nowhere cannot be read: No such file or directory (os error 2)
          check the path and its permissions
        error: --sk-file empty: the file is empty
          name a file that holds the secret and nothing else
        error: --sk-file: the file open can be read or written by others (mode 644)
          make it yours alone: chmod 600 open
        error: --security-token-file without --ak and --sk-file
          give --ak and --sk-file too, or leave --security-token-file out
        error: --user without --password-file
          give --password-file too, or leave --user out
        error: --password-file without --user
          give --user too, or leave --password-file out
        error: --token-life 5: the duration has no unit
          write a number with a unit: "500ms", "30s", "10m", "2h"
        error: --token-requests 0: no token would be good for anything
          write how many requests a token is good for, or leave the flag out
        error: --clock-offset -soon: not a duration
          write how far the clock is ahead, as 20m, or behind, as -20m
    "#]]
    .assert_eq(&told);
}
