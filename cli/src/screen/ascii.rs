//! The screen for terminals without Unicode: every cell is translated after drawing.
//!
//! Doing it last, over the whole frame, means that panels know one set of symbols only, and that
//! text which comes from the run (an arrow in a log line) is covered as well.

use ratatui::buffer::Buffer;

/// Replaces every symbol outside ASCII.
pub(crate) fn translate(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        if !cell.symbol().is_ascii() {
            let plain = plain(cell.symbol());
            cell.set_char(plain);
        }
    }
}

/// The ASCII character that says the same, in one column; `?` when there is none.
fn plain(symbol: &str) -> char {
    match symbol {
        // Sparklines, from low to high.
        "▁" => '.',
        "▂" => ':',
        "▃" => '-',
        "▄" => '=',
        "▅" => '+',
        "▆" => '*',
        "▇" | "█" => '#',
        // Bars: filled, end of what is filled, track.
        "━" => '=',
        "╸" => '>',
        "─" | "–" | "—" | "−" => '-',
        // Marks.
        "✓" => '+',
        "✗" => 'x',
        "●" => '@',
        "○" => 'o',
        "◆" => '#',
        // Frames.
        "│" => '|',
        "┌" | "┐" | "└" | "┘" | "╭" | "╮" | "╰" | "╯" => '+',
        // Punctuation.
        "›" | "→" | "▸" => '>',
        "‹" | "←" | "◂" => '<',
        "↑" => '^',
        "↓" => 'v',
        "·" | "•" => '-',
        "…" => '~',
        "×" => 'x',
        "µ" => 'u',
        "“" | "”" => '"',
        "‘" | "’" => '\'',
        "≤" => '<',
        "≥" => '>',
        "\u{a0}" | "\u{202f}" => ' ',
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    #[test]
    fn nothing_but_ascii_is_left() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 1));
        buffer.set_string(0, 0, "✓ a → b…漢é", Style::new());
        translate(&mut buffer);
        let text: String = buffer.content.iter().map(|cell| cell.symbol()).collect();
        assert_eq!(text, "+ a > b~? ? ");
    }
}
