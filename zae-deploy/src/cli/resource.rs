//! `resource …`: manages the defaults of a resource.

use clap::{Args, Subcommand};
use serde::Serialize;
use zae_limiter::{Limits, Repository, ResourceName, access::ConfigTarget};

use super::{
    CliError, Context,
    access::{AccessSettings, Minimum, OnOff, Switch, set_cascade},
    args::{ChangeArgs, YesArgs},
    error::Doing,
    limit::{Deletion, LimitArgs, LimitList, dropped, shown},
    output::{Output, Page, Report},
    prompt::confirm,
    resource_name,
    suggest::closest,
};

/// Default limits of resources: models, routes, APIs.
#[derive(Args, Debug)]
#[command(after_help = "\
Limits are looked up in this order: entity and resource, entity, resource, system.

Examples:
  zae-deploy resource set-defaults gpt-4 -l rpm:50 -l tpm:100000
  zae-deploy resource set-defaults gpt-3.5-turbo -l rpm:200 -l tpm:500000:750000
  zae-deploy resource list --namespace tenant-alpha")]
pub(crate) struct Group {
    #[command(flatten)]
    with: ChangeArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Set a resource's default limits, replacing existing ones
    #[command(after_help = "\
Examples:
  zae-deploy resource set-defaults gpt-4 -l rpm:50 -l tpm:100000")]
    SetDefaults {
        /// The resource's name
        resource: String,
        #[command(flatten)]
        limits: LimitArgs,
    },
    /// Show a resource's defaults
    #[command(after_help = "\
Examples:
  zae-deploy resource get-defaults gpt-4")]
    GetDefaults {
        /// The resource's name
        resource: String,
    },
    /// Delete a resource's defaults
    #[command(after_help = "\
Examples:
  zae-deploy resource delete-defaults gpt-4 --yes")]
    DeleteDefaults {
        /// The resource's name
        resource: String,
        #[command(flatten)]
        yes: YesArgs,
    },
    /// Disable a resource for all entities without a setting of their own
    #[command(after_help = "\
Examples:
  zae-deploy resource disable gpt-4")]
    Disable {
        /// The resource's name
        resource: String,
        #[command(flatten)]
        minimum: Minimum,
    },
    /// Enable a resource
    #[command(after_help = "\
Examples:
  zae-deploy resource enable gpt-4")]
    Enable {
        /// The resource's name
        resource: String,
    },
    /// Admit and count everything, except for entities with a setting of their own
    #[command(after_help = "\
Examples:
  zae-deploy resource bypass gpt-4")]
    Bypass {
        /// The resource's name
        resource: String,
    },
    /// Remove the setting made by `disable`, `enable` or `bypass`
    #[command(after_help = "\
Examples:
  zae-deploy resource clear-disabled gpt-4")]
    ClearDisabled {
        /// The resource's name
        resource: String,
    },
    /// Decide if acquires charge an entity's parent as well, overriding its record
    #[command(after_help = "\
Examples:
  zae-deploy resource set-cascade gpt-4 off")]
    SetCascade {
        /// The resource's name
        resource: String,
        /// on charges the parent as well, off the entity alone
        policy: OnOff,
    },
    /// Remove the setting made by `set-cascade`
    #[command(after_help = "\
Examples:
  zae-deploy resource clear-cascade gpt-4")]
    ClearCascade {
        /// The resource's name
        resource: String,
    },
    /// List the resources that have defaults
    #[command(after_help = "\
Examples:
  zae-deploy resource list --namespace tenant-alpha")]
    List,
}

impl Group {
    pub(crate) async fn run(self, cx: &Context) -> Result<(), CliError> {
        let out = cx.output();
        match &self.command {
            Command::SetDefaults { resource, limits } => {
                self.set(cx, &out, resource_name::resource(resource, &out)?, &limits.parse()?).await
            }
            Command::GetDefaults { resource } => self.get(cx, &out, resource_name::resource(resource, &out)?).await,
            Command::DeleteDefaults { resource, yes } => {
                self.delete(cx, &out, resource_name::resource(resource, &out)?, *yes).await
            }
            Command::Disable { resource, minimum } => self.switch(cx, &out, resource, Switch::Off(*minimum)).await,
            Command::Enable { resource } => self.switch(cx, &out, resource, Switch::On).await,
            Command::Bypass { resource } => self.switch(cx, &out, resource, Switch::Open).await,
            Command::ClearDisabled { resource } => self.switch(cx, &out, resource, Switch::Clear).await,
            Command::SetCascade { resource, policy } => self.cascade(cx, &out, resource, Some(*policy)).await,
            Command::ClearCascade { resource } => self.cascade(cx, &out, resource, None).await,
            Command::List => self.list(cx, &out).await,
        }
    }

