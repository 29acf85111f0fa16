//! The people, service accounts and agents of an invented company, and what they do on a quiet day.

use rand::{Rng, RngExt};
use serde_json::{Map, Value, json};
use watershed_schemas::{Plane, Timestamp};

/// How many people sign in.
const PEOPLE: usize = 200;
/// How many service accounts run jobs.
const SERVICES: usize = 12;
/// How many agents work for people.
const AGENTS: usize = 20;
/// Sessions in which an agent works for a person.
const SESSIONS: usize = 1_500;

/// The company's tenant.
pub(super) const TENANT: &str = "northwind";

const FIRST: [&str; 20] = [
    "ada", "bela", "chen", "dara", "eva", "farid", "gita", "hugo", "ines", "jun", "kofi", "lena", "mira", "noor",
    "olga", "pia", "quinn", "rosa", "sven", "tariq",
];
const LAST: [&str; 10] = ["abel", "berg", "costa", "dietz", "evans", "fuchs", "gray", "haas", "ivers", "jansen"];
const JOBS: [&str; 5] = ["research", "support", "finance", "travel", "coding"];
const TOOLS: [[&str; 4]; 5] = [
    ["search_documents", "read_document", "summarise_document", "list_folders"],
    ["find_ticket", "read_ticket", "list_customers", "get_status_page"],
    ["get_balance", "list_invoices", "read_invoice", "get_exchange_rate"],
    ["search_flights", "search_hotels", "get_weather", "list_trips"],
    ["read_file", "search_code", "list_branches", "get_build_status"],
];

/// One event on its way: when it arrives, on which stream, and its canonical JSON.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) arrives: Timestamp,
    pub(super) plane: Plane,
    pub(super) event: Map<String, Value>,
}

/// Somebody of the company.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) email: String,
    pub(super) country: &'static str,
    pub(super) asn: i64,
    pub(super) ip: String,
}

/// An agent and its job.
#[derive(Clone, Debug)]
pub(super) struct Agent {
    pub(super) id: String,
    pub(super) name: String,
    job: usize,
}

/// The cast.
pub(super) struct Company {
    pub(super) people: Vec<Person>,
    pub(super) services: Vec<Person>,
    pub(super) agents: Vec<Agent>,
}

impl Company {
    pub(super) fn found(rng: &mut impl Rng) -> Self {
        let networks = [("DE", 3_320), ("US", 7_018), ("GB", 2_856), ("IN", 55_836)];
        let mut person = |email: String, at: usize| {
            let (country, asn) = networks[rng.random_range(0..networks.len())];
            let ip = format!("10.{}.{}.{}", 20 + at / 250, at % 250, rng.random_range(2..250));
            Person { email, country, asn, ip }
        };
        let name = |at: usize| {
            format!("{}.{}@northwind.example", FIRST[at % FIRST.len()], LAST[at / FIRST.len() % LAST.len()])
        };
        let people = (0..PEOPLE).map(|at| person(name(at), at)).collect();
        let services =
            (0..SERVICES).map(|at| person(format!("svc-job-{at:02}@northwind.example"), 1_000 + at)).collect();
        let agents = (0..AGENTS)
            .map(|at| {
                let job = at % JOBS.len();
                Agent {
                    id: format!("agent-{at:02}"),
                    name: format!("{}-assistant-{}", JOBS[job], at / JOBS.len() + 1),
                    job,
                }
            })
            .collect();
        Company { people, services, agents }
    }
}

/// Writes down events with ids in the order in which they are made up.
pub(super) struct Script<'a, R: Rng> {
    pub(super) rng: &'a mut R,
    pub(super) sent: Vec<Sent>,
    numbered: u64,
    day: i64,
}

impl<'a, R: Rng> Script<'a, R> {
    pub(super) fn new(rng: &'a mut R) -> Self {
        Script { rng, sent: Vec::new(), numbered: 0, day: 0 }
    }

    /// Ids of a later day differ from those of the days before.
    pub(super) fn begin_day(&mut self, day: i64) {
        self.day = day;
    }

    /// Adds an event that arrives up to three seconds after it happened; returns its id.
    pub(super) fn event(&mut self, plane: Plane, at: Timestamp, kind: &str, columns: Value) -> String {
        self.numbered += 1;
        let id = format!("{}-{}-{:06}", if plane == Plane::Model { "rt" } else { "id" }, self.day, self.numbered);
        let mut event = Map::new();
        event.insert("event_id".into(), json!(id));
        event.insert("event_time".into(), json!(at.to_string()));
        event.insert("tenant".into(), json!(TENANT));
        event.insert("source".into(), json!(if plane == Plane::Model { "agent-gateway" } else { "idp" }));
        event.insert("kind".into(), json!(kind));
        if let Value::Object(columns) = columns {
            event.extend(columns);
        }
        let arrives = at.plus_micros(self.rng.random_range(20_000..3_000_000));
        self.sent.push(Sent { arrives, plane, event });
        id
    }

