//! The whole program over files: rules are edited while it runs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use watershed_engine::check::RuleSet;
use watershed_engine::config::Config;
use watershed_engine::reload::Loader;
use watershed_engine::run::{Control, run};
use watershed_rules::ReferenceTables;

const PATIENCE: Duration = Duration::from_secs(60);

fn rule(id: &str, tool: &str) -> String {
    format!(
        "/*---\nid: {id}\ntitle: {id}\nplane: model\nseverity: high\nkey: [e_event_id]\n---*/\n\
         SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime WHERE kind = 'tool_call' AND tool = '{tool}'"
    )
}

fn settings(folder: &Path, console: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        "[input.file]\nruntime = [{{ path = \"{folder}/runtime.jsonl\", format = \"watershed\" }}]\n\
         [rules]\ncatalog = false\npaths = [\"{folder}/rules\"]\nreload_every = \"10ms\"\n\
         [rules.override.paired]\nbackfill = true\n\
         [store]\npath = \"{folder}/state\"\ncommit_interval = \"10ms\"\n\
         [console]\nlisten = \"{console}\"\n\
         [routing]\nfallback = \"ai\"\n\
         [[receivers]]\nname = \"ai\"\nteam = \"ai-security\"\nplanes = [\"model\", \"access\"]\ntype = \"file\"\npath = \"{folder}/told.jsonl\"\n"
    )
}

fn asked(console: SocketAddr, path: &str) -> String {
    let Ok(mut socket) = TcpStream::connect(console) else { return String::new() };
    let mut answer = String::new();
    let request = format!("GET {path} HTTP/1.1\r\nHost: console\r\nConnection: close\r\n\r\n");
    if socket.write_all(request.as_bytes()).is_ok() {
        let _ = socket.read_to_string(&mut answer);
    }
    answer
}

pub(crate) fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

fn while_running(folder: &Path, console: SocketAddr, reload: &AtomicBool, script: impl FnOnce()) {
    while_running_as(&settings(folder, console), folder, reload, script);
}

/// Runs the program with these settings until `script` is through.
pub(crate) fn while_running_as(settings: &str, folder: &Path, reload: &AtomicBool, script: impl FnOnce()) {
    let loaded = Config::parse(&folder.join("watershed.toml"), settings.to_owned()).expect("it is valid");
    let config = loaded.config;
    let set = RuleSet::load(&config.rules, &ReferenceTables::default());
    let loader = Loader::new(config.rules.clone(), None, ReferenceTables::default(), set);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            let control =
                Control { stop: &|| stop.load(Ordering::Relaxed), reload: &|| reload.swap(false, Ordering::Relaxed) };
            run(&config, loader, &control, Duration::from_secs(20)).map_err(|error| format!("{error:#}"))
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(script));
        stop.store(true, Ordering::Relaxed);
        assert_eq!(running.join().expect("it does not panic"), Ok(()));
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
}

