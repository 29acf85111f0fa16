//! What is not known of a reach, said to its reader.

use std::collections::BTreeSet;

use watershed_schemas::{Plane, Timestamp};

use super::did::LeftOut;
use super::{Could, Deeds, Knowledge, Subject};

/// Most credentials that are named as unheard of.
const NAMED: usize = 8;

/// One sentence for each thing that is not known. May hold hostile ids.
pub(super) fn unknown(
    subject: &Subject,
    knowledge: &Knowledge<'_>,
    could: &Could,
    deeds: &Deeds,
    left_out: Option<LeftOut>,
) -> Vec<String> {
    let mut unknown = Vec::new();
    let was_heard = knowledge.since.iter().any(Option::is_some);
    if let Some(id) = subject.principal.as_deref().filter(|_| was_heard && could.is_nothing() && deeds.counted() == 0) {
        let identity = knowledge.principals.identity(&subject.tenant, id, None);
        if !identity.known {
            let elsewhere = match identity.known_in.as_slice() {
                [] => String::new(),
                tenants => format!(" (it is known in {})", tenants.join(", ")),
            };
            let tenant = &subject.tenant;
            unknown.push(format!(
                "who this is: nothing that was heard names it in tenant {tenant}; are id and tenant right?{elsewhere}"
            ));
        }
    }
    if could.ids.is_empty() {
        let whose = format!("whose session {} is; what its identity could reach is not known", could.principal);
        unknown.push(whose);
    }
    let heard = knowledge.watermarks.heard(Plane::Access);
    match knowledge.since[Plane::Access.index()] {
        None => unknown.push("the access plane was never heard: what could be reached is not known".to_owned()),
        Some(since) => {
            if subject.at < since {
                unknown.push(format!("the access plane was not heard before {since}"));
            } else {
                unknown.push(format!("what was granted or issued before {since} and not heard of since"));
            }
            if heard < subject.at && heard != Timestamp::MIN {
                unknown.push(format!("the access plane was last heard at {heard}: what changed since"));
            }
        }
    }
    if knowledge.since[Plane::Model.index()].is_none() {
        unknown.push("the model plane was never heard: what agents did is not known".to_owned());
    }
    let missing: Vec<&str> = watershed_schemas::StateTable::ALL
        .into_iter()
        .filter(|table| !knowledge.state.kept().any(|kept| kept == *table))
        .map(watershed_schemas::StateTable::name)
        .collect();
    if !missing.is_empty() {
        unknown.push(format!("{}: these tables are not kept here", missing.join(", ")));
    }
    let folded = knowledge.state.folded_to();
    if subject.at < folded {
        unknown.push(format!("what changed before {folded} and was changed again: it is not kept any more"));
    }
    for (table, since) in Could::lost(knowledge) {
        unknown.push(format!("some {} since {since}: there was no room for them", table.name()));
    }
    if let Some(status) = &could.inactive {
        unknown.push(format!("its account is {status}: whether every system that trusts it knows that"));
    }
    let is_unheard =
        |credential: &&String| knowledge.state.named_with(&subject.tenant, credential, subject.at).is_none();
    let unheard: BTreeSet<&String> = could.unheard.iter().chain(deeds.used().iter().filter(is_unheard)).collect();
    for credential in unheard.iter().take(NAMED) {
        unknown.push(format!("whether credential {credential} is valid: it was used, its issue was not heard"));
    }
    if unheard.len() > NAMED {
        unknown.push(format!("the same of {} more credentials", unheard.len() - NAMED));
    }
    unknown.extend(beyond(deeds, left_out));
    unknown
}

/// What may have been done beyond what was counted.
fn beyond(deeds: &Deeds, left_out: Option<LeftOut>) -> Vec<String> {
    let Some(left_out) = left_out else { return Vec::new() };
    let (from, to) = (deeds.window.start(), deeds.window.end());
    let mut unknown = vec![format!(
        "what it did between {from} and {to} beyond the {} events that findings rest on or rules remember",
        deeds.counted()
    )];
    if left_out.rows > 0 {
        unknown.push(format!("{} remembered rows were not looked at", left_out.rows));
    }
    if left_out.unreadable > 0 {
        unknown.push(format!("{} remembered rows could not be read back", left_out.unreadable));
    }
    unknown
}
