//! The engine of Watershed: two streams in, one divide, every alert to the team that owns it.
//!
//! The way of an event is seven verbs, and [`pipeline`] reads them in order:
//! `poll → decode → match → evaluate → correlate → commit → deliver`.
//!
//! * [`intake`] polls sources and decodes their records into batches.
//! * [`core`] is `match → evaluate → correlate`: sans-IO and deterministic, no clock, no randomness.
//!   Its rooms are [`acceptance`] and [`watermark`] (what counts as history, and how far it reaches), [`matcher`],
//!   [`evaluator`] and [`correlator`].
//! * [`principals`] makes one principal of the ids that events tie together.
//! * [`blast`] says how far an identity reaches, [`playbook`] what to do first; both speak when somebody is told.
//! * [`router`] turns incident revisions into notifications: who is told what, and what they may see.
//! * [`cases`] is what is kept of each incident for the person who opens it.
//! * [`store`] and [`outbox`] make a commit durable; [`deliver`] drains the outbox to receivers.
//! * [`operator`] watches the engine itself, and tells whoever operates it.
//! * [`shelf`] is where remembered rows go that are hardly needed any more.
//! * [`explain`](mod@explain) and [`rule_bench`] tell the author of a rule why it fired, or did not, and what it costs.
//! * [`reload`] takes up changed rules and reference tables, [`backfill`] reads the log again for rules that want their past.
//! * [`books`] is what falls out beside incidents: the [`inventory`] of what there is, and the [`lifecycle`] of access.
//! * [`verify`] holds a replay against plain SQL over the same history.
//! * [`journal`] keeps beside the store what no second reading of the log brings back.
//! * [`config`], [`check`], [`cli`] and [`console`] are the shell around it.

pub mod acceptance;
pub mod attribution;
pub mod backfill;
pub mod blast;
pub mod books;
pub mod cases;
pub mod check;
pub mod cli;
pub mod config;
pub mod console;
pub mod core;
pub mod correlator;
pub mod crash;
pub mod deliver;
pub mod demo;
pub mod evaluator;
pub mod exceptions;
pub mod explain;
pub mod intake;
pub mod inventory;
pub mod journal;
pub mod lifecycle;
pub mod matcher;
pub mod messages;
pub mod operator;
pub mod outbox;
pub mod pipeline;
pub mod playbook;
pub mod principals;
pub mod redact;
mod registry;
pub mod reload;
pub mod replay;
pub mod router;
pub mod rule_bench;
pub mod rule_tests;
pub mod run;
pub mod setup;
pub mod sheet;
pub mod shelf;
pub mod state;
pub mod store;
pub mod verify;
pub mod watermark;
