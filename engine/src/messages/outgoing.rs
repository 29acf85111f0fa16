//! The last step before a sink: what goes out is masked once more, and written by the receiver's template.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use serde_json::Value;
use watershed_connectors::sinks::{Attempt, Receipt, SendError, Sink};
use watershed_schemas::Notification;

use super::Template;
use crate::redact::mask_message;

static FAILED: AtomicU64 = AtomicU64::new(0);

/// How many messages this process has sent in the sink's own words because a template failed.
pub fn template_failures() -> u64 {
    FAILED.load(Ordering::Relaxed)
}

/// A sink that sends nothing unmasked, with the words of a template where the receiver has one.
pub struct Outgoing {
    sink: Arc<dyn Sink>,
    template: Option<Arc<Template>>,
}

impl Outgoing {
    /// Before this sink.
    pub fn new(sink: Arc<dyn Sink>, template: Option<Arc<Template>>) -> Self {
        Outgoing { sink, template }
    }

    /// The message as the sink is given it. A template that fails on it is counted and logged, and the message goes out in the
    /// sink's own words: nobody misses an incident because of a template.
    fn written(&self, notification: &Notification) -> Notification {
        let mut notification = notification.clone();
        if let Some(template) = &self.template {
            match template.render(&notification) {
                Ok((title, text)) => (notification.title, notification.text) = (title, Some(text)),
                Err(error) => {
                    FAILED.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(receiver = %notification.receiver, %error, "a template failed; the default is sent");
                }
            }
        }
        mask_message(&mut notification);
        notification
    }
}

#[async_trait]
impl Sink for Outgoing {
    fn kind(&self) -> &'static str {
        self.sink.kind()
    }

    fn remembers(&self) -> bool {
        self.sink.remembers()
    }

    fn preview(&self, notification: &Notification) -> Value {
        self.sink.preview(&self.written(notification))
    }

    async fn send(&self, notification: &Notification, attempt: &Attempt<'_>) -> Result<Receipt, SendError> {
        self.sink.send(&self.written(notification), attempt).await
    }
}
