//! `watershed demo`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use comfy_table::Table;
use indicatif::{ProgressBar, ProgressStyle};
use watershed_connectors::escape::for_log;
use watershed_rules::ReferenceTables;
use watershed_schemas::{
    BlastRadius, IncidentRevision, NotifyReason, Origin, Plane, PlaneCoverage, PlaneScores, Timestamp, Verdict,
};

use super::{Error, Exit, Output, Stop, settings};
use crate::config::Rules;
use crate::demo::{self, Moment, Options, Report};

/// Show three stories of attack end to end, with nothing else running.
///
/// A synthetic company of 200 people and 20 agents works on both planes. A poisoned document makes an agent exfiltrate
/// (model abuse), a stolen token is used after its owner left (access compromise), an injected prompt mints a token that
/// another agent uses (both). Two webhook receivers show which team is told what.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct DemoArgs {
    /// End when the stories are told, instead of going on until Ctrl-C.
    #[arg(long)]
    pub exit: bool,
    /// Print one JSON object as the last line: events, signals, incidents, notifications, rejected.
    #[arg(long)]
    pub json: bool,
    /// Seed of the synthetic telemetry: the same seed tells the same stories.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Keep the input of the demo as a recording in this new directory.
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,
}

pub(super) fn demo(args: &DemoArgs, output: &mut Output) -> Result<Exit, Error> {
    let stop = Stop::on_signals()?;
    let setups = settings::rules(&Rules { catalog: true, ..Rules::default() }, &ReferenceTables::default())?;
    let watched = output.colour() && !args.json;
    let options = Options {
        seed: args.seed,
        record: args.record.clone(),
        exit: args.exit,
        // Slow enough to read where somebody watches; a script has no use for waiting.
        pace: if watched || !args.exit { Duration::from_millis(30) } else { Duration::ZERO },
        stop: stop.flag(),
    };
    let mut screen = Screen::new(output, watched);
    screen.opening(setups.len(), args.seed)?;
    let report = demo::play(&options, setups, &mut |moment| screen.show(&moment)).map_err(Error::failure)?;
    screen.closing(&report)?;
    if args.json {
        output.line(serde_json::to_string(&report.counts).map_err(Error::failure)?)?;
    }
    if stop.requested() || report.is_right() {
        return Ok(Exit::Fine);
    }
    output.flush()?;
    Err(Error::Failure("a story did not end as it had to, or somebody else was reported".to_owned()))
}

/// The terminal: what happens as it happens, and a table at the end.
struct Screen<'a> {
    output: &'a mut Output,
    bar: ProgressBar,
    colour: bool,
    titles: BTreeMap<String, Verdict>,
}

