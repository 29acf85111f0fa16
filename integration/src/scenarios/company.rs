//! The company to which every scenario happens: its reference data, its rules, and two teams that are told.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};
use watershed_engine::check::{Planned, RuleSet};
use watershed_engine::config::{Config, Rules};
use watershed_engine::evaluator::RuleSetup;
use watershed_rules::ReferenceTables;

use super::scenario::directory;

/// Rules, planned once for all scenarios, and where files of receivers would be.
#[derive(Debug)]
pub struct Company {
    /// Its agents and tools.
    pub reference: ReferenceTables,
    planned: Planned,
    files: tempfile::TempDir,
}

impl Company {
    /// Reads the reference tables and plans the catalog over them.
    ///
    /// # Errors
    /// When a table or a rule can't be used.
    pub fn found() -> Result<Company> {
        let reference = ReferenceTables::load_dir(&directory().join("reference")).context("the company's tables")?;
        let rules = Rules { catalog: true, ..Rules::default() };
        let set = RuleSet::load(&rules, &reference);
        Ok(Company { reference, planned: set.planned, files: tempfile::tempdir()? })
    }

    /// The configuration with what a scenario adds to it. Receivers are files that nothing is written to.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn config(&self, added: &str) -> Result<Config> {
        let files = self.files.path();
        let mut text = String::new();
        for plane in ["runtime", "identity"] {
            let path = files.join(format!("{plane}.jsonl"));
            std::fs::write(&path, "")?;
            writeln!(text, "[[input.file.{plane}]]\npath = \"{}\"\nformat = \"watershed\"", path.display())?;
        }
        writeln!(text, "[store]\npath = \"{}\"", files.join("state").display())?;
        for team in ["ai-security", "iam"] {
            let path = files.join(format!("{team}.jsonl"));
            writeln!(
                text,
                "[[receivers]]\nname = \"{team}\"\nteam = \"{team}\"\ntype = \"file\"\npath = \"{}\"",
                path.display()
            )?;
        }
        text.push_str(added);
        match Config::parse(Path::new("scenario.toml"), text) {
            Ok(loaded) => Ok(loaded.config),
            Err(problems) => bail!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")),
        }
    }

    /// The rules as a configuration tunes them.
    ///
    /// # Errors
    /// When one can't run.
    pub fn rules(&self, config: &Config) -> Result<Vec<RuleSetup>> {
        let set = RuleSet::load_again(&config.rules, &self.reference, &self.planned);
        if set.any_refused() {
            bail!("rules can't run: {}", set.problems().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
        }
        Ok(set.setups)
    }
}