#[test]
fn rules_are_edited_broken_added_and_removed_while_the_program_runs() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path();
    std::fs::create_dir(path.join("rules")).expect("a folder");
    let write =
        |file: &str, text: &str| std::fs::write(path.join("rules").join(file), text).expect("it can be written");
    let console = TcpListener::bind(("127.0.0.1", 0)).and_then(|free| free.local_addr()).expect("a free port");
    let calls = std::cell::Cell::new(0);
    let call = |tool: &str| -> String {
        calls.set(calls.get() + 1);
        let who = format!("somebody-{}", calls.get());
        let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        let event = serde_json::json!({
            "event_id": format!("e{}", calls.get()), "event_time": now, "kind": "tool_call", "tool": tool, "principal": who
        });
        let mut file =
            std::fs::File::options().create(true).append(true).open(path.join("runtime.jsonl")).expect("it opens");
        writeln!(file, "{event}").expect("it can be written");
        who
    };
    let told = |who: &str| {
        let lines = std::fs::read_to_string(path.join("told.jsonl")).unwrap_or_default();
        lines.lines().find(|line| line.contains(&format!("\"{who}\""))).map(str::to_owned)
    };
    let tells = |who: &str, rule: &str| {
        wait_for(&format!("{who} to be told of by {rule}"), || told(who).is_some());
        let line = told(who).expect("just seen");
        assert!(line.contains(&format!("\"id\":\"{rule}\"")), "{line}");
    };
    let metric = |line: &str| asked(console, "/metrics").lines().any(|have| have == line);
    let runs = |id: &str| asked(console, "/rules").contains(&format!("\"rule\": \"{id}\""));
    let reload = AtomicBool::new(false);

    write("first.sql", &rule("first", "bash"));
    while_running(path, console, &reload, || {
        tells(&call("bash"), "first");
        // Broken: the rule that runs goes on.
        write("first.sql", "/*---\nid: first\n---*/ SELECT nothing");
        wait_for("the broken rule to be counted", || {
            metric("watershed_rules_loaded_total{result=\"with_problems\"} 1")
        });
        tells(&call("bash"), "first");
        // Edited: the new version is at work, and the old one is not.
        write("first.sql", &rule("first", "python"));
        wait_for("the edited rule", || metric("watershed_rules_loaded_total{result=\"whole\"} 1"));
        let ignored = call("bash");
        tells(&call("python"), "first");
        assert_eq!(told(&ignored), None);
        // Added and removed.
        write("second.sql", &rule("second", "curl"));
        wait_for("the added rule", || runs("second"));
        tells(&call("curl"), "second");
        std::fs::remove_file(path.join("rules/first.sql")).expect("it was there");
        wait_for("the removed rule to go", || !runs("first"));
        let ignored = call("python");
        tells(&call("curl"), "second");
        assert_eq!(told(&ignored), None);
        assert!(asked(console, "/readyz").contains("ready"));
    });
    // The next start goes on with what the last one ran.
    while_running(path, console, &reload, || {
        wait_for("the rule", || runs("second"));
        assert!(!asked(console, "/rules").contains("warming_until\": \""), "{}", asked(console, "/rules"));
        tells(&call("curl"), "second");
        // A person asks: everything is read again, though nothing has changed.
        reload.store(true, Ordering::Relaxed);
        wait_for("the reload", || metric("watershed_rules_loaded_total{result=\"whole\"} 1"));
        tells(&call("curl"), "second");
    });
}

/// A call of the same tool by the same person within the hour before.
const PAIRED: &str = "/*---\nid: paired\ntitle: paired\nplane: model\nseverity: high\nkey: [later_event_id]\n---*/\n\
    SELECT b.event_time, b.tenant, b.principal, a.event_id AS earlier_event_id, b.event_id AS later_event_id\n\
    FROM runtime a JOIN runtime b ON b.tenant = a.tenant AND b.principal = a.principal AND b.event_time > a.event_time\n\
     AND b.event_time <= a.event_time + INTERVAL '1 hour'\n\
    WHERE a.tool = 'curl' AND b.tool = 'curl'";

#[test]
fn a_rule_that_is_added_reads_the_file_again() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path();
    std::fs::create_dir(path.join("rules")).expect("a folder");
    let write =
        |file: &str, text: &str| std::fs::write(path.join("rules").join(file), text).expect("it can be written");
    let console = TcpListener::bind(("127.0.0.1", 0)).and_then(|free| free.local_addr()).expect("a free port");
    let call = |id: &str, tool: &str, who: &str| {
        let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        let event = serde_json::json!({
            "event_id": id, "event_time": now, "kind": "tool_call", "tool": tool, "principal": who
        });
        let mut file =
            std::fs::File::options().create(true).append(true).open(path.join("runtime.jsonl")).expect("it opens");
        writeln!(file, "{event}").expect("it can be written");
    };
    let told = || std::fs::read_to_string(path.join("told.jsonl")).unwrap_or_default();
    let status = || -> Option<serde_json::Value> {
        let answer = asked(console, "/rules");
        let rules: serde_json::Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
        rules.as_array()?.iter().find(|rule| rule["rule"] == "paired").cloned()
    };
    write("first.sql", &rule("first", "bash"));
    while_running(path, console, &AtomicBool::new(false), || {
        // Nobody remembers these: the rule that runs asks for another tool.
        call("e1", "curl", "ann");
        call("e2", "curl", "ann");
        call("e3", "bash", "seen");
        wait_for("the calls to be read", || told().contains("\"seen\""));
        write("paired.sql", PAIRED);
        wait_for("the rule to have its past", || {
            status().is_some_and(|rule| rule["rows"].as_u64() > Some(1) && rule["backfilling"].is_null())
        });
        assert!(!told().contains("\"ann\""), "what was over before it came is told nobody");
        call("e4", "curl", "ann");
        wait_for("the call that adds to it", || told().contains("\"ann\""));
    });
    let about = told();
    let line = about.lines().find(|line| line.contains("\"ann\"")).expect("just seen");
    assert!(line.contains("\"id\":\"paired\"") && line.contains("e4"), "{line}");
}
