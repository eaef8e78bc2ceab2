//! What is sent, what its answers mean, and what errors say.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cutover_engine::notify::outbox::Outbox;
use cutover_engine::phase::Phase;
use cutover_engine::ports::{GateAnswer, Hooks, Note, PortError};
use cutover_engine::secret::Secret;
use cutover_hooks::{HttpHooks, Variables};
use cutover_scenarios::plan::{Endpoint, EndpointUrl, Notify, NotifyFormat, NotifyOn, WebhookGate};
use rustls::RootCertStore;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, timeout};

use crate::server::{Reply, Server};

/// No test takes longer, unless something hangs.
const LIMIT: Duration = Duration::from_secs(20);

/// Webhooks whose variables are these.
fn hooks(variables: &[(&str, &str)]) -> HttpHooks {
    let known: Vec<(String, Secret)> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Secret::new(*value)))
        .collect();
    let variables: Variables = Arc::new(move |name| {
        let value = known.iter().find(|(known, _)| known == name);
        value.map(|(_, value)| value.clone())
    });
    HttpHooks::with(RootCertStore::empty(), variables).unwrap()
}

fn env(name: &str) -> Endpoint {
    Endpoint {
        url: EndpointUrl::Env(name.to_owned()),
        secret_env: None,
    }
}

fn gate(endpoint: Endpoint) -> WebhookGate {
    WebhookGate {
        endpoint,
        timeout: Duration::from_secs(5),
        every: Duration::from_secs(30),
    }
}

fn receiver(endpoint: Endpoint, format: NotifyFormat) -> Notify {
    Notify {
        endpoint,
        format,
        on: vec![NotifyOn::Breach],
    }
}

fn note() -> Note {
    Note {
        on: NotifyOn::Breach,
        run: "20261120-100000-shop-0001".to_owned(),
        plan: "shop".to_owned(),
        seq: 17,
        at: "2026-11-20T10:00:00Z".parse().unwrap(),
        text: "BREACH: `errors at most 1 %` refuted".to_owned(),
        phase: Phase::Shift,
        weight_percent: Some(25.0),
        outcome: None,
    }
}

/// Asks the gate of a server once.
async fn ask(server: &Server) -> Result<GateAnswer, PortError> {
    let url = format!("http://{}/gate", server.at);
    let question = json!({ "step": 2 });
    let hooks = hooks(&[("GATE", &url)]);
    timeout(LIMIT, hooks.ask(&gate(env("GATE")), &question))
        .await
        .unwrap()
}

/// HMAC-SHA-256 as RFC 2104 §2 defines it, without the library that made the signature.
fn hmac(key: &[u8], text: &[u8]) -> String {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key);
    let padded = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(text)
        .finalize();
    let outer = Sha256::new()
        .chain_update(padded(0x5c))
        .chain_update(inner)
        .finalize();
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_signed_note_can_be_verified_by_its_receiver() {
    let server = Server::start([Reply::status(204, "")]).await;
    let to = Endpoint {
        url: EndpointUrl::Plain(format!("http://{}/cutover", server.at)),
        secret_env: Some("KEY".to_owned()),
    };
    let hooks = hooks(&[("KEY", "hunter2")]);
    hooks
        .deliver(&receiver(to, NotifyFormat::Json), &note())
        .await
        .unwrap();
    let seen = server.only();
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("POST", "/cutover")
    );
    assert_eq!(seen.header("content-type"), "application/json");
    assert_eq!(seen.header("host"), server.at.to_string());
    assert!(seen.header("user-agent").starts_with("cutover/"));
    assert_eq!(seen.json()["delivery"], "20261120-100000-shop-0001/17");
    assert_eq!(seen.json()["weight_percent"], 25.0);

    let timestamp = seen.header("x-cutover-timestamp");
    let signed = [timestamp.as_bytes(), b".", &seen.body].concat();
    assert_eq!(
        seen.header("x-cutover-signature-256"),
        format!("sha256={}", hmac(b"hunter2", &signed))
    );
    let now = now().as_secs();
    let age = now.abs_diff(timestamp.parse().unwrap());
    assert!(age < 60, "signed {age} s ago");
}

