//! One message of every sort: what golden files show, and what a template must be able to write before it is used.

use watershed_schemas::{
    Act, Because, BlastRadius, Contribution, Coverage, Disposition, EvidenceItem, FirstMove, FirstMoved, Group,
    Handled, IncidentRevision, IncidentStatus, Move, Notice, NoticeKind, NoticeState, Notification, NotifyReason,
    Origin, Plane, PlaneCoverage, PlaneScores, Reach, Reached, Related, RelatedIncident, RuleMention, Severity, Shared,
    Timestamp, Untold, Verdict, Withheld,
};

use Plane::{Access, Model};

/// A message and the name of what it is an example of.
#[derive(Clone, Debug)]
pub struct Example {
    /// Such as `verdict-grew` or `hostile`.
    pub name: &'static str,
    /// The message.
    pub notification: Notification,
}

/// One message of every sort, the plain ones first.
pub fn examples() -> Vec<Example> {
    let example = |name, notification| Example { name, notification };
    let mut all = vec![
        example("opened-model", opened(&[Model], Verdict::ModelAbuse)),
        example("opened-access", opened(&[Access], Verdict::AccessCompromise)),
        example("opened-both-ai-security", opened(&[Model], Verdict::Both)),
        example("opened-both-iam", opened(&[Access], Verdict::Both)),
        example("opened-both-soc", opened(&[Model, Access], Verdict::Both)),
        example("nobody-has-the-other-half", nobody_else()),
        example("verdict-grew", verdict_grew()),
        example("severity-rose", severity_rose()),
        example("acknowledged", acknowledged()),
        example("repeated", later(NotifyReason::Repeated, IncidentStatus::Open, 2)),
        example("escalated", escalated()),
        example("resolved-by-quiet", later(NotifyReason::Resolved, IncidentStatus::Resolved, 3)),
        example("closed-true-positive", closed(Disposition::TruePositive, None)),
        example("closed-benign", closed(Disposition::Benign, Some("load test of the bots team"))),
        example(
            "closed-false-positive",
            closed(Disposition::FalsePositive, Some("the document was a training sample")),
        ),
        example("reopened", reopened()),
        example("withdrawn-whole", withdrawn_whole()),
        example("withdrawn-in-part", withdrawn_in_part()),
        example("merged", later(NotifyReason::Resolved, IncidentStatus::Merged, 2)),
    ];
    all.extend(gaps());
    all.extend([
        example("group", group()),
        example("storm", storm()),
        example("fallback-without-planes", fallback()),
        example("hostile", hostile()),
        example("bare", bare()),
        example("notice", notice(NoticeState::Firing)),
        example("notice-over", notice(NoticeState::Resolved)),
    ]);
    all
}

const START: i64 = 1_795_302_120;

fn at(second: i64) -> Timestamp {
    Timestamp::from_secs(START + second)
}

fn team(planes: &[Plane]) -> &'static str {
    match planes {
        [Model] => "ai-security",
        [Access] => "iam",
        _ => "soc",
    }
}

fn item(second: i64, plane: Plane, id: &str, kind: &str, summary: &str) -> EvidenceItem {
    EvidenceItem {
        event_time: at(second),
        plane,
        event_id: id.to_owned(),
        kind: kind.to_owned(),
        summary: summary.to_owned(),
    }
}

