//! Claims about every text: the reader never panics, a mistake is somewhere in the text, and
//! no secret is repeated.

use proptest::prelude::*;

use super::examples::FULL;
use super::plan;
use crate::diagnostic::Diagnostics;

/// A mistake has to be somewhere in the text, or just behind it.
fn points_into(all: &Diagnostics, text: &str) -> Result<(), TestCaseError> {
    prop_assert!(all.total() > 0);
    let lines = text.split(['\n', '\r']).count();
    for mistake in all.mistakes() {
        prop_assert!((1..=lines + 1).contains(&mistake.line), "{mistake}");
        prop_assert!(mistake.column >= 1, "{mistake}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_makes_the_reader_panic(text in any::<String>()) {
        if let Err(all) = plan("plan.yaml", &text) {
            points_into(&all, &text)?;
        }
    }

    #[test]
    fn no_yaml_like_text_makes_the_reader_panic(text in "[\\[\\]{}:,#&*!|>'\"%@`?\\- \\n\\ta-c0-9~]{0,80}") {
        if let Err(all) = plan("plan.yaml", &text) {
            points_into(&all, &text)?;
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        if let Err(all) = plan("plan.yaml", &text) {
            points_into(&all, &text)?;
        }
    }

    #[test]
    fn no_change_to_a_plan_makes_the_reader_panic(
        full in any::<bool>(),
        start in any::<prop::sample::Index>(),
        length in 0usize..12,
        instead in prop_oneof!["[\\[\\]{}:,#&*!|>'\"%?\\- \\n\\ta-c0-9]{0,6}", "\\PC{0,4}"],
    ) {
        let demo = if full { FULL } else { crate::library::plan("demo").unwrap() };
        let characters: Vec<char> = demo.chars().collect();
        let start = start.index(characters.len());
        let end = (start + length).min(characters.len());
        let text: String = characters[..start]
            .iter()
            .copied()
            .chain(instead.chars())
            .chain(characters[end..].iter().copied())
            .collect();
        if let Err(all) = plan("plan.yaml", &text) {
            points_into(&all, &text)?;
        }
    }

    #[test]
    fn no_secret_that_is_refused_is_repeated(
        secret in "[a-z0-9]{10,40}|[A-Za-z0-9+/=]{20,60}|[a-z0-9]{8}[-.:@?#%| ][a-z0-9]{8}",
        place in prop::sample::select(&[
            ("secret_env: HOOK_KEY", "secret_env: '", "'"),
            ("secret_env: GATE_KEY", "secret_env: '", "'"),
            ("url_env: SLACK_URL", "url_env: '", "'"),
            ("url: https://hooks.example.com/cutover", "url: 'https://hooks.slack.com/services/", "'"),
            ("url: https://hooks.example.com/cutover", "url: 'https://hooks.example.com/?key=", "'"),
            ("url: https://hooks.example.com/cutover", "url: 'https://ann:", "@hooks.example.com'"),
            ("url: https://hooks.example.com/cutover", "url: 'http://hooks.example.com/", "'"),
            ("{ url_env: SLACK_URL }", "'https://hooks.slack.com/services/", "'"),
            ("gate: manual", "gate: 'https://hooks.slack.com/services/", "'"),
        ][..]),
    ) {
        let (from, before, after) = place;
        let text = FULL.replacen(from, &format!("{before}{secret}{after}"), 1);
        let all = plan("plan.yaml", &text).unwrap_err();
        let told = all.to_string().to_lowercase();
        let words = secret.split(|c: char| !c.is_ascii_alphanumeric());
        for word in words.filter(|word| word.len() >= 8) {
            prop_assert!(!told.contains(&word.to_lowercase()), "{}: {}", secret, told);
        }
    }
}
