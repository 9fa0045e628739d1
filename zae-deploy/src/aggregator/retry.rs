//! Retries work while there is time.

use std::time::Duration;

use tokio::time::Instant;
use zae_limiter::{RepositoryError, error::StoreErrorKind};

/// Number of attempts at a write, each of which is several attempts of the SDK.
const TRIES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The reason why a piece of work was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undone {
    #[error("there was no time left")]
    NoTime,
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

/// Repeats `work` until it succeeds, is refused permanently, or time is over. The work must be repeatable.
pub(super) async fn persistently<T, F>(deadline: Option<Instant>, work: impl Fn() -> F + Send) -> Result<T, Undone>
where
    F: Future<Output = Result<T, RepositoryError>> + Send,
{
    let mut pause = FIRST_PAUSE;
    let mut tried = 1;
    loop {
        let attempt = match deadline {
            Some(deadline) if Instant::now() >= deadline => return Err(Undone::NoTime),
            Some(deadline) => tokio::time::timeout_at(deadline, work()).await.map_err(|_| Undone::NoTime)?,
            None => work().await,
        };
        match attempt {
            Ok(done) => return Ok(done),
            Err(error) if tried < TRIES && is_passing(&error) => {}
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(pause).await;
        (pause, tried) = (pause * 2, tried + 1);
    }
}

fn is_passing(error: &RepositoryError) -> bool {
    let RepositoryError::Store(error) = error else { return false };
    matches!(error.kind(), StoreErrorKind::NotApplied | StoreErrorKind::NotConnected | StoreErrorKind::Ambiguous)
}

#[cfg(test)]
mod tests {
    use std::{
        net::TcpListener,
        sync::atomic::{AtomicU32, Ordering},
    };

    use zae_limiter::Repository;

    use super::*;

    #[tokio::test]
    async fn a_connection_that_is_refused_is_tried_again() {
        // A port that was just released.
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let asked = AtomicU32::new(0);
        let url = &format!("http://127.0.0.1:{port}");
        let undone = persistently(None, || {
            asked.fetch_add(1, Ordering::Relaxed);
            async { Repository::builder().endpoint_url(url).build().await.map(drop) }
        });
        let Err(Undone::Repository(RepositoryError::Store(error))) = undone.await else { panic!("it is the store's") };
        assert_eq!((error.kind(), asked.into_inner()), (StoreErrorKind::NotConnected, TRIES));
    }
}
