//! `namespace …`: the namespaces of a stack.

use clap::Subcommand;
use serde::Serialize;
use zae_limiter::{NamespaceId, NamespaceName, RepositoryError, namespace::NamespaceInfo};

use super::{
    CliError, Context,
    args::YesArgs,
    context::{register, word},
    error::Doing,
    output::{Cell, Output, Page, Report, Table, units::count},
    prompt::confirm,
    suggest::closest,
};

/// Namespaces keep tenants or environments apart in one table.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  zae-deploy namespace register tenant-alpha tenant-beta --name prod
  zae-deploy namespace list --name prod
  zae-deploy namespace delete tenant-beta && zae-deploy namespace orphans")]
pub(crate) enum Group {
    /// Register namespaces; existing ones keep their ids
    #[command(after_help = "\
Examples:
  zae-deploy namespace register tenant-alpha tenant-beta --name prod")]
    Register {
        /// Their names
        #[arg(required = true, value_name = "NAMESPACE")]
        names: Vec<String>,
    },
    /// List the namespaces in use
    #[command(after_help = "\
Examples:
  zae-deploy namespace list --name prod")]
    List,
    /// Show one namespace
    #[command(after_help = "\
Examples:
  zae-deploy namespace show tenant-alpha")]
    Show {
        /// Its name
        #[arg(value_name = "NAMESPACE")]
        name: String,
    },
    /// Delete a namespace; its data stays until it is purged
    #[command(after_help = "\
Undo it with `zae-deploy namespace recover ID`; `zae-deploy namespace orphans` shows the id.

Examples:
  zae-deploy namespace delete tenant-beta")]
    Delete {
        /// Its name
        #[arg(value_name = "NAMESPACE")]
        name: String,
        #[command(flatten)]
        yes: YesArgs,
    },
    /// Recover a deleted namespace
    #[command(after_help = "\
Examples:
  zae-deploy namespace recover hdvwQXnpESw")]
    Recover {
        /// Its id, from `namespace orphans`
        #[arg(value_name = "ID", allow_hyphen_values = true)]
        id: String,
    },
    /// List deleted namespaces whose data is still there
    #[command(after_help = "\
Examples:
  zae-deploy namespace orphans")]
    Orphans,
    /// Permanently remove a deleted namespace and all its data
    #[command(after_help = "\
Examples:
  zae-deploy namespace purge hdvwQXnpESw")]
    Purge {
        /// Its id, from `namespace orphans`
        #[arg(value_name = "ID", allow_hyphen_values = true)]
        id: String,
        #[command(flatten)]
        yes: YesArgs,
    },
}

impl Group {
    pub(crate) async fn run(self, cx: &Context) -> Result<(), CliError> {
        let out = cx.output();
        match self {
            Self::Register { names } => register_all(cx, &out, &names).await,
            Self::List => list(cx, &out).await,
            Self::Show { name } => show(cx, &out, &name).await,
            Self::Delete { name, yes } => delete(cx, &out, &name, yes).await,
            Self::Recover { id } => recover(cx, &out, &id).await,
            Self::Orphans => orphans(cx, &out).await,
            Self::Purge { id, yes } => purge(cx, &out, &id, yes).await,
        }
    }
}

#[derive(Serialize)]
struct Named {
    name: NamespaceName,
    id: NamespaceId,
}

#[derive(Serialize)]
struct Registered {
    registered: Vec<Named>,
}

impl Report for Registered {
    fn page(&self, page: &mut Page) {
        match self.registered.as_slice() {
            [one] => page.line(format!("Registered namespace '{}': {}", one.name, one.id)),
            several => {
                page.line(format!("Registered {} namespace(s):", several.len()));
                several.iter().for_each(|one| page.line(format!("  {}: {}", one.name, one.id)));
            }
        }
    }
}

async fn register_all(cx: &Context, out: &Output, names: &[String]) -> Result<(), CliError> {
    let names: Vec<NamespaceName> = names.iter().map(NamespaceName::new).collect::<Result<_, _>>()?;
    let registry = cx.registry().await?;
    let mut registered = Vec::new();
    for name in names {
        let id = register(&registry, &name, "register namespace(s)").await?;
        registered.push(Named { name, id });
    }
    out.show(&Registered { registered })
}

#[derive(Serialize)]
struct Namespaces {
    namespaces: Vec<NamespaceInfo>,
}

