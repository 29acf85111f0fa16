//! What delivery does when a receiver, the network or the store does not do its part.

use std::time::Duration;

use watershed_schemas::NotifyReason::Opened;

use super::*;
use crate::deliver::{Error, ReceiverState};
use crate::messages::examples;
use crate::redact::{Class, Overrides, Policy};

fn opened(receiver: &str, incidents: &[&str]) -> Vec<Notification> {
    incidents.iter().map(|incident| notification(receiver, incident, 1, Opened)).collect()
}

#[tokio::test]
async fn a_failed_attempt_is_made_again_under_the_same_id_with_a_fresh_signature() {
    let world = World::new();
    let http = HttpReceiver::open().await.script(&[
        (500, None),
        (429, Some("7")),
        (503, Some("Thu, 01 Jan 1970 00:00:00 GMT")),
    ]);
    let delivery = world.start(vec![world.receiver("r", &http.url, ReceiverSettings::default())]);
    delivery.enqueue(world.committed(opened("r", &["a"])));
    drained(&delivery).await;
    assert_eq!(world.clock.slept(), [1, 7, 4].map(Duration::from_secs), "back-off, Retry-After, back-off");
    let requests = http.requests();
    assert_eq!(requests.len(), 4);
    assert!(requests.windows(2).all(|pair| {
        pair[0].id == pair[1].id && pair[0].timestamp < pair[1].timestamp && pair[0].signature != pair[1].signature
    }));
    let counted = snapshot(&delivery, "r");
    assert_eq!((counted.sent, counted.retried, counted.state), (1, 3, ReceiverState::Up));
}

#[tokio::test]
async fn a_retry_after_without_end_is_capped() {
    let world = World::new();
    let http = HttpReceiver::open().await.script(&[(429, Some("99999999999999999999999"))]);
    let delivery = world.start(vec![world.receiver("r", &http.url, ReceiverSettings::default())]);
    delivery.enqueue(world.committed(opened("r", &["a"])));
    drained(&delivery).await;
    assert_eq!(world.clock.slept(), [ReceiverSettings::default().retry_after_max]);
}

#[tokio::test]
async fn a_refused_message_goes_to_the_dead_letters_and_the_next_one_out() {
    let world = World::new();
    let http = HttpReceiver::open().await.script(&[(400, None), (301, None)]);
    let delivery = world.start(vec![world.receiver("r", &http.url, ReceiverSettings::default())]);
    delivery.enqueue(world.committed(opened("r", &["a", "b", "c"])));
    drained(&delivery).await;
    assert_eq!(http.ids(), ["a-1-r", "b-1-r", "c-1-r"]);
    let ids: Vec<String> = world.dead_letters().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["a-1-r", "b-1-r"]);
    assert_eq!(world.store.len(), 0);
    let counted = snapshot(&delivery, "r");
    assert_eq!((counted.sent, counted.refused, counted.dead_lettered, counted.retried), (1, 2, 2, 0));
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_asked_once_and_the_fallback_takes_all() {
    let world = World { fallback: Some("operator".to_owned()), ..World::new() };
    let (gone, operator) = (HttpReceiver::open().await.always(410), HttpReceiver::open().await);
    let settings = ReceiverSettings::default;
    let delivery = world
        .start(vec![world.receiver("r", &gone.url, settings()), world.receiver("operator", &operator.url, settings())]);
    delivery.enqueue(world.committed(opened("r", &["a", "b", "c"])));
    drained(&delivery).await;
    assert_eq!(gone.ids(), ["a-1-r"]);
    assert_eq!(operator.ids(), ["a-1-r", "b-1-r", "c-1-r"]);
    assert!(operator.requests().iter().all(|request| request.notification.receiver == "operator"));
    assert_eq!((world.store.len(), world.dead_letters().len()), (0, 0));
    let counted = snapshot(&delivery, "r");
    assert_eq!((counted.gone, counted.rerouted, counted.state), (1, 3, ReceiverState::Gone));
}

/// A receiver of the model plane is gone; what a fallback with this sight gets of a message with a prompt in it.
async fn moved_to(sight: Sight, removed: bool) -> Notification {
    let world = World { fallback: Some("fallback".to_owned()), ..World::new() };
    let (gone, fallback) = (HttpReceiver::open().await.always(410), HttpReceiver::open().await);
    let settings = ReceiverSettings::default;
    let mut receivers = vec![Receiver { sight, ..world.receiver("fallback", &fallback.url, settings()) }];
    if !removed {
        receivers.push(Receiver { sight: Sight::of(&[Plane::Model]), ..world.receiver("ai", &gone.url, settings()) });
    }
    let told = examples().into_iter().find(|example| example.name == "opened-both-ai-security").expect("an example");
    let mut message = Notification { receiver: "ai".to_owned(), ..told.notification };
    message.evidence[0].summary = "content=PLANTED PROMPT".to_owned();
    let rows = world.committed(vec![message]);
    let delivery = world.start(receivers);
    if !removed {
        delivery.enqueue(rows);
    }
    drained(&delivery).await;
    let [request] = &fallback.requests()[..] else { panic!("one message") };
    request.notification.clone()
}

