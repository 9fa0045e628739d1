//! `upgrade`: upgrades a stack to this tool's version.

use clap::Args;
use zae_limiter::version::COMPATIBILITY_LEVEL;

use super::{
    cloud,
    compat::{Fit, Versions},
    deploy::Run,
    packages::Binaries,
};
use crate::{
    cli::{CliError, Context, args::YesArgs},
    stack::{Deployment, Scope, StackOptions},
};

/// Upgrades the template, Lambda code, discovery tags and version record of a stack to this tool's version. Its
/// parameters are unchanged.
#[derive(Args, Debug)]
pub(crate) struct Upgrade {
    /// Change the code of the functions only
    #[arg(long)]
    lambda_only: bool,
    /// Upgrade even if the version record is newer than this tool
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    binaries: Binaries,
    #[command(flatten)]
    yes: YesArgs,
}

impl Upgrade {
    pub(super) async fn run(self, cx: &Context) -> Result<(), CliError> {
        let stack = cx.stack()?;
        let out = cx.output();
        out.progress("Checking infrastructure version...");
        let versions = Versions::read(cx, "upgrade").await?;
        match &versions.result {
            Fit::NotInitialized => {
                return Err(
                    CliError::problem("Infrastructure not initialized").next(format!("{} first", cx.command("deploy")))
                );
            }
            Fit::Incompatible(message) if !self.force => {
                return Err(CliError::problem(message.clone()));
            }
            _ => {}
        }
        out.progress(&format!("  Current: Lambda {}", versions.lambda()));
        out.progress(&format!("  Target:  Lambda {COMPATIBILITY_LEVEL}"));
        let packages = self.binaries.packages()?;
        let cloud = cloud(cx).await?;
        let scope = if self.lambda_only { Scope::Code } else { Scope::Stack };
        let options = StackOptions::default();
        let deployment = Deployment::new(&cloud, stack.clone(), options, packages).scope(scope);
        let action = format!("upgrade stack '{stack}'");
        let run = Run { cx, out: &out, cloud: &cloud, stack: &stack, action: &action, deployment: &deployment };
        let plan = run.approve(run.plan().await?, self.yes).await?;
        out.show(&run.apply(plan).await?)
    }
}
