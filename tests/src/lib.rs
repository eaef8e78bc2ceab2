//! The harness of the end-to-end tests: real processes, real sockets, real terminals.
//!
//! | module | subject |
//! | --- | --- |
//! | [`clock`] | waiting for a state, with a limit and the last thing seen |
//! | [`binary`] | where the `cutover` under test is |
//! | [`workspace`] | a temporary folder in which one test runs `cutover` |
//! | [`command`] | one started program: its end, its output, its signals |
//! | [`processes`] | what a run started: who lives, who answers |
//! | [`http`] | one plain HTTP/1.1 request, as a user would send it |
//! | [`journal`] | what a run wrote down about itself |
//! | [`receiver`] | the other end of webhooks: keeps requests, answers as it is told to |
//! | [`plan`] | short plans made from the bundled one |
//! | [`terminal`] | a real terminal (tmux) that a test types into and reads from |
//! | [`tracer`] | kills a driver at an exact place in its journal |
//! | [`witness`] | sees a run as its users do: answers, and the weights at the edge |
//! | [`kill_series`] | a run that is killed at each moment of its journal, and what must hold then |
//! | [`disk`] | disks that are full, files that nobody may write any more |
//! | [`peers`] | nginx as an origin, the bundled proxy before it |
//! | [`status`] | what `cutover status` says, and waiting until it says something |
//! | [`skip`] | tests that this machine cannot run |
//!
//! Nothing here sleeps and hopes: each wait polls a state until a limit, and its failure says
//! what was seen last. What a test started ends with its [`workspace::Workspace`], also when the
//! test fails.

pub mod binary;
pub mod clock;
pub mod command;
pub mod disk;
pub mod http;
pub mod journal;
pub mod kill_series;
pub mod peers;
pub mod plan;
pub mod processes;
pub mod receiver;
pub mod skip;
pub mod status;
pub mod terminal;
pub mod tracer;
pub mod witness;
pub mod workspace;