#[expect(
    clippy::disallowed_methods,
    reason = "the timestamp is held against the real clock"
)]
fn now() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
}

#[tokio::test]
async fn without_a_key_nothing_is_signed() {
    let server = Server::start([Reply::status(200, "ok")]).await;
    let url = format!("http://{}/services/T0/B0/hunter2", server.at);
    let hooks = hooks(&[("SLACK_URL", &url)]);
    hooks
        .deliver(&receiver(env("SLACK_URL"), NotifyFormat::Slack), &note())
        .await
        .unwrap();
    let seen = server.only();
    assert_eq!(seen.target, "/services/T0/B0/hunter2");
    assert!(!seen.headers.contains_key("x-cutover-signature-256"));
    assert_eq!(
        seen.json(),
        json!({ "text": "*shop*: BREACH: `errors at most 1 %` refuted\n20261120-100000-shop-0001" })
    );
}

#[tokio::test]
async fn user_and_password_go_into_a_header_and_not_into_the_request_line() {
    let server = Server::start([Reply::status(200, "")]).await;
    let url = format!("http://Aladdin:open%20sesame@{}/x?token=y", server.at);
    let hooks = hooks(&[("URL", &url)]);
    hooks
        .deliver(&receiver(env("URL"), NotifyFormat::Json), &note())
        .await
        .unwrap();
    let seen = server.only();
    assert_eq!(seen.target, "/x?token=y");
    assert_eq!(
        seen.header("authorization"),
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    );
}

