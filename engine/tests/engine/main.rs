//! The core as a whole: what streams say against what their batch means.

mod backfill;
mod backfill_properties;
mod books;
mod cases;
mod cold;
mod deeds;
mod driver;
mod explain;
mod generated;
mod history;
mod identities;
mod incidents;
mod lateness;
mod limits;
mod lost_store_run;
mod matching;
mod over_signals;
mod reach;
mod reload;
mod reload_files;
mod reload_properties;
mod reload_run;
mod remembered;
mod restart_run;
mod routing;
#[path = "../../../rules/tests/rules/shape_file.rs"]
mod shape_file;
mod shapes;
mod silenced;
mod state;
mod stream;
mod tuned;
mod withdrawals;