fn opened(planes: &[Plane], verdict: Verdict) -> Notification {
    let both = verdict == Verdict::Both;
    let origin = if planes == [Access] && !both { Origin::Access } else { Origin::Model };
    let scores = PlaneScores {
        model: if verdict.planes().contains(&Model) { 1.5 } else { 0.0 },
        access: if verdict.planes().contains(&Access) { 1.0 } else { 0.0 },
    };
    let incident = IncidentRevision {
        origin,
        severity: Severity::High,
        principal: Some("svc-reports@acme.example".to_owned()),
        sessions: vec!["sess-41c0".to_owned()],
        last_event_time: at(if both { 47 } else { 31 }),
        scores,
        ..IncidentRevision::opened("inc_5f2a9c0d31e84b7a", "acme", verdict, at(0))
    };
    let about = Notification::about(&incident, team(planes), team(planes), planes, NotifyReason::Opened);
    let sees = |plane: &Plane| planes.contains(plane) && verdict.planes().contains(plane);
    let what = match verdict {
        Verdict::ModelAbuse => "Model abuse",
        Verdict::AccessCompromise => "Access compromise",
        Verdict::Both => "Model abuse and access compromise",
    };
    let mut rules = Vec::new();
    let mut evidence = Vec::new();
    let mut moves = Vec::new();
    let mut contributions = Vec::new();
    if sees(&Model) {
        rules.push(RuleMention {
            id: "injected-document-then-tool".to_owned(),
            title: "Flagged document, then a sensitive tool".to_owned(),
            runbook: Some("https://runbooks.acme.example/injection".to_owned()),
        });
        contributions.push(contribution("injected-document-then-tool", 1.5, 0.0));
        evidence.extend([
            item(
                0,
                Model,
                "evt-1001",
                "guardrail",
                "tool=docs.read, verdict=warn, category=prompt_injection, \
                detector=shield, agent_id=agent-reports, session_id=sess-41c0, ip=withheld:address#7be1f0c2",
            ),
            item(
                31,
                Model,
                "evt-1002",
                "tool_call",
                "tool=mail.send, target=exports@collector.example#0d5a11fe, \
                outcome=success, agent_id=agent-reports, credential_id=key_reports_7, \
                arguments={\"subject\":\"Q3\",\"token\":\"[masked:secret]\"}",
            ),
        ]);
        moves.extend([
            step(
                Model,
                Move::AsTheRuleSays,
                None,
                "take the document out of the index",
                Some("injected-document-then-tool"),
            ),
            step(Model, Move::PauseAgent, Some("agent-reports"), "pause agent agent-reports", None),
        ]);
    }
    if sees(&Access) {
        rules.push(RuleMention {
            id: "token-from-new-network".to_owned(),
            title: "A token used from a network that it never came from".to_owned(),
            runbook: None,
        });
        contributions.push(contribution("token-from-new-network", 0.0, 1.0));
        evidence.push(item(47, Access, "idp-77", "token_used", "outcome=success, principal=svc-reports@acme.example, \
            credential_id=key_reports_7, credential_type=api_key, risk=high, ip=203.0.113.7#7be1f0c2, country=NL#b01c22d4"));
        moves.extend([
            step(Access, Move::RevokeCredential, Some("key_reports_7"), "revoke credential key_reports_7", None),
            step(
                Access,
                Move::DisableAccount,
                Some("svc-reports@acme.example"),
                "disable account svc-reports@acme.example",
                None,
            ),
        ]);
    }
    for (order, step) in (1..).zip(&mut moves) {
        step.order = order;
    }
    let mut kept_back = Vec::new();
    if planes == [Model] {
        kept_back.extend([withheld("address", 1), withheld("secret", 1)]);
    }
    if both && planes.len() == 1 {
        kept_back.push(withheld("rules", 1));
    }
    let more = if rules.len() > 1 { " (+1 more)" } else { "" };
    let theirs = verdict.planes().iter().find(|plane| !planes.contains(plane));
    Notification {
        notification_id: "ntf_0123456789abcdef01234567".to_owned(),
        title: format!(
            "[high] {what} by svc-reports@acme.example: {}{more}",
            rules.first().map_or("", |rule| &rule.title)
        ),
        first_move: moves.iter().take(2).map(|step| step.text.as_str()).collect::<Vec<_>>().join(", then "),
        because: Because {
            thresholds: PlaneScores { model: 1.0, access: 1.0 },
            rules: contributions,
            first_moved: FirstMoved {
                model: verdict.planes().contains(&Model).then(|| at(0)),
                access: verdict.planes().contains(&Access).then(|| at(47)),
            },
            clock_skew: 5.0,
        },
        rules,
        evidence,
        first_moves: moves,
        their_first_move: theirs.map(|plane| match plane {
            Model => "pause agent agent-reports".to_owned(),
            Access => "revoke credential key_reports_7".to_owned(),
        }),
        related: theirs
            .map(|plane| Related { team: plane.team().to_owned(), incident_id: incident.incident_id.clone() })
            .into_iter()
            .collect(),
        blast_radius: Some(reach(planes)),
        agents: vec!["agent-reports".to_owned()],
        tags: vec!["exfiltration".to_owned()],
        frameworks: vec!["OWASP LLM01:2025".to_owned()],
        link: Some("https://watershed.acme.example/api/v1/incidents/inc_5f2a9c0d31e84b7a".to_owned()),
        withheld: kept_back,
        ..about
    }
}

fn withheld(class: &str, count: u32) -> Withheld {
    Withheld { class: class.to_owned(), count }
}

fn contribution(rule: &str, model: f64, access: f64) -> Contribution {
    let weight = PlaneScores { model, access };
    Contribution { rule: rule.to_owned(), severity: Severity::High, count: 1, weight, factor: 1.0, score: weight }
}

fn step(plane: Plane, action: Move, object: Option<&str>, text: &str, rule: Option<&str>) -> FirstMove {
    FirstMove {
        plane,
        order: 0,
        action,
        object: object.map(str::to_owned),
        text: text.to_owned(),
        how: (action == Move::RevokeCredential).then(|| "vault lease revoke -prefix reports".to_owned()),
        rule: rule.map(str::to_owned),
    }
}

