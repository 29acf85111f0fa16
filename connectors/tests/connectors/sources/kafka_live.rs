use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use watershed_connectors::dlq::{DeadLetter, DeadLetters, KafkaDeadLetters, shown};
use watershed_connectors::sources::kafka::{KafkaSettings, KafkaSource};
use watershed_connectors::sources::{Positions, Source, SourceEvent};
use watershed_schemas::{Plane, Timestamp};

fn until(source: &mut KafkaSource, what: &str, mut done: impl FnMut(&SourceEvent) -> bool) -> Vec<SourceEvent> {
    let deadline = Instant::now() + Duration::from_secs(40);
    let mut seen = Vec::new();
    while Instant::now() < deadline {
        let event = source.poll(Duration::from_millis(200)).expect("goes on");
        if !matches!(event, SourceEvent::Quiet) {
            match &event { SourceEvent::Batch(b) => eprintln!("  {} {} records from {}", b.partition, b.records.len(), b.records[0].offset), e => eprintln!("  {e:?}") }
        }
        let end = done(&event);
        seen.push(event);
        if end { return seen; }
    }
    panic!("{what} did not happen");
}

fn records(seen: &[SourceEvent]) -> usize {
    seen.iter().map(|e| match e { SourceEvent::Batch(b) => b.records.len(), _ => 0 }).sum()
}

fn caught(n: usize, after: Timestamp) -> impl FnMut(&SourceEvent) -> bool {
    let mut set = BTreeSet::new();
    move |e| { if let SourceEvent::CaughtUp { partition, at } = e && *at >= after { set.insert(partition.clone()); } set.len() == n }
}

fn now() -> Timestamp { Timestamp::from_micros(chrono::Utc::now().timestamp_micros()) }

