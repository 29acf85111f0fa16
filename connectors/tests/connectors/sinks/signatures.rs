//! Signatures, checked by the official library of the Standard Webhooks project.
//!
//! `WATERSHED_PYTHON` names a Python that has it (`make test` sets one up); without the variable the test is skipped.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::receiver::{Receiver, Request};
use super::*;

const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const STRANGE: &str = "whsec_////////////////////////////////////////////";

/// What the official library says of each message under a secret.
fn verified(python: &Path, messages: &[(&str, &Request)]) -> Vec<bool> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../integration/python/verify_webhook.py");
    let mut child =
        Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap_or_else(|error| {
            panic!("WATERSHED_PYTHON names `{}`, which can't be run: {error}", python.display())
        });
    let mut input = child.stdin.take().expect("piped");
    for (secret, request) in messages {
        let line = json!({ "secret": secret, "headers": request.headers, "body": request.body });
        // A script that ended early has said why on stderr.
        let _ = writeln!(input, "{line}");
    }
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert!(
        output.status.success(),
        "the Python of WATERSHED_PYTHON can't check signatures: install integration/python/requirements.txt into it"
    );
    String::from_utf8(output.stdout)
        .expect("text")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["valid"] == true)
        .collect()
}

#[tokio::test]
#[allow(clippy::print_stderr, reason = "a skipped test says why")]
async fn the_official_library_accepts_our_signatures_and_no_others() {
    let Some(python) = std::env::var_os("WATERSHED_PYTHON") else {
        eprintln!(
            "skipped: WATERSHED_PYTHON names no Python with the library `standardwebhooks`; `make test` sets one up"
        );
        return;
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let receiver = Receiver::answering(200, &[]).await;
    let secrets: Vec<Value> = [("old", OLD), ("new", NEW)]
        .into_iter()
        .map(|(name, secret)| {
            let path = directory.path().join(name);
            std::fs::write(&path, secret).expect("written");
            json!({ "file": path })
        })
        .collect();
    let network = json!({ "allow_private": true });
    let kind = json!({ "type": "webhook", "url": receiver.base, "secrets": secrets, "network": network });
    let sink = build(&settings(&directory, kind, &[]));
    sink.send(&opened(), &Attempt::at(now())).await.expect("accepted");
    sink.send(&opened(), &Attempt::at(now().plus(std::time::Duration::from_secs(1)))).await.expect("accepted");
    let old_time = now().minus(std::time::Duration::from_secs(600));
    sink.send(&opened(), &Attempt::at(old_time)).await.expect("accepted: the receiver checks nothing");

    let requests = receiver.requests();
    let [first, second, stale] = &requests[..] else { panic!("three requests, not {}", requests.len()) };
    assert_eq!(first.headers["webhook-id"], second.headers["webhook-id"]);
    assert_ne!(first.headers["webhook-signature"], second.headers["webhook-signature"]);
    let mut tampered = first.clone();
    tampered.body = tampered.body.replace("critical", "info");
    let mut renamed = first.clone();
    renamed.headers.insert("webhook-id".to_owned(), "ntf_other".to_owned());
    let answers = verified(
        Path::new(&python),
        &[(OLD, first), (NEW, first), (OLD, second), (STRANGE, first), (OLD, &tampered), (OLD, &renamed), (OLD, stale)],
    );
    assert_eq!(answers, [true, true, true, false, false, false, false]);
}
