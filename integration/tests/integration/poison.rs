//! Records that nobody can read: the others go on, and each is kept with its reason.

use std::collections::BTreeSet;
use std::time::Duration;

use watershed_integration::broker::{self, Record};
use watershed_integration::deployment::Deployment;

use crate::recorded::{is_equal, record};
use crate::waves::{now, produce, wave};

const DEADLINE: Duration = Duration::from_secs(180);

#[test]
fn poison_goes_to_the_dead_letters_and_harms_nobody() {
    let Some(broker) = broker::shared("poison") else { return };
    let mut deployment = Deployment::new(broker, "poison").expect("a deployment");
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    let poison: Vec<(&str, Vec<u8>)> = vec![
        ("identity", b"not json".to_vec()),
        ("identity", br#"{"kind":"authentication","event_time":"yesterday"}"#.to_vec()),
        ("identity", br#"{"event_id":"truncated","event_time":"2026-0"#.to_vec()),
        ("identity", deep.clone().into_bytes()),
        ("runtime", vec![0xff; 64]),
        ("runtime", br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"#.to_vec()),
        ("runtime", deep.into_bytes()),
    ];
    for (number, (plane, payload)) in poison.iter().enumerate() {
        let record = Record::new(number as i32 % 4, payload.clone()).at(now());
        deployment.topics().produce(&deployment.topic(plane), &[record]).expect("produced");
    }
    // A tombstone is ordinary in a compacted topic.
    let tombstone = Record { payload: None, key: Some(b"gone".to_vec()), ..Record::new(0, "") };
    deployment.topics().produce(&deployment.topic("identity"), &[tombstone]).expect("produced");
    let scenario = wave(0);
    produce(&deployment, &scenario);

    let mut running = deployment.start(None).expect("watershed starts");
    deployment.settle(&mut running, DEADLINE).expect("it comes to rest");
    deployment.stop(running).expect("it stops");

    let recording = deployment.dir().join("recording");
    record(&deployment, &recording);
    is_equal(&recording, &["--config".as_ref(), deployment.config().as_os_str()]);

    let letters = deployment.topics().read_all(&deployment.topic("dlq"), DEADLINE).expect("dead letters");
    let kept: BTreeSet<(String, Vec<u8>)> =
        letters.iter().map(|letter| (letter.headers["watershed.topic"].clone(), letter.payload.clone())).collect();
    for (plane, payload) in &poison {
        let topic = deployment.topic(plane);
        assert!(kept.contains(&(topic, payload.clone())), "{plane}: {}", payload.escape_ascii());
    }
    for letter in &letters {
        assert!(letter.headers["watershed.reason"].len() > 10, "{:?}", letter.headers);
        for header in ["watershed.plane", "watershed.partition", "watershed.offset"] {
            assert!(letter.headers.contains_key(header), "{:?}", letter.headers);
        }
    }
    assert!(letters.len() <= poison.len() + 1, "nothing that can be read is a dead letter: {letters:?}");

    let (ai_security, iam) = deployment.delivered().expect("signed and well-formed");
    let paged = |messages: &[watershed_integration::receivers::Delivered]| -> BTreeSet<String> {
        messages.iter().filter_map(|message| message.notification.principal.clone()).collect()
    };
    let of = |wanted: &dyn Fn(&watershed_integration::scenario::Case) -> bool| -> BTreeSet<String> {
        scenario.cases.iter().filter(|case| wanted(case)).map(|case| case.who.principal.clone()).collect()
    };
    assert_eq!(paged(&ai_security), of(&|case| case.flagged()), "the neighbours of poison are read");
    assert_eq!(paged(&iam), of(&|case| case.theft.is_some()), "the neighbours of poison are read");
}
