//! The demo, and its recording replayed: the same bytes, whatever the batch size and the order of arrival.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use watershed_integration::{program, recordings};

use crate::recorded::is_equal;

/// Well within the allowed lateness of a quarter of an hour.
const DELAY: Duration = Duration::from_secs(90);

#[test]
fn the_demo_tells_three_stories_and_replays_to_the_byte() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let recording = dir.path().join("recording");
    let output =
        program::succeed(["demo", "--exit", "--json", "--seed", "7", "--record", &recording.display().to_string()])
            .expect("the demo ends well");
    let text = String::from_utf8(output.stdout).expect("text");
    let last: Value = serde_json::from_str(text.lines().last().expect("a line")).expect("the last line is one object");
    let members: Vec<&str> = last.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(members, ["events", "signals", "incidents", "notifications", "rejected"]);
    let three = serde_json::json!({ "model_abuse": 1, "access_compromise": 1, "both": 1 });
    assert_eq!(last["incidents"], three, "exactly the three stories");
    for team in ["ai-security", "iam"] {
        assert!(last["notifications"][team].as_u64().expect("a count") >= 2, "{team} has two stories: {last}");
    }
    assert!(last["events"].as_u64().expect("a count") > 1_000, "there is background: {last}");

    let revisions = [replay(&recording, &["--json"], "one"), replay(&recording, &["--json"], "two")];
    assert!(revisions[0].1.lines().count() >= 3, "three incidents: {}", revisions[0].1);
    assert!(revisions[0] == revisions[1], "the same input gives the same bytes");
    same_final_states(&recording, dir.path());
    is_equal(&recording, &[]);
}

fn same_final_states(recording: &Path, dir: &Path) {
    let expected = replay(recording, &["--final"], "final");
    assert!(!expected.0.is_empty() && !expected.1.is_empty());
    for size in ["1", "7", "1000"] {
        let states = replay(recording, &["--final", "--batch-size", size], size);
        assert!(states == expected, "batch size {size} changes final states:\n{}", difference(&expected, &states));
    }
    let (partitions, events) = recordings::read(recording).expect("readable");
    for seed in 0..10 {
        let other: PathBuf = dir.join(format!("interleaving-{seed}"));
        let order = recordings::interleaved(&events, DELAY, seed);
        recordings::write(&other, &partitions, &order).expect("written");
        let states = replay(&other, &["--final"], "interleaved");
        is_equal(&other, &[]);
        assert!(states == expected, "interleaving {seed} changes final states:\n{}", difference(&expected, &states));
    }
}

/// Signals and incidents of a replay.
fn replay(recording: &Path, flags: &[&str], name: &str) -> (String, String) {
    let beside = |what: &str| format!("{}-{name}-{what}.jsonl", recording.display());
    let (signals, incidents) = (beside("signals"), beside("incidents"));
    let recording = recording.display().to_string();
    let mut arguments = vec!["replay", &recording, "--signals", &signals, "--incidents", &incidents];
    arguments.extend(flags);
    program::succeed(arguments).expect("replayed");
    let read = |path: &str| std::fs::read_to_string(path).expect("written");
    (read(&signals), read(&incidents))
}

fn difference(left: &(String, String), right: &(String, String)) -> String {
    let mut lines = Vec::new();
    for (left, right) in [(&left.0, &right.0), (&left.1, &right.1)] {
        lines.extend(left.lines().filter(|line| !right.contains(*line)).map(|line| format!("- {line}")));
        lines.extend(right.lines().filter(|line| !left.contains(*line)).map(|line| format!("+ {line}")));
    }
    lines.join("\n")
}
