//! A scenario that can be played: two stories that end differently.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};
use serde_saphyr::Spanned;
use watershed_rules::timeline::Dialect;
use watershed_schemas::{Plane, Timestamp};

use super::arrival::Arrival;
use super::deed::{Deed, RawDeed};
use super::event::{Defaults, Line, Scenarios};
use super::expect::{Expected, RawExpected, Whom};
use super::file::{self, Fault, RawFile, RawSilent, line_of};
use super::never::{Never, RawNever, in_json};
use super::offset::{START, moment};

/// How long before the first event of its day a story's company is heard.
const BEFORE_MICROS: i64 = 20 * 60 * 1_000_000;
/// How often it is heard.
const MINUTE_MICROS: i64 = 60 * 1_000_000;
/// How long it is heard every minute; later every ten.
const CLOSELY_MINUTES: i64 = 180;
/// How long a story goes on after its last word.
const AFTER_MICROS: i64 = 2 * MINUTE_MICROS;
/// The latest that a record may come after it happened: less than the lateness that is allowed by default, so that nothing is
/// refused even where a clock runs ahead.
const LATEST_MICROS: i64 = 12 * MINUTE_MICROS;

/// Where the scenarios are.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// A story and its twin.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name, and that of its file and of its tenant.
    pub id: String,
    /// Its file.
    pub path: PathBuf,
    /// Whether it is also played through Kafka and real receivers.
    pub kafka: bool,
    /// What it adds to the configuration.
    pub config: String,
    /// What happens.
    pub story: Story,
    /// The same without what decides it.
    pub twin: Story,
}

/// What happens, and what must come of it.
#[derive(Clone, Debug)]
pub struct Story {
    /// In one line.
    pub title: String,
    /// Whose it is.
    pub tenant: String,
    /// When it is over.
    pub until: Timestamp,
    /// What must be known, and by when. Nothing: nobody is told anything.
    pub expect: Vec<Expected>,
    /// What must not be sent.
    pub never: Vec<Never>,
    /// How many rows come too late, or from the future.
    pub refused: u64,
    /// What people do with its incidents, in order.
    pub deeds: Vec<Deed>,
    lines: Vec<Line>,
    silences: Vec<Silence>,
}

/// A plane that is not heard.
#[derive(Clone, Copy, Debug)]
struct Silence {
    plane: Plane,
    from: Timestamp,
    to: Timestamp,
    broker_answers: bool,
}

impl Scenario {
    /// Every scenario, by id.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub fn all() -> Result<Vec<Scenario>, Vec<Fault>> {
        let mut paths: Vec<PathBuf> = std::fs::read_dir(directory())
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
            .collect();
        paths.sort();
        let mut faults = Vec::new();
        let mut scenarios = Vec::new();
        for path in paths {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            match Scenario::parse(&path, &text) {
                Ok(scenario) => scenarios.push(scenario),
                Err(found) => faults.extend(found),
            }
        }
        if faults.is_empty() { Ok(scenarios) } else { Err(faults) }
    }

    /// Reads the text of a scenario; `path` names it.
    ///
    /// # Errors
    /// Everything that is wrong with it, and what would prove nothing.
    pub fn parse(path: &Path, text: &str) -> Result<Scenario, Vec<Fault>> {
        let raw = file::read(path, text).map_err(|fault| vec![fault])?;
        let mut reading = Reading { path, faults: Vec::new() };
        let scenario = reading.scenario(raw);
        if reading.faults.is_empty() { Ok(scenario) } else { Err(reading.faults) }
    }
}

/// A file on its way, and what is wrong with it so far.
struct Reading<'a> {
    path: &'a Path,
    faults: Vec<Fault>,
}

