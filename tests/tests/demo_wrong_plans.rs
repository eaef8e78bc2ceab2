//! Wrong plans: a clear error that names the file, exit 1, and nothing is started.

use std::fs::{self, File};

use cutover_tests::command::Finished;
use cutover_tests::plan::demo_with;
use cutover_tests::processes::assert_none_left;
use cutover_tests::workspace::Workspace;

/// Tries the file as a plan in every way that reads one; each must refuse it with these words and
/// change nothing.
fn refused(workspace: &Workspace, file: &str, words: &[&str]) {
    let ways: [&[&str]; 3] = [
        &["migrate", file, "--yes"],
        &["migrate", "--plan", file],
        &["check", file],
    ];
    for way in ways {
        let finished: Finished = workspace.cutover(way).expect_exit(1);
        let finished = finished.expect_told(&[file]).expect_told(words);
        assert_eq!(finished.stdout, "", "{finished}");
        assert!(!workspace.has_runs(), "a run was begun: {finished}");
    }
    assert_none_left(workspace);
}

/// The bundled plan with one value changed is refused, at the line of the change.
fn refused_with(key: &str, value: &str, words: &[&str]) {
    let workspace = Workspace::new();
    let text = demo_with(&workspace, &[(key, value)]);
    let line = text
        .lines()
        .position(|line| line.trim_start().starts_with(&format!("{key}: ")));
    let place = format!("wrong.yaml:{}:", line.expect("the line") + 1);
    workspace.write("wrong.yaml", text);
    refused(&workspace, "wrong.yaml", words);
    refused(&workspace, "wrong.yaml", &[&place]);
}

#[test]
fn a_typo_in_a_key_is_named_with_the_key_that_was_meant() {
    let workspace = Workspace::new();
    let text = demo_with(&workspace, &[]).replace("qualify:", "qualfy:");
    workspace.write("wrong.yaml", text);
    refused(
        &workspace,
        "wrong.yaml",
        &["`qualfy`", "did you mean `qualify`"],
    );
}

#[test]
fn a_weight_of_140_percent_is_refused() {
    refused_with("steps", "[140% for 1s]", &["140", "at most 100%"]);
}

#[test]
fn steps_that_go_down_are_refused() {
    refused_with(
        "steps",
        "[50% for 1s, 25% for 1s, 100% for 1s]",
        &["25", "50"],
    );
}

#[test]
fn an_unknown_objective_is_refused() {
    let workspace = Workspace::new();
    let text = demo_with(&workspace, &[]).replace("- errors:", "- happiness:");
    workspace.write("wrong.yaml", text);
    refused(&workspace, "wrong.yaml", &["`happiness`", "errors"]);
}

#[test]
fn a_load_host_that_is_no_stack_is_refused() {
    let workspace = Workspace::new();
    let text = demo_with(&workspace, &[]).replace("get: /items/42", "get: http://example.com/");
    workspace.write("foreign.yaml", text);
    let words = ["load goes only where the plan says", "`example.com`"];
    refused(&workspace, "foreign.yaml", &words);
}

#[test]
fn all_mistakes_are_told_at_once() {
    let workspace = Workspace::new();
    let text = demo_with(
        &workspace,
        &[("steps", "[140% for 1s]"), ("bake", "long"), ("alpha", "7")],
    );
    workspace.write("wrong.yaml", text);
    refused(&workspace, "wrong.yaml", &["140", "long", "alpha"]);
}

#[test]
fn an_empty_file_is_refused() {
    let workspace = Workspace::new();
    workspace.write("empty.yaml", "");
    refused(&workspace, "empty.yaml", &["empty"]);
}

#[test]
fn a_file_of_50_mb_is_refused_without_reading_it() {
    let workspace = Workspace::new();
    let path = workspace.write("large.yaml", "name: large\n");
    let file = File::options().write(true).open(path).expect("the file");
    file.set_len(50 * 1024 * 1024).expect("a sparse file");
    refused(&workspace, "large.yaml", &["more than 1 MiB"]);
}

#[test]
fn a_directory_is_refused() {
    let workspace = Workspace::new();
    fs::create_dir(workspace.folder().join("folder")).expect("a folder");
    refused(&workspace, "folder", &["directory"]);
}

#[test]
fn binary_garbage_is_refused() {
    let workspace = Workspace::new();
    let garbage: Vec<u8> = (0..4096_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    workspace.write("garbage.yaml", garbage);
    refused(&workspace, "garbage.yaml", &["binary data"]);
}

#[test]
fn a_missing_file_is_refused() {
    refused(&Workspace::new(), "missing.yaml", &["no such file"]);
}
