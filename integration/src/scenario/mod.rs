//! Who is attacked, on which plane, and what both streams say about it.
//!
//! Four quadrants: nobody, the agent hijacked, the credential stolen, both; innocent decoys in each. Every conversation
//! has a principal of its own, so that a page can be held against exactly one truth.

mod case;
mod streams;

pub use case::{Case, Quadrant};
pub use streams::{Disorder, PARTITIONS, Streams, streams};

use std::time::Duration;

use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use watershed_schemas::Timestamp;

use crate::agentdojo::otlp::Who;
use crate::agentdojo::timeline::{Interval, timeline};
use crate::agentdojo::{Conversation, Corpus, Detector, Label, Measured, Message, measure};
use crate::identity::{Decoy, Theft};

/// Of the conversations without a hijacked agent, this share has a stolen credential.
const STOLEN: f64 = 0.14;
/// Of the hijacked ones, this share.
const BOTH: f64 = 0.35;
/// The share of sessions with a decoy.
const DECOYED: f64 = 0.4;

/// Conversations with their truths.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Every conversation.
    pub cases: Vec<Case>,
    /// The guardrail over them.
    pub detector: Detector,
    /// How good it was.
    pub measured: Measured,
    /// Where the conversations come from.
    pub origin: String,
}

/// Builds the scenario, whose conversations begin `apart` from each other: the same seed gives the same one.
pub fn build(corpus: Corpus, detector: Detector, first: Timestamp, apart: Duration, seed: u64) -> Scenario {
    let mut luck = ChaCha8Rng::seed_from_u64(seed);
    let measured = measure(&detector, &corpus.conversations);
    let mut texts = 0;
    let cases = corpus
        .conversations
        .into_iter()
        .enumerate()
        .map(|(number, conversation)| {
            let start = first.plus(apart * number as u32);
            let first_text = texts;
            texts +=
                conversation.messages.iter().filter(|message| matches!(message, Message::Tool { .. })).count() as u64;
            case(number, conversation, start, first_text, &detector, &mut luck)
        })
        .collect();
    Scenario { cases, detector, measured, origin: corpus.origin }
}

fn case(
    number: usize,
    conversation: Conversation,
    start: Timestamp,
    first_text: u64,
    detector: &Detector,
    luck: &mut ChaCha8Rng,
) -> Case {
    let hijacked = conversation.label == Label::Hijacked;
    let stolen = luck.random_bool(if hijacked { BOTH } else { STOLEN });
    // A refused call is the control at work: only one that succeeds shows a theft.
    let succeeds = conversation.messages.iter().any(|message| matches!(message, Message::Tool { error: None, .. }));
    let possible: Vec<Theft> = Theft::ALL.into_iter().filter(|theft| succeeds || !theft.needs_calls()).collect();
    let theft = possible.choose(luck).copied().filter(|_| stolen);
    // What follows is drawn for every case, so that the fate of one says nothing about the next.
    let decoy = Decoy::ALL.choose(luck).copied();
    let decoyed = luck.random_bool(DECOYED);
    let broader = luck.random_bool(0.5);
    let who = who(number, &conversation.suite, theft.is_some_and(Theft::of_service), luck);
    let times = timeline(&conversation, start);
    let mut nth = first_text;
    let judgements = conversation
        .messages
        .iter()
        .map(|message| match message {
            Message::Tool { text, .. } => {
                nth += 1;
                Some(detector.judge(nth - 1, text))
            }
            _ => None,
        })
        .collect();
    let end = times.iter().map(|time| time.end).max().unwrap_or(start);
    Case {
        number,
        service: is_service(number, theft),
        conversation,
        who,
        lasts: Interval { start, end },
        times,
        judgements,
        // A burst of typing errors beside a guessed password would not be innocent.
        decoy: decoy
            .filter(|decoy| decoyed && !(theft == Some(Theft::GuessedPassword) && *decoy == Decoy::MistypedPassword)),
        broader: broader && hijacked && theft.is_some(),
        theft,
    }
}

fn is_service(number: usize, theft: Option<Theft>) -> bool {
    theft.map_or(number.is_multiple_of(9), Theft::of_service)
}

fn who(number: usize, suite: &str, thief_of_service: bool, luck: &mut ChaCha8Rng) -> Who {
    let service = thief_of_service || number.is_multiple_of(9);
    let principal = if service { format!("svc-{number:05}") } else { format!("person-{number:05}@sparrow.example") };
    Who {
        session: format!("session-{number:05}"),
        agent_id: format!("agent-{suite}-{}", number % 5),
        agent_name: format!("{suite} assistant {}", number % 5),
        principal,
        client_id: format!("client-{suite}"),
        credential_id: format!("token-{number:05}"),
        trace_id: luck.random(),
    }
}
