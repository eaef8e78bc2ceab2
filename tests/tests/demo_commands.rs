//! The commands that neither run a plan nor look at a run.

use cutover_tests::workspace::Workspace;

fn printed(arguments: &[&str]) -> String {
    let finished = Workspace::new().cutover(arguments).expect_exit(0);
    assert_eq!(finished.stderr, "", "{finished}");
    finished.stdout
}

#[test]
fn help_shows_examples_and_every_exit_code() {
    let help = printed(&["--help"]);
    assert!(help.contains("cutover demo --fault"), "{help}");
    let codes: Vec<_> = help
        .lines()
        .skip_while(|line| !line.starts_with("Exit codes"))
        .filter_map(|line| line.split_whitespace().next()?.parse::<u8>().ok())
        .collect();
    assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 130], "{help}");
}

#[test]
fn the_version_is_that_of_the_package() {
    let version = concat!("cutover ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(printed(&["--version"]), version);
}

#[test]
fn the_schema_of_plans_is_json_schema() {
    let schema = Workspace::new()
        .cutover(["schema", "plan"])
        .expect_exit(0)
        .json();
    let dialect = schema["$schema"].as_str().expect("a dialect");
    assert!(dialect.contains("json-schema.org"), "{dialect}");
    for key in [
        "name",
        "source",
        "target",
        "traffic",
        "load",
        "objectives",
        "steps",
    ] {
        assert!(
            schema["properties"][key].is_object(),
            "no `{key}`: {schema:#}"
        );
    }
}

#[test]
fn the_bundled_plan_is_valid() {
    let workspace = Workspace::new();
    let plan = workspace.cutover(["example", "demo"]).expect_exit(0).stdout;
    workspace.write("demo.yaml", plan);
    let checked = workspace.cutover(["check", "demo.yaml"]).expect_exit(0);
    assert!(checked.stdout.contains("is valid"), "{checked}");
    let checked = workspace
        .cutover(["check", "demo.yaml", "--output", "json"])
        .expect_exit(0);
    assert_eq!(checked.json()["valid"], true, "{checked}");
}

#[test]
fn the_manual_page_is_one_and_names_the_exit_codes() {
    let page = printed(&["man"]);
    assert!(page.contains(".TH cutover 1"), "{page}");
    assert!(page.contains("interrupted by a signal"), "{page}");
}

#[test]
fn bash_takes_the_completions() {
    let workspace = Workspace::new();
    workspace.write("completions", printed(&["completions", "bash"]));
    let mut bash = std::process::Command::new("bash");
    bash.args([
        "--norc",
        "-c",
        "source ./completions && complete -p cutover",
    ]);
    let finished = workspace
        .spawn(bash)
        .wait(cutover_tests::workspace::SHORT)
        .expect_exit(0);
    assert!(finished.stdout.contains("cutover"), "{finished}");
}

#[test]
fn an_unknown_command_is_an_error_that_points_to_help() {
    Workspace::new()
        .cutover(["migrat"])
        .expect_exit(1)
        .expect_told(&["migrat", "migrate", "--help"]);
}

#[test]
fn a_folder_without_runs_is_said_plainly() {
    for command in ["status", "rollback", "resume"] {
        Workspace::new()
            .cutover([command])
            .expect_exit(1)
            .expect_told(&["no run is recorded here"]);
    }
}
