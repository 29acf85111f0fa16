//! What the console asks and changes, and how its requests reach it.
//!
//! The server never looks into the pipeline. A request becomes a closure in a bounded queue, which the pipeline's thread calls
//! between two turns ([`Questions::turn`]), so that what is shown is one consistent state, and what is changed is
//! durable before anybody is told so.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use watershed_schemas::{Handled, IncidentRevision, Notification};

use super::problem::Problem;
use crate::cases::Cases;
use crate::console::live::Live;
use crate::core::Core;
use crate::deliver::ReceiverSnapshot;
use crate::intake::Intake;
use crate::pipeline::{Pipeline, Turn};
use crate::redact::Redaction;
use crate::router::{HeldBack, NewSilence, Silence};

/// Requests that may wait for the pipeline.
const WAITING: usize = 64;
/// How long the pipeline may take for an answer: a turn, mostly.
const PATIENCE: Duration = Duration::from_secs(10);

/// What can be asked and changed. What an engine does not have it says so of.
pub(super) trait Engine {
    /// What was learned.
    fn core(&self) -> &Core;

    /// What is read.
    fn intake(&self) -> Option<&Intake> {
        None
    }

    /// Who is told, and how that goes.
    fn receivers(&self) -> Vec<ReceiverSnapshot> {
        Vec::new()
    }

    /// The case files of incidents.
    fn cases(&self) -> Option<&Cases> {
        None
    }

    /// Who is not called about an incident now.
    fn held_back(&self, incident_id: &str) -> Vec<HeldBack> {
        let _ = incident_id;
        Vec::new()
    }

    /// What a receiver would be sent if it were told of a revision now.
    ///
    /// # Errors
    /// Why nothing is.
    fn render(&self, incident: &IncidentRevision, receiver: &str) -> Result<Rendered, Unrendered> {
        let _ = (incident, receiver);
        Err(Unrendered::Nothing("this engine tells nobody anything".to_owned()))
    }

    /// What may be shown to whom.
    fn redaction(&self) -> Redaction {
        Redaction::default()
    }

    /// What is silenced, with what was until lately.
    fn silences(&self) -> Vec<Silence> {
        Vec::new()
    }

    /// Silences something; it is durable when this returns.
    ///
    /// # Errors
    /// Where it can't be done.
    fn add_silence(&mut self, asked: NewSilence) -> Result<Silence, String> {
        let _ = asked;
        Err("this engine tells nobody anything".to_owned())
    }

    /// Ends a silence; that is durable when this returns.
    ///
    /// # Errors
    /// Where it can't be done.
    fn expire_silence(&mut self, id: &str) -> Result<Silence, String> {
        let _ = id;
        Err("this engine tells nobody anything".to_owned())
    }

    /// Masks what is kept of a principal; it is durable when this returns. Gives the number of case files concerned.
    ///
    /// # Errors
    /// Where it can't be done.
    fn erase(&mut self, tenant: &str, principal: &str) -> Result<usize, String> {
        let _ = (tenant, principal);
        Err("this engine keeps no incidents".to_owned())
    }

    /// Does with the next turn what a person wants of an incident. Whether it was done [`Questions::turn`] is told.
    ///
    /// # Errors
    /// Where it can't be done at all.
    fn act(&mut self, incident_id: &str, handled: Handled) -> Result<(), String> {
        let _ = (incident_id, handled);
        Err("this engine keeps no incidents".to_owned())
    }
}

impl Engine for &Core {
    fn core(&self) -> &Core {
        self
    }
}

impl Engine for &mut Pipeline {
    fn core(&self) -> &Core {
        Pipeline::core(self)
    }

    fn intake(&self) -> Option<&Intake> {
        Some(Pipeline::intake(self))
    }

    fn receivers(&self) -> Vec<ReceiverSnapshot> {
        self.delivery().map(crate::deliver::Delivery::snapshot).unwrap_or_default()
    }

    fn cases(&self) -> Option<&Cases> {
        Pipeline::cases(self)
    }

    fn held_back(&self, incident_id: &str) -> Vec<HeldBack> {
        self.router().map(|router| router.held_back(incident_id)).unwrap_or_default()
    }

