//! Creating and updating a stack: [`Deployment`].

use std::collections::BTreeMap;

use aws_sdk_cloudformation::{
    error::ProvideErrorMetadata,
    types::{Capability, ChangeSetType},
};
use zae_limiter::StackName;

use super::{
    changes::{self, ChangeSet},
    cloud::Cloud,
    describe::{DeployedStack, describe, is_limiter},
    error::StackError,
    functions::{Runs, functions},
    options::StackOptions,
    parameters::{self, CodeLocation, Parameters, Wanted},
    progress::{Follow, Watch, outcome},
    setup, tags,
};
use crate::{
    artifact::{self, Packages},
    template::TEMPLATE,
};

/// The desired state of a stack.
///
/// ```no_run
/// use zae_deploy::{artifact::Packages, stack::{Cloud, Deployment, LogWatch, StackOptions, StackPlan}};
/// use zae_limiter::StackName;
/// # async fn deploy() -> Result<(), Box<dyn std::error::Error>> {
/// let cloud = Cloud::connect(Some("us-east-1".into()), None).await?;
/// let options = StackOptions::builder().log_retention_days(90).pitr_recovery_days(7).build()?;
/// let deployment = Deployment::new(&cloud, StackName::new("limiter")?, options, Packages::none());
/// let plan = deployment.plan(&LogWatch).await?;
/// if let StackPlan::Update(update) = &plan {
///     assert_eq!(update.changes().losses().count(), 0, "nothing is replaced");
/// }
/// let stack = deployment.apply(plan, &LogWatch).await?;
/// println!("{} is {}", stack.name, stack.state);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Deployment<'a> {
    cloud: &'a Cloud,
    stack: StackName,
    options: StackOptions,
    packages: Packages,
    scope: Scope,
}

/// The part of a stack to update.
///
/// See [`Deployment`](crate::stack::Deployment) for an example.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// Everything.
    #[default]
    Stack,
    /// The code of the functions; template and parameters stay as deployed.
    Code,
}

type AllWanted = BTreeMap<&'static str, Wanted>;

/// The action that brings a stack to its desired state.
///
/// See [`Deployment`](crate::stack::Deployment) for an example.
#[derive(Debug)]
#[non_exhaustive]
pub enum StackPlan {
    /// It is created.
    Create(NewStack),
    /// It is updated.
    Update(Update),
    /// It already has its desired state.
    Unchanged(DeployedStack),
}

/// A stack that is about to be created.
///
/// See [`Deployment`](crate::stack::Deployment) for an example.
#[derive(Debug)]
pub struct NewStack {
    wanted: AllWanted,
}

/// A stack that is about to be updated.
///
/// See [`Deployment`](crate::stack::Deployment) for an example.
#[derive(Debug)]
pub struct Update {
    changes: ChangeSet,
    parameters: Parameters,
}

impl Update {
    /// Returns the changes.
    pub fn changes(&self) -> &ChangeSet {
        &self.changes
    }
}

impl StackPlan {
    /// Returns the parameters of the stack after the update, without those that have the template's defaults.
    pub fn parameters(&self) -> Parameters {
        match self {
            Self::Create(new) => parameters::effective(&new.wanted, None),
            Self::Update(update) => update.parameters.clone(),
            Self::Unchanged(stack) => stack.parameters.clone(),
        }
    }
}

impl<'a> Deployment<'a> {
    /// Creates the desired state of the stack `stack` from `options` and `packages`. Without packages the functions of
    /// a new stack are placeholders, and those of an existing one keep their code.
    pub fn new(cloud: &'a Cloud, stack: StackName, options: StackOptions, packages: Packages) -> Self {
        Self { cloud, stack, options, packages, scope: Scope::default() }
    }

