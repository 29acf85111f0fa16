//! The harness against itself: a broker that answers, a receiver that remembers, a scenario that repeats itself.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use watershed_integration::agentdojo::{Detector, own_corpus};
use watershed_integration::broker::{self, Record};
use watershed_integration::receivers::{Answer, Receiver};
use watershed_integration::scenario::{self, Disorder, Quadrant};
use watershed_schemas::Timestamp;

const DEADLINE: Duration = Duration::from_secs(60);

#[test]
fn a_broker_keeps_what_it_is_given() {
    let Some(broker) = broker::shared("a_broker_keeps_what_it_is_given") else { return };
    let topics = broker.topics();
    topics.create("harness", 2).expect("a topic");
    let mut second = Record::new(1, "second").at(Timestamp::from_secs(1_000));
    second.headers.push(("reason".to_owned(), b"none".to_vec()));
    topics.produce("harness", &[Record::new(0, "first"), second]).expect("produced");
    let records = topics.read_all("harness", DEADLINE).expect("read");
    let payloads: Vec<&[u8]> = records.iter().map(|record| record.payload.as_slice()).collect();
    assert_eq!(payloads, [b"first".as_slice(), b"second"]);
    assert_eq!(records[1].headers["reason"], "none");
    assert_eq!(topics.ends("harness").expect("ends"), [(0, 1), (1, 1)].into());
    assert_eq!(topics.committed("nobody", "harness").expect("offsets"), [].into());
}

#[test]
fn a_receiver_answers_as_it_is_told_and_remembers() {
    let receiver = Receiver::start().expect("a receiver");
    receiver.answer_next([Answer::Status(503)]);
    for (body, status) in [("one", 503), ("two", 200)] {
        let answer = post(&receiver.url("/hook"), body);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    let requests = receiver.wait_for("two requests", DEADLINE, |requests| requests.len() == 2).expect("they came");
    assert_eq!((requests[0].status, requests[1].status), (Some(503), Some(200)));
    assert_eq!(requests[1].body, "two");
}

/// One request, byte by byte: what the receiver understands doesn't depend on a client library.
fn post(url: &str, body: &str) -> String {
    let (host, path) = url.trim_start_matches("http://").split_once('/').expect("a path");
    let mut stream = TcpStream::connect(host).expect("it listens");
    let length = body.len();
    write!(
        stream,
        "POST /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn a_scenario_repeats_itself_and_has_every_quadrant() {
    let since = Timestamp::parse("2026-02-15T00:00:00Z").expect("a time");
    let first = Timestamp::parse("2026-03-02T06:00:00Z").expect("a time");
    let build = || scenario::build(own_corpus(), Detector::seeded(1), first, Duration::from_secs(30), 2);
    let scenario = build();
    for quadrant in [Quadrant::Neither, Quadrant::Hijacked, Quadrant::Stolen, Quadrant::Both] {
        assert!(scenario.cases.iter().any(|case| case.quadrant() == quadrant), "{quadrant:?}");
    }
    let payloads = |records: Vec<Record>| records.into_iter().map(|record| record.payload).collect::<Vec<_>>();
    let [one, two] = [
        scenario::streams(&scenario, Some(since), Disorder::usual(3)),
        scenario::streams(&build(), Some(since), Disorder::usual(3)),
    ];
    assert_eq!(payloads(one.runtime), payloads(two.runtime));
    assert_eq!(payloads(one.identity), payloads(two.identity));
}
