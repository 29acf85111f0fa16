//! A topic of librdkafka's own mock cluster: real sockets, the real protocol, and errors on demand.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use watershed_connectors::sinks::SendError;

use super::*;

const TOPIC: &str = "incidents";

fn cluster() -> MockCluster<'static, DefaultProducerContext> {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    cluster.create_topic(TOPIC, 2, 1).expect("a topic");
    cluster
}

fn sink(brokers: &str, format: &str) -> Arc<dyn Sink> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let brokers: Vec<&str> = brokers.split(',').collect();
    build(&settings(&directory, json!({ "type": "kafka", "brokers": brokers, "topic": TOPIC, "format": format }), &[]))
}

/// Partition, key, id and value of so many records.
fn records(brokers: &str, count: usize) -> Vec<(i32, String, String, Value)> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", "t").create().expect("a consumer");
    let mut partitions = TopicPartitionList::new();
    for partition in 0..2 {
        partitions.add_partition_offset(TOPIC, partition, Offset::Beginning).expect("a partition");
    }
    consumer.assign(&partitions).expect("assigned");
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut records = Vec::new();
    while records.len() < count {
        assert!(Instant::now() < deadline, "{} of {count} records", records.len());
        let Some(record) = consumer.poll(Duration::from_millis(100)) else { continue };
        let record = record.expect("a record");
        let headers = record.headers().expect("headers");
        let id =
            headers.iter().find(|header| header.key == "watershed.notification_id").and_then(|header| header.value);
        let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.expect("bytes").to_vec()).expect("text");
        records.push((
            record.partition(),
            text(record.key()),
            text(id),
            serde_json::from_slice(record.payload().expect("a value")).expect("JSON"),
        ));
    }
    records
}

#[tokio::test]
async fn records_of_an_incident_share_a_partition_and_accepted_means_written() {
    let cluster = cluster();
    let brokers = cluster.bootstrap_servers();
    let sink = sink(&brokers, "json");
    let heard = watershed_connectors::sinks::Heard::default();
    for message in [opened(), resolved()] {
        sink.send(&message, &Attempt { heard: Some(&heard), ..Attempt::at(now()) }).await.expect("written");
    }
    let found = records(&brokers, 2);
    assert_eq!(found[0].0, found[1].0);
    let ids: Vec<&str> = found.iter().map(|(_, _, id, _)| id.as_str()).collect();
    assert_eq!(ids, ["ntf_3f2a-1-ai-security", "ntf_3f2a-2-ai-security"]);
    assert!(found.iter().all(|(_, key, ..)| key == "inc_3f2a"));
    assert_eq!(found[0].3, json!(opened()));
    assert!(heard.all()[0].body.starts_with("partition "), "{:?}", heard.all());
}

#[tokio::test]
async fn findings_go_to_topics_too() {
    let cluster = cluster();
    let brokers = cluster.bootstrap_servers();
    sink(&brokers, "ocsf").send(&opened(), &Attempt::at(now())).await.expect("written");
    assert_eq!(records(&brokers, 1)[0].3["class_uid"], 2005);
}

#[tokio::test]
async fn what_brokers_refuse_is_sorted_by_what_to_do_next() {
    for (error, expected) in [
        (RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, "refused"),
        (RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "gone"),
    ] {
        let cluster = cluster();
        let sink = sink(&cluster.bootstrap_servers(), "json");
        cluster.request_errors(RDKafkaApiKey::Produce, &[error]);
        let found = match sink.send(&opened(), &Attempt::at(now())).await {
            Ok(_) => "accepted",
            Err(SendError::Retry { .. }) => "retry",
            Err(SendError::Refused { .. }) => "refused",
            Err(SendError::Gone { .. }) => "gone",
        };
        assert_eq!(found, expected, "{error:?}");
        if expected == "refused" {
            // The next message has a producer that works, whatever became of the one before.
            let next = sink.send(&resolved(), &Attempt::at(now())).await;
            assert!(next.is_ok(), "{next:?}");
        }
    }
}
