//! `bucket show`.

use serde::Serialize;
use zae_limiter::{
    EntityId, ResourceName,
    access::Access,
    usage::{BucketLimit, BucketState},
};

use super::Group;
use crate::cli::{
    CliError, Context,
    error::Doing,
    limit::per_period,
    output::{Align, Cell, Output, Page, Report, Table, Tone, units::count},
};

pub(super) async fn run(
    group: &Group,
    cx: &Context,
    out: &Output,
    entity_id: EntityId,
    resource: Option<ResourceName>,
) -> Result<(), CliError> {
    let repository = cx.repository(&group.namespace).await?;
    let mut buckets = repository.buckets(&entity_id).await.doing("read buckets")?;
    buckets.retain(|bucket| resource.as_ref().is_none_or(|resource| *resource == bucket.resource));
    out.show(&Buckets { entity_id, buckets })
}

#[derive(Serialize)]
struct Buckets {
    entity_id: EntityId,
    buckets: Vec<BucketState>,
}

impl Report for Buckets {
    fn page(&self, page: &mut Page) {
        if self.buckets.is_empty() {
            page.line(format!("No buckets for entity '{}'", self.entity_id));
            let why =
                page.paint(Tone::Dim, "a bucket is made by the first request, and removed when it was idle for long");
            return page.line(format!("  {why}"));
        }
        page.line(format!("Buckets of entity '{}':", self.entity_id));
        let right = |name| (name, Align::Right);
        let columns = [("Resource", Align::Left), ("Limit", Align::Left), right("Available"), right("Capacity")];
        let more = [right("Used"), right("Refill"), right("Consumed"), right("Shards")];
        let mut table = Table::new(columns.into_iter().chain(more));
        for bucket in &self.buckets {
            for limit in &bucket.limits {
                table.row(row(bucket, limit));
            }
        }
        page.table(&table);
        for bucket in self.buckets.iter().filter(|bucket| bucket.access == Access::Disabled) {
            let line = page.paint(Tone::Bad, &format!("{}: DISABLED, every acquire is refused", bucket.resource));
            page.line(line);
        }
        for bucket in self.buckets.iter().filter(|bucket| bucket.access == Access::Bypassed) {
            let line = page.paint(Tone::Warn, &format!("{}: BYPASSED, every acquire passes", bucket.resource));
            page.line(line);
        }
        for bucket in self.buckets.iter().filter(|bucket| bucket.unsupported.is_some()) {
            let why = bucket.unsupported.as_deref().unwrap_or_default();
            let line = page.paint(Tone::Warn, &format!("{}: {why}", bucket.resource));
            page.line(line);
        }
    }
}

/// Words a limit's refill; a quota has none.
fn refill(limit: &BucketLimit) -> String {
    match limit.resets_at_ms {
        Some(at) => {
            jiff::Timestamp::from_millisecond(at).map_or_else(|_| "quota".to_owned(), |at| format!("resets {at}"))
        }
        None if limit.refill_amount == 0 => "resets after first use".to_owned(),
        None => per_period(limit.refill_amount, limit.refill_period),
    }
}

fn row(bucket: &BucketState, limit: &BucketLimit) -> [Cell; 8] {
    let used = 100.0 - limit.available as f64 / limit.capacity.max(1) as f64 * 100.0;
    let tone = match used {
        used if used >= 100.0 => Tone::Bad,
        used if used >= 80.0 => Tone::Warn,
        _ => Tone::Plain,
    };
    let shards = Cell::new(count(bucket.shard_count));
    [
        bucket.resource.as_str().into(),
        limit.name.as_str().into(),
        Cell::new(count(limit.available)).tone(tone),
        count(limit.capacity).into(),
        Cell::new(format!("{used:.0} %")).tone(tone),
        refill(limit).into(),
        count(limit.consumed).into(),
        if bucket.shard_count > 1 { shards.tone(Tone::Warn) } else { shards },
    ]
}