impl Reading<'_> {
    fn fault(&mut self, line: u64, message: impl Into<String>) {
        self.faults.push(Fault { path: self.path.to_owned(), line, message: message.into() });
    }

    fn scenario(&mut self, raw: RawFile) -> Scenario {
        let RawFile {
            id,
            title,
            kafka,
            config,
            defaults,
            silent,
            until,
            events,
            acts,
            expect,
            nothing,
            never,
            refused,
            twin,
            ..
        } = raw;
        if self.path.file_stem().and_then(|stem| stem.to_str()) != Some(&id.value) {
            self.fault(line_of(&id), format!("the id is `{}`, but the file is called otherwise", id.value));
        }
        let id = id.value;
        let defaults_line = defaults.as_ref().map_or(1, line_of);
        let defaults = defaults.map(|defaults| defaults.value).unwrap_or_default();
        let defaults = Defaults { tenant: id.clone(), columns: [defaults.runtime, defaults.identity] };
        if let Err(message) = Scenarios.check(&defaults.columns) {
            self.fault(defaults_line, message);
        }
        let line = line_of(&events);
        let mut lines: Vec<Line> = Vec::new();
        self.lines(&defaults, &events.value, 0, &mut lines);
        if lines.is_empty() {
            self.fault(line, "a story needs events");
        }
        let mut silences: Vec<Silence> = silent.iter().filter_map(|silent| self.silence(silent)).collect();
        if never.is_empty() {
            self.fault(line, "say under `never` what must not be sent");
        }
        let story = Story {
            title,
            tenant: id.clone(),
            until: self.until(until.as_ref()),
            expect: self.expect(expect),
            never: self.never(never),
            refused,
            lines,
            silences: silences.clone(),
            deeds: self.deeds(acts),
        };
        let story = self.story(story, nothing, line);

        let (line, raw) = (line_of(&twin), twin.value);
        if raw.without.is_empty() && raw.events.is_empty() && raw.acts.is_none() && !raw.all_heard {
            self.fault(line, "the twin is the story itself; leave an event out of it, or add one");
        }
        let mut lines = story.lines.clone();
        for name in &raw.without {
            let before = lines.len();
            lines.retain(|line| line.name != *name && line.repeats.as_ref() != Some(name));
            if lines.len() == before {
                self.fault(line, format!("no event has the name `{name}`"));
            }
        }
        self.lines(&defaults, &raw.events, story.lines.len(), &mut lines);
        if raw.all_heard {
            silences.clear();
        }
        let twin = Story {
            title: raw.title,
            tenant: id.clone(),
            until: self.until(raw.until.as_ref()),
            expect: self.expect(raw.expect),
            never: self.never(raw.never),
            refused: raw.refused,
            lines,
            silences,
            deeds: raw.acts.map_or_else(|| story.deeds.clone(), |acts| self.deeds(acts)),
        };
        let twin = self.story(twin, raw.nothing, line);
        let gists = |story: &Story| story.expect.iter().map(Expected::gist).collect::<Vec<_>>();
        if gists(&story) == gists(&twin) {
            self.fault(line, "the twin ends as the story does: it shows nothing");
        }
        Scenario { id, path: self.path.to_owned(), kafka, config, story, twin }
    }

    fn lines(
        &mut self,
        defaults: &Defaults,
        raw: &[Spanned<Map<String, Value>>],
        before: usize,
        lines: &mut Vec<Line>,
    ) {
        for (position, event) in raw.iter().enumerate() {
            match defaults.line(&event.value, line_of(event), before + position + 1, lines) {
                Ok(line) if line.repeats.is_none() && lines.iter().any(|other| other.name == line.name) => {
                    self.fault(line_of(event), format!("another event has the name `{}`", line.name));
                }
                Ok(line) => lines.push(line),
                Err(message) => self.fault(line_of(event), message),
            }
        }
    }

    fn deeds(&mut self, raw: Vec<Spanned<RawDeed>>) -> Vec<Deed> {
        let mut deeds = Vec::new();
        for deed in raw {
            let line = line_of(&deed);
            match deed.value.read(line) {
                Ok(deed) => deeds.push(deed),
                Err(message) => self.fault(line, message),
            }
        }
        deeds.sort_by_key(Deed::at);
        deeds
    }

    fn silence(&mut self, raw: &Spanned<RawSilent>) -> Option<Silence> {
        let mut time = |text: &Option<String>, otherwise: Timestamp| match text.as_deref().map(moment) {
            None => Some(otherwise),
            Some(Ok(at)) => Some(at),
            Some(Err(message)) => {
                self.fault(line_of(raw), message);
                None
            }
        };
        let (from, to) = (time(&raw.value.from, Timestamp::MIN), time(&raw.value.to, Timestamp::MAX));
        Some(Silence { plane: raw.value.plane, from: from?, to: to?, broker_answers: raw.value.broker_answers })
    }

    fn until(&mut self, raw: Option<&Spanned<String>>) -> Timestamp {
        let Some(raw) = raw else { return Timestamp::MIN };
        moment(&raw.value).unwrap_or_else(|message| {
            self.fault(line_of(raw), message);
            Timestamp::MIN
        })
    }

    fn expect(&mut self, raw: Vec<Spanned<RawExpected>>) -> Vec<Expected> {
        let mut first_of: BTreeSet<(Whom, usize)> = BTreeSet::new();
        let mut expect = Vec::new();
        for entry in raw {
            let line = line_of(&entry);
            match entry.value.read(line, &mut first_of) {
                Ok(expected) => expect.push(expected),
                Err(messages) => messages.into_iter().for_each(|message| self.fault(line, message)),
            }
        }
        expect
    }

    fn never(&mut self, raw: Vec<Spanned<RawNever>>) -> Vec<Never> {
        let mut never = Vec::new();
        for entry in raw {
            let line = line_of(&entry);
            match entry.value.read(line) {
                Ok(forbidden) => never.push(forbidden),
                Err(messages) => messages.into_iter().for_each(|message| self.fault(line, message)),
            }
        }
        never
    }

    /// Finds what would prove nothing, and when the story is over.
    fn story(&mut self, mut story: Story, nothing: bool, line: u64) -> Story {
        match (nothing, story.expect.is_empty()) {
            (false, true) => {
                self.fault(line, "nothing is expected; write `expect`, or `nothing: true` where nobody is to be told")
            }
            (true, false) => self.fault(line, "`nothing: true` and `expect` contradict each other"),
            _ => {}
        }
        let payloads: Vec<String> = story.own().map(Arrival::payload).collect();
        for never in &story.never {
            let says = |text: &str| payloads.iter().any(|payload| payload.contains(text));
            if let Some(text) = never.text.as_ref().filter(|text| !says(&in_json(text))) {
                self.fault(never.line, format!("no event says `{text}`: it can't be sent in any case"));
            }
            if let Some(about) = never.about.as_ref().filter(|about| !says(&Value::from(about.as_str()).to_string())) {
                self.fault(never.line, format!("no event names `{about}`: nothing can be said about it in any case"));
            }
            let told = |expected: &Expected| match (&never.to, &never.about, &never.text) {
                (_, _, Some(_)) => false,
                _ if expected.told.is_empty() => false,
                (to, about, None) => {
                    to.as_ref().is_none_or(|to| expected.told.contains_key(to))
                        && about.as_ref().is_none_or(|about| expected.whom == Whom::Principal(about.clone()))
                }
            };
            if let Some(expected) = story.expect.iter().find(|expected| told(expected)) {
                self.fault(never.line, format!("{never} is what line {} expects", expected.line));
            }
        }
        for event in &story.lines {
            let silenced = |arrival: &Arrival| {
                story.silences.iter().any(|silence| silence.plane == arrival.plane && silence.holds(arrival.at))
            };
            if event.arrivals.iter().any(silenced) {
                self.fault(event.number, format!("`{}` arrives while its plane is silent", event.name));
            }
        }
        let last = story
            .own()
            .map(|arrival| arrival.at)
            .chain(story.expect.iter().map(|expected| expected.by))
            .chain(story.deeds.iter().map(Deed::at))
            .max();
        story.until = story.until.max(last.unwrap_or(START).plus_micros(AFTER_MICROS));
        story
    }
}

