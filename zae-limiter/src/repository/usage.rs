//! Reads consumption over time.
//!
//! Snapshots of an entity are stored under it by resource and time; those of a resource are found in an index by time.
//! Filters for the window's length and time span are applied here, after reading: the keys have no room for them, and
//! most queries select most of the snapshots. Reading ends early if keys are ordered by time.

use std::collections::BTreeMap;

use super::Repository;
use crate::{
    error::{RepositoryError, ValidationError, ValidationReason},
    model::{
        name::{EntityId, IntoName, ResourceName},
        usage::{UsageOf, UsagePage, UsageQuery, UsageSnapshot, UsageSummary, UsageWindow},
    },
    store::{Order, Query},
    wire::{Item, keys, time, usage},
};

/// Maximum number of items per request.
const READ: u32 = 1_000;
/// Minimum number of items per request: filters may leave little of a page, and one request for many items costs no
/// more than many for a few.
const READ_AT_LEAST: u32 = 100;

/// The part of a query that DynamoDB reads, and the filters that apply after that.
struct Reading<'a> {
    /// The part of the table.
    query: Query,
    /// True if the order is by time alone, so that reading can end at the start of the requested time span.
    by_time: bool,
    /// The requested length.
    window: Option<&'a UsageWindow>,
    /// The earliest start, as text.
    since: Option<String>,
    /// The latest start, as text.
    until: Option<String>,
}

impl<'a> Reading<'a> {
    /// Converts a query into a part of the table and filters.
    fn new(ns: &str, query: &'a UsageQuery) -> Self {
        let (place, by_time) = match &query.of {
            UsageOf::Entity(entity) => {
                (Query::table(keys::pk_entity(ns, entity.as_str())).prefix(keys::USAGE_PREFIX), false)
            }
            UsageOf::EntityResource(entity, resource) => {
                let prefix = keys::sk_usage(resource.as_str(), "");
                (Query::table(keys::pk_entity(ns, entity.as_str())).prefix(prefix), true)
            }
            UsageOf::Resource(resource) => {
                (Query::index("GSI2", keys::gsi2_pk_resource(ns, resource.as_str())).prefix("USAGE#"), true)
            }
        };
        Self {
            query: place.order(Order::Descending),
            by_time,
            window: query.window.as_ref(),
            since: query.since_ms.map(time::timestamp_from),
            until: query.until_ms.map(time::timestamp),
        }
    }

    /// Returns true if the query selects a snapshot.
    fn wants(&self, snapshot: &UsageSnapshot) -> bool {
        self.window.is_none_or(|window| *window == snapshot.window) && self.is_within(&snapshot.window_start)
    }

    /// Returns true if a start is in the span.
    fn is_within(&self, start: &str) -> bool {
        self.since.as_deref().is_none_or(|since| start >= since)
            && self.until.as_deref().is_none_or(|until| start <= until)
    }

    /// Returns true if all following snapshots start too early.
    fn is_past(&self, start: &str) -> bool {
        self.by_time && self.since.as_deref().is_some_and(|since| start < since)
    }
}

/// The selected snapshots of one page, and the start of the next page.
struct Read {
    /// Snapshots with their items, from which a cursor is derived.
    snapshots: Vec<(UsageSnapshot, Item)>,
    /// The key to continue after.
    next: Option<Item>,
}

