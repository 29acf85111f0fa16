//! What an error of librdkafka means for the engine.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use crate::sources::SourceError;

/// The error as the engine's: what a person must mend stops, everything else is tried again.
pub(super) fn of(what: &str, error: &KafkaError) -> SourceError {
    let text = format!("kafka: {what}: {error}");
    if matches!(
        error,
        KafkaError::MessageConsumptionFatal(_) | KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_)
    ) {
        return SourceError::Stop(text);
    }
    match error.rdkafka_error_code() {
        Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => SourceError::Stop(format!(
            "{text}: a position is no longer in its topic; raise the topic's retention, and to go on without the records \
             between, move the state directory aside and use another `group_id`"
        )),
        Some(Code::FencedInstanceId) => {
            SourceError::Stop(format!("{text}: another process has the same `instance_id`; give each its own"))
        }
        Some(
            Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::SSL
            | Code::InvalidTopic
            | Code::InvalidGroupId
            | Code::InconsistentGroupProtocol,
        ) => SourceError::Stop(text),
        _ => SourceError::Retry(text),
    }
}

/// Whether librdkafka gets over it by itself, so that reading just goes on.
pub(super) fn passes(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(Code::BrokerTransportFailure | Code::Resolve | Code::OperationTimedOut | Code::RebalanceInProgress)
    )
}
