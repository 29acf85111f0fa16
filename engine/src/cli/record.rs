//! `watershed record`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use watershed_connectors::sources::kafka::{KafkaSettings, KafkaSource};
use watershed_connectors::sources::recording::RecordingWriter;
use watershed_connectors::sources::tail::TailSource;
use watershed_connectors::sources::{Source, SourceError, SourceEvent};

use super::settings::{self, ConfigFlag};
use super::stop::Stop;
use super::{Error, Exit, Output, output};
use crate::config::Input;
use crate::console::logging;

/// How long one look at the source takes at most, and so how soon a stop is noticed.
const LOOK: Duration = Duration::from_millis(200);
/// How often what was recorded is handed to the system.
const FLUSH: Duration = Duration::from_secs(1);
/// How long leaving the group may take.
const LEAVE: Duration = Duration::from_secs(10);

/// Record both streams as they are: payload, key, headers, offset, times, order of arrival.
///
/// Nothing is decoded and nothing is committed: the recording reads in a consumer group of its own, so that a running
/// deployment is not disturbed.
#[derive(Debug, Args)]
#[command(after_help = "Example: watershed record --config watershed.toml --out recording/ --for 10m")]
pub(super) struct RecordArgs {
    #[command(flatten)]
    config: ConfigFlag,
    /// A new directory for the recording.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// How long to record; without it until Ctrl-C.
    #[arg(long = "for", value_name = "TIME", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
}

pub(super) fn record(args: &RecordArgs, output: &mut Output) -> Result<Exit, Error> {
    let loaded = settings::load(&args.config.config)?;
    logging::init(&loaded.config.log);
    let mut source = source(loaded.config.input)?;
    let created_by = concat!("watershed ", env!("CARGO_PKG_VERSION"));
    let mut writer = RecordingWriter::create(&args.out, created_by, &source.partitions()).map_err(Error::usage)?;
    let stop = Stop::on_signals()?;
    output::complain(&format!("recording into {}; stop with Ctrl-C", args.out.display()));
    let result = copy(source.as_mut(), &mut writer, &stop, args.duration);
    source.close(LEAVE);
    // What was recorded before a failure is kept.
    let manifest = writer.finish().map_err(Error::failure)?;
    result?;
    output.line(format!(
        "{} records of {} partitions in {}",
        manifest.records,
        manifest.partitions.len(),
        args.out.display()
    ))?;
    Ok(Exit::Fine)
}

fn copy(
    source: &mut dyn Source,
    writer: &mut RecordingWriter,
    stop: &Stop,
    duration: Option<Duration>,
) -> Result<(), Error> {
    let started = Instant::now();
    let mut flushed = started;
    while !stop.requested() && duration.is_none_or(|duration| started.elapsed() < duration) {
        let event = match source.poll(LOOK) {
            Ok(SourceEvent::End) => break,
            Ok(event) => event,
            Err(SourceError::Retry(reason)) => {
                tracing::warn!(%reason, "the source is away; trying again");
                continue;
            }
            Err(SourceError::Stop(reason)) => return Err(Error::Failure(reason)),
        };
        writer.write(&event).map_err(Error::failure)?;
        if flushed.elapsed() >= FLUSH {
            writer.flush().map_err(Error::failure)?;
            flushed = Instant::now();
        }
    }
    Ok(())
}

fn source(input: Input) -> Result<Box<dyn Source>, Error> {
    match input {
        Input::Kafka(settings) => {
            let settings = own_group(*settings);
            Ok(Box::new(KafkaSource::connect(settings).map_err(Error::failure)?))
        }
        Input::File(settings) => Ok(Box::new(TailSource::new(&settings))),
        Input::Recording(path) => Err(Error::Usage(format!(
            "the input is the recording `{}` already; name Kafka topics or files",
            path.display()
        ))),
    }
}

/// Reads beside the deployment, not instead of it: a group that nobody else has, and no static name in it.
fn own_group(mut settings: KafkaSettings) -> KafkaSettings {
    let now = chrono::Utc::now().timestamp_millis();
    settings.group_id = format!("{}-record-{now}-{}", settings.group_id, std::process::id());
    settings.instance_id = None;
    settings
}
