//! `watershed demo`: a company's quiet day and three stories, through the production pipeline.
//!
//! Everything is what `run` uses, but for the source (memory instead of Kafka) and the teams' webhooks, which the demo
//! starts itself. What it reports is counted where it arrived.

mod company;
mod receivers;
mod stories;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use watershed_connectors::formats::{Limits, Registry};
use watershed_connectors::secret::SecretRef;
use watershed_connectors::sinks::{HttpClient, NetworkSettings, SinkSettings, WebhookSettings};
use watershed_connectors::sources::memory::{self, MemoryHandle};
use watershed_connectors::sources::recording::RecordingWriter;
use watershed_connectors::{Partition, RawBatch, RawRecord};
use watershed_schemas::{IncidentRevision, IncidentStatus, Notification, Plane, Signal, Timestamp, Verdict};

use crate::core::{Core, Settings};
use crate::deliver::{Delivery, DeliverySettings, Receiver, ReceiverSettings, SystemClock};
use crate::evaluator::RuleSetup;
use crate::intake::Intake;
use crate::pipeline::{Parts, Pipeline};
use crate::redact::Sight;
use crate::router::{self, Router, Routes};
use crate::store::{self, SledStore, StateStore};

use company::{Company, Script, Sent, TENANT};
use receivers::Inbox;
use stories::Story;

/// 2026-03-02 08:00 UTC, a Monday.
const MORNING: Timestamp = Timestamp::from_secs(1_772_438_400);
const DAY: i64 = 4 * 3_600;
const STORIES_AT: i64 = 9_000;
const PARTITIONS: i32 = 2;
/// Records that go through in one batch of a partition.
const CHUNK: usize = 64;
const TEAMS: [(&str, Plane); 2] = [("ai-security", Plane::Model), ("iam", Plane::Access)];
/// How long the receivers may take for the last messages.
const LAST_MESSAGES: Duration = Duration::from_secs(20);

/// How the demo is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// What the invented company looks like.
    pub seed: u64,
    /// Where to keep the input as a recording.
    pub record: Option<PathBuf>,
    /// Whether to end when the stories are told, instead of going on with quiet days.
    pub exit: bool,
    /// Pause between chunks of input, so that a person can watch.
    pub pace: Duration,
    /// Set from outside to end early.
    pub stop: Arc<AtomicBool>,
}

/// Something worth showing while the demo runs.
#[derive(Debug)]
pub enum Moment<'a> {
    /// So many events have gone through, of so many (0: nobody knows).
    Progress(u64, u64),
    /// A rule found something.
    Signal(&'a Signal),
    /// An incident was revised.
    Incident(&'a IncidentRevision),
    /// A message is on its way to a team.
    Notification(&'a Notification),
}

/// Incidents by their last verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Incidents {
    /// Of the model plane alone.
    pub model_abuse: u64,
    /// Of the access plane alone.
    pub access_compromise: u64,
    /// Of both.
    pub both: u64,
}

/// The counts of the last line of `--json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Events that went through.
    pub events: u64,
    /// Signals that stand.
    pub signals: u64,
    /// Incidents by verdict.
    pub incidents: Incidents,
    /// Messages that each team really received.
    pub notifications: std::collections::BTreeMap<String, u64>,
    /// Records that could not be decoded.
    pub rejected: u64,
}

/// How one story ended.
#[derive(Clone, Debug)]
pub struct Ending {
    /// The story in one line.
    pub title: String,
    /// Whom it happened to.
    pub principal: String,
    /// How it had to end.
    pub expected: Verdict,
    /// How it ended.
    pub verdict: Option<Verdict>,
    /// The teams whose webhook got it.
    pub told: Vec<String>,
}

impl Ending {
    /// Whether it ended as it had to, at exactly its teams.
    pub fn is_right(&self) -> bool {
        let teams = TEAMS.iter().filter(|(_, plane)| self.expected.planes().contains(plane)).map(|(team, _)| *team);
        self.verdict == Some(self.expected) && self.told.iter().map(String::as_str).eq(teams)
    }
}

/// What came of it all.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The counts.
    pub counts: Counts,
    /// The stories.
    pub endings: Vec<Ending>,
    /// Messages about anybody else: there must be none.
    pub strays: Vec<String>,
}

impl Report {
    /// Whether every story ended as it had to and the quiet day gave nothing.
    pub fn is_right(&self) -> bool {
        self.strays.is_empty() && !self.endings.is_empty() && self.endings.iter().all(Ending::is_right)
    }
}

