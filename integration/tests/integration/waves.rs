//! Small scenarios at the present time, for tests in which the program stops and starts again.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use watershed_integration::agentdojo::{Conversation, Corpus, Detector, Label, own_corpus};
use watershed_integration::deployment::Deployment;
use watershed_integration::identity::Theft;
use watershed_integration::scenario::{self, Disorder, Scenario};
use watershed_schemas::Timestamp;

/// A guardrail that makes no mistakes: what is to be found is known exactly.
const SURE: Detector = Detector { seed: 0, overlooks: 0.0, imagines: 0.0 };

/// The clock of this machine.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    Timestamp::from_micros(i64::try_from(since.as_micros()).expect("before the year 294246"))
}

/// Twelve conversations of a few minutes ago (rules about absence speak when the out-of-orderness of a minute has passed),
/// numbered from `12 * wave`: four hijacked, four stolen, two both,
/// two neither.
pub(crate) fn wave(wave: usize) -> Scenario {
    let all = own_corpus().conversations;
    let of = |label: Label, count: usize| -> Vec<Conversation> {
        all.iter().filter(|conversation| conversation.label == label).skip(wave * 8).take(count).cloned().collect()
    };
    let conversations: Vec<Conversation> = [of(Label::Hijacked, 6), of(Label::Benign, 6)].concat();
    let corpus = Corpus { conversations, origin: "conversations of our own".to_owned() };
    let first = now().minus(Duration::from_secs(150));
    let mut scenario = scenario::build(corpus, SURE, first, Duration::from_secs(1), 5);
    let thefts = [
        Theft::RevokedTokenUsed,
        Theft::RevokedTokenToolCall,
        Theft::DeactivatedActive,
        Theft::GuessedPassword,
        Theft::RiskIgnored,
        Theft::ExpiredTokenToolCall,
    ];
    for (index, case) in scenario.cases.iter_mut().enumerate() {
        case.number = wave * 12 + index;
        case.who.principal = format!("person-{:05}@sparrow.example", case.number);
        case.who.session = format!("session-{:05}", case.number);
        case.who.credential_id = format!("token-{:05}", case.number);
        case.who.trace_id[0..4].copy_from_slice(&(case.number as u32 + 1).to_be_bytes());
        // Telemetry of two hours ago would be late by then.
        case.service = false;
        case.decoy = None;
        case.broader = false;
        case.theft = (4..10).contains(&index).then(|| thefts[index - 4]);
    }
    scenario
}

/// Produces a wave into both topics.
pub(crate) fn produce(deployment: &Deployment, scenario: &Scenario) {
    let is_first = scenario.cases.first().is_some_and(|case| case.number == 0);
    let since = is_first.then(|| now().minus(Duration::from_secs(30 * 24 * 3_600)));
    let streams = scenario::streams(scenario, since, Disorder::NONE);
    let topics = deployment.topics();
    topics.produce(&deployment.topic("identity"), &streams.identity).expect("identity telemetry");
    topics.produce(&deployment.topic("runtime"), &streams.runtime).expect("runtime telemetry");
}
