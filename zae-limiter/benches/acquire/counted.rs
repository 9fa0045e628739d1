//! Counts of calls, writes and write units in driven time, the same in every run.

use std::{future::Future, time::Duration};

use zae_limiter::Reserve;

use zae_testkit::measures;

use super::{
    Effort,
    table::{Bound, Row},
};

/// Time does not advance during work.
fn driven<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(work)
}

pub(crate) fn rows(effort: Effort) -> Vec<Row> {
    let at_most = |measure: &str, reference: &str, most: f64, measured: f64| {
        Row::count(measure, "", Bound::AtMost(most), measured).reference(reference)
    };
    let (alone, cascade) = driven(measures::first_acquire());
    let (fresh, stale) = driven(measures::refill());
    let seconds = effort.of(20, 2);
    let call = |reserve| driven(measures::llm_call(reserve, Duration::from_secs(seconds)));
    let (strict, reserved) = (call(Reserve::Off), call(Reserve::Parents));
    let project = driven(measures::project(Duration::from_secs(effort.of(10, 2))));
    let (processes, rate) = effort.of((32, 1_000), (8, 250));
    let (writes, granted) = driven(measures::overload(processes, rate, Duration::from_secs(120)));
    let acquires = effort.of(1_000_000, 50_000);
    vec![
        at_most(
            "writes per acquire, hot bucket, 64 tasks",
            "1.0",
            0.03,
            driven(measures::hot_bucket(effort.of(1_000, 100))),
        ),
        at_most(
            "writes per acquire, 64 children, hot parent",
            "2.0",
            1.05,
            driven(measures::hot_parent(effort.of(200, 30))),
        ),
        at_most("calls of a new entity's first acquire", "5", 3.0, alone as f64),
        at_most("the same with a new parent", "8", 4.0, cascade as f64),
        at_most("calls per refusal, 10 000 in 5 s", "~0 for 1 s, then 1", 0.001, driven(measures::refusals())),
        at_most("writes per acquire + adjust", "2.0", 0.06, driven(measures::adjusted(effort.of(500, 60)))),
        at_most("round trips when a refill is due, fresh image", "3", 1.0, fresh as f64),
        at_most("the same with a stale image", "3", 2.0, stale as f64),
        at_most("WRU per LLM call, cascade, strict", "8", 4.0, strict),
        at_most("WRU per LLM call, cascade, reserved parent", "8", 2.3, reserved),
        at_most("writes/s on one project, 32 processes, 10 000/s", "10 000", 500.0, project),
        at_most("writes per acquire from a reserve", "–", 0.002, driven(measures::reserved(acquires)))
            .note(format!("{acquires} acquires")),
        at_most("writes per request at twice the rate", "~1", 0.05, writes).note(format!("{processes} processes")),
        Row::count("granted / permitted at twice the rate", "", Bound::Between(0.99, 1.0), granted)
            .note(format!("{processes} processes")),
    ]
}
