//! The list of keys, of words, and of addresses, on top of the screen.

use cutover_engine::view::RunView;
use ratatui::Frame;
use ratatui::text::{Line, Span};

use super::parts::boxed;
use crate::screen::format::fit;
use crate::screen::keymap::HELP;
use crate::screen::theme::Theme;

/// What the three weights are.
const WEIGHTS: [(&str, &str); 3] = [
    ("set", "the share that the run asked for"),
    ("applied", "the share that was read back"),
    ("observed", "the target's measured share of requests"),
];
/// Addresses beyond these do not fit into 24 rows.
const MOST_ADDRESSES: usize = 6;

/// Draws the help.
pub(super) fn draw(frame: &mut Frame<'_>, view: &RunView, theme: Theme) {
    let row = |left: &str, right: &str| {
        Line::from(vec![
            Span::styled(format!("{:16}", fit(left, 15)), theme.current()),
            Span::raw(fit(right, 52)),
        ])
    };
    let mut lines: Vec<Line<'_>> = HELP.iter().map(|(key, does)| row(key, does)).collect();
    lines.push(Line::default());
    lines.extend(WEIGHTS.iter().map(|(weight, means)| row(weight, means)));
    lines.push(row(
        "evidence",
        "how near a guard is to a breach: 100 % is one",
    ));
    if !view.addresses.is_empty() {
        lines.push(Line::default());
        let shown = view.addresses.iter().take(MOST_ADDRESSES);
        lines.extend(shown.map(|(name, address)| row(name, address)));
    }
    boxed(frame, "help", lines, theme.current());
}
