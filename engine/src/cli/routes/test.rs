//! `watershed routes test`.

use std::path::PathBuf;

use clap::Args;
use serde::de::DeserializeOwned;
use watershed_schemas::{Origin, Plane, Severity, Verdict};

use super::cases::{self, Incident};
use crate::cli::settings::{self, ConfigFlag};
use crate::cli::{Error, Exit, Output};

/// Ask who would be told of an incident, or hold a file of incidents against who should be.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  watershed routes test routes.yaml --config watershed.toml
  watershed routes test --verdict both --severity high --tenant acme --rule injected-document
  watershed routes test --verdict model_abuse --agent payments --owner finance

A file is a list of cases; it exits 1 when a half reaches others than it should:
  - name: a stolen key of the payments agent wakes both teams
    incident: {verdict: both, severity: high, tenant: acme, agents: [payments]}
    expect: {model: [ai-slack], access: [iam-pager, soc]}")]
pub(in crate::cli) struct TestArgs {
    /// A file of incidents and of who should be told of them.
    #[arg(value_name = "FILE", conflicts_with_all = ["verdict", "severity", "origin", "plane", "tenant", "principal", "agent", "owner", "rule", "tag", "framework"])]
    file: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFlag,
    /// The verdict: `model_abuse`, `access_compromise` or `both`.
    #[arg(long, value_parser = named::<Verdict>)]
    verdict: Option<Verdict>,
    /// The severity; `medium` where it is not given.
    #[arg(long, value_parser = named::<Severity>)]
    severity: Option<Severity>,
    /// The plane that moved first: `model`, `access` or `undetermined`.
    #[arg(long, value_parser = named::<Origin>)]
    origin: Option<Origin>,
    /// Only the half of this plane.
    #[arg(long, value_parser = named::<Plane>)]
    plane: Option<Plane>,
    /// The organisation.
    #[arg(long, default_value = "default")]
    tenant: String,
    /// The identity.
    #[arg(long)]
    principal: Option<String>,
    /// Agents that the evidence names.
    #[arg(long, value_name = "ID")]
    agent: Vec<String>,
    /// Owners and teams of these agents.
    #[arg(long, value_name = "NAME")]
    owner: Vec<String>,
    /// Rules that found something.
    #[arg(long, value_name = "ID")]
    rule: Vec<String>,
    /// Tags of these rules.
    #[arg(long)]
    tag: Vec<String>,
    /// Entries of frameworks that these rules name.
    #[arg(long)]
    framework: Vec<String>,
}

/// What the answer leaves out.
const NOT_APPLIED: &str =
    "(where the routes lead; silences, mute times and inhibitions, which hold back, are not applied)";

/// A value as the configuration writes it.
fn named<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

pub(super) fn test(args: &TestArgs, output: &mut Output) -> Result<Exit, Error> {
    let routes = settings::load(&args.config.config)?.config.routes;
    if let Some(file) = &args.file {
        let outcome = cases::try_all(file, &routes).map_err(Error::Usage)?;
        for failure in &outcome.failures {
            output.line(failure)?;
        }
        let cases = match outcome.cases {
            1 => "1 case".to_owned(),
            cases => format!("{cases} cases"),
        };
        output.line(format!("{}: {cases}, {} wrong", file.display(), outcome.failures.len()))?;
        output.line(NOT_APPLIED)?;
        return Ok(if outcome.failures.is_empty() { Exit::Fine } else { Exit::Findings });
    }
    let Some(verdict) = args.verdict else {
        return Err(Error::Usage("name a file of cases, or an incident with --verdict".to_owned()));
    };
    if let Some(plane) = args.plane.filter(|plane| !verdict.planes().contains(plane)) {
        return Err(Error::Usage(format!("--plane: {plane} is not in the verdict {}", verdict.name())));
    }
    let incident = Incident {
        verdict,
        severity: args.severity.unwrap_or_else(cases::medium),
        origin: args.origin.unwrap_or(Origin::Undetermined),
        tenant: args.tenant.clone(),
        principal: args.principal.clone(),
        agents: args.agent.clone(),
        owners: args.owner.clone(),
        rules: args.rule.clone(),
        tags: args.tag.clone(),
        frameworks: args.framework.clone(),
    };
    for plane in verdict.planes().iter().filter(|plane| args.plane.is_none_or(|only| only == **plane)) {
        let told = cases::told(&routes, &incident, *plane);
        if told.is_empty() {
            output.line(format!("{plane}: nobody"))?;
        }
        for (receiver, route) in told {
            output.line(format!("{plane}: {receiver} ({})", by(&route)))?;
        }
    }
    output.line(NOT_APPLIED)?;
    Ok(Exit::Fine)
}

fn by(route: &str) -> String {
    match route {
        "team" => "its team owns the plane".to_owned(),
        "fallback" => "the fallback".to_owned(),
        place => {
            let steps: Vec<String> = place.split('.').map(|step| format!("routes[{step}]")).collect();
            format!("routing.{}", steps.join("."))
        }
    }
}
