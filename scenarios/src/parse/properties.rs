//! Claims about every text: the reader never panics, and a mistake is somewhere in the text.

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
}
