//! `entity …`: manages entities and their own limits.

mod limits;
mod operation;
mod parent;
mod record;

use clap::{Args, Subcommand};
use zae_limiter::{EntityId, LimitScope, access::ConfigTarget};

use super::{
    CliError, Context,
    access::{Minimum, OnOff, Switch, set_cascade},
    args::{ChangeArgs, YesArgs},
    limit::LimitArgs,
    output::Output,
    resource_name,
};

/// Manage entities: users, API keys, projects or anything else to limit.
#[derive(Args, Debug)]
#[command(after_help = "\
Limits are looked up in this order: entity and resource, entity, resource, system.

Examples:
  zae-deploy entity create proj-1 --display-name \"Project One\"
  zae-deploy entity create key-1 --parent proj-1 --cascade
  zae-deploy entity set-limits user-premium --resource gpt-4 -l rpm:500
  zae-deploy entity list --with-custom-limits gpt-4")]
pub(crate) struct Group {
    #[command(flatten)]
    pub(super) with: ChangeArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create an entity
    #[command(after_help = "\
Examples:
  zae-deploy entity create proj-1 --display-name \"Project One\" -m team=a
  zae-deploy entity create key-1 --parent proj-1 --cascade")]
    Create(record::Create),
    /// Show an entity
    #[command(after_help = "\
Examples:
  zae-deploy entity show key-1")]
    Show {
        /// Its id
        entity_id: String,
    },
    /// Delete an entity with its limits, buckets and usage; its audit events and children stay
    #[command(after_help = "\
Examples:
  zae-deploy entity delete key-1 --yes")]
    Delete {
        /// Its id
        entity_id: String,
        #[command(flatten)]
        yes: YesArgs,
    },
    /// Set an entity's own limits, replacing existing ones
    #[command(after_help = "\
Examples:
  zae-deploy entity set-limits user-premium --resource gpt-4 -l rpm:500
  zae-deploy entity set-limits user-premium -l rpm:1000")]
    SetLimits {
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        limits: LimitArgs,
    },
    /// Show an entity's own limits
    #[command(after_help = "\
Examples:
  zae-deploy entity get-limits user-premium --resource gpt-4")]
    GetLimits {
        #[command(flatten)]
        of: Of,
    },
    /// Delete an entity's own limits; the limits of lower levels then apply
    #[command(after_help = "\
Examples:
  zae-deploy entity delete-limits user-premium --resource gpt-4 --yes")]
    DeleteLimits {
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        yes: YesArgs,
    },
    /// Disable an entity, on one resource or on all
    #[command(after_help = "\
Examples:
  zae-deploy entity disable key-1
  zae-deploy entity disable key-1 --resource gpt-4")]
    Disable {
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        minimum: Minimum,
    },
    /// Enable an entity, even if the resource is disabled
    #[command(after_help = "\
Examples:
  zae-deploy entity enable key-1 --resource gpt-4")]
    Enable {
        #[command(flatten)]
        of: Of,
    },
    /// Admit and count everything, whatever the limits of an entity are
    #[command(after_help = "\
Examples:
  zae-deploy entity bypass user-vip
  zae-deploy entity bypass user-vip --resource gpt-4")]
    Bypass {
        #[command(flatten)]
        of: Of,
    },
    /// Remove the setting made by `disable`, `enable` or `bypass`
    #[command(after_help = "\
Examples:
  zae-deploy entity clear-disabled key-1")]
    ClearDisabled {
        #[command(flatten)]
        of: Of,
    },
    /// Decide if acquires charge the parent as well, on one resource or on all
    #[command(after_help = "\
Examples:
  zae-deploy entity set-cascade key-1 on
  zae-deploy entity set-cascade key-1 off --resource gpt-4")]
    SetCascade {
        #[command(flatten)]
        of: Of,
        /// on charges the parent as well, off the entity alone
        policy: OnOff,
    },
    /// Remove the setting made by `set-cascade`
    #[command(after_help = "\
Examples:
  zae-deploy entity clear-cascade key-1")]
    ClearCascade {
        #[command(flatten)]
        of: Of,
    },
    /// Move an entity below another parent, or away from its parent
    #[command(after_help = "\
Examples:
  zae-deploy entity set-parent key-1 --parent proj-2
  zae-deploy entity set-parent key-1 --none")]
    SetParent(parent::SetParent),
    /// Restore an entity's bucket: rates are full, quotas begin their period again
    #[command(after_help = "\
Examples:
  zae-deploy entity reset user-1 --resource gpt-4
  zae-deploy entity reset user-1 -r gpt-4 -l day --idempotency-key ticket-42")]
    Reset(operation::ResetBucket),
    /// Add tokens to limits of an entity's bucket, on top of a quota until its period ends
    #[command(after_help = "\
Examples:
  zae-deploy entity top-up user-1 -r gpt-4 -a day:50000 --idempotency-key inv-17")]
    TopUp(operation::TopUp),
    /// List the entities with limits of their own for a resource
    #[command(after_help = "\
Examples:
  zae-deploy entity list --with-custom-limits gpt-4 --limit 50")]
    List(limits::List),
    /// List the resources for which any entity has limits of its own
    #[command(after_help = "\
Examples:
  zae-deploy entity list-resources")]
    ListResources,
}

