//! Ports of the engine over AWS: ECS, ELBv2, Route 53, CloudWatch, ECR, STS.
//!
//! The wall stands; the content comes with the AWS work (see `ARCHITECTURE.md`, "Rooms").
//! Only this crate may depend on the AWS SDK, so that everything else builds in seconds.
