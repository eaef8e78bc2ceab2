//! One `POST` over HTTP or HTTPS, and its answer.
//!
//! Redirects are not followed: a signed body must not be sent where its receiver's address did not
//! lead. No connection is kept: calls are minutes apart.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::uri::{Scheme, Uri};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client as Sender;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;

use crate::answer::{redact, secrets_of, sentence};
use crate::environment::Resolved;
use crate::{clock, failure, signature};

/// More of an answer is not read.
const MOST_OF_AN_ANSWER: usize = 4 * 1024;

const AGENT: &str = concat!("cutover/", env!("CARGO_PKG_VERSION"));

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// Status and words, safe to show.
    pub(crate) sentence: String,
}

/// Sends requests.
pub(crate) struct Client {
    sender: Sender<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Client {
    /// A client that trusts these certificate authorities.
    ///
    /// # Errors
    /// When the TLS library refuses to begin.
    pub(crate) fn new(roots: RootCertStore) -> Result<Self, rustls::Error> {
        let provider = rustls::crypto::ring::default_provider();
        let config = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .build();
        let sender = Sender::builder(TokioExecutor::new())
            .pool_max_idle_per_host(0)
            .build(connector);
        Ok(Client { sender })
    }

    /// Sends a JSON body, all within `limit`.
    ///
    /// # Errors
    /// Why there was no answer, as a sentence without any secret.
    pub(crate) async fn post(
        &self,
        to: &Resolved,
        body: Vec<u8>,
        limit: Duration,
    ) -> Result<Answer, String> {
        let secrets = secrets_of(&to.address, to.key.as_ref());
        let exchange = async {
            let request = request(to, body).map_err(|error| failure::sentence(&error))?;
            let response = self.sender.request(request).await;
            let response = response.map_err(|error| failure::sentence(&error))?;
            let (head, body) = response.into_parts();
            let content_type = head.headers.get(CONTENT_TYPE);
            let content_type = content_type.and_then(|value| value.to_str().ok());
            let body = beginning(body).await;
            Ok(Answer {
                status: head.status,
                sentence: sentence(head.status, content_type, &body, &secrets),
            })
        };
        match timeout(limit, exchange).await {
            Ok(answer) => answer.map_err(|error: String| redact(&error, &secrets)),
            Err(_) => Err(format!("no answer within {} s", limit.as_secs_f64())),
        }
    }
}

/// The certificate authorities of this machine (`SSL_CERT_FILE` and `SSL_CERT_DIR` name others),
/// or, where it has none, those that Mozilla trusts.
pub(crate) fn trusted() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

fn request(to: &Resolved, body: Vec<u8>) -> http::Result<Request<Full<Bytes>>> {
    let address = &to.address;
    let scheme = if address.is_secure() {
        Scheme::HTTPS
    } else {
        Scheme::HTTP
    };
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(address.authority())
        .path_and_query(address.target())
        .build()?;
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header(USER_AGENT, AGENT)
        .header(CONTENT_TYPE, "application/json");
    if let Some(userinfo) = address.userinfo() {
        let mut value = HeaderValue::from_str(&basic(userinfo))?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    if let Some(key) = &to.key {
        let timestamp = clock::now();
        request = request
            .header(signature::TIMESTAMP, timestamp)
            .header(signature::SIGNATURE, signature::sign(key, timestamp, &body));
    }
    request.body(Full::new(body.into()))
}

/// `user:password` of an address as HTTP's Basic authentication has it (RFC 7617 §2).
fn basic(userinfo: &str) -> String {
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let mut credentials = decoded(user);
    credentials.push(b':');
    credentials.extend(decoded(password));
    format!("Basic {}", STANDARD.encode(credentials))
}

/// Percent-decoded (RFC 3986 §2.1); what is no such code stays as it is.
fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    bytes
}

/// The first bytes of an answer. One that breaks off is shown as far as it came.
async fn beginning(mut body: Incoming) -> Vec<u8> {
    let mut read = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        if let Ok(data) = frame.into_data() {
            let room = MOST_OF_AN_ANSWER - read.len();
            read.extend_from_slice(&data[..data.len().min(room)]);
        }
        if read.len() == MOST_OF_AN_ANSWER {
            break;
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7617 §2.
    #[test]
    fn user_and_password_become_basic_credentials() {
        assert_eq!(
            basic("Aladdin:open%20sesame"),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
        assert_eq!(decoded("a%3Ab%zz%4"), b"a:b%zz%4");
        assert_eq!(basic("ann"), format!("Basic {}", STANDARD.encode("ann:")));
    }

    #[test]
    fn someone_is_trusted_on_every_machine() {
        assert!(trusted().len() > 10);
    }
}
