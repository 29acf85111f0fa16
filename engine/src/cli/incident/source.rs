//! Where incidents come from: telemetry that is replayed through the engine, or an engine that runs.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use url::Url;
use watershed_connectors::escape::for_log;
use watershed_schemas::{Case, Notification};

use crate::cases::view::{Viewer, for_viewer, mark_held};
use crate::cases::{Cases, Entry, Filter, Settings};
use crate::cli::formats::OwnMappings;
use crate::cli::identity::{TOKEN, fetch, post};
use crate::cli::{Error, InputFile, output, replay, settings};
use crate::config::Rules;
use crate::core::Core;
use crate::pipeline::{Parts, Pipeline, Turn};
use crate::redact::{Redaction, mask_answer};
use crate::replay::Reasons;
use crate::router::Router;

/// How long one look at the input waits.
const POLL: Duration = Duration::from_millis(100);
/// Records that one batch takes: few, so that revisions tell how an incident grew.
const BATCH: usize = 1_000;
/// Incidents that one page of a running engine holds.
const PAGE: usize = 500;
/// Characters of an id that is not abbreviated.
const WHOLE_ID: usize = 28;
/// Pages that are asked for at most.
const PAGES: usize = 200;

/// Where to look.
#[derive(Debug, Args)]
#[group(skip)]
pub(super) struct SourceArgs {
    /// A directory that `watershed record` or `watershed demo --record` wrote.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["runtime", "identity"])]
    recording: Option<PathBuf>,
    /// Files of runtime telemetry instead of a recording: JSON lines, also .gz and .zst.
    #[arg(long, value_name = "[FORMAT:]FILE", num_args = 1..)]
    runtime: Vec<InputFile>,
    /// Files of identity telemetry instead of a recording.
    #[arg(long, value_name = "[FORMAT:]FILE", num_args = 1..)]
    identity: Vec<InputFile>,
    /// An engine that runs: the address of its console, such as http://127.0.0.1:9464. Its token is read from WATERSHED_TOKEN.
    #[arg(long, value_name = "URL", conflicts_with_all = ["recording", "runtime", "identity", "rules", "reference", "config"])]
    url: Option<Url>,
    /// Mappings of one's own.
    #[command(flatten)]
    own: OwnMappings,
    /// Rules to run instead of the catalog that is built in.
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// Reference tables: agents, tools and others.
    #[arg(long, value_name = "DIR")]
    reference: Option<PathBuf>,
    /// Settings of time, rules, incidents and limits; its input is not read.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// One page of a running engine's list.
#[derive(Deserialize)]
struct Page {
    incidents: Vec<Entry>,
    #[serde(default)]
    next: Option<String>,
}

impl SourceArgs {
    /// The incidents that are wanted, the latest first.
    pub(super) fn list(&self, filter: &Filter, limit: usize) -> Result<Vec<Entry>, Error> {
        match &self.url {
            Some(url) => {
                let mut entries = Vec::new();
                each_page(url, filter, limit.min(PAGE), TOKEN, |incident| {
                    entries.push(incident);
                    entries.len() < limit
                })?;
                Ok(entries)
            }
            None => {
                let pipeline = self.play()?;
                let cases = pipeline.cases().into_iter().flat_map(|cases| cases.list(filter));
                cases.take(limit).map(|entry| mask_answer(entry).map_err(Error::failure)).collect()
            }
        }
    }

    /// The file of one incident as this viewer may see it. Fingerprints are made where the key is.
    pub(super) fn case(&self, id: &str, viewer: Viewer) -> Result<Case, Error> {
        let unknown = || Error::Failure(format!("there is no incident `{}`; `incident list` names them", for_log(id)));
        match &self.url {
            Some(url) => {
                let id = whole_id(url, id, TOKEN)?.ok_or_else(unknown)?;
                let mut address = address(url, &["incidents", &id])?;
                if viewer != Viewer::All {
                    address.query_pairs_mut().append_pair("for", viewer.name());
                }
                let value = fetch(&address, TOKEN)?;
                serde_json::from_value(value).map_err(|error| not_ours(url, &error))
            }
            None => {
                let pipeline = self.play()?;
                let cases = pipeline.cases().ok_or_else(unknown)?;
                let entry = cases.find(id).map_err(Error::usage)?.ok_or_else(unknown)?;
                let case = cases.get(&entry.incident_id).map_err(Error::failure)?.ok_or_else(unknown)?;
                let mut case = mask_answer(&case).map_err(Error::failure)?;
                let Some(router) = pipeline.router() else {
                    return Ok(for_viewer(case, viewer, &Redaction::default()));
                };
                mark_held(&mut case, &router.held_back(&entry.incident_id));
                Ok(for_viewer(case, viewer, router.redaction()))
            }
        }
    }

