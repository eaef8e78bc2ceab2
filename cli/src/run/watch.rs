//! Watching a run that another process drives: on the screen, or line by line.

use std::time::Duration;

use cutover_engine::clock;
use cutover_engine::folder::{Home, RunFolder};
use cutover_engine::journal;
use cutover_engine::lock::service_key;
use cutover_engine::narrate::seconds;
use cutover_engine::view::{Command, RunView};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::signals;
use crate::args::Output;
use crate::console;
use crate::control::client::{Client, ClientError};
use crate::control::protocol::{Answer, LogsFrom, Request};
use crate::exit::{Exit, Failure};
use crate::output::{self, Document, Teller};
use crate::screen::{self, ScreenEnd, ScreenOptions};

/// A driver whose run has ended ends its stacks first: processes that get ten seconds to drain.
const END_LIMIT: Duration = Duration::from_secs(90);

/// A driver says something ten times a second; silence for longer is told, time and again.
const SILENCE: Duration = Duration::from_secs(3);

/// Shows the run on the terminal until it ends or a person leaves.
///
/// # Errors
/// The driver cannot be talked to, is gone, or the terminal failed.
pub(crate) async fn on_screen(
    home: &Home,
    folder: &RunFolder,
    watcher: bool,
) -> Result<Exit, Failure> {
    let run = folder.id();
    let (client, first) = watching(folder)
        .await
        .map_err(|error| unreachable(home, folder, &error))?;
    let (views, view) = watch::channel(first);
    let (requests, asked) = mpsc::unbounded_channel();
    let (notices, noticed) = mpsc::unbounded_channel();
    let following = tokio::spawn(follow(client, folder.clone(), views, notices.clone()));
    let asking = tokio::spawn(ask(folder.clone(), asked, notices));
    let terminated = signals::listen_at_screen(requests.clone());

    let mut screen = show(view, requests.clone(), noticed, watcher);
    let shown = tokio::select! {
        shown = &mut screen => shown.unwrap_or_else(|broken| Err(std::io::Error::other(broken))),
        () = terminated => {
            screen.abort();
            // It gives the terminal back before anything else is printed there.
            let _ = screen.await;
            Ok(ScreenEnd::Detached)
        }
    };
    match shown {
        Ok(ScreenEnd::RunEnded | ScreenEnd::RunLost) => {}
        Ok(ScreenEnd::StopNow) => {
            let _ = requests.send(Request::StopNow);
        }
        Ok(ScreenEnd::Detached) => {
            console::note(&format!(
                "the screen is closed; the run goes on; watch it again: cutover attach {run}"
            ));
            return Ok(Exit::Done);
        }
        Err(error) => {
            return Err(Failure::error(format!(
                "the screen failed ({error}); the run goes on: cutover attach {run} --no-tui"
            )));
        }
    }
    let ended = timeout(END_LIMIT, following).await;
    asking.abort();
    let ended = ended.ok().and_then(Result::ok).flatten();
    finish(home, folder, Output::Human, ended)
}

/// The screen, in a task of its own: one that breaks must not take its messages with it.
fn show(
    views: watch::Receiver<RunView>,
    requests: mpsc::UnboundedSender<Request>,
    notices: mpsc::UnboundedReceiver<String>,
    watcher: bool,
) -> JoinHandle<std::io::Result<ScreenEnd>> {
    let (commands, mut typed) = mpsc::unbounded_channel::<Command>();
    tokio::spawn(async move {
        while let Some(command) = typed.recv().await {
            let _ = requests.send(Request::Command { command });
        }
    });
    tokio::spawn(screen::run(views, commands, notices, options(watcher)))
}

fn options(watcher: bool) -> ScreenOptions {
    let unicode = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .is_none_or(|locale| {
            locale
                .to_ascii_lowercase()
                .replace('-', "")
                .contains("utf8")
        });
    ScreenOptions {
        colour: !console::no_colour(),
        unicode,
        watcher,
    }
}

/// Connects to the driver as a watcher.
async fn watching(folder: &RunFolder) -> Result<(Client, RunView), ClientError> {
    let mut client = Client::connect(folder.path()).await?;
    match client.ask(Request::Watch).await? {
        Answer::View { view } => Ok((client, *view)),
        _ => Err(ClientError::Nobody),
    }
}

/// Passes views on until the run ends; `None` when the driver is gone before that. A driver that
/// is there and says nothing is told.
async fn follow(
    mut client: Client,
    folder: RunFolder,
    views: watch::Sender<RunView>,
    notices: mpsc::UnboundedSender<String>,
) -> Option<Document> {
    let mut silent = Duration::ZERO;
    loop {
        let Ok(next) = timeout(SILENCE, client.next()).await else {
            silent += SILENCE;
            let _ = notices.send(format!(
                "no news from the driver for {}: it is stopped, or its machine overloaded",
                seconds(silent)
            ));
            continue;
        };
        silent = Duration::ZERO;
        match next {
            Ok(Some(Answer::View { view })) => drop(views.send_replace(*view)),
            Ok(Some(Answer::Ended { report })) => {
                client.wait_until_gone().await;
                return Some(*report);
            }
            Ok(Some(_)) => {}
            // The driver is gone, or it gave us up because we were stopped for a while.
            Ok(None) | Err(_) => {
                let (again, view) = watching(&folder).await.ok()?;
                client = again;
                views.send_replace(view);
            }
        }
    }
}

