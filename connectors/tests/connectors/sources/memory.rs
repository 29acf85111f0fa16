use std::time::Duration;

use watershed_connectors::sources::memory::channel;
use watershed_connectors::sources::{Positions, Source, SourceEvent};
use watershed_schemas::{Plane, Timestamp};

use super::{batch, partition, poll, record};

#[test]
fn what_is_sent_comes_in_order_and_then_the_end_once() {
    let own = partition(Plane::Model, 0);
    let (handle, mut source) = channel(vec![own.clone()], 8);
    handle.send(batch(&own, 1, vec![record(0, "a")])).expect("open");
    handle.caught_up(own.clone(), Timestamp::from_secs(9)).expect("open");
    handle.clone().end().expect("open");
    assert!(matches!(poll(&mut source), SourceEvent::Batch(batch) if batch.records.len() == 1));
    assert!(matches!(poll(&mut source), SourceEvent::CaughtUp { at, .. } if at == Timestamp::from_secs(9)));
    assert!(matches!(poll(&mut source), SourceEvent::End));
    assert!(matches!(source.poll(Duration::ZERO), Ok(SourceEvent::Quiet)));
    assert_eq!(source.partitions(), [own]);
}

#[test]
fn dropping_every_handle_is_an_end() {
    let (handle, mut source) = channel(Vec::new(), 1);
    drop(handle);
    assert!(matches!(poll(&mut source), SourceEvent::End));
}

#[test]
fn a_restart_skips_what_was_processed_and_commits_are_seen() {
    let own = partition(Plane::Access, 1);
    let (handle, mut source) = channel(vec![own.clone()], 8);
    source.resume_from(&Positions::from([(own.clone(), 2)])).expect("accepted");
    handle.send(batch(&own, 1, vec![record(0, "a"), record(1, "b")])).expect("open");
    handle.send(batch(&own, 2, vec![record(1, "b"), record(2, "c")])).expect("open");
    assert!(matches!(poll(&mut source), SourceEvent::Quiet));
    assert!(matches!(poll(&mut source), SourceEvent::Batch(batch) if super::payloads(&batch) == [(2, "c".to_owned())]));
    source.commit(&Positions::from([(own.clone(), 3)])).expect("committed");
    assert_eq!(handle.committed(), Positions::from([(own, 3)]));
}

#[test]
fn a_paused_source_keeps_what_it_has() {
    let own = partition(Plane::Model, 0);
    let (handle, mut source) = channel(vec![own.clone()], 1);
    handle.send(batch(&own, 1, vec![record(0, "a")])).expect("open");
    source.pause(true).expect("paused");
    assert!(matches!(source.poll(Duration::ZERO), Ok(SourceEvent::Quiet)));
    source.pause(false).expect("resumed");
    assert!(matches!(poll(&mut source), SourceEvent::Batch(_)));
}

#[test]
fn a_closed_source_tells_its_feeder() {
    let own = partition(Plane::Model, 0);
    let (handle, mut source) = channel(vec![own.clone()], 1);
    source.close(Duration::ZERO);
    assert!(handle.send(batch(&own, 1, vec![record(0, "a")])).is_err());
}
