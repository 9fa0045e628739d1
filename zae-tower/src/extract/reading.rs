//! A layer's rules for extractors that read a body: [`BodyRules`].

use std::{collections::HashSet, sync::Arc, time::Duration};

use zae_limiter::{Repository, ResourceName};

use super::{BodyBudget, ExtractError};
use crate::request::RequestHead;

/// The time that a whole body may take to arrive, from when it is first asked for, unless the layer says otherwise.
pub const DEFAULT_BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// The time that reading the table's names may take.
const NAMES_TIMEOUT: Duration = Duration::from_secs(1);

/// The layer's rules, in the extensions of a request while its extractors look at it.
#[derive(Clone, Debug)]
pub(crate) struct BodyRules {
    pub(crate) timeout: Duration,
    pub(crate) budget: BodyBudget,
    pub(crate) repository: Option<Repository>,
}

/// The resources that have limits in the table.
pub(crate) enum Names {
    These(Arc<HashSet<ResourceName>>),
    /// There is no layer, and so no table.
    Unknown,
}

impl Default for BodyRules {
    fn default() -> Self {
        Self { timeout: DEFAULT_BODY_TIMEOUT, budget: BodyBudget::shared(), repository: None }
    }
}

impl BodyRules {
    /// The rules for `request`; those of a layer without settings where it is in no layer.
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