#[test]
fn live() {
    let Ok(brokers) = std::env::var("LIVE_KAFKA") else { return };
    let suffix = now().micros();
    let (rt, id, dlq) = (format!("rt{suffix}"), format!("id{suffix}"), format!("dlq{suffix}"));
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", &brokers).create().expect("admin");
    let topics: Vec<NewTopic> = [(&rt, 2), (&id, 2), (&dlq, 1)].into_iter().map(|(t, n)| NewTopic::new(t, n, TopicReplication::Fixed(1))).collect();
    futures::executor::block_on(admin.create_topics(&topics, &AdminOptions::new())).expect("created");
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", &brokers).create().expect("producer");
    let produce = |topic: &str, n: usize| {
        for i in 0..n { producer.send(BaseRecord::<(), str>::to(topic).partition((i % 2) as i32).payload("{}")).map_err(|e| e.0).expect("sent"); }
        producer.flush(Duration::from_secs(10)).expect("flushed");
    };
    produce(&rt, 10);
    let json = |extra: serde_json::Value| {
        let mut j = serde_json::json!({ "brokers": [brokers], "group_id": format!("g{suffix}"), "session_timeout": "10s", "runtime": [{"topic": rt}], "identity": [{"topic": id}] });
        for (k, v) in extra.as_object().expect("object") { j[k] = v.clone(); }
        serde_json::from_value::<KafkaSettings>(j).expect("settings")
    };
    eprintln!("1 latest");
    let mut a = KafkaSource::connect(json(serde_json::json!({}))).expect("connects");
    until(&mut a, "assigned", |e| matches!(e, SourceEvent::Assigned(p) if p.len() == 4));
    let t = now();
    until(&mut a, "caught up", caught(4, t));
    eprintln!("  lag {:?}", a.lag());
    produce(&rt, 5);
    let t = now();
    let seen = until(&mut a, "caught up again", caught(4, t));
    assert_eq!(records(&seen), 5);
    let mut positions = Positions::new();
    for e in &seen { if let SourceEvent::Batch(b) = e { positions.insert(b.partition.clone(), b.records.last().expect("one").offset + 1); } }
    eprintln!("2 commit, close, restart at the group's offsets");
    a.commit(&positions).expect("commits");
    let c = Instant::now(); a.close(Duration::from_secs(5)); eprintln!("  closed in {:?}", c.elapsed());
    drop(a);
    produce(&rt, 3); produce(&id, 2);
    let mut a = KafkaSource::connect(json(serde_json::json!({}))).expect("connects");
    let mut n = 0;
    until(&mut a, "the five", |e| { if let SourceEvent::Batch(b) = e { n += b.records.len(); } n == 5 });
    eprintln!("3 pause: no marks, and records after");
    a.pause(true).expect("pauses");
    produce(&rt, 2);
    let p = Instant::now();
    while p.elapsed() < Duration::from_secs(4) { let e = a.poll(Duration::from_millis(100)).expect("on"); assert!(matches!(e, SourceEvent::Quiet), "{e:?}"); }
    a.pause(false).expect("resumes");
    let t = now();
    let seen = until(&mut a, "after pause", caught(4, t));
    assert_eq!(records(&seen), 2);
    eprintln!("4 transactions");
    let tx: BaseProducer = ClientConfig::new().set("bootstrap.servers", &brokers).set("transactional.id", format!("tx{suffix}")).create().expect("producer");
    tx.init_transactions(Duration::from_secs(20)).expect("init");
    for abort in [false, true] {
        tx.begin_transaction().expect("begin");
        tx.send(BaseRecord::<(), str>::to(&id).partition(0).payload("tx")).map_err(|e| e.0).expect("sent");
        tx.flush(Duration::from_secs(5)).expect("flush");
        if abort {
            let t = now();
            let hold = Instant::now();
            while hold.elapsed() < Duration::from_secs(4) {
                match a.poll(Duration::from_millis(100)).expect("on") {
                    SourceEvent::CaughtUp { partition, at } if at > t => assert!(!(*partition.topic == *id && partition.index == 0), "open transaction but {at}"),
                    _ => {}
                }
            }
            tx.abort_transaction(Duration::from_secs(10)).expect("abort");
        } else { tx.commit_transaction(Duration::from_secs(10)).expect("commit");
            let t = now(); let seen = until(&mut a, "after commit", caught(4, t)); assert_eq!(records(&seen), 1); }
    }
    let t = now();
    let seen = until(&mut a, "after abort", caught(4, t));
    assert_eq!(records(&seen), 0);
    eprintln!("5 rebalance");
    let mut b = KafkaSource::connect(json(serde_json::json!({}))).expect("connects");
    let (mut revoked, mut assigned, mut other) = (false, None, None);
    let deadline = Instant::now() + Duration::from_secs(40);
    while (assigned.is_none() || other.is_none()) && Instant::now() < deadline {
        match a.poll(Duration::from_millis(100)).expect("on") {
            SourceEvent::Revoked { partitions, lost } => {
                eprintln!("  a revoked {} lost {lost}", partitions.len());
                assert_eq!(partitions.len(), 4); assert!(!lost);
                let all: Positions = partitions.iter().map(|p| (p.clone(), if *p.topic == *rt { 9 } else { 1 })).collect();
                a.commit(&all).expect("commits while revoking");
                revoked = true;
            }
            SourceEvent::Assigned(p) => { eprintln!("  a {p:?}"); assigned = Some(p); }
            _ => {}
        }
        if let SourceEvent::Assigned(p) = b.poll(Duration::from_millis(100)).expect("on") { eprintln!("  b {p:?}"); other = Some(p); }
    }
    assert!(revoked);
    let (pa, pb) = (assigned.expect("a"), other.expect("b"));
    assert_eq!((pa.len(), pb.len()), (2, 2));
    assert!(pa.iter().all(|p| p.index == pa[0].index) && pa[0].index != pb[0].index, "range: partition i of both topics on one member");
    b.close(Duration::from_secs(5)); a.close(Duration::from_secs(5));
    eprintln!("6 stored positions win; gaps stop; timestamps");
    let own = |topic: &str, plane, index| watershed_connectors::Partition { plane, topic: topic.into(), index };
    let mut c = KafkaSource::connect(json(serde_json::json!({}))).expect("connects");
    c.resume_from(&Positions::from([(own(&rt, Plane::Model, 0), 2)])).expect("ok");
    until(&mut c, "offset 2", |e| matches!(e, SourceEvent::Batch(b) if b.partition.index == 0 && b.records[0].offset == 2));
    c.close(Duration::from_secs(5));
    let mut c = KafkaSource::connect(json(serde_json::json!({}))).expect("connects");
    c.resume_from(&Positions::from([(own(&rt, Plane::Model, 0), 2_000)])).expect("ok");
    let e = loop { if let Err(e) = c.poll(Duration::from_millis(200)) { break e; } };
    eprintln!("  {e}"); assert!(matches!(e, watershed_connectors::sources::SourceError::Stop(_)));
    c.close(Duration::from_secs(5));
    let mut c = KafkaSource::connect(json(serde_json::json!({"group_id": format!("h{suffix}"), "start_from": "2020-01-01T00:00:00Z"}))).expect("connects");
    let mut n = 0;
    until(&mut c, "all from the time", |e| { if let SourceEvent::Batch(b) = e { n += b.records.len(); } n == 23 });
    eprintln!("7 broker goes silent");
    if let Ok(pid) = std::env::var("LIVE_KAFKA_PID") {
        until(&mut c, "caught up", caught(4, Timestamp::MIN));
        std::process::Command::new("kill").args(["-STOP", &pid]).status().expect("kill");
        let stopped = now();
        let quiet = Instant::now();
        while quiet.elapsed() < Duration::from_secs(8) {
            match c.poll(Duration::from_millis(200)) { Ok(SourceEvent::CaughtUp { at, .. }) => assert!(at <= stopped.plus(Duration::from_millis(600)), "{at} though stopped at {stopped}"), Ok(_) => {}, Err(e) => eprintln!("  {e}") }
        }
        let close = Instant::now(); c.close(Duration::from_secs(2)); eprintln!("  closed a hung consumer in {:?}", close.elapsed());
        assert!(close.elapsed() < Duration::from_secs(3));
        std::process::Command::new("kill").args(["-CONT", &pid]).status().expect("kill");
    }
    eprintln!("8 dead letters");
    let mut letters = KafkaDeadLetters::connect(&json(serde_json::json!({})).connection(), &dlq).expect("connects");
    letters.write(&DeadLetter { reason: "bad".into(), plane: Plane::Model, topic: rt.clone(), partition: 1, offset: 7, part: Some(2), event_id: None, event_time: None, first_bytes: shown(b"raw"), received: now(), payload: "raw".into() }).expect("writes");
    letters.flush().expect("flushes");
    let r: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &brokers).set("group.id", "x").set("auto.offset.reset", "earliest").create().expect("consumer");
    r.subscribe(&[&dlq]).expect("subscribes");
    let m = loop { if let Some(Ok(m)) = r.poll(Duration::from_secs(1)) { break m.detach(); } };
    assert_eq!(m.payload(), Some(&b"raw"[..]));
    let h: Vec<String> = m.headers().expect("headers").iter().map(|h| format!("{}={}", h.key, String::from_utf8_lossy(h.value.unwrap_or_default()))).collect();
    eprintln!("  {h:?}");
}

