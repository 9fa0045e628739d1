//! The load that a partition takes.

use zae_sim::table::load::Partition;

#[test]
fn a_partition_takes_a_thousand_units_a_second() {
    let mut partition = Partition::default();
    let burst = (0..3_000).filter(|_| partition.takes(1, 0)).count();
    assert_eq!(burst, 1_000);
    assert!(!partition.takes(1, 0) && partition.takes(1, 1) && !partition.takes(1, 1));
    let steady = (2..5_002).filter(|ms| partition.takes(1, *ms)).count();
    assert_eq!(steady, 5_000, "one in each ms");
}