/// Plays the demo with these rules.
pub fn play(options: &Options, setups: Vec<RuleSetup>, show: &mut dyn FnMut(Moment<'_>)) -> anyhow::Result<Report> {
    let directory = tempfile::tempdir().context("the demo needs a temporary directory")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let inboxes = TEAMS.map(|_| Inbox::default());
    let opened = SledStore::open(&directory.path().join("state"), store::Options::default())?;
    let store: Arc<dyn StateStore> = Arc::new(opened.store);
    let mut receivers = Vec::new();
    let http = HttpClient::default();
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "whsec_d2F0ZXJzaGVkIGRlbW8gc2VjcmV0IGtleSE=")?;
    for ((team, plane), inbox) in TEAMS.iter().zip(&inboxes) {
        let address = runtime.block_on(receivers::start(inbox.clone()))?;
        let settings = SinkSettings::Webhook(WebhookSettings {
            network: NetworkSettings { allow_private: true, ..NetworkSettings::default() },
            ..WebhookSettings::signed(format!("http://{address}/"), vec![SecretRef::File(secret.clone())])
        });
        receivers.push(Receiver {
            name: (*team).to_owned(),
            sink: settings.build(&http)?,
            sight: Sight::of(&[*plane]),
            settings: ReceiverSettings::default(),
        });
    }
    let delivery = Delivery::start(
        runtime.handle(),
        Arc::clone(&store),
        receivers,
        DeliverySettings {
            fallback: None,
            dead_letters: directory.path().join("undelivered.jsonl"),
            outbox_limit: 10_000,
        },
        Arc::new(SystemClock::new()),
    )?;

    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let company = Company::found(&mut rng);
    let (stories, first_day) = first_day(&company, &mut rng);
    let partitions = partitions();
    let (handle, source) = memory::channel(partitions.clone(), 8);
    let total = first_day.len() as u64;
    let feeder = std::thread::Builder::new().name("demo-source".into()).spawn({
        let options = options.clone();
        move || feed(&options, &company, rng, first_day, &partitions, handle)
    })?;

    let parts = Parts {
        store: Some(store),
        router: Some(Router::new(routes(), &setups)),
        delivery: Some(delivery),
        commit_interval: Duration::from_millis(200),
        ..Parts::default()
    };
    let intake = Intake::from_source(Box::new(source), Registry::builtin(Limits::default()), 1_024);
    let mut pipeline = Pipeline::resume(intake, Core::new(Settings::default(), setups), parts)?;
    let mut tally = Tally::default();
    loop {
        let turn = pipeline.turn(Duration::from_millis(50))?;
        tally.take(&turn, show);
        show(Moment::Progress(tally.counts.events, if options.exit { total } else { 0 }));
        if turn.ended {
            break;
        }
    }
    let delivered = wait_for(&runtime, &pipeline);
    if let Some(delivery) = pipeline.close(Duration::from_secs(1))? {
        runtime.block_on(delivery.stop(Duration::from_secs(1)));
    }
    match feeder.join() {
        Ok(fed) => fed?,
        Err(_) => bail!("the demo's source panicked"),
    }
    if !delivered {
        bail!("the teams' webhooks did not take every message within {} s", LAST_MESSAGES.as_secs());
    }
    Ok(tally.report(stories, &inboxes))
}

fn wait_for(runtime: &tokio::runtime::Runtime, pipeline: &Pipeline) -> bool {
    let Some(delivery) = pipeline.delivery() else { return true };
    runtime.block_on(async { tokio::time::timeout(LAST_MESSAGES, delivery.drained_to(0)).await.is_ok() })
}

fn routes() -> Routes {
    let receivers = TEAMS.map(|(team, plane)| router::Receiver {
        name: team.to_owned(),
        team: team.to_owned(),
        planes: vec![plane],
    });
    Routes { receivers: receivers.to_vec(), ..Routes::default() }
}

fn partitions() -> Vec<Partition> {
    let of = |plane: Plane| (0..PARTITIONS).map(move |index| Partition { plane, topic: plane.table().into(), index });
    Plane::ALL.into_iter().flat_map(of).collect()
}

fn first_day(company: &Company, rng: &mut ChaCha8Rng) -> (Vec<Story>, Vec<Sent>) {
    let mut script = Script::new(rng);
    script.quiet_day(company, MORNING, MORNING.plus_micros(DAY * 1_000_000));
    let stories = script.stories(company, MORNING.plus_micros(STORIES_AT * 1_000_000));
    let mut sent = script.sent;
    sent.sort_by_key(|sent| sent.arrives);
    (stories, sent)
}

/// Sends the first day, and quiet days after it unless the demo ends with its stories.
fn feed(
    options: &Options,
    company: &Company,
    mut rng: ChaCha8Rng,
    first_day: Vec<Sent>,
    partitions: &[Partition],
    handle: MemoryHandle,
) -> anyhow::Result<()> {
    let mut recording = match &options.record {
        Some(directory) => Some(RecordingWriter::create(directory, "watershed demo", partitions)?),
        None => None,
    };
    let mut offsets = std::collections::BTreeMap::new();
    let mut day = first_day;
    for number in 1.. {
        for chunk in day.chunks(CHUNK) {
            for batch in batches(chunk, partitions, &mut offsets) {
                if let Some(recording) = &mut recording {
                    recording.append(&batch)?;
                }
                if handle.send(batch).is_err() || options.stop.load(Ordering::Relaxed) {
                    return finish(recording);
                }
            }
            if !options.pace.is_zero() {
                let until = Instant::now() + options.pace;
                while Instant::now() < until {
                    std::thread::park_timeout(until.saturating_duration_since(Instant::now()));
                }
            }
        }
        if options.exit {
            break;
        }
        let morning = MORNING.plus_micros(number * 24 * 3_600 * 1_000_000);
        let mut script = Script::new(&mut rng);
        script.begin_day(number);
        script.quiet_day(company, morning, morning.plus_micros(DAY * 1_000_000));
        day = script.sent;
        day.sort_by_key(|sent| sent.arrives);
    }
    let finished = finish(recording);
    // The pipeline may have ended first.
    let _ = handle.end();
    finished
}