#[tokio::test]
async fn a_message_that_moves_shows_its_fallback_no_more_than_it_may_see() {
    let hiding = Overrides { hide: vec![Class::Prompt], ..Overrides::default() };
    let hiding = Sight { policy: Policy::of(&Plane::ALL).with(&hiding), ..Sight::of(&Plane::ALL) };
    let blind = [
        (Sight::of(&[]), false),
        (Sight::of(&[Plane::Access]), false),
        (hiding, false),
        (Sight::of(&Plane::ALL), true),
    ];
    for (sight, removed) in blind {
        let moved = moved_to(sight, removed).await;
        let text = serde_json::json!(moved).to_string();
        for kept in [
            "PLANTED",
            "exports@collector",
            "mail.send",
            "crm.read",
            "key_reports_7",
            "injected-document",
            "agent-reports",
        ] {
            assert!(!text.contains(kept), "{kept}: {text}");
        }
        assert!(moved.planes.is_empty() && moved.evidence.is_empty() && moved.blast_radius.is_none());
        assert!(moved.first_move.starts_with("tell team ai-security some other way: its receiver ai "), "{text}");
        assert_eq!((moved.receiver.as_str(), moved.verdict), ("fallback", Verdict::Both));
        assert!(moved.withheld.iter().any(|withheld| withheld.class == "evidence" && withheld.count == 2), "{text}");
    }
    let moved = moved_to(Sight::of(&[Plane::Model]), false).await;
    assert_eq!(moved.evidence[0].summary, "content=PLANTED PROMPT", "who may see it sees it");
    assert!(moved.first_move.contains("its receiver ai is gone") && moved.first_move.contains("pause agent"));
}

#[tokio::test]
async fn a_receiver_that_is_gone_without_fallback_leaves_dead_letters() {
    let world = World { fallback: Some("r".to_owned()), ..World::new() };
    let http = HttpReceiver::open().await.always(410);
    let delivery = world.start(vec![world.receiver("r", &http.url, ReceiverSettings::default())]);
    delivery.enqueue(world.committed(opened("r", &["a", "b"])));
    drained(&delivery).await;
    assert_eq!(world.dead_letters().len(), 2);
    assert_eq!(world.store.len(), 0);
}

#[tokio::test]
async fn a_message_that_its_receiver_cannot_stomach_does_not_hold_up_the_others() {
    let world = World::new();
    let http = HttpReceiver::open().await.always_for("poison-1-r", 500);
    let settings = ReceiverSettings { max_attempts: 12, ..ReceiverSettings::default() };
    let delivery = world.start(vec![world.receiver("r", &http.url, settings)]);
    delivery.enqueue(world.committed(opened("r", &["poison", "a", "b", "c"])));
    drained(&delivery).await;
    let accepted: Vec<String> = http.ids().into_iter().filter(|id| id != "poison-1-r").collect();
    assert_eq!(accepted, ["a-1-r", "b-1-r", "c-1-r"]);
    let ids: Vec<String> = world.dead_letters().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["poison-1-r"]);
    assert!(http.ids().iter().position(|id| id == "a-1-r") < http.ids().iter().rposition(|id| id == "poison-1-r"));
}

#[tokio::test]
async fn a_receiver_that_is_down_loses_no_message_until_they_are_too_old() {
    let world = World::new();
    let http = HttpReceiver::open().await.always(503);
    let settings = ReceiverSettings { max_age: Duration::from_secs(6 * 60 * 60), ..ReceiverSettings::default() };
    let delivery = world.start(vec![world.receiver("r", &http.url, settings)]);
    delivery.enqueue(world.committed(opened("r", &["a", "b"])));
    drained(&delivery).await;
    assert!(http.ids().len() > 50, "both were tried for six hours: {}", http.ids().len());
    let ids: Vec<String> = world.dead_letters().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), 2);
    let counted = snapshot(&delivery, "r");
    assert_eq!((counted.state, counted.dead_lettered, counted.sent), (ReceiverState::Down, 2, 0));
    assert!(counted.last_error.is_some_and(|reason| reason.contains("503")));
}

