//! The verb over files, and over the console of an engine.

use std::io::Write;
use std::sync::{Arc, Mutex};

use clap::Parser;

use super::super::{Cli, Output, Verb};
use super::blast_radius;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What the verb prints.
fn printed(args: &[&str]) -> Result<String, String> {
    let cli =
        Cli::try_parse_from(["watershed", "blast-radius"].iter().chain(args)).map_err(|error| error.to_string())?;
    let Verb::BlastRadius(args) = cli.verb else { return Err("another verb".to_owned()) };
    let written = Written::default();
    let mut output = Output::to(Box::new(written.clone()));
    blast_radius(&args, &mut output).map_err(|error| error.to_string())?;
    output.flush().map_err(|error| error.to_string())?;
    drop(output);
    let bytes = written.0.lock().expect("no panic").clone();
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

const IDENTITY: &str = r#"{"event_id":"e1","event_time":"2026-03-01T10:00:00Z","tenant":"acme","source":"okta","kind":"authentication","principal":"00u1aaaaaaaaaaaaaaaa","aliases":["ada@example.com"]}
{"event_id":"e2","event_time":"2026-03-01T10:01:00Z","tenant":"acme","source":"okta","kind":"token_issued","principal":"ada@example.com","credential_id":"key-1","scopes":["mail.send"]}
{"event_id":"e3","event_time":"2026-03-01T11:00:00Z","tenant":"acme","source":"okta","kind":"token_revoked","principal":"00u1aaaaaaaaaaaaaaaa","credential_id":"key-1"}
"#;
const RUNTIME: &str = r#"{"event_id":"r1","event_time":"2026-03-01T10:10:00Z","tenant":"acme","source":"gateway","kind":"tool_call","principal":"00u1aaaaaaaaaaaaaaaa","agent_id":"bot","tool":"send\u001b[31m_mail","target":"eve@evil.example"}
{"event_id":"r2","event_time":"2026-03-01T10:11:00Z","tenant":"acme","source":"gateway","kind":"tool_call","principal":"ben@example.com","credential_id":"key-9","tool":"wire_money"}
"#;
const AGENTS: &str = "agent_id,owner,tenants\nbot,ada@example.com,acme globex\n";

#[test]
fn a_reach_is_shown_from_files_at_a_time_with_what_the_registry_says() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let write = |name: &str, text: &str| {
        let path = place.path().join(name);
        std::fs::write(&path, text).expect("it can be written");
        format!("watershed:{}", path.display())
    };
    let (identity, runtime) = (write("identity.jsonl", IDENTITY), write("runtime.jsonl", RUNTIME));
    let reference = place.path().join("reference");
    std::fs::create_dir(&reference).expect("a folder");
    std::fs::write(reference.join("agents.csv"), AGENTS).expect("it can be written");
    let reference = reference.display().to_string();
    let show = |more: &[&str]| {
        let id = "00u1aaaaaaaaaaaaaaaa";
        let base = [id, "--tenant", "acme", "--identity", &identity, "--runtime", &runtime, "--reference", &reference];
        printed(&base.iter().chain(more).copied().collect::<Vec<_>>()).expect("it is shown")
    };
    let text = show(&["--at", "2026-03-01T10:30:00Z"]);
    for part in [
        "ada@example.com  as of 2026-03-01T10:30:00Z",
        "credentials  key-1",
        "scopes       mail.send",
        "tenants      acme, globex",
        "delegates    bot",
        "target       eve@evil.example ×1, 2026-03-01T10:10:00Z to 2026-03-01T10:10:00Z",
        "what was granted or issued before 2026-03-01T10:00:00Z",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
    assert!(!text.contains("wire_money") && !text.contains('\u{1b}'), "{text}");
    let later = show(&[]);
    assert!(later.contains("credentials  none known") && later.contains("send"), "{later}");
    let short = show(&["--at", "2026-03-01T10:30:00Z", "--window", "5m"]);
    assert!(short.contains("nothing that was seen") && !short.contains("who this is"), "{short}");
    // Somebody who was never heard of, and somebody of another tenant.
    let files = ["--identity", &identity, "--runtime", &runtime];
    let nobody = printed(&[&["adda", "--tenant", "acme"][..], &files].concat()).expect("it is shown");
    assert!(
        nobody.contains("who this is: nothing that was heard names it in tenant acme; are id and tenant"),
        "{nobody}"
    );
    let elsewhere = printed(&[&["ada@example.com"][..], &files].concat()).expect("it is shown");
    assert!(elsewhere.contains("in tenant default; are id and tenant right? (it is known in acme)"), "{elsewhere}");
    // What it used and nobody saw issued.
    let ben = printed(&[&["ben@example.com", "--tenant", "acme"][..], &files].concat()).expect("it is shown");
    assert!(ben.contains("whether credential key-9 is valid: it was used") && !ben.contains("who this is"), "{ben}");
    let json: serde_json::Value = serde_json::from_str(&show(&["--format", "json"])).expect("one JSON object");
    assert_eq!((&json["principal"], json["did"].as_array().map(Vec::len)), (&"ada@example.com".into(), Some(2)));
}

#[test]
fn what_is_missing_on_the_command_line_is_said() {
    for (args, part) in [
        (&["ada"][..], "--recording"),
        (&["ada", "--at", "noon", "--url", "http://127.0.0.1:9"], "--at"),
        (&["ada", "--window", "x", "--url", "http://127.0.0.1:9"], "--window"),
        (&["--recording", "x"], "<PRINCIPAL>"),
        // How it is printed has nothing to do with where it comes from.
        (&["ada", "--format", "json", "--recording", "nowhere"], "nowhere"),
        (&["ada", "--format", "json", "--url", "http://127.0.0.1:9"], "is the engine running"),
    ] {
        let error = printed(args).expect_err(part);
        assert!(error.contains(part), "{args:?}: {error}");
    }
}

#[test]
fn a_running_engine_is_asked() {
    use crate::console::{Health, Metrics, api, serve};
    use crate::core::{Core, Settings};

    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let (asker, mut questions) = api::questions();
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let health = Arc::new(Health::new(std::time::Duration::from_secs(3_600)));
    let served = runtime.block_on(serve(any, Arc::new(Metrics::new()), health, asker)).expect("port 0 is free");
    let url = format!("http://{}", served.address);
    let core = Core::new(Settings::default(), Vec::new());
    let asked = std::thread::spawn(move || {
        let args = ["arn:aws:iam::1:user/ada", "--url", &url, "--at", "2026-03-01T10:30:00Z", "--window", "1h"];
        printed(&args)
    });
    while !asked.is_finished() {
        questions.answer(&core);
        std::thread::yield_now();
    }
    let text = asked.join().expect("no panic").expect("it is answered");
    for part in [
        "arn:aws:iam::1:user/ada  as of 2026-03-01T10:30:00Z",
        "the access plane was never heard",
        "accounts, grants, tokens, sessions: these tables are not kept here",
        "between 2026-03-01T09:30:00Z and 2026-03-01T10:30:00Z beyond the 0 events",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}
