//! The write capacity of one partition: [`Partition`].

/// Write units per second that DynamoDB provides for one partition.
pub const UNITS_PER_SECOND: u64 = 1_000;

/// The load of a partition, second by second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Partition {
    second: u64,
    taken: u64,
}

impl Partition {
    /// Consumes `units` at `now` (ms) if they are available.
    pub fn takes(&mut self, units: u64, now: u64) -> bool {
        let second = now / 1_000;
        if second != self.second {
            *self = Self { second, taken: 0 };
        }
        let takes = self.taken + units <= UNITS_PER_SECOND;
        self.taken += if takes { units } else { 0 };
        takes
    }
}