#[tokio::test]
async fn only_200_opens_a_gate() {
    let server = Server::start([Reply::status(200, "go")]).await;
    assert_eq!(ask(&server).await, Ok(GateAnswer::Open));
    assert_eq!(server.only().json(), json!({ "step": 2 }));
    for (status, text, told) in [
        (
            403,
            "change freeze until\n Monday\u{1b}[2J",
            "403 Forbidden: change freeze until Monday [2J",
        ),
        (204, "", "204 No Content"),
        (202, "later", "202 Accepted: later"),
        (500, "", "500 Internal Server Error"),
    ] {
        let server = Server::start([Reply::status(status, text)]).await;
        let closed = GateAnswer::Closed(told.to_owned());
        assert_eq!(ask(&server).await, Ok(closed));
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Server::start([Reply::status(200, "")]).await;
    let server = Server::start([Reply::Redirect(format!("http://{}/", elsewhere.at))]).await;
    let Ok(GateAnswer::Closed(told)) = ask(&server).await else {
        panic!("a redirect opened the gate");
    };
    assert!(
        told.starts_with("302 Found: redirects are not followed"),
        "{told}"
    );
    assert!(elsewhere.seen().is_empty(), "{:?}", elsewhere.seen());
}

#[tokio::test]
async fn a_server_that_says_nothing_is_left_after_the_gates_timeout() {
    let server = Server::start([Reply::Silence]).await;
    let url = format!("http://{}/", server.at);
    let mut gate = gate(env("GATE"));
    gate.timeout = Duration::from_millis(250);
    let began = Instant::now();
    let error = hooks(&[("GATE", &url)])
        .ask(&gate, &json!({}))
        .await
        .unwrap_err();
    assert!(began.elapsed() >= gate.timeout);
    assert_eq!(
        error.to_string(),
        "could not ask the gate at $GATE: no answer within 0.25 s"
    );
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn an_answer_without_end_is_cut() {
    let server = Server::start([Reply::Endless]).await;
    let Ok(GateAnswer::Closed(told)) = ask(&server).await else {
        panic!("expected a closed gate");
    };
    assert!(told.starts_with("403 Forbidden: xxx") && told.ends_with('…'));
    assert!(told.chars().count() < 300, "{}", told.len());
}

#[tokio::test]
async fn nobody_there_is_an_error_that_names_the_variable() {
    let server = Server::start([Reply::Silence]).await;
    let url = format!("http://{}/hunter2", server.at);
    drop(server);
    // The port is free once the server's task is gone.
    let hooks = hooks(&[("GATE", &url)]);
    let refused = async {
        loop {
            let error = hooks.ask(&gate(env("GATE")), &json!({})).await.unwrap_err();
            if error.cause.contains("refused") {
                return error;
            }
        }
    };
    let error = timeout(LIMIT, refused).await.unwrap();
    assert_eq!(
        error.to_string(),
        "could not ask the gate at $GATE: tcp connect error: Connection refused (os error 111)"
    );
}

#[tokio::test]
async fn a_variable_that_went_missing_is_named() {
    let error = hooks(&[])
        .deliver(&receiver(env("SLACK_URL"), NotifyFormat::Slack), &note())
        .await
        .unwrap_err();
    assert!(
        error.to_string().starts_with(
            "could not tell $SLACK_URL: `notify.url_env`: the environment variable SLACK_URL is \
             not set"
        ),
        "{error}"
    );
}

#[tokio::test]
async fn no_error_contains_a_secret_whatever_the_server_repeats() {
    let server = Server::start([Reply::Echo]).await;
    let plain = format!("http://{}", server.at);
    for url in [
        format!("{plain}/services/T0/hunter2"),
        format!("{plain}/x?token=hunter2"),
        format!("http://ann:hunter2@{}/hunter2", server.at),
        "https://127.0.0.1:1/hunter2".to_owned(),
        "http://127.0.0.1:1/a b/hunter2".to_owned(),
        "hunter2".to_owned(),
    ] {
        let hooks = hooks(&[("URL", &url), ("KEY", "hunter2-key")]);
        let endpoint = Endpoint {
            secret_env: Some("KEY".to_owned()),
            ..env("URL")
        };
        let told = hooks
            .deliver(&receiver(endpoint.clone(), NotifyFormat::Json), &note())
            .await
            .unwrap_err();
        assert!(
            told.to_string().starts_with("could not tell $URL: "),
            "{told}"
        );
        let asked = hooks
            .ask(&gate(endpoint), &json!({ "key": "hunter2-key" }))
            .await;
        let all = format!("{told} {told:?} {asked:?}");
        assert!(!all.contains("hunter2"), "{url}: {all}");
    }
    let named = Endpoint {
        url: EndpointUrl::Plain(format!("{plain}/internal/path9")),
        secret_env: None,
    };
    let error = hooks(&[])
        .deliver(&receiver(named, NotifyFormat::Json), &note())
        .await
        .unwrap_err();
    assert_eq!(error.doing, format!("tell {plain}/…"));
    assert!(!error.to_string().contains("path9"), "{error}");
}

#[tokio::test]
async fn what_a_server_failed_to_take_is_sent_again_and_signed_anew() {
    let server = Server::start([Reply::status(500, "try later"), Reply::status(200, "")]).await;
    let url = format!("http://{}/", server.at);
    let endpoint = Endpoint {
        secret_env: Some("KEY".to_owned()),
        ..env("URL")
    };
    let hooks: Arc<dyn Hooks> = Arc::new(hooks(&[("URL", &url), ("KEY", "k")]));
    let receivers = [receiver(endpoint, NotifyFormat::Json)];
    let (mut outbox, mut answers) = Outbox::start(&hooks, &receivers);
    outbox.post(&note());
    let delivered = timeout(LIMIT, answers.recv()).await.unwrap().unwrap();
    assert_eq!(delivered.result, Ok(()));
    assert_eq!((delivered.seq, delivered.attempts), (17, 2));
    let [first, second] = <[_; 2]>::try_from(server.seen()).unwrap();
    assert_eq!(first.body, second.body, "the same delivery");
    assert_ne!(
        first.header("x-cutover-timestamp"),
        second.header("x-cutover-timestamp"),
        "a second later"
    );
    let tally = outbox.drain(LIMIT).await;
    assert_eq!((tally.delivered, tally.given_up), (1, 0));
}
