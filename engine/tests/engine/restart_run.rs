//! What is known of identities is still known after a restart, and when the store is gone, by the whole program and not only by
//! its core.

use std::cell::RefCell;
use std::io::Write;
use std::net::TcpListener;
use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};
use watershed_engine::books;
use watershed_engine::core::{Core, SPACES, Settings};

use crate::lost_store_run::{TOKEN, asked};
use crate::reload_run::{wait_for, while_running_as};

#[test]
fn everything_that_is_restored_is_read_at_a_start() {
    let asked_for = RefCell::new(Vec::new());
    let mut core = Core::new(Settings::default(), Vec::new());
    core.keep_books(books::Limits::default());
    core.restore(|prefix| {
        asked_for.borrow_mut().push(prefix.to_vec());
        Vec::new()
    });
    let asked_for = asked_for.into_inner();
    assert!(asked_for.len() >= SPACES.len(), "{asked_for:?}");
    for prefix in asked_for {
        assert!(SPACES.iter().any(|space| prefix.starts_with(space)), "{}", String::from_utf8_lossy(&prefix));
    }
}

#[test]
fn identities_are_known_after_a_restart_and_when_the_store_is_gone() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path();
    let console = TcpListener::bind(("127.0.0.1", 0)).and_then(|free| free.local_addr()).expect("a free port");
    let write = |file: &str, text: &str| std::fs::write(path.join(file), text).expect("it can be written");
    std::fs::create_dir(path.join("rules")).expect("a folder");
    write("token", TOKEN);
    write(
        "rules/leaver.sql",
        "/*---\nid: leaver\ntitle: leaver\nplane: access\nseverity: high\nkey: [call_event_id]\nemit: early\n---*/\n\
         SELECT r.event_time, r.tenant, r.principal, r.event_id AS call_event_id FROM runtime r JOIN accounts a\n\
         ON a.tenant = r.tenant AND a.principal = r.principal AND a.valid_from <= r.event_time\n\
         AND (a.valid_to IS NULL OR r.event_time < a.valid_to)\nWHERE r.kind = 'tool_call' AND a.status = 'inactive'",
    );
    let shown = path.display();
    let settings = format!(
        "[input.file]\nruntime = [{{ path = \"{shown}/runtime.jsonl\", format = \"watershed\" }}]\n\
         identity = [{{ path = \"{shown}/identity.jsonl\", format = \"watershed\" }}]\n\
         [rules]\ncatalog = false\npaths = [\"{shown}/rules\"]\n\
         [store]\npath = \"{shown}/state\"\ncommit_interval = \"10ms\"\n\
         [console]\nlisten = \"{console}\"\n\
         [[console.tokens]]\nname = \"kim\"\nrole = \"viewer\"\ntoken = {{ file = \"{shown}/token\" }}\n\
         [routing]\nfallback = \"iam\"\n\
         [[receivers]]\nname = \"iam\"\nteam = \"iam\"\nplanes = [\"model\", \"access\"]\ntype = \"file\"\npath = \"{shown}/told.jsonl\"\n"
    );
    let say = |file: &str, mut event: Value| {
        event["event_time"] = json!(chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true));
        let mut file = std::fs::File::options().create(true).append(true).open(path.join(file)).expect("it opens");
        writeln!(file, "{event}").expect("it can be written");
    };
    // How many principals the inventory counts, once it is there.
    let people = || asked(console, "GET", "/api/v1/inventory", &Value::Null).1["counts"]["principal"].as_u64();
    let quiet = AtomicBool::new(false);

    for (id, who) in [("i1", "kay"), ("i2", "zed")] {
        say(
            "identity.jsonl",
            json!({"event_id": id, "kind": "account_deactivated", "principal": who, "outcome": "success"}),
        );
    }
    let told = |who: &str| {
        let lines = std::fs::read_to_string(path.join("told.jsonl")).unwrap_or_default();
        lines.lines().any(|line| line.contains("leaver") && line.contains(who))
    };
    while_running_as(&settings, path, &quiet, || wait_for("the accounts", || people() == Some(2)));
    while_running_as(&settings, path, &quiet, || {
        wait_for("the console", || people().is_some());
        assert_eq!(people(), Some(2), "the inventory begins anew");
        say("runtime.jsonl", json!({"event_id": "r1", "kind": "tool_call", "tool": "send", "principal": "kay"}));
        wait_for("the finding", || told("kay"));
    });
    assert!(!told("zed"));

    // The store is gone, and the log does not reach back to where somebody left.
    std::fs::remove_dir_all(path.join("state")).expect("it was there");
    write("identity.jsonl", "");
    while_running_as(&settings, path, &quiet, || {
        say("runtime.jsonl", json!({"event_id": "r2", "kind": "tool_call", "tool": "send", "principal": "zed"}));
        wait_for("the finding after the store was lost", || told("zed"));
    });
}
