//! The load that a partition takes.

use zae_sim::table::load::Partition;

#[test]
fn a_partition_takes_a_thousand_units_a_second() {
    let mut partition = Partition::default();
    let burst = (0..3_000).filter(|number| partition.takes(1, number / 10)).count();
    assert_eq!(burst, 1_000);
    assert!(!partition.takes(1, 999) && partition.takes(1_000, 1_000) && !partition.takes(1, 1_001));
}
