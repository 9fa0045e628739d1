//! Opening tables: what is created, refused and kept.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use zae_limiter::{
    EmbeddedStore, NamespaceName, Repository, RepositoryError, ResourceName, StackName, StoredPolicy, SystemDefaults,
    audit::AuditTarget,
    error::NamespaceState,
    provision::{ProvisionOccasion, ProvisionTarget, Provisioner, Provisioning},
};
use zae_testkit::{Bench, limits, raw, rpm, store::TestStore};

fn name(text: &str) -> NamespaceName {
    NamespaceName::new(text).unwrap()
}

#[tokio::test]
async fn what_is_missing_is_named_and_not_created() {
    let store = TestStore::new();
    let error = Repository::builder().client(store.client()).build().await.unwrap_err();
    assert!(matches!(&error, RepositoryError::TableMissing { table } if table == "limiter"), "{error}");
    assert!(error.to_string().contains("zae-deploy deploy"), "{error}");

    store.builder().build().await.unwrap();
    let error = Repository::builder().client(store.client()).namespace("typo").build().await.unwrap_err();
    assert!(matches!(&error, RepositoryError::NamespaceNotFound(missing) if *missing == name("typo")), "{error}");
    let repository = Repository::builder().client(store.client()).build().await.unwrap();
    let names: Vec<_> = repository.namespaces().await.unwrap().into_iter().map(|info| info.name).collect();
    assert_eq!(names, [name("default")]);
}

#[tokio::test]
async fn a_table_that_cloudformation_made_is_opened_like_any_other() {
    let store = TestStore::new();
    store.create_table(&StackName::new("limiter").unwrap()).await.unwrap();
    let builder = || Repository::builder().client(store.client());
    // Read-only opening creates nothing, nor does a mistyped name.
    for (builder, missing) in [(builder().must_exist(), "default"), (builder().namespace("typo"), "typo")] {
        let error = builder.build().await.unwrap_err();
        assert!(matches!(&error, RepositoryError::NamespaceNotFound(found) if *found == name(missing)), "{error}");
    }
    assert_eq!(store.client().scan().table_name("limiter").send().await.unwrap().count, 0);

    let first = builder().build().await.unwrap();
    assert!(first.version_record().await.unwrap().is_some());
    let second = builder().must_exist().build().await.unwrap();
    assert_eq!(first.namespace_id(), second.namespace_id());

    first.delete_namespace(&name("default")).await.unwrap();
    let error = builder().build().await.unwrap_err();
    assert!(matches!(error, RepositoryError::NamespaceState { .. }), "a deletion is somebody's decision: {error}");
}

#[tokio::test]
async fn an_application_that_may_not_register_the_default_namespace_says_what_to_run() {
    let store = TestStore::new();
    store.create_table(&StackName::new("limiter").unwrap()).await.unwrap();
    let (wire, client) = zae_testkit::Wire::tap(&store.client());
    wire.fail(|operation, _| match operation {
        "TransactWriteItems" | "PutItem" | "UpdateItem" => zae_testkit::Fault::Denied,
        _ => zae_testkit::Fault::None,
    });
    let error = Repository::builder().client(client).build().await.unwrap_err();
    assert!(matches!(error, RepositoryError::MayNotRegister { .. }), "{error}");
    assert!(error.to_string().contains("`zae-deploy namespace register default --name limiter`"), "{error}");
}

#[tokio::test]
async fn bad_settings_are_refused_before_anything_is_sent() {
    let bench = Bench::new();
    let (wire, repository) = bench.process().await;
    let builder = || Repository::builder().client(repository.client().clone());
    for (builder, field) in [
        (builder().stack("rate_limits"), "name"),
        (builder().namespace("_"), "namespace"),
        (builder().audit_retention_days(0), "audit_retention_days"),
    ] {
        let error = builder.build().await.unwrap_err();
        assert!(matches!(&error, RepositoryError::Invalid(invalid) if invalid.field() == field), "{error}");
    }
    assert_eq!(wire.count(), 0);
}

