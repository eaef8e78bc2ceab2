//! Where webhooks go: an address in plain text, or the environment variable that holds it.
//!
//! A plan is kept in version control and repeated in journals, so it holds no secret; and since
//! people put one there by mistake, no message repeats a value of these fields.

use super::fields::{Field, Fields, Mistakes, Reported};
use super::values;
use super::values::{both, conflict, unrepeated};
use crate::address::Address;
use crate::plan::{Endpoint, EndpointUrl};

const USE_URL_ENV: &str =
    "put the address into an environment variable, and write `url_env` with its name";
/// Longer names are no names.
const LONGEST_VARIABLE: usize = 128;
/// A name of this many letters has an underscore somewhere; a key has not.
const LONGEST_WORD: usize = 19;

/// Reads `url` or `url_env`, and `secret_env`, of a map that has these keys among others.
pub(super) fn endpoint(fields: &Fields<'_>, mistakes: &mut Mistakes) -> Result<Endpoint, Reported> {
    let url = match (fields.get("url"), fields.get("url_env")) {
        (Some(field), None) => plain(field, mistakes).map(EndpointUrl::Plain),
        (None, Some(field)) => variable(field, mistakes).map(EndpointUrl::Env),
        (Some(_), Some(_)) => {
            let found = both("url", "url_env");
            let help = Some("remove one".to_owned());
            Err(conflict(
                &fields.whole(),
                found,
                "one address",
                help,
                mistakes,
            ))
        }
        (None, None) => Err(fields.instead_of(&["url", "url_env"]).unwrap_or_else(|| {
            let help = "write `url`, or `url_env` for an address that is a secret";
            fields.missing("url", Some(help.to_owned()), mistakes)
        })),
    };
    let secret_env = fields
        .get("secret_env")
        .map(|field| variable(field, mistakes))
        .transpose();
    Ok(Endpoint {
        url: url?,
        secret_env: secret_env?,
    })
}

/// An address without any secret.
fn plain(field: &Field<'_>, mistakes: &mut Mistakes) -> Result<String, Reported> {
    let text = values::scalar(field).unwrap_or_default();
    let address = match Address::read(text) {
        Ok(address) => address,
        Err(misread) => return Err(unrepeated(field, misread.expected, misread.help, mistakes)),
    };
    // A password with a `/` in it makes host and path of itself, so no part of such an address is
    // sure to be none.
    let found = if text.contains('@') {
        "an address with a user or a password".to_owned()
    } else if text.contains('#') {
        format!("`{}` with a fragment", address.origin())
    } else if let Some(part) = address.secret_part() {
        format!("`{}` with {part}", address.origin())
    } else {
        return Ok(text.to_owned());
    };
    let expected = "an address without any secret";
    let help = Some(USE_URL_ENV.to_owned());
    Err(conflict(field, found, expected, help, mistakes))
}

/// The name of an environment variable: `[A-Z_][A-Z0-9_]*`.
pub(super) fn variable(field: &Field<'_>, mistakes: &mut Mistakes) -> Result<String, Reported> {
    let text = values::scalar(field).unwrap_or_default();
    let help = match text {
        _ if is_variable(text) && !looks_like_a_secret(text) => return Ok(text.to_owned()),
        _ if text.starts_with('$') => "write the name alone, without `$`",
        _ if text.contains("://") => USE_URL_ENV,
        _ if is_variable(&text.to_ascii_uppercase()) && !text.contains(char::is_uppercase) => {
            "write the name in capital letters; if this is the secret itself, put it into an \
             environment variable, and write the variable's name here"
        }
        _ => {
            "put the secret itself into an environment variable, and write the variable's name here"
        }
    };
    let expected = "the name of an environment variable, of `A-Z`, `0-9` and `_`";
    Err(unrepeated(field, expected, Some(help.to_owned()), mistakes))
}

fn is_variable(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    text.len() <= LONGEST_VARIABLE
        && text.bytes().next().is_some_and(letter)
        && text
            .bytes()
            .all(|byte| letter(byte) || byte.is_ascii_digit())
}

/// A key in capitals, such as AWS's `AKIA…` or base32: one long word with digits in it.
fn looks_like_a_secret(name: &str) -> bool {
    let word_is_a_key = |word: &str| {
        word.len() > LONGEST_WORD && word.bytes().filter(u8::is_ascii_digit).count() > 1
    };
    name.split('_').any(word_is_a_key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_variables_are_told_from_keys() {
        for name in [
            "HOOK_KEY",
            "_X",
            "K8S_HOOK_2",
            "A",
            "NOTIFICATIONSWEBHOOKADDRESS",
        ] {
            assert!(is_variable(name) && !looks_like_a_secret(name), "{name}");
        }
        for key in [
            "AKIAIOSFODNN7EXAMPL3",
            "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
            "DEADBEEF00112233445566778899AABB",
            "KEY_DEADBEEF00112233445566778899AABB",
        ] {
            assert!(looks_like_a_secret(key), "{key}");
        }
        for text in [
            "",
            "hook_key",
            "2ND",
            "HOOK-KEY",
            "$HOOK_KEY",
            "HOOK KEY",
            "É",
        ] {
            assert!(!is_variable(text), "{text}");
        }
    }
}
