//! The calls of a workload to DynamoDB a second, by the formulas of `docs/scale.md`.

/// Round trips to DynamoDB take about so many seconds.
const ROUND_TRIP: f64 = 0.005;
/// A process reads the limits of a key once in so many seconds.
const CONFIG_LIFE: f64 = 60.0;
/// Asks of a process within a reserve's life that it takes to debit ahead.
const BUSY: f64 = 5.4;
/// Fills of a reserve within its life, those included that meet a neighbour's.
const FILLS: f64 = 4.0;
/// Asks a second of one key from which processes know that they share it.
const SHARED: f64 = 500.0;

/// Decisions of a fleet, all keys alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Workload {
    /// Decisions a second; with [`Debits::Counted`] writes.
    pub(super) decisions: f64,
    pub(super) processes: f64,
    pub(super) keys: f64,
    pub(super) debits: Debits,
    /// Part of the decisions that are corrected by a write of their own.
    pub(super) settled: f64,
    pub(super) indexes: Indexes,
    pub(super) aggregation: Aggregation,
}

/// The time at which tokens are debited.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Debits {
    /// The rate is that of the writes themselves.
    Counted,
    EachDecision,
    /// For so many seconds in advance.
    Ahead {
        life: f64,
    },
}

/// The indexes that a bucket's item is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Indexes {
    Standard,
    Lean,
}

/// The aggregator of the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aggregation {
    None,
    Deployed,
}

/// A rate with the words that explain it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CallRate {
    pub(super) per_second: f64,
    pub(super) because: String,
}

impl Workload {
    /// Returns the decisions a second on one key.
    fn per_key(&self) -> f64 {
        self.decisions / self.keys
    }

    /// Returns the writes a second of acquires.
    pub(super) fn acquires(&self) -> CallRate {
        match self.debits {
            Debits::Counted => CallRate { per_second: self.decisions, because: "counted".to_owned() },
            Debits::EachDecision => self.strict(),
            Debits::Ahead { life } => {
                let is_busy = life > 0.0 && self.per_key() / self.processes * life >= BUSY;
                let ahead = FILLS * self.processes / life * self.keys;
                let strict = self.strict();
                if is_busy && ahead < strict.per_second {
                    let because = format!("{FILLS} fills in {life} s of {} processes on each key", self.processes);
                    return CallRate { per_second: ahead, because };
                }
                let because = format!("{}; too few asks of each process to debit ahead", strict.because);
                CallRate { because, ..strict }
            }
        }
    }

    /// Returns the writes a second where each decision is one, or part of one.
    fn strict(&self) -> CallRate {
        let (contention, why) = if self.processes <= 1.0 {
            (1.0, "one for each decision")
        } else if self.per_key() >= SHARED {
            (1.13, "1.13 for each decision of processes that share a key")
        } else {
            (2.0, "at most 2 for each decision of processes that share a key")
        };
        let each = self.decisions * contention;
        // One write of a process is in flight at a time, and serves all who wait.
        let shared = self.processes / ROUND_TRIP * self.keys;
        if shared < each {
            let because = "one in flight for each process and key, in 5 ms".to_owned();
            return CallRate { per_second: shared, because };
        }
        CallRate { per_second: each, because: why.to_owned() }
    }

    /// Returns the writes a second of corrections.
    pub(super) fn settlements(&self) -> CallRate {
        let because = format!("{}% of decisions", (self.settled * 100.0).round());
        CallRate { per_second: self.decisions * self.settled, because }
    }

    /// Returns the reads of limits a second.
    pub(super) fn reads(&self) -> CallRate {
        let refreshed = self.processes * self.keys / CONFIG_LIFE;
        if refreshed < self.decisions {
            let because = "each process reads the limits of each key once a minute".to_owned();
            return CallRate { per_second: refreshed, because };
        }
        CallRate { per_second: self.decisions, because: "at most one for each decision".to_owned() }
    }
}

impl Indexes {
    /// Returns the write units of one write.
    pub(super) fn units(self) -> f64 {
        match self {
            Self::Standard => 2.0,
            Self::Lean => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(decisions: f64, processes: f64, keys: f64) -> Workload {
        Workload {
            decisions,
            processes,
            keys,
            debits: Debits::EachDecision,
            settled: 0.0,
            indexes: Indexes::Standard,
            aggregation: Aggregation::Deployed,
        }
    }

    /// The rows of `docs/scale.md`.
    #[test]
    fn the_table_of_the_guide_is_met() {
        for (decisions, processes, keys, writes) in [
            (1_000.0, 10.0, 1.0, 1_130.0),
            (500.0, 250.0, 1.0, 565.0),
            (2_000.0, 250.0, 1.0, 2_260.0),
            (10_000.0, 100.0, 1_000.0, 20_000.0),
            (1_000_000.0, 10_000.0, 10_000_000.0, 2_000_000.0),
        ] {
            assert!((fleet(decisions, processes, keys).acquires().per_second - writes).abs() < 1e-6, "{decisions}");
        }
    }

    #[test]
    fn a_busy_reserve_writes_by_its_life_and_a_quiet_one_by_its_decisions() {
        let reserve = |life| Workload { debits: Debits::Ahead { life }, ..fleet(2_000.0, 10.0, 1.0) };
        assert!((reserve(1.0).acquires().per_second - 40.0).abs() < 1e-9);
        let quiet = Workload { debits: Debits::Ahead { life: 1.0 }, ..fleet(500.0, 250.0, 1.0) };
        assert!((quiet.acquires().per_second - fleet(500.0, 250.0, 1.0).acquires().per_second).abs() < 1e-9);
        // A life of nothing debits nothing ahead.
        assert!((reserve(0.0).acquires().per_second - 2_000.0).abs() < 1e-9);
    }

    #[test]
    fn one_process_shares_a_write_among_all_that_wait() {
        assert!((fleet(5_000.0, 1.0, 1.0).acquires().per_second - 200.0).abs() < 1e-9);
    }

    #[test]
    fn limits_are_read_once_a_minute_and_never_more_often_than_asked() {
        assert!((fleet(1_000.0, 60.0, 10.0).reads().per_second - 10.0).abs() < 1e-9);
        assert!((fleet(1.0, 60.0, 10.0).reads().per_second - 1.0).abs() < 1e-9);
    }
}