impl Report for Namespaces {
    fn page(&self, page: &mut Page) {
        if self.namespaces.is_empty() {
            return page.line("No namespaces registered.");
        }
        let mut table = Table::left(["Name", "Namespace ID", "Created At", "Age"]);
        for info in &self.namespaces {
            let age = info.created_at.as_deref().and_then(|at| page.ago(at));
            let created = Cell::or_dash(info.created_at.as_deref());
            table.row([info.name.as_str().into(), info.id.as_str().into(), created, Cell::or_dash(age)]);
        }
        page.table(&table);
        page.blank();
        page.line(format!("Total: {} namespace(s)", self.namespaces.len()));
    }
}

async fn list(cx: &Context, out: &Output) -> Result<(), CliError> {
    let namespaces = cx.registry().await?.namespaces().await.doing("list namespaces")?;
    out.show(&Namespaces { namespaces })
}

#[derive(Serialize)]
#[serde(transparent)]
struct ShownNamespace(NamespaceInfo);

impl Report for ShownNamespace {
    fn page(&self, page: &mut Page) {
        let Self(info) = self;
        let created = info.created_at.as_deref().map_or_else(|| "-".to_owned(), |at| page.when(at));
        page.fields(
            0,
            [
                ("Namespace", info.name.to_string()),
                ("Namespace ID", info.id.to_string()),
                ("Status", info.state.to_string()),
                ("Created At", created),
            ],
        );
    }
}

async fn show(cx: &Context, out: &Output, name: &str) -> Result<(), CliError> {
    let name = NamespaceName::new(name)?;
    let registry = cx.registry().await?;
    match registry.namespace_info(&name).await.doing("show namespace")? {
        Some(info) => out.show(&ShownNamespace(info)),
        None => Err(missing(cx, &registry, &name).await),
    }
}

async fn missing(cx: &Context, registry: &zae_limiter::namespace::Registry, name: &NamespaceName) -> CliError {
    let known = registry.namespaces().await.unwrap_or_default();
    let mut error = CliError::problem(format!("Namespace '{name}' not found"));
    if let Some(name) = closest(name.as_str(), known.iter().map(|info| info.name.as_str())) {
        error = error.next(format!("did you mean '{name}'?"));
    }
    error.next(format!("{} lists the existing ones", cx.command("namespace list")))
}

#[derive(Serialize)]
struct DeletedNamespace {
    name: NamespaceName,
    id: Option<NamespaceId>,
    deleted: bool,
    #[serde(skip)]
    next: Vec<String>,
}

impl DeletedNamespace {
    /// Prints that there is no namespace of that name.
    async fn absent(cx: &Context, registry: &zae_limiter::namespace::Registry, name: NamespaceName) -> Self {
        let known = registry.namespaces().await.unwrap_or_default();
        let alike = closest(name.as_str(), known.iter().map(|info| info.name.as_str()));
        let alike = alike.map(|name| format!("did you mean '{name}'?"));
        let list = format!("{} lists the existing ones", cx.command("namespace list"));
        Self { name, id: None, deleted: false, next: alike.into_iter().chain([list]).collect() }
    }
}

impl Report for DeletedNamespace {
    fn page(&self, page: &mut Page) {
        if self.deleted {
            page.line(format!("Namespace '{}' deleted (data orphaned, recoverable).", self.name));
        } else {
            page.line(format!("There is no namespace '{}'; nothing to delete", self.name));
        }
        self.next.iter().for_each(|line| page.line(format!("  {line}")));
    }
}

async fn delete(cx: &Context, out: &Output, name: &str, yes: YesArgs) -> Result<(), CliError> {
    let name = NamespaceName::new(name)?;
    let registry = cx.registry().await?;
    if registry.namespace_info(&name).await.doing("delete namespace")?.is_none() {
        return out.show(&DeletedNamespace::absent(cx, &registry, name).await);
    }
    let losses = [format!("applications can no longer open '{name}'; those that have it open continue to work")];
    confirm(&format!("Delete namespace '{name}'? Data will be orphaned but recoverable."), &losses, yes)?;
    match registry.delete_namespace(&name).await.doing("delete namespace")? {
        Some(id) => {
            let undo = format!("Undo:    {}", cx.command(&format!("namespace recover {id}")));
            out.show(&DeletedNamespace { name, id: Some(id), deleted: true, next: vec![undo] })
        }
        None => out.show(&DeletedNamespace::absent(cx, &registry, name).await),
    }
}

#[derive(Serialize)]
struct Recovered {
    name: NamespaceName,
    id: NamespaceId,
}

