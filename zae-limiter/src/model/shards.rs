//! The setting for spreading a hot bucket over several items: [`Shards`].

/// Tells what a limiter does about a bucket that is written more often than DynamoDB takes for one item, about 1 000
/// times a second.
///
/// With [`OnDemand`](Shards::OnDemand), a bucket that DynamoDB throttles for that reason is *split*: one transaction
/// spreads its capacity, its refill and what it holds over twice as many items, 32 at the most. All of them together
/// never hold more than the one bucket would. Each process asks one of them, and others where that one refuses, so it
/// is granted what is left anywhere; an amount that no single item can hold is gathered from several, all or none. A
/// bucket stays split until it is folded: [`Repository::fold_bucket`](crate::Repository::fold_bucket), `zae-deploy
/// bucket fold`.
///
/// It is meant for keys that many processes ask well within the limit. Where more is asked for than the limit allows, a
/// split bucket is refused shard by shard, which costs more writes than one item would. So a bucket that is nearly
/// empty is not split. Nor is one if one of its limits is a quota or soft, if an item would hold less than four times
/// what is asked for, or if the process keeps a [reserve](crate::Reserve) of it, which takes few writes as it is.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use zae_limiter::{RateLimiter, Repository, Shards};
///
/// let limiter = RateLimiter::builder(Repository::embedded().await?).shards(Shards::OnDemand).build();
/// # let _ = limiter;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shards {
    /// Splits a bucket that DynamoDB throttles.
    OnDemand,
    /// Never splits one. Shards that other clients have made are honoured.
    #[default]
    Never,
}
