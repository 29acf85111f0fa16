//! One Okta event as one row.

use std::borrow::Cow;

use watershed_schemas::tables::identity as column;
use watershed_schemas::{Cell, EventBatchBuilder, Plane, Row};

use super::table::{About, Event, TABLE};
use crate::formats::Context;
use crate::formats::json::Json;
use crate::formats::mapping::moment;

/// Appends the event's row, or rejects it.
pub(super) fn decode<'a>(mut event: Json<'a>, context: &Context<'a>, part: Option<usize>, out: &mut EventBatchBuilder) {
    match row(&mut event, context) {
        Ok(row) => out.append(&row, part),
        Err(reason) => out.reject(part, reason),
    }
}

fn row<'a>(event: &mut Json<'a>, context: &Context<'a>) -> Result<Row<'a>, String> {
    if !matches!(event, Json::Map(_)) {
        return Err("is not an Okta event: it is not a JSON object".into());
    }
    // Event hooks put more than System Log members around; the event type tells what it is.
    if event.member("eventType").and_then(Json::as_text).is_none_or(str::is_empty) {
        return Err("is not an Okta event: it has no `eventType`".into());
    }
    let named = event.member("uuid").and_then(Json::as_text).is_some_and(|id| !TABLE.fields.is_absent(id));
    let fingerprint = (!named).then(|| event.fingerprint());

    let mut row = Row::new(Plane::Access);
    unpack_debug_data(event);
    let result = event.at_mut(&["outcome", "result"]).map(std::mem::take).and_then(Json::into_text);
    let event_type = event.take("eventType").into_text().unwrap_or_default();
    TABLE.fields.fill(event, &mut row);
    if let Some(fingerprint) = fingerprint {
        row.text(column::EVENT_ID, fingerprint);
    }
    if row.is_null(column::EVENT_TIME) {
        return Err("has no `published` time that can be read, such as 2026-01-31T12:00:00.000Z".into());
    }
    row.set(column::INGEST_TIME, context.ingest_cell());
    row.text(column::TENANT, context.tenant);
    row.text(column::SOURCE, "okta");

    let known = TABLE.events.get(&event_type);
    let kind = known.map_or("other", |known| kind_of(known, result.as_deref()));
    row.text(column::KIND, kind);
    // The native name stays: one kind stands for many event types.
    event.push("eventType", Json::Text(event_type));
    let outcome = result.as_deref().and_then(|result| TABLE.outcomes.get(&result.to_ascii_uppercase()));
    row.text(column::OUTCOME, outcome.map_or("unknown", String::as_str));
    if let Some(result) = result
        && let Some(outcome) = event.at_mut(&["outcome"])
    {
        outcome.push("result", Json::Text(result));
    }

    let about = known.map_or(About::Actor, |known| known.about);
    who(event, about, &mut row);
    what(event, known, &mut row);
    where_from(event, &mut row);
    how(event, known, &mut row);
    row.maybe_text(column::ATTRIBUTES, event.attributes(context.limits.attributes)?);
    Ok(row)
}

fn kind_of<'t>(event: &'t Event, result: Option<&str>) -> &'t str {
    let by_result = result.and_then(|result| event.by_result.get(&result.to_ascii_uppercase()));
    by_result.unwrap_or(&event.kind)
}

/// `debugContext.debugData` holds JSON and `{name=value}` lists as strings.
fn unpack_debug_data(event: &mut Json<'_>) {
    let Some(Json::Map(members)) = event.at_mut(&["debugContext", "debugData"]) else { return };
    for (_, value) in members {
        if let Json::Text(text) = value
            && let Some(unpacked) = Json::parse_embedded(text).or_else(|| braced(text))
        {
            *value = unpacked;
        }
    }
}

