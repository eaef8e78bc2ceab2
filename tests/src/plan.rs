//! Short plans made from the bundled one, as a user would make them: copy, then change lines.

use std::fs;

use crate::workspace::Workspace;

/// A plan that takes a few seconds: two steps, and little before and after.
pub const QUICK: [(&str, &str); 3] = [
    ("steps", "[50% for 1s, 100% for 1s]"),
    ("qualify", "1s"),
    ("bake", "1s"),
];

/// The bundled plan with other values for some of its one-line keys.
///
/// # Panics
/// When the bundled plan has no such line.
#[must_use]
pub fn demo_with(workspace: &Workspace, values: &[(&str, &str)]) -> String {
    let text = workspace.cutover(["example", "demo"]).expect_exit(0).stdout;
    values.iter().fold(text, |text, (key, value)| {
        let begins = format!("{key}: ");
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with(&begins))
            .unwrap_or_else(|| panic!("the bundled plan has no line `{key}:`"));
        let indent = &line[..line.len() - line.trim_start().len()];
        text.replace(line, &format!("{indent}{key}: {value}"))
    })
}

/// Writes `plan.yaml`: the quick plan, with some values changed further.
pub fn write_quick(workspace: &Workspace, values: &[(&str, &str)]) {
    let mut all: Vec<_> = QUICK
        .into_iter()
        .filter(|(key, _)| !values.iter().any(|(other, _)| other == key))
        .collect();
    all.extend(values);
    workspace.write("plan.yaml", demo_with(workspace, &all));
}

/// The same with lines at its end, for keys that the bundled plan has not.
pub fn write_quick_with(workspace: &Workspace, values: &[(&str, &str)], more: &str) {
    write_quick(workspace, values);
    let path = workspace.folder().join("plan.yaml");
    let text = fs::read_to_string(&path).expect("the plan that was just written");
    workspace.write("plan.yaml", format!("{text}\n{more}\n"));
}
