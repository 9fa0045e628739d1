//! `limits export`: prints the stored limits as a manifest.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use zae_limiter::{LimitScope, Limits, NamespaceName, Repository, RepositoryError, access::ConfigTarget};

use crate::{
    cli::{
        CliError, Context,
        args::NamespaceArgs,
        error::Doing,
        output::{Page, Report, write_all},
    },
    manifest::{Manifest, Section, SystemSection},
};

/// Number of items read concurrently.
const AT_ONCE: usize = 16;

/// The scope of an export.
#[derive(Args, Debug)]
pub(super) struct ExportArgs {
    /// Write one file per namespace, NAMESPACE.yaml, into this directory, for all namespaces of the stack
    #[arg(long, value_name = "DIR")]
    all_namespaces: Option<PathBuf>,
}

/// The files of an export.
#[derive(Serialize)]
struct Exported {
    files: Vec<ExportedFile>,
}

#[derive(Serialize)]
struct ExportedFile {
    namespace: NamespaceName,
    file: String,
}

impl Report for Exported {
    fn page(&self, page: &mut Page) {
        for written in &self.files {
            page.line(format!("Limits of namespace '{}' → {}", written.namespace, written.file));
        }
        if self.files.is_empty() {
            page.line("No namespaces.");
        }
    }
}

pub(super) async fn run(cx: &Context, namespace: &NamespaceArgs, args: &ExportArgs) -> Result<(), CliError> {
    let Some(directory) = &args.all_namespaces else {
        let repository = cx.repository(namespace).await?;
        return write_all(&document(&stored(&repository).await.doing("read the limits")?)?);
    };
    if namespace.namespace.as_deref().is_some_and(|name| !name.is_empty()) {
        let problem = "--all-namespaces exports every namespace: omit --namespace and ZAEL_NAMESPACE";
        return Err(CliError::Usage(problem.to_owned()));
    }
    fs::create_dir_all(directory)
        .map_err(|error| CliError::failed(format!("make the directory {}", directory.display()), error))?;
    let mut files = Vec::new();
    for info in cx.registry().await?.namespaces().await.doing("list the namespaces")? {
        let repository = cx.repository(&NamespaceArgs { namespace: Some(info.name.to_string()) }).await?;
        let doing = format!("read the limits of namespace '{}'", info.name);
        let text = document(&stored(&repository).await.doing(&doing)?)?;
        let file = directory.join(file_name(info.name.as_str()));
        write(&file, &text)?;
        files.push(ExportedFile { namespace: info.name, file: file.display().to_string() });
    }
    cx.output().show(&Exported { files })
}

/// Converts the name to a file name: a namespace may have any name, including `../x`.
fn file_name(namespace: &str) -> String {
    let mut name = String::new();
    for (index, byte) in namespace.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (byte == b'.' && index > 0);
        match plain {
            true => name.push(char::from(byte)),
            false => name.push_str(&format!("%{byte:02X}")),
        }
    }
    name + ".yaml"
}

fn write(file: &Path, text: &str) -> Result<(), CliError> {
    fs::write(file, text).map_err(|error| CliError::failed(format!("write {}", file.display()), error))
}

/// Formats a manifest as a file.
fn document(manifest: &Manifest) -> Result<String, CliError> {
    let yaml = serde_saphyr::to_string(&manifest.to_json()).map_err(|error| CliError::failed("write YAML", error))?;
    Ok(format!("# yaml-language-server: $schema=limits.schema.json\n{yaml}"))
}

/// Reads all stored limits of a namespace, in the form in which a manifest declares them.
///
/// # Errors
/// The repository's errors. A configuration item that is malformed or uses a feature of newer clients is an error,
/// because applying an export without it would delete it.
async fn stored(repository: &Repository) -> Result<Manifest, RepositoryError> {
    let mut manifest = Manifest { namespace: Some(repository.namespace_name().clone()), ..Manifest::default() };
    let system = repository.system_defaults().await?;
    if system.limits.is_some() || system.on_unavailable.is_some() {
        manifest.system = Some(SystemSection { on_unavailable: system.on_unavailable, limits: system.limits });
    }
    let names = repository.resources_with_defaults().await?;
    let sections = stream::iter(names)
        .map(|name| async move {
            let limits = repository.resource_defaults(&name).await?;
            let section = section(repository, limits, ConfigTarget::Resource(name.clone())).await?;
            Ok::<_, RepositoryError>(section.map(|section| (name, section)))
        })
        .buffered(AT_ONCE);
    manifest.resources = sections.try_filter_map(|found| async { Ok(found) }).try_collect().await?;
    for scope in repository.resources_with_entity_limits().await? {
        entities(repository, &scope, &mut manifest).await?;
    }
    Ok(manifest)
}

/// Adds the entities with limits or settings of their own for one resource, or for all.
async fn entities(repository: &Repository, scope: &LimitScope, manifest: &mut Manifest) -> Result<(), RepositoryError> {
    let entities = repository.entities_with_limits(scope).await?;
    let sections = stream::iter(entities)
        .map(|id| async move {
            let limits = repository.limits(&id, scope).await?;
            let target = ConfigTarget::Entity(id.clone(), scope.clone());
            Ok::<_, RepositoryError>(section(repository, limits, target).await?.map(|section| (id, section)))
        })
        .buffered(AT_ONCE);
    let sections: Vec<_> = sections.try_filter_map(|found| async { Ok(found) }).try_collect().await?;
    for (id, section) in sections {
        manifest.entities.entry(id).or_default().insert(scope.clone(), section);
    }
    Ok(())
}

/// Builds the section of limits and settings; `None` if there are neither, because they were deleted since they were
/// listed.
async fn section(
    repository: &Repository,
    limits: Option<Limits>,
    target: ConfigTarget,
) -> Result<Option<Section>, RepositoryError> {
    let access = repository.access(&target).await?;
    let cascade = repository.cascade(&target).await?;
    let is_empty = limits.is_none() && access.is_none() && cascade.is_none();
    Ok((!is_empty).then_some(Section { limits, access, cascade }))
}
