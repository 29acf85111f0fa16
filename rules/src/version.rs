//! Ids that depend on what a rule says, not on how it is laid out.

use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use datafusion::sql::sqlparser::tokenizer::Token;

use crate::compiled::CompiledRule;
use crate::front_matter::RuleMeta;
use crate::text::SqlText;
use crate::views;

/// Hash of the SQL's tokens and the key columns, as 16 hex digits. Comments, white space and the case of words don't
/// change it. A rule that reads what others say is another one when they are: what their rows hold that isn't their findings
/// counts too.
pub(crate) fn rule_version(text: &SqlText, key: &[String], upstream: &[Arc<CompiledRule>]) -> String {
    let mut hash = Sha256::new();
    for lexeme in &text.lexemes {
        let token = match &lexeme.token {
            Token::Word(word) if word.quote_style.is_none() => word.value.to_lowercase(),
            Token::SemiColon => continue,
            // With another value it is another rule.
            Token::Placeholder(name) => match name.strip_prefix('$').and_then(|name| text.parameters.get(name)) {
                Some(parameter) => parameter.literal().to_string(),
                None => name.clone(),
            },
            token => token.to_string(),
        };
        part(&mut hash, &token);
    }
    for (_, sql) in views::VIEWS.iter().filter(|(name, _)| text.word(name).is_some()) {
        part(&mut hash, sql);
    }
    hash.update([0xff]);
    for column in key {
        part(&mut hash, column);
    }
    for rule in upstream {
        hash.update([0xfe]);
        let RuleMeta { id, plane, severity, .. } = &rule.meta;
        for text in [id.as_str(), rule.version.as_str(), plane.name(), severity.name()] {
            part(&mut hash, text);
        }
    }
    hex(&hash.finalize()[..8])
}

/// Hash of rule id, rule version, tenant and key values, as 32 hex digits.
pub(crate) fn signal_id(rule: &str, version: &str, tenant: &str, key: &[Value]) -> String {
    let mut hash = Sha256::new();
    for text in [rule, version, tenant] {
        part(&mut hash, text);
    }
    for value in key {
        part(&mut hash, &value.to_string());
    }
    hex(&hash.finalize()[..16])
}

/// Length first, so that no two lists of parts read the same.
fn part(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
