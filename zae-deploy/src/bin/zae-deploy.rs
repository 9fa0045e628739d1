//! The `zae-deploy` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    zae_deploy::cli::main()
}
