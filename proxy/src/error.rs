//! What can go wrong with a request, and what the client is told.

use http::StatusCode;

/// Response field that says why the proxy itself answered.
pub const ERROR_HEADER: &str = "x-cutover-proxy-error";

/// Why a request failed. Counted by [`Cause::name`]; those with a status are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
#[expect(missing_docs, reason = "`name` and `status` say it")]
pub enum Cause {
    HostInvalid,
    FramingInvalid,
    TransferEncodingUnsupported,
    ConnectUnsupported,
    ClientBodyInvalid,
    UpstreamConnectRefused,
    UpstreamConnectTimeout,
    UpstreamConnectFailed,
    UpstreamClosed,
    UpstreamReset,
    UpstreamResponseInvalid,
    UpstreamTimeout,
    /// The response broke off after its head; the client's connection is cut as well.
    UpstreamBodyInvalid,
    /// The client went away before its response was complete (nginx's 499).
    ClientGone,
    /// A request head did not arrive in time.
    ClientHeadTimeout,
    /// The client paused for too long within its body, before there was a response.
    ClientBodyTimeout,
    /// No byte of a body moved for too long.
    TransferTimeout,
}

impl Cause {
    /// Every cause, in the order of their discriminants.
    pub const ALL: [Cause; 17] = [
        Cause::HostInvalid,
        Cause::FramingInvalid,
        Cause::TransferEncodingUnsupported,
        Cause::ConnectUnsupported,
        Cause::ClientBodyInvalid,
        Cause::UpstreamConnectRefused,
        Cause::UpstreamConnectTimeout,
        Cause::UpstreamConnectFailed,
        Cause::UpstreamClosed,
        Cause::UpstreamReset,
        Cause::UpstreamResponseInvalid,
        Cause::UpstreamTimeout,
        Cause::UpstreamBodyInvalid,
        Cause::ClientGone,
        Cause::ClientHeadTimeout,
        Cause::ClientBodyTimeout,
        Cause::TransferTimeout,
    ];

    /// The value of [`ERROR_HEADER`] and of the metric's `cause` label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Cause::HostInvalid => "host_invalid",
            Cause::FramingInvalid => "framing_invalid",
            Cause::TransferEncodingUnsupported => "transfer_encoding_unsupported",
            Cause::ConnectUnsupported => "connect_unsupported",
            Cause::ClientBodyInvalid => "client_body_invalid",
            Cause::UpstreamConnectRefused => "upstream_connect_refused",
            Cause::UpstreamConnectTimeout => "upstream_connect_timeout",
            Cause::UpstreamConnectFailed => "upstream_connect_failed",
            Cause::UpstreamClosed => "upstream_closed",
            Cause::UpstreamReset => "upstream_reset",
            Cause::UpstreamResponseInvalid => "upstream_response_invalid",
            Cause::UpstreamTimeout => "upstream_timeout",
            Cause::UpstreamBodyInvalid => "upstream_body_invalid",
            Cause::ClientGone => "client_gone",
            Cause::ClientHeadTimeout => "client_head_timeout",
            Cause::ClientBodyTimeout => "client_body_timeout",
            Cause::TransferTimeout => "transfer_timeout",
        }
    }

    /// The status that the client gets (or would get, were it still there).
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Cause::HostInvalid | Cause::FramingInvalid | Cause::ClientBodyInvalid => {
                StatusCode::BAD_REQUEST
            }
            Cause::TransferEncodingUnsupported => StatusCode::NOT_IMPLEMENTED,
            Cause::ConnectUnsupported => StatusCode::METHOD_NOT_ALLOWED,
            Cause::UpstreamConnectTimeout | Cause::UpstreamTimeout | Cause::TransferTimeout => {
                StatusCode::GATEWAY_TIMEOUT
            }
            Cause::ClientHeadTimeout | Cause::ClientBodyTimeout | Cause::ClientGone => {
                StatusCode::REQUEST_TIMEOUT
            }
            _ => StatusCode::BAD_GATEWAY,
        }
    }

    /// Whether the client's connection cannot be used for another request.
    pub(crate) fn closes(self) -> bool {
        self.status().is_client_error() || self == Cause::TransferEncodingUnsupported
    }
}

/// Why a proxy did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port could not be taken.
    #[error("cannot listen on {address} (`{field}`): {source}")]
    Bind {
        /// `listen` or `admin`.
        field: &'static str,
        /// What was asked for.
        address: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The state file could not be written.
    #[error("cannot write state file {path}: {source}")]
    StateFile {
        /// Where it was to be.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// No upstream has a weight above 0.
    #[error("nobody would get a request: give at least one upstream a weight above 0")]
    NoWeights,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_listed_in_the_order_of_their_discriminants() {
        for (index, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, index, "{}", cause.name());
        }
    }
}