impl Silence {
    fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }
}

impl Story {
    /// The records of the story's own events.
    fn own(&self) -> impl Iterator<Item = &Arrival> {
        self.lines.iter().flat_map(|line| &line.arrivals)
    }

    /// All that is said of each incident, put together.
    pub fn last_words(&self) -> Vec<Expected> {
        let mut entries: Vec<&Expected> = self.expect.iter().collect();
        entries.sort_by_key(|expected| expected.by);
        let mut words: BTreeMap<(&Whom, usize), Expected> = BTreeMap::new();
        for expected in entries {
            let before = words.remove(&(&expected.whom, expected.number));
            let now = before.map_or_else(|| expected.clone(), |before| before.then(expected));
            words.insert((&expected.whom, expected.number), now);
        }
        words.into_values().collect()
    }

    /// Every record in order of arrival, those of the company that works on around it included.
    pub fn arrivals(&self) -> Vec<Arrival> {
        let mut arrivals: Vec<Arrival> = self.company_at_work(self.until);
        arrivals.extend(self.own().cloned());
        arrivals.sort_by_key(|arrival| arrival.at);
        arrivals
    }

    /// The same story in an organisation of its own.
    pub fn in_tenant(&self, tenant: &str) -> Story {
        let mut story = Story { tenant: tenant.to_owned(), ..self.clone() };
        for arrival in story.lines.iter_mut().flat_map(|line| &mut line.arrivals) {
            arrival.event.insert("event_id".to_owned(), json!(format!("{tenant}:{}", arrival.id())));
            let own = arrival.event.get("tenant").is_some_and(|named| *named == self.tenant.as_str());
            let named = arrival.event.get("tenant").and_then(Value::as_str).unwrap_or_default();
            let tenant = if own { tenant.to_owned() } else { format!("{tenant}-{named}") };
            arrival.event.insert("tenant".to_owned(), Value::from(tenant));
        }
        story
    }

