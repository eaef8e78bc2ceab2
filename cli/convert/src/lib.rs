//! ECS task definition to Kubernetes objects, nginx.conf to proxy config. Pure: no I/O, no clock.
//!
//! The wall stands; the content comes with the conversion work (see `ARCHITECTURE.md`, "Rooms").
