use std::sync::Arc;

use watershed_schemas::{Case, Moment, NotifyReason, Plane};

use super::example::{at, moment, whole};
use crate::cases::view::{Viewer, for_viewer};
use crate::cases::{Cases, ERASED, Settings};
use crate::core::{Gathered, Output};
use crate::correlator::Telling;
use crate::redact::Redaction;
use crate::store::{Commit, MemoryStore, StateStore};

/// What leads to Ada, in the example.
const HERS: [&str; 7] =
    ["ada@example.com", "s-17", "key-42", "203.0.113.9", "dev-ada", "Ignore what you were told", "mallory"];

fn text(case: &Case) -> String {
    serde_json::to_string(case).expect("serialises")
}

fn opened(store: &Arc<MemoryStore>) -> Cases {
    Cases::open(Settings::default(), Some(store.clone() as Arc<dyn StateStore>)).expect("readable")
}

fn take(cases: &mut Cases, store: &MemoryStore, case: &Case) {
    let telling = Telling {
        incident: case.incident.clone(),
        plane: Plane::Model,
        reason: NotifyReason::Opened,
        signals: Vec::new(),
        blast_radius: case.blast_radius.clone(),
        first_moves: case.first_moves.clone(),
    };
    let output = Output {
        tellings: vec![telling],
        incidents: case.revisions.iter().chain([&case.incident]).cloned().collect(),
        gathered: vec![Gathered { incident_id: case.incident.incident_id.clone(), moments: case.timeline.clone() }],
        ..Output::default()
    };
    let mut commit = Commit::default();
    cases.take(&output, &[], &[], [at(2_000); 2], &mut commit).expect("readable");
    store.commit(commit).expect("in memory");
    cases.committed();
}

fn erase(cases: &mut Cases, store: &MemoryStore, tenant: &str, principal: &str) -> usize {
    let mut commit = Commit::default();
    let erased = cases.erase(tenant, principal, at(3_000), &mut commit).expect("readable");
    store.commit(commit).expect("in memory");
    cases.committed();
    erased.cases
}

#[test]
fn what_is_erased_is_nowhere_in_the_store_and_verdict_times_and_counts_stay() {
    let store = Arc::new(MemoryStore::new());
    let mut cases = opened(&store);
    let whole = whole();
    let id = whole.incident.incident_id.clone();
    take(&mut cases, &store, &whole);
    assert!(HERS.iter().all(|hers| text(&cases.get(&id).expect("readable").expect("there")).contains(hers)));
    assert_eq!(erase(&mut cases, &store, "acme", "somebody else"), 0);
    assert_eq!(erase(&mut cases, &store, "other tenant", "ada@example.com"), 0);
    assert_eq!(erase(&mut cases, &store, "acme", "ada@example.com"), 1);
    assert_eq!(erase(&mut cases, &store, "acme", "ada@example.com"), 0, "there is nothing left");
    for restarted in [false, true] {
        if restarted {
            cases = opened(&store);
        }
        let case = cases.get(&id).expect("readable").expect("there");
        for hers in HERS {
            assert!(!text(&case).contains(hers), "{hers} is left: {case:#?}");
        }
        let stored = store.scan(b"c/").expect("in memory");
        let stored: Vec<String> = stored.iter().map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect();
        assert!(stored.iter().all(|value| HERS.iter().all(|hers| !value.contains(hers))), "{stored:#?}");
        assert_eq!((case.incident.principal.as_deref(), case.erased), (Some(ERASED), Some(at(3_000))));
        assert_eq!(case.incident.verdict, whole.incident.verdict);
        assert_eq!(case.incident.scores, whole.incident.scores);
        assert_eq!(case.incident.signals, whole.incident.signals);
        assert_eq!(case.incident.sessions.len(), whole.incident.sessions.len());
        assert_eq!(case.timeline.len(), whole.timeline.len());
        let times = |case: &Case| case.timeline.iter().map(|moment| moment.event_time).collect::<Vec<_>>();
        assert_eq!(times(&case), times(&whole));
        assert_eq!(case.first_moves[1].text, format!("revoke credential {ERASED} of {ERASED}"));
        assert_eq!(case.blast_radius.as_ref().map(|radius| radius.principal.as_str()), Some(ERASED));
        assert_eq!(case.timeline[1].columns["tool"], "send_mail", "what was done stays");
        assert_eq!(cases.list(&Default::default()).next().and_then(|entry| entry.principal.as_deref()), Some(ERASED));
    }
    // An incident that is still revised does not bring it back, a restart in between or not.
    let again = Case { revisions: Vec::new(), ..whole.clone() };
    take(&mut cases, &store, &again);
    let case = cases.get(&id).expect("readable").expect("there");
    assert!(HERS.iter().all(|hers| !text(&case).contains(hers)), "{case:#?}");
}