    /// The quiet day between two times: sign-ins, agents at work, routine changes, and things that look bad and aren't.
    pub(super) fn quiet_day(&mut self, company: &Company, from: Timestamp, until: Timestamp) {
        let span = until.micros() - from.micros();
        for (at, person) in company.people.iter().enumerate() {
            let time = from.plus_micros(self.rng.random_range(0..span / 2));
            self.sign_in(person, "human", time, &format!("web-{}-{at:03}", self.day));
            if at % 9 == 0 {
                self.mistyped_password(person, time);
            }
        }
        for (at, service) in company.services.iter().enumerate() {
            let mut time = from.plus_micros(self.rng.random_range(0..60_000_000));
            while time < until {
                self.sign_in(service, "service", time, &format!("job-{at:02}-{}", time.micros() / 60_000_000));
                time = time.plus_micros(900_000_000);
            }
        }
        for session in 0..SESSIONS {
            let agent = &company.agents[session % company.agents.len()];
            let person = &company.people[self.rng.random_range(0..company.people.len() - 10)];
            let time = from.plus_micros(self.rng.random_range(0..span - 400_000_000));
            self.agent_session(agent, person, time, &format!("s-{}-{session:05}", self.day));
        }
        for at in 0..6 {
            let joiner = format!("new.joiner{at}@northwind.example");
            let time = from.plus_micros(self.rng.random_range(0..span));
            self.event(Plane::Access, time, "account_created", json!({"principal": joiner, "actor": "scim-sync"}));
            self.event(
                Plane::Access,
                time.plus_micros(5_000_000),
                "group_added",
                json!({"principal": joiner, "actor": "scim-sync", "roles": ["everyone"]}),
            );
        }
    }

    fn sign_in(&mut self, person: &Person, principal_type: &str, at: Timestamp, session: &str) {
        self.event(Plane::Access, at, "authentication", json!({
            "principal": person.email, "principal_type": principal_type, "outcome": "success", "session_id": session,
            "auth_method": if principal_type == "human" { "passkey" } else { "client_credentials" },
            "mfa": principal_type == "human", "ip": person.ip, "country": person.country, "asn": person.asn,
            "user_agent": "Mozilla/5.0",
        }));
    }

    fn mistyped_password(&mut self, person: &Person, before: Timestamp) {
        for second in [20, 40] {
            self.event(Plane::Access, before.plus_micros(-second * 1_000_000), "authentication", json!({
                "principal": person.email, "principal_type": "human", "outcome": "failure", "reason": "bad password",
                "ip": person.ip, "country": person.country, "asn": person.asn,
            }));
        }
    }

    /// An agent gets a token for a person, answers a question with a few tool calls, and gives the token back.
    pub(super) fn agent_session(&mut self, agent: &Agent, person: &Person, at: Timestamp, session: &str) {
        let credential = format!("tok-{session}");
        self.event(
            Plane::Access,
            at,
            "token_exchanged",
            json!({
                "principal": person.email, "principal_type": "human", "agent_id": agent.id, "session_id": session,
                "credential_id": credential, "credential_type": "access_token", "outcome": "success",
                "client_id": agent.name, "scopes": ["documents.read", "tickets.read"],
                "expires_at": at.plus_micros(3_600_000_000).to_string(), "ip": person.ip, "country": person.country,
            }),
        );
        let mut time = at.plus_micros(2_000_000);
        let base = json!({
            "session_id": session, "agent_id": agent.id, "agent_name": agent.name, "principal": person.email,
            "credential_id": credential, "provider": "anthropic", "model": "claude-sonnet-4",
        });
        self.runtime(&base, time, "prompt", json!({"content": "Please check this for me and tell me what matters."}));
        for call in 0..self.rng.random_range(1..5) {
            time = time.plus_micros(self.rng.random_range(1_000_000..20_000_000));
            let tool = TOOLS[agent.job][self.rng.random_range(0..4)];
            let call_id = format!("{session}-c{call}");
            self.runtime(
                &base,
                time,
                "tool_call",
                json!({"tool": tool, "tool_call_id": call_id, "arguments": {"query": "status"}}),
            );
            time = time.plus_micros(800_000);
            self.runtime(
                &base,
                time,
                "tool_result",
                json!({"tool": tool, "tool_call_id": call_id, "outcome": "success", "content": "…"}),
            );
            // Detectors are unsure now and then; nothing comes of it.
            if self.rng.random_bool(0.02) {
                self.runtime(
                    &base,
                    time.plus_micros(300_000),
                    "guardrail",
                    json!({
                        "verdict": "warn", "category": "prompt_injection", "score": 0.31, "detector": "prompt-shield",
                        "tool_call_id": call_id, "enforced": false,
                    }),
                );
            }
        }
        self.runtime(
            &base,
            time.plus_micros(3_000_000),
            "completion",
            json!({"content": "Here is what I found.", "input_tokens": 1_800, "output_tokens": 220}),
        );
    }

    /// A runtime event with the columns of its session and its own.
    pub(super) fn runtime(&mut self, base: &Value, at: Timestamp, kind: &str, columns: Value) -> String {
        let mut all = base.as_object().cloned().unwrap_or_default();
        if let Value::Object(columns) = columns {
            all.extend(columns);
        }
        self.event(Plane::Model, at, kind, Value::Object(all))
    }
}
