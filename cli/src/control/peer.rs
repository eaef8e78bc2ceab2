//! Who is at the other end of a control connection: the system says so (`SO_PEERCRED`, unix(7)),
//! not the client.

use std::io;

use nix::unistd::{Uid, User, gethostname};
use tokio::net::UnixStream;

/// A process that has connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Peer {
    uid: Uid,
    pid: Option<i32>,
}

impl Peer {
    /// Who was connected when the connection was made.
    pub(super) fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        Ok(Peer {
            uid: Uid::from_raw(credentials.uid()),
            pid: credentials.pid(),
        })
    }

    /// Whether they may watch and steer a run of `owner`: its owner, and root, who could do
    /// anything to it in any case.
    pub(super) fn may_steer_run_of(self, owner: Uid) -> bool {
        self.uid == owner || self.uid.is_root()
    }

    /// As the journal names people: `ann@laptop (process 4711)`.
    pub(super) fn name(self) -> String {
        let user = User::from_uid(self.uid).ok().flatten();
        let user = user.map_or_else(|| format!("uid {}", self.uid), |user| user.name);
        let host = gethostname().ok().and_then(|name| name.into_string().ok());
        let host = host.unwrap_or_else(|| "unknown".to_owned());
        match self.pid {
            Some(pid) => format!("{user}@{host} (process {pid})"),
            None => format!("{user}@{host}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_and_root_may_steer() {
        let may = |peer: u32, owner: u32| {
            let peer = Peer {
                uid: Uid::from_raw(peer),
                pid: Some(1),
            };
            peer.may_steer_run_of(Uid::from_raw(owner))
        };
        assert!(may(1000, 1000));
        assert!(may(0, 1000));
        assert!(!may(1001, 1000));
        assert!(!may(1000, 0));
    }
}
