//! Who may ask and change what, and how often.

mod rate;
mod token;

pub(super) use rate::{Buckets, Whose};
pub use token::{Role, Token, Tokens};

use std::net::IpAddr;
use std::sync::Arc;

use watershed_schemas::Plane;

/// Who sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    /// Name of the token; absent where none was sent.
    pub(super) name: Option<Arc<str>>,
    /// What it may do; absent where no token was sent.
    pub(super) role: Option<Role>,
    /// The plane whose team it is of, where it sees no more than that team may.
    pub(super) team: Option<Plane>,
    /// The address that it came from.
    pub(super) from: IpAddr,
}
