//! Files and folders with access for the user only.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    path::Path,
};

/// Makes `path` a folder that only its owner may access. An existing folder that is not marked as ours by `mark` keeps
/// its mode, because others may use it, too.
pub(super) fn folder(path: &Path, mark: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(path)?;
    #[cfg(unix)]
    if mark.exists() {
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    }
    Ok(())
}

/// Opens a file that only its owner may read, emptied if `content` is [`ExistingContent::Discard`].
pub(super) fn file(path: &Path, content: ExistingContent) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(matches!(content, ExistingContent::Discard));
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    // The mode above only applies to new files.
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(file)
}

/// Handling of the existing content of a file.
#[derive(Clone, Copy, Debug)]
pub(super) enum ExistingContent {
    Keep,
    Discard,
}

/// Writes `bytes` completely or not at all, because another process may be reading the file.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = Path::new(&name);
    file(new, ExistingContent::Discard)?.write_all(bytes)?;
    fs::rename(new, path)
}
