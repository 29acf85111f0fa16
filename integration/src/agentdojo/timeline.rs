//! When the messages of a conversation happened: samples carry no times, so they get some.

use std::time::Duration;

use watershed_schemas::Timestamp;

use super::{Conversation, Message};

/// Begin and end of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
}

/// A model takes this long for a turn.
const TURN: Duration = Duration::from_millis(1_500);
/// A tool takes this long.
const TOOL: Duration = Duration::from_millis(400);
/// Calls of one turn start this far apart: they run side by side.
const STAGGER: Duration = Duration::from_millis(5);
/// The guardrail has spoken this long after a result, and the next turn begins later than that.
pub const VERDICT: Duration = Duration::from_millis(250);
/// Between the last result and the next turn.
const PAUSE: Duration = Duration::from_millis(900);

/// When each message of the conversation happened, if it began at `start`.
pub fn timeline(conversation: &Conversation, start: Timestamp) -> Vec<Interval> {
    let mut now = start;
    // When the next result's call begins: all calls of a turn are made together.
    let mut call = start;
    conversation
        .messages
        .iter()
        .map(|message| match message {
            Message::System(_) | Message::User(_) => Interval { start: now, end: now },
            Message::Assistant { .. } => {
                let turn = Interval { start: now.plus(PAUSE), end: now.plus(PAUSE).plus(TURN) };
                now = turn.end;
                call = turn.end.plus(STAGGER);
                turn
            }
            Message::Tool { .. } => {
                let run = Interval { start: call, end: call.plus(TOOL) };
                call = call.plus(STAGGER);
                now = now.max(run.end);
                run
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_after_a_result_begins_after_the_verdict_on_it() {
        let start = Timestamp::from_secs(1_000);
        for conversation in super::super::own_corpus().conversations {
            let times = timeline(&conversation, start);
            let mut verdict = start;
            for (message, time) in conversation.messages.iter().zip(times) {
                match message {
                    Message::Tool { .. } => verdict = time.end.plus(VERDICT),
                    Message::Assistant { .. } => assert!(time.start > verdict),
                    _ => {}
                }
            }
        }
    }
}
