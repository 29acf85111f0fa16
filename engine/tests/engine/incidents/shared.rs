//! Principals through which many act: what they do is grouped by session.

use std::collections::BTreeSet;

use watershed_engine::core::Input;
use watershed_engine::principals::{Alias, Aliases};
use watershed_schemas::{IncidentRevision, IncidentStatus, Verdict};

use super::{call, flag, prompt, risk, rules, short};
use crate::driver::Driver;
use crate::history::{Event, as_written};

fn shared(ids: &[&str]) -> Input {
    Input::Shared(ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>())
}

/// Principal, sessions, verdict and number of signals of each incident that stands.
fn shown(driver: &Driver) -> Vec<(Option<String>, Vec<String>, Verdict, usize)> {
    let stands =
        |incident: &&IncidentRevision| !matches!(incident.status, IncidentStatus::Merged | IncidentStatus::Withdrawn);
    let mut shown: Vec<_> = driver
        .incidents()
        .into_values()
        .filter(stands)
        .map(|last| (last.principal.clone(), last.sessions.clone(), last.verdict, last.signals.len()))
        .collect();
    shown.sort_by(|a, b| (&a.0, &a.1, a.3).cmp(&(&b.0, &b.1, b.3)));
    shown
}

fn driver() -> Driver {
    let mut driver = Driver::new(short(), as_written(&rules()));
    driver.assign();
    driver
}

fn own(principal: &str) -> Option<String> {
    Some(principal.to_owned())
}

fn sessions(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn one_service_account_does_not_become_everybodys_incident() {
    let history = [flag(0, Some(0), Some(0)), flag(1, Some(0), Some(1)), flag(2, Some(1), Some(0))];
    for (ids, expected) in [
        (
            &[][..],
            vec![
                (own("p0"), sessions(&["s0", "s1"]), Verdict::ModelAbuse, 2),
                (own("p1"), sessions(&["s0"]), Verdict::ModelAbuse, 1),
            ],
        ),
        (
            &["p0"],
            vec![
                (own("p0"), sessions(&["s0"]), Verdict::ModelAbuse, 1),
                (own("p0"), sessions(&["s1"]), Verdict::ModelAbuse, 1),
                (own("p1"), sessions(&["s0"]), Verdict::ModelAbuse, 1),
            ],
        ),
    ] {
        let mut driver = driver();
        driver.step(vec![shared(ids)]);
        for at in 0..history.len() {
            driver.step_rows(&history, &[at]);
        }
        assert_eq!(shown(&driver), expected, "shared: {ids:?}");
    }
}

#[test]
fn any_id_of_a_principal_names_it_and_nobody_elses_deeds_are_meant() {
    let history = [flag(0, Some(0), Some(0)), flag(1, Some(0), Some(1)), flag(2, Some(1), Some(1))];
    let alias = |(principal, alias): &(&str, &str)| Alias {
        tenant: "acme".into(),
        principal: (*principal).into(),
        alias: (*alias).into(),
        kind: None,
    };
    // An agent whose id is tied to the principal's, in either direction, or to both by a third; and one that is not.
    for (rows, called, apart) in [
        (&[("p0", "helpdesk-bot")][..], "p0", true),
        (&[("helpdesk-bot", "p0")], "helpdesk-bot", true),
        (&[("svc", "p0"), ("svc", "helpdesk-bot")], "svc", true),
        (&[], "p0", false),
    ] {
        let mut driver = driver();
        let aliases = Aliases::new(rows.iter().map(alias).collect()).expect("the rows go together");
        driver.step(vec![Input::Aliases(aliases), shared(&["helpdesk-bot"])]);
        for at in 0..history.len() {
            driver.step_rows(&history, &[at]);
        }
        let of: Vec<usize> =
            shown(&driver).into_iter().filter(|one| one.0 == own(called)).map(|(.., signals)| signals).collect();
        assert_eq!(of, if apart { vec![1, 1] } else { vec![2] }, "{rows:?}: {:?}", shown(&driver));
    }
}

#[test]
fn without_a_session_its_agents_and_credentials_are_kept_apart() {
    let mut driver = driver();
    driver.step(vec![shared(&["p0"])]);
    let agent = |value: usize, minute: i64| Event { value, ..flag(minute, Some(0), None) };
    // The last names neither session nor agent nor credential.
    let history = [agent(0, 0), agent(1, 1), agent(0, 2), risk(2, 0), risk(3, 0)];
    for at in 0..history.len() {
        driver.step_rows(&history, &[at]);
    }
    let counts: Vec<(Verdict, usize)> =
        shown(&driver).into_iter().map(|(.., verdict, count)| (verdict, count)).collect();
    let expected = [(Verdict::ModelAbuse, 1), (Verdict::ModelAbuse, 2), (Verdict::AccessCompromise, 2)];
    assert_eq!(counts.len(), 3);
    assert!(expected.iter().all(|one| counts.contains(one)), "{counts:?}");
}

#[test]
fn a_session_whose_principal_turns_out_to_be_shared_stays_a_session() {
    let mut driver = driver();
    driver.step(vec![shared(&["p0"])]);
    let history = [risk(0, 0), call(1, None, Some(0)), prompt(2, Some(0), Some(0)), flag(3, Some(0), Some(0))];
    for at in 0..history.len() {
        driver.step_rows(&history, &[at]);
    }
    assert_eq!(
        shown(&driver),
        [(own("p0"), Vec::new(), Verdict::AccessCompromise, 1), (own("p0"), sessions(&["s0"]), Verdict::ModelAbuse, 2),]
    );
}

#[test]
fn a_new_marking_holds_for_what_comes_after_and_across_a_restart() {
    let history = [
        flag(0, Some(0), Some(0)),
        flag(1, Some(0), Some(1)),
        flag(2, Some(0), Some(0)),
        flag(3, Some(0), Some(1)),
        flag(4, Some(0), Some(1)),
    ];
    for restart in 0..history.len() {
        let mut driver = driver();
        for at in 0..history.len() {
            if at == restart {
                driver.restart();
                driver.step(vec![shared(if at < 2 { &[] } else { &["p0"] })]);
            }
            if at == 2 {
                driver.step(vec![shared(&["p0"])]);
            }
            driver.step_rows(&history, &[at]);
        }
        assert_eq!(
            shown(&driver),
            [
                (own("p0"), sessions(&["s0"]), Verdict::ModelAbuse, 1),
                (own("p0"), sessions(&["s0", "s1"]), Verdict::ModelAbuse, 2),
                (own("p0"), sessions(&["s1"]), Verdict::ModelAbuse, 2),
            ],
            "restart before row {restart}"
        );
    }
}