#[tokio::test]
async fn a_deleted_namespace_is_not_brought_back_by_opening_it() {
    let store = TestStore::new();
    let repository = store.builder().namespace("tenant").build().await.unwrap();
    let id = repository.namespace_id().clone();
    repository.delete_namespace(&name("tenant")).await.unwrap();
    for builder in
        [store.builder().namespace("tenant"), Repository::builder().client(store.client()).namespace("tenant")]
    {
        let error = builder.build().await.unwrap_err();
        let RepositoryError::NamespaceState { id: found, state: NamespaceState::Deleted, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(*found, id);
    }
    repository.recover_namespace(&id).await.unwrap();
    let again = Repository::builder().client(store.client()).namespace("tenant").build().await.unwrap();
    assert_eq!(*again.namespace_id(), id);
}

#[tokio::test]
async fn a_file_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("limits.db");
    let resource = ResourceName::new("gpt-4").unwrap();
    let first = Repository::embedded_at(&path).await.unwrap();
    first.set_resource_defaults(&resource, rpm(100)).await.unwrap();
    let id = first.namespace_id().clone();
    drop(first);
    let second = Repository::embedded_at(&path).await.unwrap();
    assert_eq!(*second.namespace_id(), id);
    assert_eq!(second.resource_defaults(&resource).await.unwrap(), Some(limits([rpm(100)])));
}

#[tokio::test]
async fn embedded_tables_have_no_stream_to_fill() {
    let repository = Repository::embedded().await.unwrap();
    let table = repository.client().describe_table().table_name("limiter").send().await.unwrap().table.unwrap();
    assert!(table.stream_specification().is_none_or(|stream| !stream.stream_enabled()));
    assert_eq!((table.global_secondary_indexes().len(), table.local_secondary_indexes().len()), (4, 5));
}

#[tokio::test]
async fn what_the_builder_stores_is_kept_by_later_changes() {
    let store = TestStore::new();
    let builder = || store.builder();
    let repository = builder().on_unavailable(StoredPolicy::Allow).audit_retention_days(7).build().await.unwrap();
    assert_eq!(
        repository.system_defaults().await.unwrap(),
        SystemDefaults::default().on_unavailable(StoredPolicy::Allow)
    );

    repository.set_system_defaults(SystemDefaults::new(rpm(5)).on_unavailable(StoredPolicy::Block)).await.unwrap();
    let pk = format!("{}/SYSTEM#", repository.namespace_id());
    let stored = raw::get(&repository, &pk, "#CONFIG").await;
    assert_eq!(raw::number(&stored, "audit_retention_days"), Some(7));
    // The policy alone changes, the limits stay.
    builder().on_unavailable(StoredPolicy::Allow).build().await.unwrap();
    let both = SystemDefaults::new(rpm(5)).on_unavailable(StoredPolicy::Allow);
    assert_eq!(repository.system_defaults().await.unwrap(), both);
    let events = repository.audit_events(&AuditTarget::System, 1, None).await.unwrap().events;
    assert_eq!(events[0].details["on_unavailable"], "allow", "the builder's changes are recorded like others");
    assert_eq!(events[0].details["limits"][0]["capacity"], 5);

    assert!(repository.delete_system_defaults().await.unwrap());
    assert!(!repository.delete_system_defaults().await.unwrap());
    assert_eq!(repository.system_defaults().await.unwrap(), SystemDefaults::default());
    let stored = raw::get(&repository, &pk, "#CONFIG").await;
    assert_eq!(raw::number(&stored, "audit_retention_days"), Some(7));
}

#[tokio::test]
async fn a_table_for_newer_clients_is_not_opened() {
    let store = TestStore::new();
    let repository = store.builder().build().await.unwrap();
    for (field, value) in [("client_min_version", "99.0.0"), ("schema_version", "7.0.0")] {
        let mut record = raw::get(&repository, "_/SYSTEM#", "#VERSION").await;
        let before = record.clone();
        assert_ne!(record[field], json!(null), "{record}");
        record[field] = json!({ "S": value });
        raw::put(&repository, &record).await;
        let error = Repository::builder().client(store.client()).build().await.unwrap_err();
        let named = match field {
            "client_min_version" => matches!(error, RepositoryError::ClientTooOld { .. }),
            _ => matches!(error, RepositoryError::IncompatibleSchema { .. }),
        };
        assert!(named && error.to_string().contains(value), "{error}");
        raw::put(&repository, &before).await;
    }
}

#[tokio::test]
async fn other_programs_reach_an_embedded_store_over_http() {
    let store = EmbeddedStore::memory().unwrap();
    let stack = StackName::new("shared").unwrap();
    store.create_table(&stack).await.unwrap();
    let here = Repository::builder().embedded_store(&store).stack(&stack).build().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let served = store.clone();
    let server = tokio::spawn(async move { served.serve(listener, async { drop(stopped.await) }).await });

    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = store.client().config().to_builder().endpoint_url(url).http_client(http).build();
    let there = Repository::builder().client(aws_sdk_dynamodb::Client::from_conf(config)).stack(&stack);
    let there = there.build().await.unwrap();
    assert!(there.is_available(Duration::from_secs(5)).await);
    there.set_system_defaults(rpm(3)).await.unwrap();
    assert_eq!(here.system_defaults().await.unwrap().limits, Some(limits([rpm(3)])));

    drop(stop);
    drop(there);
    tokio::time::timeout(Duration::from_secs(30), server).await.expect("the server stops").unwrap().unwrap();
}