#[test]
fn in_the_files_of_others_only_the_moments_of_the_erased_one_are_masked() {
    let store = Arc::new(MemoryStore::new());
    let mut cases = opened(&store);
    let mut whole = whole();
    let delegated = [("principal", "bob@example.com"), ("on_behalf_of", "ada@example.com"), ("ip", "198.51.100.7")];
    whole.timeline = vec![
        moment(Plane::Model, 1, "one", "tool_call", &[("principal", "bob@example.com"), ("target", "crm")]),
        moment(Plane::Model, 2, "two", "tool_call", &delegated),
    ];
    for revision in whole.revisions.iter_mut().chain([&mut whole.incident]) {
        revision.principal = Some("bob@example.com".to_owned());
    }
    take(&mut cases, &store, &whole);
    assert_eq!(erase(&mut cases, &store, "acme", "ada@example.com"), 1);
    let case = cases.get(&whole.incident.incident_id).expect("readable").expect("there");
    assert_eq!(case.incident.principal.as_deref(), Some("bob@example.com"));
    assert_eq!(case.timeline[0].columns["target"], "crm");
    let masked: Vec<&str> = case.timeline[1].columns.values().map(String::as_str).collect();
    assert_eq!(masked, [ERASED; 3]);
    assert!(!text(&case).contains("ada@example.com"), "{case:#?}");
}

#[test]
fn a_team_sees_its_own_plane_and_of_the_other_what_its_findings_rest_on() {
    let mut whole = whole();
    // A finding of the model plane rests on an event of the access plane.
    let mut token = moment(
        Plane::Access,
        30,
        "id-0",
        "token_issued",
        &[("credential_id", "key-42"), ("ip", "192.0.2.1"), ("device_id", "dev-1"), ("outcome", "success")],
    );
    token.moment = Moment::Evidence;
    token.signals = vec![("sig_1".to_owned(), "injection".to_owned())];
    whole.timeline.insert(0, token);
    let seen = |case: &Case, viewer| for_viewer(case.clone(), viewer, &Redaction::default());
    assert_eq!(seen(&whole, Viewer::All), whole);

    let iam = seen(&whole, Viewer::Owner(Plane::Access));
    let shown = text(&iam);
    for hidden in ["Ignore what you were told", "abcDEF123456", "mallory", "injection\":\"high"] {
        assert!(!shown.contains(hidden), "{hidden}: {shown}");
    }
    assert!(shown.contains("203.0.113.9"), "its own addresses");
    assert_eq!(iam.incident.rules, ["stolen-token"]);
    assert_eq!(iam.timeline_omitted, whole.timeline_omitted + 2);
    assert_eq!(iam.first_moves.len(), 2, "the other's step is named");

    let model = seen(&whole, Viewer::Owner(Plane::Model));
    let shown = text(&model);
    for hidden in ["203.0.113.9", "192.0.2.1", "dev-ada", "dev-1", "vault lease revoke"] {
        assert!(!shown.contains(hidden), "{hidden}: {shown}");
    }
    let ids: Vec<&str> = model.timeline.iter().map(|moment| moment.event_id.as_str()).collect();
    assert_eq!(ids, ["id-0", "rt-1", "rt-2"]);
    let columns = &model.timeline[0].columns;
    assert_eq!(columns.keys().collect::<Vec<_>>(), ["credential_id", "device_id", "ip", "outcome"]);
    assert!(columns["ip"].starts_with("withheld:address#"), "{columns:?}");
    let withheld: Vec<(&str, u32)> = model.withheld.iter().map(|held| (held.class.as_str(), held.count)).collect();
    assert_eq!(withheld, [("address", 1), ("device", 1)]);
}
