//! The loop with scripted keys and a screen in memory.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use futures_util::stream;
use ratatui::backend::TestBackend;
use ratatui::layout::Size;
use ratatui::{Frame, Terminal};
use tokio::time::timeout;

use super::*;

/// Far longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(10);

const OPTIONS: ScreenOptions = ScreenOptions {
    colour: true,
    unicode: true,
    watcher: false,
};

/// A screen in memory that publishes its text after every frame.
struct Memory {
    terminal: Terminal<TestBackend>,
    frames: watch::Sender<String>,
}

impl Surface for Memory {
    fn draw(&mut self, paint: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        let Ok(frame) = self.terminal.draw(paint);
        let text = frame
            .buffer
            .content
            .iter()
            .map(|cell| cell.symbol())
            .collect();
        self.frames.send_replace(text);
        Ok(())
    }

    fn size(&self) -> io::Result<Size> {
        let Ok(size) = self.terminal.size();
        Ok(size)
    }

    fn clear(&mut self) -> io::Result<()> {
        let Ok(()) = self.terminal.clear();
        Ok(())
    }
}

/// A screen that is being followed, and everything around it.
struct Session {
    views: watch::Sender<RunView>,
    commands: mpsc::UnboundedReceiver<Command>,
    keys: mpsc::UnboundedSender<io::Result<Event>>,
    notices: mpsc::UnboundedSender<String>,
    frames: watch::Receiver<String>,
    screen: tokio::task::JoinHandle<io::Result<ScreenEnd>>,
}

impl Session {
    fn begin(view: RunView) -> Self {
        let (views, seen) = watch::channel(view);
        let (send, commands) = mpsc::unbounded_channel();
        let (keys, typed) = mpsc::unbounded_channel();
        let (notices, noticed) = mpsc::unbounded_channel();
        let (frames, shown) = watch::channel(String::new());
        let mut memory = Memory {
            terminal: Terminal::new(TestBackend::new(80, 24)).unwrap(),
            frames,
        };
        let typed = Box::pin(stream::unfold(typed, async |mut typed| {
            typed.recv().await.map(|event| (event, typed))
        }));
        let screen = tokio::spawn(async move {
            detached_if_gone(follow(&mut memory, typed, seen, send, noticed, OPTIONS).await)
        });
        Session {
            views,
            commands,
            keys,
            notices,
            frames: shown,
            screen,
        }
    }

    fn press(&self, code: KeyCode, modifiers: KeyModifiers) {
        let event = Event::Key(KeyEvent::new(code, modifiers));
        self.keys.send(Ok(event)).unwrap();
    }

    fn type_text(&self, text: &str) {
        for letter in text.chars() {
            self.press(KeyCode::Char(letter), KeyModifiers::NONE);
        }
    }

    async fn shows(&mut self, text: &str) {
        let found = timeout(LIMIT, self.frames.wait_for(|frame| frame.contains(text))).await;
        let found = found.map(|frame| frame.is_ok());
        assert_eq!(
            found,
            Ok(true),
            "`{text}` is not on:\n{}",
            *self.frames.borrow()
        );
    }

    async fn command(&mut self) -> Option<Command> {
        timeout(LIMIT, self.commands.recv())
            .await
            .expect("a command in time")
    }

    async fn ended(self) -> io::Result<ScreenEnd> {
        timeout(LIMIT, self.screen)
            .await
            .expect("an end in time")
            .unwrap()
    }
}

#[tokio::test]
async fn a_new_view_is_drawn_without_a_key() {
    let mut session = Session::begin(sample::shifting());
    session.shows("holding 25 %").await;
    session.views.send_replace(sample::rolling_back());
    session.shows("ROLLING BACK").await;
}

#[tokio::test]
async fn the_last_view_is_drawn_before_the_screen_closes() {
    let mut session = Session::begin(sample::shifting());
    session.views.send_replace(sample::done());
    session.shows("DONE").await;
    assert_eq!(session.ended().await.unwrap(), ScreenEnd::RunEnded);
}

#[tokio::test]
async fn a_run_that_had_ended_before_is_drawn_once() {
    let mut session = Session::begin(sample::done());
    session.shows("DONE").await;
    assert_eq!(session.ended().await.unwrap(), ScreenEnd::RunEnded);
}

#[tokio::test]
async fn keys_reach_the_run_as_commands() {
    let mut session = Session::begin(sample::shifting());
    session.type_text("phary");
    assert_eq!(session.command().await, Some(Command::Pause));
    assert_eq!(session.command().await, Some(Command::Hold));
    assert_eq!(session.command().await, Some(Command::Advance));
    assert_eq!(
        session.command().await,
        Some(Command::Rollback { force: false })
    );
    session.type_text("d");
    assert_eq!(session.command().await, None, "nothing else was sent");
    assert_eq!(session.ended().await.unwrap(), ScreenEnd::Detached);
}

#[tokio::test]
async fn ctrl_c_interrupts_first_and_stops_then() {
    let mut session = Session::begin(sample::shifting());
    session.press(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(session.command().await, Some(Command::Interrupt));
    session.shows("Ctrl-C again stops at once").await;
    session.press(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(session.command().await, None, "the second one is not sent");
    assert_eq!(session.ended().await.unwrap(), ScreenEnd::StopNow);
}

#[tokio::test]
async fn what_the_run_refuses_is_shown() {
    let mut session = Session::begin(sample::shifting());
    session.type_text("a");
    session.shows("asked the run to advance").await;
    session
        .notices
        .send("refused: the bake cannot be cut short".to_owned())
        .unwrap();
    session.shows("refused: the bake cannot be cut short").await;
}

#[tokio::test]
async fn a_run_that_does_not_listen_is_told() {
    let mut session = Session::begin(sample::shifting());
    session.commands.close();
    session.type_text("p");
    session.shows("the run no longer takes commands").await;
}

#[tokio::test]
async fn a_run_that_is_gone_without_an_outcome_is_lost() {
    let session = Session::begin(sample::shifting());
    // The rest stays: a keyboard that is gone as well would be another end.
    drop(session.views);
    let end = timeout(LIMIT, session.screen).await.unwrap().unwrap();
    assert_eq!(end.unwrap(), ScreenEnd::RunLost);
}

#[tokio::test]
async fn a_terminal_that_is_closed_detaches() {
    let session = Session::begin(sample::shifting());
    drop(session.keys);
    let end = timeout(LIMIT, session.screen).await.unwrap().unwrap();
    assert_eq!(end.unwrap(), ScreenEnd::Detached);
}

#[tokio::test]
async fn a_terminal_that_hung_up_detaches() {
    use nix::errno::Errno;
    for errno in [Errno::EIO, Errno::ENXIO, Errno::EPIPE] {
        let session = Session::begin(sample::shifting());
        session.keys.send(Err(errno.into())).unwrap();
        assert_eq!(session.ended().await.unwrap(), ScreenEnd::Detached);
    }
}

#[tokio::test]
async fn a_terminal_that_fails_is_an_error() {
    let session = Session::begin(sample::shifting());
    session.keys.send(Err(io::Error::other("gone"))).unwrap();
    assert_eq!(session.ended().await.unwrap_err().to_string(), "gone");
}
