//! `usage summary`.

use clap::Args;
use serde::Serialize;
use zae_limiter::usage::UsageSummary;

use super::{Filter, Group};
use crate::cli::{
    CliError, Context,
    error::Doing,
    output::{
        Align, Output, Page, Report, Table,
        units::{count, decimal},
    },
};

#[derive(Args, Debug)]
pub(super) struct Summary {
    #[command(flatten)]
    filter: Filter,
}

impl Summary {
    pub(super) async fn run(&self, group: &Group, cx: &Context, out: &Output) -> Result<(), CliError> {
        let query = self.filter.query(cx)?;
        let repository = cx.repository(&group.namespace).await?;
        let summary = repository.usage_summary(&query).await.doing("get usage summary")?;
        let Filter { entity_id, resource, .. } = &self.filter;
        out.show(&Added { entity_id: entity_id.clone(), resource: resource.clone(), summary })
    }
}

#[derive(Serialize)]
struct Added {
    entity_id: Option<String>,
    resource: Option<String>,
    #[serde(flatten)]
    summary: UsageSummary,
}

impl Report for Added {
    fn page(&self, page: &mut Page) {
        let UsageSummary { window: Some(window), snapshot_count, totals, min_window_start, max_window_start, .. } =
            &self.summary
        else {
            return page.line("No usage data found matching the criteria");
        };
        page.blank();
        page.heading("Usage Summary");
        page.blank();
        let entity = self.entity_id.iter().map(|entity| ("Entity", entity.clone()));
        let resource = self.resource.iter().map(|resource| ("Resource", resource.clone()));
        let known = [("Window", window.to_string()), ("Snapshots", count(i128::from(*snapshot_count)))];
        let range =
            min_window_start.iter().zip(max_window_start).map(|(from, to)| ("Time Range", format!("{from} to {to}")));
        page.fields(0, entity.chain(resource).chain(known).chain(range));
        page.blank();
        let mut table = Table::new([("Limit", Align::Left), ("Total", Align::Right), ("Average", Align::Right)]);
        for (limit, total) in totals {
            table.row([limit.as_str().into(), count(total.total).into(), decimal(total.average).into()]);
        }
        page.table(&table);
        page.blank();
    }
}
