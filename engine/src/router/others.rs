//! Who holds the other half of an incident: what makes one team sure that the other one knows, or that nobody does.

use watershed_schemas::{Plane, Related, Untold};

use super::Router;
use super::page::{Half, Hold, Page};
use super::tree::FALLBACK;

/// What a receiver is told of the half that is not its own.
#[derive(Debug, Default)]
pub(super) struct Others {
    /// Teams that were told of it, or are told in this very step.
    pub(super) related: Vec<Related>,
    /// That nobody was.
    pub(super) untold: Option<Untold>,
}

impl Router {
    /// Who was told of these planes of an incident, or is now. A page that is being settled is not among the pages: who asks is
    /// not named.
    pub(super) fn others(&self, own: &Page, incident: &str, planes: &[Plane]) -> Others {
        let mut others = Others::default();
        for plane in planes {
            let mut told = own
                .members
                .get(incident)
                .and_then(|member| member[plane.index()].as_ref())
                .is_some_and(|half| half.told);
            let mut why: Option<String> = None;
            for key in self.by_incident.get(incident).into_iter().flatten() {
                let Some(page) = self.pages.get(key) else { continue };
                let Some(half) = page.members.get(incident).and_then(|member| member[plane.index()].as_ref()) else {
                    continue;
                };
                let receiver = &self.routes.receivers[key.0];
                match self.knows(page, half) {
                    Ok(()) if page.route == FALLBACK => {
                        why = why.or_else(|| Some(format!("no receiver takes it but the fallback {}", receiver.name)));
                    }
                    Ok(()) => {
                        told = true;
                        if others.related.iter().all(|related| related.team != receiver.team) {
                            let (team, incident_id) = (receiver.team.clone(), incident.to_owned());
                            others.related.push(Related { team, incident_id });
                        }
                    }
                    Err(reason) => why = why.or(reason.map(|reason| format!("for {}, {reason}", receiver.name))),
                }
            }
            if !told {
                others.untold = Some(Untold { plane: *plane, why });
            }
        }
        others
    }

    /// Whether a half was told, or is told in this step; else why it is not, where that is known.
    fn knows(&self, page: &Page, half: &Half) -> Result<(), Option<String>> {
        if half.told {
            return Ok(());
        }
        let Some(live) = half.live.as_deref().filter(|_| half.pending.is_some()) else { return Err(None) };
        let held = half.held.clone().or_else(|| self.holding(live, self.muted(page).as_deref()));
        match held {
            Some(Hold::Silence { id }) => Err(Some(format!("it is silenced ({id})"))),
            Some(Hold::Mute { interval }) => Err(Some(format!("its route is mute ({interval})"))),
            Some(Hold::Inhibition { incident }) => Err(Some(format!("the graver {incident} inhibits it"))),
            None if page.tells_at(self.routes.policy(&page.route), self.hurry) > self.now => {
                Err(Some("it waits for its group".to_owned()))
            }
            None => Ok(()),
        }
    }
}
