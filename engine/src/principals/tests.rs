//! The fold under any order.

use std::collections::BTreeMap;

use proptest::prelude::*;
use watershed_schemas::tables::{identity, runtime};
use watershed_schemas::{Cell, EventBatch, EventBatchBuilder, Plane, Row, Timestamp};

use super::*;

/// One event: time, source, event id, principal, aliases, on whose behalf.
type Event = (i64, &'static str, String, String, Vec<String>, Option<String>);

fn row(event: &Event) -> Row<'static> {
    let (time, source, id, principal, aliases, on_behalf_of) = event;
    let mut row = Row::new(Plane::Access);
    row.text(runtime::EVENT_ID, id.clone());
    row.set(runtime::EVENT_TIME, Cell::Time(Timestamp::from_micros(*time)));
    row.text(runtime::TENANT, "t");
    row.text(runtime::SOURCE, *source);
    row.text(identity::KIND, "authentication");
    row.text(identity::PRINCIPAL, principal.clone());
    if !aliases.is_empty() {
        row.set(identity::ALIASES, Cell::List(aliases.iter().map(|id| id.clone().into()).collect()));
    }
    row.maybe_text(identity::ON_BEHALF_OF, on_behalf_of.clone());
    row
}

fn batch(events: &[Event]) -> EventBatch {
    let mut builder = EventBatchBuilder::new(Plane::Access);
    for (record, event) in events.iter().enumerate() {
        builder.start_record(record);
        builder.append(&row(event), None);
    }
    builder.finish()
}

/// What a fold amounts to: what ids are called, what is refused, and everything that is shown of each.
#[derive(Debug, PartialEq)]
struct Result {
    called: BTreeMap<String, String>,
    refused: Vec<(String, Conflict)>,
    shown: Vec<Identity>,
}

fn result(principals: &Principals, ids: &[String]) -> Result {
    let names = principals.names().read();
    Result {
        called: ids.iter().map(|id| (id.clone(), names.canonical("t", id).to_owned())).collect(),
        refused: principals.conflicts().map(|(tenant, conflict)| (tenant.to_owned(), conflict)).collect(),
        shown: ids.iter().map(|id| principals.identity("t", id, None)).collect(),
    }
}

fn settle(principals: &mut Principals) {
    let renamed = principals.settle();
    principals.rename(&renamed);
}

fn learned(events: &[Event]) -> Principals {
    let mut principals = Principals::default();
    principals.learn(&batch(events), None, &mut Commit::default());
    settle(&mut principals);
    principals
}

fn event(time: i64, source: &'static str, principal: &str, aliases: &[&str]) -> Event {
    let aliases = aliases.iter().map(|id| (*id).to_owned()).collect();
    (time, source, format!("{source}-{time}-{principal}"), principal.to_owned(), aliases, None)
}

fn check(events: &[Event], called: &[(&str, &str)], refused: usize) -> Principals {
    let principals = learned(events);
    for (id, name) in called {
        assert_eq!(principals.names().read().canonical("t", id), *name, "{id}");
    }
    assert_eq!(principals.counts().conflicts, refused, "{:?}", principals.conflicts().collect::<Vec<_>>());
    principals
}

const ALICE: &str = "00u1aaaaaaaaaaaaaaaa";
const BOB: &str = "00u2bbbbbbbbbbbbbbbb";

#[test]
fn ids_of_one_record_are_one_principal_and_links_carry_on() {
    let events = [
        event(1, "okta", ALICE, &["alice@example.com"]),
        event(2, "entra", "6f9619ff-8b86-d011-b42d-00c04fc964ff", &["alice@example.com"]),
    ];
    let principals = check(
        &events,
        &[(ALICE, "alice@example.com"), ("6f9619ff-8b86-d011-b42d-00c04fc964ff", "alice@example.com")],
        0,
    );
    let shown = principals.identity("t", ALICE, None);
    assert_eq!((shown.ids.len(), shown.principal.as_str()), (3, "alice@example.com"));
    assert_eq!(shown.ids[0].learned_from[0].source, "okta", "ids in order: {:?}", shown.ids);
    assert_eq!(principals.names().read().canonical("other", ALICE), ALICE, "tenants are apart");
}

#[test]
fn a_mail_address_that_passes_on_does_not_merge_two_accounts() {
    let shared = "helpdesk@example.com";
    let events = [event(1, "okta", ALICE, &[shared]), event(2, "okta", BOB, &[shared])];
    let principals = check(&events, &[(ALICE, shared), (BOB, BOB)], 1);
    let conflict = &principals.identity("t", BOB, None).conflicts[0];
    assert_eq!(conflict.ids, [BOB.to_owned(), shared.to_owned()]);
    assert!(conflict.reason.contains("as two"), "{conflict:?}");
    // The address is whose it was first, also where that is heard last.
    let late = [event(2, "okta", ALICE, &[shared]), event(1, "okta", BOB, &[shared])];
    check(&late, &[(ALICE, ALICE), (BOB, shared)], 1);
}