    /// The body that a receiver of the running engine would be sent of an incident now, where an engine is named.
    pub(super) fn rendered(&self, id: &str, receiver: &str) -> Result<Option<serde_json::Value>, Error> {
        let Some(url) = &self.url else { return Ok(None) };
        let unknown = || Error::Failure(format!("there is no incident `{}`; `incident list` names them", for_log(id)));
        let id = whole_id(url, id, TOKEN)?.ok_or_else(unknown)?;
        let answer = fetch(&address(url, &["incidents", &id, "messages", receiver])?, TOKEN)?;
        Ok(Some(answer["body"].clone()))
    }

    /// Every message that the receivers of the configuration get when the telemetry is replayed, in their order.
    pub(super) fn messages(&self) -> Result<Vec<Notification>, Error> {
        if self.url.is_some() {
            let message = "a running engine shows what one receiver would be sent now: name it with --receiver, without \
                           --all, --example and --template; or name a recording of it with --recording";
            return Err(Error::Usage(message.to_owned()));
        }
        let mut messages = Vec::new();
        self.play_hearing(|turn| messages.append(&mut turn.notifications))?;
        Ok(messages)
    }

    /// Replays the telemetry to its end, as `replay` does.
    fn play(&self) -> Result<Pipeline, Error> {
        self.play_hearing(|_| {})
    }

    fn play_hearing(&self, mut hear: impl FnMut(&mut Turn)) -> Result<Pipeline, Error> {
        if self.recording.is_none() && self.runtime.is_empty() && self.identity.is_empty() {
            return Err(Error::Usage("name --recording, files with --runtime or --identity, or --url".to_owned()));
        }
        if let Some(dir) = self.recording.as_ref().filter(|dir| !dir.is_dir()) {
            let message = "is no directory; name one that `watershed record` or `watershed demo --record` wrote";
            return Err(Error::Usage(format!("--recording: `{}` {message}", dir.display())));
        }
        for file in self.runtime.iter().chain(&self.identity) {
            if !file.path.is_file() {
                return Err(Error::Usage(format!("`{}` is not a file; name files of telemetry", file.path.display())));
            }
        }
        let loaded = self.config.as_deref().map(settings::load).transpose()?;
        let config = loaded.as_ref().map(|loaded| &loaded.config);
        let reference = replay::reference(self.reference.as_deref(), config)?;
        let rules = match &self.rules {
            Some(path) => Rules { catalog: false, paths: vec![path.clone()], ..Rules::default() },
            None => config.map_or_else(|| Rules { catalog: true, ..Rules::default() }, |config| config.rules.clone()),
        };
        let setups = settings::rules(&rules, &reference)?;
        let mut core = config.map(|config| config.core).unwrap_or_default();
        core.cold = false;
        // How far an incident reaches is asked of all of them.
        core.all_state = true;
        let inputs = replay::Inputs {
            recording: self.recording.as_deref(),
            runtime: &self.runtime,
            identity: &self.identity,
            format: None,
            own: &self.own,
            batch_size: BATCH,
        };
        let intake = replay::intake(&inputs, config, &mut core)?;
        let reasons = Reasons::default();
        let letters = || Some(Box::new(reasons.clone()) as _);
        let cases = Cases::open(config.map_or_else(Settings::default, |config| config.cases), None);
        let router =
            config.map(|config| Router::new(config.routes.clone(), &setups).redacting(config.redaction.for_replay()));
        let parts = Parts {
            dlq: letters(),
            late: letters(),
            cases: Some(cases.map_err(Error::failure)?),
            router,
            ..Parts::default()
        };
        let mut pipeline = Pipeline::resume(intake, Core::new(core, setups), parts).map_err(Error::failure)?;
        pipeline.name(reference.aliases());
        pipeline.refer_to(reference);
        loop {
            let mut turn = pipeline.turn(POLL).map_err(Error::failure)?;
            hear(&mut turn);
            if turn.ended {
                break;
            }
        }
        let lines = reasons.lines();
        if !lines.is_empty() {
            output::complain("not history:");
            lines.iter().for_each(|line| output::complain(line));
        }
        Ok(pipeline)
    }
}

/// The id that begins so, where it is only one.
pub(super) fn whole_id(url: &Url, id: &str, token: &str) -> Result<Option<String>, Error> {
    if id.len() >= WHOLE_ID {
        return Ok(Some(id.to_owned()));
    }
    let mut found: Vec<String> = Vec::new();
    each_page(url, &Filter::default(), PAGE, token, |incident| {
        if incident.incident_id.starts_with(id) {
            found.push(incident.incident_id);
        }
        found.last().is_none_or(|last| last != id)
    })?;
    if let Some(whole) = found.iter().find(|found| *found == id) {
        return Ok(Some(whole.clone()));
    }
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        many => {
            let ambiguous = crate::cases::Ambiguous { prefix: for_log(id), count: many.len() };
            Err(Error::usage(ambiguous))
        }
    }
}

