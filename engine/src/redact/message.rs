//! The last look at a message: no secret leaves, whatever field it came into.

use watershed_schemas::{
    BlastRadius, EvidenceItem, FirstMove, Group, Handled, Notice, Notification, Reach, Related, RelatedIncident,
    RuleMention, Untold,
};

use super::{mask_known, secrets};

/// Masks every text of a message, and says how many masks they hold.
///
/// Each field is named here, so that one that comes new has to be decided. Ids that the engine made hold no text.
pub fn mask_message(message: &mut Notification) -> usize {
    let Notification {
        notification_id: _,
        receiver: _,
        team: _,
        planes: _,
        reason: _,
        incident_id: _,
        revision: _,
        status: _,
        verdict: _,
        origin: _,
        coverage: _,
        severity: _,
        tenant,
        principal,
        sessions,
        title,
        first_move,
        rules,
        first_event_time: _,
        last_event_time: _,
        evidence,
        evidence_omitted: _,
        related,
        dedup_key: _,
        replaces: _,
        first_moves,
        their_first_move,
        scores: _,
        because: _,
        blast_radius,
        agents,
        tags,
        frameworks,
        shares,
        handled,
        link: _,
        group,
        withheld: _,
        reopened: _,
        untold,
        notice,
        text,
    } = message;
    let mut texts: Vec<&mut String> = vec![tenant, title, first_move];
    texts.extend(principal.as_mut().into_iter().chain(text));
    texts.extend(sessions.iter_mut().chain(agents).chain(tags).chain(frameworks));
    texts.extend(their_first_move.as_mut());
    for RuleMention { id: _, title, runbook } in rules {
        texts.push(title);
        texts.extend(runbook.as_mut());
    }
    for EvidenceItem { event_time: _, plane: _, event_id, kind, summary } in evidence {
        texts.extend([event_id, kind, summary]);
    }
    for Related { team, incident_id: _ } in related {
        texts.push(team);
    }
    if let Some(Untold { plane: _, why }) = untold {
        texts.extend(why);
    }
    for FirstMove { plane: _, order: _, action: _, object, text, how, rule: _ } in first_moves {
        texts.push(text);
        texts.extend(object.as_mut().into_iter().chain(how.as_mut()));
    }
    if let Some(BlastRadius { principal, at: _, could, did, unknown }) = blast_radius {
        let Reach { credentials, sessions, scopes, roles, tenants, delegates, shared_with, omitted: _ } = could;
        texts.push(principal);
        for list in [credentials, sessions, scopes, roles, tenants, delegates, shared_with, unknown] {
            texts.extend(list);
        }
        texts.extend(did.iter_mut().map(|reached| &mut reached.name));
    }
    for RelatedIncident { incident_id: _, shares: _, value } in shares {
        texts.push(value);
    }
    if let Some(Handled { act: _, by, at: _, note }) = handled {
        texts.push(by);
        texts.extend(note.as_mut());
    }
    if let Some(Notice { kind: _, subject, state: _, since: _, text }) = notice {
        texts.extend([subject, text]);
    }
    if let Some(Group { key: _, labels, incidents: _, omitted: _ }) = group {
        texts.extend(labels.values_mut());
    }
    for text in &mut texts {
        if let std::borrow::Cow::Owned(masked) = mask_known(text) {
            **text = masked;
        }
    }
    texts.iter().map(|text| secrets::masks(text)).sum()
}
