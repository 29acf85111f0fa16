//! One CloudTrail record as one row.

use std::borrow::Cow;
use std::net::IpAddr;

use watershed_schemas::tables::identity as column;
use watershed_schemas::{Cell, EventBatchBuilder, Plane, Row};

use super::table::{Call, TABLE};
use crate::formats::Context;
use crate::formats::json::Json;
use crate::formats::mapping::moment;

/// Appends the record's row, or rejects it.
pub(super) fn decode<'a>(
    mut record: Json<'a>,
    context: &Context<'a>,
    part: Option<usize>,
    out: &mut EventBatchBuilder,
) {
    match row(&mut record, context) {
        Ok(row) => out.append(&row, part),
        Err(reason) => out.reject(part, reason),
    }
}

fn row<'a>(record: &mut Json<'a>, context: &Context<'a>) -> Result<Row<'a>, String> {
    let text = |name: &str| record.member(name).and_then(Json::as_text).filter(|text| !text.is_empty());
    let (Some(source), Some(name)) = (text("eventSource"), text("eventName")) else {
        return Err("is not a CloudTrail record: it has no `eventSource` and `eventName`".into());
    };
    let call = TABLE.calls.get(&format!("{source}:{name}"));
    let fingerprint = text("eventID").is_none().then(|| record.fingerprint());
    let outcome = Outcome::of(record);

    let roles = call.map_or_else(Vec::new, |call| roles(record, call));
    let mut row = Row::new(Plane::Access);
    TABLE.fields.fill(record, &mut row);
    if row.is_null(column::EVENT_TIME) {
        return Err("has no `eventTime` that can be read, such as 2026-01-31T12:00:00Z".into());
    }
    row.maybe_text(column::EVENT_ID, fingerprint);
    row.set(column::INGEST_TIME, context.ingest_cell());
    row.text(column::TENANT, context.tenant);
    row.text(column::SOURCE, "cloudtrail");
    row.text(column::KIND, kind(call, outcome, record));
    row.text(column::OUTCOME, if outcome == Outcome::Worked { "success" } else { "failure" });

    caller(record, &mut row);
    session(record, &mut row);
    if let Some(call) = call {
        about(record, call, &mut row);
    }
    if !roles.is_empty() {
        row.set(column::ROLES, Cell::List(roles));
    }
    address(record, &mut row);
    row.maybe_text(column::ATTRIBUTES, record.attributes(context.limits.attributes)?);
    Ok(row)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Worked,
    Refused,
    Failed,
}

impl Outcome {
    fn of(record: &Json<'_>) -> Self {
        let code = record.member("errorCode").filter(|code| !code.is_empty() && code.as_text() != Some(""));
        if let Some(code) = code.map(|code| code.as_text().unwrap_or_default()) {
            // EC2 writes `Client.UnauthorizedOperation`.
            let last = code.rsplit('.').next().unwrap_or(code);
            return if TABLE.denied.iter().any(|denied| denied == last) { Outcome::Refused } else { Outcome::Failed };
        }
        // Sign-ins have no error code: `responseElements.ConsoleLogin` or `serviceEventDetails.*` say how it went.
        let name = record.member("eventName").and_then(Json::as_text).unwrap_or_default();
        let answered = |of: &str| record.at(&[of, name]).and_then(Json::as_text);
        match answered("responseElements").or_else(|| answered("serviceEventDetails")) {
            Some(answer) if answer.eq_ignore_ascii_case("failure") => Outcome::Failed,
            _ if record.member("errorMessage").is_some_and(|message| !message.is_empty()) => Outcome::Failed,
            _ => Outcome::Worked,
        }
    }
}