/// Passes requests on to the driver, and says what came of those that were not carried out.
async fn ask(
    folder: RunFolder,
    mut requests: mpsc::UnboundedReceiver<Request>,
    notices: mpsc::UnboundedSender<String>,
) {
    while let Some(request) = requests.recv().await {
        let answer = async { Client::connect(folder.path()).await?.ask(request).await }.await;
        let notice = match answer {
            Ok(Answer::Refused { reason }) => format!("refused: {reason}"),
            Ok(Answer::Error { message }) => message,
            Ok(_) => continue,
            Err(error) => error.to_string(),
        };
        let _ = notices.send(notice);
    }
}

/// A run whose events are told line by line.
pub(crate) struct Lines(Client);

impl Lines {
    /// Begins to listen; what happens from now on is told by [`Lines::tell_to_end`].
    ///
    /// # Errors
    /// The driver cannot be talked to.
    pub(crate) async fn listen(home: &Home, folder: &RunFolder) -> Result<Self, Failure> {
        let listening = async {
            let mut client = Client::connect(folder.path()).await?;
            let from = LogsFrom::Now;
            client.send(Request::Logs { from }).await?;
            Ok(client)
        };
        let client = listening.await;
        client
            .map(Lines)
            .map_err(|error| unreachable(home, folder, &error))
    }

    /// Tells what happens until the run ends, and how it ended.
    ///
    /// # Errors
    /// The driver is gone before the end.
    pub(crate) async fn tell_to_end(
        mut self,
        home: &Home,
        folder: &RunFolder,
        output: Output,
    ) -> Result<Exit, Failure> {
        let teller = Teller::new(output, folder.id().to_owned());
        loop {
            match self.0.next().await {
                Ok(Some(Answer::Event { event })) => teller.tell(&event.into_event()),
                Ok(Some(Answer::Skipped { events })) => {
                    console::note(&format!("({events} events were left out)"));
                }
                Ok(Some(Answer::Ended { report })) => {
                    self.0.wait_until_gone().await;
                    return finish(home, folder, output, Some(*report));
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return finish(home, folder, output, None),
            }
        }
    }
}

/// Prints how the run ended, as far as that is known, and ends as the run did.
fn finish(
    home: &Home,
    folder: &RunFolder,
    output: Output,
    ended: Option<Document>,
) -> Result<Exit, Failure> {
    match ended.or_else(|| last_report(folder)) {
        Some(document) => {
            output::finish(output, &document);
            Ok(Exit::of(&document.report))
        }
        // The run is left as it was in mid-air.
        None => Err(Failure {
            exit: Exit::PersonNeeded,
            ..unreachable(home, folder, &ClientError::Nobody)
        }),
    }
}

/// What the last driver of the run said at its end.
pub(crate) fn last_report(folder: &RunFolder) -> Option<Document> {
    let text = std::fs::read(folder.report()).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Why the driver of a run cannot be talked to, and what a person does about it.
pub(crate) fn unreachable(home: &Home, folder: &RunFolder, error: &ClientError) -> Failure {
    let run = folder.id();
    let Ok(replayed) = journal::read(&folder.journal()) else {
        return Failure::error(format!(
            "run {run}: {error}; and its journal cannot be read"
        ));
    };
    let state = &replayed.state;
    let holder = home
        .holder(service_key(&state.plan))
        .filter(|holder| holder.run == run);
    if let Some(holder) = holder {
        let now = clock::wall();
        let heard = seconds(holder.silent_for(now));
        let way_out = if holder.is_stale(now) {
            format!("; if it is gone for good: cutover unlock {run} --reason WHY")
        } else {
            String::new()
        };
        return Failure {
            message: format!(
                "a run is under way that cannot be reached: {holder}; {error}; its last heartbeat \
                 is {heard} old{way_out}"
            ),
            exit: match error {
                ClientError::Silent => Exit::Locked,
                _ => Exit::Error,
            },
        };
    }
    if let Some((outcome, message)) = &state.outcome
        && !state.waits_for_a_person()
    {
        return Failure::error(format!("run {run} has ended: {outcome}: {message}"));
    }
    let gone = match &state.outcome {
        Some((outcome, _)) => format!("nobody drives run {run}: it was left {outcome}"),
        None => format!("the driver of run {run} is gone: it was killed, or crashed"),
    };
    let weight = match state.applied {
        Some(weight) => format!("the target's weight is {weight}, as it was read back last"),
        None if !state.shifted => "no traffic was shifted yet".to_owned(),
        None => format!("the target's weight was being set to {}", state.set),
    };
    Failure::error(format!(
        "{gone}; {weight}, and nobody watches it; go on: cutover resume {run}; go back: cutover \
         rollback {run}"
    ))
}