impl Report for Recovered {
    fn page(&self, page: &mut Page) {
        page.line(format!("Recovered namespace '{}' (ID: {}).", self.name, self.id));
    }
}

fn unknown(cx: &Context, id: &NamespaceId) -> CliError {
    CliError::problem(format!("Namespace ID '{id}' not found"))
        .next(format!("{} shows what can be recovered or purged", cx.command("namespace orphans")))
}

async fn recover(cx: &Context, out: &Output, id: &str) -> Result<(), CliError> {
    let id = NamespaceId::new(id)?;
    match cx.registry().await?.recover_namespace(&id).await {
        Ok(name) => out.show(&Recovered { name, id }),
        Err(RepositoryError::NamespaceIdNotFound(id)) => Err(unknown(cx, &id)),
        Err(error @ RepositoryError::NamespaceState { .. }) => Err(CliError::problem(error.to_string())),
        Err(error) => Err(error).doing("recover namespace"),
    }
}

#[derive(Serialize)]
struct Orphans {
    orphans: Vec<NamespaceInfo>,
}

impl Report for Orphans {
    fn page(&self, page: &mut Page) {
        if self.orphans.is_empty() {
            return page.line("No orphaned namespaces.");
        }
        let mut table = Table::left(["Namespace ID", "Name", "Status", "Deleted At", "Age"]);
        for info in &self.orphans {
            let age = info.deleted_at.as_deref().and_then(|at| page.ago(at));
            let deleted = Cell::or_dash(info.deleted_at.as_deref());
            let state = info.state.as_str().into();
            table.row([info.id.as_str().into(), info.name.as_str().into(), state, deleted, Cell::or_dash(age)]);
        }
        page.table(&table);
        page.blank();
        page.line(format!("Total: {} orphaned namespace(s)", self.orphans.len()));
    }
}

async fn orphans(cx: &Context, out: &Output) -> Result<(), CliError> {
    let orphans = cx.registry().await?.orphan_namespaces().await.doing("list orphaned namespaces")?;
    out.show(&Orphans { orphans })
}

#[derive(Serialize)]
struct Purged {
    /// `None` if there was no such namespace.
    name: Option<NamespaceName>,
    id: NamespaceId,
    items_removed: u64,
    #[serde(skip)]
    list: String,
}

impl Report for Purged {
    fn page(&self, page: &mut Page) {
        let Some(name) = &self.name else {
            page.line(format!("There is no namespace ID '{}'; nothing to purge", self.id));
            return page.line(format!("  {} shows what can be recovered or purged", self.list));
        };
        page.line(format!("Purged namespace '{}'. All data permanently deleted.", self.id));
        page.line(format!("  Name:          {name}"));
        page.line(format!("  Items removed: {}", count(i128::from(self.items_removed))));
    }
}

/// Number of items after which a purge reports progress.
const PROGRESS: u64 = 1_000;

async fn purge(cx: &Context, out: &Output, id: &str, yes: YesArgs) -> Result<(), CliError> {
    let id = NamespaceId::new(id)?;
    let registry = cx.registry().await?;
    let list = cx.command("namespace orphans");
    let Some(info) = registry.namespace_info_by_id(&id).await.doing("purge namespace")? else {
        return out.show(&Purged { name: None, id, items_removed: 0, list });
    };
    let deleted = info.deleted_at.as_deref().map(|at| format!(", deleted {at}")).unwrap_or_default();
    let losses = [format!("namespace '{}'{deleted}: every entity, limit, bucket, usage and audit record", info.name)];
    let question = format!("PERMANENTLY delete ALL data for namespace ID '{id}'? This cannot be undone.");
    confirm(&question, &losses, yes)?;
    let mut told = 0;
    let progress = |removed: u64| {
        if removed / PROGRESS > told {
            told = removed / PROGRESS;
            out.progress(&format!("  {} items removed…", count(i128::from(removed))));
        }
    };
    match registry.purge_namespace(&id, progress).await {
        Ok(items_removed) => out.show(&Purged { name: Some(info.name), id, items_removed, list }),
        Err(RepositoryError::NamespaceState { state: zae_limiter::error::NamespaceState::Active, .. }) => {
            Err(CliError::problem(format!("Cannot purge active namespace '{}'", info.name))
                .next(format!("{} first", cx.command(&format!("namespace delete {}", word(info.name.as_str()))))))
        }
        Err(error @ RepositoryError::NamespaceState { .. }) => Err(CliError::problem(error.to_string())),
        Err(error) => Err(error).doing("purge namespace"),
    }
}