    /// Sets the part of the stack to update; everything by default.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Determines the required action; waits first if another operation is under way. Only the packages are uploaded.
    ///
    /// # Errors
    /// [`StackError::Stuck`] for a stack that cannot be updated, [`StackError::NameTaken`] if the stack is not a rate
    /// limiter, [`StackError::Option`] for options that are not possible, [`StackError::Denied`] and
    /// [`StackError::Service`].
    pub async fn plan(&self, watch: &dyn Watch) -> Result<StackPlan, StackError> {
        let Some(current) = self.settled(watch).await? else {
            // Reports mistakes before anything is uploaded.
            parameters::wanted(&self.options, None, &self.stack, None)?;
            let code = self.upload(watch).await?;
            let wanted = parameters::wanted(&self.options, code.as_ref(), &self.stack, None)?;
            return Ok(StackPlan::Create(NewStack { wanted }));
        };
        if !current.state.is_usable() {
            let (state, reason) = (current.state, current.reason);
            return Err(StackError::Stuck { stack: self.stack.clone(), state, reason });
        }
        if !is_limiter(self.cloud, &current).await? {
            return Err(StackError::NameTaken { stack: self.stack.clone() });
        }
        parameters::wanted(&self.options, None, &self.stack, Some(&current.parameters))?;
        let code = self.upload(watch).await?;
        let wanted = match (self.scope, code) {
            (Scope::Code, Some(code)) => parameters::code_only(&code, &current.parameters)?,
            (Scope::Code, None) => return Ok(StackPlan::Unchanged(current)),
            (Scope::Stack, code) => {
                parameters::wanted(&self.options, code.as_ref(), &self.stack, Some(&current.parameters))?
            }
        };
        match self.change_set(&current, &wanted).await? {
            Some(changes) => {
                let parameters = parameters::effective(&wanted, Some(&current.parameters));
                Ok(StackPlan::Update(Update { changes, parameters }))
            }
            None => Ok(StackPlan::Unchanged(current)),
        }
    }

    /// Executes the plan, reports every step to `watch`, and prepares the table: the namespace `default`, the version
    /// record, and the retention of audit events.
    ///
    /// Dropping the future does not stop CloudFormation.
    ///
    /// # Errors
    /// [`StackError::Failed`] with the resource that failed and its reason.
    pub async fn apply(&self, plan: StackPlan, watch: &dyn Watch) -> Result<DeployedStack, StackError> {
        let asked = self.options.audit_retention();
        let (deployed, retention) = match plan {
            StackPlan::Create(new) => {
                let id = self.create(new).await?;
                let mut follow = Follow::new(self.cloud, &self.stack, &id);
                let deployed = follow.until_done(watch).await?;
                (
                    outcome(&self.stack, deployed, follow.take_failure())?,
                    asked.or(Some(setup::DEFAULT_AUDIT_RETENTION_DAYS)),
                )
            }
            StackPlan::Update(Update { changes, .. }) => {
                let mut follow = Follow::from_now(self.cloud, &self.stack, &changes.stack_id).await?;
                self.execute(&changes).await?;
                let deployed = follow.until_done(watch).await?;
                (outcome(&self.stack, deployed, follow.take_failure())?, asked)
            }
            StackPlan::Unchanged(deployed) => (deployed, asked),
        };
        watch.step("Preparing the table");
        setup::prepare(self.cloud, &self.stack, retention).await?;
        self.look_at_code(&deployed, watch).await;
        Ok(deployed)
    }

    /// Warns of functions that run unexpected code.
    async fn look_at_code(&self, deployed: &DeployedStack, watch: &dyn Watch) {
        for function in functions(self.cloud, deployed).await {
            let name = &function.name;
            let packed = self.packages.sha256_base64(function.function());
            if function.runs == Runs::Placeholder {
                watch.warn(&format!(
                    "{name} is a placeholder that fails: `zae-deploy upgrade --name {}` uploads its code",
                    self.stack
                ));
            } else if function.code_sha256.is_some() && packed.is_some() && function.code_sha256 != packed {
                watch.warn(&format!("{name} runs other code than was packed: somebody uploaded it by other means"));
            }
        }
    }