fn kind(call: Option<&'static Call>, outcome: Outcome, record: &Json<'_>) -> &'static str {
    let Some(call) = call else {
        return match outcome {
            Outcome::Worked => "access_allowed",
            Outcome::Refused => "access_denied",
            Outcome::Failed => "other",
        };
    };
    let inactive = || {
        record.at(&["requestParameters", "status"]).and_then(Json::as_text).is_some_and(|status| status == "Inactive")
    };
    match (outcome, &call.denied, &call.inactive) {
        (Outcome::Refused, Some(denied), _) => denied,
        (Outcome::Worked, _, Some(kind)) if inactive() => kind,
        _ => &call.kind,
    }
}

/// The principal is the caller's ARN; of an assumed role that is the role's session, as Bedrock logs name it too.
fn caller<'a>(record: &mut Json<'a>, row: &mut Row<'a>) {
    let ty = record.at(&["userIdentity", "type"]).and_then(Json::as_text).unwrap_or_default();
    row.maybe_text(column::PRINCIPAL_TYPE, TABLE.principal_types.get(ty).map(String::as_str));
    let arn = record.at_mut(&["userIdentity", "arn"]).and_then(|value| TABLE.fields.take_text(value));
    // Without an ARN several members may name the caller, and the others remain of interest: copied, not taken.
    let named = || {
        let names = TABLE.callers.iter().filter_map(|path| record.at(path).and_then(Json::as_text));
        names.map(str::trim).find(|name| !TABLE.fields.is_absent(name)).map(|name| Cow::Owned(name.to_owned()))
    };
    let principal = arn
        .or_else(|| built_arn(record))
        .or_else(named)
        .or_else(|| row.text_of(column::ON_BEHALF_OF).map(|name| Cow::Owned(name.to_owned())));
    if row.text_of(column::ON_BEHALF_OF) == principal.as_deref() {
        row.set(column::ON_BEHALF_OF, Cell::Null);
    }
    row.maybe_text(column::PRINCIPAL, principal);
    if let Some(mfa) = mfa(record) {
        row.set(column::MFA, Cell::Bool(mfa));
    }
}

/// Failed sign-ins leave the ARN out; those of the same user that succeed have it.
fn built_arn<'a>(record: &Json<'a>) -> Option<Cow<'a, str>> {
    let of = |name: &str| {
        let text = record.at(&["userIdentity", name]).and_then(Json::as_text)?;
        (!TABLE.fields.is_absent(text)).then_some(text)
    };
    match of("type")? {
        "IAMUser" => Some(Cow::Owned(format!("arn:aws:iam::{}:user/{}", of("accountId")?, of("userName")?))),
        "Root" => Some(Cow::Owned(format!("arn:aws:iam::{}:root", of("accountId")?))),
        _ => None,
    }
}

fn mfa(record: &mut Json<'_>) -> Option<bool> {
    for path in
        [&["userIdentity", "sessionContext", "attributes", "mfaAuthenticated"][..], &["additionalEventData", "MFAUsed"]]
    {
        if let Some(value) = record.at_mut(path)
            && let Some(mfa) = value.as_bool()
        {
            *value = Json::Null;
            return Some(mfa);
        }
    }
    None
}

/// A temporary access key stands for exactly one session, so that key is the session's id.
fn session<'a>(record: &mut Json<'a>, row: &mut Row<'a>) {
    if let Some(key) = row.text_of(column::CREDENTIAL_ID).map(str::to_owned) {
        row.text(column::CREDENTIAL_TYPE, if key.starts_with("ASIA") { "session_key" } else { "access_key" });
        if key.starts_with("ASIA") && row.is_null(column::SESSION_ID) {
            row.text(column::SESSION_ID, key);
        }
    }
    if let Some(role) = record.at(&["userIdentity", "sessionContext", "sessionIssuer", "arn"]).and_then(Json::as_text) {
        row.set(column::ROLES, Cell::List(vec![Cow::Owned(role.to_owned())]));
    }
}