    async fn set(&self, cx: &Context, out: &Output, resource: ResourceName, limits: &Limits) -> Result<(), CliError> {
        let action = "set resource defaults";
        let repository = cx.repository_to_write(&self.with.namespace).await?;
        let before = repository.resource_defaults(&resource).await.doing(action)?;
        let repository = cx.acting(repository, &self.with.principal).await?;
        repository.set_resource_defaults(&resource, limits).await.doing(action)?;
        out.show(&LimitList {
            heading: format!("Set {} default(s) for resource '{resource}':", limits.as_slice().len()),
            limits: limits.as_slice().to_vec(),
            settings: AccessSettings::NONE,
            notes: dropped(before.as_ref(), limits),
            subject: ResourceSubject { resource },
        })
    }

    async fn get(&self, cx: &Context, out: &Output, resource: ResourceName) -> Result<(), CliError> {
        let repository = cx.repository(&self.with.namespace).await?;
        let limits = repository.resource_defaults(&resource).await.doing("get resource defaults")?;
        let target = ConfigTarget::from(resource.clone());
        let settings = AccessSettings::read(&repository, &target).await.doing("get resource defaults")?;
        let (heading, notes) = match (&limits, settings.is_empty()) {
            (Some(_), _) => (format!("Defaults for resource '{resource}':"), Vec::new()),
            (None, false) => (none(&resource), Vec::new()),
            (None, true) => (none(&resource), alike(&repository, &resource).await),
        };
        let limits = limits.iter().flatten().cloned().collect();
        out.show(&LimitList { subject: ResourceSubject { resource }, settings, limits, heading, notes })
    }

    async fn delete(&self, cx: &Context, out: &Output, resource: ResourceName, yes: YesArgs) -> Result<(), CliError> {
        let action = "delete resource defaults";
        let repository = cx.repository(&self.with.namespace).await?;
        let Some(limits) = repository.resource_defaults(&resource).await.doing(action)? else {
            let lines = [format!("{}; nothing to delete", none(&resource))];
            let text = lines.into_iter().chain(alike(&repository, &resource).await).collect::<Vec<_>>().join("\n  ");
            return out.show(&Deletion { subject: ResourceSubject { resource }, deleted: false, text });
        };
        let losses: Vec<String> = limits.iter().map(shown).collect();
        confirm(&format!("Delete all defaults for resource '{resource}'?"), &losses, yes)?;
        let repository = cx.acting(repository, &self.with.principal).await?;
        let deleted = repository.delete_resource_defaults(&resource).await.doing(action)?;
        let text = format!("Deleted defaults for resource '{resource}'");
        out.show(&Deletion { subject: ResourceSubject { resource }, deleted, text })
    }

    async fn switch(&self, cx: &Context, out: &Output, resource: &str, switch: Switch) -> Result<(), CliError> {
        let target = ConfigTarget::from(resource_name::resource(resource, out)?);
        switch.set(&self.with, cx, out, target).await
    }

    async fn cascade(&self, cx: &Context, out: &Output, resource: &str, policy: Option<OnOff>) -> Result<(), CliError> {
        let target = ConfigTarget::from(resource_name::resource(resource, out)?);
        set_cascade(policy, &self.with, cx, out, target).await
    }

    async fn list(&self, cx: &Context, out: &Output) -> Result<(), CliError> {
        let repository = cx.repository(&self.with.namespace).await?;
        let resources = repository.resources_with_defaults().await.doing("list resources")?;
        out.show(&ConfiguredResources { resources })
    }
}

fn none(resource: &ResourceName) -> String {
    format!("No defaults configured for resource '{resource}'")
}

/// Returns a note with a similar resource that has defaults.
async fn alike(repository: &Repository, resource: &ResourceName) -> Vec<String> {
    let known = repository.resources_with_defaults().await.unwrap_or_default();
    let closest = closest(resource.as_str(), known.iter().map(ResourceName::as_str));
    closest.map(|name| format!("did you mean '{name}'?")).into_iter().collect()
}

#[derive(Serialize)]
struct ResourceSubject {
    resource: ResourceName,
}

#[derive(Serialize)]
struct ConfiguredResources {
    resources: Vec<ResourceName>,
}

impl Report for ConfiguredResources {
    fn page(&self, page: &mut Page) {
        if self.resources.is_empty() {
            return page.line("No resources with configured defaults");
        }
        page.line("Resources with configured defaults:");
        self.resources.iter().for_each(|resource| page.line(format!("  {resource}")));
    }
}
