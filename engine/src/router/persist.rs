//! What must survive a restart: pages, silences, and which incidents keep others quiet.

use std::sync::Arc;

use super::page::{self, Page};
use super::{Router, inhibit, silence};
use crate::store::Commit;

/// First bytes of all keys of the router.
pub const PREFIX: &[u8] = b"n/";

impl Router {
    /// Whether a commit would have something to write.
    pub fn has_news(&self) -> bool {
        !self.dirty.is_empty() || !self.gone.is_empty() || self.silences.is_changed() || self.inhibitor.is_changed()
    }

    /// Writes what has changed since the last time.
    pub fn persist(&mut self, commit: &mut Commit) {
        for key in std::mem::take(&mut self.dirty) {
            match self.pages.get_mut(&key) {
                Some(page) => {
                    let stored = page::stored_key(&page.receiver, &page.id);
                    if std::mem::take(&mut page.unwritten) {
                        commit.deletes.retain(|deleted| *deleted != stored);
                    }
                    commit.put(|| stored, page);
                }
                None => {
                    let receiver = &self.routes.receivers[key.0].name;
                    forget(page::stored_key(receiver, &key.1), commit);
                }
            }
        }
        std::mem::take(&mut self.gone).into_iter().for_each(|key| forget(key, commit));
        for (key, silence) in self.silences.take_changes() {
            match silence {
                Some(silence) => commit.put(|| key, &silence),
                None => forget(key, commit),
            }
        }
        for (key, labels) in self.inhibitor.take_changes() {
            match labels {
                Some(labels) => commit.put(|| key, &labels),
                None => forget(key, commit),
            }
        }
    }

    /// Takes up what was durable before a restart, as pairs under [`PREFIX`].
    pub fn restore(&mut self, stored: &[(Vec<u8>, Vec<u8>)]) {
        for (key, value) in stored {
            if key.starts_with(silence::PREFIX) {
                self.silences.restore(value);
            } else if key.starts_with(inhibit::PREFIX) {
                self.inhibitor.restore(key, value);
            } else if key.starts_with(page::PREFIX) {
                match serde_json::from_slice::<Page>(value) {
                    Ok(page) => self.restore_page(key, page),
                    Err(_) => self.gone.push(key.clone()),
                }
            }
        }
        // What was learned just now is in the store already.
        self.inhibitor.take_changes();
        self.stirred = true;
    }

    fn restore_page(&mut self, stored: &[u8], mut page: Page) {
        let receiver = self.routes.receivers.iter().position(|receiver| receiver.name == page.receiver);
        // A receiver that was taken out of the configuration is told nothing more.
        let Some(receiver) = receiver else {
            self.gone.push(stored.to_vec());
            return;
        };
        let key = (receiver, Arc::from(page.id.as_str()));
        for incident in page.members.keys() {
            self.by_incident.entry(Arc::from(incident.as_str())).or_default().insert(key.clone());
        }
        page.scheduled = page.next(self.routes.policy(&page.route), false).map(|(at, _)| at);
        self.due.extend(page.scheduled.map(|at| (at, key.clone())));
        if page.halves().any(|half| half.held.is_some()) {
            self.held.insert(key.clone());
        }
        self.pages.insert(key, page);
    }
}

/// Deletes a key, and what earlier steps of the same commit have put under it.
fn forget(key: Vec<u8>, commit: &mut Commit) {
    commit.forget(vec![key]);
}
