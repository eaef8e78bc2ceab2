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
pub(crate) const STEP: &[&str] = &["weight", "hold", "gate"];
/// Keys of a gate that is written out.
pub(crate) const GATE: &[&str] = &["window"];
/// Keys of a window.
pub(crate) const WINDOW: &[&str] = &["days", "hours", "time_zone"];
/// Values of `on_breach`.
pub(crate) const ON_BREACH: &[&str] = &["rollback", "hold"];
/// Values of `service`.
pub(crate) const SERVICES: &[&str] = &["demo"];
/// Days of a window, in the order of ISO 8601 (Monday is 1).
pub(crate) const DAYS: &[&str] = &["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A word that a later version will understand, and what to do until then.
pub(crate) type LaterWord = (&'static str, &'static str);

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
