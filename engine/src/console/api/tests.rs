//! The API over real sockets, before an engine that does what the test says.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use watershed_schemas::{Act, Handled, IncidentRevision, IncidentStatus, Plane, Severity, Signal, Timestamp, Verdict};

use super::engine::{Engine, Questions, questions};
use super::routes::ROUTES;
use super::{Method, openapi};
use crate::cases::{self, Cases};
use crate::console::{Health, Limits, Metrics, Role, Served, Settings, Token, Tokens, serve};
use crate::core::{self, Core, Gathered, Output};
use crate::store::Commit;

/// Secrets by role.
fn secret(role: Role) -> String {
    format!("secret-of-the-{}-0123456789", role.name())
}

/// The secret of a team's token.
fn team_secret(plane: Plane) -> String {
    format!("secret-of-{}-0123456789", plane.team())
}

/// An engine whose incidents do what they are told.
struct Fake {
    core: Core,
    incidents: Vec<IncidentRevision>,
    cases: Cases,
    acted: Vec<(String, Result<u32, String>)>,
    revised: Vec<IncidentRevision>,
}

impl Fake {
    fn new(mut incidents: Vec<IncidentRevision>) -> Self {
        // One has a timeline of both planes.
        let whole = cases::tests::whole();
        let both = &mut incidents[2];
        (both.because, both.rules) = (whole.incident.because, whole.incident.rules);
        let gathered = vec![Gathered { incident_id: both.incident_id.clone(), moments: whole.timeline }];
        let cases = Cases::open(cases::Settings::default(), None).expect("there is no store to fail");
        let core = Core::new(core::Settings::default(), Vec::new());
        let mut fake = Fake { core, incidents: incidents.clone(), cases, acted: Vec::new(), revised: Vec::new() };
        fake.take(Output { incidents, gathered, ..Output::default() });
        fake
    }

    fn write(&mut self, incidents: Vec<IncidentRevision>) {
        self.take(Output { incidents, ..Output::default() });
    }

    /// What the pipeline does with the output of its core.
    fn take(&mut self, output: Output) {
        let at = Timestamp::from_secs(1_700_000_000);
        self.cases.take(&output, &[], &[], [at, at], &mut Commit::unkept()).expect("there is no store to fail");
    }
}

impl Engine for Fake {
    fn core(&self) -> &Core {
        &self.core
    }

    fn cases(&self) -> Option<&Cases> {
        Some(&self.cases)
    }

    fn erase(&mut self, tenant: &str, principal: &str) -> Result<usize, String> {
        let at = Timestamp::from_secs(1_700_000_000);
        let erased = self.cases.erase(tenant, principal, at, &mut Commit::unkept());
        erased.map(|erased| erased.cases).map_err(|error| error.to_string())
    }

    fn act(&mut self, id: &str, handled: Handled) -> Result<(), String> {
        let Some(incident) = self.incidents.iter_mut().find(|incident| incident.incident_id == id) else {
            self.acted.push((id.to_owned(), Err("gone".to_owned())));
            return Ok(());
        };
        if incident.status == IncidentStatus::Merged {
            self.acted.push((id.to_owned(), Err("it became part of another".to_owned())));
            return Ok(());
        }
        incident.status = match handled.act {
            Act::Acknowledge => IncidentStatus::Acknowledged,
            Act::Close { .. } => IncidentStatus::Closed,
            Act::Reopen => IncidentStatus::Open,
            Act::Comment => incident.status,
        };
        incident.revision += 1;
        incident.handled = Some(handled);
        self.acted.push((id.to_owned(), Ok(incident.revision)));
        self.revised.push(incident.clone());
        Ok(())
    }
}

/// A console that is served, and a thread that turns its engine.
struct Bench {
    served: Served,
    questions: Arc<Mutex<Questions>>,
    audit: PathBuf,
    stop: Arc<AtomicBool>,
    _folder: tempfile::TempDir,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn incident(at: i64) -> IncidentRevision {
    let verdict =
        [Verdict::ModelAbuse, Verdict::AccessCompromise, Verdict::Both][usize::try_from(at % 3).expect("0..3")];
    let mut incident = IncidentRevision::opened(
        &format!("inc_{at:03}"),
        "acme",
        verdict,
        Timestamp::from_secs(1_700_000_000 + at / 2),
    );
    incident.principal = Some(format!("p{}", at % 5));
    incident.severity = if at % 2 == 0 { Severity::High } else { Severity::Low };
    incident
}

impl Bench {
    async fn new(tokens: bool, limits: Limits) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let audit = folder.path().join("audit.jsonl");
        Bench::with_audit(tokens, limits, folder, audit).await.expect("it is served")
    }

