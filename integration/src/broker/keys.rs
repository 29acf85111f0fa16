//! Certificates for the broker's TLS listener, made by the JDK's own `keytool`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

/// Opens the key store. It guards nothing: the key lives as long as the test run.
pub(super) const STORE_PASSWORD: &str = "watershed-test";

/// The files of a self-signed certificate for `localhost`.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The broker's key and certificate (PKCS #12).
    pub store: PathBuf,
    /// The certificate to trust (PEM).
    pub ca: PathBuf,
}

/// Makes them in `dir`.
pub(super) fn generate(dir: &Path) -> Result<Keys> {
    let keys = Keys { store: dir.join("broker.p12"), ca: dir.join("ca.pem") };
    let store = keys.store.display().to_string();
    keytool(&[
        "-genkeypair",
        "-alias",
        "broker",
        "-keyalg",
        "EC",
        "-groupname",
        "secp256r1",
        "-validity",
        "2",
        "-dname",
        "CN=localhost",
        "-ext",
        "SAN=dns:localhost,ip:127.0.0.1",
        "-ext",
        "BC=ca:true",
        "-storetype",
        "PKCS12",
        "-keystore",
        &store,
        "-storepass",
        STORE_PASSWORD,
    ])?;
    let ca = keys.ca.display().to_string();
    keytool(&[
        "-exportcert",
        "-rfc",
        "-alias",
        "broker",
        "-keystore",
        &store,
        "-storepass",
        STORE_PASSWORD,
        "-file",
        &ca,
    ])?;
    Ok(keys)
}

fn keytool(arguments: &[&str]) -> Result<()> {
    let output = Command::new("keytool").args(arguments).output()?;
    if !output.status.success() {
        bail!("keytool {}: {}", arguments[0], String::from_utf8_lossy(&output.stdout).trim());
    }
    Ok(())
}
