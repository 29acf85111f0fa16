//! One conversation and its truth.

use watershed_schemas::{Timestamp, Verdict};

use crate::agentdojo::otlp::Who;
use crate::agentdojo::timeline::{Interval, VERDICT};
use crate::agentdojo::{Conversation, Judgement, Label, Message};
use crate::identity::{Decoy, Session, Theft};

/// What was attacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quadrant {
    /// Nothing.
    Neither,
    /// The agent alone.
    Hijacked,
    /// The credential alone.
    Stolen,
    /// Both.
    Both,
}

/// One conversation with everything around it.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its number, which its ids carry.
    pub number: usize,
    /// The conversation.
    pub conversation: Conversation,
    /// Who talks.
    pub who: Who,
    /// Whether the principal is a service account.
    pub service: bool,
    /// From the first to the last message.
    pub lasts: Interval,
    /// When each message happened.
    pub times: Vec<Interval>,
    /// What the guardrail said about each tool result; none for other messages.
    pub judgements: Vec<Option<Judgement>>,
    /// How the credential was stolen, if it was.
    pub theft: Option<Theft>,
    /// What looks like an attack and is none.
    pub decoy: Option<Decoy>,
    /// Whether a hijacked agent, after it read its orders, gets itself a broader token.
    pub broader: bool,
}

impl Case {
    /// What was attacked.
    pub fn quadrant(&self) -> Quadrant {
        match (self.conversation.label == Label::Hijacked, self.theft.is_some()) {
            (false, false) => Quadrant::Neither,
            (true, false) => Quadrant::Hijacked,
            (false, true) => Quadrant::Stolen,
            (true, true) => Quadrant::Both,
        }
    }

    /// Whether the guardrail flagged anything that the conversation's tools brought in.
    pub fn flagged(&self) -> bool {
        self.judgements.iter().flatten().any(|judgement| judgement.flagged)
    }

    /// The verdict that is right for what the streams can show: a hijack that the guardrail overlooked leaves no trace.
    pub fn verdict(&self) -> Option<Verdict> {
        Verdict::of(self.conversation.label == Label::Hijacked && self.flagged(), self.theft.is_some())
    }

    /// When the agent called which tool.
    pub fn calls(&self) -> Vec<(Timestamp, String)> {
        self.conversation
            .messages
            .iter()
            .zip(&self.times)
            .filter_map(|(message, time)| match message {
                Message::Tool { tool, .. } => Some((time.start, tool.clone())),
                _ => None,
            })
            .collect()
    }

    /// When the guardrail first flagged something.
    pub fn first_flag(&self) -> Option<Timestamp> {
        let judged = self.judgements.iter().zip(&self.times);
        judged
            .filter(|(judgement, _)| judgement.as_ref().is_some_and(|judgement| judgement.flagged))
            .map(|(_, time)| time.end.plus(VERDICT))
            .min()
    }

    /// The session as the identity side sees it.
    pub fn session<'a>(&'a self, calls: &'a [(Timestamp, String)]) -> Session<'a> {
        Session { number: self.number, who: &self.who, service: self.service, lasts: self.lasts, calls }
    }
}