    async fn with_audit(
        tokens: bool,
        limits: Limits,
        folder: tempfile::TempDir,
        audit: PathBuf,
    ) -> Result<Self, crate::console::Error> {
        let all = Role::ALL.map(|role| Token::new(&format!("the-{}", role.name()), role, &secret(role)));
        let of_team = |plane: Plane| Token::new(plane.team(), Role::Admin, &team_secret(plane)).of_team(Some(plane));
        let all = all.into_iter().chain(Plane::ALL.map(of_team)).collect();
        let settings = Settings {
            tokens: Tokens::new(if tokens { all } else { Vec::new() }),
            audit: Some(audit.clone()),
            limits,
            ..Settings::from(SocketAddr::from(([127, 0, 0, 1], 0)))
        };
        let health = Arc::new(Health::new(Duration::from_secs(3_600)));
        let (asker, questions) = questions();
        let mut incidents: Vec<IncidentRevision> = (0..30).map(incident).collect();
        incidents[7].status = IncidentStatus::Merged;
        let questions = Arc::new(Mutex::new(questions));
        let stop = Arc::new(AtomicBool::new(false));
        let served = serve(settings, Arc::new(Metrics::new()), health, asker).await?;
        std::thread::spawn({
            let (questions, stop) = (Arc::clone(&questions), Arc::clone(&stop));
            move || {
                let mut fake = Fake::new(incidents);
                while !stop.load(Ordering::Relaxed) {
                    let mut questions = questions.lock().expect("not poisoned");
                    questions.serve(&mut fake);
                    let (revised, acted) = (std::mem::take(&mut fake.revised), std::mem::take(&mut fake.acted));
                    fake.write(revised.clone());
                    questions.live.publish(&[], &revised);
                    questions.acted(&acted, &revised, &fake);
                    drop(questions);
                    std::thread::yield_now();
                }
            }
        });
        Ok(Bench { served, questions, audit, stop, _folder: folder })
    }

    fn publish(&self, incidents: &[IncidentRevision]) {
        self.questions.lock().expect("not poisoned").live.publish(&[], incidents);
    }

