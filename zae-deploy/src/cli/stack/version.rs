//! `version` and `check`: the compatibility of this tool and a stack.

use serde::Serialize;

use super::compat::{Fit, Versions};
use crate::cli::{
    CliError, Context,
    output::{Output, Page, Report},
};

/// Two versions, and possible next commands.
#[derive(Serialize)]
struct ComparedVersions {
    #[serde(flatten)]
    versions: Versions,
    #[serde(skip)]
    deploy: String,
    #[serde(skip)]
    upgrade: String,
}

impl ComparedVersions {
    async fn read(cx: &Context, doing: &str) -> Result<Self, CliError> {
        let versions = Versions::read(cx, doing).await?;
        Ok(Self { versions, deploy: cx.command("deploy"), upgrade: cx.command("upgrade") })
    }
}

#[derive(Serialize)]
struct Version(ComparedVersions);

impl Report for Version {
    fn page(&self, page: &mut Page) {
        let ComparedVersions { versions, deploy, upgrade } = &self.0;
        page.blank();
        page.heading("zae-limiter Infrastructure Version");
        page.rule('=', 36);
        page.blank();
        page.line(format!("Client Version:     {}", versions.client));
        page.line(format!("Reference Level:    {}", versions.level));
        page.line(format!("Schema Version:     {}", versions.schema));
        page.blank();
        let Some(record) = &versions.record else {
            page.line("Infrastructure:     Not initialized");
            page.blank();
            return page.line(format!("Run {deploy} to initialize infrastructure."));
        };
        let or = |text: &Option<String>, none: &str| text.clone().unwrap_or_else(|| none.to_owned());
        page.line(format!("Infra Schema:       {}", or(&record.schema_version, "unknown")));
        page.line(format!("Lambda Version:     {}", versions.lambda()));
        page.line(format!("Min Client Version: {}", or(&record.client_min_version, "0.0.0")));
        page.blank();
        match &versions.result {
            Fit::UpdateAvailable(message) => {
                page.line("Status: COMPATIBLE (Lambda update available)");
                page.blank();
                page.line(format!("  {message}"));
                page.blank();
                page.line(format!("Run {upgrade} to update Lambda."));
            }
            Fit::Incompatible(message) => {
                page.line("Status: INCOMPATIBLE");
                page.blank();
                page.line(format!("  {message}"));
            }
            Fit::Compatible | Fit::NotInitialized => page.line("Status: COMPATIBLE"),
        }
    }
}

pub(super) async fn run(cx: &Context, out: &Output) -> Result<(), CliError> {
    let compared = ComparedVersions::read(cx, "get version info").await?;
    let failed = matches!(compared.versions.result, Fit::Incompatible(_));
    out.show(&Version(compared))?;
    if failed { Err(CliError::Shown) } else { Ok(()) }
}

#[derive(Serialize)]
struct Check(ComparedVersions);

impl Report for Check {
    fn page(&self, page: &mut Page) {
        let ComparedVersions { versions, deploy, upgrade } = &self.0;
        page.blank();
        page.heading("Compatibility Check");
        page.rule('=', 20);
        page.blank();
        if versions.record.is_some() {
            page.line(format!("Client:      {} (level {})", versions.client, versions.level));
            let schema = versions.record.as_ref().and_then(|record| record.schema_version.as_deref());
            page.line(format!("Schema:      {}", schema.unwrap_or("unknown")));
            page.line(format!("Lambda:      {}", versions.lambda()));
            page.blank();
        }
        let (result, text) = match &versions.result {
            Fit::NotInitialized => (
                "NOT INITIALIZED",
                format!("The table has no version record yet.\nRun {deploy} to initialize infrastructure."),
            ),
            Fit::Compatible => ("COMPATIBLE", "Client and infrastructure are fully compatible.".to_owned()),
            Fit::UpdateAvailable(message) => {
                ("COMPATIBLE (update available)", format!("{message}\nRun {upgrade} to update Lambda."))
            }
            Fit::Incompatible(message) => ("INCOMPATIBLE", message.clone()),
        };
        page.line(format!("Result: {result}"));
        page.blank();
        text.lines().for_each(|line| page.line(line));
    }
}

pub(super) async fn check(cx: &Context, out: &Output) -> Result<(), CliError> {
    let compared = ComparedVersions::read(cx, "check").await?;
    let failed = matches!(compared.versions.result, Fit::Incompatible(_) | Fit::NotInitialized);
    out.show(&Check(compared))?;
    if failed { Err(CliError::Shown) } else { Ok(()) }
}
