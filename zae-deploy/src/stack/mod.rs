//! Creates, updates, finds and removes stacks.
//!
//! A [`Cloud`] is an account and region. A [`Deployment`] brings a stack to the state described by [`StackOptions`], in
//! two steps, so that the [`StackPlan`] can be reviewed in between. [`delete`] removes a stack; [`list_deployed`] finds
//! all of them. [`StackProvisioner`] does all that when a [`Repository`](zae_limiter::Repository) is opened.

mod changes;
mod cloud;
mod delete;
mod deploy;
mod describe;
mod discovery;
mod error;
mod functions;
mod names;
mod options;
mod parameters;
mod progress;
mod provision;
mod setup;
mod state;
mod tags;

pub use changes::{ChangeSet, ResourceAction, ResourceChange};
pub use cloud::Cloud;
pub(crate) use cloud::SERVICES;
pub use delete::{DeletedStack, deletable, delete, start_delete};
pub use deploy::{Deployment, NewStack, Scope, StackPlan, Update};
pub use describe::{DeployedStack, describe};
pub use discovery::{LimiterInfo, list_deployed};
pub use error::{OptionError, Protected, ResourceFailure, StackError};
pub use functions::{DeployedFunction, Runs, functions};
pub use options::{IndexProjection, LOG_RETENTION_DAYS, StackOptions, StackOptionsBuilder};
pub use parameters::Parameters;
pub use progress::{LogWatch, StackEvent, Watch};
pub use provision::{RepositoryStack, StackProvisioner};
pub use state::StackState;

pub(crate) use parameters::CodeLocation;
#[cfg(feature = "local")]
pub(crate) use setup::{new_stack, prepare_table};