/// `{level=MEDIUM, reasons=New Device, New IP}`: a piece without `=` continues the value before it.
fn braced(text: &str) -> Option<Json<'static>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let mut members: Vec<(String, String)> = Vec::new();
    for piece in inner.split(", ") {
        match (piece.split_once('='), members.last_mut()) {
            (Some((name, value)), _) => members.push((name.trim().to_owned(), value.trim().to_owned())),
            (None, Some((_, value))) => {
                value.push_str(", ");
                value.push_str(piece);
            }
            (None, None) => return None,
        }
    }
    let members = members.into_iter().map(|(name, value)| (Cow::Owned(name), Json::Text(Cow::Owned(value))));
    Some(Json::Map(members.collect()))
}

/// Principal, its type, the actor where that is somebody else, and the client that acts.
fn who<'a>(event: &mut Json<'a>, about: About, row: &mut Row<'a>) {
    let mut actor = event.take("actor");
    let actor_type = actor.member("type").and_then(Json::as_text).unwrap_or_default().to_owned();
    let is = |list: &[String], ty: &str| list.iter().any(|entry| entry.eq_ignore_ascii_case(ty));
    let is_client = is(&TABLE.clients, &actor_type);
    if is_client && row.is_null(column::CLIENT_ID) {
        row.maybe_text(column::CLIENT_ID, actor.member("id").and_then(Json::as_text).map(str::to_owned));
    }
    let acting = if is(&TABLE.nobody, &actor_type) { None } else { identity(&mut actor, is_client) };
    event.push("actor", actor);

    let target = if about == About::Target { target_principal(event) } else { None };
    let (principal, principal_type, other) = match (target, acting) {
        (Some((principal, ty)), Some(acting)) if principal != acting => (Some(principal), ty, Some(acting)),
        (Some((principal, ty)), _) => (Some(principal), ty, None),
        (None, acting) => (acting, actor_type, None),
    };
    if other.is_some() && !is_client {
        // The session is the administrator's: on the row it would tie that session to the account acted upon.
        if let Cell::Text(session) = row.get(column::SESSION_ID).clone() {
            event.push("actor_session_id", Json::Text(session));
            row.set(column::SESSION_ID, Cell::Null);
        }
    }
    row.maybe_text(column::PRINCIPAL_TYPE, principal.as_ref().and(lookup(&TABLE.principal_types, &principal_type)));
    row.maybe_text(column::PRINCIPAL, principal);
    row.maybe_text(column::ACTOR, other);
    if row.text_of(column::PRINCIPAL_TYPE) == Some("agent") {
        let agent = row.text_of(column::PRINCIPAL).map(str::to_owned);
        row.maybe_text(column::AGENT_ID, agent);
    }
}

fn lookup<'t>(table: &'t std::collections::HashMap<String, String>, name: &str) -> Option<&'t str> {
    table
        .get(name)
        .or_else(|| table.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
        .map(String::as_str)
}

/// The alternate id, else the id. People's are put in lower case, because mail-like ids differ in case between
/// sources; a client's id is an exact one.
fn identity<'a>(party: &mut Json<'a>, exact: bool) -> Option<Cow<'a, str>> {
    if let Some(alternate) = party.at_mut(&["alternateId"]).and_then(|value| TABLE.fields.take_text(value)) {
        return Some(if !exact && alternate.chars().any(char::is_uppercase) {
            Cow::Owned(alternate.to_lowercase())
        } else {
            alternate
        });
    }
    party.at_mut(&["id"]).and_then(|value| TABLE.fields.take_text(value))
}

fn targets<'e, 'a>(event: &'e mut Json<'a>) -> &'e mut [Json<'a>] {
    match event.at_mut(&["target"]) {
        Some(Json::List(targets)) => targets,
        Some(single @ Json::Map(_)) => std::slice::from_mut(single),
        _ => &mut [],
    }
}

fn type_of<'e>(target: &'e Json<'_>) -> &'e str {
    target.member("type").and_then(Json::as_text).unwrap_or_default()
}

fn target_principal<'a>(event: &mut Json<'a>) -> Option<(Cow<'a, str>, String)> {
    let targets = targets(event);
    TABLE.target_principals.iter().find_map(|ty| {
        let target = targets.iter_mut().find(|target| type_of(target).eq_ignore_ascii_case(ty))?;
        identity(target, false).map(|principal| (principal, ty.clone()))
    })
}

