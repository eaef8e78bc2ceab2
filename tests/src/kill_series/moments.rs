//! The moments at which a run is killed, from the journal of a run that nobody killed.

use serde_json::Value;

use crate::tracer::Moment;

/// The moments of a run at which it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moments {
    /// After each record, and between each effect and the record of it.
    Distinct,
    /// Also before all other records, and while each record goes to disk.
    All,
}

/// The moments of a journal from a record on.
pub(super) fn of(clean: &[Value], from: usize, moments: Moments) -> Vec<Moment> {
    let mut all = Vec::new();
    for (number, record) in clean.iter().enumerate().skip(from) {
        if moments == Moments::All || number == 0 || ends_an_effect(record) {
            all.push(Moment::Before(number));
        }
        if moments == Moments::All {
            all.push(Moment::Unsynced(number));
        }
        all.push(Moment::After(number));
    }
    all
}

/// Whether something was done between the record before this one and this one.
fn ends_an_effect(record: &Value) -> bool {
    let fact = record["fact"].as_str().unwrap_or_default();
    (fact.starts_with("effect_") || fact.starts_with("undo")) && !fact.ends_with("_started")
}

/// When the first step's weight was applied.
pub(super) fn in_the_first_step(clean: &[Value]) -> Moment {
    let is_applied = |record: &Value| record["output"]["applied"].as_f64() > Some(0.0);
    Moment::After(clean.iter().position(is_applied).expect("a step"))
}

/// The record that a moment is about, as the clean run has it.
pub(super) fn told_of(clean: &[Value], moment: Moment) -> String {
    let (Moment::Before(record) | Moment::Unsynced(record) | Moment::After(record)) = moment;
    clean
        .get(record)
        .map_or_else(String::new, |record| record["fact"].to_string())
}
