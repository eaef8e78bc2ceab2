//! A preview, told to people.

use std::fmt::Write as _;
use std::time::Duration;

use cutover_engine::narrate::seconds;
use cutover_engine::preview::Preview;

/// Everything a run would do, phase by phase: `+` changes something, `.` only looks.
pub(crate) fn text(preview: &Preview) -> String {
    let mut out = String::new();
    let changes: usize = preview.phases.iter().map(|phase| phase.changes.len()).sum();
    let _ = writeln!(
        out,
        "Plan `{}` would make {changes} changes:\n",
        preview.plan
    );
    for phase in &preview.phases {
        let _ = writeln!(out, "{}", phase.phase);
        for change in &phase.changes {
            let _ = writeln!(out, "  + {change}");
        }
        for watch in &phase.watches {
            let _ = writeln!(out, "  . {watch}");
        }
    }
    let _ = writeln!(
        out,
        "\nDuration: at least {}",
        seconds(Duration::from_secs_f64(preview.estimated_s))
    );
    for gate in &preview.gates {
        let _ = writeln!(out, "  gate at {gate}");
    }
    for load in &preview.load {
        let _ = writeln!(out, "Load: {load}");
    }
    for guard in &preview.guards {
        let _ = writeln!(out, "Guard: {guard}");
    }
    let reactions = &preview.reactions;
    for (when, what) in [
        ("On a breach", &reactions.on_breach),
        ("On missing data", &reactions.on_missing),
        ("On a broken source", &reactions.on_broken_source),
    ] {
        let _ = writeln!(out, "{when}: {what}");
    }
    for receiver in &preview.notify {
        let _ = writeln!(out, "Notify: {receiver}");
    }
    for variable in &preview.environment {
        let _ = writeln!(out, "Environment: {}: {}", variable.name, variable.holds);
    }
    let irreversible = match preview.irreversible.as_slice() {
        [] => "nothing; every step can be taken back".to_owned(),
        points => points.join("; "),
    };
    let _ = write!(out, "Irreversible: {irreversible}");
    out
}
