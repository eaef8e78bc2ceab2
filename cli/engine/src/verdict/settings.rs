//! What a judge is told besides the objectives.

/// Whether the share of requests that the target gets through the edge is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SplitKnowledge {
    /// The edge splits by the weight that was applied, request by request.
    #[default]
    Known,
    /// Others decide who asks whom, as resolvers and caches do with DNS weights. Only failure
    /// *rates* can be compared then, and a share that differs from the weight means nothing.
    Unknown,
}

/// What a judge is told besides the objectives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JudgeSettings {
    /// The chance of a false breach, between 0 and 0.5 (exclusive).
    pub alpha: f64,
    /// `None` if this judge spends all of `alpha`. The `j`-th judge of a run, from 1, gets
    /// `alpha/(j(j+1))`: these sum to `alpha` however many there will be.
    pub nth: Option<u32>,
    /// How much is known about the split at the edge.
    pub edge: SplitKnowledge,
}

impl JudgeSettings {
    /// The only judge of a run whose edge splits by weight.
    #[must_use]
    pub fn new(alpha: f64) -> Self {
        JudgeSettings {
            alpha,
            nth: None,
            edge: SplitKnowledge::Known,
        }
    }

    /// What this judge may spend of `alpha`.
    #[must_use]
    pub fn alpha_here(&self) -> f64 {
        self.nth.map_or(self.alpha, |nth| {
            let j = f64::from(nth.max(1));
            self.alpha / (j * (j + 1.0))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_judges_of_a_run_together_spend_alpha() {
        let nth = |nth| JudgeSettings {
            nth: Some(nth),
            ..JudgeSettings::new(0.01)
        };
        assert!((nth(1).alpha_here() - 0.005).abs() < 1e-15);
        let sum: f64 = (1..=10_000).map(|j| nth(j).alpha_here()).sum();
        assert!(sum < 0.01 && sum > 0.009_99, "{sum}");
    }
}
