//! Bearer tokens and what they allow.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use watershed_schemas::Plane;

/// What somebody may do. Each may do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Read.
    Viewer,
    /// Take, close and comment incidents, and silence.
    Responder,
    /// Erase.
    Admin,
}

impl Role {
    /// All, the least first.
    pub const ALL: [Role; 3] = [Role::Viewer, Role::Responder, Role::Admin];

    /// `viewer`, `responder` or `admin`.
    pub fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Responder => "responder",
            Role::Admin => "admin",
        }
    }
}

/// A secret that stands for somebody. Only its digest is kept.
#[derive(Clone)]
pub struct Token {
    /// Who it stands for, as audit and incidents say it.
    pub name: Arc<str>,
    /// What it allows.
    pub role: Role,
    /// The plane whose team it is of, where it shows no more than that team may see.
    pub team: Option<Plane>,
    digest: [u8; 32],
}

impl Token {
    /// The least length of a secret, in bytes: 128 bits in hexadecimal digits have 32.
    pub const SHORTEST: usize = 24;

    /// A token of this secret.
    pub fn new(name: &str, role: Role, secret: &str) -> Self {
        Token { name: name.into(), role, team: None, digest: Sha256::digest(secret).into() }
    }

    /// The same for the team of this plane.
    #[must_use]
    pub fn of_team(self, team: Option<Plane>) -> Self {
        Token { team, ..self }
    }

    /// Whether both have the same secret.
    pub fn is_same_secret(&self, other: &Token) -> bool {
        bool::from(self.digest.ct_eq(&other.digest))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}, {})", self.name, self.role.name())
    }
}

/// All tokens.
#[derive(Clone, Debug, Default)]
pub struct Tokens(Vec<Token>);

impl Tokens {
    /// These tokens.
    pub fn new(tokens: Vec<Token>) -> Self {
        Tokens(tokens)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The token of this secret. Digests are compared in constant time, and all of them: how long it takes says nothing.
    pub fn find(&self, secret: &str) -> Option<&Token> {
        let digest: [u8; 32] = Sha256::digest(secret).into();
        let mut found = None;
        for token in &self.0 {
            if bool::from(token.digest.ct_eq(&digest)) {
                found = Some(token);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_by_its_whole_secret_and_never_shown() {
        let tokens = Tokens::new(vec![Token::new("a", Role::Viewer, "aaaa"), Token::new("b", Role::Admin, "bbbb")]);
        assert_eq!(tokens.find("bbbb").map(|token| (&*token.name, token.role)), Some(("b", Role::Admin)));
        for wrong in ["", "b", "bbb", "bbbbb", "BBBB", "bbbb ", "aaaabbbb"] {
            assert!(tokens.find(wrong).is_none(), "{wrong:?}");
        }
        assert_eq!(format!("{tokens:?}"), "Tokens([Token(a, viewer), Token(b, admin)])");
        assert!(Tokens::default().find("").is_none());
    }

    #[test]
    fn each_role_may_do_what_the_ones_before_it_may() {
        assert!(Role::ALL.is_sorted());
        for role in Role::ALL {
            assert_eq!(serde_json::to_value(role).expect("a name"), role.name());
        }
    }
}
