//! What is wrong with delivery is told through delivery.

use watershed_schemas::NoticeState::{Firing, Resolved};
use watershed_schemas::NotifyReason::Opened;
use watershed_schemas::{NoticeKind, Timestamp};

use super::*;
use crate::operator::{Facts, PlaneFacts, Settings, Watchman, conditions, messages};

/// What is to be told of these receivers at this second.
fn told(watchman: &mut Watchman, delivery: &Delivery, second: i64) -> Vec<Notification> {
    let now = Timestamp::from_secs(1_780_000_000 + second);
    let snapshot = delivery.snapshot();
    let plane = PlaneFacts { present: true, heard: now, ever: true, rejected: 0 };
    let facts = Facts {
        now,
        planes: [plane; 2],
        stopped: Vec::new(),
        degraded: Vec::new(),
        receivers: snapshot
            .iter()
            .map(|receiver| (receiver.name.as_str(), receiver.state, receiver.last_error.as_deref()))
            .collect(),
        full: delivery.is_full().then(|| delivery.pending()),
    };
    let settings = Settings::default();
    let wrong = conditions(&facts, &settings);
    messages(&watchman.observe(now, &wrong, settings.repeat), &["ops"], now)
}

#[tokio::test]
async fn the_operator_hears_of_a_receiver_that_is_gone_and_of_a_full_outbox() {
    let world = World::new();
    let (gone, held) = (HttpReceiver::open().await.always(410), HttpReceiver::held().await);
    let ops = HttpReceiver::open().await;
    let settings = ReceiverSettings::default;
    let delivery = world.start(vec![
        world.receiver("gone", &gone.url, settings()),
        world.receiver("held", &held.url, settings()),
        world.receiver("ops", &ops.url, settings()),
    ]);
    let mut watchman = Watchman::default();
    assert_eq!(told(&mut watchman, &delivery, 0), []);
    delivery.enqueue(world.committed(vec![notification("gone", "a", 1, Opened)]));
    // Nobody takes over: it goes to the dead letters.
    drained(&delivery).await;
    let rows = ["b", "c", "d"].map(|incident| notification("held", incident, 1, Opened));
    delivery.enqueue(world.committed(rows.into()));
    let first = told(&mut watchman, &delivery, 1);
    assert_eq!(told(&mut watchman, &delivery, 2), [], "what stands is not told again");
    delivery.enqueue(world.committed(first));
    within(ops.arrival()).await;
    within(ops.arrival()).await;
    held.release();
    drained(&delivery).await;
    delivery.enqueue(world.committed(told(&mut watchman, &delivery, 3)));
    drained(&delivery).await;
    let heard: Vec<_> = ops
        .requests()
        .into_iter()
        .filter_map(|request| request.notification.notice)
        .map(|notice| (notice.kind, notice.subject, notice.state))
        .collect();
    let about = |kind, subject: &str, state| (kind, subject.to_owned(), state);
    assert_eq!(
        heard,
        [
            about(NoticeKind::ReceiverDisabled, "gone", Firing),
            about(NoticeKind::OutboxFull, "outbox", Firing),
            about(NoticeKind::OutboxFull, "outbox", Resolved),
        ]
    );
    assert_eq!(watchman.standing().count(), 1, "a receiver that is gone stays gone");
}
