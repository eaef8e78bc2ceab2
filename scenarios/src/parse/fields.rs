//! Maps with known keys, and the list of mistakes.

use std::collections::HashMap;

use crate::diagnostic::{Diagnostic, Kind, did_you_mean, nearest, one_of, quote};
use crate::keys::{LaterWord, RefusedWord};
use crate::yaml::{Node, Position, Value, describe};

/// Proof that a mistake has been recorded. Only [`Mistakes`] makes one, so a decoder cannot give
/// up in silence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reported(());

/// What has been found wrong so far.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    pub(super) list: Vec<Diagnostic>,
}

impl Mistakes {
    /// Records a mistake as it is.
    pub(super) fn record(&mut self, mistake: Diagnostic) -> Reported {
        self.list.push(mistake);
        Reported(())
    }

    /// Records that a value is not what it should be.
    pub(super) fn wrong(
        &mut self,
        field: &Field<'_>,
        expected: impl Into<String>,
        help: Option<String>,
    ) -> Reported {
        if field.node.value == Value::Refused {
            return Reported(()); // the YAML reader has recorded it
        }
        self.at(
            field.node.at,
            &field.path,
            Kind::Value,
            describe(&field.node.value),
            expected,
            help,
        )
    }

    /// Records a mistake at a place of its own.
    pub(super) fn at(
        &mut self,
        at: Position,
        path: &str,
        kind: Kind,
        found: impl Into<String>,
        expected: impl Into<String>,
        help: Option<String>,
    ) -> Reported {
        self.record(Diagnostic {
            line: at.line,
            column: at.column,
            path: path.to_owned(),
            kind,
            found: found.into(),
            expected: expected.into(),
            help,
        })
    }
}

/// A value and where it stands in the plan.
#[derive(Debug, Clone)]
pub(super) struct Field<'a> {
    pub(super) node: &'a Node,
    /// `steps[3].weight`; empty at the root.
    pub(super) path: String,
}

impl<'a> Field<'a> {
    pub(super) fn root(node: &'a Node) -> Self {
        Field {
            node,
            path: String::new(),
        }
    }

    /// The items of a list that has at least one.
    pub(super) fn items(
        &self,
        of_what: &str,
        mistakes: &mut Mistakes,
    ) -> Result<Vec<Field<'a>>, Reported> {
        match &self.node.value {
            Value::List(items) if items.is_empty() => Err(mistakes.at(
                self.node.at,
                &self.path,
                Kind::Value,
                "an empty list",
                format!("a list of {of_what}"),
                None,
            )),
            Value::List(items) => Ok(items
                .iter()
                .enumerate()
                .map(|(index, node)| Field {
                    node,
                    path: format!("{}[{index}]", self.path),
                })
                .collect()),
            _ => {
                let help = "begin each with `- `, or write `[…]`".to_owned();
                Err(mistakes.wrong(self, format!("a list of {of_what}"), Some(help)))
            }
        }
    }
}

/// A map whose keys have been looked at: unknown and repeated ones are recorded.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    node: &'a Node,
    path: String,
    known: &'static [&'static str],
    found: Vec<(&'a str, Field<'a>)>,
    /// Known keys that an unknown one probably stands for: their absence is no second mistake.
    meant: Vec<(&'static str, Reported)>,
    /// A refused word is there, in whose place nothing else is missed.
    refused: Option<Reported>,
}

