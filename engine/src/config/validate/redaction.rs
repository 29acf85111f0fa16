//! What receivers are shown, and the key of fingerprints.

use secrecy::ExposeSecret as _;
use watershed_schemas::Plane;

use super::Findings;
use crate::config::raw;
use crate::redact::{Class, Key, Overrides, Policy, Settings};

/// Shortest key in bytes: a shorter one could be tried out.
const KEY_BYTES: usize = 16;

pub(super) fn validate(receivers: &[raw::Receiver], section: &raw::Redacting, findings: &mut Findings<'_>) -> Settings {
    let mut settings = Settings { key: key(section, findings), ..Settings::default() };
    for (index, receiver) in receivers.iter().enumerate() {
        let overrides = Overrides { show: receiver.show.clone(), hide: receiver.hide.clone() };
        let setting = format!("receivers[{index}]");
        let planes = receiver.planes.clone().or_else(|| receiver.team.owned()).unwrap_or_default();
        for (at, class) in receiver.show.iter().enumerate() {
            let setting = format!("{setting}.show[{at}]");
            if *class == Class::Secret {
                findings.error(&setting, "`secret` is shown to nobody; leave it out");
            } else if receiver.hide.contains(class) {
                findings.error(&setting, format!("`{class}` is in `hide` as well; keep one of them"));
            } else if Plane::ALL.into_iter().all(|plane| Policy::of(&planes).shows(plane, *class)) {
                findings.warn(&setting, format!("`{class}` is shown to it anyway; leave it out"));
            } else if !planes.contains(&Plane::Model)
                && matches!(class, Class::Prompt | Class::Arguments | Class::Result)
            {
                let message = format!("shows `{class}` of the model plane to a receiver that does not answer for it");
                findings.warn(&setting, message);
            }
        }
        for (at, class) in receiver.hide.iter().enumerate() {
            if *class == Class::Secret {
                findings.warn(&format!("{setting}.hide[{at}]"), "`secret` is shown to nobody anyway; leave it out");
            }
        }
        if overrides != Overrides::default() {
            settings.receivers.insert(receiver.name.clone(), overrides);
        }
    }
    settings
}

fn key(section: &raw::Redacting, findings: &mut Findings<'_>) -> Option<Key> {
    let secret = match section.key.as_ref()?.resolve() {
        Ok(secret) => secret,
        Err(error) => {
            findings.error("redaction.key", format!("can't be read: {error}"));
            return None;
        }
    };
    let bytes = secret.expose_secret().as_bytes();
    if bytes.len() < KEY_BYTES {
        let message =
            format!("has {} bytes, which can be tried out; take at least {KEY_BYTES} random ones", bytes.len());
        findings.error("redaction.key", message);
        return None;
    }
    Some(Key::new(bytes))
}
