//! Keyed fingerprints: two teams see that they mean the same thing, and neither sees what.

use ring::hmac;

/// Bytes of a fingerprint that are shown.
const SHOWN: usize = 4;

/// The key under which values are fingerprinted.
///
/// Without a key a fingerprint of an address could be undone by trying all addresses. With one it can't, as long as the
/// key stays secret; values under the same key can be compared, and nothing else.
#[derive(Clone, Debug)]
pub struct Key(hmac::Key);

impl Key {
    /// A key of these bytes; any length will do, 32 random ones are best.
    pub fn new(bytes: &[u8]) -> Self {
        Key(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The key of replays, demos and tests: everybody knows it, so that the same input gives the same messages. Fingerprints
    /// under it can be guessed.
    pub fn public() -> Self {
        Key::new(&[0; 32])
    }

    /// The first 32 bits of HMAC-SHA256 of the value, in hexadecimal: `9f3a2c1b`.
    pub fn fingerprint(&self, value: &str) -> String {
        let tag = hmac::sign(&self.0, value.as_bytes());
        tag.as_ref().iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_hmac_sha256_under_its_key() {
        // RFC 4231, test case 2.
        assert_eq!(Key::new(b"Jefe").fingerprint("what do ya want for nothing?"), "5bdcc146");
        assert_ne!(Key::new(b"a").fingerprint("203.0.113.7"), Key::public().fingerprint("203.0.113.7"));
    }
}
