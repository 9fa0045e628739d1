//! A table, the binary, and the comparison of its output with snapshots.

use std::{
    cell::RefCell,
    collections::BTreeSet,
    process::{Command, Output, Stdio},
};

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;
use tokio::{net::TcpListener, runtime::Runtime};
use zae_limiter::{EmbeddedStore, NamespaceName, Repository};

use zae_testkit::snapshot::{compare, normal};

pub(crate) const STACK: &str = "limiter";

pub(crate) type Item = std::collections::HashMap<String, AttributeValue>;

/// An embedded store, served over HTTP as long as this value lives.
pub(crate) struct Stage {
    pub(crate) store: EmbeddedStore,
    pub(crate) runtime: Runtime,
    pub(crate) endpoint: String,
    /// The ids of all namespaces so far.
    ids: RefCell<BTreeSet<String>>,
}

impl Stage {
    /// Creates a stage without any table.
    pub(crate) fn empty() -> Self {
        let runtime = Runtime::new().unwrap();
        let store = EmbeddedStore::memory().unwrap();
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let served = store.clone();
        runtime.spawn(async move { served.serve(listener, std::future::pending()).await.unwrap() });
        Self { store, runtime, endpoint, ids: RefCell::default() }
    }

    /// Creates a stage with the table of the stack `limiter` and the namespace `default`.
    pub(crate) fn deployed() -> Self {
        let stage = Self::empty();
        stage.repository("default");
        stage
    }

    /// Opens a repository on the table, which is created if it is missing.
    pub(crate) fn repository(&self, namespace: &str) -> Repository {
        let builder = Repository::builder().stack(STACK).embedded_store(&self.store);
        self.runtime.block_on(builder.namespace(NamespaceName::new(namespace).unwrap()).build()).unwrap()
    }

    /// Returns the binary, configured for this stage.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = binary();
        command.args(args).args(["--endpoint-url", &self.endpoint]);
        command
    }

    /// Runs a command.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.remember_ids();
        run(&mut self.command(args))
    }

    /// Runs a command that must succeed, and returns its output.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        assert_eq!(ran.stderr, "", "{args:?}");
        ran.stdout
    }

    /// Runs a command that must succeed, with JSON output.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let text = self.ok(&[args, &["--output", "json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}: {text}"))
    }

    /// Compares the text and the JSON of a command with its snapshots.
    pub(crate) fn shows(&self, name: &str, args: &[&str]) {
        self.snapshot(&format!("{name}.txt"), &self.ok(args));
        self.snapshot(&format!("{name}.json"), &self.ok(&[args, &["--output", "json"]].concat()));
    }

    /// Compares a command that fails with its snapshot.
    pub(crate) fn fails(&self, name: &str, args: &[&str], code: i32) {
        let ran = self.run(args);
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{args:?}: {ran:?}");
        self.snapshot(&format!("{name}.err"), &ran.stderr);
    }

    pub(crate) fn snapshot(&self, name: &str, text: &str) {
        self.remember_ids();
        let text = text.replace(&self.endpoint, "http://127.0.0.1:PORT");
        compare(name, &normal(&text, &self.ids.borrow()));
    }

    fn remember_ids(&self) {
        let ids = self.items().into_iter().filter_map(|item| item.get("namespace_id")?.as_s().ok().cloned());
        self.ids.borrow_mut().extend(ids);
    }

    /// Returns all items of the table, by key; nothing without a table.
    pub(crate) fn items(&self) -> Vec<Item> {
        self.runtime.block_on(async {
            let mut items = Vec::new();
            let mut pages = self.store.client().scan().table_name(STACK).into_paginator().send();
            while let Some(page) = pages.next().await {
                let Ok(page) = page else { return Vec::new() };
                items.extend(page.items.unwrap_or_default());
            }
            let key = |item: &Item, name: &str| item[name].as_s().unwrap().clone();
            items.sort_by_key(|item| (key(item, "PK"), key(item, "SK")));
            items
        })
    }

    pub(crate) fn put(&self, item: Item) {
        let put = self.store.client().put_item().table_name(STACK).set_item(Some(item)).send();
        self.runtime.block_on(put).unwrap();
    }

    pub(crate) fn tables(&self) -> Vec<String> {
        let tables = self.runtime.block_on(self.store.client().list_tables().send()).unwrap();
        tables.table_names.unwrap_or_default()
    }
}

/// The result of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Returns the binary, isolated from the machine's own AWS configuration.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zae-deploy"));
    let kept = ["PATH", "LLVM_PROFILE_FILE"].map(|name| (name, std::env::var_os(name)));
    command.env_clear().envs(kept.into_iter().filter_map(|(name, value)| Some((name, value?))));
    command
        .env("AWS_ACCESS_KEY_ID", "embedded")
        .env("AWS_SECRET_ACCESS_KEY", "embedded")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_CONFIG_FILE", "/nonexistent")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("NO_PROXY", "127.0.0.1")
        .env("COLUMNS", "100")
        .stdin(Stdio::null());
    command
}

pub(crate) fn run(command: &mut Command) -> Ran {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) }
}
