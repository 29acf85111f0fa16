//! TLS and SASL against the real broker.

use std::time::Duration;

use watershed_integration::broker::{self, PASSWORD, USER};
use watershed_integration::deployment::Deployment;
use watershed_integration::wait::say;

use crate::waves::{produce, wave};

const DEADLINE: Duration = Duration::from_secs(180);

#[test]
fn reads_over_tls_with_scram_and_with_plain() {
    let Some(broker) = broker::shared("secure") else { return };
    let Some(secure) = broker.secure() else {
        say("SKIPPED secure: WATERSHED_TEST_KAFKA names a broker whose secure listener is not known");
        return;
    };
    let dir = tempfile::tempdir().expect("a temporary directory");
    let password = dir.path().join("password");
    std::fs::write(&password, PASSWORD).expect("written");
    for mechanism in ["SCRAM-SHA-512", "PLAIN"] {
        let connection = format!(
            "brokers = [\"{}\"]\ntls = {{ ca = \"{}\" }}\n\
             sasl = {{ mechanism = \"{mechanism}\", username = \"{USER}\", password = {{ file = \"{}\" }} }}",
            secure.address,
            secure.keys.ca.display(),
            password.display()
        );
        let name = format!("secure-{}", mechanism.to_lowercase());
        let mut deployment = Deployment::with_connection(broker, &name, &connection).expect("a deployment");
        produce(&deployment, &wave(0));
        let mut running = deployment.start(None).expect("watershed starts");
        deployment.settle(&mut running, DEADLINE).expect("it comes to rest");
        deployment.stop(running).expect("it stops");
        let (ai_security, iam) = deployment.delivered().expect("signed and well-formed");
        assert!(!ai_security.is_empty() && !iam.is_empty(), "{mechanism}");
    }
}
