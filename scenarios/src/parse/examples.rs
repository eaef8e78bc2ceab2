//! Plans that the tests of the reader and of the schema share.

/// Only what must be there.
pub(crate) const MINIMAL: &str = "\
name: minimal
source: { local: {} }
target: { local: {} }
traffic: { local: {} }
load: { rate: 10/s }
objectives: [errors: 1%]
";

/// Every key there is.
pub(crate) const FULL: &str = "\
name: shop-api
source: { local: { service: demo, listen: 127.0.0.1:8081 } }
target: { local: { service: demo, listen: '[::1]:8082' } }
traffic: { local: { listen: 127.0.0.1:8080, response_timeout: 2s } }
load:
  host: shop.example:8080
  rate: 15000/m
  paired: 5
  ramp: 0s
  timeout: 1500ms
  requests:
    - { get: '/items/42?colour=dark%20red', share: 10 }
    - { post: http://shop.example:8080/checkout, body: '{}' }
    - { delete: http://127.0.0.1:8081 }
    - head: http://[::1]:8082?x=1
objectives:
  - errors: { at_most: 0.005, versus_source: 1.5x }
  - p99.90: { versus_source: 2x }
  - p50: 100ms
steps:
  - 0.5 % for 90s
  - { weight: 10%, hold: 1h30m, gate: manual }
  - weight: 25%
    prove: true
    gate: { webhook: { url: http://127.0.0.1:9000/gate, secret_env: GATE_KEY, timeout: 2s, every: 1m } }
  - weight: 50%
    gate: { window: { days: [mon-wed, sun], hours: 09:00-17:30, time_zone: europe/berlin } }
  - 100%
qualify: 0s
bake: 2h
on_breach: hold
on_missing: { after: 20m, then: rollback }
on_broken_source: rollback
point_of_no_return: 50%
notify:
  - { slack: { url_env: SLACK_URL }, on: [done, breach] }
  - webhook: { url: https://hooks.example.com/cutover, secret_env: HOOK_KEY }
  - { webhook: { url_env: _HOOK2 }, on: hold }
alpha: 0.05
min_requests: 7
";

/// Changes to [`FULL`] that are wrong whatever stands beside them.
pub(crate) const WRONG_BY_THEMSELVES: &[(&str, &str)] = &[
    ("name: shop-api", "name: Shop_API"),
    ("name: shop-api", "name: 2026"),
    ("name: shop-api", "nam: shop-api"),
    ("name: shop-api\n", "\n"),
    (
        "source: { local: { service: demo,",
        "source: { ecs: { service: demo,",
    ),
    ("service: demo", "service: shop"),
    ("127.0.0.1:8081", "0.0.0.0:8081"),
    ("127.0.0.1:8081", "localhost"),
    ("response_timeout: 2s", "response_timeout: 0s"),
    ("rate: 15000/m", "rate: 0/s"),
    ("rate: 15000/m", "rate: fast"),
    ("rate: 15000/m", "rate: [1]"),
    ("paired: 5", "paired: -5"),
    ("timeout: 1500ms", "timeout: 1500"),
    ("timeout: 1500ms", "timeout: 0ms"),
    ("share: 10", "share: 0"),
    ("share: 10", "share: 10001"),
    (
        "{ post: http://shop.example:8080/checkout, body: '{}' }",
        "{ body: '{}' }",
    ),
    ("{ post:", "{ get:"),
    ("{ post:", "{ put: /, post:"),
    ("body: '{}'", "body: {}"),
    ("/items/42?", "items/42?"),
    ("/items/42?", "/items 42?"),
    ("at_most: 0.005", "at_most: 5"),
    ("at_most: 0.005", "at_most: few"),
    ("1.5x", "1.5"),
    ("p99.90", "p100"),
    ("p99.90", "latency"),
    ("p50: 100ms", "p50: {}"),
    ("p50: 100ms", "p50: 1%"),
    ("0.5 % for 90s", "140% for 90s"),
    ("0.5 % for 90s", "0.0% for 90s"),
    ("0.5 % for 90s", "0.5% for 0s"),
    ("0.5 % for 90s", "0.5% for"),
    ("0.5 % for 90s", "0.5 for 90s"),
    ("0.5 % for 90s", "0.5% fr 90s"),
    ("gate: manual", "gate: automatic"),
    ("mon-wed", "monday"),
    ("hours: 09:00-17:30", "hours: 9-17"),
    ("qualify: 0s", "qualify: [1s]"),
    ("on_breach: hold", "on_breach: explode"),
    ("prove: true", "prove: 'true'"),
    ("prove: true", "prove: yes"),
    ("prove: true", "proof: true"),
    ("gate: { webhook:", "gate: { webhok:"),
    ("gate: { webhook:", "gate: { window: {}, webhook:"),
    ("http://127.0.0.1:9000/gate", "http://10.0.0.1:9000/gate"),
    (
        "http://127.0.0.1:9000/gate",
        "http://localhost.example.com/gate",
    ),
    ("http://127.0.0.1:9000/gate", "ftp://127.0.0.1:9000/gate"),
    ("http://127.0.0.1:9000/gate", "127.0.0.1:9000/gate"),
    ("http://127.0.0.1:9000/gate", "https://a.example/gate?key=x"),
    ("http://127.0.0.1:9000/gate", "https://a.example/gate#key"),
    (
        "http://127.0.0.1:9000/gate",
        "https://ann:key@a.example/gate",
    ),
    ("secret_env: GATE_KEY", "secret_env: gate_key"),
    ("secret_env: GATE_KEY", "secret_env: $GATE_KEY"),
    ("secret_env: GATE_KEY", "secret: GATE_KEY"),
    ("secret_env: GATE_KEY", "url_env: GATE_KEY"),
    ("url: http://127.0.0.1:9000/gate, ", ""),
    ("timeout: 2s", "timeout: 0s"),
    ("every: 1m", "every: 60"),
    (
        "on_missing: { after: 20m, then: rollback }",
        "on_missing: 20m",
    ),
    ("after: 20m", "after: 0s"),
    ("after: 20m, then: rollback", "after: 20m"),
    ("then: rollback", "then: explode"),
    ("on_broken_source: rollback", "on_broken_source: wait"),
    ("point_of_no_return: 50%", "point_of_no_return: 0%"),
    ("point_of_no_return: 50%", "point_of_no_return: 0.5"),
    (
        "{ url_env: SLACK_URL }",
        "{ url: https://hooks.slack.com/services/T/B/x }",
    ),
    (
        "{ url_env: SLACK_URL }",
        "{ url_env: SLACK_URL, secret_env: KEY }",
    ),
    ("{ url_env: SLACK_URL }", "SLACK_URL"),
    ("{ url_env: SLACK_URL }", "{}"),
    ("{ url_env: SLACK_URL }", "{ url_env: [SLACK_URL] }"),
    (
        "{ slack: { url_env: SLACK_URL }, ",
        "{ webhook: { url_env: A }, slack: { url_env: B }, ",
    ),
    ("{ slack: { url_env: SLACK_URL }, ", "{ "),
    ("on: [done, breach]", "on: []"),
    ("on: [done, breach]", "on: [done, done]"),
    ("on: [done, breach]", "on: [done, breech]"),
    ("on: hold", "on: all"),
    ("alpha: 0.05", "alpha: 0.5"),
    ("alpha: 0.05", "alpha: true"),
    ("min_requests: 7", "min_requests: 0"),
    ("min_requests: 7", "min_requests: 7.5"),
    ("bake: 2h", "bake: 30m1h"),
    ("bake: 2h", "bake: 2h\nretries: 3"),
];
