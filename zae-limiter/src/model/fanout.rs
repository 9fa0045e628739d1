//! Fan-outs that an apply of a manifest owes: [`Fanout`], and its record, [`PendingFanout`].
//!
//! Buckets carry copies of settings. Whoever changes a setting and ends before all buckets are told leaves copies that
//! nobody mends. So an apply records what it will owe before it changes anything, under a token of its own and with a
//! lease, and takes its token away once all buckets are told. Whoever finds a record whose leases have run out does the
//! work, from what the table says then. The format is that of the Python package's limits function.

use std::fmt;

use crate::model::access::ConfigTarget;

/// The copies that are brought in line.
///
/// See [`PendingFanout`] for an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum FanoutKind {
    /// Of the switch and the bypass.
    Disabled,
    /// Of the owner's facts, after a change of a policy.
    Cascade,
    /// The stamps of soft limits, after a change of a resource's or the system's defaults.
    Soft,
    /// An entity's limits.
    Sync,
}

impl FanoutKind {
    /// All kinds.
    pub(crate) const ALL: [Self; 4] = [Self::Disabled, Self::Cascade, Self::Soft, Self::Sync];

    /// Returns the kind as a word, for example `disabled`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Cascade => "cascade",
            Self::Soft => "soft",
            Self::Sync => "sync",
        }
    }
}

/// One fan-out: the copies, and the configuration whose buckets have them.
///
/// See [`PendingFanout`] for an example.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Fanout {
    /// The copies.
    pub kind: FanoutKind,
    /// The configuration that was changed; `None` for the system's.
    pub target: Option<ConfigTarget>,
}

impl Fanout {
    /// Names a fan-out.
    pub fn new(kind: FanoutKind, target: Option<ConfigTarget>) -> Self {
        Self { kind, target }
    }

    /// The level in a word.
    pub(crate) fn level(&self) -> &'static str {
        match self.target {
            None => "system",
            Some(ConfigTarget::Resource(_)) => "resource",
            Some(ConfigTarget::Entity(..)) => "entity",
        }
    }

    /// The target as text, empty for the system.
    pub(crate) fn target_text(&self) -> String {
        match &self.target {
            None => String::new(),
            Some(ConfigTarget::Resource(resource)) => resource.to_string(),
            Some(ConfigTarget::Entity(entity, scope)) => format!("{entity}/{scope}"),
        }
    }
}

impl fmt::Display for Fanout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.level())?;
        match &self.target {
            None => Ok(()),
            Some(_) => write!(f, " {}", self.target_text()),
        }
    }
}

/// The record of a fan-out that somebody owes.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_limiter::{Repository, access::ConfigTarget, provision::{Fanout, FanoutKind, FanoutLease}};
///
/// let repository = Repository::embedded().await?;
/// let fanout = Fanout::new(FanoutKind::Disabled, Some(ConfigTarget::resource("gpt-4")?));
/// let lease = FanoutLease::new("apply-1", 0); // it has run out already
/// repository.promise_fanout(&fanout, &lease).await?;
/// let pending = repository.pending_fanouts().await?.remove(0);
/// let mine = FanoutLease::new("apply-2", i64::MAX);
/// assert!(repository.claim_fanout(&pending, &mine).await?);
/// repository.finish_fanout(&fanout).await?;
/// repository.release_fanout(&fanout, &mine).await?;
/// assert!(repository.pending_fanouts().await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingFanout {
    /// The sort key of the record.
    pub key: String,
    /// The fan-out; `None` if it is of a kind that only newer clients know.
    pub fanout: Option<Fanout>,
    /// Those who owe it.
    pub(crate) owners: Vec<FanoutLease>,
    /// The owner in the older form, which had one.
    pub(crate) sole_owner: Option<FanoutLease>,
    /// True if the record has the map of owners, be it empty.
    pub(crate) has_map: bool,
}

impl PendingFanout {
    /// Returns true if somebody may take it over at `now` (epoch ms): an owner's lease has run out, or nobody owes it.
    pub fn is_claimable(&self, now: i64) -> bool {
        let mut owners = self.owners.iter().chain(&self.sole_owner).peekable();
        owners.peek().is_none() || owners.any(|owner| owner.has_run_out(now))
    }
}

/// The token of somebody who owes a fan-out, and the instant by which they have certainly ended.
///
/// See [`PendingFanout`] for an example.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FanoutLease {
    /// The token: letters, digits and `-`.
    pub token: String,
    /// The end of the lease, in epoch ms.
    pub until_ms: i64,
}

impl FanoutLease {
    /// A lease of `token` until `until_ms` (epoch ms).
    pub fn new(token: impl Into<String>, until_ms: i64) -> Self {
        Self { token: token.into(), until_ms }
    }

    /// Returns true if it has run out at `now` (epoch ms).
    pub(crate) fn has_run_out(&self, now: i64) -> bool {
        self.until_ms < now
    }
}
