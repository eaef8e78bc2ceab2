//! Values that the tests of several modules share.

use std::time::Duration;

use cutover_scenarios::plan::{
    Bound, Load, LocalEdge, LocalService, LocalStack, Missing, Objective, OnBreach, OnBrokenSource,
    OnMissing, Plan, Request, Signal, Stack, Step, Traffic,
};
use cutover_scenarios::units::Weight;

use crate::fact::{FORMAT, Fact};
use crate::machine::Now;

pub(crate) fn now(elapsed: f64) -> Now {
    Now {
        elapsed: Duration::from_secs_f64(elapsed),
        wall: "2026-11-20T10:00:00Z".parse().unwrap(),
    }
}

pub(crate) fn weight(percent: f64) -> Weight {
    Weight::from_percent(percent).unwrap()
}

pub(crate) fn step(percent: f64, hold: f64) -> Step {
    Step {
        weight: weight(percent),
        hold: Duration::from_secs_f64(hold),
        gate: None,
        prove: false,
    }
}

/// Two steps (50 %, 100 %) held for 10 s each, qualify 5 s, bake 20 s.
pub(crate) fn plan() -> Plan {
    let loopback = "127.0.0.1:0".parse().unwrap();
    let stack = Stack::Local(LocalStack {
        service: LocalService::Demo,
        listen: loopback,
    });
    Plan {
        name: "shop".to_owned(),
        source: stack.clone(),
        target: stack,
        traffic: Traffic::Local(LocalEdge {
            listen: loopback,
            response_timeout: Duration::from_secs(1),
        }),
        load: Load {
            host: "shop.local".to_owned(),
            rate: 100.0,
            paired: 20.0,
            ramp: Duration::ZERO,
            timeout: Duration::from_secs(5),
            requests: vec![Request {
                method: "GET".to_owned(),
                path: "/".to_owned(),
                body: None,
                share: 1,
            }],
        },
        objectives: vec![Objective {
            name: "errors".to_owned(),
            signal: Signal::Errors,
            at_most: Some(Bound::Rate(0.01)),
            versus_source: None,
        }],
        steps: vec![step(50.0, 10.0), step(100.0, 10.0)],
        qualify: Duration::from_secs(5),
        bake: Duration::from_secs(20),
        on_breach: OnBreach::Rollback,
        on_missing: OnMissing {
            after: Duration::from_secs(600),
            then: Missing::Hold,
        },
        on_broken_source: OnBrokenSource::Hold,
        point_of_no_return: None,
        notify: Vec::new(),
        alpha: 0.01,
        min_requests: 10,
    }
}

/// Errors at most 1 %, p99 at most 250 ms, both no worse than the source: a healthy target stands at
/// the very border of what is allowed.
pub(crate) fn objectives() -> Vec<Objective> {
    vec![
        Objective {
            name: "errors".to_owned(),
            signal: Signal::Errors,
            at_most: Some(Bound::Rate(0.01)),
            versus_source: Some(1.0),
        },
        Objective {
            name: "p99".to_owned(),
            signal: Signal::Latency { quantile: 0.99 },
            at_most: Some(Bound::Latency(Duration::from_millis(250))),
            versus_source: Some(1.0),
        },
    ]
}

pub(crate) fn run_created() -> Fact {
    Fact::RunCreated {
        format: FORMAT,
        run: "20261120-100000-shop-0001".to_owned(),
        plan: Box::new(plan()),
        fault: None,
    }
}
