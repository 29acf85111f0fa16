//! What must not be sent.

use serde::Deserialize;
use serde_json::Value;
use watershed_schemas::Notification;

/// One entry of `never`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Never {
    /// Its line.
    pub line: u64,
    /// Who must not get it; absent: nobody may.
    pub to: Option<String>,
    /// About whom nothing may be said.
    pub about: Option<String>,
    /// Words that may stand nowhere in a message.
    pub text: Option<String>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNever {
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    about: Option<String>,
    #[serde(default)]
    text: Option<String>,
}

impl RawNever {
    pub(super) fn read(self, line: u64) -> Result<Never, Vec<String>> {
        match self {
            RawNever { about: Some(_), text: Some(_), .. } => {
                Err(vec!["`about` and `text` are two things: write two entries".to_owned()])
            }
            RawNever { to: None, about: None, text: None } => {
                Err(vec!["it forbids nothing; say `to`, `about` or `text`".to_owned()])
            }
            RawNever { text: Some(text), .. } if text.trim().is_empty() => Err(vec!["`text` is empty".to_owned()]),
            RawNever { to, about, text } => Ok(Never { line, to, about, text }),
        }
    }
}

impl Never {
    /// Whether this message must not be sent to this receiver.
    pub fn forbids(&self, receiver: &str, message: &Notification, body: &str) -> bool {
        self.to.as_ref().is_none_or(|to| to == receiver)
            && self.about.as_ref().is_none_or(|about| message.principal.as_ref() == Some(about))
            && self.text.as_ref().is_none_or(|text| body.contains(in_json(text).as_str()))
    }
}

/// Words as JSON writes them.
pub(super) fn in_json(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

impl std::fmt::Display for Never {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.text, &self.about) {
            (Some(text), _) => write!(f, "the words `{text}`")?,
            (_, Some(about)) => write!(f, "anything about {about}")?,
            _ => write!(f, "anything")?,
        }
        match &self.to {
            Some(to) => write!(f, " to {to}"),
            None => write!(f, " to anybody"),
        }
    }
}
