//! Whole screens, kept as text.

use cutover_engine::view::RunView;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

use super::super::keymap::{Action, Scroll};
use super::super::sample;
use super::*;

const FULL: ScreenOptions = ScreenOptions {
    colour: true,
    unicode: true,
    watcher: false,
};
const PLAIN: ScreenOptions = ScreenOptions {
    colour: false,
    unicode: false,
    watcher: false,
};

fn drawn(view: &RunView, ui: &UiState, options: ScreenOptions, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| draw(frame, view, ui, options))
        .unwrap();
    terminal.backend().buffer().clone()
}

/// The rows of a frame, without the blanks at their ends.
fn text(buffer: &Buffer) -> String {
    buffer
        .content
        .chunks(usize::from(buffer.area.width))
        .map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>())
        .map(|row| row.trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

fn screen(view: &RunView, options: ScreenOptions, width: u16, height: u16) -> String {
    text(&drawn(view, &UiState::default(), options, width, height))
}

fn screen_after(actions: &[Action], view: &RunView, width: u16, height: u16) -> String {
    let mut ui = UiState::default();
    for action in actions {
        ui.apply(
            *action,
            view,
            log_extent(Rect::new(0, 0, width, height), view),
        );
    }
    text(&drawn(view, &ui, FULL, width, height))
}

#[test]
fn begun_80x24() {
    insta::assert_snapshot!(screen(&sample::begun(), FULL, 80, 24));
}

#[test]
fn shifting_80x24() {
    insta::assert_snapshot!(screen(&sample::shifting(), FULL, 80, 24));
}

#[test]
fn shifting_120x40() {
    insta::assert_snapshot!(screen(&sample::shifting(), FULL, 120, 40));
}

#[test]
fn rolling_back_80x24() {
    insta::assert_snapshot!(screen(&sample::rolling_back(), FULL, 80, 24));
}

#[test]
fn rolling_back_120x40() {
    insta::assert_snapshot!(screen(&sample::rolling_back(), FULL, 120, 40));
}

#[test]
fn paused_at_a_gate_80x24() {
    insta::assert_snapshot!(screen(&sample::paused_at_gate(), FULL, 80, 24));
}

#[test]
fn at_a_gate_80x24() {
    insta::assert_snapshot!(screen(&sample::at_gate(), FULL, 80, 24));
}

#[test]
fn done_80x24() {
    insta::assert_snapshot!(screen(&sample::done(), FULL, 80, 24));
}

#[test]
fn without_unicode_and_colour_80x24() {
    insta::assert_snapshot!(screen(&sample::rolling_back(), PLAIN, 80, 24));
}

#[test]
fn crowded_80x24() {
    insta::assert_snapshot!(screen(&sample::crowded(), FULL, 80, 24));
}

#[test]
fn help_80x24() {
    insta::assert_snapshot!(screen_after(
        &[Action::OpenHelp],
        &sample::shifting(),
        80,
        24
    ));
}

#[test]
fn question_before_a_rollback_80x24() {
    insta::assert_snapshot!(screen_after(
        &[Action::AskRollback],
        &sample::shifting(),
        80,
        24
    ));
}

#[test]
fn log_scrolled_back_80x24() {
    let actions = [Action::Scroll(Scroll::PageUp)];
    insta::assert_snapshot!(screen_after(&actions, &sample::rolling_back(), 80, 24));
}

#[test]
fn interrupted_80x24() {
    insta::assert_snapshot!(screen_after(
        &[Action::Interrupt],
        &sample::shifting(),
        80,
        24
    ));
}

#[test]
fn tiny_40x10() {
    insta::assert_snapshot!(screen(&sample::rolling_back(), FULL, 40, 10));
}

#[test]
fn tiny_40x10_asks_before_a_rollback() {
    insta::assert_snapshot!(screen_after(
        &[Action::AskRollback],
        &sample::shifting(),
        40,
        10
    ));
}

fn all_samples() -> [RunView; 6] {
    [
        sample::begun(),
        sample::shifting(),
        sample::rolling_back(),
        sample::at_gate(),
        sample::done(),
        sample::crowded(),
    ]
}

#[test]
fn without_colour_no_cell_has_one() {
    for view in all_samples() {
        for (width, height) in [(40, 10), (80, 24), (120, 40)] {
            let buffer = drawn(&view, &UiState::default(), PLAIN, width, height);
            for cell in &buffer.content {
                assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset));
            }
        }
    }
}

#[test]
fn a_rollback_is_inverse_across_the_screen_with_and_without_colour() {
    for options in [FULL, PLAIN] {
        let buffer = drawn(
            &sample::rolling_back(),
            &UiState::default(),
            options,
            80,
            24,
        );
        let inverse = |y| (0..80).all(|x| buffer[(x, y)].modifier.contains(Modifier::REVERSED));
        assert!((0..24).any(inverse), "no row is inverse with {options:?}");
    }
    let buffer = drawn(&sample::shifting(), &UiState::default(), FULL, 80, 24);
    let inverse = |cell: &ratatui::buffer::Cell| cell.modifier.contains(Modifier::REVERSED);
    assert!(
        !buffer.content.iter().any(inverse),
        "a healthy run is quiet"
    );
}

#[test]
fn without_unicode_everything_is_ascii() {
    for view in all_samples() {
        for actions in [&[][..], &[Action::OpenHelp], &[Action::AskRollback]] {
            let mut ui = UiState::default();
            for action in actions {
                ui.apply(*action, &view, log_extent(Rect::new(0, 0, 80, 24), &view));
            }
            let screen = text(&drawn(&view, &ui, PLAIN, 80, 24));
            assert!(screen.is_ascii(), "{screen}");
            let marks = |text: &str| text.matches('?').count();
            let original = text(&drawn(&view, &ui, FULL, 80, 24));
            assert_eq!(
                marks(&screen),
                marks(&original),
                "no symbol is unknown:\n{screen}"
            );
        }
    }
}

#[test]
fn every_size_can_be_drawn() {
    for view in [sample::begun(), sample::at_gate(), sample::crowded()] {
        for action in [Action::Close, Action::OpenHelp, Action::AskRollback] {
            let mut ui = UiState::default();
            for width in [1, 10, 40, 79, 80, 99, 100, 300] {
                for height in [1, 5, 10, 23, 24, 30, 60] {
                    let extent = log_extent(Rect::new(0, 0, width, height), &view);
                    ui.apply(action, &view, extent);
                    ui.apply(Action::Scroll(Scroll::Oldest), &view, extent);
                    drawn(&view, &ui, FULL, width, height);
                }
            }
        }
    }
}
