//! A real terminal that a test types into and reads from: tmux, with a server of its own.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::binary;
use crate::clock::wait_for;
use crate::workspace::Workspace;

/// What a person would see at once; a busy machine gets some more.
pub const SOON: Duration = Duration::from_secs(15);

/// A terminal of 80 columns and 24 rows with a shell in the workspace's folder.
#[derive(Debug)]
pub struct Terminal {
    socket: PathBuf,
}

impl Terminal {
    /// Opens the terminal; `environment` is set in its shell.
    ///
    /// # Panics
    /// When tmux is missing or does not start.
    #[must_use]
    pub fn open(workspace: &Workspace, environment: &[(&str, &str)]) -> Self {
        static OPENED: AtomicU32 = AtomicU32::new(0);
        let number = OPENED.fetch_add(1, Ordering::Relaxed);
        let terminal = Terminal {
            socket: workspace.beside(&format!("tmux.{number}.socket")),
        };
        let mut start = terminal.tmux();
        start.args([
            "-u",
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "80",
            "-y",
            "24",
        ]);
        for (name, value) in environment {
            start.arg("-e").arg(format!("{name}={value}"));
        }
        // `env` starts a shell with a prompt that no test mistakes for output.
        start.args([
            "env",
            "PS1=$ ",
            "LC_ALL=C.UTF-8",
            "bash",
            "--norc",
            "--noprofile",
        ]);
        let output = start
            .current_dir(workspace.folder())
            .env_remove("TMUX")
            .env_remove("NO_COLOR")
            .output()
            .expect("tmux could not be started; is it installed?");
        assert!(
            output.status.success(),
            "tmux: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        terminal.wait_to_show("$");
        terminal
    }

    fn tmux(&self) -> Command {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(&self.socket);
        command
    }

    fn ask(&self, arguments: &[&str]) -> String {
        let output = self.tmux().args(arguments).output().expect("tmux");
        assert!(
            output.status.success(),
            "tmux {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Types a command line for `cutover` and presses Enter; afterwards the shell shows
    /// `exit=CODE`.
    pub fn run_cutover(&self, arguments: &str) {
        let binary = binary::cutover().display();
        self.type_line(&format!("clear; '{binary}' {arguments}; echo \"exit=$?\""));
    }

    /// Types a line and presses Enter.
    pub fn type_line(&self, line: &str) {
        self.ask(&["send-keys", "-l", line]);
        self.press("Enter");
    }

    /// Presses one key, by tmux's name for it.
    pub fn press(&self, key: &str) {
        self.ask(&["send-keys", key]);
    }

    /// The screen as text.
    #[must_use]
    pub fn screen(&self) -> String {
        self.ask(&["capture-pane", "-p"])
    }

    /// The screen as text with its colours and attributes as escape sequences.
    #[must_use]
    pub fn screen_with_attributes(&self) -> String {
        self.ask(&["capture-pane", "-p", "-e"])
    }

    /// Closes the window, as a person does or a connection that breaks: what runs in it is hung up
    /// on.
    pub fn close(self) {
        self.ask(&["kill-session"]);
    }

    /// Whether a full-screen program holds the terminal.
    #[must_use]
    pub fn is_full_screen(&self) -> bool {
        self.ask(&["display-message", "-p", "#{alternate_on}"])
            .trim()
            == "1"
    }

    /// Whether the cursor can be seen.
    #[must_use]
    pub fn shows_cursor(&self) -> bool {
        self.ask(&["display-message", "-p", "#{cursor_flag}"])
            .trim()
            == "1"
    }

    /// Waits until the screen shows a text.
    ///
    /// # Panics
    /// When it does not do so [`SOON`]; the message holds the screen.
    pub fn wait_to_show(&self, text: &str) -> String {
        self.wait_to_show_within(text, SOON)
    }

    /// As [`Terminal::wait_to_show`], for what takes longer.
    ///
    /// # Panics
    /// When it does not do so within the limit.
    pub fn wait_to_show_within(&self, text: &str, limit: Duration) -> String {
        wait_for(&format!("`{text}` on the screen"), limit, || {
            let screen = self.screen();
            if screen.contains(text) {
                Ok(screen)
            } else {
                Err(format!("\n{screen}"))
            }
        })
    }

    /// Waits until the screen no longer shows a text.
    ///
    /// # Panics
    /// When it still does [`SOON`].
    pub fn wait_to_lose(&self, text: &str) {
        wait_for(&format!("`{text}` to leave the screen"), SOON, || {
            let screen = self.screen();
            if screen.contains(text) {
                Err(format!("\n{screen}"))
            } else {
                Ok(())
            }
        });
    }

    /// Checks that the shell has its terminal back as it was: lines, echo, cursor, main screen.
    ///
    /// # Panics
    /// When something is left changed.
    pub fn assert_given_back(&self) {
        assert!(
            !self.is_full_screen(),
            "still full screen:\n{}",
            self.screen()
        );
        assert!(self.shows_cursor(), "no cursor:\n{}", self.screen());
        // Set modes stand alone, cleared ones have a `-` before them. The quotes keep the word from
        // showing before it is printed.
        self.type_line("clear; stty -a; echo loo''ked");
        let modes = self.wait_to_show("looked");
        for mode in ["icanon", "echo", "isig", "icrnl", "opost"] {
            let is_set = modes.split([' ', '\n', ';']).any(|word| word == mode);
            assert!(is_set, "{mode} is not set:\n{modes}");
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.tmux().arg("kill-server").output();
    }
}