/// What the call grants, revokes or assumes.
fn roles<'a>(record: &Json<'a>, call: &Call) -> Vec<Cow<'a, str>> {
    let named = call.paths.roles.iter().filter_map(|path| record.at(path)?.as_text());
    named.map(|role| Cow::Owned(role.to_owned())).collect()
}

/// Whom and which credential the call is about, where that is not the caller and the caller's.
fn about<'a>(record: &mut Json<'a>, call: &Call, row: &mut Row<'a>) {
    let account = record.at(&["userIdentity", "accountId"]).or_else(|| record.member("recipientAccountId"));
    let account = account.and_then(Json::as_text).unwrap_or_default().to_owned();
    let first = |record: &mut Json<'a>, paths: &[Vec<String>]| {
        paths.iter().find_map(|path| TABLE.fields.take_text(record.at_mut(path)?))
    };
    let subject = call.paths.principal.iter().find_map(|subject| {
        let text = TABLE.fields.take_text(record.at_mut(&subject.path)?)?;
        Some(match subject.named {
            Some(named) if !text.starts_with("arn:") => Cow::Owned(format!("arn:aws:iam::{account}:{named}/{text}")),
            _ => text,
        })
    });
    if let Some(subject) = subject
        && row.text_of(column::PRINCIPAL) != Some(&subject)
    {
        row.set(column::ACTOR, std::mem::take(&mut row.get(column::PRINCIPAL).clone()));
        // The caller's type says nothing about the other party, its session nothing about theirs.
        row.set(column::PRINCIPAL_TYPE, type_of_arn(&subject).map_or(Cell::Null, |ty| Cell::Text(ty.into())));
        if let Cell::Text(session) = row.get(column::SESSION_ID).clone() {
            record.push("actor_session_id", Json::Text(session));
            row.set(column::SESSION_ID, Cell::Null);
        }
        row.text(column::PRINCIPAL, subject);
    }
    let credential = first(record, &call.paths.credential);
    let worked = row.text_of(column::OUTCOME) == Some("success");
    if credential.is_some() || (worked && call.credential_type.is_some()) {
        // The row tells of the credential that was made or changed; whose key asked for it stays on record.
        if let Cell::Text(own) = row.get(column::CREDENTIAL_ID).clone() {
            record.push("caller_credential_id", Json::Text(own));
            row.set(column::CREDENTIAL_ID, Cell::Null);
        }
        if call.kind == "token_issued" {
            row.maybe_text(column::SESSION_ID, credential.clone().filter(|key| key.starts_with("ASIA")));
        }
        row.maybe_text(column::CREDENTIAL_ID, credential);
        row.maybe_text(column::CREDENTIAL_TYPE, call.credential_type.clone());
    }
    row.maybe_text(column::GRANT_TYPE, first(record, &call.paths.grant_type));
    if row.is_null(column::AUTH_METHOD) {
        row.maybe_text(column::AUTH_METHOD, call.auth_method.clone());
    }
    if let Some(method) = row.text_of(column::AUTH_METHOD).map(str::to_lowercase) {
        row.text(column::AUTH_METHOD, method);
    }
    for path in &call.paths.expires_at {
        if let Some(value) = record.at_mut(path)
            && let Some(time) = moment(value)
        {
            *value = Json::Null;
            row.set(column::EXPIRES_AT, Cell::Time(time));
        }
    }
}

fn type_of_arn(arn: &str) -> Option<&'static str> {
    if arn.contains(":user/") {
        Some("human")
    } else if arn.contains(":role/") || arn.contains(":assumed-role/") {
        Some("workload")
    } else {
        None
    }
}

/// `sourceIPAddress` is a service's name where a service called: that stays in `attributes`.
fn address<'a>(record: &mut Json<'a>, row: &mut Row<'a>) {
    if let Some(value) = record.at_mut(&["sourceIPAddress"])
        && value.as_text().is_some_and(|text| text.trim().parse::<IpAddr>().is_ok())
    {
        row.maybe_text(column::IP, std::mem::take(value).into_text());
    }
}
