//! The layer's rules for extractors that read a body: [`BodyRules`].

use std::{collections::HashSet, sync::Arc, time::Duration};

use zae_limiter::{Repository, ResourceName};

use super::{BodyBudget, ExtractError};
use crate::request::RequestHead;

/// Maximum time for a whole body to arrive, from the first attempt to read it, unless the layer sets another.
pub const DEFAULT_BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum time for reading the names from the table.
const NAMES_TIMEOUT: Duration = Duration::from_secs(1);

/// The layer's rules, in the extensions of a request while its extractors run.
#[derive(Clone, Debug)]
pub(crate) struct BodyRules {
    pub(crate) timeout: Duration,
    pub(crate) budget: BodyBudget,
    pub(crate) repository: Option<Repository>,
}

/// The resources that have limits in the table.
pub(crate) enum Names {
    These(Arc<HashSet<ResourceName>>),
    /// There is no layer and therefore no table.
    Unknown,
}

impl Default for BodyRules {
    fn default() -> Self {
        Self { timeout: DEFAULT_BODY_TIMEOUT, budget: BodyBudget::shared(), repository: None }
    }
}

impl BodyRules {
    /// Returns the rules for `request`; outside a layer, those of a layer with default settings.
    pub(crate) fn of(request: &impl RequestHead) -> Self {
        request.extensions().get().cloned().unwrap_or_default()
    }

    pub(crate) async fn configured(&self) -> Result<Names, ExtractError> {
        let Some(repository) = &self.repository else { return Ok(Names::Unknown) };
        match tokio::time::timeout(NAMES_TIMEOUT, repository.configured_resources()).await {
            Ok(Ok(names)) => Ok(Names::These(names)),
            Ok(Err(error)) => Err(ExtractError::unavailable(error.to_string(), Duration::from_secs(1))),
            Err(_) => Err(ExtractError::unavailable("the table did not answer in time", Duration::from_secs(1))),
        }
    }
}
