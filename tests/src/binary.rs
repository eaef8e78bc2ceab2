//! Where the `cutover` under test is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

/// The `cutover` under test: `CUTOVER_BIN` if set (as `tests/run` does), else the release build
/// of this checkout, made once per test program. Release, because that is what users run.
///
/// # Panics
/// When it cannot be built.
pub fn cutover() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("CUTOVER_BIN") {
        Some(path) => {
            let path = PathBuf::from(path);
            assert!(
                path.is_file(),
                "CUTOVER_BIN={}: no such file",
                path.display()
            );
            path
        }
        None => build(),
    })
}

fn build() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let output = Command::new(cargo)
        .args(["build", "--release", "--package", "cutover"])
        .arg("--message-format=json-render-diagnostics")
        .current_dir(workspace)
        .output()
        .expect("cargo could not be started");
    assert!(
        output.status.success(),
        "building cutover failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "cutover")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .expect("cargo names no executable `cutover`")
}
