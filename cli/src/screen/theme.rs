//! What colours mean, in one place; without colour the same is said by weight and inversion.
//!
//! Only the sixteen colours of the terminal's own palette are used, so that the screen reads well
//! on dark and on light backgrounds.

use cutover_engine::view::{GuardState, Level};
use ratatui::style::{Color, Modifier, Style};

/// Styles by meaning.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Theme {
    colour: bool,
}

impl Theme {
    /// With colours, or with bold, dim and reverse only (<https://no-color.org>).
    pub(crate) fn new(colour: bool) -> Self {
        Theme { colour }
    }

    /// Ordinary text.
    pub(crate) fn plain(self) -> Style {
        Style::new()
    }

    /// What the eye should find.
    pub(crate) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Labels, rules, what is not there yet.
    pub(crate) fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// Where the run stands.
    pub(crate) fn current(self) -> Style {
        self.tinted(Color::Cyan, Modifier::BOLD)
    }

    /// Done, healthy.
    pub(crate) fn good(self) -> Style {
        self.tinted(Color::Green, Modifier::empty())
    }

    /// Someone may want to look.
    pub(crate) fn warn(self) -> Style {
        self.tinted(Color::Yellow, Modifier::BOLD)
    }

    /// Broken.
    pub(crate) fn bad(self) -> Style {
        self.tinted(Color::Red, Modifier::BOLD)
    }

    /// A banner about `style`'s meaning: the same, inverted.
    pub(crate) fn banner(self, style: Style) -> Style {
        style.add_modifier(Modifier::BOLD | Modifier::REVERSED)
    }

    /// How loud a log line is.
    pub(crate) fn level(self, level: Level) -> Style {
        match level {
            Level::Info => self.plain(),
            Level::Good => self.good(),
            Level::Warn => self.warn(),
            Level::Bad => self.bad(),
        }
    }

    /// What the evidence of a guard says.
    pub(crate) fn guard(self, state: GuardState) -> Style {
        match state {
            GuardState::Quiet => self.good(),
            GuardState::Near => self.warn(),
            GuardState::Breach => self.bad(),
        }
    }

    fn tinted(self, colour: Color, modifier: Modifier) -> Style {
        let style = Style::new().add_modifier(modifier);
        if self.colour { style.fg(colour) } else { style }
    }
}
