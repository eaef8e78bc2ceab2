//! Faults that the target shows once its weight reaches a percentage: `errors=20%@25`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use cutover_scenarios::units::Weight;
use serde::{Deserialize, Serialize};

/// How the demo service misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// This share of requests is answered with status 500; above 0, at most 1.
    Errors(f64),
    /// Every answer comes this much later.
    Latency(Duration),
    /// The process ends without a word.
    Crash,
    /// Requests are taken and never answered.
    Stall,
}

/// A fault and the weight from which the target shows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FaultAt {
    /// What happens.
    pub fault: Fault,
    /// From this weight of the target on.
    pub at: Weight,
}

impl FaultAt {
    /// How a fault is written, for help and errors.
    pub const SYNTAX: &'static str =
        "`errors=20%@25`, `latency=+300ms@50`, `crash@50` or `stall@10` (KIND@WEIGHT in percent)";
}

impl FromStr for FaultAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        read(text)
            .map_err(|problem| format!("fault `{text}`: {problem}; expected {}", Self::SYNTAX))
    }
}

impl fmt::Display for FaultAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fault {
            Fault::Errors(share) => write!(f, "errors={}%", share * 100.0)?,
            Fault::Latency(by) => write!(f, "latency=+{}ms", by.as_millis())?,
            Fault::Crash => f.write_str("crash")?,
            Fault::Stall => f.write_str("stall")?,
        }
        write!(f, "@{}", f64::from(self.at.parts()) / 100.0)
    }
}

fn read(text: &str) -> Result<FaultAt, String> {
    let (kind, at) = text.split_once('@').ok_or("no `@WEIGHT`")?;
    let percent = at.strip_suffix('%').unwrap_or(at);
    let percent: f64 = percent
        .parse()
        .map_err(|_| format!("`{at}` is no percentage"))?;
    let at = Weight::from_percent(percent)?;
    let (name, value) = match kind.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (kind, None),
    };
    let fault = match (name, value) {
        ("errors", Some(value)) => Fault::Errors(share(value)?),
        ("latency", Some(value)) => Fault::Latency(delay(value)?),
        ("crash", None) => Fault::Crash,
        ("stall", None) => Fault::Stall,
        ("errors" | "latency", None) => return Err(format!("`{name}` needs a value")),
        ("crash" | "stall", Some(_)) => return Err(format!("`{name}` takes no value")),
        _ => return Err(format!("unknown kind `{name}`")),
    };
    Ok(FaultAt { fault, at })
}

fn share(text: &str) -> Result<f64, String> {
    let wrong = || format!("`{text}` is no share of requests above 0 % and up to 100 %");
    let percent: f64 = text
        .strip_suffix('%')
        .ok_or_else(wrong)?
        .parse()
        .map_err(|_| wrong())?;
    if percent > 0.0 && percent <= 100.0 {
        Ok(percent / 100.0)
    } else {
        Err(wrong())
    }
}

fn delay(text: &str) -> Result<Duration, String> {
    const LONGEST_MS: u64 = 60_000;
    let wrong = || format!("`{text}` is no delay such as `+300ms`, up to {LONGEST_MS} ms");
    let millis = text
        .strip_prefix('+')
        .unwrap_or(text)
        .strip_suffix("ms")
        .ok_or_else(wrong)?;
    let millis: u64 = millis.parse().map_err(|_| wrong())?;
    if (1..=LONGEST_MS).contains(&millis) {
        Ok(Duration::from_millis(millis))
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_and_written_alike() {
        for text in [
            "errors=20%@25",
            "latency=+300ms@50",
            "crash@50",
            "stall@10",
            "crash@0.5",
        ] {
            assert_eq!(text.parse::<FaultAt>().unwrap().to_string(), text);
        }
        let spelled: FaultAt = "latency=300ms@50%".parse().unwrap();
        assert_eq!(spelled.to_string(), "latency=+300ms@50");
    }

    #[test]
    fn a_fault_that_is_not_one_says_what_is_wrong_and_what_is_right() {
        for (text, problem) in [
            ("errors=20%", "no `@WEIGHT`"),
            ("errors@25", "`errors` needs a value"),
            ("errors=0%@25", "`0%` is no share"),
            ("errors=120%@25", "`120%` is no share"),
            ("latency=fast@25", "`fast` is no delay"),
            ("crash=1@25", "`crash` takes no value"),
            ("fire@25", "unknown kind `fire`"),
            ("crash@140", "between 0 % and 100 %"),
            ("crash@half", "`half` is no percentage"),
        ] {
            let error = text.parse::<FaultAt>().unwrap_err();
            assert!(error.contains(problem), "{text}: {error}");
            assert!(
                error.contains("expected `errors=20%@25`"),
                "{text}: {error}"
            );
        }
    }
}
