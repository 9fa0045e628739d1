//! Evaluation of schedules: pure functions of an instant, in epoch ms, that read no clock.
//!
//! A schedule follows its zone's wall clock, evaluated at whole minutes of the epoch. A skipped hour therefore matches
//! nothing and a repeated hour matches twice, as for Python clients on the same table. Instants are found by arithmetic
//! on the sets of a [`Cron`](crate::model::schedule::Cron), month by month within spans of constant offset, and never
//! by trying minutes: a search takes about a microsecond.
//!
//! | module | question |
//! |---|---|
//! | [`days`] | Which days, and which minutes of a day, does an expression match? |
//! | [`search`] | When does an expression next match, or cease to, in its zone? |
//! | [`edges`] | When is a quota restored, and when was it? |
//! | [`phase`] | Which parameters hold at an instant, and until when? |
//! | [`accrual`] | What does a limit gain over several phases, and how long does a request wait? |

pub(crate) mod accrual;
mod days;
pub(crate) mod edges;
#[cfg(test)]
mod naive;
pub(crate) mod phase;
#[cfg(test)]
mod properties;
mod search;
#[cfg(test)]
mod vectors;

/// A whole minute, in ms.
const MINUTE: i64 = 60_000;

/// The minutes of a day.
const DAY: i64 = 1_440;
