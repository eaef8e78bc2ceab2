//! HTTPS against a server with a certificate of its own making.

use std::sync::Arc;
use std::time::Duration;

use cutover_engine::ports::{GateAnswer, Hooks, PortError};
use cutover_hooks::{HttpHooks, Variables};
use cutover_scenarios::plan::{Endpoint, EndpointUrl, WebhookGate};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig};
use serde_json::json;
use tokio_rustls::TlsAcceptor;

use crate::server::{Reply, Server};

/// A certificate for one host, and a server's side of it.
fn certificate(host: &str) -> (CertificateDer<'static>, TlsAcceptor) {
    let made = rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = rustls::crypto::ring::default_provider();
    let config = ServerConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    (certificate, TlsAcceptor::from(Arc::new(config)))
}

/// Asks a gate over HTTPS, trusting these certificates.
async fn ask(
    server: &Server,
    trusted: &[CertificateDer<'static>],
) -> Result<GateAnswer, PortError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted.iter().cloned());
    let nothing: Variables = Arc::new(|_| None);
    let gate = WebhookGate {
        endpoint: Endpoint {
            url: EndpointUrl::Plain(format!("https://{}/gate", server.at)),
            secret_env: None,
        },
        timeout: Duration::from_secs(10),
        every: Duration::from_secs(30),
    };
    let hooks = HttpHooks::with(roots, nothing).unwrap();
    hooks.ask(&gate, &json!({ "step": 1 })).await
}

#[tokio::test]
async fn a_gate_is_asked_over_tls() {
    let (certificate, tls) = certificate("127.0.0.1");
    let server = Server::start_tls([Reply::status(200, "")], tls).await;
    assert_eq!(ask(&server, &[certificate]).await, Ok(GateAnswer::Open));
    assert_eq!(server.only().target, "/gate");
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let (_, tls) = certificate("127.0.0.1");
    let (another, _) = certificate("127.0.0.1");
    let server = Server::start_tls([Reply::status(200, "")], tls).await;
    let error = ask(&server, &[another]).await.unwrap_err();
    let told = error.cause.starts_with("invalid peer certificate: ");
    assert!(told, "{error}");
    assert!(server.seen().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn a_certificate_of_another_host_is_refused() {
    let (certificate, tls) = certificate("elsewhere.example");
    let server = Server::start_tls([Reply::status(200, "")], tls).await;
    let error = ask(&server, &[certificate]).await.unwrap_err();
    assert!(error.cause.contains("not valid for name"), "{error}");
    assert!(server.seen().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_refused() {
    let server = Server::start([Reply::status(200, "")]).await;
    let error = ask(&server, &[]).await.unwrap_err();
    assert_eq!(
        error.doing,
        format!("ask the gate at https://{}/…", server.at)
    );
    let told = error.cause.ends_with("; does this port speak TLS?");
    assert!(told, "{error}");
    assert!(server.seen().is_empty(), "nothing was sent");
}
