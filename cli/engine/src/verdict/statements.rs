//! What the judge promises and what it takes for granted, said in plain sentences.

use super::burst::{BURST_CAP, BURST_WINDOW};
use super::interval::two_digits;
use super::judge::Judge;
use super::report::GuardKind;
use super::settings::SplitKnowledge;
use super::{Channel, GuardReport};

impl Judge {
    /// How the chance of a false rollback is bounded: `at most 1 % false rollbacks over the run: 0.5 %
    /// for this driver, split over 7 guards`.
    #[must_use]
    pub fn alpha_statement(&self) -> String {
        let percent = |alpha: f64| format!("{} %", two_digits(100.0 * alpha));
        let whole = percent(self.settings.alpha);
        let here = match self.settings.nth {
            Some(_) => format!(
                ": {} for this driver, split",
                percent(self.settings.alpha_here())
            ),
            None => ", split".to_owned(),
        };
        let guards = self.guards().count();
        format!("at most {whole} false rollbacks over the run{here} over {guards} guards")
    }

    /// What the guards take for granted, one sentence each. Where it does not hold, α does not.
    #[must_use]
    pub fn assumptions(&self) -> Vec<String> {
        let reports: Vec<GuardReport> = self.guards().collect();
        let watches = |kind| reports.iter().any(|report| report.kind == kind);
        let versus_source = watches(GuardKind::VersusSource {
            channel: Channel::Edge,
        });
        let mut said = vec![
            format!(
                "what breaks within {BURST_WINDOW:?} may have one cause: of the bad requests of a \
                 stack in that time, {BURST_CAP} more than its bound explains count as evidence, \
                 however many there are"
            ),
            "apart from such bursts, requests fail independently of each other, given the state of \
             the stack that answers"
                .to_owned(),
            "bounds and proofs count every request, bursts in full".to_owned(),
        ];
        if versus_source {
            said.push("both stacks get the same mix of requests, at the same time".to_owned());
            said.push("what one stack does leaves the answers of the other alone".to_owned());
            said.push(match self.settings.edge {
                SplitKnowledge::Known => {
                    "the edge splits by weight, request by request; the share \
                                          of requests on the target is watched for that"
                        .to_owned()
                }
                SplitKnowledge::Unknown => "how requests reach the stacks is not known: failure \
                                            rates are compared, not whose failures they are"
                    .to_owned(),
            });
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use cutover_scenarios::plan::{Objective, Signal};

    use super::*;
    use crate::verdict::JudgeSettings;

    fn errors() -> [Objective; 1] {
        [Objective {
            name: "errors".to_owned(),
            signal: Signal::Errors,
            at_most: None,
            versus_source: Some(2.0),
        }]
    }

    #[test]
    fn the_division_of_alpha_is_said_in_one_sentence() {
        let said = |nth| Judge::nth(&errors(), 0.01, nth).alpha_statement();
        let first = "at most 1 % false rollbacks over the run: 0.5 % for this driver, split over 3 \
                     guards";
        assert_eq!(said(1), first);
        assert!(said(2).contains(": 0.17 % for this driver"), "{}", said(2));
        assert_eq!(
            Judge::new(&errors(), 0.05).alpha_statement(),
            "at most 5 % false rollbacks over the run, split over 3 guards"
        );
    }

    #[test]
    fn the_burst_rule_and_the_kind_of_split_are_said() {
        let known = Judge::new(&errors(), 0.01).assumptions();
        let burst = "what breaks within 80ms may have one cause: of the bad requests of a stack in \
                     that time, 3 more than its bound explains count as evidence, however many \
                     there are";
        assert_eq!(known[0], burst);
        let settings = JudgeSettings {
            edge: SplitKnowledge::Unknown,
            ..JudgeSettings::new(0.01)
        };
        let unknown = Judge::with(&errors(), settings);
        assert_eq!(unknown.guards().count(), 2, "no share can be expected");
        assert!(unknown.alpha_statement().ends_with("over 2 guards"));
        let last = unknown.assumptions().pop().unwrap_or_default();
        assert!(
            last.starts_with("how requests reach the stacks is not known"),
            "{last}"
        );
    }
}
