//! Packages on a function that the template created with inline code: Lambda's runtime client for Python imports
//! `index`, as in the managed runtime, and the program takes over.

use std::{fs, path::Path, sync::LazyLock, time::Duration};

use zae_deploy::{artifact::Architecture, package::build};
use zip::ZipArchive;

use zae_testkit::venv::Venv;

use crate::support::{
    World, aggregator, event, failures,
    records::{Bucket, NEW_YEAR},
};

/// The interpreter that has the runtime client.
async fn runtime_client() -> Option<std::path::PathBuf> {
    static CLIENT: LazyLock<Venv> = LazyLock::new(|| {
        Venv::new(
            "runtime-client-venv-4.2.2".to_owned(),
            vec!["awslambdaric==4.2.2".to_owned()],
            "awslambdaric",
            "LAMBDA TESTS SKIPPED: packages were not started by Lambda's runtime client for Python.",
        )
    });
    let found = tokio::task::spawn_blocking(|| CLIENT.interpreter()).await;
    found.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// Unpacks a package as Lambda does, with `program` as its program, which need not be runnable here.
fn unpack(folder: &Path, program: &[u8]) {
    let mut header = vec![0_u8; 64];
    header[..6].copy_from_slice(b"\x7fELF\x02\x01");
    header[18] = 62;
    let package = build(&header, Architecture::X86_64).unwrap();
    ZipArchive::new(std::io::Cursor::new(package.bytes().to_vec())).unwrap().extract(folder).unwrap();
    assert_eq!(fs::read(folder.join("bootstrap")).unwrap(), header);
    // Written through, so that it has the permissions that the package gives it.
    fs::write(folder.join("bootstrap"), program).unwrap();
}

#[tokio::test]
async fn an_exported_package_runs_on_a_placeholder_s_runtime() {
    let Some(python) = runtime_client().await else { return };
    let folder = tempfile::tempdir().unwrap();
    unpack(folder.path(), &fs::read(aggregator()).unwrap());
    let world = World::new().await;
    let function = world.on_python(&python, folder.path()).await;
    function.ready().await;
    let running = fs::read_link(format!("/proc/{}/exe", function.pid()));
    assert!(running.is_err() || running.unwrap().ends_with("bootstrap"), "it is the process that Lambda started");
    let mut bucket = Bucket::new("key-1", "gpt-4");
    bucket.take(&[("rpm", 1), ("tpm", 200)]);
    for _ in 0..2 {
        let answer = function.invoke(&event(&[bucket.created(1, NEW_YEAR)])).await;
        assert_eq!(failures(&answer), Vec::<&str>::new());
    }
    assert_eq!(world.usage().await.len(), 2, "an hour and a day");
    function.log_lines();
}

#[tokio::test]
async fn a_program_of_another_architecture_says_so() {
    let Some(python) = runtime_client().await else { return };
    let folder = tempfile::tempdir().unwrap();
    unpack(folder.path(), b"\x7fELF for another machine");
    let function = World::new().await.on_python(&python, folder.path()).await;
    let told = async {
        while !function.log().contains("update-function-code --architectures") {
            tokio::task::yield_now().await;
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(30), told).await;
    assert!(told.is_ok(), "{}", function.log());
}
