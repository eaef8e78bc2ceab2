//! The screen on a real terminal of 80 columns and 24 rows.

use std::time::Duration;

use cutover_tests::clock::{timed, wait_for};
use cutover_tests::journal;
use cutover_tests::plan::write_quick;
use cutover_tests::processes::{
    assert_none_left, cpu_time, edge_weight, has_ended, wait_for_weight,
};
use cutover_tests::terminal::{SOON, Terminal};
use cutover_tests::workspace::Workspace;
use serde_json::Value;

const QUICK_RUN: Duration = Duration::from_secs(60);

/// A run that holds at 50 % for longer than any test takes, on the screen.
fn at_half(environment: &[(&str, &str)]) -> (Workspace, Terminal) {
    let workspace = Workspace::new();
    write_quick(&workspace, &[("steps", "[50% for 60s, 100% for 1s]")]);
    let terminal = Terminal::open(&workspace, environment);
    terminal.run_cutover("migrate plan.yaml --yes");
    wait_for_weight(&workspace, 50.0, QUICK_RUN);
    let screen = terminal.wait_to_show("holding 50 %");
    for part in [
        "cutover",
        "set 50 %",
        "applied 50 %",
        "edge",
        "source",
        "target",
        "p99",
        "? help",
    ] {
        assert!(
            screen.contains(part),
            "no `{part}` on the screen:\n{screen}"
        );
    }
    assert!(terminal.is_full_screen());
    (workspace, terminal)
}

fn end_with_ctrl_c(workspace: &Workspace, terminal: &Terminal) {
    terminal.press("C-c");
    terminal.wait_to_show("exit=130");
    terminal.assert_given_back();
    assert_none_left(workspace);
}

#[test]
fn help_pause_and_rollback_answer_to_their_keys_and_the_terminal_is_given_back() {
    let (workspace, terminal) = at_half(&[]);
    terminal.press("?");
    terminal.wait_to_show("detach: leave the screen, the run goes on");
    terminal.press("Escape");
    terminal.wait_to_lose("detach: leave the screen, the run goes on");

    terminal.press("p");
    terminal.wait_to_show("PAUSED");
    terminal.press("p");
    terminal.wait_to_lose("PAUSED");

    terminal.press("r");
    terminal.wait_to_show("All of it goes back to the source");
    assert_eq!(edge_weight(&workspace), Ok(50.0), "asking changes nothing");
    terminal.press("n");
    terminal.wait_to_lose("All of it goes back to the source");
    terminal.press("r");
    terminal.wait_to_show("All of it goes back to the source");
    terminal.press("y");
    terminal.wait_to_show("exit=3");
    terminal.assert_given_back();
    assert_none_left(&workspace);
}

#[test]
fn ctrl_c_on_the_screen_rolls_back_and_gives_the_terminal_back() {
    let (workspace, terminal) = at_half(&[]);
    end_with_ctrl_c(&workspace, &terminal);
}

#[test]
fn advance_ends_the_hold_and_detach_leaves_the_run_to_itself() {
    let (workspace, terminal) = at_half(&[]);
    terminal.press("d");
    terminal.wait_to_show("the screen is closed; the run goes on");
    terminal.wait_to_show("exit=0");
    terminal.assert_given_back();
    assert_eq!(edge_weight(&workspace), Ok(50.0));
    terminal.run_cutover("attach");
    terminal.wait_to_show("holding 50 %");
    // Who only came to look is asked first.
    terminal.press("C-c");
    terminal.wait_to_show("All of it goes back to the source");
    assert_eq!(edge_weight(&workspace), Ok(50.0), "asking changes nothing");
    terminal.press("y");
    terminal.wait_to_show("exit=3");
    assert_none_left(&workspace);

    let (workspace, terminal) = at_half(&[]);
    terminal.press("a");
    terminal.wait_to_show_within("exit=0", QUICK_RUN);
    terminal.assert_given_back();
    assert_none_left(&workspace);
}

#[test]
fn a_run_outlives_its_window_and_does_not_spin_for_keys() {
    let workspace = Workspace::new();
    write_quick(&workspace, &[("steps", "[50% for 3s, 100% for 3s]")]);
    let terminal = Terminal::open(&workspace, &[]);
    terminal.run_cutover("migrate plan.yaml --yes");
    terminal.wait_to_show_within("holding 50 %", QUICK_RUN);
    let driver = journal::driver(&journal::records(&workspace).expect("a journal"));
    let driver = driver.expect("a driver");

    terminal.close();
    let before = cpu_time(driver).expect("the driver goes on");
    let (watched, _) = timed(|| {
        let next = |record: &Value| record["fact"] == "step_reached" && record["step"] == 1;
        journal::wait_for_record(&workspace, "the next step", QUICK_RUN, next)
    });
    let taken = cpu_time(driver).expect("the driver goes on") - before;
    assert!(taken < watched / 2, "{taken:?} of CPU time in {watched:?}");

    let end = |record: &Value| record["fact"] == "run_ended";
    journal::wait_for_record(&workspace, "the end", QUICK_RUN, end);
    let records = journal::records(&workspace).expect("a journal");
    assert_eq!(journal::outcome(&records), Some("done"), "{records:#?}");
    wait_for("the driver to end", SOON, || match has_ended(driver) {
        true => Ok(()),
        false => Err(format!("process {driver} lives")),
    });
    assert_none_left(&workspace);
}

#[test]
fn without_an_answer_nothing_is_begun() {
    let workspace = Workspace::new();
    write_quick(&workspace, &[]);
    let terminal = Terminal::open(&workspace, &[]);
    terminal.run_cutover("migrate plan.yaml");
    terminal.wait_to_show("Go ahead? [y/N]");
    assert!(!workspace.has_runs());
    terminal.press("Enter");
    terminal.wait_to_show("nothing was changed");
    terminal.wait_to_show("exit=0");
    assert!(!workspace.has_runs());
    assert_none_left(&workspace);
}

#[test]
fn colours_are_shown_unless_no_color_is_set() {
    let (workspace, terminal) = at_half(&[]);
    wait_for("a colour on the screen", SOON, || {
        match colours(&terminal.screen_with_attributes()).len() {
            0 => Err(terminal.screen()),
            _ => Ok(()),
        }
    });
    end_with_ctrl_c(&workspace, &terminal);

    let (workspace, terminal) = at_half(&[("NO_COLOR", "1")]);
    assert_eq!(colours(&terminal.screen_with_attributes()), [""; 0]);
    end_with_ctrl_c(&workspace, &terminal);
    assert_eq!(colours(&terminal.screen_with_attributes()), [""; 0]);
}

/// The colours that a text asks for: `ESC [ … m` with one of 30–38, 40–48, 90–97, 100–107
/// (ECMA-48 §8.3.117, and the bright ones of aixterm).
fn colours(text: &str) -> Vec<&str> {
    text.split("\x1b[")
        .skip(1)
        .filter_map(|rest| rest.split_once('m'))
        .map(|(parameters, _)| parameters)
        .filter(|parameters| {
            parameters.split([';', ':']).any(|parameter| {
                let number: u8 = parameter.parse().unwrap_or(0);
                matches!(number, 30..=38 | 40..=48 | 90..=97 | 100..=107)
            })
        })
        .collect()
}