/// The entity and resource whose limits are meant.
#[derive(Args, Debug)]
struct Of {
    /// The entity's id
    entity_id: String,
    /// The resource; `_default_` for all resources without limits of their own
    #[arg(short, long, default_value = LimitScope::DEFAULT)]
    resource: String,
}

impl Of {
    fn parse(&self, out: &Output) -> Result<(EntityId, LimitScope), CliError> {
        Ok((EntityId::new(&self.entity_id)?, resource_name::scope(&self.resource, out)?))
    }
}

impl Group {
    pub(crate) async fn run(self, cx: &Context) -> Result<(), CliError> {
        let out = cx.output();
        match &self.command {
            Command::Create(create) => create.run(&self, cx, &out).await,
            Command::Show { entity_id } => record::show(&self, cx, &out, &EntityId::new(entity_id)?).await,
            Command::Delete { entity_id, yes } => {
                record::delete(&self, cx, &out, EntityId::new(entity_id)?, *yes).await
            }
            Command::SetLimits { of, limits } => limits::set(&self, cx, &out, of.parse(&out)?, &limits.parse()?).await,
            Command::GetLimits { of } => limits::get(&self, cx, &out, of.parse(&out)?).await,
            Command::DeleteLimits { of, yes } => limits::delete(&self, cx, &out, of.parse(&out)?, *yes).await,
            Command::Disable { of, minimum } => self.switch(cx, &out, of, Switch::Off(*minimum)).await,
            Command::Enable { of } => self.switch(cx, &out, of, Switch::On).await,
            Command::Bypass { of } => self.switch(cx, &out, of, Switch::Open).await,
            Command::ClearDisabled { of } => self.switch(cx, &out, of, Switch::Clear).await,
            Command::SetCascade { of, policy } => self.cascade(cx, &out, of, Some(*policy)).await,
            Command::ClearCascade { of } => self.cascade(cx, &out, of, None).await,
            Command::SetParent(set) => set.run(&self, cx, &out).await,
            Command::Reset(reset) => reset.run(&self, cx, &out).await,
            Command::TopUp(top_up) => top_up.run(&self, cx, &out).await,
            Command::List(list) => list.run(&self, cx, &out).await,
            Command::ListResources => limits::list_resources(&self, cx, &out).await,
        }
    }
    async fn switch(&self, cx: &Context, out: &Output, of: &Of, switch: Switch) -> Result<(), CliError> {
        let (entity, scope) = of.parse(out)?;
        switch.set(&self.with, cx, out, ConfigTarget::Entity(entity, scope)).await
    }

    async fn cascade(&self, cx: &Context, out: &Output, of: &Of, policy: Option<OnOff>) -> Result<(), CliError> {
        let (entity, scope) = of.parse(out)?;
        set_cascade(policy, &self.with, cx, out, ConfigTarget::Entity(entity, scope)).await
    }
}