    fn render(&self, incident: &IncidentRevision, receiver: &str) -> Result<Rendered, Unrendered> {
        let nobody = || Unrendered::Nothing("this engine tells nobody anything".to_owned());
        let (router, delivery) = (self.router().ok_or_else(nobody)?, self.delivery().ok_or_else(nobody)?);
        let tellings = Pipeline::core(self).tellings_of(incident);
        let notification = router.preview(receiver, &tellings).map_err(Unrendered::NoReceiver)?;
        let notification = notification.ok_or_else(|| {
            Unrendered::Nothing(if tellings.is_empty() {
                "its signals are forgotten, so that no message can be made of it any more; the case file has what was kept".to_owned()
            } else {
                "the receiver answers for no plane that is evidenced".to_owned()
            })
        })?;
        let (kind, body) = delivery.preview(&notification).ok_or_else(nobody)?;
        Ok(Rendered { kind, notification, body })
    }

    fn redaction(&self) -> Redaction {
        self.router().map(|router| router.redaction().clone()).unwrap_or_default()
    }

    fn silences(&self) -> Vec<Silence> {
        Pipeline::silences(self)
    }

    fn add_silence(&mut self, asked: NewSilence) -> Result<Silence, String> {
        Pipeline::add_silence(self, asked).map_err(|error| error.to_string()).flatten()
    }

    fn expire_silence(&mut self, id: &str) -> Result<Silence, String> {
        Pipeline::expire_silence(self, id).map_err(|error| error.to_string()).flatten()
    }

    fn erase(&mut self, tenant: &str, principal: &str) -> Result<usize, String> {
        Pipeline::erase(self, tenant, principal).map(|erased| erased.cases).map_err(|error| error.to_string())
    }

    fn act(&mut self, incident_id: &str, handled: Handled) -> Result<(), String> {
        Pipeline::act(self, incident_id.to_owned(), handled);
        Ok(())
    }
}

/// What a receiver would be sent.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct Rendered {
    /// The kind of the receiver.
    pub(super) kind: &'static str,
    /// The message, as this receiver may see it.
    pub(super) notification: Notification,
    /// The body that it makes of it, without routing keys and tokens.
    pub(super) body: Value,
}

/// Why a receiver would be sent nothing.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Unrendered {
    /// There is no such receiver; there are these.
    NoReceiver(Vec<String>),
    /// There is nothing to tell, and why.
    Nothing(String),
}

/// What became of an act.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Acted {
    /// It was done.
    Done {
        /// The revision before.
        before: Box<IncidentRevision>,
        /// The revision that it made.
        after: Box<IncidentRevision>,
    },
    /// There is no such incident.
    Unknown,
    /// It can't be done with this incident now.
    Refused(String),
}

/// What somebody wants to see or to do, in the pipeline's thread.
type Look = Box<dyn FnOnce(&mut dyn Engine) + Send>;

enum Request {
    Look(Look),
    Act { incident_id: String, handled: Handled, done: oneshot::Sender<Acted> },
}

/// Asks questions; clones ask the same pipeline.
#[derive(Clone)]
pub struct Asker {
    requests: mpsc::Sender<Request>,
    pub(in crate::console) live: Arc<Live>,
}

/// The questions that a pipeline is asked.
pub struct Questions {
    requests: mpsc::Receiver<Request>,
    pub(super) live: Arc<Live>,
    /// Acts that the engine was given, in their order, with what was so before.
    acts: VecDeque<(Box<IncidentRevision>, oneshot::Sender<Acted>)>,
}

/// A queue of questions from the server to the pipeline.
pub fn questions() -> (Asker, Questions) {
    let (requests, asked) = mpsc::channel(WAITING);
    let live = Arc::new(Live::new(format!("{:08x}", rand::random::<u32>())));
    let questions = Questions { requests: asked, live: Arc::clone(&live), acts: VecDeque::new() };
    (Asker { requests, live }, questions)
}

