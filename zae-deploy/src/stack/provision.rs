//! Stacks that are deployed when a repository is opened: [`StackProvisioner`], [`RepositoryStack`].

use zae_limiter::{
    Repository,
    error::BoxError,
    provision::{ProvisionOccasion, ProvisionTarget, Provisioner, Provisioning},
};

use super::{
    cloud::Cloud,
    delete::{DeletedStack, delete},
    deploy::{Deployment, StackPlan},
    error::StackError,
    options::StackOptions,
    progress::LogWatch,
};
use crate::artifact::Packages;

/// Deploys the stack of a repository that is being opened.
///
/// It never loses data: an update that removes or replaces a resource is refused, and left to `zae-deploy deploy`,
/// which asks for confirmation.
///
/// ```no_run
/// use zae_deploy::stack::{RepositoryStack, StackOptions, StackProvisioner};
/// use zae_limiter::Repository;
/// # async fn session() -> Result<(), Box<dyn std::error::Error>> {
/// // Creates the stack if it is missing.
/// let repository = Repository::builder().provisioner(StackProvisioner::if_missing()).build().await?;
///
/// // Brings it to what is declared: creates, updates, or leaves it unchanged.
/// let options = StackOptions::builder().disable_aggregator().build()?;
/// let repository = Repository::builder().provisioner(StackProvisioner::declaring(options)).build().await?;
///
/// repository.delete_stack().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StackProvisioner {
    occasion: ProvisionOccasion,
    options: StackOptions,
    packages: Packages,
    cloud: Option<Cloud>,
}

impl StackProvisioner {
    /// Creates a missing stack with the default options, and leaves an existing one alone.
    pub fn if_missing() -> Self {
        Self::new(ProvisionOccasion::TableMissing, StackOptions::default())
    }

    /// Brings the stack to the state described by `options` whenever a repository is opened.
    pub fn declaring(options: StackOptions) -> Self {
        Self::new(ProvisionOccasion::Always, options)
    }

    fn new(occasion: ProvisionOccasion, options: StackOptions) -> Self {
        Self { occasion, options, packages: Packages::none(), cloud: None }
    }

    /// Sets the account and region to deploy to, for repositories whose client was created elsewhere. By default they
    /// are resolved as the repository's own.
    #[must_use]
    pub fn cloud(mut self, cloud: Cloud) -> Self {
        self.cloud = Some(cloud);
        self
    }

    /// Sets the Lambda packages of the functions. Without them, a new stack's functions are placeholders until
    /// `zae-deploy upgrade` uploads their code.
    #[must_use]
    pub fn packages(mut self, packages: Packages) -> Self {
        self.packages = packages;
        self
    }

    async fn deploy(&self, target: &ProvisionTarget) -> Result<(), StackError> {
        let cloud = match &self.cloud {
            Some(cloud) => cloud.clone(),
            None => Cloud::connect(target.region.clone(), target.endpoint_url.clone()).await?,
        };
        let (options, packages) = (self.options.clone(), self.packages.clone());
        let deployment = Deployment::new(&cloud, target.stack.clone(), options, packages);
        let plan = deployment.plan(&LogWatch).await?;
        if let StackPlan::Update(update) = &plan {
            // If another process has just created the missing stack, there is nothing left to do.
            let left_alone = self.occasion == ProvisionOccasion::TableMissing;
            let losses: Vec<_> = update.changes().losses().map(|change| change.logical_id.clone()).collect();
            if left_alone || !losses.is_empty() {
                deployment.discard(plan).await;
                return if left_alone {
                    Ok(())
                } else {
                    Err(StackError::WouldLose { stack: target.stack.clone(), resources: losses })
                };
            }
        }
        deployment.apply(plan, &LogWatch).await.map(drop)
    }
}

impl Provisioner for StackProvisioner {
    fn occasion(&self) -> ProvisionOccasion {
        self.occasion
    }

    fn provision<'a>(&'a self, target: &'a ProvisionTarget) -> Provisioning<'a> {
        Box::pin(async move { self.deploy(target).await.map_err(BoxError::from) })
    }
}

/// Access to the stack of a repository.
///
/// See [`StackProvisioner`](crate::stack::StackProvisioner) for an example.
pub trait RepositoryStack {
    /// Removes the stack with its table and **all data of all its namespaces**, and waits until it is gone.
    ///
    /// # Errors
    /// See [`delete`].
    fn delete_stack(&self) -> impl Future<Output = Result<DeletedStack, StackError>> + Send;
}

impl RepositoryStack for Repository {
    async fn delete_stack(&self) -> Result<DeletedStack, StackError> {
        let target = self.target();
        let cloud = Cloud::connect(target.region, target.endpoint_url).await?;
        delete(&cloud, &target.stack, &LogWatch).await
    }
}
