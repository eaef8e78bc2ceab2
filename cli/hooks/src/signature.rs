//! Signatures: a receiver can tell that a body came from us, unchanged and just now.
//!
//! # Verification
//! A signed request carries two headers:
//!
//! ```text
//! X-Cutover-Timestamp: 1795255200
//! X-Cutover-Signature-256: sha256=5f3a…
//! ```
//!
//! The receiver
//! 1. refuses a timestamp (seconds since 1970-01-01 UTC) that is more than five minutes from its
//!    own clock: a copy that is sent later is refused by that;
//! 2. computes HMAC-SHA-256 (RFC 2104) with the shared key over the timestamp as it stands in the
//!    header, a point, and the body byte for byte, before anything parses it;
//! 3. compares the lower-case hexadecimal digits with those after `sha256=`, in constant time.
//!
//! In Python:
//!
//! ```python
//! expected = hmac.new(key, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
//! genuine = hmac.compare_digest("sha256=" + expected, signature) and abs(time.time() - int(timestamp)) < 300
//! ```
//!
//! The timestamp within the signature is Stripe's scheme
//! (<https://docs.stripe.com/webhooks#verify-manually>), the header's form is GitHub's
//! (<https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>).

use std::fmt::Write as _;

use cutover_engine::secret::Secret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Carries [`sign`]'s result.
pub const SIGNATURE: &str = "x-cutover-signature-256";
/// Carries the time of signing, in seconds since 1970-01-01 UTC.
pub const TIMESTAMP: &str = "x-cutover-timestamp";

/// The value of [`SIGNATURE`] for a body that is sent at `timestamp`.
#[must_use]
pub fn sign(key: &Secret, timestamp: i64, body: &[u8]) -> String {
    let mut signature = String::from("sha256=");
    // HMAC takes keys of any length (RFC 2104 §2), so there is no error to report.
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.reveal().as_bytes()) {
        mac.update(timestamp.to_string().as_bytes());
        mac.update(b".");
        mac.update(body);
        for byte in mac.finalize().into_bytes() {
            let _ = write!(signature, "{byte:02x}");
        }
    }
    signature
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf '1795255200.{"a":1}' | openssl dgst -sha256 -hmac 'It is a key'`.
    #[test]
    fn a_signature_is_what_openssl_computes() {
        let key = Secret::new("It is a key");
        assert_eq!(
            sign(&key, 1_795_255_200, br#"{"a":1}"#),
            "sha256=76e3d186672e36780fdac74d661f637e5d38e5b29e8047e09133fce8a63916ac"
        );
    }

    #[test]
    fn time_body_and_key_all_count() {
        let key = Secret::new("key");
        let first = sign(&key, 1, b"body");
        assert_ne!(first, sign(&key, 2, b"body"));
        assert_ne!(first, sign(&key, 1, b"body "));
        assert_ne!(first, sign(&Secret::new("kez"), 1, b"body"));
    }
}