#[tokio::test]
async fn ping_tells_a_table_that_is_gone() {
    let repository = TestStore::new().repository().await;
    assert!(repository.ping().await);
    repository.delete_table().await.unwrap();
    assert!(!repository.ping().await && !repository.is_available(Duration::from_secs(1)).await);
    repository.delete_table().await.unwrap();
    repository.create_table().await.unwrap();
    assert!(repository.ping().await);
}

#[tokio::test]
async fn namespaces_share_nothing_but_the_table() {
    let repository = TestStore::new().repository().await;
    // All of these are valid names of namespaces.
    for hostile in ["a b", "a#b", "a/b", "../x", "Ωmega", "$SYSTEM", "#NAMESPACE#default"] {
        let missing = repository.scoped(&name(hostile)).await.unwrap_err();
        assert!(matches!(missing, RepositoryError::NamespaceNotFound(_)), "{missing}");
        repository.register_namespace(&name(hostile)).await.unwrap();
        let tenant = repository.scoped(&name(hostile)).await.unwrap();
        assert_eq!(tenant.system_defaults().await.unwrap(), SystemDefaults::default(), "{hostile}");
        tenant.set_system_defaults(rpm(7)).await.unwrap();
    }
    assert_eq!(repository.system_defaults().await.unwrap(), SystemDefaults::default());
}

/// Tells the test below that it runs inside itself, in an environment of its own.
#[cfg(feature = "aws")]
const INNER: &str = "ZAE_TEST_INNER";

/// Runs the test `name` in a separate process that has only `variables`.
#[cfg(feature = "aws")]
async fn inside(name: &str, variables: &[(&str, &str)]) {
    let mut inner = tokio::process::Command::new(std::env::current_exe().unwrap());
    inner.args(["--exact", &format!("open::{name}")]).env_clear().env(INNER, "1").envs(variables.iter().copied());
    let inner = inner.output().await.unwrap();
    let said = String::from_utf8_lossy(&inner.stdout);
    assert!(inner.status.success() && said.contains("1 passed"), "{variables:?}: {said}");
}

/// Opens a repository as a separate program would, by the environment alone.
#[cfg(feature = "aws")]
async fn open_by_environment() {
    let repository = Repository::open("").await.unwrap();
    assert_eq!((repository.stack().as_str(), repository.namespace_name().as_str()), ("from-env", "tenant-env"));
    repository.set_system_defaults(rpm(42)).await.unwrap();
    // Code takes precedence over the environment.
    let missing = Repository::open("nobody").await.unwrap_err();
    assert!(matches!(&missing, RepositoryError::NamespaceNotFound(gone) if *gone == name("nobody")), "{missing}");
    let missing = Repository::builder().stack("other").build().await.unwrap_err();
    assert!(matches!(&missing, RepositoryError::TableMissing { table } if table == "other"), "{missing}");
}

