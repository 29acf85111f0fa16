//! Case files for people and other programs.
//!
//! [`page`] says once what a reader is told, in plain words and with hostile text made visible; [`text`], [`markdown`] and [`html`]
//! only lay it out. For a SIEM there is [`watershed_connectors::sinks::ocsf::case_finding`].

pub mod html;
pub mod markdown;
pub mod page;
#[cfg(test)]
mod tests;
pub mod text;
mod words;

pub use page::Page;
