//! Documents that processes share.

use std::sync::Arc;

use zae_limiter::{Repository, RepositoryError, SharedDocument};
use zae_testkit::{
    Bench,
    table::{Table, item, s},
};

async fn bench() -> (Repository, Table) {
    let bench = Bench::new();
    let (_, repository) = bench.process().await;
    let table = Table::of(&bench.store, &repository);
    (repository, table)
}

#[tokio::test]
async fn of_many_writers_of_one_version_one_writes() {
    let (repository, _) = bench().await;
    let repository = Arc::new(repository);
    let mut last = SharedDocument::ABSENT;
    for round in 0..5 {
        let writers = (0..8).map(|writer| {
            let repository = Arc::clone(&repository);
            let body = format!("{round}-{writer}");
            tokio::spawn(async move { repository.put_document("prices", last, body.as_bytes()).await.unwrap() })
        });
        let mut written = 0;
        for writer in writers.collect::<Vec<_>>() {
            written += i32::from(writer.await.unwrap());
        }
        let document = repository.document("prices").await.unwrap().unwrap();
        assert_eq!((written, document.version), (1, last + 1));
        assert!(document.body.starts_with(round.to_string().as_bytes()));
        last = document.version;
    }
    assert_eq!(repository.document("others").await.unwrap(), None);
}

#[tokio::test]
async fn what_does_not_fit_an_item_is_refused_before_it_is_sent() {
    let (repository, _) = bench().await;
    let longest = vec![7; SharedDocument::MAX_BYTES];
    assert!(repository.put_document("prices", 0, &longest).await.unwrap());
    let longer = vec![7; SharedDocument::MAX_BYTES + 1];
    let refused = repository.put_document("prices", 1, &longer).await;
    assert!(matches!(&refused, Err(RepositoryError::Invalid(error)) if error.field() == "document"), "{refused:?}");
    assert_eq!(repository.document("prices").await.unwrap().unwrap().body, longest);
}

#[tokio::test]
async fn an_item_that_is_no_document_is_none() {
    let (repository, table) = bench().await;
    let key = format!("{}/SYSTEM#", repository.namespace_id());
    for version in [None, Some("1")] {
        let mut foreign = item(&[("PK", s(&key)), ("SK", s("#Z_DOCUMENT#prices"))]);
        foreign.extend(version.map(|version| ("z_version".to_owned(), s(version))));
        table.put(foreign).await;
        assert_eq!(repository.document("prices").await.unwrap(), None);
    }
}
