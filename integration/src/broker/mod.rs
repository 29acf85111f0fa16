//! A real Kafka broker for the tests.
//!
//! One broker serves all tests of a test binary; each takes topics of its own. `WATERSHED_TEST_KAFKA=host:port` names
//! a broker that is already there. Where neither that nor a JDK with Maven exists the tests fail and say what to
//! install; with `WATERSHED_SKIP_KAFKA=1` they are left out, and say so.

mod jars;
mod keys;
mod node;
mod topics;

use std::sync::OnceLock;

pub use keys::Keys;
pub use node::{PASSWORD, USER};
pub use topics::{Consumed, Record, Topics};

use crate::guard::Guarded;
use crate::wait::say;

/// A broker that tests may use.
#[derive(Debug)]
pub struct Broker {
    address: String,
    secure: Option<Secure>,
    /// The process, where the broker is ours; dropped with the test process at the latest.
    _node: Option<Guarded>,
}

/// The listener of our own broker that wants TLS and SASL.
#[derive(Clone, Debug)]
pub struct Secure {
    /// `host:port`; the certificate is for this host.
    pub address: String,
    /// Where its certificates are.
    pub keys: Keys,
}

/// What there is to test against.
enum Available {
    Broker(Broker),
    Skipped,
    Missing(String),
}

static BROKER: OnceLock<Available> = OnceLock::new();

/// The broker of this test run; `None` where the person has asked to leave out what needs one.
///
/// # Panics
/// When there is no broker and none can be started: a test that needs Kafka must not pass without it.
#[expect(clippy::panic, reason = "this is how a test fails")]
pub fn shared(test: &str) -> Option<&'static Broker> {
    match BROKER.get_or_init(find) {
        Available::Broker(broker) => Some(broker),
        Available::Skipped => {
            say(&format!("SKIPPED {test}: WATERSHED_SKIP_KAFKA=1"));
            None
        }
        Available::Missing(why) => panic!("{test} needs a Kafka broker: {why}"),
    }
}

fn find() -> Available {
    if std::env::var("WATERSHED_SKIP_KAFKA").is_ok_and(|value| value == "1") {
        return Available::Skipped;
    }
    if let Ok(address) = std::env::var("WATERSHED_TEST_KAFKA") {
        return match topics::reachable(&address) {
            Ok(()) => Available::Broker(Broker { address, secure: None, _node: None }),
            Err(error) => Available::Missing(format!("WATERSHED_TEST_KAFKA={address} does not answer: {error:#}")),
        };
    }
    match jars::directory().and_then(|jars| node::start(&jars)) {
        Ok(started) => Available::Broker(Broker {
            address: started.address,
            secure: Some(started.secure),
            _node: Some(started.process),
        }),
        Err(error) => Available::Missing(format!("{error:#}")),
    }
}

impl Broker {
    /// `host:port` of the plaintext listener.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The listener with TLS and SASL, which only our own broker is known to have.
    pub fn secure(&self) -> Option<&Secure> {
        self.secure.as_ref()
    }

    /// Topics on this broker.
    pub fn topics(&self) -> Topics {
        Topics::new(&self.address)
    }
}
