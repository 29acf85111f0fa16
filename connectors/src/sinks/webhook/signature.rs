//! Standard Webhooks signatures: `v1,` and the base64 of HMAC-SHA-256 over `id.timestamp.body`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook};
use watershed_schemas::Timestamp;

const PREFIX: &str = "whsec_";

/// Signs with every secret it holds.
#[derive(Default)]
pub(in crate::sinks) struct Signer {
    keys: Vec<Webhook>,
}

impl Signer {
    /// Takes a secret of the form that the standard prescribes; says what is wrong with any other, without showing it.
    pub(super) fn add(&mut self, secret: &str) -> Result<(), String> {
        let encoded = secret.strip_prefix(PREFIX).ok_or_else(|| {
            format!("does not begin with `{PREFIX}`: make one with `echo {PREFIX}$(openssl rand -base64 32)`")
        })?;
        let key = STANDARD.decode(encoded).map_err(|_| {
            format!("is not base64 after `{PREFIX}`: make one with `echo {PREFIX}$(openssl rand -base64 32)`")
        })?;
        if !(24..=64).contains(&key.len()) {
            return Err(format!("holds {} bytes: the standard asks for 24 to 64", key.len()));
        }
        self.keys.push(Webhook::from_bytes(key).map_err(|error| format!("can't be used: {error}"))?);
        Ok(())
    }

    /// The three headers of one attempt.
    pub(super) fn sign(&self, id: &str, now: Timestamp, body: &str) -> Result<[(&'static str, String); 3], String> {
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
            return Err(format!(
                "the notification id `{}` holds more than letters, digits, `_` and `-`",
                crate::escape::for_log(id)
            ));
        }
        let timestamp = now.micros().div_euclid(1_000_000);
        let signatures = self
            .keys
            .iter()
            .map(|key| key.sign(id, timestamp, body.as_bytes()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| format!("the message can't be signed: {error}"))?;
        Ok([
            (HEADER_WEBHOOK_ID, id.to_owned()),
            (HEADER_WEBHOOK_TIMESTAMP, timestamp.to_string()),
            (HEADER_WEBHOOK_SIGNATURE, signatures.join(" ")),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the standard's own documentation.
    #[test]
    fn signs_as_the_standard_shows() {
        let mut signer = Signer::default();
        signer.add("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("the documented secret");
        let headers = signer
            .sign("msg_p5jXN8AQM9LWM0D4loKWxJek", Timestamp::from_secs(1_614_265_330), r#"{"test": 2432232314}"#)
            .expect("signed");
        assert_eq!(headers[2], ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".to_owned()));
    }

    #[test]
    fn several_secrets_give_several_signatures_and_a_new_time_new_ones() {
        let mut signer = Signer::default();
        signer.add(&format!("{PREFIX}{}", STANDARD.encode([1; 24]))).expect("24 bytes");
        signer.add(&format!("{PREFIX}{}", STANDARD.encode([2; 64]))).expect("64 bytes");
        let first = signer.sign("n-1", Timestamp::from_secs(1), "{}").expect("signed");
        let second = signer.sign("n-1", Timestamp::from_secs(2), "{}").expect("signed");
        assert_eq!(first[2].1.split(' ').count(), 2);
        assert_eq!(first[0], second[0]);
        assert_ne!(first[2], second[2]);
    }

    #[test]
    fn malformed_secrets_and_ids_are_refused() {
        let mut signer = Signer::default();
        for (secret, part) in
            [("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "begin with"), ("whsec_!!!", "base64"), ("whsec_AAAA", "3 bytes")]
        {
            let message = signer.add(secret).expect_err("malformed");
            assert!(message.contains(part) && !message.contains(&secret[6..]), "{message}");
        }
        for id in ["", "a.b", "a b", "a\r\nx: y"] {
            assert!(signer.sign(id, Timestamp::from_secs(1), "{}").is_err(), "{id:?}");
        }
    }
}