#[test]
fn speed() {
    use watershed_connectors::formats::{Limits, Registry};
    use watershed_connectors::sources::files::{FileInput, PlainFiles};
    if std::env::var("LIVE_SPEED").is_err() { return }
    let dir = tempfile::tempdir().expect("dir");
    let pad = "x".repeat(560);
    let mut files = Vec::new();
    for (f, plane) in [(0, Plane::Model), (1, Plane::Access)] {
        let path = dir.path().join(format!("{f}.jsonl"));
        let mut text = String::new();
        for i in 0..250_000_i64 {
            let t = Timestamp::from_millis(1_700_000_000_000 + i * 7 + f);
            text.push_str(&format!(r#"{{"event_id":"{f}-{i}","event_time":"{t}","kind":"other","principal":"p{}","session_id":"s{}","ip":"10.0.0.1","outcome":"success","pad":"{pad}"}}"#, i % 200, i % 999));
            text.push('\n');
        }
        std::fs::write(&path, &text).expect("w");
        files.push(FileInput { plane, path, format: "watershed".into() });
    }
    for rows in [8192, 1000, 1] {
        let t = Instant::now();
        let mut plain = PlainFiles::open(files.clone(), Registry::builtin(Limits::default()), "t").expect("open");
        let mut n = 0;
        while let Some(b) = plain.next(rows).expect("next") { n += b.iter().map(|b| b.offsets.len()).sum::<usize>(); }
        eprintln!("rows {rows}: {n} in {:?} = {:.0}/s", t.elapsed(), n as f64 / t.elapsed().as_secs_f64());
    }
    let t = Instant::now();
    let mut raw = 0;
    for f in &files { let s = std::fs::read(&f.path).expect("r"); let recs: Vec<_> = s.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| watershed_connectors::RawRecord { offset: 0, timestamp: None, key: None, headers: vec![], payload: bytes::Bytes::copy_from_slice(l) }).collect();
        let batch = watershed_connectors::RawBatch { partition: watershed_connectors::Partition { plane: f.plane, topic: "t".into(), index: 0 }, format: "watershed".into(), tenant: "t".into(), received: Timestamp::MIN, records: recs };
        let t = Instant::now(); raw += Registry::builtin(Limits::default()).decode(&batch).rows.num_rows(); eprintln!("  decode alone {:?}", t.elapsed()); }
    eprintln!("{raw} decode with copies {:?}", t.elapsed());
    use watershed_connectors::sources::recording::{RecordingSource, RecordingWriter};
    let rec = dir.path().join("rec");
    let own = watershed_connectors::Partition { plane: Plane::Model, topic: "t".into(), index: 0 };
    let text = bytes::Bytes::from(std::fs::read(&files[0].path).expect("r"));
    let t = Instant::now();
    let mut w = RecordingWriter::create(&rec, "t", &[]).expect("w");
    let lines: Vec<bytes::Bytes> = text.split(|b| *b == b'\n').map(bytes::Bytes::copy_from_slice).collect();
    for chunk in lines.chunks(5_000) { w.append(&watershed_connectors::RawBatch { partition: own.clone(), format: "watershed".into(), tenant: "t".into(), received: now(), records: chunk.iter().map(|l| watershed_connectors::RawRecord { offset: 0, timestamp: Some(now()), key: None, headers: vec![], payload: l.clone() }).collect() }).expect("a"); }
    w.finish().expect("f");
    eprintln!("record 250k {:?}", t.elapsed());
    let t = Instant::now();
    let mut s = RecordingSource::open(&rec, 8192).expect("o"); let mut n = 0;
    loop { match s.poll(Duration::ZERO).expect("p") { SourceEvent::End => break, SourceEvent::Batch(b) => n += b.records.len(), _ => {} } }
    eprintln!("read {n} {:?}", t.elapsed());
}
