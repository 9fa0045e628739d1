//! Consumption over time, [`UsageSnapshot`] and [`UsageSummary`], and its queries.
//!
//! Snapshots are counters per entity, resource and window, which an aggregator adds up from the table's change stream
//! (see [`stream`](crate::stream)). They lag by seconds and count net consumption: a refund subtracts from the count.
//! They are for billing and dashboards, and do not affect acquires.

use std::{collections::BTreeMap, convert::Infallible, fmt, str::FromStr};

use serde::{Serialize, Serializer};

use crate::model::name::{EntityId, LimitName, ResourceName};

/// The length of a snapshot's window.
///
/// ```
/// use zae_limiter::usage::UsageWindow;
/// assert_eq!("daily".parse(), Ok(UsageWindow::Daily));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum UsageWindow {
    /// An hour.
    Hourly,
    /// A day, UTC.
    Daily,
    /// A calendar month, UTC.
    Monthly,
    /// A window of a newer aggregator, as stored.
    Other(String),
}

impl UsageWindow {
    /// Returns the stored text, for example `hourly`.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Monthly => "monthly",
            Self::Other(text) => text,
        }
    }
}

impl fmt::Display for UsageWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for UsageWindow {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = [Self::Hourly, Self::Daily, Self::Monthly];
        Ok(known.into_iter().find(|window| window.as_str() == text).unwrap_or_else(|| Self::Other(text.to_owned())))
    }
}

impl Serialize for UsageWindow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// One entity's consumption of one resource within one window.
///
/// See [`UsagePage`] for an example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UsageSnapshot {
    /// The entity.
    pub entity_id: EntityId,
    /// The resource.
    pub resource: ResourceName,
    /// The window's length.
    #[serde(rename = "window_type")]
    pub window: UsageWindow,
    /// Its first second, `YYYY-MM-DDTHH:MM:SSZ`.
    pub window_start: String,
    /// Its last second; equal to the first one if the length is unknown.
    pub window_end: String,
    /// Net consumption in whole tokens by limit; negative if more was given back than taken.
    pub counters: BTreeMap<LimitName, i64>,
    /// Number of times that a soft limit was left in debt, by limit.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub overdrawn: BTreeMap<LimitName, i64>,
    /// Number of changes that were counted.
    pub total_events: i64,
}

/// The consumption to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UsageOf {
    /// One entity, all resources.
    Entity(EntityId),
    /// One entity, one resource.
    EntityResource(EntityId, ResourceName),
    /// One resource, all entities, by an index.
    Resource(ResourceName),
}

/// Selects the snapshots to read: those of an entity, of an entity and a resource, or of a resource across all
/// entities.
///
/// ```
/// use zae_limiter::{EntityId, ResourceName, usage::{UsageQuery, UsageWindow}};
/// let query = UsageQuery::entity(EntityId::new("key-1")?)
///     .resource(ResourceName::new("gpt-4")?)
///     .window(UsageWindow::Daily)
///     .since_ms(1_767_225_600_000)
///     .limit(30);
/// # Ok::<(), zae_limiter::ValidationError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UsageQuery {
    /// The partition that is read.
    pub(crate) of: UsageOf,
    /// The length of windows; `None` for all lengths.
    pub(crate) window: Option<UsageWindow>,
    /// The earliest start, in epoch ms.
    pub(crate) since_ms: Option<i64>,
    /// The latest start, in epoch ms.
    pub(crate) until_ms: Option<i64>,
    /// Maximum number of snapshots per page.
    pub(crate) limit: u32,
    /// The position to continue from.
    pub(crate) cursor: Option<String>,
}

/// Default number of snapshots per page.
const DEFAULT_LIMIT: u32 = 100;

impl UsageQuery {
    /// Selects everything in `of`, a hundred per page.
    fn of(of: UsageOf) -> Self {
        Self { of, window: None, since_ms: None, until_ms: None, limit: DEFAULT_LIMIT, cursor: None }
    }

