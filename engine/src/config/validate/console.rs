//! The console: who may reach it.

use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::ExposeSecret;
use watershed_schemas::Plane;

use super::Findings;
use crate::config::raw;
use crate::console::{Limits, Settings, Token, Tokens};

/// The longest name of a token.
const LONGEST_NAME: usize = 64;

pub(super) fn validate(raw: &raw::Console, audit: PathBuf, findings: &mut Findings<'_>) -> Option<Settings> {
    let tokens = tokens(raw, findings);
    let most = u32::MAX / 2;
    for (name, value) in [
        ("requests_per_second", raw.requests_per_second as usize),
        ("connections", raw.connections),
        ("event_readers", raw.event_readers),
    ] {
        if value == 0 {
            findings.error(&format!("console.{name}"), "is 0, so that nobody could ask; leave it out for the default");
        }
    }
    if raw.requests_per_second > most {
        findings.error("console.requests_per_second", format!("is more than {most}; leave it out for the default"));
    }
    if raw.connections > MOST_CONNECTIONS {
        let message = format!("is more than {MOST_CONNECTIONS}; choose less, or put a proxy before it");
        findings.error("console.connections", message);
    }
    if raw.event_readers >= raw.connections && raw.connections > 0 {
        let message = "is not less than `console.connections`, so that readers of events could keep everybody else out";
        findings.error("console.event_readers", message);
    }
    let listen = listen(raw, findings)?;
    if !raw.enabled {
        return None;
    }
    let limits = Limits {
        requests_per_second: raw.requests_per_second,
        burst: raw.requests_per_second.saturating_mul(2),
        connections: raw.connections,
        event_readers: raw.event_readers,
        ..Limits::default()
    };
    Some(Settings { listen, tokens, open_metrics: raw.open_metrics, audit: Some(audit), limits })
}

/// Where people reach the console, without a slash at the end.
pub(super) fn external_url(raw: Option<&str>, findings: &mut Findings<'_>) -> Option<String> {
    let raw = raw?;
    let known = url::Url::parse(raw).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    });
    let Some(url) = known else {
        let message =
            "is not the http(s) url at which people reach the console; write it like \"https://watershed.example.com\"";
        findings.error("console.external_url", message);
        return None;
    };
    Some(url.as_str().trim_end_matches('/').to_owned())
}

/// More connections than a process has file descriptors for, mostly.
const MOST_CONNECTIONS: usize = 65_536;

fn listen(raw: &raw::Console, findings: &mut Findings<'_>) -> Option<SocketAddr> {
    let Ok(address) = raw.listen.parse::<SocketAddr>() else {
        let listen = raw.listen.escape_debug();
        let message = format!("`{listen}` is not an address and port such as \"127.0.0.1:9464\"");
        findings.error("console.listen", message);
        return None;
    };
    if raw.enabled && !address.ip().is_loopback() && raw.tokens.is_empty() && !findings.document.incomplete("console") {
        let message = format!(
            "`{address}` is not loopback, and there is no token: everybody who reaches it could read everything; add \
             [[console.tokens]] with name, role and token, or listen on 127.0.0.1"
        );
        findings.error("console.listen", message);
    }
    Some(address)
}

fn tokens(raw: &raw::Console, findings: &mut Findings<'_>) -> Tokens {
    let mut tokens: Vec<(usize, Token)> = Vec::new();
    for (at, token) in raw.tokens.iter().enumerate() {
        let setting = format!("console.tokens[{at}]");
        let good = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
        if token.name.is_empty() || token.name.len() > LONGEST_NAME || !token.name.chars().all(good) {
            let name: String = token.name.chars().take(LONGEST_NAME).collect();
            let message = format!(
                "`{}` is not a name of up to {LONGEST_NAME} letters, digits, `-`, `_`, `.` and `@`",
                name.escape_debug()
            );
            findings.error(&format!("{setting}.name"), message);
        }
        if raw.tokens[..at].iter().any(|earlier| earlier.name == token.name) {
            let message = format!("`{}` is taken by an earlier token; choose another name", token.name.escape_debug());
            findings.error(&format!("{setting}.name"), message);
        }
        let team = token.team.as_deref().map(|team| Plane::ALL.into_iter().find(|plane| plane.team() == team));
        if team == Some(None) {
            let teams = Plane::ALL.map(Plane::team).join(" or ");
            findings.error(
                &format!("{setting}.team"),
                format!("is no team that owns a plane; write {teams}, or leave it out"),
            );
        }
        match token.token.resolve() {
            Err(error) => findings.error(&format!("{setting}.token"), error.to_string()),
            Ok(secret) if secret.expose_secret().len() < Token::SHORTEST => {
                let message = format!(
                    "{} is shorter than {} bytes and could be guessed; take what `openssl rand -hex 32` makes",
                    token.token,
                    Token::SHORTEST
                );
                findings.error(&format!("{setting}.token"), message);
            }
            Ok(secret) if !secret.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) => {
                let message = format!(
                    "{} has letters that no header can carry; take what `openssl rand -hex 32` makes",
                    token.token
                );
                findings.error(&format!("{setting}.token"), message);
            }
            Ok(secret) => {
                let made = Token::new(&token.name, token.role, secret.expose_secret()).of_team(team.flatten());
                if let Some((earlier, _)) = tokens.iter().find(|(_, other)| other.is_same_secret(&made)) {
                    let message = format!(
                        "is the secret of console.tokens[{earlier}] too, so that nobody could tell them apart; make another"
                    );
                    findings.error(&format!("{setting}.token"), message);
                }
                tokens.push((at, made));
            }
        }
    }
    Tokens::new(tokens.into_iter().map(|(_, token)| token).collect())
}
