//! `moto`, `cfn-lint` and the published package in a virtual environment; `checkov` in another.

use std::{path::PathBuf, sync::LazyLock};

use zae_testkit::venv as shared;

const PACKAGES: [&str; 2] = ["moto[server]==5.2.*", "cfn-lint==1.58.*"];
/// The release whose findings the guide discusses.
const CHECKOV: &str = "3.3.30";
/// Another list of packages needs another environment.
const EDITION: &str = "1";

/// Returns the interpreter with `checkov`, whose requirements conflict with the others'.
pub(crate) fn checkov() -> Option<PathBuf> {
    static VENV: LazyLock<shared::Venv> = LazyLock::new(|| {
        shared::Venv::new(
            format!("checkov-venv-{CHECKOV}"),
            vec![format!("checkov=={CHECKOV}")],
            "checkov",
            "STACK TESTS SKIPPED: the template was not checked by checkov.",
        )
    });
    VENV.interpreter()
}

/// Returns the interpreter with the packages, or `None` after a notice with the reason.
pub(crate) fn interpreter() -> Option<PathBuf> {
    static VENV: LazyLock<shared::Venv> = LazyLock::new(|| {
        let mut packages = PACKAGES.map(str::to_owned).to_vec();
        packages.push(format!("zae-limiter=={}", shared::VERSION));
        shared::Venv::new(
            format!("stack-venv-{EDITION}"),
            packages,
            "moto.server, zae_limiter",
            "STACK TESTS SKIPPED: nothing was tested against moto, cfn-lint and the published Python package.",
        )
    });
    VENV.interpreter()
}
