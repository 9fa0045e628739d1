//! The prices of calls, and their sum over a month.
//!
//! Prices are those of us-east-1 on demand: of DynamoDB since November 2024
//! (<https://aws.amazon.com/dynamodb/pricing/on-demand/>), of Lambda on x86 (<https://aws.amazon.com/lambda/pricing/>).
//! Free tiers are left out.

use serde::Serialize;

use super::workload::{Aggregation, Debits, Workload};

/// Dollars per million write units.
pub(super) const WRITES: f64 = 0.625;
/// Dollars per million read units.
pub(super) const READS: f64 = 0.125;
/// Dollars per GB and month.
const STORAGE: f64 = 0.25;
/// Dollars per million invocations.
const INVOCATIONS: f64 = 0.20;
/// Dollars per million GB seconds, on x86.
const GB_SECONDS: f64 = 16.6667;

/// Seconds in a month, as AWS counts it: 730 hours.
const MONTH: f64 = 730.0 * 3_600.0;
const MILLION: f64 = 1e6;
/// Read units of one read of limits: six keys, eventually consistent.
const UNITS_OF_A_READ: f64 = 3.0;
/// Kilobytes of a bucket's item with its copies in two indexes, at most.
const ITEM_KB: f64 = 3.0;
/// Records that one invocation takes, and the seconds that it waits for them.
const BATCH: f64 = 100.0;
const BATCH_WINDOW: f64 = 5.0;
/// Table writes of the aggregator for each record, at most.
const WRITES_OF_A_RECORD: f64 = 0.05;
/// Seconds and GB of one invocation.
const INVOCATION_SECONDS: f64 = 0.05;
const INVOCATION_GB: f64 = 0.25;

/// Dollars per million units.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tariff {
    pub(super) write: f64,
    pub(super) read: f64,
}

/// The estimate of a month.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Bill {
    pub(super) lines: Vec<BillLine>,
    pub(super) dollars: f64,
    /// `None` if nothing is decided, or the number of decisions is not known.
    pub(super) per_million_decisions: Option<f64>,
    pub(super) notes: Vec<String>,
}

/// One item of the bill.
#[derive(Clone, Debug, Serialize)]
pub(super) struct BillLine {
    pub(super) item: &'static str,
    /// Units a second; of storage: GB.
    pub(super) per_second: f64,
    /// Dollars.
    pub(super) price: f64,
    /// The units that the price is for.
    pub(super) per: &'static str,
    pub(super) dollars: f64,
    pub(super) arithmetic: String,
}

/// Creates the line of something that is paid by the million.
fn by_million(item: &'static str, per_second: f64, price: f64, arithmetic: String) -> BillLine {
    let dollars = per_second * MONTH / MILLION * price;
    BillLine { item, per_second, price, per: "/ million", dollars, arithmetic }
}

impl Bill {
    /// Adds up what `workload` costs in a month.
    pub(super) fn of(workload: &Workload, tariff: &Tariff) -> Self {
        let units = workload.indexes.units();
        let (acquires, settlements) = (workload.acquires(), workload.settlements());
        let writes = acquires.per_second + settlements.per_second;
        let mut lines = Vec::new();
        for (item, writes) in [("acquires", acquires), ("settlements", settlements)] {
            if item == "settlements" && writes.per_second == 0.0 {
                continue;
            }
            let each = format!("{} × {}", of(writes.per_second, "write"), of(units, "unit"));
            let arithmetic = format!("{each} ({})", writes.because);
            lines.push(by_million(item, writes.per_second * units, tariff.write, arithmetic));
        }
        let reads = workload.reads();
        let arithmetic = format!("{} reads × {UNITS_OF_A_READ} units ({})", figure(reads.per_second), reads.because);
        lines.push(by_million("limits", reads.per_second * UNITS_OF_A_READ, tariff.read, arithmetic));
        if workload.aggregation == Aggregation::Deployed {
            lines.extend(aggregator(writes, units, tariff));
        }
        let gigabytes = workload.keys * ITEM_KB / MILLION;
        let arithmetic = format!("{} × {ITEM_KB} KB, indexes included", of(workload.keys, "bucket"));
        let dollars = gigabytes * STORAGE;
        lines.push(BillLine {
            item: "storage",
            per_second: gigabytes,
            price: STORAGE,
            per: "/ GB",
            dollars,
            arithmetic,
        });
        let dollars = lines.iter().map(|line| line.dollars).sum();
        let decisions = workload.decisions * MONTH / MILLION;
        let is_known = workload.debits != Debits::Counted && decisions > 0.0;
        let per_million_decisions = is_known.then(|| dollars / decisions);
        Self { lines, dollars, per_million_decisions, notes: notes(workload, writes) }
    }
}

