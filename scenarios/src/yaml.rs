//! YAML text → a tree that remembers where everything stood.
//!
//! A plan uses the part of YAML that means the same to everybody: maps, lists, text. Anchors,
//! aliases, tags and further documents are refused, because each makes a file mean something
//! other than what it shows.
//!
//! The parser gives events and is driven by a loop with its own stack, so that no input, however
//! deep, can exhaust the thread's stack.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError};

use crate::diagnostic::{Diagnostic, Kind, quote};

/// Lists and maps inside of each other; a plan needs seven.
const DEEPEST: usize = 64;
/// Values in one file; a plan needs a few hundred.
const MOST_NODES: usize = 100_000;

/// A place in the text; both are counted from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Position {
    const START: Position = Position { line: 1, column: 1 };
}

impl From<&Marker> for Position {
    fn from(marker: &Marker) -> Self {
        Position {
            line: marker.line().max(1),
            column: marker.col() + 1,
        }
    }
}

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) value: Value,
}

/// What stands there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Text without quotes, which YAML may take for a number, a truth value or nothing.
    Plain(String),
    /// Text in quotes or in a block, which is text whatever it says.
    Text(String),
    /// `[a, b]`, or lines that begin with `-`.
    List(Vec<Node>),
    /// `{ a: b }`, or lines of `a: b`; in the order of the file, duplicates included.
    Map(Vec<Entry>),
    /// An alias, reported already; whoever meets it need not complain again.
    Refused,
}

/// One line of a map.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: Position,
    pub(crate) value: Node,
}

/// What YAML 1.2's core schema makes of plain text (§10.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resolved {
    Nothing,
    Truth,
    Number,
    Text,
}

/// Resolves plain text as every YAML reader would.
pub(crate) fn resolve(plain: &str) -> Resolved {
    match plain {
        "" | "~" | "null" | "Null" | "NULL" => return Resolved::Nothing,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => return Resolved::Truth,
        _ => {}
    }
    // `parse` also takes `inf` and `nan`, which YAML writes with a point.
    let starts_like_a_number =
        plain.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    if starts_like_a_number
        && plain.contains(|c: char| c.is_ascii_digit())
        && plain.parse::<f64>().is_ok()
    {
        Resolved::Number
    } else {
        Resolved::Text
    }
}

/// Reads the one document of a text; `None` is a text without any.
///
/// What can be read around is added to `mistakes`.
///
/// # Errors
/// What cannot: syntax errors, and more depth or nodes than a plan may have.
pub(crate) fn read(
    text: &str,
    mistakes: &mut Vec<Diagnostic>,
) -> Result<Option<Node>, Box<Diagnostic>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    refuse_control_characters(text)?;
    let mut builder = Builder {
        mistakes,
        open: Vec::new(),
        nodes: 0,
        root: None,
    };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| not_yaml(&error))?;
        if matches!(event, Event::StreamEnd) {
            break;
        }
        let at = Position::from(&span.start);
        if matches!(event, Event::DocumentStart(_)) && builder.root.is_some() {
            builder.mistake(
                at,
                "a second document (`---`)",
                "one document",
                "put each plan in a file of its own",
            );
            break;
        }
        builder.take(event, at)?;
    }
    Ok(builder.root)
}

fn not_yaml(error: &ScanError) -> Box<Diagnostic> {
    Box::new(syntax(
        Position::from(error.marker()),
        format!("text that is not YAML ({})", error.info()),
        "maps (`key: value`) and lists (`- value`), indented with spaces",
        None,
    ))
}

/// YAML 1.2 §5.1 allows no control characters but tab and line ends; the parser takes U+0000 for
/// the end of the text, and would let everything after it pass unread.
fn refuse_control_characters(text: &str) -> Result<(), Box<Diagnostic>> {
    for (line, content) in text.split('\n').enumerate() {
        let stray = |c: char| c.is_control() && !matches!(c, '\t' | '\r' | '\u{85}');
        if let Some((column, character)) = content.chars().enumerate().find(|(_, c)| stray(*c)) {
            let at = Position {
                line: line + 1,
                column: column + 1,
            };
            return Err(Box::new(syntax(
                at,
                format!("the control character U+{:04X}", u32::from(character)),
                "text",
                Some("is this a YAML file, saved as UTF-8?"),
            )));
        }
    }
    Ok(())
}

