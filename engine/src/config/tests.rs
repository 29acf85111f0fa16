//! Every fixture `tests/config/*.toml` beside what is said about it, in `*.expected`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use watershed_schemas::{Plane, PlaneScores, Severity};

use super::*;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config")
}

fn load(name: &str) -> Result<Loaded, Problems> {
    let text = fs::read_to_string(fixtures().join(name)).expect("the fixture is there");
    Config::parse(Path::new(name), text)
}

fn loaded(name: &str) -> Loaded {
    load(name).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn every_fixture_says_what_is_expected() {
    let mut names: Vec<String> = fs::read_dir(fixtures())
        .expect("fixtures are there")
        .map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".toml"))
        .collect();
    names.sort();
    assert!(names.len() >= 7, "fixtures are missing: {names:?}");
    for name in names {
        let said = match load(&name) {
            Ok(loaded) if loaded.warnings.is_empty() => "fine\n".to_owned(),
            Ok(loaded) => format!("{}\n", loaded.warnings),
            Err(problems) => format!("{problems}\n"),
        };
        let expected = fixtures().join(&name).with_extension("expected");
        if std::env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(&expected, &said).expect("it can be written");
        }
        let there = fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(said, there, "{name}: if the new text is better, write it with UPDATE_EXPECTED=1");
    }
}

#[test]
fn a_secret_that_stands_in_the_file_is_not_repeated() {
    let problems = load("shapes.toml").expect_err("it is full of problems").to_string();
    assert!(problems.contains("a secret can't stand in the file"), "{problems}");
    assert!(!problems.contains("this-is-a-secret"), "{problems}");
}

#[test]
fn every_problem_of_a_file_has_its_line() {
    for name in ["shapes.toml", "values.toml", "routing.toml", "unrouted.toml", "syntax.toml"] {
        let problems = load(name).expect_err("it is full of problems");
        for problem in problems.iter() {
            let of_nothing = ["input", "receivers", "routing.fallback"].contains(&problem.setting.as_str());
            assert!(problem.line.is_some() || of_nothing, "{problem}");
        }
    }
}

#[test]
fn what_is_written_is_what_runs() {
    let Config {
        input,
        core,
        rules,
        store,
        receivers,
        routes,
        delivery,
        dlq,
        late,
        rule_time,
        record_limits,
        console,
        log,
        ..
    } = loaded("complete.toml").config;
    let Input::Kafka(kafka) = input else { panic!("the input is Kafka") };
    assert_eq!(kafka.group_id, "watershed-eu");
    assert_eq!(core.times[Plane::Model.index()].out_of_orderness, Duration::from_secs(30));
    assert_eq!(core.times[Plane::Access.index()].out_of_orderness, Duration::from_secs(60), "the default");
    assert_eq!(core.times[Plane::Access.index()].allowed_lateness, Duration::from_secs(3_600));
    assert_eq!((core.skew, core.present), (Duration::from_secs(120), [true, true]));
    assert_eq!(
        (core.incidents.gap, core.incidents.threshold),
        (Duration::from_secs(45 * 60), PlaneScores { model: 1.5, access: 1.5 })
    );
    assert_eq!(core.limits.rows_per_key, 50_000);
    assert_eq!((core.limits.rule_bytes, core.limits.state_bytes, core.cold), (64 << 20, 1 << 30, false));
    assert_eq!((rule_time, rules.reload_every), (Duration::from_secs(2), Duration::from_secs(30)));
    let tuned = &rules.tuning["repeated-denials-then-allow"];
    assert!(tuned.backfill && tuned.shadow && rules.catalog);
    assert_eq!(tuned.severity, Some(Severity::Critical));
    assert_eq!(tuned.weights.map(|weights| weights.both()), Some([Some(0.5), None]));
    let [excepted] = rules.exceptions.as_slice() else { panic!("one exception") };
    assert_eq!(excepted.matches["tool"], ["list_files", "read_inbox"].map(str::to_owned).into());
    assert_eq!(store.options.cache_bytes, 128 << 20);
    let names: Vec<&str> = receivers.iter().map(|receiver| receiver.name.as_str()).collect();
    assert_eq!(names, ["ai-slack", "iam-pager", "soc", "operator"]);
    assert_eq!(receivers[0].planes, [Plane::Model], "the plane that the team owns");
    assert_eq!(receivers[2].planes, [Plane::Model, Plane::Access]);
    assert_eq!(receivers[1].delivery.max_attempts, 50);
    assert_eq!(routes.fallback, Some(3));
    assert_eq!(routes.external_url.as_deref(), Some("https://watershed.acme.example"));
    assert_eq!(routes.routes[0].receivers, [2]);
    assert!(routes.routes[0].and_on && !routes.routes[1].and_on);
    assert_eq!(routes.routes[1].matchers.plane, Some(Plane::Access));
    assert_eq!((delivery.fallback.as_deref(), delivery.outbox_limit), (Some("operator"), 20_000));
    assert!(
        matches!(dlq, DeadLetterOutput::Kafka { topic, connection } if topic == "watershed.dlq" && connection.sasl.is_some())
    );
    assert!(matches!(late, DeadLetterOutput::File(path) if path == Path::new("target/late.jsonl")));
    assert_eq!(record_limits.json_depth, 32);
    assert_eq!(console.map(|console| console.listen.port()), Some(9999));
    assert_eq!(log, Log { json: Some(true), level: "info,watershed_engine=debug".to_owned() });
}

