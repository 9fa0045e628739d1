//! `completions` and `man`: shell completions and manual pages.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use super::{CliError, output::write_all};

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  source <(zae-deploy completions bash)
  zae-deploy completions zsh > \"${fpath[1]}/_zae-deploy\"
  zae-deploy completions fish > ~/.config/fish/completions/zae-deploy.fish")]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Result<(), CliError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::command(), "zae-deploy", &mut script);
        write_all(&String::from_utf8_lossy(&script))
    }
}

#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  zae-deploy man | man -l -
  zae-deploy man --dir ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// Write the pages of all commands into this directory, which is created if it is missing
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self) -> Result<(), CliError> {
        let Some(dir) = self.dir else {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(super::command()).render(&mut page);
            rendered.map_err(|error| CliError::failed("write the manual page", error))?;
            return write_all(&String::from_utf8_lossy(&page));
        };
        let written = std::fs::create_dir_all(&dir).and_then(|()| clap_mangen::generate_to(super::command(), &dir));
        written.map_err(|error| CliError::failed(format!("write manual pages to {}", dir.display()), error))?;
        write_all(&format!("✓ Manual pages written to {}\n", dir.display()))
    }
}