fn syntax(
    at: Position,
    found: impl Into<String>,
    expected: &str,
    help: Option<&str>,
) -> Diagnostic {
    Diagnostic {
        line: at.line,
        column: at.column,
        path: String::new(),
        kind: Kind::Syntax,
        found: found.into(),
        expected: expected.to_owned(),
        help: help.map(str::to_owned),
    }
}

/// Lists and maps that have begun but not ended, innermost last.
struct Builder<'m> {
    mistakes: &'m mut Vec<Diagnostic>,
    open: Vec<Open>,
    nodes: usize,
    root: Option<Node>,
}

struct Open {
    at: Position,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        /// A key that waits for its value.
        key: Option<Node>,
    },
}

impl Builder<'_> {
    fn mistake(&mut self, at: Position, found: &str, expected: &str, help: &str) {
        self.mistakes.push(syntax(at, found, expected, Some(help)));
    }

    fn take(&mut self, event: Event<'_>, at: Position) -> Result<(), Box<Diagnostic>> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.plain_only(at, anchor, tag.is_some());
                let value = match style {
                    ScalarStyle::Plain => Value::Plain(text.into_owned()),
                    _ => Value::Text(text.into_owned()),
                };
                self.place(Node { at, value })
            }
            Event::SequenceStart(anchor, tag) => {
                self.plain_only(at, anchor, tag.is_some());
                self.begin(at, Content::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.plain_only(at, anchor, tag.is_some());
                let content = Content::Map {
                    entries: Vec::new(),
                    key: None,
                };
                self.begin(at, content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(_) => {
                self.mistake(
                    at,
                    "an alias (`*name`)",
                    "the value itself",
                    "write the value out where it is used",
                );
                let value = Value::Refused;
                self.place(Node { at, value })
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    /// Reports an anchor (0 is none) or a tag, and reads on as if it were not there.
    fn plain_only(&mut self, at: Position, anchor: usize, tagged: bool) {
        if anchor != 0 {
            self.mistake(
                at,
                "an anchor (`&name`)",
                "a value without one",
                "write the value out where it is used",
            );
        }
        if tagged {
            self.mistake(
                at,
                "a tag (`!name`)",
                "a value without one",
                "remove it; the key says what the value is",
            );
        }
    }

    fn begin(&mut self, at: Position, content: Content) -> Result<(), Box<Diagnostic>> {
        if self.open.len() == DEEPEST {
            return Err(Box::new(syntax(
                at,
                format!("more than {DEEPEST} lists and maps inside of each other"),
                "a plan, which needs a handful",
                None,
            )));
        }
        self.open.push(Open { at, content });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Box<Diagnostic>> {
        let Some(Open { at, content }) = self.open.pop() else {
            return Ok(());
        };
        let value = match content {
            Content::List(items) => Value::List(items),
            Content::Map { entries, .. } => Value::Map(entries),
        };
        self.place(Node { at, value })
    }

    /// Puts a finished node where it belongs: into the innermost open list or map, or at the root.
    fn place(&mut self, node: Node) -> Result<(), Box<Diagnostic>> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(Box::new(syntax(
                node.at,
                format!("more than {MOST_NODES} values"),
                "a plan, which needs a few hundred",
                None,
            )));
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { entries, key }) => match key.take() {
                None => *key = Some(node),
                Some(Node {
                    at: key_at,
                    value: Value::Plain(name) | Value::Text(name),
                }) => {
                    entries.push(Entry {
                        key: name,
                        key_at,
                        value: node,
                    });
                }
                Some(other) => {
                    let found = format!("{} as a key", describe(&other.value));
                    self.mistakes
                        .push(syntax(other.at, found, "text as a key", None));
                }
            },
        }
        Ok(())
    }
}

/// What stands there, in a word or as a quote.
pub(crate) fn describe(value: &Value) -> String {
    match value {
        Value::Plain(text) if resolve(text) == Resolved::Nothing => "nothing".to_owned(),
        Value::Text(text) if text.is_empty() => "an empty text".to_owned(),
        Value::Plain(text) | Value::Text(text) => quote(text),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a map".to_owned(),
        Value::Refused => "an alias".to_owned(),
    }
}

/// A mistake about a text in which there is nothing to read.
pub(crate) fn nothing_there() -> Diagnostic {
    syntax(
        Position::START,
        "nothing but white space and comments",
        "a plan",
        Some("start from the bundled plan `demo`"),
    )
}

#[cfg(test)]
mod tests;
