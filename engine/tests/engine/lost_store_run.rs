//! The whole program over files: its store is deleted, and what people did is still known.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};

use crate::reload_run::{wait_for, while_running_as};

pub(crate) const TOKEN: &str = "a-token-of-a-test-that-is-long-enough-0123456789";

fn settings(folder: &Path, console: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        "[input.file]\nruntime = [{{ path = \"{folder}/runtime.jsonl\", format = \"watershed\" }}]\n\
         [rules]\ncatalog = false\npaths = [\"{folder}/rules\"]\n\
         [store]\npath = \"{folder}/state\"\ncommit_interval = \"10ms\"\n\
         [console]\nlisten = \"{console}\"\n\
         [[console.tokens]]\nname = \"kim\"\nrole = \"responder\"\ntoken = {{ file = \"{folder}/token\" }}\n\
         [routing]\nfallback = \"ai\"\n\
         [[receivers]]\nname = \"ai\"\nteam = \"ai-security\"\nplanes = [\"model\", \"access\"]\ntype = \"file\"\npath = \"{folder}/told.jsonl\"\n"
    )
}

/// Status line and body of an answer.
pub(crate) fn asked(console: SocketAddr, method: &str, path: &str, body: &Value) -> (String, Value) {
    let Ok(mut socket) = TcpStream::connect(console) else { return (String::new(), Value::Null) };
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {console}\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut answer = String::new();
    if socket.write_all(request.as_bytes()).is_ok() {
        let _ = socket.read_to_string(&mut answer);
    }
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    (head.lines().next().unwrap_or_default().to_owned(), serde_json::from_str(body).unwrap_or_default())
}

#[test]
fn what_a_person_acknowledged_stays_acknowledged_when_the_store_is_gone() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path();
    let write = |file: &str, text: &str| std::fs::write(path.join(file), text).expect("it can be written");
    std::fs::create_dir(path.join("rules")).expect("a folder");
    write("token", TOKEN);
    let rule = |tool: &str, severity: &str| {
        format!(
            "/*---\nid: called-{tool}\ntitle: {tool}\nplane: model\nseverity: {severity}\nkey: [e_event_id]\n---*/\n\
             SELECT event_time, tenant, principal, event_id AS e_event_id FROM runtime WHERE kind = 'tool_call' AND tool = '{tool}'"
        )
    };
    write("rules/bash.sql", &rule("bash", "medium"));
    write("rules/curl.sql", &rule("curl", "critical"));
    let console = TcpListener::bind(("127.0.0.1", 0)).and_then(|free| free.local_addr()).expect("a free port");
    let call = |id: &str, tool: &str| {
        let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        let event = json!({ "event_id": id, "event_time": now, "kind": "tool_call", "tool": tool, "principal": "kay" });
        let mut file =
            std::fs::File::options().create(true).append(true).open(path.join("runtime.jsonl")).expect("it opens");
        writeln!(file, "{event}").expect("it can be written");
    };
    let told = || -> Vec<Value> {
        let lines = std::fs::read_to_string(path.join("told.jsonl")).unwrap_or_default();
        lines.lines().map(|line| serde_json::from_str(line).expect("own output parses")).collect()
    };
    let reasons =
        || -> Vec<String> { told().iter().map(|line| line["reason"].as_str().unwrap_or("").to_owned()).collect() };
    let quiet = AtomicBool::new(false);

    call("e1", "bash");
    let mut id = String::new();
    while_running_as(&settings(path, console), path, &quiet, || {
        wait_for("the first message", || reasons() == ["opened"]);
        id = told()[0]["incident_id"].as_str().expect("it names the incident").to_owned();
        let take = format!("/api/v1/incidents/{id}/acknowledge");
        wait_for("somebody to take it", || asked(console, "POST", &take, &json!({})).0.contains(" 200 "));
        wait_for("the message about that", || reasons().len() == 2);
    });
    assert_eq!(reasons(), ["opened", "acknowledged"]);

    std::fs::remove_dir_all(path.join("state")).expect("it was there");
    while_running_as(&settings(path, console), path, &quiet, || {
        // Everything is read again, and then something worse happens.
        call("e2", "curl");
        wait_for("the message about what is worse", || reasons().len() > 2);
    });
    assert_eq!(reasons(), ["opened", "acknowledged", "severity_rose"]);
    let last = told().pop().expect("there are three");
    assert_eq!(last["incident_id"], id.as_str());
    assert_eq!((&last["status"], &last["revision"]), (&json!("acknowledged"), &json!(3)));
    assert_eq!(last["handled"]["by"], "kim");
}
