//! Moves traffic by writing the edge's weights through its admin endpoint.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use cutover_engine::ports::{PortError, Shifter};
use cutover_scenarios::units::Weight;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client;
use crate::fault::FaultAt;

/// The shifter of local stacks.
#[derive(Debug, Default)]
pub struct LocalShifter {
    known: Mutex<Known>,
    fault: Option<FaultAt>,
    fault_is_in: AtomicBool,
}

/// Where to write; known once the edge runs.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    edge_admin: Option<SocketAddr>,
    target_service_admin: Option<SocketAddr>,
}

impl LocalShifter {
    /// A shifter that puts `fault` into the target once its weight is reached.
    #[must_use]
    pub fn new(fault: Option<FaultAt>) -> Self {
        LocalShifter {
            fault,
            ..LocalShifter::default()
        }
    }

    /// The shifter that took the snapshot, found again.
    ///
    /// # Errors
    /// The snapshot is one of another kind of traffic.
    pub fn from_snapshot(snapshot: &Value) -> Result<Self, String> {
        let admin = snapshot["local_edge"]["admin"]
            .as_str()
            .and_then(|admin| admin.parse().ok())
            .ok_or("no address of a local edge in `shifter.local_edge.admin`")?;
        let shifter = LocalShifter::new(None);
        shifter.connect(admin, None);
        Ok(shifter)
    }

    /// Tells the shifter where the edge and the target's service are administered.
    pub fn connect(&self, edge_admin: SocketAddr, target_service_admin: Option<SocketAddr>) {
        *self.lock() = Known {
            edge_admin: Some(edge_admin),
            target_service_admin,
        };
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn edge_admin(&self) -> Result<SocketAddr, PortError> {
        let known = *self.lock();
        known
            .edge_admin
            .ok_or_else(|| PortError::new("reach the edge", "it has not been started"))
    }

    async fn inject(&self, weight: Weight) -> Result<(), PortError> {
        let Some(fault) = self
            .fault
            .filter(|fault| weight > Weight::ZERO && weight >= fault.at)
        else {
            return Ok(());
        };
        let Some(admin) = self.lock().target_service_admin else {
            return Ok(());
        };
        if self.fault_is_in.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let doing = || format!("put the fault {fault} into the target");
        let body =
            serde_json::to_string(&fault.fault).map_err(|error| PortError::new(doing(), error))?;
        match client::call(admin, Method::PUT, "/fault", body).await {
            Ok((StatusCode::OK, _)) => Ok(()),
            // A service that crashes on purpose does not answer.
            Err(_) if fault.fault == crate::fault::Fault::Crash => Ok(()),
            Ok((status, body)) => Err(PortError::new(doing(), format!("{status}: {body}"))),
            Err(error) => Err(PortError::new(doing(), error)),
        }
    }
}

/// How this product calls itself where weights are written.
const WRITER: &str = "cutover";

fn weights(target: Weight) -> Value {
    json!({ "weights": { "source": target.rest(), "target": target.parts() } })
}

/// The target's share as the edge has it, to 0.01 %: another scale than ours was written by someone
/// else, and what is nearest is never what this run wrote.
fn target_weight(answer: &str) -> Result<Weight, String> {
    let answer: Value = serde_json::from_str(answer).map_err(|error| error.to_string())?;
    let part = |name: &str| {
        answer["weights"][name]
            .as_u64()
            .ok_or_else(|| format!("no weight of `{name}`: {answer}"))
    };
    let (source, target) = (part("source")?, part("target")?);
    let whole = source.saturating_add(target);
    if whole == 0 {
        return Err("all weights are 0".to_owned());
    }
    let scaled = target.saturating_mul(u64::from(Weight::SCALE));
    let rounded = scaled.saturating_add(whole / 2) / whole;
    let nearest = u32::try_from(rounded).unwrap_or(u32::MAX);
    // Next to nothing is not nothing, and next to all is not all.
    let (least, most) = (u32::from(target > 0), Weight::SCALE - u32::from(source > 0));
    Weight::from_parts(nearest.clamp(least, most))
}

#[async_trait]
impl Shifter for LocalShifter {
    async fn read(&self) -> Result<Weight, PortError> {
        const DOING: &str = "read the edge's weights";
        let admin = self.edge_admin()?;
        match client::call(admin, Method::GET, "/weights", String::new()).await {
            Ok((StatusCode::OK, body)) => {
                target_weight(&body).map_err(|error| PortError::new(DOING, error))
            }
            Ok((status, body)) => Err(PortError::new(DOING, format!("{status}: {body}"))),
            Err(error) => Err(PortError::new(DOING, error)),
        }
    }

    async fn set(&self, weight: Weight) -> Result<(), PortError> {
        let doing = || format!("set the target's weight to {weight} at the edge");
        let admin = self.edge_admin()?;
        let mut body = weights(weight);
        body["by"] = WRITER.into();
        let body = body.to_string();
        match client::call(admin, Method::PUT, "/weights", body).await {
            Ok((StatusCode::OK, _)) => self.inject(weight).await,
            Ok((status, body)) => Err(PortError::new(doing(), format!("{status}: {body}"))),
            Err(error) => Err(PortError::new(doing(), error)),
        }
    }

    async fn last_writer(&self) -> Option<String> {
        let admin = self.edge_admin().ok()?;
        let answer = client::call(admin, Method::GET, "/weights", String::new());
        let (_, body) = answer.await.ok()?;
        let answer: Value = serde_json::from_str(&body).ok()?;
        Some(answer["changed_by"].as_str()?.to_owned())
    }

    async fn snapshot(&self) -> Result<Value, PortError> {
        let weight = self.read().await?;
        let admin = self.edge_admin()?;
        Ok(json!({ "local_edge": { "admin": admin, "weights": weights(weight)["weights"] } }))
    }

    fn describe_set(&self, weight: Weight) -> Vec<String> {
        let admin = self.lock().edge_admin;
        let admin = admin.map_or("EDGE_ADMIN".to_owned(), |admin| admin.to_string());
        vec![format!(
            "curl -X PUT http://{admin}/weights -d '{}'",
            weights(weight)
        )]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_read_on_any_scale() {
        let weight = |source: u64, target: u64| {
            target_weight(&json!({ "weights": { "source": source, "target": target } }).to_string())
        };
        assert_eq!(weight(7_500, 2_500), Ok(Weight::from_parts(2_500).unwrap()));
        assert_eq!(weight(3, 1), Ok(Weight::from_parts(2_500).unwrap()));
        assert_eq!(weight(1, 0), Ok(Weight::ZERO));
        assert!(weight(0, 0).is_err());
        assert_eq!(weight(1, 2), Ok(Weight::from_parts(6_667).unwrap()));
        assert_eq!(weight(1_000_000, 1), Ok(Weight::from_parts(1).unwrap()));
        assert_eq!(weight(1, 1_000_000), Ok(Weight::from_parts(9_999).unwrap()));
        assert!(target_weight("{}").is_err());
    }

    #[test]
    fn a_person_can_write_the_weight_by_hand() {
        let shifter = LocalShifter::new(None);
        shifter.connect("127.0.0.1:9".parse().unwrap(), None);
        assert_eq!(
            shifter.describe_set(Weight::ZERO),
            [
                r#"curl -X PUT http://127.0.0.1:9/weights -d '{"weights":{"source":10000,"target":0}}'"#
            ]
        );
    }
}
