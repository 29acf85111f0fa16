use watershed_connectors::sources::kafka::{KafkaSettings, KafkaSource, StartFrom};
use watershed_schemas::Timestamp;

fn settings(json: &serde_json::Value) -> Result<KafkaSettings, String> {
    serde_json::from_value(json.clone()).map_err(|error| error.to_string())
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let json = serde_json::json!({ "brokers": ["a:9092"], "runtime": [{ "topic": "ai" }] });
    let read = settings(&json).expect("valid");
    assert_eq!(read.start_from, StartFrom::Latest);
    assert_eq!((read.group_id.as_str(), read.runtime[0].format.as_str()), ("watershed", "auto"));
    assert_eq!(read.validate(), Vec::<String>::new());
    let again: KafkaSettings =
        serde_json::from_value(serde_json::to_value(&read).expect("serialises")).expect("reads back");
    assert_eq!(again, read);
}

#[test]
fn start_from_takes_a_time() {
    let json = serde_json::json!({ "brokers": [], "start_from": "2026-01-31T12:00:00Z" });
    let time = Timestamp::parse("2026-01-31T12:00:00Z").expect("a time");
    assert_eq!(settings(&json).expect("valid").start_from, StartFrom::Time(time));
    let error = settings(&serde_json::json!({ "brokers": [], "start_from": "newest" })).expect_err("no such word");
    assert!(error.contains("`newest` is neither `latest` nor `earliest`"), "{error}");
}

#[test]
fn unknown_members_are_refused() {
    let error = settings(&serde_json::json!({ "brokers": [], "group": "x" })).expect_err("unknown");
    assert!(error.contains("unknown field `group`"), "{error}");
}

#[test]
fn every_problem_is_named_at_once() {
    let json = serde_json::json!({
        "brokers": ["nowhere"],
        "runtime": [{ "topic": "same" }],
        "identity": [{ "topic": "same" }, { "topic": "a b" }],
        "tls": { "ca": "/surely/absent.pem", "cert": "/surely/absent.pem" },
        "sasl": { "mechanism": "GSSAPI", "username": "u", "password": { "env": "WATERSHED_SURELY_UNSET" } },
    });
    let problems = settings(&json).expect("well-formed").validate();
    for expected in [
        "broker `nowhere` is not \"host:port\"",
        "`tls.ca` names `/surely/absent.pem`",
        "`tls.cert` needs `tls.key`",
        "`sasl.mechanism` is `GSSAPI`, which this build can't do; use one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512",
        "`WATERSHED_SURELY_UNSET` is not set",
        "topic `same` is listed twice",
        "`a b` is not a topic's name",
    ] {
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}: {problems:#?}");
    }
}

#[test]
fn a_source_of_absent_brokers_says_so_and_closes_in_time() {
    use std::time::{Duration, Instant};
    use watershed_connectors::sources::Source;

    // Port 1 of the loopback refuses at once.
    let json = serde_json::json!({ "brokers": ["127.0.0.1:1"], "runtime": [{ "topic": "ai" }] });
    let mut source = KafkaSource::connect(settings(&json).expect("valid")).expect("made without asking a broker");
    let deadline = Instant::now() + Duration::from_secs(20);
    let error = loop {
        match source.poll(Duration::from_millis(100)) {
            Err(error) => break error.to_string(),
            Ok(event) => assert!(Instant::now() < deadline, "no error, only {event:?}"),
        }
    };
    assert!(error.contains("kafka:"), "{error}");
    let closing = Instant::now();
    source.close(Duration::from_secs(10));
    assert!(closing.elapsed() < Duration::from_secs(11));
}
