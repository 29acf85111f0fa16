//! Live incidents as server-sent events: each revision when it is written.
//!
//! The id of an event names the run of the engine and the number of the event in it. A reader that comes back with
//! `Last-Event-ID` goes on behind it where that is still kept, and is told by an event `reset` where it is not. A reader
//! that falls so far behind that what it would read next is gone is told so by an event `dropped`, and let go.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::Console;
use super::incidents::Filter;
use super::problem::Problem;
use super::route::Asked;
use crate::console::live::{Event, Live, Since};
use crate::redact::masked;

/// How often a comment shows that the connection lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Events that are written at once.
const AT_ONCE: usize = 32;

/// One reader.
struct Reader {
    console: Console,
    filter: Filter,
    /// Number of the event that it is sent next.
    next: u64,
    newest: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    /// What it is to be told before anything else.
    first: Option<String>,
    ended: bool,
    /// Its place among the readers.
    _place: OwnedSemaphorePermit,
}

pub(super) async fn listen(asked: Asked) -> Result<Response, Problem> {
    let console = asked.console.clone();
    let place = std::sync::Arc::clone(&console.readers).try_acquire_owned().map_err(|_| {
        let detail = "there are as many readers as `console.event_readers` allows; ask again later";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).after(5)
    })?;
    let live = &console.asker().live;
    let newest = live.listen();
    let now = *newest.borrow();
    let last = asked.headers.get("last-event-id").map(|last| last.to_str().unwrap_or_default());
    let mut first = String::from("retry: 3000\n: listening\n\n");
    let next = match last.map(|last| resume(live, last)) {
        None => now,
        Some(Ok(next)) => next,
        Some(Err(missed)) => {
            let reason = "what came behind the last event is not kept; list the incidents again";
            first.push_str(&written("reset", None, &json!({"reason": reason, "missed": missed}).to_string()));
            now
        }
    };
    let reader = Reader {
        filter: Filter::of(&asked.query),
        next,
        newest,
        stopping: console.stopping.clone(),
        first: Some(first),
        ended: false,
        _place: place,
        console,
    };
    let stream = futures::stream::unfold(reader, |mut reader| async move {
        let text = reader.text().await?;
        Some((Ok::<_, Infallible>(Bytes::from(text)), reader))
    });
    Ok(([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(stream)).into_response())
}

/// The number to go on with behind an event; else how many were missed, where that is known.
fn resume(live: &Live, last: &str) -> Result<u64, Option<u64>> {
    let Some((run, number)) = last.rsplit_once('-') else { return Err(None) };
    let next = number.parse::<u64>().ok().and_then(|number| number.checked_add(1)).ok_or(None)?;
    if run != live.run {
        return Err(None);
    }
    match live.since(next, 0) {
        Since::Events(_) => Ok(next),
        Since::Gone(missed) => Err(Some(missed)),
        Since::Unknown => Err(None),
    }
}

impl Reader {
    /// What is sent next; nothing where it is over.
    async fn text(&mut self) -> Option<String> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        while !self.ended {
            if *self.stopping.borrow() {
                self.ended = true;
                return Some(written("end", None, &json!({"reason": "the engine stops"}).to_string()));
            }
            // Looked at before what there is: what comes in between wakes it.
            self.newest.borrow_and_update();
            let live = &self.console.asker().live;
            match live.since(self.next, AT_ONCE) {
                Since::Events(events) if !events.is_empty() => {
                    self.next = events.last().map_or(self.next, |event| event.number + 1);
                    let passing = events.iter().filter(|event| self.filter.passes(&event.incident));
                    let text: String = passing.map(|event| shown(&live.run, event)).collect();
                    if !text.is_empty() {
                        return Some(text);
                    }
                }
                Since::Events(_) => {
                    tokio::select! {
                        changed = self.newest.changed() => self.ended = changed.is_err(),
                        changed = self.stopping.changed() => self.ended = changed.is_err(),
                        () = tokio::time::sleep(HEARTBEAT) => return Some(": heartbeat\n\n".to_owned()),
                    }
                }
                Since::Gone(missed) => {
                    self.ended = true;
                    let reason = "the reader is too slow; what it would have read next is not kept any more";
                    return Some(written("dropped", None, &json!({"reason": reason, "missed": missed}).to_string()));
                }
                Since::Unknown => self.ended = true,
            }
        }
        None
    }
}

fn shown(run: &str, event: &Event) -> String {
    let incident = masked(&*event.incident).unwrap_or_default().to_string();
    written("incident", Some(format!("{run}-{}", event.number)), &incident)
}

/// An event; `data` is JSON without a line break.
fn written(event: &str, id: Option<String>, data: &str) -> String {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    format!("event: {event}\n{id}data: {data}\n\n")
}
