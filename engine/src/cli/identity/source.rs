//! Where a question is answered: from a recording, from files, or by an engine that runs.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::ask::ask;
use crate::cli::formats::OwnMappings;
use crate::cli::{Error, InputFile, output, replay, settings};
use crate::console::api::Question;
use crate::core::Core;
use crate::pipeline::{Parts, Pipeline};
use crate::redact::masked;
use crate::replay::Reasons;

/// How long one look at the input waits.
const POLL: Duration = Duration::from_millis(100);
/// Records that one batch takes.
const BATCH: usize = 20_000;

/// Where to look.
#[derive(Debug, Args)]
#[group(skip)]
pub(in crate::cli) struct SourceArgs {
    /// A directory that `watershed record` or `watershed demo --record` wrote.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["runtime", "identity"])]
    recording: Option<PathBuf>,
    /// Files of runtime telemetry: JSON lines, also .gz and .zst.
    #[arg(long, value_name = "[FORMAT:]FILE", num_args = 1..)]
    runtime: Vec<InputFile>,
    /// Files of identity telemetry.
    #[arg(long, value_name = "[FORMAT:]FILE", num_args = 1..)]
    identity: Vec<InputFile>,
    /// An engine that runs: the address of its console.
    #[arg(long, value_name = "URL", conflicts_with_all = ["recording", "runtime", "identity", "reference", "config"])]
    url: Option<url::Url>,
    #[command(flatten)]
    own: OwnMappings,
    /// Reference tables; `aliases` among them says which ids are one principal.
    #[arg(long, value_name = "DIR")]
    reference: Option<PathBuf>,
    /// Settings of time and limits; its input is not read.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl SourceArgs {
    /// Whether an engine is asked that runs.
    pub(in crate::cli) fn is_url(&self) -> bool {
        self.url.is_some()
    }

    /// What is known there, with secrets masked.
    pub(in crate::cli) fn answer(&self, question: &Question) -> Result<Value, Error> {
        if let Some(url) = &self.url {
            return ask(url, question);
        }
        masked(&question.answer(self.read(|_| {})?.core())).map_err(Error::failure)
    }

    /// The pipeline after it has read everything; `prepare` sees its core before.
    pub(in crate::cli) fn read(&self, prepare: impl FnOnce(&mut Core)) -> Result<Pipeline, Error> {
        if self.recording.is_none() && self.runtime.is_empty() && self.identity.is_empty() {
            return Err(Error::Usage("name --recording, files with --runtime or --identity, or --url".to_owned()));
        }
        for file in self.runtime.iter().chain(&self.identity) {
            if !file.path.is_file() {
                return Err(Error::Usage(format!("`{}` is not a file; name files of telemetry", file.path.display())));
            }
        }
        let loaded = self.config.as_deref().map(settings::load).transpose()?;
        let config = loaded.as_ref().map(|loaded| &loaded.config);
        let reference = replay::reference(self.reference.as_deref(), config)?;
        let mut core = config.map(|config| config.core).unwrap_or_default();
        let inputs = replay::Inputs {
            recording: self.recording.as_deref(),
            runtime: &self.runtime,
            identity: &self.identity,
            format: None,
            own: &self.own,
            batch_size: BATCH,
        };
        let intake = replay::intake(&inputs, config, &mut core)?;
        core.all_state = true;
        let reasons = Reasons::default();
        let letters = || Some(Box::new(reasons.clone()) as _);
        let parts = Parts { dlq: letters(), late: letters(), ..Parts::default() };
        // No rule: only what the events say of ids is learned.
        let mut core = Core::new(core, Vec::new());
        core.keep_every_version();
        prepare(&mut core);
        let mut pipeline = Pipeline::resume(intake, core, parts).map_err(Error::failure)?;
        pipeline.name(reference.aliases());
        pipeline.refer_to(reference);
        while !pipeline.turn(POLL).map_err(Error::failure)?.ended {}
        reasons.lines().iter().for_each(|line| output::complain(line));
        Ok(pipeline)
    }
}
