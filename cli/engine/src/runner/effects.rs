//! Performs effects through the ports, each within a limit.

use std::sync::Arc;
use std::time::Duration;

use cutover_scenarios::units::Weight;
use tokio::time::timeout;

use crate::fact::{Effect, Output};
use crate::ports::{PortError, Shifter, Stacks};

use super::{EffectInFlight, Ports};

/// Looking at things takes no longer.
const LOOK_LIMIT: Duration = Duration::from_secs(30);

/// Bringing a stack up takes no longer.
const DEPLOY_LIMIT: Duration = Duration::from_secs(600);

/// Writing a weight and reading it back takes no longer.
const SET_LIMIT: Duration = Duration::from_secs(30);

/// Begins an effect; the runner polls it beside everything else.
pub(super) fn perform(ports: &Ports, id: u32, effect: Effect) -> EffectInFlight {
    let stacks: Arc<dyn Stacks> = Arc::clone(&ports.stacks);
    let shifter: Arc<dyn Shifter> = Arc::clone(&ports.shifter);
    Box::pin(async move {
        let result = match effect {
            Effect::Inspect => {
                within(LOOK_LIMIT, "inspect", async {
                    stacks.inspect().await.map(Output::Findings)
                })
                .await
            }
            Effect::Preflight => {
                within(LOOK_LIMIT, "preflight", async {
                    stacks.preflight().await.map(Output::Findings)
                })
                .await
            }
            Effect::Deploy => {
                within(DEPLOY_LIMIT, "deploy", async {
                    stacks.deploy().await.map(Output::Addresses)
                })
                .await
            }
            Effect::SetWeight { weight } => set_weight(&shifter, weight).await,
        };
        (id, result)
    })
}

/// Writes the weight and reads it back: a write counts only when both agree.
pub(super) async fn set_weight(
    shifter: &Arc<dyn Shifter>,
    weight: Weight,
) -> Result<Output, String> {
    within(SET_LIMIT, "set the weight", async {
        shifter.set(weight).await?;
        let read = shifter.read().await?;
        if read == weight {
            Ok(Output::Applied(read))
        } else {
            Err(PortError::new(
                format!("set the target's weight to {weight}"),
                format!("{read} was read back"),
            ))
        }
    })
    .await
}

async fn within(
    limit: Duration,
    doing: &str,
    work: impl Future<Output = Result<Output, PortError>>,
) -> Result<Output, String> {
    match timeout(limit, work).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err(format!(
            "could not {doing}: no end after {} s",
            limit.as_secs()
        )),
    }
}