    /// One request with these lines of its head.
    async fn send(&self, method: &str, path: &str, head: &[String], body: &str) -> Answered {
        let mut socket = TcpStream::connect(self.served.address).await.expect("it listens");
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        for line in head {
            request.push_str(line);
            request.push_str("\r\n");
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        // It may answer before it has read everything.
        let _ = socket.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
        Answered::read(&String::from_utf8(answer).expect("text"))
    }

    async fn get(&self, path: &str, role: Option<Role>) -> Answered {
        self.send("GET", path, &role.map(bearer).into_iter().collect::<Vec<_>>(), "").await
    }

    async fn post(&self, path: &str, role: Option<Role>, body: &Value) -> Answered {
        let mut head = vec!["Content-Type: application/json".to_owned()];
        head.extend(role.map(bearer));
        self.send("POST", path, &head, &body.to_string()).await
    }

    fn audited(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.audit).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

fn bearer(role: Role) -> String {
    format!("Authorization: Bearer {}", secret(role))
}

#[derive(Debug)]
struct Answered {
    status: u16,
    head: String,
    body: String,
}

impl Answered {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answered { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

fn tomorrow() -> Timestamp {
    Timestamp::from_micros(chrono::Utc::now().timestamp_micros()).plus(Duration::from_secs(86_400))
}

/// A request of a route that would do it if it may.
fn example(name: &str) -> Value {
    match name {
        "close_incident" => json!({"disposition": "benign"}),
        "comment_incident" => json!({"note": "seen"}),
        "add_silence" => json!({"matchers": ["tenant=\"acme\""], "reason": "works", "ends": tomorrow()}),
        "erase_principal" => json!({"tenant": "acme", "principal": "p0"}),
        _ => json!({}),
    }
}

/// Every route as everybody, by the table of routes: there is no route whose role is not tried.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_route_is_open_to_its_role_and_those_above_it_alone() {
    for with_tokens in [true, false] {
        let limits = Limits { requests_per_second: 10_000, burst: 10_000, ..Limits::default() };
        let bench = Bench::new(with_tokens, limits).await;
        for route in ROUTES {
            if route.name == "listen" {
                // Its answer has no end; it has tests of its own.
                continue;
            }
            let path = format!("/api/v1{}", route.described().replace("{id}", "inc_001"));
            for role in [None, Some(Role::Viewer), Some(Role::Responder), Some(Role::Admin)] {
                let answered = match route.method {
                    Method::Get => bench.get(&path, role).await,
                    Method::Post => bench.post(&path, role, &example(route.name)).await,
                    Method::Delete => {
                        bench.send("DELETE", &path, &role.map(bearer).into_iter().collect::<Vec<_>>(), "").await
                    }
                };
                let refusal = match role {
                    _ if !with_tokens && route.role == Role::Viewer => None,
                    _ if !with_tokens => Some(401),
                    None => Some(401),
                    Some(role) if role < route.role => Some(403),
                    Some(_) => None,
                };
                let status = answered.status;
                match refusal {
                    Some(refusal) => assert_eq!(status, refusal, "{} as {role:?}: {answered:?}", route.name),
                    // Not every engine has everything.
                    None => assert!([200, 201, 404, 409].contains(&status), "{} as {role:?}: {answered:?}", route.name),
                }
                if status >= 400 {
                    assert!(answered.head.contains("application/problem+json"), "{answered:?}");
                    assert_eq!(answered.json()["status"], status);
                }
                assert_eq!(status == 401, answered.head.contains("www-authenticate: bearer"), "{answered:?}");
                assert!(answered.head.contains("cache-control: no-store"), "{answered:?}");
            }
        }
    }
}

#[test]
fn what_changes_something_needs_more_than_a_viewer() {
    let mut names = BTreeSet::new();
    for route in ROUTES {
        assert!(names.insert(route.name), "{} is there twice", route.name);
        assert_eq!(route.reads(), route.role == Role::Viewer, "{}", route.name);
        assert!(!route.reads() || route.body.is_none(), "{}", route.name);
    }
    assert!(names.len() >= 17, "{names:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_a_team_shows_its_plane_alone_and_opens_nothing_that_shows_both() {
    let limits = Limits { requests_per_second: 10_000, burst: 10_000, ..Limits::default() };
    let bench = Bench::new(true, limits).await;
    for own in Plane::ALL {
        let head = ["Content-Type: application/json".to_owned(), format!("Authorization: Bearer {}", team_secret(own))];
        // By hand: what a team may. Of everything else a new route is no part until somebody says so.
        let open = [
            "list_incidents",
            "show_incident",
            "show_timeline",
            "acknowledge_incident",
            "close_incident",
            "reopen_incident",
            "comment_incident",
            "list_silences",
            "list_rules",
            "list_sources",
            "list_receivers",
            "describe",
        ];
        for route in ROUTES {
            let path = format!("/api/v1{}", route.described().replace("{id}", "inc_002"));
            let method = route.method.name().to_uppercase();
            let answered = bench.send(&method, &path, &head, &example(route.name).to_string()).await;
            let expected = if open.contains(&route.name) { 200 } else { 403 };
            assert_eq!(answered.status, expected, "{} as {}: {answered:?}", route.name, own.team());
        }
        // Incidents of the other plane alone are not there; `for` opens nothing.
        let listed = bench.send("GET", "/api/v1/incidents?limit=500", &head, "").await.json();
        let verdicts: BTreeSet<&str> =
            listed["incidents"].as_array().expect("a list").iter().filter_map(|one| one["verdict"].as_str()).collect();
        let alone = if own == Plane::Model { "model_abuse" } else { "access_compromise" };
        assert_eq!(verdicts, [alone, "both"].into());
        let (mine, other) = if own == Plane::Model { ("inc_000", "inc_001") } else { ("inc_001", "inc_000") };
        for (method, path, status) in [
            ("GET", format!("/api/v1/incidents/{mine}"), 200),
            ("GET", format!("/api/v1/incidents/{mine}?for={}", own.team()), 200),
            ("GET", format!("/api/v1/incidents/{mine}?for=all"), 403),
            ("GET", format!("/api/v1/incidents/{mine}?for={}", own.other().team()), 403),
            ("GET", format!("/api/v1/incidents/{other}"), 404),
            ("GET", format!("/api/v1/incidents/{other}/timeline"), 404),
            ("GET", format!("/api/v1/incidents/{mine}/messages/iam-pager"), 403),
            ("POST", format!("/api/v1/incidents/{other}/acknowledge"), 404),
        ] {
            assert_eq!(bench.send(method, &path, &head, "{}").await.status, status, "{method} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_case_is_shown_as_a_team_may_see_it() {
    let bench = Bench::new(true, Limits::default()).await;
    let shown = |case: &Value| case["timeline"][0]["columns"]["content"].as_str().unwrap_or_default().to_owned();
    let path = "/api/v1/incidents/inc_002";
    let all = bench.get(path, Some(Role::Viewer)).await.json();
    assert!(shown(&all).starts_with("Ignore what"), "{all}");
    let head = [format!("Authorization: Bearer {}", team_secret(Plane::Access))];
    let team = bench.send("GET", path, &head, "").await.json();
    let asked = bench.get(&format!("{path}?for=iam"), Some(Role::Viewer)).await.json();
    assert_eq!(team, asked);
    assert_eq!(team["incident"]["rules"], json!(["stolen-token"]));
    assert!(!team.to_string().contains("Ignore what"), "{team}");
    let model = bench.get(&format!("{path}?for=ai-security"), Some(Role::Viewer)).await.json();
    assert!(shown(&model).starts_with("Ignore what") && !model.to_string().contains("203.0.113.9"), "{model}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_act_is_done_told_and_written_down() {
    let bench = Bench::new(true, Limits::default()).await;
    let responder = Some(Role::Responder);
    let done =
        bench.post("/api/v1/incidents/inc_001/acknowledge", responder, &json!({"note": "mine \u{202e}\n"})).await;
    assert_eq!(done.status, 200, "{done:?}");
    let incident = &done.json()["incident"];
    assert_eq!((incident["status"].as_str(), incident["revision"].as_u64()), (Some("acknowledged"), Some(2)));
    assert_eq!(incident["handled"]["by"], "the-responder");
    let audited = bench.audited();
    assert_eq!(audited.len(), 2, "{audited:?}");
    let phases: Vec<&str> = audited.iter().filter_map(|line| line["phase"].as_str()).collect();
    assert_eq!(phases, ["asked", "done"]);
    assert_eq!(audited[0]["request"], audited[1]["request"]);
    assert_eq!(audited[0]["body"]["note"], "mine \u{202e}\n");
    for line in &audited {
        assert_eq!((line["who"].as_str(), line["from"].as_str()), (Some("the-responder"), Some("127.0.0.1")));
        assert_eq!((line["what"].as_str(), line["object"].as_str()), (Some("acknowledge_incident"), Some("inc_001")));
    }
    assert_eq!(
        (&audited[1]["before"]["status"], &audited[1]["after"]["status"]),
        (&json!("open"), &json!("acknowledged"))
    );

    let closed = bench
        .post(
            "/api/v1/incidents/inc_001/close",
            responder,
            &json!({"disposition": "false_positive", "note": "a drill"}),
        )
        .await;
    assert_eq!(closed.json()["incident"]["handled"]["disposition"], "false_positive");
    let shown = bench.get("/api/v1/incidents/inc_001", Some(Role::Viewer)).await.json();
    assert_eq!(shown["incident"]["status"], "closed");
    assert_eq!(shown["handled"].as_array().map(Vec::len), Some(2));
    assert_eq!(shown["revisions"].as_array().map(Vec::len), Some(2));

    // What can't be done is written down as well.
    let merged = bench.post("/api/v1/incidents/inc_007/reopen", responder, &json!({})).await;
    assert_eq!((merged.status, merged.json()["detail"].as_str()), (409, Some("it became part of another")));
    let unknown = bench.post("/api/v1/incidents/inc_0/comment", responder, &json!({"note": "x"})).await;
    assert_eq!(unknown.status, 404);
    let refused: Vec<Value> = bench.audited().into_iter().filter(|line| line["phase"] == "refused").collect();
    assert_eq!(refused.len(), 2);
    assert_eq!(refused[0]["reason"], "it became part of another");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_erased_is_nowhere_to_be_found() {
    let bench = Bench::new(true, Limits::default()).await;
    let whom = json!({"tenant": "acme", "principal": "p3"});
    let erased = bench.post("/api/v1/principals/erase", Some(Role::Admin), &whom).await;
    assert_eq!((erased.status, erased.json()), (200, json!({"cases": 6})));
    let found = bench.get("/api/v1/incidents?principal=p3", Some(Role::Viewer)).await.json();
    assert_eq!(found["incidents"], json!([]));
    let shown = bench.get("/api/v1/incidents/inc_003", Some(Role::Viewer)).await;
    assert!(shown.status == 200 && !shown.body.contains("\"p3\""), "{shown:?}");
    let audited = bench.audited();
    assert_eq!(audited[1]["after"], json!({"cases": 6}));
    assert!(!audited.iter().any(|line| line.to_string().contains("\"p3\"")), "{audited:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_written_down_is_not_done() {
    let folder = tempfile::tempdir().expect("a folder");
    let full = PathBuf::from("/dev/full");
    if !full.exists() {
        return;
    }
    let bench = Bench::with_audit(true, Limits::default(), folder, full).await.expect("it can be opened");
    let refused = bench.post("/api/v1/incidents/inc_001/acknowledge", Some(Role::Responder), &json!({})).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.json()["detail"].as_str().is_some_and(|detail| detail.contains("file of changes")), "{refused:?}");
    let shown = bench.get("/api/v1/incidents/inc_001", Some(Role::Viewer)).await.json();
    assert_eq!((shown["incident"]["status"].as_str(), shown["incident"]["revision"].as_u64()), (Some("open"), Some(1)));

    let folder = tempfile::tempdir().expect("a folder");
    let nowhere = PathBuf::from("/proc/none/audit.jsonl");
    let error = Bench::with_audit(true, Limits::default(), folder, nowhere).await.err().expect("no start without it");
    assert!(error.to_string().contains("set console.audit"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_filtered_and_paged_without_gap_or_repeat() {
    let bench = Bench::new(true, Limits::default()).await;
    let viewer = Some(Role::Viewer);
    let ids = |page: &Value| -> Vec<String> {
        let incidents = page["incidents"].as_array().expect("a list");
        incidents.iter().filter_map(|incident| incident["incident_id"].as_str().map(str::to_owned)).collect()
    };
    let mut found = Vec::new();
    let mut path = "/api/v1/incidents?limit=7".to_owned();
    loop {
        let page = bench.get(&path, viewer).await.json();
        found.extend(ids(&page));
        match page["next"].as_str() {
            Some(next) => path = format!("/api/v1/incidents?limit=7&cursor={next}"),
            None => break,
        }
    }
    // Two are of each second: the newest first, those of one second by id.
    let expected: Vec<String> = (0..30).rev().map(|at| format!("inc_{at:03}")).collect();
    assert_eq!(found, expected);
    for (filter, count) in [
        ("status=merged", 1),
        ("status=open", 29),
        ("verdict=both", 10),
        ("severity=high", 15),
        ("severity_at_least=low", 30),
        ("severity_at_least=critical", 0),
        ("principal=p3", 6),
        ("tenant=acme", 30),
        ("tenant=acme%27%20OR%201=1", 0),
        ("rule=none", 0),
        ("since=2023-11-14T22:13:30Z", 10),
        ("until=2023-11-14T22:13:20Z", 2),
        ("verdict=both&severity=high", 5),
    ] {
        let page = bench.get(&format!("/api/v1/incidents?limit=500&{filter}"), viewer).await.json();
        assert_eq!(ids(&page).len(), count, "{filter}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_requests_are_refused_in_words() {
    let limits = Limits { requests_per_second: 1_000, burst: 1_000, ..Limits::default() };
    let bench = Bench::new(true, limits).await;
    let viewer = Some(Role::Viewer);
    let long = "x".repeat(2_000);
    for (path, status) in [
        ("/api/v1/incidents?limit=0".to_owned(), 400),
        ("/api/v1/incidents?limit=501".to_owned(), 400),
        ("/api/v1/incidents?limit=%2B5".to_owned(), 400),
        ("/api/v1/incidents?limit=99999999999999999999999".to_owned(), 400),
        ("/api/v1/incidents?limit=1&limit=1".to_owned(), 400),
        ("/api/v1/incidents?status=OPEN".to_owned(), 400),
        ("/api/v1/incidents?cursor=AAAA".to_owned(), 400),
        ("/api/v1/incidents?since=now".to_owned(), 400),
        ("/api/v1/incidents?%00=%00".to_owned(), 400),
        (format!("/api/v1/incidents?tenant={long}"), 400),
        (format!("/api/v1/incidents/{long}"), 400),
        ("/api/v1/incidents/inc_00".to_owned(), 404),
        ("/api/v1/incidents/%2e%2e%2fetc".to_owned(), 404),
        ("/api/v1/incidents/%ff%fe".to_owned(), 400),
        ("/api/v1/incidents/%3Cscript%3E".to_owned(), 404),
        ("/api/v1/".to_owned(), 404),
        ("/api/v1/nothing".to_owned(), 404),
    ] {
        let answered = bench.get(&path, viewer).await;
        assert_eq!(answered.status, status, "{path}: {answered:?}");
        assert!(answered.head.contains("application/problem+json"), "{path}: {answered:?}");
    }
    let path = "/api/v1/incidents/inc_002/comment";
    let (json_type, responder) = ("Content-Type: application/json".to_owned(), bearer(Role::Responder));
    let deep = format!("{{\"note\":{}1{}}}", "[".repeat(20_000), "]".repeat(20_000));
    for (head, body, status) in [
        (vec![responder.clone()], r#"{"note":"x"}"#.to_owned(), 415),
        (vec![responder.clone(), "Content-Type: text/plain".to_owned()], r#"{"note":"x"}"#.to_owned(), 415),
        (vec![responder.clone(), json_type.clone()], "x".repeat(70_000), 413),
        (vec![responder.clone(), json_type.clone()], deep, 400),
        (vec![responder.clone(), json_type.clone()], r#"{"note":"x","by":"root"}"#.to_owned(), 400),
        (vec![responder.clone(), json_type.clone()], r#"{"note":"  \n"}"#.to_owned(), 400),
        (vec![responder.clone(), json_type.clone()], r#"{"note":5}"#.to_owned(), 400),
        (vec![responder.clone(), json_type.clone()], "{\"note\":\"\u{0}\"}".to_owned(), 400),
        (vec![responder.clone(), json_type.clone()], json!({"note": "x".repeat(4_001)}).to_string(), 400),
        // A page of another site can send neither header.
        (vec![json_type.clone(), "Cookie: token=x".to_owned()], r#"{"note":"x"}"#.to_owned(), 401),
        (vec![json_type.clone(), "Authorization: Basic eDp4".to_owned()], r#"{"note":"x"}"#.to_owned(), 401),
        (vec![json_type.clone(), "Authorization: Bearer ".to_owned()], r#"{"note":"x"}"#.to_owned(), 401),
        (vec![json_type.clone(), responder.clone(), responder.clone()], r#"{"note":"x"}"#.to_owned(), 401),
        (vec![json_type.clone(), format!("{responder}x")], r#"{"note":"x"}"#.to_owned(), 401),
    ] {
        let answered = bench.send("POST", path, &head, &body).await;
        assert_eq!(answered.status, status, "{head:?} {}: {answered:?}", &body[..body.len().min(40)]);
    }
    let wrong_method = bench.send("PUT", path, &[responder, json_type], "{}").await;
    assert_eq!(wrong_method.status, 405);
    assert!(wrong_method.head.contains("allow: post"), "{wrong_method:?}");
    assert!(bench.audited().is_empty(), "nothing of that is a change");
    assert_eq!(bench.get("/healthz", None).await.status, 200);
    assert_eq!(bench.get("/metrics", None).await.status, 401);
    assert_eq!(bench.get("/metrics", viewer).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_too_often_is_told_when_to_come_back_and_harms_no_other() {
    let limits = Limits { requests_per_second: 1, burst: 3, ..Limits::default() };
    let bench = Bench::new(true, limits).await;
    let mut statuses = Vec::new();
    for _ in 0..6 {
        let answered = bench.get("/api/v1/incidents", Some(Role::Viewer)).await;
        if answered.status == 429 {
            assert!(answered.head.contains("retry-after: 1"), "{answered:?}");
        }
        statuses.push(answered.status);
    }
    assert_eq!(statuses[..3], [200; 3]);
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(bench.get("/api/v1/incidents", Some(Role::Admin)).await.status, 200);
    // Guessing takes from the address, and is slowed down alike.
    let mut guesses = Vec::new();
    for _ in 0..6 {
        guesses
            .push(bench.send("GET", "/api/v1/incidents", &["Authorization: Bearer guess".to_owned()], "").await.status);
    }
    assert!(guesses[..2] == [401; 2] && guesses.contains(&429), "{guesses:?}");
}

/// A reader of events.
struct Listener {
    socket: TcpStream,
    read: String,
}

impl Listener {
    async fn new(bench: &Bench, query: &str, last: Option<&str>) -> Self {
        let mut socket = TcpStream::connect(bench.served.address).await.expect("it listens");
        let last = last.map(|last| format!("Last-Event-ID: {last}\r\n")).unwrap_or_default();
        let request =
            format!("GET /api/v1/events{query} HTTP/1.1\r\nHost: localhost\r\n{}\r\n{last}\r\n", bearer(Role::Viewer));
        socket.write_all(request.as_bytes()).await.expect("it reads");
        Listener { socket, read: String::new() }
    }

    /// Reads until this has been read.
    async fn until(&mut self, part: &str) -> &str {
        let mut buffer = [0; 4_096];
        while !self.read.contains(part) {
            let read = tokio::time::timeout(Duration::from_secs(20), self.socket.read(&mut buffer)).await;
            match read.expect("it comes in time").expect("the socket holds") {
                0 => panic!("{part:?} did not come: {}", self.read),
                count => self.read.push_str(&String::from_utf8_lossy(&buffer[..count])),
            }
        }
        &self.read
    }

    fn last_id(&self) -> String {
        self.read.rsplit("id: ").next().and_then(|rest| rest.lines().next()).expect("an id").to_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listeners_hear_revisions_and_go_on_where_they_were() {
    let bench = Bench::new(true, Limits { event_readers: 2, ..Limits::default() }).await;
    let mut first = Listener::new(&bench, "?verdict=both", None).await;
    first.until(": listening").await;
    bench.publish(&[incident(0), incident(2), incident(3), incident(5)]);
    let heard = first.until("inc_005").await;
    assert!(heard.contains("text/event-stream") && heard.contains("event: incident"), "{heard}");
    assert!(heard.contains("inc_002") && !heard.contains("inc_000") && !heard.contains("inc_003"), "{heard}");
    let last = first.last_id();
    drop(first);
    // While nobody listened there was more.
    bench.publish(&[incident(8), incident(9)]);
    let mut again = Listener::new(&bench, "", Some(&last)).await;
    let heard = again.until("inc_009").await;
    assert!(heard.contains("inc_008") && !heard.contains("inc_005") && !heard.contains("event: reset"), "{heard}");
    // Another run of the engine, and what is no id at all.
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    for unknown in ["00000000-5", "x", "-", "5", "99999999999999999999-99999999999999999999"] {
        loop {
            let mut reset = Listener::new(&bench, "", Some(unknown)).await;
            // The server may not have learned yet that the one before has gone.
            if reset.until("\r\n\r\n").await.starts_with("HTTP/1.1 503") && std::time::Instant::now() < deadline {
                continue;
            }
            reset.until("event: reset").await;
            break;
        }
    }
    // A third reader has no place; of those that went, the server learns when it next writes.
    let mut held = vec![again];
    loop {
        let mut more = Listener::new(&bench, "", None).await;
        more.until("\r\n\r\n").await;
        if more.read.starts_with("HTTP/1.1 503") {
            assert!(more.read.contains("as many readers"), "{}", more.read);
            break;
        }
        held.push(more);
        assert!(held.len() <= 2 && std::time::Instant::now() < deadline);
    }
}

/// Whatever it is that somebody may read: what a person wrote, what an event says, what a rule found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_holds_a_secret() {
    let limits = Limits { requests_per_second: 10_000, burst: 10_000, ..Limits::default() };
    let bench = Bench::new(true, limits).await;
    let (token, key) = ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "q7Rt2Xk9Lm4Zp8Wv3Bn6Yc1Hd5Jf");
    let text = format!("https://x.example/?api_key=hunter2&k={token}");
    let mut listener = Listener::new(&bench, "", None).await;
    listener.until(": listening").await;
    let signal: Signal = serde_json::from_value(json!({
        "signal_id": "s", "rule": "r", "rule_version": "v", "plane": "model", "severity": "high", "tenant": "acme",
        "principal": text, "session_id": text, "event_time": "2026-03-01T10:00:00Z", "revision": 1, "reason": "found",
        "withdrawn": false, "evidence": [],
        "key": {"credential_id": key, "asked": key}, "details": {"target": text, "said": [text, {"more": key}]},
    }))
    .expect("a signal");
    let revised = IncidentRevision { principal: Some(text.clone()), sessions: vec![text.clone()], ..incident(1) };
    bench.questions.lock().expect("not poisoned").live.publish(&[signal], &[revised]);
    let note = json!({"note": text});
    let done = bench.post("/api/v1/incidents/inc_001/comment", Some(Role::Responder), &note).await;
    let mut answers = vec![("listen", listener.until("inc_001").await.to_owned()), ("comment", done.body)];
    for route in ROUTES.iter().filter(|route| route.reads() && route.name != "listen") {
        let path = format!("/api/v1{}", route.described().replace("{id}", "inc_001"));
        answers.push((route.name, bench.get(&path, Some(Role::Viewer)).await.body));
    }
    for (name, answer) in &answers {
        for secret in ["hunter2", token] {
            assert!(!answer.contains(secret), "{name} shows {secret}: {answer}");
        }
        let said = ["listen", "comment", "show_incident", "list_signals"].contains(name);
        assert!(!said || answer.contains("[masked:"), "{name}: {answer}");
    }
    let signals = answers.iter().find(|(name, _)| *name == "list_signals").expect("it was asked").1.clone();
    // What is called an id is one; whatever else a rule calls it may be a key.
    assert_eq!(signals.matches(key).count(), 1, "{signals}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_is_too_slow_is_told_and_let_go() {
    let bench = Bench::new(true, Limits::default()).await;
    let mut slow = Listener::new(&bench, "", None).await;
    slow.until(": listening").await;
    let mut big = incident(1);
    big.signals = vec!["s".repeat(1 << 20)];
    // More than the socket and what is kept hold together.
    for _ in 0..64 {
        bench.publish(std::slice::from_ref(&big));
    }
    slow.until("event: dropped").await;
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(20), slow.socket.read_to_end(&mut rest)).await.expect("it ends").ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_listening() {
    let mut bench = Bench::new(true, Limits::default()).await;
    let mut listener = Listener::new(&bench, "", None).await;
    listener.until(": listening").await;
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let (asker, _questions) = questions();
    let health = Arc::new(Health::new(Duration::from_secs(1)));
    let other = serve(any, Arc::new(Metrics::new()), health, asker).await.expect("it is served");
    let served = std::mem::replace(&mut bench.served, other);
    tokio::time::timeout(Duration::from_secs(20), served.stop()).await.expect("it does not wait for readers");
    listener.until("event: end").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_their_number_are_sent_away() {
    let bench = Bench::new(true, Limits { connections: 2, event_readers: 1, ..Limits::default() }).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut listener = Listener::new(&bench, "", None).await;
        listener.until("\r\n\r\n").await;
        held.push(listener);
    }
    assert_eq!(bench.get("/healthz", None).await.status, 503);
}

/// Whoever wants to be reached from elsewhere has to say who may.
#[tokio::test]
async fn nothing_is_served_beyond_loopback_without_tokens() {
    let (asker, _questions) = questions();
    let health = Arc::new(Health::new(Duration::from_secs(1)));
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let error = serve(everywhere, Arc::new(Metrics::new()), health, asker).await.expect_err("it is refused");
    assert!(error.to_string().contains("[[console.tokens]]"), "{error}");
}

/// The copy in the documentation is what is served.
#[test]
fn the_description_is_written_down() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&path, openapi::text()).expect("it can be written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == openapi::text(), "docs/openapi.json is not what is served: write it with UPDATE_EXPECTED=1");
}

/// Every reference of the description leads somewhere, and what is described is a route.
#[test]
fn the_description_is_whole() {
    let document: Value = serde_json::from_str(openapi::text()).expect("JSON");
    let mut references = Vec::new();
    fn walk(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                    found.push(reference.to_owned());
                }
                members.values().for_each(|value| walk(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| walk(value, found)),
            _ => {}
        }
    }
    walk(&document, &mut references);
    assert!(references.len() > 20);
    for reference in references {
        let at = reference.strip_prefix('#').expect("a place in the document");
        assert!(document.pointer(at).is_some(), "{reference} leads nowhere");
    }
    let described: usize = document["paths"]
        .as_object()
        .expect("paths")
        .values()
        .map(|path| path.as_object().map_or(0, |path| path.len()))
        .sum();
    assert_eq!(described, ROUTES.len());
}