#[test]
fn an_account_that_is_established_is_not_anothers_alias() {
    let events = [
        event(1, "okta", ALICE, &["alice@example.com"]),
        event(2, "okta", BOB, &["bob@example.com"]),
        event(3, "okta", ALICE, &[BOB]),
    ];
    check(&events, &[(ALICE, "alice@example.com"), (BOB, "bob@example.com")], 1);
}

#[test]
fn two_ids_that_a_record_states_together_are_not_two_principals() {
    let (own, external) = ("6f9619ff-8b86-d011-b42d-00c04fc964ff", "11111111-8b86-d011-b42d-00c04fc964ff");
    check(
        &[event(1, "scim", "alice@example.com", &[own, external])],
        &[(own, "alice@example.com"), (external, "alice@example.com")],
        0,
    );
    // Of two records they are: the account was made anew.
    let events = [event(1, "scim", "alice@example.com", &[own]), event(2, "scim", "alice@example.com", &[external])];
    check(&events, &[(own, "alice@example.com"), (external, external)], 1);
}

#[test]
fn names_addresses_and_words_for_nobody_link_nothing() {
    let events = [event(1, "okta", ALICE, &["Alice Smith", "10.0.0.1", "unknown", "AA:BB:CC:DD:EE:FF"])];
    let principals = check(&events, &[(ALICE, ALICE)], 0);
    assert_eq!(principals.counts().links, 0);
}

#[test]
fn the_alias_file_names_and_tells_apart() {
    let alias = |principal: &str, alias: &str| Alias {
        tenant: "t".into(),
        principal: principal.into(),
        alias: alias.into(),
        kind: (principal == "boss").then(|| "human".into()),
    };
    let mut principals = learned(&[
        event(1, "okta", ALICE, &["shared@example.com"]),
        event(2, "okta", BOB, &["shared@example.com"]),
        event(3, "entra", "carol", &["shared@example.com"]),
    ]);
    let file =
        Aliases::new(vec![alias("boss", ALICE), alias("boss", BOB), alias("carla", "carol")]).expect("it is whole");
    principals.name(file, &mut Commit::default());
    let renamed = principals.settle();
    assert!(!renamed.is_empty() && principals.names().read().canonical("t", BOB) == BOB, "not in force yet");
    principals.rename(&renamed);
    let name = |principals: &Principals, id: &str| principals.names().read().canonical("t", id).to_owned();
    assert_eq!(
        [ALICE, BOB, "shared@example.com", "carol"].map(|id| name(&principals, id)),
        ["boss", "boss", "boss", "carla"]
    );
    assert_eq!(principals.identity("t", BOB, None).kind.as_deref(), Some("human"));
    let conflicts: Vec<_> = principals.conflicts().collect();
    assert!(conflicts.len() == 1 && conflicts[0].1.reason.contains("alias file"), "{conflicts:?}");
    principals.name(Aliases::default(), &mut Commit::default());
    settle(&mut principals);
    assert_eq!(
        [ALICE, BOB, "carol"].map(|id| name(&principals, id)),
        ["shared@example.com", BOB, "shared@example.com"]
    );
}

#[test]
fn limits_are_counted() {
    let mut principals = Principals::new(Limits { links: 4, links_per_id: 2, ids: 2 });
    let events: Vec<Event> =
        (0..4).map(|at| event(at, "okta", "hub@x.example", &[&format!("u{at}@x.example")])).collect();
    principals.learn(&batch(&events), None, &mut Commit::default());
    settle(&mut principals);
    let counts = principals.counts();
    assert_eq!((counts.links, counts.overflow, counts.conflicts), (2, 2, 1), "two links, one of them too many ids");
    let more: Vec<Event> = (0..4).map(|at| event(at, "okta", &format!("a{at}@x.example"), &["z@x.example"])).collect();
    principals.learn(&batch(&more), None, &mut Commit::default());
    assert_eq!((principals.counts().links, principals.counts().overflow), (4, 4));
}

