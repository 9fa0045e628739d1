//! The fan-outs that an apply owes: recorded before each change, and taken off the record once all buckets are told.
//!
//! An apply that ends in between leaves its records, with a lease of somewhat more than the longest time that a Lambda
//! function may run. The next apply takes over those whose lease has run out, whoever left them: this crate's, or the
//! Python package's limits function. It does the work from what the table then says.

use std::collections::BTreeSet;

use ulid::Ulid;
use zae_limiter::{
    Clock, Limit, Limits, Repository, RepositoryError, SystemClock,
    provision::{Fanout, FanoutKind, FanoutLease},
};

use super::plan::{Compared, Content, Item, Stored};

/// The life of a record's lease, in ms: a function's longest run, and a minute for clocks that differ.
const LEASE_MS: i64 = 960_000;

/// The fan-outs that one apply owes.
#[derive(Debug)]
pub(super) struct Debts<'a> {
    repository: &'a Repository,
    lease: FanoutLease,
    /// Recorded under this apply's token.
    owed: BTreeSet<Fanout>,
    /// Keys of records that only newer clients understand.
    unknown: Vec<String>,
}

impl<'a> Debts<'a> {
    /// Takes over what others have left.
    pub(super) async fn take_over(repository: &'a Repository) -> Result<Self, RepositoryError> {
        let until = SystemClock.now_ms().saturating_add(LEASE_MS);
        let lease = FanoutLease::new(Ulid::new().to_string(), until);
        let mut debts = Self { repository, lease, owed: BTreeSet::new(), unknown: Vec::new() };
        for record in repository.pending_fanouts().await? {
            match &record.fanout {
                None => debts.unknown.push(record.key),
                Some(fanout) => {
                    if repository.claim_fanout(&record, &debts.lease).await? {
                        debts.owed.insert(fanout.clone());
                    }
                }
            }
        }
        Ok(debts)
    }

    /// Records what the change of `compared` will owe. Comes before the change.
    pub(super) async fn promise(&mut self, compared: &Compared) -> Result<(), RepositoryError> {
        for fanout in owed(compared) {
            self.repository.promise_fanout(&fanout, &self.lease).await?;
            self.owed.insert(fanout);
        }
        Ok(())
    }

    /// Takes off the record what the change of `compared` has done.
    pub(super) async fn done(&mut self, compared: &Compared) -> Result<(), RepositoryError> {
        for fanout in owed(compared) {
            self.repository.release_fanout(&fanout, &self.lease).await?;
            self.owed.remove(&fanout);
        }
        Ok(())
    }

    /// Does what is left, and returns the number of records that remain. What fails stays on the record for the next
    /// apply, and is told in `errors`.
    pub(super) async fn settle(self, errors: &mut Vec<String>) -> usize {
        for fanout in &self.owed {
            let done = async {
                self.repository.finish_fanout(fanout).await?;
                self.repository.release_fanout(fanout, &self.lease).await
            };
            if let Err(error) = done.await {
                errors.push(format!("tell buckets of {fanout}: {error} (retried by the next apply)"));
                // Without it, the next apply waits until the lease has run out.
                if let Err(error) = self.repository.expire_fanout(fanout, &self.lease).await {
                    tracing::warn!(%fanout, %error, "the lease of a fan-out stays until it runs out");
                }
            }
        }
        for key in &self.unknown {
            errors.push(format!("{key} is a fan-out that only a newer release can do: apply with that one"));
        }
        match self.repository.pending_fanouts().await {
            Ok(left) => left.len(),
            Err(error) => {
                errors.push(format!("count the fan-outs that are left: {error}"));
                0
            }
        }
    }
}

/// The fan-outs that the change of an item owes.
fn owed(compared: &Compared) -> Vec<Fanout> {
    let target = compared.item.config_target();
    let declared = compared.declared.clone().unwrap_or_default();
    let nothing = Content::default();
    let stored = match &compared.stored {
        Stored::Content(stored) => Some(stored),
        Stored::Absent => Some(&nothing),
        // Nobody knows what differs.
        Stored::Broken(_) => None,
    };
    let differs = |different: fn(&Content, &Content) -> bool| stored.is_none_or(|stored| different(stored, &declared));
    let of_entity = matches!(compared.item, Item::Entity(..));
    let kinds = [
        (FanoutKind::Disabled, target.is_some() && differs(|a, b| a.access != b.access)),
        (FanoutKind::Cascade, target.is_some() && differs(|a, b| a.cascade != b.cascade)),
        (FanoutKind::Soft, !of_entity && differs(|a, b| soft(a.limits.as_ref()) != soft(b.limits.as_ref()))),
        (FanoutKind::Sync, of_entity && differs(|a, b| a.limits != b.limits)),
    ];
    kinds.into_iter().filter(|(_, due)| *due).map(|(kind, _)| Fanout::new(kind, target.clone())).collect()
}

/// The names of the soft limits.
fn soft(limits: Option<&Limits>) -> BTreeSet<&str> {
    let limits = limits.into_iter().flat_map(Limits::iter);
    limits.filter(|limit| limit.is_soft()).map(|limit: &Limit| limit.name().as_str()).collect()
}