#[cfg(feature = "aws")]
#[tokio::test(flavor = "multi_thread")]
async fn open_reads_the_environment_as_aws_tools_do() {
    if std::env::var_os(INNER).is_some() {
        return open_by_environment().await;
    }
    let store = EmbeddedStore::memory().unwrap();
    let builder = Repository::builder().embedded_store(&store).stack("from-env").namespace("tenant-env");
    let repository = builder.build().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { store.serve(listener, std::future::pending()).await });
    let known = [("ZAEL_STACK", "from-env"), ("ZAEL_NAMESPACE", "tenant-env"), ("AWS_ENDPOINT_URL_DYNAMODB", &url)];
    let set = [("AWS_REGION", "eu-central-1"), ("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
    // An endpoint on this machine needs no other setting, and empty values count as unset.
    let empty = ["AWS_ENDPOINT_URL", "AWS_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    let empty = empty.map(|name| (name, ""));
    let proxied = [("HTTP_PROXY", "http://127.0.0.1:1"), ("HTTPS_PROXY", "nonsense://")];
    for more in [&set[..], &empty[..], &proxied[..]] {
        inside("open_reads_the_environment_as_aws_tools_do", &[&known, more].concat()).await;
    }
    assert_eq!(repository.system_defaults().await.unwrap().limits, Some(limits([rpm(42)])));
    server.abort();
}

#[cfg(feature = "aws")]
#[tokio::test(flavor = "multi_thread")]
async fn calls_go_through_the_proxy_that_the_environment_names() {
    if std::env::var_os(INNER).is_some() {
        let error = Repository::open("").await.unwrap_err();
        assert!(matches!(error, RepositoryError::Store(_)), "{error}");
        return;
    }
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://ada:word@{}", proxy.local_addr().unwrap());
    let heads = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = heads.clone();
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = proxy.accept().await {
            let mut head = vec![0; 1024];
            let length = stream.read(&mut head).await.unwrap();
            seen.lock().unwrap().push(String::from_utf8_lossy(&head[..length]).to_lowercase());
            stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        }
    });
    let known = [("AWS_REGION", "eu-west-1"), ("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
    inside("calls_go_through_the_proxy_that_the_environment_names", &[&known[..], &[("HTTPS_PROXY", &url)]].concat())
        .await;
    server.abort();
    let heads = heads.lock().unwrap();
    assert!(!heads.is_empty(), "the proxy is never asked");
    for head in heads.iter() {
        assert!(head.starts_with("connect dynamodb.eu-west-1.amazonaws.com:443 "), "{head}");
        assert!(head.contains("proxy-authorization: basic ywrhondvcmq="), "{head}");
    }
}

#[cfg(feature = "aws")]
#[tokio::test]
async fn a_configuration_that_is_printed_shows_no_secret() {
    if std::env::var_os(INNER).is_none() {
        let keys =
            [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI"), ("AWS_REGION", "eu-west-1")];
        return inside("a_configuration_that_is_printed_shows_no_secret", &keys).await;
    }
    let config = zae_limiter::aws::Connect::to(zae_limiter::aws::Service::DynamoDb).load().await.unwrap();
    let client = aws_sdk_dynamodb::Client::new(&config);
    assert!(!format!("{config:?} {client:?}").contains("wJalrXUtnFEMI"));
}

#[cfg(feature = "aws")]
#[tokio::test]
async fn what_cannot_be_called_is_an_error_before_anything_is_sent() {
    let open = |region: &str, url: &str| Repository::builder().region(region).endpoint_url(url).build();
    for (region, url, expected) in [
        ("", "localhost:8000", "the endpoint 'localhost:8000' lacks a scheme: did you mean http://localhost:8000?"),
        ("us east 1", "http://localhost:1", "the region 'us east 1' is not a region's name, such as us-east-1"),
    ] {
        let error = open(region, url).await.unwrap_err();
        assert!(matches!(error, RepositoryError::Connect(_)), "{error:?}");
        assert_eq!(error.to_string(), expected);
    }
}

/// Creates the table in a store, and counts its calls.
#[derive(Debug)]
struct Maker {
    store: TestStore,
    occasion: ProvisionOccasion,
    asked: Arc<AtomicU32>,
}

impl Provisioner for Maker {
    fn occasion(&self) -> ProvisionOccasion {
        self.occasion
    }

    fn provision<'a>(&'a self, target: &'a ProvisionTarget) -> Provisioning<'a> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            self.store.create_table(&target.stack).await.map_err(Into::into)
        })
    }
}

#[tokio::test]
async fn a_provisioner_makes_what_is_missing_and_typos_stay_errors() {
    let store = TestStore::new();
    let asked = Arc::new(AtomicU32::new(0));
    let open = |namespace: &str, occasion| {
        let maker = Maker { store: store.clone(), occasion, asked: asked.clone() };
        Repository::builder().client(store.client()).namespace(namespace).provisioner(maker).build()
    };
    let repository = open("tenant", ProvisionOccasion::TableMissing).await.unwrap();
    let names: Vec<_> = repository.namespaces().await.unwrap().into_iter().map(|info| info.name).collect();
    assert_eq!(names, [name("default"), name("tenant")]);
    assert!(repository.version_record().await.unwrap().is_some());

    open("default", ProvisionOccasion::TableMissing).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1, "an existing table is left alone");
    open("default", ProvisionOccasion::Always).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2, "what is declared is made true");

    let error = open("tennant", ProvisionOccasion::Always).await.unwrap_err();
    assert!(matches!(&error, RepositoryError::NamespaceNotFound(missing) if *missing == name("tennant")), "{error}");
    repository.delete_namespace(&name("default")).await.unwrap();
    open("tenant", ProvisionOccasion::Always).await.expect("somebody deleted `default`, and nobody asked for it");
    let error = open("default", ProvisionOccasion::Always).await.unwrap_err();
    assert!(matches!(&error, RepositoryError::NamespaceState { .. }), "{error}");
}