    /// Starts the plan without waiting. The next deployment prepares the table, or the first program that opens it; the
    /// retention of audit events is only stored by a deployment.
    ///
    /// # Errors
    /// As [`apply`](Self::apply), for everything that CloudFormation rejects immediately.
    pub async fn start(&self, plan: StackPlan) -> Result<(), StackError> {
        match plan {
            StackPlan::Create(new) => self.create(new).await.map(drop),
            StackPlan::Update(update) => self.execute(&update.changes).await,
            StackPlan::Unchanged(_) => Ok(()),
        }
    }

    /// Discards the plan.
    pub async fn discard(&self, plan: StackPlan) {
        if let StackPlan::Update(update) = plan {
            changes::discard(self.cloud, &self.stack, &update.changes.id).await;
        }
    }

    /// Returns the stack once no operation is under way.
    async fn settled(&self, watch: &dyn Watch) -> Result<Option<DeployedStack>, StackError> {
        let Some(current) = describe(self.cloud, &self.stack).await? else { return Ok(None) };
        // A stack under review was never created; waiting does not change that.
        if !current.state.is_in_progress() || current.state.as_str() == "REVIEW_IN_PROGRESS" {
            return Ok(Some(current));
        }
        watch.step(&format!("Stack {} is {}; waiting for it", self.stack, current.state));
        let settled = Follow::from_now(self.cloud, &self.stack, &current.id).await?.until_done(watch).await?;
        Ok(Some(settled).filter(|stack| !stack.state.is_deleted()))
    }

    async fn upload(&self, watch: &dyn Watch) -> Result<Option<CodeLocation>, StackError> {
        artifact::upload(self.cloud, &self.packages, watch).await
    }

    async fn create(&self, new: NewStack) -> Result<String, StackError> {
        let operation = "cloudformation:CreateStack";
        let tags = tags::all(self.stack.as_str(), &BTreeMap::new(), self.options.tags());
        let request = self
            .cloud
            .cloudformation()
            .create_stack()
            .stack_name(self.stack.as_str())
            .template_body(TEMPLATE)
            .set_parameters(Some(parameters::requests(&new.wanted)))
            .set_tags(Some(tags::requests(&tags)))
            .capabilities(Capability::CapabilityNamedIam);
        let answer = request.send().await.map_err(|error| StackError::from_sdk(operation, error))?;
        Ok(answer.stack_id.unwrap_or_else(|| self.stack.to_string()))
    }

    async fn change_set(&self, current: &DeployedStack, wanted: &AllWanted) -> Result<Option<ChangeSet>, StackError> {
        let operation = "cloudformation:CreateChangeSet";
        let tags = tags::all(self.stack.as_str(), &current.tags, self.options.tags());
        let request = self
            .cloud
            .cloudformation()
            .create_change_set()
            .stack_name(self.stack.as_str())
            .change_set_name(format!("zae-deploy-{}", ulid::Ulid::new()))
            .change_set_type(ChangeSetType::Update)
            .set_template_body((self.scope == Scope::Stack).then(|| TEMPLATE.to_owned()))
            .set_use_previous_template((self.scope == Scope::Code).then_some(true))
            .set_parameters(Some(parameters::requests(wanted)))
            .set_tags(Some(tags::requests(&tags)))
            .capabilities(Capability::CapabilityNamedIam);
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) if error.message().is_some_and(changes::says_nothing_changes) => return Ok(None),
            Err(error) => return Err(StackError::from_sdk(operation, error)),
        };
        let id = answer.id.unwrap_or_default();
        changes::ready(self.cloud, &self.stack, &id).await
    }

    async fn execute(&self, changes: &ChangeSet) -> Result<(), StackError> {
        let request = self.cloud.cloudformation().execute_change_set().change_set_name(&changes.id);
        let answer = request.stack_name(self.stack.as_str()).send().await;
        answer.map(drop).map_err(|error| StackError::from_sdk("cloudformation:ExecuteChangeSet", error))
    }
}
