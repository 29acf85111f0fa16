//! The core as a whole: what streams say against what their batch means.

mod driver;
mod explain;
mod generated;
mod history;
mod incidents;
mod lateness;
mod limits;
mod matching;
mod reload;
mod reload_files;
mod reload_properties;
mod reload_run;
mod remembered;
mod routing;
mod stream;
mod withdrawals;
