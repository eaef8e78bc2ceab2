use super::*;

fn tree(text: &str) -> Node {
    let mut mistakes = Vec::new();
    let root = read(text, &mut mistakes).unwrap().unwrap();
    assert_eq!(mistakes, []);
    root
}

/// All mistakes of a text, as `line:column: message`.
fn complaints(text: &str) -> Vec<String> {
    let mut mistakes = Vec::new();
    if let Err(last) = read(text, &mut mistakes) {
        mistakes.push(*last);
    }
    mistakes.iter().map(ToString::to_string).collect()
}

fn entry<'a>(node: &'a Node, name: &str) -> &'a Entry {
    let Value::Map(entries) = &node.value else {
        panic!("not a map: {node:?}");
    };
    entries.iter().find(|entry| entry.key == name).unwrap()
}

#[test]
fn positions_count_from_one_in_characters() {
    let root = tree("# comment\nä: { b: [x, 'ü', y] }\nc:\n  d: e\n");
    let list = &entry(&entry(&root, "ä").value, "b").value;
    assert_eq!(list.at, Position { line: 2, column: 9 });
    let Value::List(items) = &list.value else {
        panic!("{list:?}");
    };
    assert_eq!(
        items[2].at,
        Position {
            line: 2,
            column: 18
        }
    );
    let inner = entry(&entry(&root, "c").value, "d");
    assert_eq!(inner.key_at, Position { line: 4, column: 3 });
    assert_eq!(inner.value.at, Position { line: 4, column: 6 });
}

#[test]
fn quotes_make_text_and_their_absence_leaves_it_open() {
    let root = tree("a: 5\nb: '5'\nc: \"5\"\nd: |\n  5\n");
    assert_eq!(entry(&root, "a").value.value, Value::Plain("5".into()));
    assert_eq!(entry(&root, "b").value.value, Value::Text("5".into()));
    assert_eq!(entry(&root, "c").value.value, Value::Text("5".into()));
    assert_eq!(entry(&root, "d").value.value, Value::Text("5\n".into()));
}

#[test]
fn plain_text_resolves_as_in_the_core_schema() {
    for (text, resolved) in [
        ("", Resolved::Nothing),
        ("~", Resolved::Nothing),
        ("null", Resolved::Nothing),
        ("true", Resolved::Truth),
        ("yes", Resolved::Text),
        ("5", Resolved::Number),
        ("-0.5", Resolved::Number),
        ("1e3", Resolved::Number),
        ("5s", Resolved::Text),
        ("inf", Resolved::Text),
        ("-", Resolved::Text),
        (".", Resolved::Text),
    ] {
        assert_eq!(resolve(text), resolved, "{text}");
    }
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_fine() {
    let root = tree("\u{feff}a: b\r\nc: d\r\n");
    assert_eq!(entry(&root, "c").value.value, Value::Plain("d".into()));
    assert_eq!(entry(&root, "a").key_at, Position::START);
}

#[test]
fn a_text_without_a_document_has_no_root() {
    for text in ["", "\n\n", "# only a comment\n", "  "] {
        let mut mistakes = Vec::new();
        assert_eq!(read(text, &mut mistakes), Ok(None), "{text:?}");
        assert_eq!(mistakes, []);
    }
}

#[test]
fn what_hides_meaning_is_refused_and_read_around() {
    insta::assert_snapshot!(
        complaints("a: &x 1\nb: *x\nc: !!str 2\n? [d]\n: e\n---\nf: g\n").join("\n"),
        @r"
        1:4: found an anchor (`&name`); expected a value without one; write the value out where it is used
        2:4: found an alias (`*name`); expected the value itself; write the value out where it is used
        3:4: found a tag (`!name`); expected a value without one; remove it; the key says what the value is
        4:3: found a list as a key; expected text as a key
        6:1: found a second document (`---`); expected one document; put each plan in a file of its own
        "
    );
}

#[test]
fn syntax_errors_say_where() {
    for (text, start) in [
        ("a: [1, 2\n", "2:1: found text that is not YAML"),
        ("a: b: c\n", "1:5: found text that is not YAML"),
        ("a: \"open\n", "1:4: found text that is not YAML"),
        ("a: *nobody\n", "1:4: found text that is not YAML"),
    ] {
        let found = complaints(text).join("\n");
        assert!(found.starts_with(start), "{text:?}: {found}");
    }
}

#[test]
fn text_after_a_nul_is_not_silently_dropped() {
    assert_eq!(
        complaints("a: b\nc: \0d\n"),
        [
            "2:4: found the control character U+0000; expected text; is this a YAML file, saved as UTF-8?"
        ]
    );
}

#[test]
fn depth_and_size_are_bounded() {
    let deep = complaints(&"[".repeat(100)).join("\n");
    assert!(deep.contains("more than 64 lists and maps"), "{deep}");
    assert_ne!(complaints(&"[".repeat(100_000)), [] as [String; 0]);
    let block = complaints(&"- ".repeat(100_000)).join("\n");
    assert!(block.contains("more than 64 lists and maps"), "{block}");
    let wide = complaints(&format!("[{}]", "1,".repeat(200_000))).join("\n");
    assert!(wide.contains("more than 100000 values"), "{wide}");
}