impl Repository {
    /// Returns one page of the snapshots that `query` selects.
    ///
    /// Cancel safe: it only reads.
    ///
    /// Filters are applied before pages are counted: only the last page can be short. Snapshots are written by the
    /// aggregator, and disappear when their retention ends. Days and months written by the Python package's aggregator
    /// may count the hour or day that starts at the same instant twice.
    ///
    /// Costs one read unit per 8 KB of snapshots; for a resource, with the lean index of a deployment, one more per
    /// snapshot.
    ///
    /// # Errors
    /// [`RepositoryError::Invalid`] if the limit is 0 or the cursor belongs to another query,
    /// [`RepositoryError::Store`] if the table cannot be read.
    ///
    /// ```
    /// # async fn f(repository: zae_limiter::Repository) -> Result<(), zae_limiter::RepositoryError> {
    /// use zae_limiter::{EntityId, usage::UsageQuery};
    /// let mut query = UsageQuery::entity(EntityId::new("key-1")?);
    /// loop {
    ///     let page = repository.usage_snapshots(&query).await?;
    ///     for snapshot in &page.snapshots {
    ///         println!("{} {}: {:?}", snapshot.window_start, snapshot.resource, snapshot.counters);
    ///     }
    ///     let Some(next) = page.next else { break };
    ///     query = query.cursor(next);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn usage_snapshots(&self, query: &UsageQuery) -> Result<UsagePage, RepositoryError> {
        if query.limit == 0 {
            return Err(ValidationError::new("limit", "0", ValidationReason::NotPositive).into());
        }
        let wanted = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let reading = Reading::new(self.ns(), query);
        let mut request = reading.query.clone().limit(query.limit.saturating_add(1).clamp(READ_AT_LEAST, READ));
        if let Some(cursor) = &query.cursor {
            request = request.after(cursor)?;
        }
        let mut page = UsagePage::default();
        let mut last: Option<Item> = None;
        loop {
            let read = self.read_usage(&reading, &request).await?;
            for (snapshot, item) in read.snapshots {
                if page.snapshots.len() == wanted {
                    page.next = last.as_ref().and_then(|item| reading.query.cursor(item));
                    return Ok(page);
                }
                page.snapshots.push(snapshot);
                last = Some(item);
            }
            if read.next.is_none() {
                return Ok(page);
            }
            request = request.start(read.next);
        }
    }

    /// Reads the snapshot of the current window; `None` if nothing is counted in it yet.
    ///
    /// It lags by the seconds that the aggregator takes. Costs half a read unit. Windows of an unknown length have no
    /// snapshot.
    ///
    /// Cancel safe: it only reads.
    ///
    /// # Errors
    /// [`RepositoryError::Invalid`] for an invalid name, [`RepositoryError::Store`] if the table cannot be read.
    ///
    /// ```
    /// # async fn f(repository: zae_limiter::Repository) -> Result<(), zae_limiter::RepositoryError> {
    /// use zae_limiter::usage::UsageWindow;
    /// let today = repository.current_usage("key-1", "gpt-5", &UsageWindow::Daily).await?;
    /// println!("{:?}", today.map(|today| today.counters));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn current_usage(
        &self,
        entity: impl IntoName<EntityId>,
        resource: impl IntoName<ResourceName>,
        window: &UsageWindow,
    ) -> Result<Option<UsageSnapshot>, RepositoryError> {
        let (entity, resource) = (entity.into_name()?, resource.into_name()?);
        let Some(start) = usage::window_start(self.now_ms(), window) else { return Ok(None) };
        // Windows of different lengths that start at the same instant have keys with a common prefix.
        let begins = keys::sk_usage(resource.as_str(), &start);
        let query = Query::table(keys::pk_entity(self.ns(), entity.as_str())).prefix(begins);
        let page = self.store().query_page(&query).await?;
        Ok(page.items.iter().filter_map(usage::decode).find(|snapshot| snapshot.window == *window))
    }

    /// Reads a page and applies the filters.
    async fn read_usage(&self, reading: &Reading<'_>, request: &Query) -> Result<Read, RepositoryError> {
        let page = self.store().query_page(request).await?;
        let (mut items, mut next) = (page.items, page.next);
        let is_past = |item: &Item| usage::start(item).is_some_and(|start| reading.is_past(start));
        if let Some(end) = items.iter().position(is_past) {
            items.truncate(end);
            next = None;
        }
        items.retain(|item| usage::start(item).is_some_and(|start| reading.is_within(start)));
        let items = self.store().whole(items, usage::START).await?;
        let snapshots = items.into_iter().filter_map(|item| Some((usage::decode(&item)?, item)));
        Ok(Read { snapshots: snapshots.filter(|(snapshot, _)| reading.wants(snapshot)).collect(), next })
    }

    /// Returns the totals of all snapshots that `query` selects; its limit and cursor are ignored.
    ///
    /// Cancel safe: it only reads.
    ///
    /// Windows of different lengths count the same consumption, so only one length is added up: the query's, otherwise
    /// the shortest with snapshots.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use zae_limiter::{EntityId, Repository, usage::UsageQuery};
    ///
    /// let repository = Repository::embedded().await?;
    /// let summary = repository.usage_summary(&UsageQuery::entity(EntityId::new("key-1")?)).await?;
    /// println!("{} windows", summary.snapshot_count); // 0 here: the aggregator of a deployed stack counts usage
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RepositoryError::Store`] if the table cannot be read.
    pub async fn usage_summary(&self, query: &UsageQuery) -> Result<UsageSummary, RepositoryError> {
        let reading = Reading::new(self.ns(), query);
        let mut request = reading.query.clone().limit(READ);
        let mut by_window: BTreeMap<UsageWindow, UsageSummary> = BTreeMap::new();
        loop {
            let read = self.read_usage(&reading, &request).await?;
            for (snapshot, _) in read.snapshots {
                by_window.entry(snapshot.window.clone()).or_default().add(&snapshot);
            }
            if read.next.is_none() {
                break;
            }
            request = request.start(read.next);
        }
        // In the order of their declaration, which is that of their lengths.
        Ok(by_window.into_iter().next().map_or_else(UsageSummary::default, |(window, summary)| UsageSummary {
            window: Some(window),
            ..summary.averaged()
        }))
    }
}

impl UsageSummary {
    /// Adds one snapshot.
    fn add(&mut self, snapshot: &UsageSnapshot) {
        self.snapshot_count += 1;
        for (limit, tokens) in &snapshot.counters {
            let total = self.totals.entry(limit.clone()).or_default();
            total.total = total.total.saturating_add(*tokens);
            total.snapshots += 1;
        }
        let start = &snapshot.window_start;
        if self.min_window_start.as_ref().is_none_or(|min| start < min) {
            self.min_window_start = Some(start.clone());
        }
        if self.max_window_start.as_ref().is_none_or(|max| start > max) {
            self.max_window_start = Some(start.clone());
        }
    }

    /// Computes the averages at the end.
    fn averaged(mut self) -> Self {
        for total in self.totals.values_mut() {
            total.average = total.total as f64 / total.snapshots as f64;
        }
        self
    }
}