/// Reads the list page by page, until `more` says that it is enough.
fn each_page(
    url: &Url,
    filter: &Filter,
    limit: usize,
    token: &str,
    mut more: impl FnMut(Entry) -> bool,
) -> Result<(), Error> {
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES {
        let mut address = address(url, &["incidents"])?;
        {
            let mut query = address.query_pairs_mut();
            query.append_pair("limit", &limit.to_string());
            let name = |value: Option<serde_json::Value>| value.and_then(|value| value.as_str().map(str::to_owned));
            let members = [
                ("status", name(filter.status.and_then(|status| serde_json::to_value(status).ok()))),
                ("verdict", filter.verdict.map(|verdict| verdict.name().to_owned())),
                ("since", filter.since.map(|since| since.to_string())),
                ("tenant", filter.tenant.clone()),
                ("principal", filter.principal.clone()),
                ("cursor", cursor.clone()),
            ];
            for (name, value) in members {
                if let Some(value) = value {
                    query.append_pair(name, &value);
                }
            }
        }
        let page: Page = serde_json::from_value(fetch(&address, token)?).map_err(|error| not_ours(url, &error))?;
        for incident in page.incidents {
            if !more(incident) {
                return Ok(());
            }
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(()),
        }
    }
    Ok(())
}

/// Masks what the case files of an engine that runs say of a principal; gives in how many.
pub(super) fn erase(url: &Url, tenant: &str, principal: &str) -> Result<u64, Error> {
    let body = serde_json::json!({"tenant": tenant, "principal": principal});
    let answer = post(&address(url, &["principals", "erase"])?, &body, TOKEN)?;
    answer["cases"].as_u64().ok_or_else(|| {
        let origin = url.origin().ascii_serialization();
        Error::Failure(format!("{origin} does not say what it erased: is it an engine of this version?"))
    })
}

pub(super) fn address(base: &Url, path: &[&str]) -> Result<Url, Error> {
    if !matches!(base.scheme(), "http" | "https") {
        return Err(Error::Usage(format!("--url: `{base}` is no address of a console; write http://127.0.0.1:9464")));
    }
    let mut url = base.clone();
    url.set_query(None);
    let wrong = |()| Error::Usage(format!("--url: `{base}` has no path to go on from"));
    url.path_segments_mut().map_err(wrong)?.pop_if_empty().extend(["api", "v1"]).extend(path);
    Ok(url)
}

fn not_ours(url: &Url, error: &serde_json::Error) -> Error {
    let origin = url.origin().ascii_serialization();
    Error::Failure(format!("{origin} answers with no incident ({error}): is it an engine of this version?"))
}