#[test]
fn who_acts_for_whom_is_known_and_merges_nobody() {
    let mut agent = event(5, "entra", "agent-1", &["agent@example.com"]);
    agent.5 = Some("alice@example.com".to_owned());
    let principals = learned(&[agent, event(7, "okta", ALICE, &["alice@example.com"])]);
    let shown = principals.identity("t", "agent-1", None);
    assert_eq!(
        (shown.principal.as_str(), shown.acts_for[0].principal.as_str()),
        ("agent@example.com", "alice@example.com")
    );
    let human = principals.identity("t", ALICE, None);
    assert_eq!(human.acted_for_by[0].principal, "agent@example.com");
    let before = principals.identity("t", ALICE, Some(Timestamp::from_micros(4)));
    assert!(before.acted_for_by.is_empty() && before.ids.iter().all(|id| id.learned_from.is_empty()), "{before:?}");
}

/// Ids of every shape, few of each, so that links meet.
fn ids() -> Vec<String> {
    let mut ids = Vec::new();
    for at in 0..4 {
        ids.push(format!("u{at}@example.com"));
        ids.push(format!("00u{at}aaaaaaaaaaaaaaaa"));
        ids.push(format!("{at}f9619ff-8b86-d011-b42d-00c04fc964ff"));
        ids.push(format!("login{at}"));
    }
    ids
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let id = proptest::sample::select(ids());
    let source = proptest::sample::select(vec!["okta", "entra"]);
    let aliases = proptest::collection::vec(id.clone(), 0..3);
    let one = (0_i64..6, source, 0..3, id.clone(), aliases, proptest::option::weighted(0.2, id)).prop_map(
        |(hours, source, event, own, others, behalf)| {
            (hours * 3_600_000_000, source, format!("e{event}"), own, others, behalf)
        },
    );
    proptest::collection::vec(one, 1..14)
}

proptest! {
    #[test]
    fn order_batches_and_restarts_leave_no_trace(
        (events, order) in events().prop_flat_map(|events| {
            let order: Vec<usize> = (0..events.len()).collect();
            (Just(events), Just(order).prop_shuffle())
        }),
        sizes in proptest::collection::vec((1_usize..4, any::<bool>(), any::<bool>()), 14),
        named in proptest::option::of((proptest::sample::select(ids()), proptest::sample::select(ids()))),
    ) {
        let file = named.and_then(|(principal, alias)| {
            Aliases::new(vec![Alias { tenant: "t".into(), principal, alias, kind: None }]).ok()
        });
        let mut whole = Principals::default();
        whole.name(file.clone().unwrap_or_default(), &mut Commit::default());
        whole.learn(&batch(&events), None, &mut Commit::default());
        settle(&mut whole);

        let mut disk: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let mut principals = Principals::default();
        let mut rest = order.as_slice();
        let mut named = false;
        for (size, restart, names) in sizes {
            let (now, later) = rest.split_at(size.min(rest.len()));
            rest = later;
            let mut commit = Commit::default();
            let some: Vec<Event> = now.iter().map(|at| events[*at].clone()).collect();
            principals.learn(&batch(&some), None, &mut commit);
            if (names || rest.is_empty()) && !named {
                named = true;
                principals.name(file.clone().unwrap_or_default(), &mut commit);
            }
            settle(&mut principals);
            disk.extend(commit.puts);
            if restart {
                principals = Principals::default();
                let stored: Vec<_> = disk.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
                principals.restore(&stored);
            }
        }
        prop_assert_eq!(result(&principals, &ids()), result(&whole, &ids()));
        prop_assert_eq!(principals.counts().links, whole.counts().links);
    }

    #[test]
    fn principals_hold_what_the_rules_say(events in events()) {
        let principals = learned(&events);
        let names = principals.names().read();
        let ids = ids();
        // Two of a source's own accounts of one shape are never one.
        for a in &events {
            for b in &events {
                let anchors = [&a.3, &b.3].map(|id| id::Shape::of(id));
                let states = |event: &Event| event.4.iter().any(|other| *other != event.3);
                if a.1 == b.1 && a.3 != b.3 && anchors[0] == anchors[1] && anchors[0].is_anchor() && states(a) && states(b) {
                    prop_assert_ne!(names.canonical("t", &a.3), names.canonical("t", &b.3), "{:?} {:?}", a, b);
                }
            }
            // What a record states is one, or refused.
            for other in &a.4 {
                let one = names.canonical("t", &a.3) == names.canonical("t", other);
                let refused = principals.identity("t", &a.3, None).conflicts;
                prop_assert!(one || refused.iter().any(|conflict| conflict.ids.contains(other)), "{:?}", a);
            }
        }
        // What a principal is called is one of its ids, and the one that is preferred.
        for id in &ids {
            let called = names.canonical("t", id);
            let of_it: Vec<&String> = ids.iter().filter(|other| names.canonical("t", other) == called).collect();
            let best = of_it.iter().min_by(|a, b| id::preference(a).cmp(&id::preference(b)));
            prop_assert_eq!(best.map(|best| best.as_str()), Some(called));
        }
    }
}
