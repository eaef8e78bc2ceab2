use std::fs;

use super::*;

/// A folder of its own for each test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("cutover-load-{test}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, content: &[u8]) -> PathBuf {
        let path = self.0.join("plan.yaml");
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The message of a file that is no plan, after the path it has to begin with.
fn refusal(path: &Path) -> String {
    let message = plan(path).unwrap_err().to_string();
    let rest = message.strip_prefix(&path.display().to_string());
    rest.unwrap_or_else(|| panic!("does not begin with the path: {message}"))
        .to_owned()
}

#[test]
fn a_plan_comes_with_its_text_and_path() {
    let folder = Folder::new("good");
    let text = crate::library::plan("demo").unwrap();
    let path = folder.file(text.as_bytes());
    let loaded = plan(&path).unwrap();
    assert_eq!(loaded.plan.name, "demo");
    assert_eq!(loaded.text, text);
    assert_eq!(loaded.path, path);
}

#[test]
fn what_is_no_readable_text_is_refused_with_a_remedy() {
    let folder = Folder::new("bad");
    assert!(refusal(&folder.0).starts_with(": found a directory"));
    assert!(refusal(&folder.0.join("absent.yaml")).starts_with(": no such file"));
    assert!(refusal(&folder.file(b"")).starts_with(": the file is empty"));
    assert!(refusal(&folder.file(b"name: \xff\xfe")).starts_with(": found binary data at byte 6"));
    assert!(refusal(&folder.file(b"\x7fELF\0\0")).starts_with(": found binary data at byte 4"));
    assert!(refusal(&folder.file(b"name: a").join("below.yaml")).starts_with(": no such file"));
}

#[test]
fn a_file_of_50_mb_is_refused_without_reading_it() {
    let folder = Folder::new("large");
    let path = folder.file(b"");
    // Sparse: takes no room on the disk.
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(50_000_000)
        .unwrap();
    assert!(refusal(&path).starts_with(": found more than 1 MiB"));
}

#[cfg(unix)]
#[test]
fn a_device_without_end_is_refused_after_a_bounded_read() {
    assert!(refusal(Path::new("/dev/zero")).starts_with(": found more than 1 MiB"));
}

#[cfg(unix)]
#[test]
fn an_unreadable_file_says_so_and_keeps_the_cause() {
    // A path longer than the system takes fails for every user, also for root.
    let path = PathBuf::from("x".repeat(300));
    let error = plan(&path).unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn every_line_about_a_wrong_plan_begins_with_the_path() {
    let folder = Folder::new("wrong");
    let path = folder.file(b"name: X\nnope: 1\n");
    let message = plan(&path).unwrap_err().to_string();
    let lines: Vec<&str> = message.lines().collect();
    let (summary, mistakes) = lines.split_last().unwrap();
    let prefix = path.display().to_string();
    assert!(
        mistakes.iter().all(|line| line.starts_with(&prefix)),
        "{message}"
    );
    assert!(
        summary.ends_with(&format!("mistakes in {prefix}")),
        "{message}"
    );
}
