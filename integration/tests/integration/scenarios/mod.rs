//! Every scenario and its twin, through the whole pipeline.

mod bad_files;
mod kafka;

use std::collections::BTreeSet;

use watershed_integration::scenarios::{Company, Played, Scenario, Story, differences, play};
use watershed_integration::wait::say;

/// Fewer messages than this in all stories together, and silence could pass for success.
const MESSAGES: usize = 130;
/// Fewer scenarios than this are not all of them.
const SCENARIOS: usize = 52;
/// Where records come in another order, a line stands for no more of them than this: what is late is settled one by one, and for
/// ten thousand that takes minutes.
const MANY: usize = 600;
/// Orders of arrival that each story is played in beside its own.
const ORDERS: u64 = 4;
/// Where rows are refused, another order is another story.
const LEFT_OUT: [&str; 3] = ["clock-of-the-future", "clock-of-the-future (twin)", "late-evidence (twin)"];

fn scenarios() -> Vec<Scenario> {
    Scenario::all()
        .unwrap_or_else(|faults| panic!("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))
}

/// Plays a story as it happens.
fn as_it_happens(company: &Company, scenario: &Scenario, story: &Story) -> Played {
    play(company, &scenario.config, &story.arrivals(), &story.idle(), &story.deeds)
        .unwrap_or_else(|error| panic!("{}: {error:#}", scenario.id))
}

#[test]
fn each_owner_hears_what_the_analyst_expects() {
    let company = Company::found().expect("a company");
    let wanted = std::env::var("SCENARIO").ok();
    let mut wrong = Vec::new();
    let (mut told, mut played_stories) = (0, 0);
    for scenario in scenarios().iter().filter(|one| wanted.as_ref().is_none_or(|wanted| one.id.contains(wanted))) {
        let mut outcomes = Vec::new();
        let began = std::time::Instant::now();
        for (which, story) in [("", &scenario.story), (" (twin)", &scenario.twin)] {
            let played = as_it_happens(&company, scenario, story);
            told += played.heard.len();
            played_stories += 1;
            let lines = differences(story, &played);
            if !lines.is_empty() {
                wrong.push(format!("{}{which}: {}\n  {}", scenario.path.display(), story.title, lines.join("\n  ")));
            }
            outcomes.push((played.outcome(), reasons(&played), coverage(&played)));
        }
        if wanted.is_some() {
            say(&format!("{} took {:?}", scenario.id, began.elapsed()));
        }
        if outcomes[0] == outcomes[1] {
            wrong.push(format!("{}: the twin ends as the story does", scenario.path.display()));
        }
    }
    say(&format!("{played_stories} stories, {told} messages"));
    assert!(wrong.is_empty(), "{} stories end otherwise:\n{}", wrong.len(), wrong.join("\n"));
    if wanted.is_none() {
        assert!(played_stories >= 2 * SCENARIOS, "{played_stories} stories were played");
        assert!(told >= MESSAGES, "{told} messages were sent");
    }
}

fn reasons(played: &Played) -> Vec<(String, Option<String>, &'static str)> {
    let reason = |heard: &watershed_integration::scenarios::Heard| {
        let message = &heard.message;
        (message.receiver.clone(), message.principal.clone(), message.reason.name())
    };
    played.heard.iter().map(reason).collect()
}

fn coverage(played: &Played) -> Vec<watershed_schemas::Coverage> {
    played.last.values().map(|incident| incident.coverage).collect()
}

#[test]
fn what_a_story_comes_to_does_not_depend_on_the_order_of_arrival() {
    let company = Company::found().expect("a company");
    let wanted = std::env::var("SCENARIO").ok();
    let mut wrong = Vec::new();
    let mut left_out = BTreeSet::new();
    let mut compared = 0;
    for scenario in scenarios().iter().filter(|one| wanted.as_ref().is_none_or(|wanted| one.id.contains(wanted))) {
        for (which, story) in [("", &scenario.story), (" (twin)", &scenario.twin)] {
            // What is refused in one order is not in another.
            if story.refuses() {
                left_out.insert(format!("{}{which}", scenario.id));
                continue;
            }
            let story = story.at_most(MANY);
            let straight = as_it_happens(&company, scenario, &story).outcome();
            for seed in 0..ORDERS {
                let played = as_it_happens(&company, scenario, &story.shuffled(seed));
                compared += 1;
                assert_eq!(played.refused, 0, "{}{which}: order {seed} is within lateness", scenario.id);
                if played.outcome() != straight {
                    let outcome = |outcome: &[serde_json::Value]| {
                        outcome.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n    ")
                    };
                    wrong.push(format!(
                        "{}{which} in order {seed} comes to\n    {}\n  and straight to\n    {}",
                        scenario.id,
                        outcome(&played.outcome()),
                        outcome(&straight)
                    ));
                }
            }
        }
    }
    say(&format!("{compared} other orders"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    if wanted.is_none() {
        assert_eq!(left_out.iter().map(String::as_str).collect::<Vec<_>>(), LEFT_OUT, "docs/scenarios.md names them");
        assert!(compared >= ORDERS as usize * 2 * (SCENARIOS - 1), "{compared} other orders");
    }
}
