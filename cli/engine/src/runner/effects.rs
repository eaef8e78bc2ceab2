//! Performs effects through the ports, each within a limit.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cutover_scenarios::units::Weight;
use tokio::time::timeout;

use crate::clock;
use crate::fact::{Drift, Effect, Output};
use crate::lock::service_key;
use crate::machine::EffectError;
use crate::narrate;
use crate::ports::{PortError, Shifter, StackHealth, Stacks};
use crate::snapshot::{self, Snapshot};
use crate::state::State;

use super::{EffectInFlight, Ports};

/// Looking at things takes no longer.
const LOOK_LIMIT: Duration = Duration::from_secs(30);

/// Bringing a stack up takes no longer.
const DEPLOY_LIMIT: Duration = Duration::from_secs(600);

/// Writing a weight and reading it back takes no longer.
const SET_LIMIT: Duration = Duration::from_secs(30);

/// Begins an effect; the runner polls it beside everything else. `undoing` says that it takes back
/// what was written: then it is done whatever is there.
pub(super) fn perform(
    ports: &Ports,
    state: &State,
    id: u32,
    effect: Effect,
    undoing: bool,
) -> EffectInFlight {
    let stacks: Arc<dyn Stacks> = Arc::clone(&ports.stacks);
    let shifter: Arc<dyn Shifter> = Arc::clone(&ports.shifter);
    let way_back = WayBack {
        run: state.run.clone(),
        plan: state.plan.name.clone(),
        service: service_key(&state.plan).to_owned(),
        point_of_no_return: state.plan.point_of_no_return,
        snapshot: ports.folder.join(snapshot::FILE_NAME),
    };
    Box::pin(async move {
        let result = match effect {
            Effect::Inspect => {
                within(LOOK_LIMIT, "inspect", async {
                    Ok(Output::Findings(stacks.inspect().await?))
                })
                .await
            }
            Effect::Preflight => {
                within(LOOK_LIMIT, "preflight", async {
                    Ok(Output::Findings(stacks.preflight().await?))
                })
                .await
            }
            Effect::Deploy => {
                within(DEPLOY_LIMIT, "deploy", async {
                    Ok(Output::Addresses(stacks.deploy().await?))
                })
                .await
            }
            Effect::ProveWayBack => {
                let proven = prove_way_back(stacks.as_ref(), shifter.as_ref(), way_back);
                within(SET_LIMIT, "prove the way back", proven).await
            }
            Effect::SetWeight { weight, .. } if undoing => {
                set_weight(shifter.as_ref(), weight).await
            }
            Effect::SetWeight { weight, replaces } => {
                let written = step_to(shifter.as_ref(), weight, replaces);
                within(SET_LIMIT, "set the weight", written).await
            }
        };
        (id, result)
    })
}

/// Writes the weight and reads it back: a write counts only when both agree.
pub(super) async fn set_weight(
    shifter: &dyn Shifter,
    weight: Weight,
) -> Result<Output, EffectError> {
    within(SET_LIMIT, "set the weight", write(shifter, weight)).await
}

async fn write(shifter: &dyn Shifter, weight: Weight) -> Result<Output, EffectError> {
    shifter.set(weight).await?;
    let read = shifter.read().await?;
    if read == weight {
        return Ok(Output::Applied(read));
    }
    Err(PortError::new(
        format!("set the target's weight to {weight}"),
        format!("{read} was read back"),
    )
    .into())
}

/// A step of the plan: never over what someone else wrote, and never away from the way back.
async fn step_to(
    shifter: &dyn Shifter,
    weight: Weight,
    replaces: Option<Weight>,
) -> Result<Output, EffectError> {
    let live = shifter.read().await?;
    if live == weight {
        // The write of a driver that was killed has landed: doing it twice is doing it once.
        return Ok(Output::Applied(live));
    }
    if let Some(expected) = replaces.filter(|expected| *expected != live) {
        let writer = shifter.last_writer().await;
        return Err(EffectError::Drifted(Drift {
            expected,
            found: live,
            writer,
        }));
    }
    write(shifter, weight).await
}

/// Calls that a rollback may need are never spent on going forward.
async fn within_budget(shifter: &dyn Shifter) -> Result<(), PortError> {
    match shifter.budget().await? {
        Some(budget) if budget.left <= budget.rollback => Err(PortError::new(
            "go forward",
            format!(
                "{} calls are left, and taking everything back may need {}",
                budget.left, budget.rollback
            ),
        )
        .with_remedy("wait until the limit on calls recovers")),
        _ => Ok(()),
    }
}

/// Whose way back it is, and where it is written down.
struct WayBack {
    run: String,
    plan: String,
    service: String,
    point_of_no_return: Option<Weight>,
    snapshot: PathBuf,
}

async fn prove_way_back(
    stacks: &dyn Stacks,
    shifter: &dyn Shifter,
    way: WayBack,
) -> Result<Output, EffectError> {
    let live = shifter.read().await?;
    if live != Weight::ZERO {
        return Err(PortError::new(
            "begin",
            format!(
                "the target has {live} of the traffic already, and this run would begin at 0 %"
            ),
        )
        .with_remedy("send all traffic to the source first")
        .into());
    }
    let commands = shifter.describe_set(Weight::ZERO);
    let snapshot = Snapshot {
        format: snapshot::FORMAT,
        run: way.run,
        plan: way.plan,
        service: way.service,
        point_of_no_return: way.point_of_no_return,
        taken_at: clock::wall(),
        weight: live,
        shifter: shifter.snapshot().await?,
        commands: commands.clone(),
    };
    snapshot
        .write(&way.snapshot)
        .map_err(|error| EffectError::Failed(narrate::chain(&error)))?;
    // Writing what is there already proves the permission and the path, and changes nothing.
    write(shifter, live).await?;
    within_budget(shifter).await?;
    let source = match stacks.health().await.source {
        StackHealth::Ready(capacity) => format!("the source can take everything back: {capacity}"),
        StackHealth::Unknown(why) => format!("whether the source is well is not known: {why}"),
        StackHealth::Down(why) => {
            return Err(
                PortError::new("begin", format!("the source is down: {why}"))
                    .with_remedy("there would be nowhere to go back to; mend the source first")
                    .into(),
            );
        }
    };
    Ok(Output::WayBack {
        snapshot: way.snapshot.display().to_string(),
        commands,
        findings: vec![source],
    })
}

impl From<PortError> for EffectError {
    fn from(error: PortError) -> Self {
        EffectError::Failed(error.to_string())
    }
}

async fn within(
    limit: Duration,
    doing: &str,
    work: impl Future<Output = Result<Output, EffectError>>,
) -> Result<Output, EffectError> {
    timeout(limit, work).await.unwrap_or_else(|_| {
        Err(EffectError::Failed(format!(
            "could not {doing}: no end after {} s",
            limit.as_secs()
        )))
    })
}