impl<'a> Fields<'a> {
    /// Looks at the keys of a map.
    pub(super) fn of(
        field: &Field<'a>,
        known: &'static [&'static str],
        later_words: &[LaterWord],
        mistakes: &mut Mistakes,
    ) -> Result<Self, Reported> {
        Self::refusing(field, known, later_words, Kind::NotYet, mistakes)
    }

    /// Looks at the keys of a map, of which some are refused with a sentence of their own.
    pub(super) fn refusing(
        field: &Field<'a>,
        known: &'static [&'static str],
        refused_words: &[RefusedWord],
        kind_of_refusal: Kind,
        mistakes: &mut Mistakes,
    ) -> Result<Self, Reported> {
        let Value::Map(entries) = &field.node.value else {
            let expected = format!("a map with {}", one_of(known));
            return Err(mistakes.wrong(field, expected, None));
        };
        let mut fields = Fields {
            node: field.node,
            path: field.path.clone(),
            known,
            found: Vec::new(),
            meant: Vec::new(),
            refused: None,
        };
        let mut first_lines: HashMap<&str, usize> = HashMap::new();
        for entry in entries {
            let key = entry.key.as_str();
            let path = fields.path_of(key);
            let mut at_key = |kind, expected: String, help| {
                mistakes.at(entry.key_at, &path, kind, quote(key), expected, help)
            };
            if let Some(first) = first_lines.get(key) {
                let help = format!("the first is on line {first}; remove one");
                at_key(Kind::DuplicateKey, "each key once".into(), Some(help));
                continue;
            }
            first_lines.insert(key, entry.key_at.line);
            if let Some((_, help)) = refused_words.iter().find(|(word, _)| *word == key) {
                let reported = at_key(kind_of_refusal, one_of(known), Some((*help).into()));
                fields.refused = Some(reported);
            } else if known.contains(&key) {
                let node = &entry.value;
                fields.found.push((key, Field { node, path }));
            } else {
                let help = did_you_mean(key, known.iter().copied());
                let expected = match known {
                    [only] => format!("`{only}`"),
                    _ => format!("one of {}", one_of(known)),
                };
                let reported = at_key(Kind::UnknownKey, expected, help);
                if let Some(near) = nearest(key, known.iter().copied()) {
                    fields.meant.push((near, reported));
                }
            }
        }
        Ok(fields)
    }

    /// The value of a key, if it is there.
    pub(super) fn get(&self, key: &str) -> Option<&Field<'a>> {
        debug_assert!(
            self.known.contains(&key),
            "`{key}` would be refused as unknown"
        );
        let (_, field) = self.found.iter().find(|(name, _)| *name == key)?;
        Some(field)
    }

    /// All keys that are there and known, with their values, in the order of the file.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(&'a str, Field<'a>)> {
        self.found.iter()
    }

    /// The value of a key that must be there.
    pub(super) fn required(
        &self,
        key: &str,
        mistakes: &mut Mistakes,
    ) -> Result<&Field<'a>, Reported> {
        match self.get(key) {
            Some(field) => Ok(field),
            None => Err(self.missing(key, None, mistakes)),
        }
    }

    /// Records that a key is missing, unless something else stands in its place.
    pub(super) fn missing(
        &self,
        key: &str,
        help: Option<String>,
        mistakes: &mut Mistakes,
    ) -> Reported {
        if let Some(reported) = self.instead_of(&[key]) {
            return reported;
        }
        let expected = if self.path.is_empty() {
            "it in the plan".to_owned()
        } else {
            format!("it in `{}`", self.path)
        };
        mistakes.at(
            self.node.at,
            &self.path_of(key),
            Kind::MissingKey,
            quote(key),
            expected,
            help,
        )
    }

    /// What stands in the place of some missing keys, if anything does.
    pub(super) fn instead_of(&self, keys: &[&str]) -> Option<Reported> {
        let slip = self.meant.iter().find(|(meant, _)| keys.contains(meant));
        slip.map(|(_, reported)| *reported).or(self.refused)
    }

    /// The map itself, as a field.
    pub(super) fn whole(&self) -> Field<'a> {
        Field {
            node: self.node,
            path: self.path.clone(),
        }
    }

    /// Keys that are not plain words are shown in brackets, shortened and escaped.
    fn path_of(&self, key: &str) -> String {
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let path = &self.path;
        if !key.chars().all(is_word) || key.len() > 40 || key.is_empty() {
            format!("{path}[{}]", quote(key).replace('`', "\""))
        } else if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    }
}