/// Credential, roles and resource, from the targets.
fn what<'a>(event: &mut Json<'a>, known: Option<&Event>, row: &mut Row<'a>) {
    let mut roles = Vec::new();
    let mut resource = None;
    for target in targets(event) {
        let ty = type_of(target).to_owned();
        if let Some(credential) = TABLE.credentials.get(&ty) {
            if row.is_null(column::CREDENTIAL_ID) {
                let id = TABLE.credential_ids.iter().find_map(|path| TABLE.fields.take_text(target.at_mut(path)?));
                row.maybe_text(column::CREDENTIAL_ID, id);
                row.text(column::CREDENTIAL_TYPE, credential.clone());
                if let Some(expires) = target.at_mut(&["detailEntry", "expires"])
                    && let Some(time) = moment(expires)
                {
                    *expires = Json::Null;
                    row.set(column::EXPIRES_AT, Cell::Time(time));
                }
            }
        } else if TABLE.roles.contains(&ty) {
            let name = target.at_mut(&["displayName"]).and_then(|name| TABLE.fields.take_text(name));
            roles.extend(name);
        } else if resource.is_none() && !TABLE.target_principals.contains(&ty) {
            resource = ["alternateId", "displayName", "id"].iter().find_map(|name| {
                target
                    .member(name)?
                    .as_text()
                    .filter(|text| !TABLE.fields.is_absent(text))
                    .map(|text| Cow::Owned(text.to_owned()))
            });
        }
    }
    for path in &TABLE.role_paths {
        if let Some(value) = event.at_mut(path)
            && let Some(text) = TABLE.fields.take_text(value)
        {
            roles.extend(text.split(", ").map(|role| Cow::Owned(role.trim().to_owned())));
        }
    }
    if !roles.is_empty() {
        row.set(column::ROLES, Cell::List(roles));
    }
    row.maybe_text(column::RESOURCE, resource);
    if row.is_null(column::CREDENTIAL_TYPE) {
        row.maybe_text(column::CREDENTIAL_TYPE, known.and_then(|known| known.credential.as_deref()).map(str::to_owned));
    }
}

fn where_from<'a>(event: &mut Json<'a>, row: &mut Row<'a>) {
    if let Some(country) = event.at_mut(&["client", "geographicalContext", "country"]) {
        let code = country.as_text().and_then(|name| match name.len() {
            2 => Some(name.to_ascii_uppercase()),
            _ => TABLE.countries.get(&name.trim().to_lowercase()).cloned(),
        });
        if let Some(code) = code {
            row.text(column::COUNTRY, code);
            *country = Json::Null;
        }
    }
}

/// Second factor and risk.
fn how(event: &mut Json<'_>, known: Option<&Event>, row: &mut Row<'_>) {
    let succeeded = row.text_of(column::OUTCOME) == Some("success");
    let factor = row
        .text_of(column::AUTH_METHOD)
        .is_some_and(|method| TABLE.second_factors.iter().any(|factor| method.eq_ignore_ascii_case(factor)));
    if succeeded && (factor || known.is_some_and(|known| known.mfa)) {
        row.set(column::MFA, Cell::Bool(true));
    }
    if let Some(method) = row.text_of(column::AUTH_METHOD).map(str::to_lowercase) {
        row.text(column::AUTH_METHOD, method);
    }
    for path in &TABLE.risk_paths {
        let Some(level) = event.at(path).and_then(Json::as_text) else { continue };
        if let Some(risk) = TABLE.risks.get(&level.to_ascii_uppercase()) {
            row.text(column::RISK, risk.clone());
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces_hold_values_with_commas() {
        let json = braced("{reasons=New Device, New IP, level=MEDIUM}").expect("a list");
        assert_eq!(json.to_json(), r#"{"reasons":"New Device, New IP","level":"MEDIUM"}"#);
        assert_eq!(braced("{nothing}"), None);
        assert_eq!(braced("plain"), None);
    }
}