/// Creates the lines of the aggregator, which sees each write.
fn aggregator(writes: f64, units: f64, tariff: &Tariff) -> [BillLine; 3] {
    let invocations = (writes / BATCH).max(writes.min(1.0 / BATCH_WINDOW));
    let batches = format!("{} in batches of up to {BATCH}", of(writes, "record"));
    let each = format!("{} × {INVOCATION_SECONDS} s × {INVOCATION_GB} GB", of(invocations, "invocation"));
    let usage = format!("{WRITES_OF_A_RECORD} writes for each record × {}", of(units, "unit"));
    [
        by_million("usage stored", writes * WRITES_OF_A_RECORD * units, tariff.write, usage),
        by_million("invocations", invocations, INVOCATIONS, batches),
        by_million("compute", invocations * INVOCATION_SECONDS * INVOCATION_GB, GB_SECONDS, each),
    ]
}

/// Points out what an item does not take.
fn notes(workload: &Workload, writes: f64) -> Vec<String> {
    let units = writes / workload.keys;
    if units <= 1_000.0 {
        return Vec::new();
    }
    let rate = figure(units);
    vec![format!("Note: {rate} writes a second on one key; an item takes 1,000. Use a reserve, or shards on demand.")]
}

/// Writes a number of things.
fn of(number: f64, thing: &str) -> String {
    format!("{} {thing}{}", figure(number), if number == 1.0 { "" } else { "s" })
}

/// Writes a number with as many digits as tell something.
pub(super) fn figure(number: f64) -> String {
    let text = match number {
        n if n >= 100.0 => return super::count(n.round() as i128),
        n if n >= 1.0 => format!("{n:.3}"),
        n => format!("{n:.6}"),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::{super::workload::*, *};

    const TARIFF: Tariff = Tariff { write: WRITES, read: READS };

    fn workload(decisions: f64) -> Workload {
        Workload {
            decisions,
            processes: 1.0,
            keys: 1.0,
            debits: Debits::EachDecision,
            settled: 0.0,
            indexes: Indexes::Standard,
            aggregation: Aggregation::None,
        }
    }

    fn dollars(bill: &Bill, item: &str) -> f64 {
        bill.lines.iter().find(|line| line.item == item).unwrap().dollars
    }

    #[test]
    fn a_million_writes_cost_their_units() {
        // 2,628,000 s × 1 write × 2 units = 5.256 million units.
        let bill = Bill::of(&workload(1.0), &TARIFF);
        assert!((dollars(&bill, "acquires") - 5.256 * 0.625).abs() < 1e-9, "{bill:?}");
        let lean = Bill::of(&Workload { indexes: Indexes::Lean, ..workload(1.0) }, &TARIFF);
        assert!((dollars(&lean, "acquires") - 2.628 * 0.625).abs() < 1e-9, "{lean:?}");
    }

    #[test]
    fn the_sum_is_that_of_its_lines() {
        let all = Workload { settled: 0.5, aggregation: Aggregation::Deployed, ..workload(150.0) };
        let bill = Bill::of(&all, &TARIFF);
        let sum: f64 = bill.lines.iter().map(|line| line.dollars).sum();
        assert!((bill.dollars - sum).abs() < 1e-9);
        assert!((dollars(&bill, "settlements") * 2.0 - dollars(&bill, "acquires")).abs() < 1e-9);
    }

    #[test]
    fn a_quiet_stack_is_invoked_once_for_each_record_and_a_busy_one_by_full_batches() {
        let invocations = |decisions| {
            let bill = Bill::of(&Workload { aggregation: Aggregation::Deployed, ..workload(decisions) }, &TARIFF);
            bill.lines.iter().find(|line| line.item == "invocations").unwrap().per_second
        };
        assert!((invocations(0.01) - 0.01).abs() < 1e-12);
        assert!((invocations(10.0) - 0.2).abs() < 1e-12);
        assert!((invocations(200.0) - 2.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_costs_nothing_and_divides_by_nothing() {
        let bill = Bill::of(&workload(0.0), &TARIFF);
        assert_eq!(bill.per_million_decisions, None);
        assert!(bill.dollars < 0.01);
    }

    #[test]
    fn more_than_an_item_takes_is_pointed_out() {
        let hot = Workload { processes: 250.0, ..workload(2_000.0) };
        assert_eq!(Bill::of(&hot, &TARIFF).notes.len(), 1);
        assert_eq!(Bill::of(&workload(100.0), &TARIFF).notes.len(), 0);
    }

    #[test]
    fn figures_keep_what_matters() {
        for (number, text) in [(0.0, "0"), (0.05, "0.05"), (0.625, "0.625"), (16.6667, "16.667"), (1_130.0, "1,130")] {
            assert_eq!(figure(number), text);
        }
    }
}
