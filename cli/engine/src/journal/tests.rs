//! A journal that is whole, torn, changed, cut.

use super::*;
use crate::phase::Phase;
use crate::testing;

fn written(folder: &Path, facts: Vec<Fact>) -> PathBuf {
    let path = folder.join("journal.jsonl");
    let mut journal = Journal::create(&path).unwrap();
    for fact in facts {
        journal.append(testing::now(0.0), fact).unwrap();
    }
    path
}

fn two_facts() -> Vec<Fact> {
    vec![
        testing::run_created(),
        Fact::PhaseEntered {
            phase: Phase::Inspect,
        },
    ]
}

#[test]
fn what_was_written_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), two_facts());
    let replayed = read(&path).unwrap();
    assert!(!replayed.torn);
    let facts: Vec<_> = replayed
        .records
        .into_iter()
        .map(|record| record.fact)
        .collect();
    assert_eq!(facts, two_facts());
}

#[test]
fn only_its_user_may_read_a_journal_and_its_head() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let journal = written(folder.path(), two_facts());
    for file in [journal.clone(), journal.with_extension("head")] {
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
}

#[test]
fn a_torn_last_line_is_dropped_and_cut_off_before_the_next_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), two_facts());
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"{\"seq\":2,\"at\":\"20").unwrap();
    let replayed = read(&path).unwrap();
    assert!(replayed.torn);
    assert_eq!(replayed.records.len(), 2);
    let mut journal = Journal::reopen(&path, &replayed);
    journal
        .append(
            testing::now(1.0),
            Fact::PhaseEntered {
                phase: Phase::Preflight,
            },
        )
        .unwrap();
    let again = read(&path).unwrap();
    assert!(!again.torn);
    assert_eq!(again.state.phase, Phase::Preflight);
}

fn edited(edit: impl Fn(&str) -> String) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut facts = two_facts();
    facts.push(Fact::PhaseEntered {
        phase: Phase::Preflight,
    });
    let path = written(folder.path(), facts);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, edit(&text)).unwrap();
    read(&path).unwrap_err().to_string()
}

fn without_line(text: &str, line: usize) -> String {
    let kept = text.lines().enumerate().filter(|(index, _)| *index != line);
    kept.map(|(_, line)| format!("{line}\n")).collect()
}

#[test]
fn a_changed_record_is_an_error_that_names_the_line() {
    let error = edited(|text| text.replace("\"inspect\"", "\"bake\""));
    assert!(
        error.contains("journal.jsonl:2: the journal was changed"),
        "{error}"
    );
    let error = edited(|text| text.replace("{\"seq\":1", "{\"seq\":one"));
    assert!(
        error.contains("journal.jsonl:2: the journal was changed"),
        "{error}"
    );
    let error = edited(|text| text.replace("\"chain\"", "\"chainn\""));
    assert!(
        error.contains("journal.jsonl:1: damaged journal: the record has no chain"),
        "{error}"
    );
}

#[test]
fn a_missing_record_is_an_error_that_names_where() {
    let error = edited(|text| without_line(text, 1));
    assert!(
        error.contains("journal.jsonl:2: the journal was changed"),
        "{error}"
    );
}

#[test]
fn a_journal_that_was_cut_is_told_apart_from_a_torn_last_record() {
    let error = edited(|text| without_line(text, 2));
    assert!(
        error.contains("was cut: it ends with record 1, and record 2 had been written"),
        "{error}"
    );
    let error = edited(|text| text[..text.len() - 10].to_owned());
    assert!(
        error.contains("was cut"),
        "its newline had been on disk: {error}"
    );
    let error = edited(|_| String::new());
    assert!(error.contains("it ends with record none"), "{error}");
}

#[test]
fn the_mark_of_the_end_may_lag_behind_a_crash_or_be_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), two_facts());
    let lagging = Head {
        seq: 0,
        chain: read(&path).map(|_| first_chain(&path)).unwrap(),
    };
    lagging.write(&head::open(&path).unwrap()).unwrap();
    assert_eq!(read(&path).unwrap().records.len(), 2);
    std::fs::remove_file(folder.path().join("journal.head")).unwrap();
    assert_eq!(read(&path).unwrap().records.len(), 2);
}

fn first_chain(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let (_, chain) = chain::split(text.lines().next().unwrap().as_bytes()).unwrap();
    chain.to_owned()
}

#[test]
fn a_journal_of_another_format_is_refused_before_anything_else() {
    for format in ["1", "99"] {
        let error = edited(|text| text.replace("\"format\":2", &format!("\"format\":{format}")));
        assert!(error.contains(&format!("format {format}")), "{error}");
    }
}

#[test]
fn a_journal_is_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), two_facts());
    assert!(Journal::create(&path).is_err());
}

#[test]
fn a_journal_that_was_removed_or_replaced_under_its_driver_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.jsonl");
    let mut journal = Journal::create(&path).unwrap();
    journal
        .append(testing::now(0.0), testing::run_created())
        .unwrap();
    let fact = || Fact::PhaseEntered {
        phase: Phase::Inspect,
    };
    std::fs::rename(&path, folder.path().join("away")).unwrap();
    assert!(journal.append(testing::now(0.0), fact()).is_err());
    std::fs::write(&path, "").unwrap();
    let error = journal.append(testing::now(0.0), fact()).unwrap_err();
    let error = crate::narrate::chain(&error);
    assert!(
        error.contains("another file has taken its place"),
        "{error}"
    );
}
