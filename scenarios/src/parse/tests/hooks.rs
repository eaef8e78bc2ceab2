//! Webhooks, those who are told, and what follows from trouble.

use super::*;
use crate::plan::{NotifyFormat, NotifyOn};

#[test]
fn receivers_are_told_everything_unless_they_chose() {
    let [slack, webhook, second] = <[_; 3]>::try_from(read(FULL).notify).unwrap();
    assert_eq!(slack.format, NotifyFormat::Slack);
    assert_eq!(slack.endpoint.url, EndpointUrl::Env("SLACK_URL".into()));
    assert_eq!(slack.on, [NotifyOn::Breach, NotifyOn::Done]);
    assert_eq!(webhook.format, NotifyFormat::Json);
    assert_eq!(webhook.endpoint.secret_env, Some("HOOK_KEY".into()));
    let all = [
        NotifyOn::Start,
        NotifyOn::Step,
        NotifyOn::Hold,
        NotifyOn::Breach,
        NotifyOn::Rollback,
        NotifyOn::Done,
    ];
    assert_eq!(webhook.on, all);
    assert_eq!(second.endpoint.url, EndpointUrl::Env("_HOOK2".into()));
    assert_eq!(second.on, [NotifyOn::Hold]);
    let every_word = format!(
        "{MINIMAL}notify: [{{ webhook: {{ url_env: A }}, on: [{}] }}]\n",
        keys::NOTIFY_ON.join(", ")
    );
    assert_eq!(read(&every_word).notify[0].on, all);
}

#[test]
fn a_missing_measurement_is_waited_for_and_then_decided_on() {
    let on_missing = |text: &str| read(&format!("{MINIMAL}on_missing: {text}\n")).on_missing;
    let minutes = Duration::from_mins;
    for (text, after, then) in [
        ("hold", minutes(10), Missing::Hold),
        ("rollback", minutes(10), Missing::Rollback),
        ("{ then: rollback }", minutes(10), Missing::Rollback),
        ("{ after: 1m, then: hold }", minutes(1), Missing::Hold),
    ] {
        let read = on_missing(text);
        assert_eq!((read.after, read.then), (after, then), "{text}");
    }
}

#[test]
fn mistakes_in_policies_say_what_to_write() {
    insta::assert_snapshot!(mistake("on_missing: { after: 20m, then: rollback }", "on_missing: 20m"), @"`on_missing`: found `20m`; expected `hold` or `rollback`; write `{ after: 20m, then: hold }`");
    insta::assert_snapshot!(mistake("{ after: 20m, then: rollback }", "{ after: 20m }"), @"`on_missing.then`: missing key `then`; expected it in `on_missing`");
    insta::assert_snapshot!(mistake("on_broken_source: rollback", "on_broken_source: rolback"), @"`on_broken_source`: found `rolback`; expected `hold` or `rollback`; did you mean `rollback`?");
    insta::assert_snapshot!(mistake("point_of_no_return: 50%", "point_of_no_return: 60%"), @"`point_of_no_return`: found 60 %, which no step has; expected the weight of a step: `0.5%`, `10%`, `25%`, `50%` or `100%`");
}

#[test]
fn a_point_of_no_return_is_not_held_against_steps_that_could_not_be_read() {
    let text = FULL.replacen("0.5 % for 90s", "140%", 1).replacen(
        "point_of_no_return: 50%",
        "point_of_no_return: 60%",
        1,
    );
    assert_eq!(mistakes(&text).total(), 1);
}

#[test]
fn a_step_proves_only_what_can_be_proven() {
    insta::assert_snapshot!(mistake("versus_source: 2x", "versus_source: 1x"), @"`steps[2].prove`: found `true` beside the objective `p99.9`, which leaves no margin; expected objectives that can be proven; write a `versus_source` above `1x` for `p99.9`");
    let unproven = FULL
        .replacen("versus_source: 2x", "versus_source: 1x", 1)
        .replacen("prove: true", "prove: false", 1);
    assert!(!read(&unproven).steps[2].prove);
    insta::assert_snapshot!(mistake("prove: true", "prove: yes"), @"`steps[2].prove`: found `yes`; expected `true` or `false`; write `true`");
}

#[test]
fn a_gate_is_one_of_three() {
    insta::assert_snapshot!(mistake("gate: manual", "gate: webhook"), @"`steps[1].gate`: found `webhook`; expected `manual`, or a map with `window` or `webhook`; write `{ webhook: { url: … } }`, or `url_env` for an address that is a secret");
    insta::assert_snapshot!(mistake("gate: manual", "gate: manuel"), @"`steps[1].gate`: found `manuel`; expected `manual`, or a map with `window` or `webhook`; did you mean `manual`?");
    insta::assert_snapshot!(mistake("gate: manual", "gate: {}"), @"`steps[1].gate`: found no gate; expected `window` or `webhook`");
    insta::assert_snapshot!(mistake("gate: { webhook:", "gate: { window: {}, webhook:"), @"`steps[2].gate`: found `window` and `webhook`; expected one gate; give the next step the other gate");
    insta::assert_snapshot!(mistake("every: 1m", "every: 20ms"), @"`steps[2].gate.webhook.every`: found `20ms`; expected at least `1s`");
    insta::assert_snapshot!(mistake("url: http://127.0.0.1:9000/gate, ", ""), @"`steps[2].gate.webhook.url`: missing key `url`; expected it in `steps[2].gate.webhook`; write `url`, or `url_env` for an address that is a secret");
    insta::assert_snapshot!(mistake("secret_env: GATE_KEY", "url_env: GATE_KEY"), @"`steps[2].gate.webhook`: found `url` and `url_env`; expected one address; remove one");
    let first =
        format!("{MINIMAL}steps: [{{ weight: 100%, gate: {{ webhook: {{ url_env: A }} }} }}]\n");
    assert!(matches!(read(&first).steps[0].gate, Some(Gate::Webhook(_))));
}

