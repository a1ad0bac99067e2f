//! The gateway, wound by hand.

use super::super::signature::tests::{Signed, vectors};
use super::*;

const SIGNED_AT: &str = "2025-07-18T06:44:47Z";
const PROJECT: &str = "0123456789abcdef0123456789abcdef";
const REGION: &str = "cn-north-4";

fn signed_at() -> Timestamp {
    SIGNED_AT.parse().unwrap()
}

fn after(seconds: i64) -> Timestamp {
    signed_at() + SignedDuration::from_secs(seconds)
}

fn project() -> Id {
    Id::parse(PROJECT).unwrap()
}

fn vector(name: &str) -> Signed {
    let mut vectors = vectors().into_iter().map(|(signed, _)| signed);
    vectors.find(|signed| signed.name == name).unwrap()
}

/// A request of the vendor's that is signed, or carries the token instead.
fn put() -> Signed {
    vector("put_update_basic")
}

fn with_token(token: &str) -> Signed {
    let mut request = vector("no_project_id_header");
    request.headers.retain(|(name, _)| name == "Host");
    let token = ("X-Auth-Token".into(), token.into());
    request.headers.push(token);
    request
}

/// An account that owns the vectors' project, and their key.
fn account() -> Account {
    let signed = put();
    Account::new("acme")
        .key(Key::new(signed.ak, signed.sk))
        .project(project(), REGION)
}

fn gate(account: Account) -> Gate {
    let mut gate = Gate::default();
    gate.add(account);
    gate
}

/// "in", or why not.
fn ask_for(gate: &mut Gate, request: &Signed, project_id: &Id, now: Timestamp) -> String {
    let workspace = Workspace {
        project_id: project_id.clone(),
        workspace_id: Id::parse("ws").unwrap(),
    };
    let admitted =
        request.receive(|request| gate.admit(request, project_id, Some(&workspace), now));
    match admitted.unwrap() {
        Ok(()) => "in".into(),
        Err(refusal) => format!("{} {} {}", refusal.status, refusal.code, refusal.message),
    }
}

fn ask(gate: &mut Gate, request: &Signed, now: Timestamp) -> String {
    ask_for(gate, request, &project(), now)
}

fn denied(why: &str) -> String {
    format!("401 APIG.0301 Incorrect IAM authentication information: {why}")
}

const WRONG: &str = "verify aksk signature fail";
const STALE: &str = "calc ak sk signature fail:signature expired";
const LOCKED: &str = "AK access failed to reach the limit,forbidden";
const NOT_AUTHORIZED: &str = "403 APIG.0302 The user is not authorized";

#[test]
fn whatever_the_vendor_signed_gets_in() {
    let key = |signed: &Signed| Key::new(&signed.ak, &signed.sk);
    for (signed, _) in vectors() {
        let mut gate = gate(account().key(key(&signed)));
        let seen = ask(&mut gate, &signed, signed_at());
        assert_eq!(seen, "in", "{}", signed.name);
    }
}

#[test]
fn no_changed_byte_of_a_key_id_goes_unseen() {
    let request = put();
    for at in 0..request.ak.len() {
        let mut changed = request.clone();
        let authorization = changed.header("authorization");
        let start = "SDK-HMAC-SHA256 Access=".len();
        authorization[start + at] = b'x';
        let mut ak = request.ak.clone().into_bytes();
        ak[at] = b'x';
        let ak = String::from_utf8(ak).unwrap();
        let expected = denied(&format!("Get secretKey failed,ak:{ak},err:ak not exist"));
        assert_eq!(ask(&mut gate(account()), &changed, signed_at()), expected);
    }
}

#[test]
fn a_signature_may_be_a_quarter_of_an_hour_old_or_ahead() {
    for (seconds, expected) in [
        (0, "in".into()),
        (900, "in".into()),
        (-900, "in".into()),
        (901, denied(STALE)),
        (-901, denied(STALE)),
    ] {
        let seen = ask(&mut gate(account()), &put(), after(seconds));
        assert_eq!(seen, expected, "{seconds}");
    }
}

#[test]
fn five_wrong_signatures_in_a_row_lock_the_key_for_the_right_one_too() {
    let mut gate = gate(account());
    let right = put();
    let mut wrong = put();
    wrong.sk.push('x');
    wrong.sign();
    for _ in 0..4 {
        assert_eq!(ask(&mut gate, &wrong, signed_at()), denied(WRONG));
    }
    assert_eq!(ask(&mut gate, &right, signed_at()), "in");
    for second in 0..5 {
        assert_eq!(ask(&mut gate, &wrong, after(second)), denied(WRONG));
    }
    for second in [4, 303] {
        assert_eq!(ask(&mut gate, &right, after(second)), denied(LOCKED));
    }
    assert_eq!(ask(&mut gate, &right, after(304)), "in");
}

#[test]
fn a_stale_signature_does_not_count_towards_the_lock() {
    let mut gate = gate(account());
    for _ in 0..9 {
        assert_eq!(ask(&mut gate, &put(), after(2_000)), denied(STALE));
    }
    assert_eq!(ask(&mut gate, &put(), signed_at()), "in");
}