impl Questions {
    /// Answers what was asked of a core since the last time; nothing can be changed.
    pub fn answer(&mut self, core: &Core) {
        self.serve(&mut &*core);
    }

    /// Takes up what a turn of the pipeline did, and answers what was asked since the last.
    pub fn turn(&mut self, pipeline: &mut Pipeline, turn: &Turn) {
        self.live.publish(&turn.signals, &turn.incidents);
        let mut engine = &mut *pipeline;
        self.acted(&turn.acted, &turn.incidents, &engine);
        self.serve(&mut engine);
    }

    /// What became of acts, in the order in which the engine was given them, with the revisions that were written.
    pub(super) fn acted(
        &mut self,
        outcomes: &[(String, Result<u32, String>)],
        written: &[IncidentRevision],
        engine: &dyn Engine,
    ) {
        for (id, outcome) in outcomes {
            let Some((before, done)) = self.acts.pop_front() else { return };
            let acted = match outcome {
                Err(reason) => Acted::Refused(reason.clone()),
                Ok(number) => {
                    let revision = |one: &&IncidentRevision| one.incident_id == *id && one.revision == *number;
                    // Who says the same again is told of the revision that says it.
                    let after = written.iter().find(revision).cloned().or_else(|| last(engine, id));
                    after.map_or(Acted::Unknown, |after| Acted::Done { before, after: Box::new(after) })
                }
            };
            // Nobody may be waiting any more.
            let _ = done.send(acted);
        }
    }

    pub(super) fn serve(&mut self, engine: &mut dyn Engine) {
        while let Ok(request) = self.requests.try_recv() {
            match request {
                Request::Look(look) => look(engine),
                Request::Act { incident_id, handled, done } => {
                    // Nobody may be waiting any more.
                    let Some(before) = last(engine, &incident_id) else {
                        let _ = done.send(Acted::Unknown);
                        continue;
                    };
                    match engine.act(&incident_id, handled) {
                        Ok(()) => self.acts.push_back((Box::new(before), done)),
                        Err(reason) => drop(done.send(Acted::Refused(reason))),
                    }
                }
            }
        }
    }
}

/// The last revision of an incident.
fn last(engine: &dyn Engine, id: &str) -> Option<IncidentRevision> {
    engine.cases()?.get(id).ok().flatten().map(|case| case.incident)
}

impl Asker {
    /// Looks at the engine between two turns.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&mut dyn Engine) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let (answer, answered) = oneshot::channel();
        let request = Request::Look(Box::new(move |engine| {
            // Nobody may be waiting any more: then there is no need to look.
            if !answer.is_closed() {
                let _ = answer.send(look(engine));
            }
        }));
        self.send(request, answered).await
    }

    /// Has the engine do what a person wants of an incident, and waits until that is durable.
    pub(super) async fn act(&self, incident_id: String, handled: Handled) -> Result<Acted, Problem> {
        let (done, is_done) = oneshot::channel();
        let request = Request::Act { incident_id, handled, done };
        self.requests.try_send(request).map_err(|_| Problem::busy("the pipeline is busy; ask again later"))?;
        // However long it takes: what became of it is written down.
        is_done.await.map_err(|_| Problem::busy("the engine stopped before it said whether it is done"))
    }

    /// Changes something between two turns, and waits for it however long it takes.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut dyn Engine) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let (answer, answered) = oneshot::channel();
        let request = Request::Look(Box::new(move |engine| drop(answer.send(change(engine)))));
        self.requests.try_send(request).map_err(|_| Problem::busy("the pipeline is busy; ask again later"))?;
        answered.await.map_err(|_| Problem::busy("the engine stopped before it said whether it is done"))
    }

    async fn send<T>(&self, request: Request, answered: oneshot::Receiver<T>) -> Result<T, Problem> {
        let busy = || Problem::busy("the pipeline does not answer; ask again later");
        self.requests.try_send(request).map_err(|_| busy())?;
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }
}

impl Acted {
    /// What was so, and is now, as the audit has it.
    pub(super) fn told(revision: &IncidentRevision) -> Value {
        json!({"status": revision.status, "revision": revision.revision, "handled": revision.handled})
    }
}
