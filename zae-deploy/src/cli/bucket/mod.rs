//! `bucket …`: shows balances of one entity or of all, and merges the shards of one.

mod aggregator;
mod fold;
mod show;

use clap::{Args, Subcommand};
use zae_limiter::EntityId;

use super::{
    CliError, Context,
    args::{NamespaceArgs, YesArgs},
    resource_name, top,
};

/// Show and merge token buckets.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zae-deploy bucket list
  zae-deploy bucket show user-premium
  zae-deploy bucket show user-premium --resource gpt-4 --output json
  zae-deploy bucket fold user-premium --resource gpt-4")]
pub(crate) struct Group {
    #[command(flatten)]
    pub(super) namespace: NamespaceArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show an entity's balance of each limit
    #[command(after_help = "\
Examples:
  zae-deploy bucket show user-premium --resource gpt-4")]
    Show {
        /// The entity's id
        entity_id: String,
        /// Only this resource
        #[arg(short, long)]
        resource: Option<String>,
    },
    /// List the buckets of all entities, the emptiest first
    #[command(after_help = "\
Examples:
  zae-deploy bucket list
  zae-deploy bucket list --resource gpt-4 --sort full --limit 10 --output json")]
    List {
        #[command(flatten)]
        list: top::ListArgs,
    },
    /// Merge the shards of a bucket
    #[command(
        long_about = "\
Merge the shards of a bucket.

Limiters split a bucket with very frequent writes into shards, as clients of the Python package and its aggregator do, \
and never merge them. This command merges them, with the tokens they hold. Run it while the bucket is little used: \
refunds of tokens that were taken from a removed shard are lost.",
        after_help = "\
Examples:
  zae-deploy bucket fold user-premium --resource gpt-4"
    )]
    Fold {
        /// The entity's id
        entity_id: String,
        /// The resource
        #[arg(short, long)]
        resource: String,
        #[command(flatten)]
        yes: YesArgs,
    },
}

impl Group {
    pub(crate) async fn run(self, cx: &Context) -> Result<(), CliError> {
        let out = cx.output();
        match &self.command {
            Command::Show { entity_id, resource } => {
                let resource = resource.as_ref().map(|text| resource_name::resource(text, &out)).transpose()?;
                show::run(&self, cx, &out, EntityId::new(entity_id)?, resource).await
            }
            Command::List { list } => top::list(cx, &self.namespace, list).await,
            Command::Fold { entity_id, resource, yes } => {
                let of = (EntityId::new(entity_id)?, resource_name::resource(resource, &out)?);
                fold::run(&self, cx, &out, of, *yes).await
            }
        }
    }
}
