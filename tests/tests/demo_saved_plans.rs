//! `migrate --plan` shows everything and changes nothing; what it saved is what is run.

use std::time::Duration;

use cutover_tests::plan::write_quick;
use cutover_tests::processes::assert_none_left;
use cutover_tests::workspace::Workspace;
use serde_json::Value;

const QUICK_RUN: Duration = Duration::from_secs(60);

const SHORT_HOLDS: [(&str, &str); 3] = [
    ("steps", "[20% for 500ms, 60% for 500ms, 100% for 500ms]"),
    ("qualify", "500ms"),
    ("bake", "500ms"),
];

fn assert_untouched(workspace: &Workspace) {
    assert!(!workspace.folder().join(".cutover").exists());
    assert_none_left(workspace);
}

#[test]
fn a_dry_run_prints_every_call_and_changes_nothing() {
    let workspace = Workspace::new();
    write_quick(&workspace, &SHORT_HOLDS);
    let shown = workspace
        .cutover(["migrate", "--plan", "plan.yaml"])
        .expect_exit(0);
    for (step, source, target) in [(20, 8000, 2000), (60, 4000, 6000), (100, 0, 10000)] {
        let call =
            format!(r#"/weights -d '{{"weights":{{"source":{source},"target":{target}}}}}'"#);
        assert!(
            shown.stdout.contains(&format!("shift to {step} %")),
            "{shown}"
        );
        assert!(shown.stdout.contains(&call), "no `{call}`: {shown}");
    }
    for part in [
        "inspect",
        "preflight",
        "deploy",
        "start edge",
        "qualify",
        "bake",
        "Duration",
        "Irreversible",
    ] {
        assert!(shown.stdout.contains(part), "no `{part}`: {shown}");
    }
    assert_untouched(&workspace);
}

#[test]
fn the_exit_code_tells_of_changes_when_asked_to() {
    let workspace = Workspace::new();
    write_quick(&workspace, &SHORT_HOLDS);
    let arguments = [
        "migrate",
        "--plan",
        "--detailed-exitcode",
        "plan.yaml",
        "--output",
        "json",
    ];
    let shown = workspace.cutover(arguments).expect_exit(2);
    assert_eq!(shown.json()["plan"], "demo", "{shown}");
    assert_untouched(&workspace);
}

#[test]
fn a_saved_plan_is_run_as_it_was_shown() {
    let workspace = Workspace::new();
    write_quick(&workspace, &SHORT_HOLDS);
    let save = ["migrate", "--plan", "plan.yaml", "--out", "saved.plan"];
    workspace.cutover(save).expect_exit(0);
    assert_untouched(&workspace);
    let run = ["migrate", "saved.plan", "--yes", "--output", "json"];
    let finished = workspace.start(run).wait(QUICK_RUN).expect_exit(0);
    let report = finished.json();
    assert_eq!(report["outcome"], "done", "{finished}");
    let set: Vec<_> = report["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|step| step["set"].as_f64())
        .collect();
    assert_eq!(set, [Some(20.0), Some(60.0), Some(100.0)], "{finished}");
    assert_none_left(&workspace);
}

#[test]
fn a_saved_plan_whose_file_has_changed_is_stale() {
    let workspace = Workspace::new();
    write_quick(&workspace, &SHORT_HOLDS);
    let save = ["migrate", "--plan", "plan.yaml", "--out", "saved.plan"];
    workspace.cutover(save).expect_exit(0);
    write_quick(&workspace, &[("bake", "2s")]);
    workspace
        .cutover(["migrate", "saved.plan", "--yes"])
        .expect_exit(5)
        .expect_told(&["saved plan is stale", "plan.yaml has changed"]);
    assert_untouched(&workspace);
}

#[test]
fn a_saved_plan_that_was_edited_is_refused() {
    let workspace = Workspace::new();
    write_quick(&workspace, &SHORT_HOLDS);
    let save = ["migrate", "--plan", "plan.yaml", "--out", "saved.plan"];
    workspace.cutover(save).expect_exit(0);
    let path = workspace.folder().join("saved.plan");
    let text = std::fs::read_to_string(path).expect("the saved plan");
    let mut saved: Value = serde_json::from_str(&text).expect("a JSON document");
    let steps = saved["plan"]["steps"].as_array_mut().expect("steps");
    assert_eq!(steps.len(), 3, "{text}");
    // Only the last one is left: all at once.
    steps.drain(..2);
    workspace.write("saved.plan", saved.to_string());
    workspace
        .cutover(["migrate", "saved.plan", "--yes"])
        .expect_exit(5)
        .expect_told(&["saved plan", "does not say what its plan file says"]);
    assert_untouched(&workspace);
}

#[test]
fn a_saved_plan_whose_address_was_taken_since_is_stale() {
    let workspace = Workspace::new();
    let address = cutover_tests::http::free_address().to_string();
    write_quick(
        &workspace,
        &[("local", &format!("{{ listen: \"{address}\" }}"))],
    );
    let save = ["migrate", "--plan", "plan.yaml", "--out", "saved.plan"];
    workspace.cutover(save).expect_exit(0);
    let _taken = std::net::TcpListener::bind(&address).expect("the address");
    workspace
        .cutover(["migrate", "saved.plan", "--yes"])
        .expect_exit(5)
        .expect_told(&["saved plan is stale", &address]);
    assert_untouched(&workspace);
}

#[test]
fn events_come_one_json_line_each_and_the_last_tells_the_end() {
    let workspace = Workspace::new();
    write_quick(&workspace, &SHORT_HOLDS);
    let run = ["migrate", "plan.yaml", "--yes", "--output", "ndjson"];
    let finished = workspace.start(run).wait(QUICK_RUN).expect_exit(0);
    let events: Vec<Value> = finished
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let (last, before) = events.split_last().expect("events");
    assert_eq!(last["event"], "ended", "{last}");
    assert_eq!(last["outcome"], "done", "{last}");
    let numbers: Vec<_> = before
        .iter()
        .filter(|event| event["event"] == "recorded")
        .map(|event| event["record"]["seq"].as_u64().expect("a sequence number"))
        .collect();
    assert!(numbers.len() > 10, "{finished}");
    assert!(
        numbers.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "gaps: {numbers:?}"
    );
    assert!(
        before.iter().any(|event| event["event"] == "second"),
        "{finished}"
    );
    assert_none_left(&workspace);
}
