//! `system …`: manages the defaults for everything without limits of its own.

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use zae_limiter::{Limits, StoredPolicy, SystemDefaults};

use super::{
    CliError, Context,
    args::{ChangeArgs, YesArgs},
    error::Doing,
    limit::{Deletion, LimitArgs, dropped, shown},
    output::{Output, Page, Report, Tone},
    prompt::confirm,
};

/// The namespace's own defaults: the last level at which limits are looked up.
#[derive(Args, Debug)]
#[command(after_help = "\
Limits are looked up in this order: entity and resource, entity, resource, system.

Examples:
  zae-deploy system set-defaults -l rpm:100 -l tpm:10000 --on-unavailable block
  zae-deploy system get-defaults --output json")]
pub(crate) struct Group {
    #[command(flatten)]
    with: ChangeArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::enum_variant_names, reason = "they are the commands' names")]
enum Command {
    /// Set the defaults, replacing existing ones
    #[command(after_help = "\
Examples:
  zae-deploy system set-defaults -l rpm:100 -l tpm:10000
  zae-deploy system set-defaults -l rpm:100 --on-unavailable block")]
    SetDefaults {
        #[command(flatten)]
        limits: LimitArgs,
        /// Policy for acquires while DynamoDB is unreachable; omit it to remove a stored one
        #[arg(long)]
        on_unavailable: Option<Policy>,
    },
    /// Show the defaults
    #[command(after_help = "\
Examples:
  zae-deploy system get-defaults --namespace tenant-alpha")]
    GetDefaults,
    /// Delete the defaults
    #[command(after_help = "\
Examples:
  zae-deploy system delete-defaults --yes")]
    DeleteDefaults {
        #[command(flatten)]
        yes: YesArgs,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Policy {
    Allow,
    Block,
}

impl From<Policy> for StoredPolicy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Allow => Self::Allow,
            Policy::Block => Self::Block,
        }
    }
}

impl Group {
    pub(crate) async fn run(self, cx: &Context) -> Result<(), CliError> {
        let out = cx.output();
        match &self.command {
            Command::SetDefaults { limits, on_unavailable } => {
                let policy = on_unavailable.map(StoredPolicy::from);
                self.set(cx, &out, &limits.parse()?, policy).await
            }
            Command::GetDefaults => self.get(cx, &out).await,
            Command::DeleteDefaults { yes } => self.delete(cx, &out, *yes).await,
        }
    }

    async fn set(
        &self,
        cx: &Context,
        out: &Output,
        limits: &Limits,
        policy: Option<StoredPolicy>,
    ) -> Result<(), CliError> {
        let action = "set system defaults";
        let repository = cx.repository_to_write(&self.with.namespace).await?;
        let before = repository.system_defaults().await.doing(action)?;
        let repository = cx.acting(repository, &self.with.principal).await?;
        repository.set_system_defaults(SystemDefaults::new(limits).on_unavailable(policy)).await.doing(action)?;
        let mut notes = dropped(before.limits.as_ref(), limits);
        if let (Some(gone), None) = (before.on_unavailable, policy) {
            notes.push(format!("no longer: on_unavailable: {}", gone.as_str()));
        }
        let limits = Some(limits.clone());
        out.show(&Defaults { limits, on_unavailable: policy, told: DefaultsOutcome::Set(notes) })
    }

    async fn get(&self, cx: &Context, out: &Output) -> Result<(), CliError> {
        let repository = cx.repository(&self.with.namespace).await?;
        let SystemDefaults { limits, on_unavailable, .. } =
            repository.system_defaults().await.doing("get system defaults")?;
        out.show(&Defaults { limits, on_unavailable, told: DefaultsOutcome::Got })
    }

    async fn delete(&self, cx: &Context, out: &Output, yes: YesArgs) -> Result<(), CliError> {
        let action = "delete system defaults";
        let repository = cx.repository(&self.with.namespace).await?;
        let SystemDefaults { limits, on_unavailable: policy, .. } = repository.system_defaults().await.doing(action)?;
        if limits.is_none() && policy.is_none() {
            let text = "No system defaults configured; nothing to delete".to_owned();
            return out.show(&Deletion { subject: System {}, deleted: false, text });
        }
        let policy = policy.map(|policy| format!("on_unavailable: {}", policy.as_str()));
        let losses: Vec<String> = limits.iter().flatten().map(shown).chain(policy).collect();
        confirm("Delete all system-wide defaults?", &losses, yes)?;
        let repository = cx.acting(repository, &self.with.principal).await?;
        let deleted = repository.delete_system_defaults().await.doing(action)?;
        let text = "Deleted all system-wide defaults".to_owned();
        out.show(&Deletion { subject: System {}, deleted, text })
    }
}

#[derive(Serialize)]
struct System {}

enum DefaultsOutcome {
    Set(Vec<String>),
    Got,
}

#[derive(Serialize)]
struct Defaults {
    limits: Option<Limits>,
    on_unavailable: Option<StoredPolicy>,
    #[serde(skip)]
    told: DefaultsOutcome,
}

impl Report for Defaults {
    fn page(&self, page: &mut Page) {
        let limits = self.limits.iter().flatten().map(shown);
        let policy = self.on_unavailable.map(|policy| format!("  on_unavailable: {}", policy.as_str()));
        match &self.told {
            DefaultsOutcome::Set(notes) => {
                page.line(format!("Set {} system-wide default(s):", self.limits.iter().flatten().count()));
                limits.for_each(|limit| page.line(format!("  {limit}")));
                policy.iter().for_each(|policy| page.line(policy));
                for note in notes {
                    let note = page.paint(Tone::Dim, note);
                    page.line(format!("  {note}"));
                }
            }
            DefaultsOutcome::Got if self.limits.is_none() && policy.is_none() => {
                page.line("No system defaults configured");
            }
            DefaultsOutcome::Got => {
                page.line("System-wide defaults:");
                if self.limits.is_some() {
                    page.line("  Limits:");
                    limits.for_each(|limit| page.line(format!("    {limit}")));
                }
                policy.iter().for_each(|policy| page.line(policy));
            }
        }
    }
}
