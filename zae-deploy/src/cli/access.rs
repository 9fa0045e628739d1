//! `disable`, `enable` and `clear-disabled`, of resources and of entities.

use clap::Args;
use serde::Serialize;
use zae_limiter::{
    Repository,
    access::{Access, ConfigTarget},
    version::{Version, VersionUpdate},
};

use super::{
    CliError, Context,
    args::ChangeArgs,
    error::Doing,
    output::{Output, Page, Report, Tone},
};

/// The first release whose clients check the access setting.
const SINCE: &str = "0.17.0";

/// The access setting to store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Switch {
    Off(Minimum),
    On,
    Clear,
}

/// Options about older clients, which do not know the setting.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Minimum {
    /// Shut out clients before 0.17, which ignore the setting; cannot be undone
    #[arg(long)]
    raise_minimum: bool,
}

impl Switch {
    fn access(self) -> Option<Access> {
        match self {
            Self::Off(_) => Some(Access::Disabled),
            Self::On => Some(Access::Enabled),
            Self::Clear => None,
        }
    }

    fn action(self) -> &'static str {
        match self {
            Self::Off(_) => "disable",
            Self::On => "enable",
            Self::Clear => "clear disabled flag for",
        }
    }

    /// Sets it for `target`, which is displayed as `shown`.
    pub(crate) async fn set(
        self,
        with: &ChangeArgs,
        cx: &Context,
        out: &Output,
        target: ConfigTarget,
    ) -> Result<(), CliError> {
        let shown = match &target {
            ConfigTarget::Resource(resource) => format!("resource '{resource}'"),
            ConfigTarget::Entity(entity, _) => format!("entity '{entity}'"),
            other => format!("{other:?}"),
        };
        let action = format!("{} {shown}", self.action());
        let repository = cx.repository_to_write(&with.namespace).await?;
        let repository = cx.acting(repository, &with.principal).await?;
        let mut note = None;
        if let Self::Off(minimum) = self {
            note = known_to_all(&repository, minimum).await.doing(&action)?;
        }
        let buckets_stamped = repository.set_access(&target, self.access()).await.doing(&action)?;
        out.show(&Switched {
            subject: SwitchedSubject::of(&target),
            access: self.access(),
            buckets_stamped,
            shown,
            note,
        })
    }
}

/// Raises the minimum for clients if that is wanted. Otherwise returns a note if older ones may use the table.
async fn known_to_all(
    repository: &Repository,
    minimum: Minimum,
) -> Result<Option<&'static str>, zae_limiter::RepositoryError> {
    let since: Version = SINCE.parse()?;
    let record = repository.version_record().await?;
    let allowed = record.and_then(|record| record.client_min_version);
    if allowed.and_then(|allowed| allowed.parse::<Version>().ok()).is_some_and(|allowed| allowed >= since) {
        return Ok(None);
    }
    if !minimum.raise_minimum {
        return Ok(Some("clients before 0.17 ignore it; --raise-minimum shuts them out"));
    }
    let update = VersionUpdate::default().raise_client_min_version(since);
    repository.set_version_record(&update).await?;
    Ok(Some("clients before 0.17 can no longer use this table"))
}

/// The target of an access setting, as named in results.
#[derive(Serialize)]
struct SwitchedSubject {
    #[serde(skip_serializing_if = "Option::is_none")]
    entity_id: Option<String>,
    resource: String,
}

impl SwitchedSubject {
    fn of(target: &ConfigTarget) -> Self {
        match target {
            ConfigTarget::Resource(resource) => Self { entity_id: None, resource: resource.to_string() },
            ConfigTarget::Entity(entity, scope) => {
                Self { entity_id: Some(entity.to_string()), resource: scope.to_string() }
            }
            other => Self { entity_id: None, resource: format!("{other:?}") },
        }
    }
}

#[derive(Serialize)]
struct Switched {
    #[serde(flatten)]
    subject: SwitchedSubject,
    access: Option<Access>,
    buckets_stamped: u64,
    #[serde(skip)]
    shown: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
}

impl Report for Switched {
    fn page(&self, page: &mut Page) {
        let Self { access, buckets_stamped, shown, note, .. } = self;
        page.line(match access {
            Some(Access::Enabled) => format!("Enabled {shown} ({buckets_stamped} buckets cleared)"),
            Some(_) => format!("Disabled {shown} ({buckets_stamped} buckets stamped)"),
            None => format!("Cleared disabled flag for {shown} ({buckets_stamped} buckets updated)"),
        });
        if let Some(note) = note {
            let note = page.paint(Tone::Dim, note);
            page.line(format!("  {note}"));
        }
    }
}

/// Prints the access setting as a line.
pub(crate) fn status(page: &mut Page, access: Access) {
    let (text, tone) = match access {
        Access::Disabled => ("DISABLED", Tone::Bad),
        _ => ("enabled (explicit override)", Tone::Plain),
    };
    let text = page.paint(tone, text);
    page.line(format!("  Status: {text}"));
}
