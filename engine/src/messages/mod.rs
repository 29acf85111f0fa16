//! The words of messages: templates, and the last step before a sink.
//!
//! Without a template a receiver gets what its kind of sink makes of a notification. With one, the template writes title and
//! text, from the notification as the receiver may see it and from nothing else; the sink escapes both for its receiver as it
//! escapes everything. A template can't loop for ever, write without end, read files or reach what the receiver may not see.

mod bare;
mod context;
mod escapes;
mod examples;
mod outgoing;
mod template;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use bare::{Lost, bare, moved};
pub use examples::{Example, examples};
pub use outgoing::{Outgoing, template_failures};
pub use template::{BUILT_IN, Template, TemplateError};