fn reach(planes: &[Plane]) -> BlastRadius {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let reached = |what: &str, name: &str| Reached {
        what: what.to_owned(),
        name: name.to_owned(),
        times: 1,
        first: at(31),
        last: at(31),
    };
    let target = if planes.contains(&Model) { "exports@collector.example" } else { "withheld:arguments#0d5a11fe" };
    BlastRadius {
        principal: "svc-reports@acme.example".to_owned(),
        at: at(47),
        could: Reach {
            credentials: names(&["key_reports_7"]),
            scopes: names(&["crm.read", "mail.send"]),
            roles: names(&["reports-writer"]),
            tenants: names(&["acme"]),
            delegates: names(&["agent-reports"]),
            ..Reach::default()
        },
        did: vec![reached("tool", "mail.send"), reached("target", target)],
        unknown: Vec::new(),
    }
}

fn revised(base: Notification, reason: NotifyReason, status: IncidentStatus, revision: u32) -> Notification {
    Notification { reason, status, revision, notification_id: format!("ntf_0123456789abcdef0123456{revision}"), ..base }
}

fn later(reason: NotifyReason, status: IncidentStatus, revision: u32) -> Notification {
    revised(opened(&[Model], Verdict::ModelAbuse), reason, status, revision)
}

fn verdict_grew() -> Notification {
    let grown = revised(opened(&[Access], Verdict::Both), NotifyReason::VerdictGrew, IncidentStatus::Open, 2);
    Notification {
        dedup_key: format!("{}:access:2", grown.incident_id),
        replaces: Some(format!("{}:access:1", grown.incident_id)),
        ..grown
    }
}

fn nobody_else() -> Notification {
    let why = Some("for iam-pager, it is silenced (sil_0123456789abcdef)".to_owned());
    Notification {
        related: Vec::new(),
        their_first_move: None,
        untold: Some(Untold { plane: Access, why }),
        ..opened(&[Model], Verdict::Both)
    }
}

fn severity_rose() -> Notification {
    let risen = later(NotifyReason::SeverityRose, IncidentStatus::Open, 2);
    Notification {
        severity: Severity::Critical,
        title: risen.title.replace("[high]", "[critical]"),
        dedup_key: format!("{}:model:2", risen.incident_id),
        replaces: Some(format!("{}:model:1", risen.incident_id)),
        ..risen
    }
}

fn handled(act: Act, note: Option<&str>) -> Option<Handled> {
    Some(Handled { act, by: "dana@acme.example".to_owned(), at: at(600), note: note.map(str::to_owned) })
}

fn acknowledged() -> Notification {
    Notification {
        handled: handled(Act::Acknowledge, None),
        ..later(NotifyReason::Acknowledged, IncidentStatus::Acknowledged, 2)
    }
}

fn escalated() -> Notification {
    let escalated = later(NotifyReason::Escalated, IncidentStatus::Open, 1);
    Notification { receiver: "ai-lead".to_owned(), ..escalated }
}

fn closed(disposition: Disposition, note: Option<&str>) -> Notification {
    Notification {
        handled: handled(Act::Close { disposition }, note),
        ..later(NotifyReason::Resolved, IncidentStatus::Closed, 3)
    }
}

fn reopened() -> Notification {
    let note = Some("it happens again");
    let handled = handled(Act::Reopen, note);
    Notification { handled, reopened: true, ..later(NotifyReason::Opened, IncidentStatus::Open, 4) }
}

fn withdrawn_whole() -> Notification {
    let gone = later(NotifyReason::Withdrawn, IncidentStatus::Withdrawn, 2);
    Notification {
        title: "[high] Model abuse by svc-reports@acme.example: withdrawn evidence".to_owned(),
        rules: Vec::new(),
        evidence: Vec::new(),
        because: Because::default(),
        scores: PlaneScores::default(),
        blast_radius: None,
        withheld: Vec::new(),
        ..gone
    }
}

fn withdrawn_in_part() -> Notification {
    let left = opened(&[Access], Verdict::AccessCompromise);
    revised(left, NotifyReason::Withdrawn, IncidentStatus::Open, 3)
}

