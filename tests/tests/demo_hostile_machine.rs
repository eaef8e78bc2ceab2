//! A machine that does not play along: a clear error, and nothing is left running.

use std::net::TcpListener;
use std::time::Duration;

use cutover_tests::disk::{Mounted, NO_MOUNT};
use cutover_tests::plan::write_quick;
use cutover_tests::processes::{assert_none_left, wait_for_weight};
use cutover_tests::skip::skip;
use cutover_tests::workspace::{SHORT, Workspace};

const QUICK_RUN: Duration = Duration::from_secs(60);

#[test]
fn an_address_in_use_is_named_before_anything_starts() {
    let workspace = Workspace::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    write_quick(
        &workspace,
        &[("local", &format!("{{ listen: \"{address}\" }}"))],
    );
    let finished = workspace.cutover(["migrate", "plan.yaml", "--yes", "--output", "json"]);
    let finished = finished
        .expect_exit(5)
        .expect_told(&[&address, "already in use"]);
    assert_eq!(finished.json()["outcome"], "failed", "{finished}");
    assert_none_left(&workspace);
}

#[test]
fn a_disk_that_is_full_from_the_start_is_named_and_nothing_is_left() {
    let workspace = Workspace::new();
    write_quick(&workspace, &[]);
    let path = workspace.folder().join(".cutover");
    let Some(disk) = Mounted::new(&path, "size=64k") else {
        return skip("a disk that is full from the start", NO_MOUNT);
    };
    disk.fill();
    let finished = workspace.cutover(["migrate", "plan.yaml", "--yes"]);
    finished
        .expect_exit(1)
        .expect_told(&[".cutover", "No space left on device"]);
    assert_none_left(&workspace);
}

#[test]
fn a_read_only_folder_is_named_and_nothing_is_left() {
    let workspace = Workspace::new();
    write_quick(&workspace, &[]);
    let path = workspace.folder().join(".cutover");
    let Some(_disk) = Mounted::new(&path, "ro") else {
        return skip("a read-only folder", NO_MOUNT);
    };
    let finished = workspace.cutover(["migrate", "plan.yaml", "--yes"]);
    finished
        .expect_exit(1)
        .expect_told(&[".cutover", "Read-only file system"]);
    assert_none_left(&workspace);
}

#[test]
fn a_file_where_the_folder_should_be_is_named_and_nothing_is_left() {
    let workspace = Workspace::new();
    write_quick(&workspace, &[]);
    workspace.write(".cutover", "a file");
    let finished = workspace.cutover(["migrate", "plan.yaml", "--yes"]);
    finished.expect_exit(1).expect_told(&[".cutover"]);
    assert_none_left(&workspace);
}

#[test]
fn a_second_run_of_a_plan_that_is_under_way_names_the_holder() {
    let workspace = Workspace::new();
    write_quick(&workspace, &[("steps", "[50% for 60s, 100% for 1s]")]);
    let first = workspace.start(["migrate", "plan.yaml", "--yes"]);
    wait_for_weight(&workspace, 50.0, QUICK_RUN);
    let holder = format!("process {}", first.pid());
    workspace
        .cutover(["migrate", "plan.yaml", "--yes"])
        .expect_exit(6)
        .expect_told(&["under way", &holder]);
    let spared = workspace.cutover(["cleanup"]).expect_exit(0);
    assert!(spared.stdout.contains(&holder), "{spared}");
    let status = workspace
        .cutover(["status", "--output", "json"])
        .expect_exit(0);
    assert_eq!(
        status.json()["driver"]["pid"],
        first.pid().as_raw(),
        "{status}"
    );
    first.signal(nix::sys::signal::Signal::SIGINT);
    first.wait(SHORT).expect_exit(130);
    assert_none_left(&workspace);
}
