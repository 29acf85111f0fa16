//! Secrets by reference: a configuration names where a secret is, never the secret itself.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// Where a secret is kept: `{ env = "NAME" }` or `{ file = "path" }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum SecretRef {
    /// An environment variable of the process.
    Env(String),
    /// A file; one line break at its end does not belong to the secret.
    File(PathBuf),
}

/// Why a secret can't be had. Never holds any part of the secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set.
    #[error("environment variable `{name}` is not set; set it or name a file instead")]
    EnvUnset {
        /// The variable.
        name: String,
    },
    /// The variable or file holds bytes that are not text.
    #[error("{reference} is not UTF-8 text")]
    NotText {
        /// The variable or file.
        reference: String,
    },
    /// The variable or file is empty.
    #[error("{reference} is empty; put the secret there")]
    Empty {
        /// The variable or file.
        reference: String,
    },
    /// The file can't be read.
    #[error("secret file `{}` can't be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl SecretRef {
    /// Reads the secret.
    pub fn resolve(&self) -> Result<SecretString, SecretError> {
        let text = match self {
            SecretRef::Env(name) => match std::env::var(name) {
                Ok(text) => text,
                Err(std::env::VarError::NotPresent) => return Err(SecretError::EnvUnset { name: name.clone() }),
                Err(std::env::VarError::NotUnicode(_)) => {
                    return Err(SecretError::NotText { reference: self.to_string() });
                }
            },
            SecretRef::File(path) => {
                let bytes =
                    std::fs::read(path).map_err(|source| SecretError::Unreadable { path: path.clone(), source })?;
                let mut text =
                    String::from_utf8(bytes).map_err(|_| SecretError::NotText { reference: self.to_string() })?;
                if text.ends_with('\n') {
                    text.pop();
                    if text.ends_with('\r') {
                        text.pop();
                    }
                }
                text
            }
        };
        if text.is_empty() {
            return Err(SecretError::Empty { reference: self.to_string() });
        }
        Ok(SecretString::from(text))
    }
}

impl std::fmt::Display for SecretRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SecretRef::Env(name) => write!(f, "environment variable `{name}`"),
            SecretRef::File(path) => write!(f, "secret file `{}`", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_file_gives_its_text_without_the_last_line_break() {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(b"hunter2 \r\n").expect("written");
        let secret = SecretRef::File(file.path().to_owned()).resolve().expect("readable");
        assert_eq!(secret.expose_secret(), "hunter2 ");
        assert!(!format!("{secret:?}").contains("hunter2"));
    }

    #[test]
    fn what_is_missing_or_empty_is_named() {
        let unset = SecretRef::Env("WATERSHED_SURELY_UNSET".into()).resolve().expect_err("unset").to_string();
        assert!(unset.contains("`WATERSHED_SURELY_UNSET` is not set"), "{unset}");
        let absent = SecretRef::File("/surely/absent".into()).resolve().expect_err("absent").to_string();
        assert!(absent.contains("/surely/absent"), "{absent}");
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        let empty = SecretRef::File(file.path().to_owned()).resolve().expect_err("empty").to_string();
        assert!(empty.contains("is empty"), "{empty}");
    }

    #[test]
    fn a_configuration_names_exactly_one_place() {
        let parse = |text: &str| serde_json::from_str::<SecretRef>(text);
        assert_eq!(parse(r#"{"env":"A"}"#).expect("env"), SecretRef::Env("A".into()));
        assert_eq!(parse(r#"{"file":"/a"}"#).expect("file"), SecretRef::File("/a".into()));
        assert!(parse(r#"{"env":"A","file":"/a"}"#).is_err());
        assert!(parse(r#""plain text secret""#).is_err());
    }
}