fn finish(recording: Option<RecordingWriter>) -> anyhow::Result<()> {
    match recording {
        Some(recording) => Ok(recording.finish().map(|_| ())?),
        None => Ok(()),
    }
}

/// The chunk's events as batches of partitions, each in order of arrival.
fn batches(
    chunk: &[Sent],
    partitions: &[Partition],
    offsets: &mut std::collections::BTreeMap<Partition, i64>,
) -> Vec<RawBatch> {
    let mut batches: Vec<RawBatch> = Vec::new();
    for (at, sent) in chunk.iter().enumerate() {
        let index = i32::try_from(at).unwrap_or(0) % PARTITIONS;
        let Some(partition) =
            partitions.iter().find(|partition| partition.plane == sent.plane && partition.index == index)
        else {
            continue;
        };
        let offset = offsets.entry(partition.clone()).or_insert(0);
        let record = RawRecord {
            offset: *offset,
            timestamp: Some(sent.arrives),
            key: None,
            headers: Vec::new(),
            payload: serde_json::Value::Object(sent.event.clone()).to_string().into(),
        };
        *offset += 1;
        match batches.iter_mut().find(|batch| batch.partition == *partition) {
            Some(batch) => batch.records.push(record),
            None => batches.push(RawBatch {
                partition: partition.clone(),
                format: "watershed".into(),
                tenant: TENANT.into(),
                received: sent.arrives,
                records: vec![record],
            }),
        }
    }
    batches
}

/// What has gone by.
#[derive(Default)]
struct Tally {
    counts: Counts,
    signals: std::collections::BTreeMap<String, bool>,
    incidents: std::collections::BTreeMap<String, IncidentRevision>,
}

impl Tally {
    fn take(&mut self, turn: &crate::pipeline::Turn, show: &mut dyn FnMut(Moment<'_>)) {
        self.counts.events += turn.counts.events.iter().sum::<u64>();
        self.counts.rejected += turn.counts.rejected.iter().sum::<u64>();
        for signal in &turn.signals {
            show(Moment::Signal(signal));
            self.signals.insert(signal.signal_id.clone(), !signal.withdrawn);
        }
        for incident in &turn.incidents {
            show(Moment::Incident(incident));
            self.incidents.insert(incident.incident_id.clone(), incident.clone());
        }
        for notification in &turn.notifications {
            show(Moment::Notification(notification));
        }
    }

    fn report(mut self, stories: Vec<Story>, inboxes: &[Inbox; 2]) -> Report {
        self.incidents
            .retain(|_, incident| !matches!(incident.status, IncidentStatus::Merged | IncidentStatus::Withdrawn));
        let received: Vec<(&str, Vec<Notification>)> =
            TEAMS.iter().zip(inboxes).map(|((team, _), inbox)| (*team, inbox.messages())).collect();
        let count = |verdict| self.incidents.values().filter(|incident| incident.verdict == verdict).count() as u64;
        self.counts.incidents = Incidents {
            model_abuse: count(Verdict::ModelAbuse),
            access_compromise: count(Verdict::AccessCompromise),
            both: count(Verdict::Both),
        };
        self.counts.signals = self.signals.values().filter(|stands| **stands).count() as u64;
        self.counts.notifications =
            received.iter().map(|(team, messages)| ((*team).to_owned(), messages.len() as u64)).collect();
        let about = |message: &Notification, story: &Story| message.principal.as_ref() == Some(&story.principal);
        let endings = stories
            .iter()
            .map(|story| Ending {
                title: story.title.to_owned(),
                principal: story.principal.clone(),
                expected: story.verdict,
                verdict: self
                    .incidents
                    .values()
                    .find(|incident| incident.principal.as_ref() == Some(&story.principal))
                    .map(|incident| incident.verdict),
                told: received
                    .iter()
                    .filter(|(_, messages)| messages.iter().any(|message| about(message, story)))
                    .map(|(team, _)| (*team).to_owned())
                    .collect(),
            })
            .collect();
        let strays = received
            .iter()
            .flat_map(|(team, messages)| messages.iter().map(move |message| (team, message)))
            .filter(|(_, message)| !stories.iter().any(|story| about(message, story)))
            .map(|(team, message)| format!("{team} got: {}", message.title))
            .chain(
                self.incidents
                    .values()
                    .filter(|incident| {
                        !stories.iter().any(|story| incident.principal.as_ref() == Some(&story.principal))
                    })
                    .map(|incident| format!("incident {} about {:?}", incident.incident_id, incident.principal)),
            )
            .collect();
        Report { counts: self.counts, endings, strays }
    }
}
