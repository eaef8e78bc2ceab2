//! Ports of the engine over Kubernetes: deploy, wait, bind, in-cluster jobs.
//!
//! The wall stands; the content comes with the Kubernetes work (see `ARCHITECTURE.md`, "Rooms").
//! Only this crate may depend on the Kubernetes client, so that everything else builds in seconds.
