//! Mistakes in a file: where each is, what was found, what was expected, what to do.

use std::fmt;

use serde::Serialize;

/// More would scroll the first ones, which matter most, off the screen.
pub const SHOWN_AT_MOST: usize = 50;

/// Characters of a value that a message repeats.
const QUOTED_AT_MOST: usize = 60;

/// What kind of mistake it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The file is not the YAML that a plan may use.
    Syntax,
    /// A key that is none of those known here.
    UnknownKey,
    /// A required key that is not there.
    MissingKey,
    /// A key that is there twice.
    DuplicateKey,
    /// A word that a later version understands.
    NotYet,
    /// A value of the wrong type, outside of its range, or against another value.
    Value,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// Where in the plan: `steps[3].weight`, counted from 0; empty for the file as a whole.
    pub path: String,
    /// What kind of mistake it is.
    pub kind: Kind,
    /// What stands there, with literals in backticks: a list, `140%`.
    pub found: String,
    /// What should stand there.
    pub expected: String,
    /// What to do about it, where that can be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "`{}`: ", self.path)?;
        }
        let found = &self.found;
        match self.kind {
            Kind::UnknownKey => write!(f, "unknown key {found}")?,
            Kind::MissingKey => write!(f, "missing key {found}")?,
            Kind::DuplicateKey => write!(f, "duplicate key {found}")?,
            Kind::Syntax | Kind::NotYet | Kind::Value => write!(f, "found {found}")?,
        }
        write!(f, "; expected {}", self.expected)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

/// All mistakes of one file, sorted by position; at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostics {
    file: String,
    total: usize,
    mistakes: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Sorts the mistakes by position and keeps the first [`SHOWN_AT_MOST`].
    pub(crate) fn new(file: &str, mut mistakes: Vec<Diagnostic>) -> Self {
        mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
        let total = mistakes.len();
        mistakes.truncate(SHOWN_AT_MOST);
        Diagnostics {
            file: file.to_owned(),
            total,
            mistakes,
        }
    }

    /// The file as the caller named it.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// How many mistakes there are; [`Diagnostics::mistakes`] may hold fewer.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total
    }

    /// The first [`SHOWN_AT_MOST`] mistakes.
    #[must_use]
    pub fn mistakes(&self) -> &[Diagnostic] {
        &self.mistakes
    }
}

/// One line a mistake, then `3 mistakes in plan.yaml`.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = &self.file;
        for mistake in &self.mistakes {
            writeln!(f, "{file}:{mistake}")?;
        }
        let hidden = self.total - self.mistakes.len();
        if hidden > 0 {
            writeln!(f, "and {hidden} more")?;
        }
        let noun = if self.total == 1 {
            "mistake"
        } else {
            "mistakes"
        };
        write!(f, "{} {noun} in {file}", self.total)
    }
}

impl std::error::Error for Diagnostics {}

/// A literal in backticks: shortened, and without characters that a terminal would obey.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::from("`");
    for (count, character) in text.chars().enumerate() {
        if count == QUOTED_AT_MOST {
            quoted.push('…');
            break;
        }
        if character.is_control() {
            quoted.extend(character.escape_default());
        } else {
            quoted.push(character);
        }
    }
    quoted.push('`');
    quoted
}

/// `` `a`, `b` or `c` ``.
pub(crate) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [two @ .., last] => format!("{} or {last}", two.join(", ")),
    }
}

/// The candidate that was probably meant: a few slips away, fewer the shorter the word.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // The distance costs length times length; no candidate is this long.
    if word.chars().nth(64).is_some() {
        return None;
    }
    let word = word.to_lowercase();
    let slips = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&word, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, candidate)| *distance <= slips && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `` did you mean `x`? ``, when something is near.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(word, candidates).map(|near| format!("did you mean `{near}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(line: usize) -> Diagnostic {
        Diagnostic {
            line,
            column: 5,
            path: "steps[0]".into(),
            kind: Kind::Value,
            found: "a list".into(),
            expected: "a weight".into(),
            help: None,
        }
    }

    #[test]
    fn mistakes_are_sorted_by_position_and_counted() {
        let all = Diagnostics::new("plan.yaml", vec![mistake(7), mistake(2)]);
        assert_eq!(
            all.to_string(),
            "plan.yaml:2:5: `steps[0]`: found a list; expected a weight\n\
             plan.yaml:7:5: `steps[0]`: found a list; expected a weight\n\
             2 mistakes in plan.yaml"
        );
    }

    #[test]
    fn only_the_first_fifty_are_shown_and_the_rest_is_counted() {
        let all = Diagnostics::new("plan.yaml", (1..=60).map(mistake).collect());
        assert_eq!(all.mistakes().len(), SHOWN_AT_MOST);
        let text = all.to_string();
        assert!(
            text.ends_with("and 10 more\n60 mistakes in plan.yaml"),
            "{text}"
        );
    }

    #[test]
    fn quotes_are_short_and_harmless_to_a_terminal() {
        assert_eq!(quote("a\u{1b}[2Jb"), "`a\\u{1b}[2Jb`");
        let long = quote(&"x".repeat(1000));
        assert_eq!(long.chars().count(), QUOTED_AT_MOST + 3);
    }

    #[test]
    fn a_slip_is_recognised_and_a_stranger_is_not() {
        let words = ["name", "objectives", "steps"];
        assert_eq!(nearest("objectivs", words), Some("objectives"));
        assert_eq!(nearest("Steps", words), Some("steps"));
        assert_eq!(nearest("setps", words), Some("steps"));
        assert_eq!(nearest("volume", words), None);
        assert_eq!(nearest(&"steps".repeat(100), words), None);
    }
}