#[test]
fn what_is_not_said_in_a_route_is_said_around_it() {
    let routes = loaded("routes.toml").config.routes;
    let [acme] = routes.routes.as_slice() else { panic!("there is one route") };
    let [small, access] = acme.routes.as_slice() else { panic!("it has two routes") };
    assert_eq!((acme.receivers.as_slice(), small.receivers.as_slice()), (&[0, 1][..], &[0, 1][..]));
    assert_eq!(access.receivers, [1]);
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    assert_eq!(routes.policy.group_interval, minutes(1));
    assert_eq!((small.policy.group_wait, small.policy.group_interval), (Duration::from_secs(30), minutes(1)));
    assert_eq!((acme.policy.repeat_interval, small.policy.repeat_interval), (Some(minutes(240)), None));
    assert_eq!((access.policy.escalate.len(), small.policy.escalate.len()), (1, 0));
    assert_eq!((small.policy.mute.as_slice(), acme.policy.mute.len()), (&[0, 1][..], 0));
    assert_eq!(access.policy, acme.policy);
    assert!(routes.silences[0].configured && routes.silences[0].id.starts_with("sil_"));
}

#[test]
fn everything_has_a_default() {
    let config = loaded("minimal.toml").config;
    assert!(config.rules.catalog);
    assert_eq!(config.core.incidents, crate::correlator::Settings::default());
    assert_eq!(config.core.times, core::Settings::default().times);
    assert_eq!(config.console.map(|console| console.listen.to_string()).as_deref(), Some("127.0.0.1:9464"));
    assert!(matches!(config.dlq, DeadLetterOutput::File(path) if path == Path::new("watershed-state/dlq.jsonl")));
    assert!(matches!(config.late, DeadLetterOutput::File(path) if path == Path::new("watershed-state/late.jsonl")));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let problems = Config::load(Path::new("no/such/watershed.toml")).expect_err("there is none").to_string();
    assert!(problems.starts_with("no/such/watershed.toml: error: can't be read"), "{problems}");
}

proptest::proptest! {
    /// Whatever the file holds: problems, never a panic, and an end.
    #[test]
    fn mutilated_files_never_panic(cut in 0_usize..2_000, at in 0_usize..2_000, byte in proptest::prelude::any::<u8>()) {
        let mut bytes = fs::read(fixtures().join("complete.toml")).expect("the fixture is there");
        let length = bytes.len();
        bytes[at % length] = byte;
        bytes.drain(cut % length..(cut % length + 7).min(length));
        if let Ok(text) = String::from_utf8(bytes) {
            let _ = Config::parse(Path::new("mutilated.toml"), text);
        }
    }
}
