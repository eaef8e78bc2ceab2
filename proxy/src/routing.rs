//! Who gets the next request: weights, their generation, and how they may change.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::Upstream;
use crate::split::Split;

/// Weights by upstream name.
pub type Weights = BTreeMap<String, u64>;

/// An immutable snapshot that every core reads; replaced as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routing {
    /// Counts the changes; 1 at start.
    pub generation: u64,
    /// The weights as they were asked for.
    pub weights: Weights,
    /// Who changed them last, as they called themselves; `None` before the first change.
    pub changed_by: Option<String>,
    /// The same weights, ready to pick from; indices are those of the configured upstreams.
    pub split: Split,
}

/// The body of `PUT /weights`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightChange {
    /// A weight for every upstream.
    pub weights: Weights,
    /// The change is refused unless these are the current weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Weights>,
    /// Who asks, for whoever wonders later; printable, at most 200 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// The longest [`WeightChange::by`], in bytes.
const LONGEST_NAME: usize = 200;

/// The answer to `GET` and `PUT /weights`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightStatus {
    /// Counts the changes; 1 at start.
    pub generation: u64,
    /// The weights that new requests are split by.
    pub weights: Weights,
    /// Who changed them last; absent before the first change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_by: Option<String>,
}

/// Why a change was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WeightError {
    /// `expect` does not hold.
    #[error("expected weights {expected:?}, but the current weights are {current:?}")]
    Conflict {
        /// What the caller believed.
        expected: Weights,
        /// What is true.
        current: Weights,
    },
    /// The weights make no sense for this proxy.
    #[error("{0}")]
    Invalid(String),
}

impl Routing {
    /// The first snapshot. `None` when no upstream has a weight above 0.
    #[must_use]
    pub fn new(upstreams: &[Upstream]) -> Option<Self> {
        let weights = upstreams
            .iter()
            .map(|u| (u.name.clone(), u.weight))
            .collect();
        let split = Split::new(&upstreams.iter().map(|u| u.weight).collect::<Vec<_>>())?;
        Some(Routing {
            generation: 1,
            weights,
            changed_by: None,
            split,
        })
    }

    /// The snapshot after `change`.
    ///
    /// # Errors
    /// `expect` differs from the current weights; a name is unknown or missing; all are 0.
    pub fn after(
        &self,
        upstreams: &[Upstream],
        change: &WeightChange,
    ) -> Result<Self, WeightError> {
        if let Some(expected) = &change.expect
            && *expected != self.weights
        {
            return Err(WeightError::Conflict {
                expected: expected.clone(),
                current: self.weights.clone(),
            });
        }
        let mut mistakes = Vec::new();
        let unprintable = |by: &String| by.len() > LONGEST_NAME || by.chars().any(char::is_control);
        if change.by.as_ref().is_some_and(unprintable) {
            mistakes.push(format!(
                "`by`: expected printable text of at most {LONGEST_NAME} bytes"
            ));
        }
        for (name, weight) in &change.weights {
            if !upstreams.iter().any(|upstream| upstream.name == *name) {
                let known: Vec<&str> = upstreams.iter().map(|u| u.name.as_str()).collect();
                mistakes.push(format!(
                    "unknown upstream `{name}`, known: {}",
                    known.join(", ")
                ));
            }
            if *weight > crate::config::MAX_WEIGHT {
                mistakes.push(format!(
                    "`{name}`: found {weight}, expected at most {}",
                    crate::config::MAX_WEIGHT
                ));
            }
        }
        for upstream in upstreams {
            if !change.weights.contains_key(&upstream.name) {
                mistakes.push(format!(
                    "no weight for `{}`; give every upstream one",
                    upstream.name
                ));
            }
        }
        let ordered: Vec<u64> = upstreams
            .iter()
            .map(|upstream| change.weights.get(&upstream.name).copied().unwrap_or(0))
            .collect();
        let split = Split::new(&ordered);
        if split.is_none() && mistakes.is_empty() {
            mistakes.push("all weights are 0: nobody would get a request".to_owned());
        }
        match split {
            Some(split) if mistakes.is_empty() => Ok(Routing {
                generation: self.generation + 1,
                weights: change.weights.clone(),
                changed_by: Some(change.by.clone().unwrap_or_else(|| "someone".to_owned())),
                split,
            }),
            _ => Err(WeightError::Invalid(mistakes.join("; "))),
        }
    }

    /// What the admin port tells.
    #[must_use]
    pub fn status(&self) -> WeightStatus {
        WeightStatus {
            generation: self.generation,
            weights: self.weights.clone(),
            changed_by: self.changed_by.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstreams() -> Vec<Upstream> {
        [("source", 10_000), ("target", 0)]
            .map(|(name, weight)| Upstream {
                name: name.to_owned(),
                address: ([127, 0, 0, 1], 1).into(),
                weight,
            })
            .to_vec()
    }

    fn weights(pairs: &[(&str, u64)]) -> Weights {
        pairs
            .iter()
            .map(|(name, weight)| ((*name).to_owned(), *weight))
            .collect()
    }

    fn change(pairs: &[(&str, u64)], expect: Option<&[(&str, u64)]>) -> WeightChange {
        WeightChange {
            weights: weights(pairs),
            expect: expect.map(weights),
            by: None,
        }
    }

    #[test]
    fn who_changed_the_weights_last_is_told() {
        let first = Routing::new(&upstreams()).unwrap();
        assert_eq!(first.status().changed_by, None);
        let mut change = change(&[("source", 0), ("target", 1)], None);
        change.by = Some("ann".to_owned());
        let next = first.after(&upstreams(), &change).unwrap();
        assert_eq!(next.status().changed_by.as_deref(), Some("ann"));
        change.by = Some("a\nb".to_owned());
        let refused = next.after(&upstreams(), &change).unwrap_err().to_string();
        assert!(refused.contains("printable"), "{refused}");
    }

    #[test]
    fn a_change_is_a_new_generation() {
        let first = Routing::new(&upstreams()).unwrap();
        let next = first
            .after(&upstreams(), &change(&[("source", 0), ("target", 1)], None))
            .unwrap();
        assert_eq!((next.generation, next.split.pick(7)), (2, 1));
    }

    #[test]
    fn a_change_against_other_weights_is_a_conflict() {
        let routing = Routing::new(&upstreams()).unwrap();
        let wanted = [("source", 1), ("target", 1)];
        let stale = change(&wanted, Some(&[("source", 5), ("target", 5)]));
        assert!(matches!(
            routing.after(&upstreams(), &stale),
            Err(WeightError::Conflict { .. })
        ));
        let right = change(&wanted, Some(&[("source", 10_000), ("target", 0)]));
        assert!(routing.after(&upstreams(), &right).is_ok());
    }

    #[test]
    fn impossible_weights_are_refused_with_the_reason() {
        let routing = Routing::new(&upstreams()).unwrap();
        for (pairs, reason) in [
            (&[("source", 0), ("target", 0)][..], "all weights are 0"),
            (&[("source", 1)], "no weight for `target`"),
            (
                &[("source", 1), ("target", 1), ("edge", 1)],
                "unknown upstream `edge`",
            ),
            (&[("source", u64::MAX), ("target", 1)], "expected at most"),
        ] {
            let error = routing
                .after(&upstreams(), &change(pairs, None))
                .unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}
