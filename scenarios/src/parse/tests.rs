use std::time::Duration;

use super::examples::{FULL, MINIMAL, WRONG_BY_THEMSELVES};
use super::*;
use crate::diagnostic::Kind;
use crate::plan::{
    Bound, Endpoint, EndpointUrl, Gate, LocalEdge, Missing, OnBrokenSource, Request, Signal, Stack,
    Step, Traffic, WebhookGate, Window,
};
use crate::units::Weight;

mod hooks;

fn read(text: &str) -> Plan {
    plan("plan.yaml", text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn mistakes(text: &str) -> Diagnostics {
    plan("plan.yaml", text).expect_err("the plan has a mistake")
}

/// The one mistake of [`FULL`] after a change, without its position.
fn mistake(from: &str, to: &str) -> String {
    assert!(FULL.contains(from), "{from}");
    let all = mistakes(&FULL.replacen(from, to, 1));
    let [only] = all.mistakes() else {
        panic!("expected one mistake:\n{all}");
    };
    let text = only.to_string();
    text.splitn(3, ':').nth(2).unwrap().trim_start().to_owned()
}

#[test]
fn a_minimal_plan_gets_every_default() {
    let plan = read(MINIMAL);
    let percents: Vec<u32> = plan
        .steps
        .iter()
        .map(|step| step.weight.parts() / 100)
        .collect();
    assert_eq!(percents, [1, 5, 10, 25, 50, 75, 100]);
    assert!(
        plan.steps
            .iter()
            .all(|step| step.hold == Duration::from_secs(300))
    );
    assert_eq!(plan.qualify, Duration::from_secs(60));
    assert_eq!(plan.bake, Duration::from_secs(600));
    assert_eq!(plan.on_breach, OnBreach::Rollback);
    assert_eq!(plan.min_requests, 50);
    assert!((plan.alpha - 0.01).abs() < 1e-12);
    assert_eq!(plan.load.host, "service.local");
    assert_eq!(plan.load.requests, default_requests());
    assert_eq!(plan.load.timeout, Duration::from_secs(5));
    let Traffic::Local(LocalEdge {
        listen,
        response_timeout,
    }) = plan.traffic;
    assert_eq!(
        (listen.port(), response_timeout),
        (0, Duration::from_secs(10))
    );
    let Stack::Local(source) = plan.source;
    assert_eq!(source.listen.to_string(), "127.0.0.1:0");
}

#[test]
fn every_key_is_read() {
    let plan = read(FULL);
    assert!((plan.load.rate - 250.0).abs() < 1e-9);
    let request = |method: &str, path: &str, body: Option<&str>, share| Request {
        method: method.into(),
        path: path.into(),
        body: body.map(Into::into),
        share,
    };
    assert_eq!(
        plan.load.requests,
        [
            request("GET", "/items/42?colour=dark%20red", None, 10),
            request("POST", "/checkout", Some("{}"), 1),
            request("DELETE", "/", None, 1),
            request("HEAD", "/?x=1", None, 1),
        ]
    );
    let names: Vec<&str> = plan.objectives.iter().map(|o| o.name.as_str()).collect();
    assert_eq!(names, ["errors", "p99.9", "p50"]);
    assert_eq!(plan.objectives[0].at_most, Some(Bound::Rate(0.005)));
    assert_eq!(
        plan.objectives[1].signal,
        Signal::Latency { quantile: 0.999 }
    );
    assert_eq!(plan.objectives[1].versus_source, Some(2.0));
    assert_eq!(
        plan.objectives[2].at_most,
        Some(Bound::Latency(Duration::from_millis(100)))
    );
    let step = |parts, seconds, gate| Step {
        weight: Weight::from_parts(parts).unwrap(),
        hold: Duration::from_secs(seconds),
        gate,
        prove: false,
    };
    let window = Window {
        days: vec![1, 2, 3, 7],
        opens: 540,
        closes: 1050,
        time_zone: "Europe/Berlin".into(),
    };
    let asked = WebhookGate {
        endpoint: Endpoint {
            url: EndpointUrl::Plain("http://127.0.0.1:9000/gate".into()),
            secret_env: Some("GATE_KEY".into()),
        },
        timeout: Duration::from_secs(2),
        every: Duration::from_secs(60),
    };
    assert_eq!(
        plan.steps,
        [
            step(50, 90, None),
            step(1000, 5400, Some(Gate::Manual)),
            Step {
                prove: true,
                ..step(2500, 300, Some(Gate::Webhook(asked)))
            },
            step(5000, 300, Some(Gate::Window(window))),
            step(10_000, 300, None),
        ]
    );
    assert_eq!(plan.on_breach, OnBreach::Hold);
    assert_eq!(plan.on_missing.after, Duration::from_secs(1200));
    assert_eq!(plan.on_missing.then, Missing::Rollback);
    assert_eq!(plan.on_broken_source, OnBrokenSource::Rollback);
    assert_eq!(plan.point_of_no_return.map(Weight::parts), Some(5000));
    assert_eq!(plan.notify.len(), 3);
}

#[test]
fn a_plan_survives_its_canonical_form() {
    let plan = read(FULL);
    let json = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
}

#[test]
fn each_wrong_value_is_one_mistake() {
    for (from, to) in WRONG_BY_THEMSELVES {
        mistake(from, to);
    }
}

#[test]
fn all_mistakes_are_reported_at_once_in_the_order_of_the_file() {
    let text = "\
# A plan of slips.
name: Shop API
source: { ecs: { cluster: prod } }
target: { local: { listen: 10.0.0.1:80 } }
traffic: { local: {} }
load:
  rate: fast
  requests:
    - { get: http://example.com/ }
    - get
objectivs:
  - errors: 1%
steps: [5% for 10, 140%, 50%, 25%, 90%]
bake: 600
bake: 10m
on_breach: roll_back
";
    insta::assert_snapshot!(mistakes(text), @r"
    plan.yaml:2:7: `name`: found `Shop API`; expected a name of `a-z`, `0-9` and `-`, at most 63 characters, not beginning with `-`; for instance `shop-api`
    plan.yaml:3:11: `source.ecs`: found `ecs`; expected `local`; this version drives `local` stacks only; `ecs` comes with the AWS support
    plan.yaml:4:28: `target.local.listen`: found `10.0.0.1:80`; expected a loopback address such as `127.0.0.1:8080` (port 0: any free one); local stacks are not for other machines; write `127.0.0.1:80`
    plan.yaml:7:9: `load.rate`: found `fast`; expected a rate such as `250/s`, `15000/m` or `2/h`
    plan.yaml:10:7: `load.requests[1]`: found `get`; expected a map with `get`, `post`, `put`, `delete`, `patch`, `head`, `body` or `share`
    plan.yaml:11:1: `objectivs`: unknown key `objectivs`; expected one of `name`, `source`, `target`, `traffic`, `load`, `objectives`, `steps`, `qualify`, `bake`, `on_breach`, `on_missing`, `on_broken_source`, `point_of_no_return`, `notify`, `alpha` or `min_requests`; did you mean `objectives`?
    plan.yaml:13:9: `steps[0]`: found `5% for 10`; expected a duration such as `250ms`, `5s`, `10m` or `1h30m`; write the unit: `10s` for seconds
    plan.yaml:13:20: `steps[1]`: found `140%`; expected a weight above 0% and at most 100%
    plan.yaml:13:31: `steps[3]`: found 25 % after 50 % in `steps[2]`; expected more than 50 %, since weights rise from step to step
    plan.yaml:13:36: `steps[4]`: found 90 % in the last step; expected 100 % at the end of the shift; add `100%`
    plan.yaml:14:7: `bake`: found `600`; expected a duration such as `250ms`, `5s`, `10m` or `1h30m`; write the unit: `600s` for seconds
    plan.yaml:15:1: `bake`: duplicate key `bake`; expected each key once; the first is on line 14; remove one
    plan.yaml:16:12: `on_breach`: found `roll_back`; expected `rollback` or `hold`; did you mean `rollback`?
    13 mistakes in plan.yaml
    ");
}

#[test]
fn load_goes_only_where_the_plan_says() {
    for url in [
        "http://example.com/",
        "http://shop.example/",
        "http://127.0.0.1:9999/",
        "http://shop.example:8080@example.com/",
        "http:///x",
    ] {
        let found = mistake("http://127.0.0.1:8081", url);
        assert!(
            found.contains("load goes only where the plan says"),
            "{url}: {found}"
        );
    }
    let found = mistake("host: shop.example:8080\n", "host: 10.0.0.1\n");
    assert!(
        found.contains("`10.0.0.1` is none of this plan's stacks"),
        "{found}"
    );
    for url in [
        "//example.com/",
        "https://shop.example:8080/",
        "ftp://example.com/",
    ] {
        let found = mistake("http://127.0.0.1:8081", url);
        assert!(
            found.starts_with("`load.requests[2].delete`: found"),
            "{url}: {found}"
        );
    }
}

#[test]
fn relations_between_values_are_checked() {
    insta::assert_snapshot!(mistake("weight: 10%", "weight: 30%"), @"`steps[2]`: found 25 % after 30 % in `steps[1]`; expected more than 30 %, since weights rise from step to step");
    insta::assert_snapshot!(mistake("  - 100%\n", "  - 99%\n"), @"`steps[4]`: found 99 % in the last step; expected 100 % at the end of the shift; add `100%`");
    insta::assert_snapshot!(mistake("listen: 127.0.0.1:8080", "listen: 127.0.0.1:8081"), @"`traffic.local.listen`: found `127.0.0.1:8081`, as in `source.local.listen`; expected an address of its own; choose another port, or 0 for any free one");
    insta::assert_snapshot!(mistake("p50: 100ms", "p99.9: 100ms"), @"`objectives[2]`: duplicate key `p99.9`; expected each objective once; the first is on line 18; put both bounds there");
    insta::assert_snapshot!(mistake("time_zone: europe/berlin", "time_zone: Europe/Berln"), @"`steps[3].gate.window.time_zone`: found `Europe/Berln`; expected an IANA time zone such as `Europe/Berlin`; did you mean `Europe/Berlin`?");
    insta::assert_snapshot!(mistake("09:00-17:30", "17:00-09:00"), @"`steps[3].gate.window.hours`: found `17:00-09:00`; expected hours that close after they open, within one day; for a night, give the next step a window of its own");
    insta::assert_snapshot!(mistake("[mon-wed, sun]", "[mon-wed, tue]"), @"`steps[3].gate.window.days`: found `tue` twice; expected each day once");
    insta::assert_snapshot!(mistake("{ post: http://shop.example:8080/checkout", "{ get: /"), @"`load.requests[1].body`: found a body beside `get`; expected `body` only beside `post`, `put`, `patch` or `delete`");
}

#[test]
fn an_unknown_objective_is_told_what_there_is() {
    for (name, meant) in [
        ("error", "errors"),
        ("erors", "errors"),
        ("p999", "p99.9"),
        ("P99", "p99"),
    ] {
        let found = mistake("- p50: 100ms", &format!("- {name}: 100ms"));
        assert_eq!(
            found,
            format!(
                "`objectives[2]`: unknown key `{name}`; expected `errors`, or a latency quantile \
                 from `p50` to `p99.99`; did you mean `{meant}`?"
            )
        );
    }
    let found = mistake("- p50: 100ms", "- availability: 99%");
    assert!(!found.contains("did you mean"), "{found}");
}

#[test]
fn words_of_later_versions_are_known() {
    insta::assert_snapshot!(mistake("source: { local: { service: demo,", "source: { ecs: { service: demo,"), @"`source.ecs`: found `ecs`; expected `local`; this version drives `local` stacks only; `ecs` comes with the AWS support");
    insta::assert_snapshot!(mistake("target: { local: { service: demo, listen: '[::1]:8082' } }", "target: eks").trim(), @"`target`: found `eks`; expected `local`; this version drives `local` stacks only; `eks` comes with the Kubernetes support");
    insta::assert_snapshot!(mistake("  ramp: 0s", "  scenario: checkout-mix"), @"`load.scenario`: found `scenario`; expected `host`, `rate`, `paired`, `ramp`, `timeout` or `requests`; a later version brings scenario files; list the requests under `requests` now");
}

#[test]
fn wrong_shapes_say_what_was_found() {
    insta::assert_snapshot!(mistake("name: shop-api", "name: [a, b]"), @"`name`: found a list; expected a name of `a-z`, `0-9` and `-`, at most 63 characters, not beginning with `-`");
    insta::assert_snapshot!(mistake("name: shop-api", "name:"), @"`name`: found nothing; expected a name of `a-z`, `0-9` and `-`, at most 63 characters, not beginning with `-`");
    insta::assert_snapshot!(mistake("name: shop-api", "name: true"), @"`name`: found `true`; expected a name of `a-z`, `0-9` and `-`, at most 63 characters, not beginning with `-`; YAML reads that as a number or a truth value; write `'true'`");
    insta::assert_snapshot!(mistake("body: '{}'", "body: {a: 1}"), @"`load.requests[1].body`: found a map; expected text in quotes");
    insta::assert_snapshot!(mistake("- p50: 100ms", "- p50"), @"`objectives[2]`: found `p50`; expected `errors`, or a latency quantile from `p50` to `p99.99`; write for instance `errors: 1%`");
    insta::assert_snapshot!(mistake("- p50: 100ms", "- { p50: 100ms, p75: 200ms }"), @"`objectives[2]`: found `p75` as a second key; expected one objective an item; begin each objective with `- `, and indent its bounds");
    insta::assert_snapshot!(mistake("timeout: 1500ms", "timeout: 1500"), @"`load.timeout`: found `1500`; expected a duration such as `250ms`, `5s`, `10m` or `1h30m`; write the unit: `1500s` for seconds");
    insta::assert_snapshot!(mistakes("- a\n- b\n"), @r"
    plan.yaml:1:1: found a list; expected a map with `name`, `source`, `target`, `traffic`, `load`, `objectives`, `steps`, `qualify`, `bake`, `on_breach`, `on_missing`, `on_broken_source`, `point_of_no_return`, `notify`, `alpha` or `min_requests`
    1 mistake in plan.yaml
    ");
    insta::assert_snapshot!(mistakes(""), @r"
    plan.yaml:1:1: found nothing but white space and comments; expected a plan; start from the bundled plan `demo`
    1 mistake in plan.yaml
    ");
    insta::assert_snapshot!(mistakes("name: x\u{0}y"), @r"
    plan.yaml:1:8: found the control character U+0000; expected text; is this a YAML file, saved as UTF-8?
    1 mistake in plan.yaml
    ");
}

#[test]
fn an_alias_is_one_mistake_and_not_two() {
    let all = mistakes(&FULL.replacen("qualify: 0s\nbake: 2h", "qualify: &q 0s\nbake: *q", 1));
    let kinds: Vec<Kind> = all.mistakes().iter().map(|mistake| mistake.kind).collect();
    assert_eq!(kinds, [Kind::Syntax, Kind::Syntax], "{all}");
}

#[test]
fn more_than_a_hundred_steps_are_refused() {
    let steps: Vec<String> = (1..=101).map(|step| format!("{step}%")).collect();
    let all = mistakes(&format!("{MINIMAL}steps: [{}]\n", steps.join(", ")));
    assert_eq!(all.total(), 1, "{all}");
    assert_eq!(all.mistakes()[0].found, "101 steps");
}

#[test]
fn a_flood_of_mistakes_is_cut_and_counted() {
    let keys: String = (0..1000).map(|n| format!("key{n}: 1\n")).collect();
    let all = mistakes(&format!("{MINIMAL}{keys}"));
    assert_eq!((all.mistakes().len(), all.total()), (50, 1000));
}

#[test]
fn mistakes_serialize_for_programs() {
    let all = mistakes(&MINIMAL.replace("10/s", "fast"));
    insta::assert_snapshot!(serde_json::to_string_pretty(&all).unwrap(), @r#"
    {
      "file": "plan.yaml",
      "total": 1,
      "mistakes": [
        {
          "line": 5,
          "column": 15,
          "path": "load.rate",
          "kind": "value",
          "found": "`fast`",
          "expected": "a rate such as `250/s`, `15000/m` or `2/h`"
        }
      ]
    }
    "#);
}
