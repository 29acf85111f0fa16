//! From a validated configuration to the parts of a pipeline.

use std::sync::Arc;

use tokio::runtime::Handle;
use watershed_connectors::dlq::{DeadLetterError, DeadLetters, FileDeadLetters, KafkaDeadLetters};
use watershed_connectors::sinks::{BuildError, HttpClient, Sink};
use watershed_connectors::sources::kafka::{KafkaPast, KafkaSource};
use watershed_connectors::sources::past::{Again, Past};
use watershed_connectors::sources::recording::{RecordingError, RecordingSource};
use watershed_connectors::sources::snapshot::{Snapshot, WithSnapshots};
use watershed_connectors::sources::tail::TailSource;
use watershed_connectors::sources::{Positions, Source, SourceError};
use watershed_schemas::Timestamp;

use crate::config::{Config, DeadLetterOutput, Input, Receiver};
use crate::deliver::{self, Delivery, SystemClock};
use crate::messages::Outgoing;
use crate::store::StateStore;

/// Records that one batch of a recording takes.
pub const BATCH_RECORDS: usize = 4_096;

/// A part that can't be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source.
    #[error("the source can't be opened: {0}")]
    Source(#[from] SourceError),
    /// The recording.
    #[error("the recording can't be read: {0}")]
    Recording(#[from] RecordingError),
    /// Where rejected records go.
    #[error("{output} can't be opened: {error}")]
    DeadLetters {
        /// `dlq` or `late`.
        output: &'static str,
        /// What happened.
        error: DeadLetterError,
    },
    /// A receiver.
    #[error("receiver `{name}`: {error}")]
    Receiver {
        /// Its name.
        name: String,
        /// What happened.
        error: BuildError,
    },
    /// The delivery.
    #[error(transparent)]
    Delivery(#[from] deliver::Error),
}

/// Opens the input.
pub fn source(input: &Input, snapshots: &[Snapshot]) -> Result<Box<dyn Source>, Error> {
    let live = live(input)?;
    Ok(if snapshots.is_empty() { live } else { Box::new(WithSnapshots::new(live, snapshots)?) })
}

fn live(input: &Input) -> Result<Box<dyn Source>, Error> {
    Ok(match input {
        Input::Kafka(settings) => Box::new(KafkaSource::connect(settings.as_ref().clone())?),
        Input::File(settings) => Box::new(TailSource::new(settings)),
        Input::Recording(path) => Box::new(RecordingSource::open(path, BATCH_RECORDS)?),
    })
}

/// Opens a private reader of what the input held before some positions.
///
/// # Errors
/// When it can't be read again.
pub fn past(input: &Input, since: [Option<Timestamp>; 2], until: &Positions) -> Result<Box<dyn Past>, SourceError> {
    Ok(match input {
        Input::Kafka(settings) => Box::new(KafkaPast::open(settings.as_ref().clone(), since, until)?),
        Input::File(settings) => Box::new(Again::new(Box::new(TailSource::new(settings)), until)),
        Input::Recording(path) => {
            let opened = RecordingSource::open(path, BATCH_RECORDS);
            let source = opened.map_err(|error| SourceError::Stop(error.to_string()))?;
            Box::new(Again::new(Box::new(source), until))
        }
    })
}

/// Opens a place for dead letters.
pub fn dead_letters(output: &'static str, to: &DeadLetterOutput) -> Result<Box<dyn DeadLetters>, Error> {
    let opened: Result<Box<dyn DeadLetters>, DeadLetterError> = match to {
        DeadLetterOutput::File(path) => FileDeadLetters::open(path).map(|letters| Box::new(letters) as _),
        DeadLetterOutput::Kafka { connection, topic } => {
            KafkaDeadLetters::connect(connection, topic).map(|letters| Box::new(letters) as _)
        }
    };
    opened.map_err(|error| Error::DeadLetters { output, error })
}

/// Makes the sink of a receiver: what goes through it is masked, and written by the receiver's template.
///
/// # Errors
/// When its settings are wrong or a secret can't be read.
pub fn sink(receiver: &Receiver, http: &HttpClient) -> Result<Arc<dyn Sink>, Error> {
    let built = receiver.sink.build(http).map_err(|error| Error::Receiver { name: receiver.name.clone(), error })?;
    Ok(Arc::new(Outgoing::new(built, receiver.template.clone())))
}

/// Starts the delivery workers of every receiver.
pub fn delivery(config: &Config, runtime: &Handle, store: Arc<dyn StateStore>) -> Result<Delivery, Error> {
    let http = HttpClient::default();
    let mut receivers = Vec::new();
    for receiver in &config.receivers {
        let sink = sink(receiver, &http)?;
        receivers.push(deliver::Receiver {
            name: receiver.name.clone(),
            sink,
            sight: config.redaction.sight(&receiver.name, &receiver.planes),
            settings: receiver.delivery.clone(),
        });
    }
    Ok(Delivery::start(runtime, store, receivers, config.delivery.clone(), Arc::new(SystemClock::new()))?)
}
