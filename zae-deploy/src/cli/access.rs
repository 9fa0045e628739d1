//! `disable`, `enable`, `bypass`, `clear-disabled`, `set-cascade` and `clear-cascade`, of resources and of entities.

use clap::Args;
use serde::Serialize;
use zae_limiter::{
    Repository, RepositoryError,
    access::{Access, Cascade, ConfigTarget},
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
    Open,
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
            Self::Open => Some(Access::Bypassed),
            Self::Clear => None,
        }
    }

    fn action(self) -> &'static str {
        match self {
            Self::Off(_) => "disable",
            Self::On => "enable",
            Self::Open => "bypass",
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
        let shown = shown(&target);
        let action = format!("{} {shown}", self.action());
        let repository = cx.repository_to_write(&with.namespace).await?;
        let repository = cx.acting(repository, &with.principal).await?;
        let mut note = None;
        if let Self::Off(minimum) = self {
            note = known_to_all(&repository, minimum).await.doing(&action)?;
        }
        let buckets_stamped = repository.set_access(&target, self.access()).await.doing(&action)?;
        out.show(&Switched {
            subject: SettingSubject::of(&target),
            access: self.access(),
            buckets_stamped,
            shown,
            note,
        })
    }
}

/// Raises the minimum for clients if that is wanted. Otherwise returns a note if older ones may use the table.
async fn known_to_all(repository: &Repository, minimum: Minimum) -> Result<Option<&'static str>, RepositoryError> {
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

/// The target of a setting, as named in results.
#[derive(Serialize)]
struct SettingSubject {
    #[serde(skip_serializing_if = "Option::is_none")]
    entity_id: Option<String>,
    resource: String,
}

impl SettingSubject {
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
    subject: SettingSubject,
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
            Some(Access::Bypassed) => format!("Bypassed {shown} ({buckets_stamped} buckets stamped)"),
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
fn status(page: &mut Page, access: Access) {
    let (text, tone) = match access {
        Access::Disabled => ("DISABLED", Tone::Bad),
        Access::Bypassed => ("BYPASSED", Tone::Warn),
        _ => ("enabled (explicit override)", Tone::Plain),
    };
    let text = page.paint(tone, text);
    page.line(format!("  Status: {text}"));
}

/// A policy on the command line.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum OnOff {
    /// Charge the parent as well
    On,
    /// Charge the entity alone
    Off,
}

/// Sets the policy for `target`, or removes it.
pub(crate) async fn set_cascade(
    policy: Option<OnOff>,
    with: &ChangeArgs,
    cx: &Context,
    out: &Output,
    target: ConfigTarget,
) -> Result<(), CliError> {
    let shown = shown(&target);
    let repository = cx.repository_to_write(&with.namespace).await?;
    let repository = cx.acting(repository, &with.principal).await?;
    let cascade = policy.map(|policy| match policy {
        OnOff::On => Cascade::On,
        OnOff::Off => Cascade::Off,
    });
    let stamped = match cascade {
        Some(cascade) => repository.set_cascade(&target, cascade).await,
        None => repository.clear_cascade(&target).await,
    };
    let buckets_stamped = stamped.doing(&format!("set the cascade policy of {shown}"))?;
    out.show(&CascadePolicy { subject: SettingSubject::of(&target), cascade, buckets_stamped, shown })
}

#[derive(Serialize)]
struct CascadePolicy {
    #[serde(flatten)]
    subject: SettingSubject,
    cascade: Option<Cascade>,
    buckets_stamped: u64,
    #[serde(skip)]
    shown: String,
}

impl Report for CascadePolicy {
    fn page(&self, page: &mut Page) {
        let Self { cascade, buckets_stamped, shown, .. } = self;
        page.line(match cascade {
            Some(cascade) => {
                format!("Set cascade {} for {shown} ({buckets_stamped} buckets stamped)", cascade.as_str())
            }
            None => format!("Cleared cascade policy for {shown} ({buckets_stamped} buckets updated)"),
        });
    }
}

/// The target as texts name it.
fn shown(target: &ConfigTarget) -> String {
    match target {
        ConfigTarget::Resource(resource) => format!("resource '{resource}'"),
        ConfigTarget::Entity(entity, _) => format!("entity '{entity}'"),
        other => format!("{other:?}"),
    }
}

/// The settings of one configuration beside its limits.
#[derive(Serialize)]
pub(crate) struct AccessSettings {
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<Access>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cascade: Option<Cascade>,
}

impl AccessSettings {
    /// None of them, or none to be shown.
    pub(crate) const NONE: Self = Self { access: None, cascade: None };

    pub(crate) async fn read(repository: &Repository, target: &ConfigTarget) -> Result<Self, RepositoryError> {
        Ok(Self { access: repository.access(target).await?, cascade: repository.cascade(target).await? })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.access.is_none() && self.cascade.is_none()
    }

    /// The lines that say them.
    pub(crate) fn page(&self, page: &mut Page) {
        if let Some(access) = self.access {
            status(page, access);
        }
        if let Some(cascade) = self.cascade {
            page.line(format!("  Cascade: {} (explicit)", cascade.as_str()));
        }
    }
}
