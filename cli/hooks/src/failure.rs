//! Why there was no answer, as a sentence with a remedy where one is known.

use std::error::Error;
use std::io;

use rustls::{CertificateError, Error as Tls};

/// The causes of a failure, and what to do. The outermost is left out where a cause says more:
/// `client error (Connect)` adds nothing to `connection refused`.
pub(crate) fn sentence(error: &(dyn Error + 'static)) -> String {
    let causes = match error.source() {
        Some(source) => cutover_engine::narrate::chain(source),
        None => error.to_string(),
    };
    match tls(error).and_then(remedy) {
        Some(remedy) => format!("{causes}; {remedy}"),
        None => causes,
    }
}

/// What TLS says about it, if it does.
fn tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Tls> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        // What an I/O error wraps is no source of it: it speaks in its place.
        let wrapped = cause.downcast_ref().and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => cause.source(),
        };
    }
    None
}

fn remedy(error: &Tls) -> Option<&'static str> {
    match error {
        Tls::InvalidCertificate(CertificateError::UnknownIssuer) => {
            Some("if it is of a private authority, name the authority's file in SSL_CERT_FILE")
        }
        // What `openssl req -x509` makes; the library has no name for it.
        Tls::InvalidCertificate(CertificateError::Other(other))
            if format!("{other:?}").contains("CaUsedAsEndEntity") =>
        {
            Some("the certificate is an authority's (CA:TRUE); make the server one with CA:FALSE")
        }
        Tls::InvalidMessage(_) => Some("does this port speak TLS?"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("client error (Connect)")]
    struct Outer(#[source] io::Error);

    fn told(error: Tls) -> String {
        sentence(&Outer(io::Error::other(io::Error::other(error))))
    }

    #[test]
    fn causes_are_told_with_their_remedies() {
        let untrusted = told(Tls::InvalidCertificate(CertificateError::UnknownIssuer));
        assert!(
            untrusted.starts_with("invalid peer certificate"),
            "{untrusted}"
        );
        assert!(untrusted.ends_with("in SSL_CERT_FILE"), "{untrusted}");
        let plain = told(Tls::InvalidMessage(
            rustls::InvalidMessage::InvalidContentType,
        ));
        assert!(plain.ends_with("; does this port speak TLS?"), "{plain}");
        let refused = Outer(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!(sentence(&refused), "connection refused");
    }
}