#[test]
fn mistakes_about_receivers_say_what_to_write() {
    insta::assert_snapshot!(mistake("{ url_env: SLACK_URL }", "{ url_env: SLACK_URL, secret_env: KEY }"), @"`notify[0].slack.secret_env`: found `secret_env`; expected `url_env`; Slack does not look at signatures; remove it, or use `webhook`");
    insta::assert_snapshot!(mistake("{ slack: { url_env: SLACK_URL }, ", "{ webhook: { url_env: A }, slack: { url_env: B }, "), @"`notify[0]`: found `webhook` and `slack`; expected one receiver an item; begin each receiver with `- `");
    insta::assert_snapshot!(mistake("{ slack: { url_env: SLACK_URL }, ", "{ "), @"`notify[0]`: found no receiver; expected `webhook` or `slack`");
    insta::assert_snapshot!(mistake("{ slack:", "{ slak:"), @"`notify[0].slak`: unknown key `slak`; expected one of `webhook`, `slack` or `on`; did you mean `slack`?");
    insta::assert_snapshot!(mistake("on: [done, breach]", "on: [done, breech]"), @"`notify[0].on[1]`: found `breech`; expected `start`, `step`, `hold`, `breach`, `rollback` or `done`; did you mean `breach`?");
    insta::assert_snapshot!(mistake("on: [done, breach]", "on: [done, done]"), @"`notify[0].on`: found `done` twice; expected each subject once");
}

#[test]
fn secrets_are_refused_with_the_remedy_and_never_repeated() {
    let url = "https://hooks.example.com/cutover";
    for (from, to) in [
        (url, "https://hooks.example.com/x?token=hunter2"),
        (url, "https://ann:hunter2@hooks.example.com/x"),
        (url, "https://ann:1/hunter2@hooks.example.com/x"),
        (url, "https://hooks.example.com/x#hunter2"),
        (url, "https://hooks.slack.com/services/T0/B0/hunter2"),
        (url, "http://hooks.example.com/hunter2"),
        (url, "hooks.example.com/hunter2"),
        (url, "'hunter2 hunter2'"),
        (url, "https://hooks.example.com/hunter2|"),
        (
            "{ url_env: SLACK_URL }",
            "{ url: https://hooks.slack.com/services/hunter2 }",
        ),
        (
            "{ url_env: SLACK_URL }",
            "{ url_env: https://hooks.slack.com/services/hunter2 }",
        ),
        (
            "{ url_env: SLACK_URL }",
            "https://hooks.slack.com/services/hunter2",
        ),
        (
            "{ slack: { url_env: SLACK_URL }, on: [done, breach] }",
            "https://a.example/hunter2",
        ),
        ("secret_env: HOOK_KEY", "secret_env: hunter2"),
        ("secret_env: HOOK_KEY", "secret_env: HUNTER2-HUNTER2"),
        (
            "secret_env: HOOK_KEY",
            "secret_env: HUNTER2HUNTER2HUNTER2HUNTER2",
        ),
        ("secret_env: HOOK_KEY", "secret_env: $hunter2"),
        ("gate: manual", "gate: https://a.example/hunter2"),
        (
            "gate: manual",
            "gate: { webhook: https://a.example/hunter2 }",
        ),
    ] {
        let found = mistake(from, to);
        assert!(!found.to_lowercase().contains("hunter2"), "{to}: {found}");
    }
    insta::assert_snapshot!(mistake(url, "https://hooks.example.com/x?token=y"), @"`notify[1].webhook.url`: found `https://hooks.example.com` with a query; expected an address without any secret; put the address into an environment variable, and write `url_env` with its name");
    insta::assert_snapshot!(mistake(url, "https://hooks.slack.com/services/T0/B0/key"), @"`notify[1].webhook.url`: found `https://hooks.slack.com` with a path that is as good as a password at this host; expected an address without any secret; put the address into an environment variable, and write `url_env` with its name");
    insta::assert_snapshot!(mistake(url, "http://hooks.example.com/x"), @"`notify[1].webhook.url`: found text that may be a secret and is not repeated; expected an address such as `https://hooks.example.com/cutover`; write `https://`; plain `http://` is for this machine only, since anyone on the way could read and change what is sent");
    insta::assert_snapshot!(mistake("{ url_env: SLACK_URL }", "{ url: https://hooks.slack.com/services/T0/B0/key }"), @"`notify[0].slack.url`: found `url`; expected `url_env`; whoever knows the address of a Slack webhook may post; put it into an environment variable, and write `url_env: SLACK_URL`");
    insta::assert_snapshot!(mistake("secret_env: HOOK_KEY", "secret_env: hook_key"), @"`notify[1].webhook.secret_env`: found text that may be a secret and is not repeated; expected the name of an environment variable, of `A-Z`, `0-9` and `_`; write the name in capital letters; if this is the secret itself, put it into an environment variable, and write the variable's name here");
    insta::assert_snapshot!(mistake("secret_env: HOOK_KEY", "secret_env: $HOOK_KEY"), @"`notify[1].webhook.secret_env`: found text that may be a secret and is not repeated; expected the name of an environment variable, of `A-Z`, `0-9` and `_`; write the name alone, without `$`");
    insta::assert_snapshot!(mistake("secret_env: HOOK_KEY", "secret_env: AKIAIOSFODNN7EXAMPL3"), @"`notify[1].webhook.secret_env`: found text that may be a secret and is not repeated; expected the name of an environment variable, of `A-Z`, `0-9` and `_`; put the secret itself into an environment variable, and write the variable's name here");
}
