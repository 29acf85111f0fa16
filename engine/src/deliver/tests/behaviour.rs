//! What delivery does while all goes well, or slowly.

use std::time::Duration;

use watershed_schemas::NotifyReason::{Opened, Resolved, SeverityRose, VerdictGrew};

use super::*;

#[tokio::test]
async fn rows_arrive_in_order_and_leave_the_store() {
    let world = World::new();
    let http = HttpReceiver::open().await;
    let delivery = world.start(vec![world.receiver("r", &http.url, ReceiverSettings::default())]);
    delivery.enqueue(world.committed(["a", "b", "c"].map(|incident| notification("r", incident, 1, Opened)).into()));
    drained(&delivery).await;
    assert_eq!(http.ids(), ["a-1-r", "b-1-r", "c-1-r"]);
    assert_eq!(world.store.len(), 0);
    assert_eq!(snapshot(&delivery, "r").sent, 3);
}

#[tokio::test]
async fn rows_of_an_earlier_run_are_sent_and_coalesce() {
    let world = World::new();
    let http = HttpReceiver::open().await;
    world.committed(vec![
        notification("r", "a", 1, Opened),
        notification("r", "b", 1, Opened),
        notification("r", "a", 2, SeverityRose),
        notification("r", "a", 3, VerdictGrew),
        notification("r", "b", 2, Resolved),
    ]);
    let delivery = world.start(vec![world.receiver("r", &http.url, ReceiverSettings::default())]);
    drained(&delivery).await;
    let told: Vec<_> = http.requests().into_iter().map(|request| (request.id, request.notification.reason)).collect();
    let expected = [("a-3-r", Opened), ("b-1-r", Opened), ("b-2-r", Resolved)];
    assert_eq!(told, expected.map(|(id, reason)| (id.to_owned(), reason)));
    assert_eq!(world.store.len(), 0);
    let counted = snapshot(&delivery, "r");
    assert_eq!((counted.sent, counted.coalesced, counted.pending), (3, 2, 0));
}

#[tokio::test]
async fn a_storm_about_one_incident_is_a_handful_of_messages() {
    let world = World::new();
    let http = HttpReceiver::held().await;
    let delivery = world.start(vec![world.receiver("r", &http.url, ReceiverSettings::default())]);
    delivery.enqueue(world.committed(vec![notification("r", "a", 1, Opened)]));
    within(http.arrival()).await;
    for revision in 2..1_000 {
        delivery.enqueue(world.committed(vec![notification("r", "a", revision, SeverityRose)]));
    }
    http.release();
    drained(&delivery).await;
    assert_eq!(http.ids(), ["a-1-r", "a-999-r"]);
    assert_eq!(world.store.len(), 0);
}

#[tokio::test]
async fn a_slow_receiver_harms_no_other() {
    let world = World::new();
    let (slow, quick) = (HttpReceiver::held().await, HttpReceiver::open().await);
    let settings = ReceiverSettings::default;
    let delivery = world
        .start(vec![world.receiver("slow", &slow.url, settings()), world.receiver("quick", &quick.url, settings())]);
    delivery.enqueue(world.committed(vec![notification("slow", "a", 1, Opened)]));
    within(slow.arrival()).await;
    let rows = (0..20).map(|n| notification("quick", &format!("i{n}"), 1, Opened)).collect();
    delivery.enqueue(world.committed(rows));
    within(delivery.drained_to(1)).await;
    assert_eq!(quick.ids().len(), 20);
    assert_eq!(snapshot(&delivery, "slow").pending, 1);
    slow.release();
    drained(&delivery).await;
    assert_eq!(slow.ids(), ["a-1-slow"]);
}

#[tokio::test]
async fn attempts_keep_the_interval_of_their_receiver() {
    let world = World::new();
    let http = HttpReceiver::open().await;
    let settings = ReceiverSettings { min_interval: Some(Duration::from_secs(1)), ..ReceiverSettings::default() };
    let delivery = world.start(vec![world.receiver("r", &http.url, settings)]);
    delivery.enqueue(world.committed(["a", "b", "c"].map(|incident| notification("r", incident, 1, Opened)).into()));
    drained(&delivery).await;
    assert_eq!(world.clock.slept(), [Duration::from_secs(1); 2]);
}

#[tokio::test]
async fn a_full_outbox_says_so_until_there_is_room() {
    let world = World::new();
    let http = HttpReceiver::held().await;
    let delivery = world.start(vec![world.receiver("r", &http.url, ReceiverSettings::default())]);
    delivery.enqueue(world.committed(["a", "b"].map(|incident| notification("r", incident, 1, Opened)).into()));
    assert!(!delivery.is_full());
    delivery.enqueue(world.committed(vec![notification("r", "c", 1, Opened)]));
    assert!(delivery.is_full());
    http.release();
    within(delivery.drained_to(2)).await;
    assert!(!delivery.is_full());
}

#[tokio::test]
async fn a_stop_leaves_to_the_next_start_what_did_not_get_out() {
    let world = World::new();
    let held = HttpReceiver::held().await;
    let delivery = world.start(vec![world.receiver("r", &held.url, ReceiverSettings::default())]);
    delivery.enqueue(world.committed(vec![notification("r", "a", 1, Opened)]));
    within(held.arrival()).await;
    assert_eq!(within(delivery.stop(Duration::from_millis(10))).await, 1);
    assert_eq!(world.store.len(), 1);

    let open = HttpReceiver::open().await;
    let delivery = world.start(vec![world.receiver("r", &open.url, ReceiverSettings::default())]);
    drained(&delivery).await;
    assert_eq!(open.ids(), held.ids(), "the same id both times");
}

#[tokio::test]
async fn a_stop_delivers_what_goes_out_at_once() {
    let world = World::new();
    let http = HttpReceiver::open().await;
    let delivery = world.start(vec![world.receiver("r", &http.url, ReceiverSettings::default())]);
    delivery.enqueue(world.committed(["a", "b", "c"].map(|incident| notification("r", incident, 1, Opened)).into()));
    assert_eq!(within(delivery.stop(Duration::from_secs(20))).await, 0);
    assert_eq!(http.ids().len(), 3);
}