    /// The same records in another order: each comes up to twelve minutes after it happened, unless its plane is not heard then.
    /// The same seed gives the same order. People do nothing: what they say of an incident says nothing of how it came about, and
    /// it may not be there yet.
    #[must_use]
    pub fn shuffled(&self, seed: u64) -> Story {
        let mut luck = ChaCha8Rng::seed_from_u64(seed);
        let mut story = Story { until: self.until.plus_micros(2 * LATEST_MICROS), deeds: Vec::new(), ..self.clone() };
        for arrival in story.lines.iter_mut().flat_map(|line| &mut line.arrivals) {
            let at = arrival.event_time.plus_micros(luck.random_range(0..=LATEST_MICROS));
            if !self.silences.iter().any(|silence| silence.plane == arrival.plane && silence.holds(at)) {
                arrival.at = at;
            }
        }
        story
    }

    /// The same where no line stands for more than so many records.
    #[must_use]
    pub fn at_most(&self, times: usize) -> Story {
        let mut story = self.clone();
        story.lines.iter_mut().for_each(|line| line.arrivals.truncate(times));
        story
    }

    /// When the ends of topics are known to be reached although nothing comes: `at`, and of which plane.
    pub fn idle(&self) -> Vec<(Timestamp, Plane)> {
        let mut idle = Vec::new();
        for silence in self.silences.iter().filter(|silence| silence.broker_answers) {
            idle.extend(self.minutes(self.until).filter(|at| silence.holds(*at)).map(|at| (at, silence.plane)));
        }
        idle.sort();
        idle
    }

    /// Once a minute something happens on each plane that nobody needs to know.
    fn company_at_work(&self, until: Timestamp) -> Vec<Arrival> {
        let mut arrivals = Vec::new();
        for (number, at) in self.minutes(until).enumerate() {
            for plane in Plane::ALL {
                if self.silences.iter().any(|silence| silence.plane == plane && silence.holds(at)) {
                    continue;
                }
                let mut event = match plane {
                    Plane::Model => json!({
                        "kind": "prompt", "session_id": "front-desk", "agent_id": "receptionist",
                        "principal": "front-desk@heron.example", "content": "what is for lunch?",
                    }),
                    Plane::Access => json!({
                        "kind": "authentication", "outcome": "success", "principal": "front-desk@heron.example",
                        "principal_type": "human", "country": "NO", "mfa": true,
                    }),
                };
                event["event_id"] = json!(format!("{}/work-{}-{number}", self.tenant, plane.name()));
                event["event_time"] = json!(at);
                event["tenant"] = json!(self.tenant);
                event["source"] = json!("company");
                let event = event.as_object().cloned().unwrap_or_default();
                arrivals.push(Arrival { at, event_time: at, plane, event });
            }
        }
        arrivals
    }

    /// Half past each minute, so that no moment of a story is one of them.
    fn minutes(&self, until: Timestamp) -> impl Iterator<Item = Timestamp> {
        let begins = self.own().map(|arrival| arrival.at).filter(|at| *at >= START).min().unwrap_or(START);
        let whole_minutes = (begins.micros() - START.micros()) / MINUTE_MICROS * MINUTE_MICROS;
        let first = START.plus_micros(whole_minutes + MINUTE_MICROS / 2 - BEFORE_MICROS);
        // Who goes on for a day needs no minutes.
        let minute = |number: i64| number.min(CLOSELY_MINUTES) + (number - CLOSELY_MINUTES).max(0) * 10;
        (0..).map(move |number| first.plus_micros(minute(number) * MINUTE_MICROS)).take_while(move |at| *at <= until)
    }

    /// Whether rows were refused, so that orders of arrival may differ in what they come to.
    pub fn refuses(&self) -> bool {
        self.refused > 0
    }
}
