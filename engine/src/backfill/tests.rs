use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::time::Instant;

use bytes::Bytes;
use watershed_connectors::formats::Limits;
use watershed_connectors::sources::past::{Extent, PastEvent};
use watershed_connectors::{Partition, RawBatch, RawRecord};
use watershed_schemas::{ColumnSet, Plane};

use super::*;
use crate::evaluator::{Owner, Wanted};

const SKEW: Duration = Duration::from_secs(300);

fn partition(index: i32) -> Partition {
    Partition { plane: Plane::Model, topic: "runtime".into(), index }
}

fn raw(index: i32, offset: i64, written: i64) -> RawBatch {
    let event = format!(r#"{{"event_id":"e{index}-{offset}","event_time":"2026-01-01T00:00:00Z","kind":"prompt"}}"#);
    let timestamp = Some(Timestamp::from_secs(written));
    let record = RawRecord { offset, timestamp, key: None, headers: Vec::new(), payload: Bytes::from(event) };
    RawBatch {
        partition: partition(index),
        format: "watershed".into(),
        tenant: "default".into(),
        received: Timestamp::from_secs(written),
        records: vec![record],
    }
}

/// A log as it is told.
struct Told {
    events: VecDeque<Result<PastEvent, SourceError>>,
    extents: BTreeMap<Partition, Extent>,
}

impl Reading for Told {
    fn poll(&mut self, _: Duration) -> Result<PastEvent, SourceError> {
        self.events.pop_front().unwrap_or(Ok(PastEvent::End))
    }

    fn extents(&self) -> BTreeMap<Partition, Extent> {
        self.extents.clone()
    }
}

/// A backfiller that opens this log, once.
fn of(events: Vec<Result<PastEvent, SourceError>>, extents: &[(i32, Extent)]) -> Backfiller {
    let extents = extents.iter().map(|(index, extent)| (partition(*index), *extent)).collect();
    let log = Mutex::new(Some(Told { events: events.into(), extents }));
    let open = move |since: [Option<Timestamp>; 2], _: &Positions| {
        assert_eq!(since, [Some(Timestamp::from_secs(1_000 - 300)), None], "from as early as clocks may differ");
        let log = log.lock().expect("no panic").take();
        log.map(|log| Box::new(log) as _).ok_or_else(|| SourceError::Stop("it was opened twice".to_owned()))
    };
    Backfiller::new(open, Registry::builtin(Limits::default()), SKEW)
}

fn wanted(ticket: u64) -> Vec<Backfill> {
    let owner = Owner { rule: "a-rule".to_owned(), version: "v".to_owned() };
    let since = [Some(Timestamp::from_secs(1_000)), None];
    let until = [(partition(0), 4), (partition(1), 1)].into();
    vec![Backfill { wanted: Wanted { owner, ticket, since, until }, columns: [ColumnSet::ALL; 2] }]
}

/// What comes of it, turn by turn; each gives one batch at most.
fn turns(backfiller: &mut Backfiller) -> Vec<Past> {
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut all = Vec::new();
    while !all.iter().any(|past| matches!(past, Past::End { .. })) {
        assert!(Instant::now() < deadline, "it does not end");
        let inputs = backfiller.turn(wanted(7));
        assert!(inputs.len() <= 1, "{inputs:?}");
        for input in inputs {
            let Input::Past { rule, ticket, past } = input else { panic!("{input:?}") };
            assert_eq!((rule.as_str(), ticket), ("a-rule", 7));
            all.push(past);
        }
        std::thread::yield_now();
    }
    all
}

#[test]
fn a_log_is_given_in_turns_and_its_end_says_since_when_it_is_whole() {
    let batch = |index, offset, written| Ok(PastEvent::Batch(raw(index, offset, written)));
    let whole = Extent { from: 2, until: 4, whole: true };
    let cut = Extent { from: 0, until: 1, whole: false };
    for (second, since) in [(whole, Timestamp::MIN), (cut, Timestamp::from_secs(2_000 + 300))] {
        let second = Extent { from: 0, until: 1, ..second };
        let events = vec![
            batch(0, 2, 1_500),
            Ok(PastEvent::Quiet),
            Err(SourceError::Retry("a broker is away".to_owned())),
            batch(0, 3, 1_600),
            batch(1, 0, 2_000),
        ];
        let all = turns(&mut of(events, &[(0, whole), (1, second)]));
        let percents: Vec<u8> = all
            .iter()
            .filter_map(|past| match past {
                Past::Rows { batch, percent } if batch.rows.num_rows() == 1 => Some(*percent),
                _ => None,
            })
            .collect();
        assert_eq!(percents, [33, 66, 100]);
        let Some(Past::End { since: [model, access], failed: None }) = all.last() else { panic!("{all:?}") };
        // Of the other plane nothing was asked for.
        assert_eq!((*model, *access), (since, Timestamp::MIN));
    }
}

#[test]
fn a_log_that_can_not_be_read_says_why() {
    let stop = || Err(SourceError::Stop("the topic is gone".to_owned()));
    let extent = Extent { from: 2, until: 4, whole: true };
    let all = turns(&mut of(vec![stop()], &[(0, extent)]));
    let Some(Past::End { since, failed }) = all.last() else { panic!("{all:?}") };
    assert_eq!((*since, failed.as_deref()), ([Timestamp::MAX; 2], Some("the topic is gone")));
}

#[test]
fn what_nobody_wants_any_more_is_not_given() {
    let extent = Extent { from: 0, until: 4, whole: true };
    let mut backfiller = of(vec![Ok(PastEvent::Batch(raw(0, 0, 1_500)))], &[(0, extent)]);
    backfiller.turn(wanted(7));
    assert_eq!(backfiller.readers.len(), 1);
    assert!(backfiller.turn(Vec::new()).is_empty());
    assert!(backfiller.readers.is_empty());
}
