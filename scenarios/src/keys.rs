//! The words of a plan, once: the reader refuses every other key, and the schema lists these.

/// Keys of the plan itself.
pub(crate) const PLAN: &[&str] = &[
    "name",
    "source",
    "target",
    "traffic",
    "load",
    "objectives",
    "steps",
    "qualify",
    "bake",
    "on_breach",
    "on_missing",
    "on_broken_source",
    "point_of_no_return",
    "notify",
    "alpha",
    "min_requests",
];
/// Kinds of `source` and `target`.
pub(crate) const STACK: &[&str] = &["local"];
/// Keys of a local stack.
pub(crate) const LOCAL_STACK: &[&str] = &["service", "listen"];
/// Kinds of `traffic`.
pub(crate) const TRAFFIC: &[&str] = &["local"];
/// Keys of the local edge.
pub(crate) const LOCAL_EDGE: &[&str] = &["listen", "response_timeout"];
/// Keys of `load`.
pub(crate) const LOAD: &[&str] = &["host", "rate", "paired", "ramp", "timeout", "requests"];
/// Keys of a request that name its method; exactly one is there.
pub(crate) const METHODS: &[&str] = &["get", "post", "put", "delete", "patch", "head"];
/// Methods whose requests may carry a body. RFC 9110 §9.3 gives content in GET and HEAD no
/// meaning, and servers refuse it.
pub(crate) const METHODS_WITH_BODY: &[&str] = &["post", "put", "patch", "delete"];
/// Keys of a request.
pub(crate) const REQUEST: &[&str] = &[
    "get", "post", "put", "delete", "patch", "head", "body", "share",
];
/// Keys of an objective's bounds.
pub(crate) const BOUNDS: &[&str] = &["at_most", "versus_source"];
/// Keys of a step that is written out.
pub(crate) const STEP: &[&str] = &["weight", "hold", "gate", "prove"];
/// Keys of a gate that is written out; exactly one is there.
pub(crate) const GATE: &[&str] = &["window", "webhook"];
/// Keys of a window.
pub(crate) const WINDOW: &[&str] = &["days", "hours", "time_zone"];
/// Keys of a webhook gate.
pub(crate) const WEBHOOK_GATE: &[&str] = &["url", "url_env", "secret_env", "timeout", "every"];
/// Keys of one who is told about the run.
pub(crate) const NOTIFY: &[&str] = &["webhook", "slack", "on"];
/// Forms of notifications; exactly one is there.
pub(crate) const NOTIFY_FORMATS: &[&str] = &["webhook", "slack"];
/// Keys of a webhook that is told about the run.
pub(crate) const WEBHOOK: &[&str] = &["url", "url_env", "secret_env"];
/// Keys of a Slack channel that is told about the run.
pub(crate) const SLACK: &[&str] = &["url_env"];
/// What a notification can be about, in the order of [`crate::plan::NotifyOn`].
pub(crate) const NOTIFY_ON: &[&str] = &["start", "step", "hold", "breach", "rollback", "done"];
/// Values of `on_missing` and of its `then`.
pub(crate) const MISSING: &[&str] = &["hold", "rollback"];
/// Keys of `on_missing`.
pub(crate) const ON_MISSING: &[&str] = &["after", "then"];
/// Values of `on_broken_source`.
pub(crate) const ON_BROKEN_SOURCE: &[&str] = &["hold", "rollback"];
/// Values of `on_breach`.
pub(crate) const ON_BREACH: &[&str] = &["rollback", "hold"];
/// Values of `service`.
pub(crate) const SERVICES: &[&str] = &["demo"];
/// Days of a window, in the order of ISO 8601 (Monday is 1).
pub(crate) const DAYS: &[&str] = &["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A word that is known and refused, and what to do instead.
pub(crate) type RefusedWord = (&'static str, &'static str);

/// Keys of a webhook that Slack has no use for.
pub(crate) const SLACK_REFUSED: &[RefusedWord] = &[
    (
        "url",
        "whoever knows the address of a Slack webhook may post; put it into an environment \
         variable, and write `url_env: SLACK_URL`",
    ),
    (
        "secret_env",
        "Slack does not look at signatures; remove it, or use `webhook`",
    ),
];

/// A word that a later version will understand, and what to do until then.
pub(crate) type LaterWord = RefusedWord;

/// Kinds of stacks that are not driven yet.
pub(crate) const STACK_LATER: &[LaterWord] = &[
    (
        "ecs",
        "this version drives `local` stacks only; `ecs` comes with the AWS support",
    ),
    (
        "eks",
        "this version drives `local` stacks only; `eks` comes with the Kubernetes support",
    ),
    (
        "proxy",
        "a `local` stack always runs behind its own bundled proxy; `proxy` comes with the Kubernetes support",
    ),
];
/// Shifters that are not driven yet.
pub(crate) const TRAFFIC_LATER: &[LaterWord] = &[
    (
        "alb",
        "this version shifts with the `local` edge only; `alb` comes with the AWS support",
    ),
    (
        "route53",
        "this version shifts with the `local` edge only; `route53` comes with the AWS support",
    ),
];
/// Parts of `load` that are not there yet.
pub(crate) const LOAD_LATER: &[LaterWord] = &[(
    "scenario",
    "a later version brings scenario files; list the requests under `requests` now",
)];