impl<'a> Screen<'a> {
    fn new(output: &'a mut Output, watched: bool) -> Self {
        let bar = if watched { ProgressBar::new(0) } else { ProgressBar::hidden() };
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} events {elapsed}") {
            bar.set_style(style);
        }
        let colour = output.colour();
        Screen { output, bar, colour, titles: BTreeMap::new() }
    }

    fn opening(&mut self, rules: usize, seed: u64) -> Result<(), Error> {
        self.output.line(format!(
            "200 people, 12 service accounts, 20 agents; two streams, {rules} rules, two teams with a webhook each (seed {seed})\n"
        ))?;
        self.output.flush()
    }

    fn line(&mut self, text: &str) {
        let output = &mut *self.output;
        // A reader that went away is noticed at the end.
        self.bar.suspend(|| {
            let _ = output.line(text).and_then(|()| output.flush());
        });
    }

    fn show(&mut self, moment: &Moment<'_>) {
        match moment {
            Moment::Progress(done, total) => {
                self.bar.set_length((*total).max(*done));
                self.bar.set_position(*done);
            }
            Moment::Signal(signal) => {
                let text = format!(
                    "{}  signal    {} [{}]",
                    clock(signal.event_time),
                    for_log(&signal.rule),
                    signal.plane.name()
                );
                self.line(&text);
            }
            Moment::Incident(incident) => {
                let before = self.titles.insert(incident.incident_id.clone(), incident.verdict);
                if before != Some(incident.verdict) {
                    let text = format!(
                        "{}  incident  {} by {}: {}; {} moved first; revision {}",
                        clock(incident.last_event_time),
                        self.paint(incident.verdict),
                        for_log(incident.principal.as_deref().unwrap_or("an unknown principal")),
                        for_log(&incident.rules.join(", ")),
                        origin(incident.origin),
                        incident.revision
                    );
                    self.line(&text);
                    self.line(&format!("            why: {}", why(incident)));
                }
            }
            Moment::Notification(notification) => {
                if notification.reason == NotifyReason::Resolved {
                    self.line(&format!(
                        "          → {:<12} resolved: {}",
                        notification.team,
                        for_log(&notification.title)
                    ));
                    return;
                }
                self.line(&format!("          → {:<12} {}", notification.team, for_log(&notification.title)));
                for evidence in &notification.evidence {
                    self.line(&format!(
                        "            {}  {} {}",
                        clock(evidence.event_time),
                        for_log(&evidence.kind),
                        for_log(&evidence.summary)
                    ));
                }
                if let Some(radius) = &notification.blast_radius {
                    self.line(&format!("            reach: {}", for_log(&reach(radius))));
                }
                self.line(&format!("            first move: {}", for_log(&notification.first_move)));
                if let Some(theirs) = &notification.their_first_move {
                    self.line(&format!("            the other team's: {}", for_log(theirs)));
                }
                self.line("");
            }
        }
    }

    fn paint(&self, verdict: Verdict) -> String {
        let name = verdict.name().replace('_', " ").to_uppercase();
        if !self.colour {
            return name;
        }
        let colour = match verdict {
            Verdict::ModelAbuse => 35,
            Verdict::AccessCompromise => 36,
            Verdict::Both => 31,
        };
        format!("\u{1b}[1;{colour}m{name}\u{1b}[0m")
    }

    fn closing(&mut self, report: &Report) -> Result<(), Error> {
        self.bar.finish_and_clear();
        let mut table = Table::new();
        table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED);
        table.set_header(["story", "verdict", "told", ""]);
        for ending in &report.endings {
            let verdict = ending.verdict.map_or("none", Verdict::name);
            let told = if ending.told.is_empty() { "nobody".to_owned() } else { ending.told.join(", ") };
            let mark = if ending.is_right() { "as it had to be" } else { "WRONG" };
            table.add_row([ending.title.as_str(), verdict, &told, mark]);
        }
        self.output.line(table.to_string())?;
        for stray in &report.strays {
            self.output.line(format!("nobody else should be here: {}", for_log(stray)))?;
        }
        let counts = &report.counts;
        let received: Vec<String> =
            counts.notifications.iter().map(|(team, count)| format!("{count} at {team}")).collect();
        self.output.line(format!(
            "{} events, {} signals, {} rejected; messages received: {}",
            counts.events,
            counts.signals,
            counts.rejected,
            received.join(", ")
        ))
    }
}

/// The reckoning behind a verdict, and whether the other plane was heard.
fn why(incident: &IncidentRevision) -> String {
    let because = &incident.because;
    let mut parts = Vec::new();
    for (plane, covered) in [(Plane::Model, incident.coverage.model), (Plane::Access, incident.coverage.access)] {
        let of = |scores: &PlaneScores| match plane {
            Plane::Model => scores.model,
            Plane::Access => scores.access,
        };
        let (score, threshold) = (of(&incident.scores), of(&because.thresholds));
        if score > 0.0 {
            let rules = because.rules.iter().filter(|rule| of(&rule.score) > 0.0);
            let rules: Vec<String> =
                rules.map(|rule| format!("{} {} × {}", for_log(&rule.rule), of(&rule.weight), rule.factor)).collect();
            parts.push(format!("{plane} {score} of {threshold} ({})", rules.join(" + ")));
        } else if covered == PlaneCoverage::Observed {
            parts.push(format!("{plane} plane heard, nothing found"));
        } else {
            parts.push(format!("{plane} plane not heard"));
        }
    }
    parts.join("; ")
}

/// How far an incident reaches, in one line.
fn reach(radius: &BlastRadius) -> String {
    let could = &radius.could;
    let counted = [
        (could.credentials.len(), "valid credentials"),
        (could.sessions.len(), "open sessions"),
        (could.roles.len(), "roles and groups"),
        (could.delegates.len(), "delegates"),
    ];
    let mut parts: Vec<String> =
        counted.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{what}: {count}")).collect();
    if !could.scopes.is_empty() {
        parts.push(format!("scopes {}", could.scopes.join(" ")));
    }
    for (what, verb) in [("tool", "called"), ("resource", "was let into")] {
        let did: Vec<&str> =
            radius.did.iter().filter(|reached| reached.what == what).map(|reached| reached.name.as_str()).collect();
        if !did.is_empty() {
            parts.push(format!("{verb} {}", did.join(", ")));
        }
    }
    if parts.is_empty() { "nothing known".to_owned() } else { parts.join("; ") }
}

fn clock(time: Timestamp) -> String {
    time.to_datetime().map_or_else(|| "--:--:--".to_owned(), |time| time.format("%H:%M:%S").to_string())
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Model => "model",
        Origin::Access => "access",
        Origin::Undetermined => "nobody knows who",
    }
}