#[test]
fn a_temporary_key_needs_its_token_and_ends() {
    let request = vector("temp_credentials_put");
    let token = "FAKETOKEN+abc/def==";
    let temporary = |token: &str, ends| {
        let key = Key::new(&request.ak, &request.sk).with_security_token(token);
        let account = Account::new("acme").project(project(), REGION);
        gate(account.key(key.until(ends)))
    };
    let seen = |mut gate: Gate| ask(&mut gate, &request, signed_at());
    assert_eq!(seen(temporary(token, after(1))), "in");
    let ended = denied("token expires, expires_at: 2025-07-18T06:44:47.000000Z");
    assert_eq!(seen(temporary(token, after(0))), ended);
    let other = denied("decrypt token fail");
    assert_eq!(seen(temporary("other", after(1))), other);
    let mut without = put();
    without.ak.clone_from(&request.ak);
    without.sk.clone_from(&request.sk);
    without.sign();
    let unknown = denied(&format!(
        "Get secretKey failed,ak:{},err:ak not exist",
        request.ak
    ));
    let mut gate = temporary(token, after(1));
    assert_eq!(ask(&mut gate, &without, signed_at()), unknown);
}

#[test]
fn an_account_acts_on_its_own_projects() {
    let other = Id::parse("fedcba9876543210fedcba9876543210").unwrap();
    let mut gate = gate(account());
    let request = vector("no_project_id_header");
    assert_eq!(ask(&mut gate, &request, signed_at()), "in");
    let seen = ask_for(&mut gate, &request, &other, signed_at());
    assert_eq!(seen, NOT_AUTHORIZED);
    // As the vendor's Terraform provider has it: after signing.
    for (told, expected) in [(PROJECT, "in"), (other.as_str(), NOT_AUTHORIZED)] {
        let mut request = request.clone();
        request.headers.push(("X-Project-Id".into(), told.into()));
        assert_eq!(ask(&mut gate, &request, signed_at()), expected);
    }
}

#[test]
fn a_revoked_workspace_is_closed_to_everybody() {
    let revoked = Workspace {
        project_id: project(),
        workspace_id: Id::parse("ws").unwrap(),
    };
    for mut gate in [gate(account()), Gate::open()] {
        assert_eq!(ask(&mut gate, &put(), signed_at()), "in");
        gate.revoked.insert(revoked.clone());
        assert_eq!(ask(&mut gate, &put(), signed_at()), NOT_AUTHORIZED);
    }
}

#[test]
fn a_token_gets_in_until_it_ends() {
    let mut gate = gate(account().token("fixed"));
    let (issued, _) = gate.tokens.issue(0, None, signed_at());
    for (token, seconds, expected) in [
        ("fixed", 1 << 32, "in".into()),
        ("other", 0, denied("decrypt token fail")),
        (&issued, 86_399, "in".into()),
        (
            &issued,
            86_400,
            denied("token expires, expires_at: 2025-07-19T06:44:47.000000Z"),
        ),
    ] {
        let seen = ask(&mut gate, &with_token(token), after(seconds));
        assert_eq!(seen, expected, "{token} {seconds}");
    }
    let mut without = with_token("fixed");
    without.headers.clear();
    let none = denied("x-auth-token not found");
    assert_eq!(ask(&mut gate, &without, signed_at()), none);
}

#[test]
fn a_token_of_one_project_is_no_good_for_another() {
    let other = Id::parse("fedcba9876543210fedcba9876543210").unwrap();
    let mut gate = gate(account().project(other.clone(), "cn-east-3"));
    let project_of = |gate: &Gate| gate.accounts[0].projects[0].clone();
    let scope = project_of(&gate);
    let (token, _) = gate.tokens.issue(0, Some(scope), signed_at());
    let request = with_token(&token);
    assert_eq!(ask(&mut gate, &request, signed_at()), "in");
    let seen = ask_for(&mut gate, &request, &other, signed_at());
    assert_eq!(seen, NOT_AUTHORIZED);
}

#[test]
fn only_admitted_requests_use_a_token_up() {
    let other = Id::parse("fedcba9876543210fedcba9876543210").unwrap();
    let mut gate = gate(account());
    gate.tokens.requests = Some(2);
    let (token, _) = gate.tokens.issue(0, None, signed_at());
    let request = with_token(&token);
    for _ in 0..3 {
        let seen = ask_for(&mut gate, &request, &other, signed_at());
        assert_eq!(seen, NOT_AUTHORIZED);
    }
    assert_eq!(ask(&mut gate, &request, signed_at()), "in");
    assert_eq!(ask(&mut gate, &request, after(1)), "in");
    let ended = denied("token expires, expires_at: 2025-07-18T06:44:48.000000Z");
    assert_eq!(ask(&mut gate, &request, after(1)), ended);
}

#[test]
fn each_credential_is_counted_by_its_own_name() {
    let mut gate = gate(account().token("fixed"));
    gate.tokens.fix("nobody's", None);
    let mut wrong = put();
    wrong.sk.push('x');
    wrong.sign();
    for request in [
        put(),
        put(),
        wrong,
        with_token("fixed"),
        with_token("nobody's"),
        with_token("else"),
    ] {
        ask(&mut gate, &request, signed_at());
    }
    let of = |credential: &str| {
        let requests = gate.visits.of(credential);
        (requests.service, requests.iam, requests.refused)
    };
    assert_eq!(of(&put().ak), (3, 0, 1));
    assert_eq!(of("acme"), (1, 0, 0));
    assert_eq!(of("nobody's"), (1, 0, 0));
    assert_eq!(of("else"), (0, 0, 0));
    assert_eq!(of(""), (1, 0, 1));
}

#[test]
fn an_open_gate_lets_everybody_in() {
    let mut gate = Gate::open();
    let mut nothing = put();
    nothing.headers.clear();
    for request in [put(), with_token("any"), nothing] {
        assert_eq!(ask(&mut gate, &request, after(1 << 32)), "in");
    }
}
