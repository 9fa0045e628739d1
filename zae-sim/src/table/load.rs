//! The write units that one partition takes in a second: [`Partition`].

/// Write units a second that DynamoDB takes for one partition.
pub const UNITS_PER_SECOND: u64 = 1_000;
/// Thousandths of a unit.
const MILLI: u64 = 1_000;

/// The load of a partition.
#[derive(Clone, Copy, Debug)]
pub struct Partition {
    /// In thousandths of a unit.
    left: u64,
    at_ms: u64,
}

impl Default for Partition {
    fn default() -> Self {
        Self { left: UNITS_PER_SECOND * MILLI, at_ms: 0 }
    }
}

impl Partition {
    /// Takes `units` at `now` (ms) if it can.
    pub fn takes(&mut self, units: u64, now: u64) -> bool {
        let gained = now.saturating_sub(self.at_ms) * UNITS_PER_SECOND * MILLI / 1_000;
        self.left = (self.left + gained).min(UNITS_PER_SECOND * MILLI);
        self.at_ms = self.at_ms.max(now);
        let takes = self.left >= units * MILLI;
        if takes {
            self.left -= units * MILLI;
        }
        takes
    }
}
