//! Values that cannot be wrong: each is checked when it is made, so no code after it checks again.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A share of traffic, exact to 0.01 %.
///
/// Held as parts per ten thousand, so that comparing, storing and printing never round.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(try_from = "u32", into = "u32")]
pub struct Weight(u32);

impl Weight {
    /// Nothing goes to the target.
    pub const ZERO: Weight = Weight(0);
    /// Everything goes to the target.
    pub const FULL: Weight = Weight(Self::SCALE);
    /// Parts that make up the whole.
    pub const SCALE: u32 = 10_000;

    /// A weight from parts per ten thousand.
    ///
    /// # Errors
    /// Above [`Weight::SCALE`].
    pub fn from_parts(parts: u32) -> Result<Self, String> {
        if parts > Self::SCALE {
            return Err(format!(
                "a weight is at most 100 %, found {} %",
                f64::from(parts) / 100.0
            ));
        }
        Ok(Weight(parts))
    }

    /// A weight from percent, exact to 0.01 %.
    ///
    /// # Errors
    /// Not a number, negative, above 100, or finer than 0.01 %.
    pub fn from_percent(percent: f64) -> Result<Self, String> {
        let parts = percent * 100.0;
        if !parts.is_finite() || !(0.0..=10_000.0).contains(&parts) {
            return Err(format!(
                "a weight lies between 0 % and 100 %, found {percent} %"
            ));
        }
        let rounded = parts.round();
        if (parts - rounded).abs() > 1e-6 {
            return Err(format!("a weight is exact to 0.01 %, found {percent} %"));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked above"
        )]
        Ok(Weight(rounded as u32))
    }

    /// Parts per ten thousand that go to the target.
    #[must_use]
    pub fn parts(self) -> u32 {
        self.0
    }

    /// Parts per ten thousand that stay with the source.
    #[must_use]
    pub fn rest(self) -> u32 {
        Self::SCALE - self.0
    }

    /// The share as a fraction between 0 and 1.
    #[must_use]
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(Self::SCALE)
    }
}

impl TryFrom<u32> for Weight {
    type Error = String;
    fn try_from(parts: u32) -> Result<Self, String> {
        Self::from_parts(parts)
    }
}

impl From<Weight> for u32 {
    fn from(weight: Weight) -> u32 {
        weight.0
    }
}

/// `25 %`, `0.5 %`.
impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", f64::from(self.0) / 100.0)
    }
}