fn gaps() -> Vec<Example> {
    let heard =
        |model, access| Notification { coverage: Coverage { model, access }, ..opened(&[Model], Verdict::ModelAbuse) };
    let observed = PlaneCoverage::Observed;
    [
        ("access-silent", heard(observed, PlaneCoverage::Silent { since: at(-5_400) })),
        ("access-never-seen", heard(observed, PlaneCoverage::NeverSeen)),
        ("access-lagging", heard(observed, PlaneCoverage::Lagging { by: 840 })),
        ("both-lagging", heard(PlaneCoverage::Lagging { by: 65 }, PlaneCoverage::Lagging { by: 840 })),
    ]
    .map(|(name, notification)| Example { name, notification })
    .into()
}

fn group() -> Notification {
    Notification {
        dedup_key: "grp_77aa01".to_owned(),
        group: Some(Group {
            key: "grp_77aa01".to_owned(),
            labels: [("tenant".to_owned(), "acme".to_owned()), ("verdict".to_owned(), "model_abuse".to_owned())].into(),
            incidents: ["inc_5f2a9c0d31e84b7a", "inc_77d1", "inc_80b3"].map(str::to_owned).into(),
            omitted: 12,
        }),
        ..opened(&[Model], Verdict::ModelAbuse)
    }
}

fn storm() -> Notification {
    let base = opened(&[Model, Access], Verdict::Both);
    let piece = |index: i64| {
        item(
            index,
            Model,
            &format!("evt-{index}"),
            "tool_call",
            &format!("tool=crm.export, target=customers/{index}, outcome=success, agent_id=agent-reports"),
        )
    };
    Notification {
        severity: Severity::Critical,
        title: base.title.replace("[high]", "[critical]").replace("(+1 more)", "(+7 more)"),
        sessions: (0..64).map(|index| format!("sess-{index:04}")).collect(),
        evidence: (0..20).map(piece).collect(),
        evidence_omitted: 9_980,
        shares: (0..10)
            .map(|index| RelatedIncident {
                incident_id: format!("inc_{index:04}"),
                shares: Shared::Credential,
                value: "key_reports_7".to_owned(),
            })
            .collect(),
        last_event_time: at(43_200),
        ..base
    }
}

/// What nobody else took, told to a receiver that may show no plane.
fn fallback() -> Notification {
    let unrouted = "no receiver takes the model half (team ai-security): see that it is heard of".to_owned();
    let message = super::bare(opened(&[Model], Verdict::ModelAbuse), unrouted);
    Notification { receiver: "operator".to_owned(), team: "operator".to_owned(), ..message }
}

/// Every text that somebody else writes is an attempt.
fn hostile() -> Notification {
    let evil = "<!channel> [pay](https://evil.example) *now* `x` {{ 7*7 }} {% raw %} <img src=x onerror=alert(1)> \
                @here \u{202e}gnp.exe\u{200b}\r\nERROR forged line";
    let base = opened(&[Model], Verdict::ModelAbuse);
    let mut evidence = base.evidence.clone();
    for item in &mut evidence {
        item.kind = evil.to_owned();
        item.event_id = evil.to_owned();
        item.summary = format!("tool={evil}, target=https://evil.example/?q={evil}");
    }
    let mut first_moves = base.first_moves.clone();
    for step in &mut first_moves {
        step.object = Some(evil.to_owned());
        step.text = format!("pause agent {evil}");
    }
    Notification {
        tenant: evil.to_owned(),
        principal: Some(evil.to_owned()),
        sessions: vec![evil.to_owned(); 3],
        title: format!("[high] Model abuse by {evil}: Flagged document, then a sensitive tool"),
        first_move: format!("pause agent {evil}"),
        agents: vec![evil.to_owned()],
        handled: handled(Act::Comment, Some(evil)),
        evidence,
        first_moves,
        ..base
    }
}

/// Everything that may be absent is.
fn bare() -> Notification {
    let incident = IncidentRevision::opened("inc_bare", "default", Verdict::AccessCompromise, at(0));
    let about = Notification::about(&incident, "iam", "iam", &[Access], NotifyReason::Opened);
    Notification {
        title: "[info] Access compromise by an unknown session: withdrawn evidence".to_owned(),
        first_move: "revoke the credential and end its sessions".to_owned(),
        coverage: Coverage { model: PlaneCoverage::NeverSeen, access: PlaneCoverage::Observed },
        ..about
    }
}

/// What the engine says of itself, and no incident; of low severity, like some of these.
fn notice(state: NoticeState) -> Notification {
    let notice = Notice {
        kind: NoticeKind::DlqGrowing,
        subject: "access".to_owned(),
        state,
        since: at(0),
        text: "dead letters of the access plane: 212 within the last hour, the last of okta: `published` is no time"
            .to_owned(),
    };
    let reason = match state {
        NoticeState::Firing => NotifyReason::Opened,
        NoticeState::Resolved => NotifyReason::Resolved,
    };
    Notification::of_notice(&notice, "operator", "operator", reason, at(600))
}