    /// Selects the consumption of `entity` for all resources, by resource and then newest first.
    pub fn entity(entity: EntityId) -> Self {
        Self::of(UsageOf::Entity(entity))
    }

    /// Selects the consumption of `resource` by all entities, newest first.
    pub fn of_resource(resource: ResourceName) -> Self {
        Self::of(UsageOf::Resource(resource))
    }

    /// Keeps only snapshots of `resource`.
    #[must_use]
    pub fn resource(mut self, resource: ResourceName) -> Self {
        self.of = match self.of {
            UsageOf::Entity(entity) | UsageOf::EntityResource(entity, _) => UsageOf::EntityResource(entity, resource),
            UsageOf::Resource(_) => UsageOf::Resource(resource),
        };
        self
    }

    /// Keeps only windows of this length.
    #[must_use]
    pub fn window(mut self, window: UsageWindow) -> Self {
        self.window = Some(window);
        self
    }

    /// Keeps only windows that start at this instant (epoch ms) or later.
    #[must_use]
    pub fn since_ms(mut self, epoch_ms: i64) -> Self {
        self.since_ms = Some(epoch_ms);
        self
    }

    /// Keeps only windows that start at this instant (epoch ms) or earlier.
    #[must_use]
    pub fn until_ms(mut self, epoch_ms: i64) -> Self {
        self.until_ms = Some(epoch_ms);
        self
    }

    /// Bounds the number of snapshots per page; 100 by default.
    #[must_use]
    pub fn limit(mut self, snapshots: u32) -> Self {
        self.limit = snapshots;
        self
    }

    /// Continues after the page with this [`UsagePage::next`].
    #[must_use]
    pub fn cursor(mut self, cursor: impl Into<String>) -> Self {
        self.cursor = Some(cursor.into());
        self
    }
}

/// A page of snapshots.
///
/// ```
/// use zae_limiter::{EntityId, Repository, RepositoryError, usage::{UsageQuery, UsageWindow}};
///
/// async fn print_days(repository: &Repository, key: EntityId) -> Result<(), RepositoryError> {
///     let mut query = UsageQuery::entity(key).window(UsageWindow::Daily);
///     loop {
///         let page = repository.usage_snapshots(&query).await?;
///         for day in &page.snapshots {
///             println!("{} {}: {:?}", day.window_start, day.resource, day.counters);
///         }
///         let Some(next) = page.next else { return Ok(()) };
///         query = query.cursor(next);
///     }
/// }
/// ```
///
/// Read by [`Repository::usage_snapshots`](crate::Repository::usage_snapshots). Filters apply before snapshots are
/// counted, so only the last page can be short.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UsagePage {
    /// The snapshots that match the query.
    pub snapshots: Vec<UsageSnapshot>,
    /// The cursor of the next page; opaque, valid for the same query only. `None` at the end.
    pub next: Option<String>,
}

/// The total consumption of one limit.
///
/// See [`UsageSummary`] for an example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct UsageTotal {
    /// Total in whole tokens.
    pub total: i64,
    /// Tokens per snapshot that names the limit.
    pub average: f64,
    /// Number of snapshots that name it.
    pub snapshots: u64,
}

/// The totals of all snapshots of a query.
///
/// ```
/// use zae_limiter::{EntityId, Repository, RepositoryError, usage::{UsageQuery, UsageWindow}};
///
/// async fn print_total(repository: &Repository, key: EntityId) -> Result<(), RepositoryError> {
///     let summary = repository.usage_summary(&UsageQuery::entity(key).window(UsageWindow::Daily)).await?;
///     for (limit, used) in &summary.totals {
///         println!("{limit}: {} in all, {:.0} a day", used.total, used.average);
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct UsageSummary {
    /// The length of the windows; `None` if there were none.
    pub window: Option<UsageWindow>,
    /// Number of snapshots.
    pub snapshot_count: u64,
    /// By limit.
    pub totals: BTreeMap<LimitName, UsageTotal>,
    /// The earliest window's start.
    pub min_window_start: Option<String>,
    /// The latest window's start.
    pub max_window_start: Option<String>,
}
