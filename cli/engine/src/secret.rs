//! Values that must not be shown: redaction by type, so that no log, journal, report or panic has
//! to remember it.

use std::fmt;

use serde::{Serialize, Serializer};

/// What stands in a secret's place.
const HIDDEN: &str = "***";

/// A key, a password, or an address that is as good as one.
///
/// Everything that prints or serialises it shows `***`; only [`Secret::reveal`] gives the value,
/// and so every use of it can be found. It cannot be read from a file either: a file with a secret
/// is what this type is there to prevent.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Hides a value.
    pub fn new(value: impl Into<String>) -> Self {
        Secret(value.into())
    }

    /// The value itself, for the one who is to get it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Serialize)]
    struct Hook {
        name: &'static str,
        key: Secret,
    }

    fn hook() -> Hook {
        Hook {
            name: "slack",
            key: Secret::new("hunter2"),
        }
    }

    #[test]
    fn a_secret_is_never_printed() {
        let key = hook().key;
        assert_eq!(format!("{key}"), "***");
        assert_eq!(format!("{key:?} {key:#?}"), "*** ***");
        assert_eq!(
            format!("{:?}", hook()),
            r#"Hook { name: "slack", key: *** }"#
        );
    }

    #[test]
    fn a_secret_is_never_serialised() {
        let json = serde_json::to_string(&hook()).unwrap();
        assert_eq!(json, r#"{"name":"slack","key":"***"}"#);
    }

    #[test]
    fn a_panic_does_not_show_a_secret() {
        let refused = |hook: Hook| -> Result<(), Secret> { Err(hook.key) };
        let panic = std::panic::catch_unwind(|| refused(hook()).unwrap()).unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.contains("***"), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }

    #[test]
    fn the_value_is_there_for_the_one_who_is_to_get_it() {
        assert_eq!(hook().key.reveal(), "hunter2");
    }
}
