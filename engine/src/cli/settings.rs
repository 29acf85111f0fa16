//! Reading the configuration for a verb.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Error, output};
use watershed_rules::ReferenceTables;

use crate::check::RuleSet;
use crate::config::{Config, Loaded, Rules};
use crate::evaluator::RuleSetup;

/// Where the configuration is.
#[derive(Clone, Debug, Args)]
pub(super) struct ConfigFlag {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = "watershed.toml")]
    pub(super) config: PathBuf,
}

/// Reads a configuration; warnings go to standard error.
pub(super) fn load(path: &Path) -> Result<Loaded, Error> {
    let loaded = Config::load(path).map_err(Error::Configuration)?;
    for warning in loaded.warnings.iter() {
        output::complain(&warning.to_string());
    }
    Ok(loaded)
}

/// Reads and plans rules; where one can't run, says why for all of them.
pub(super) fn rules(rules: &Rules, reference: &ReferenceTables) -> Result<Vec<RuleSetup>, Error> {
    Ok(rule_set(rules, reference)?.setups)
}

/// The same, with what is needed to read them again.
pub(super) fn rule_set(rules: &Rules, reference: &ReferenceTables) -> Result<RuleSet, Error> {
    let set = RuleSet::load(rules, reference);
    if set.any_refused() {
        let problems: Vec<String> = set.problems().iter().map(ToString::to_string).collect();
        return Err(Error::Usage(format!("rules can't run:\n{}", problems.join("\n"))));
    }
    if set.setups.is_empty() {
        return Err(Error::Usage("there is no rule to run; name rule files or switch the catalog on".to_owned()));
    }
    Ok(set)
}