#[tokio::test]
async fn a_receiver_that_comes_back_is_up_again() {
    let world = World::new();
    let http = HttpReceiver::open().await.script(&[(503, None); 9]);
    let delivery = world.start(vec![world.receiver("r", &http.url, ReceiverSettings::default())]);
    delivery.enqueue(world.committed(opened("r", &["a", "b"])));
    drained(&delivery).await;
    let counted = snapshot(&delivery, "r");
    assert_eq!((counted.state, counted.sent, counted.retried), (ReceiverState::Up, 2, 9));
}

#[tokio::test]
async fn an_attempt_that_hangs_or_finds_nobody_is_made_again() {
    let world = World::new();
    let held = HttpReceiver::held().await;
    let settings =
        ReceiverSettings { attempt_timeout: Duration::from_millis(20), max_attempts: 2, ..ReceiverSettings::default() };
    // A port that was free a moment ago: nobody listens there.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address");
    let delivery = world.start(vec![
        world.receiver("hung", &held.url, settings.clone()),
        world.receiver(
            "closed",
            &format!("http://{closed}/"),
            ReceiverSettings { attempt_timeout: Duration::from_secs(10), ..settings },
        ),
    ]);
    let rows = [opened("hung", &["a"]), opened("closed", &["a"])].concat();
    delivery.enqueue(world.committed(rows));
    drained(&delivery).await;
    for name in ["hung", "closed"] {
        let counted = snapshot(&delivery, name);
        assert_eq!((counted.retried, counted.dead_lettered), (1, 1), "{counted:?}");
    }
}

#[tokio::test]
async fn a_store_that_fails_stops_delivery_and_keeps_the_rows() {
    let world = World::new();
    let http = HttpReceiver::held().await;
    let delivery = world.start(vec![world.receiver("r", &http.url, ReceiverSettings::default())]);
    delivery.enqueue(world.committed(opened("r", &["a", "b"])));
    within(http.arrival()).await;
    world.store.break_now();
    http.release();
    // The worker ends by itself.
    let shared = std::sync::Arc::clone(&delivery.shared);
    assert_eq!(within(delivery.stop(Duration::from_secs(20))).await, 2);
    assert_eq!(shared.failure.get().map(String::as_str), Some("the disk is gone"));
    assert_eq!(world.store.len(), 2);
    assert_eq!(http.ids(), ["a-1-r"]);
}

#[tokio::test]
async fn dead_letters_that_cannot_be_written_keep_the_message() {
    let world = World::new();
    let http = HttpReceiver::open().await.script(&[(400, None)]);
    std::fs::create_dir(world.directory.path().join("dead.jsonl")).expect("a directory in the file's place");
    let delivery = world.start(vec![world.receiver("r", &http.url, ReceiverSettings::default())]);
    delivery.enqueue(world.committed(opened("r", &["a"])));
    drained(&delivery).await;
    assert_eq!(http.ids(), ["a-1-r"; 2], "refused, kept, and accepted the second time");
}

#[tokio::test]
async fn stored_rows_that_nobody_can_take_go_to_the_dead_letters() {
    let world = World::new();
    world.committed(opened("removed", &["a"]));
    world.store.put((OutboxRow::key(99), b"{\"torn".to_vec()));
    let delivery = world.start(vec![]);
    assert_eq!(delivery.pending(), 0);
    assert_eq!(world.store.len(), 0);
    let letters = world.dead_letters();
    assert_eq!(letters[0].0, "a-1-removed");
    assert!(letters[1].1.contains("can't be read"), "{letters:?}");
}

#[tokio::test]
async fn rows_of_a_receiver_that_is_no_longer_configured_go_to_the_fallback() {
    let world = World { fallback: Some("operator".to_owned()), ..World::new() };
    let http = HttpReceiver::open().await;
    world.committed(opened("removed", &["a"]));
    let delivery = world.start(vec![world.receiver("operator", &http.url, ReceiverSettings::default())]);
    drained(&delivery).await;
    assert_eq!(http.ids(), ["a-1-removed"]);
    assert_eq!(world.store.len(), 0);
}

#[tokio::test]
async fn names_that_lead_nowhere_are_refused_at_the_start() {
    let world = World { fallback: Some("nobody".to_owned()), ..World::new() };
    assert!(matches!(world.try_start(vec![]), Err(Error::UnknownFallback(name)) if name == "nobody"));
    let world = World::new();
    let twice = || world.receiver("r", "http://127.0.0.1:1/", ReceiverSettings::default());
    assert!(matches!(world.try_start(vec![twice(), twice()]), Err(Error::DuplicateReceiver(name)) if name == "r"));
}
