//! The other end of the control socket: whoever watches or steers a run.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::BufReader;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, sleep, timeout};

use super::protocol::{Answer, Hello, LONGEST_ANSWER, PROTOCOL, Request};
use super::{SocketAddress, lines};

/// A driver that lives says hello at once, and answers within its own limit of ten seconds.
const HELLO_LIMIT: Duration = Duration::from_secs(5);
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// After its last word a driver has nothing left to do; others may take a second to hear it.
const GONE_LIMIT: Duration = Duration::from_secs(3);
const GONE_LOOK: Duration = Duration::from_millis(5);

/// Why a driver could not be talked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// No driver serves the run.
    #[error("no driver serves this run")]
    Nobody,
    /// The driver is there and says nothing.
    #[error("the driver does not answer: it may be stopped, or its machine overloaded")]
    Silent,
    /// The driver refuses to talk to us.
    #[error("the driver refuses: {0}")]
    TurnedAway(String),
    /// Driver and client are of different versions.
    #[error(
        "the driver is cutover {version} and speaks control protocol {protocol}, this program \
         speaks {PROTOCOL}: use the version that drives the run"
    )]
    OtherProtocol {
        /// The driver's version.
        version: String,
        /// Its protocol.
        protocol: u32,
    },
    /// The other end does not speak the protocol.
    #[error("the driver said what is not understood: {0}")]
    Gibberish(serde_json::Error),
    /// What the system said.
    #[error("the control socket: {0}")]
    Io(#[from] io::Error),
}

/// A connection to a run's driver.
pub(crate) struct Client {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    line: Vec<u8>,
    /// The driver's process, as the system knows it (`SO_PEERCRED`).
    driver: Option<i32>,
}

impl Client {
    /// Connects to the driver of the run in `folder`, and waits for its hello.
    ///
    /// # Errors
    /// Nobody drives it, or the driver cannot be talked to.
    pub(crate) async fn connect(folder: &Path) -> Result<Self, ClientError> {
        let address = SocketAddress::of(folder)?;
        let connected = timeout(HELLO_LIMIT, UnixStream::connect(address.path())).await;
        let stream = match connected {
            Ok(Ok(stream)) => stream,
            // The socket of a driver that was killed stays and refuses.
            Ok(Err(error))
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                return Err(ClientError::Nobody);
            }
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => return Err(ClientError::Silent),
        };
        let driver = stream.peer_cred()?.pid();
        let (reader, writer) = stream.into_split();
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        let hello = timeout(
            HELLO_LIMIT,
            lines::read(&mut reader, &mut line, LONGEST_ANSWER),
        )
        .await
        .map_err(|_| ClientError::Silent)??
        .ok_or(ClientError::Nobody)?;
        understood(&hello)?;
        Ok(Client {
            reader,
            writer,
            line,
            driver,
        })
    }

    /// Waits a moment for a driver that has said its last word to be gone, so that nothing of a run
    /// is left when its end is told.
    pub(crate) async fn wait_until_gone(self) {
        let Some(driver) = self.driver else { return };
        let command_line = format!("/proc/{driver}/cmdline");
        // One that has ended and that its starter has not taken note of has an empty one.
        let lives = || std::fs::read(&command_line).is_ok_and(|line| !line.is_empty());
        let limit = Instant::now() + GONE_LIMIT;
        while lives() && Instant::now() < limit {
            sleep(GONE_LOOK).await;
        }
    }

    /// Asks for something that has one answer.
    ///
    /// # Errors
    /// The driver is gone, or does not answer.
    pub(crate) async fn ask(&mut self, request: Request) -> Result<Answer, ClientError> {
        self.send(request).await?;
        timeout(ANSWER_LIMIT, self.next())
            .await
            .map_err(|_| ClientError::Silent)??
            .ok_or(ClientError::Nobody)
    }

    /// Asks for something whose answers [`Client::next`] yields.
    ///
    /// # Errors
    /// The driver is gone.
    pub(crate) async fn send(&mut self, request: Request) -> Result<(), ClientError> {
        Ok(lines::write(&mut self.writer, &request).await?)
    }

    /// The next answer; `None` when the driver has closed the connection. May be dropped and
    /// called again.
    ///
    /// # Errors
    /// The connection broke, or what came is no answer.
    pub(crate) async fn next(&mut self) -> Result<Option<Answer>, ClientError> {
        let line = lines::read(&mut self.reader, &mut self.line, LONGEST_ANSWER).await?;
        line.map(|line| serde_json::from_slice(&line).map_err(ClientError::Gibberish))
            .transpose()
    }
}

/// Whether the driver's hello is one, and in our protocol.
fn understood(line: &[u8]) -> Result<(), ClientError> {
    match serde_json::from_slice::<Hello>(line) {
        Ok(hello) if hello.cutover_control == PROTOCOL => Ok(()),
        Ok(hello) => Err(ClientError::OtherProtocol {
            version: hello.version,
            protocol: hello.cutover_control,
        }),
        Err(error) => Err(match serde_json::from_slice(line) {
            Ok(Answer::Error { message }) => ClientError::TurnedAway(message),
            _ => ClientError::Gibberish(error),
        }),
    }
}
