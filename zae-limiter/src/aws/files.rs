//! The AWS configuration files, with settings without a value treated as unset.
//!
//! `region =` is a common way to disable a setting. The SDK reads it as a region with an empty name, so such lines are
//! blanked before the SDK reads the files. Files without them are left to the SDK, which then names them in its errors.

use std::path::PathBuf;

use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_types::os_shim_internal::Fs;

use super::variables::Variables;

/// The files, the variables that relocate them, and their usual names.
const FILES: [(EnvConfigFileKind, &str, &str); 2] = [
    (EnvConfigFileKind::Config, "AWS_CONFIG_FILE", "config"),
    (EnvConfigFileKind::Credentials, "AWS_SHARED_CREDENTIALS_FILE", "credentials"),
];

/// Returns the contents of the files without empty settings. `None` if there are no such settings: the SDK then reads
/// the files itself, and names them in its messages.
pub(super) async fn without_blanks(variables: &Variables) -> Option<EnvConfigFiles> {
    let mut files = EnvConfigFiles::builder();
    let mut changed = false;
    for (kind, variable, name) in FILES {
        let Some(path) = path(variables, variable, name) else { continue };
        let Ok(bytes) = Fs::real().read_to_end(&path).await else { continue };
        let Ok(text) = String::from_utf8(bytes) else { continue };
        let filled = filled(&text);
        changed |= filled.is_some();
        files = files.with_contents(kind, filled.unwrap_or(text));
    }
    changed.then(|| files.build())
}

/// Returns the path of a file, from its variable or in the home directory.
fn path(variables: &Variables, variable: &str, name: &str) -> Option<PathBuf> {
    let home = || variables.get("HOME").or_else(|| variables.get("USERPROFILE")).map(PathBuf::from);
    match variables.get(variable) {
        Some(path) => match path.strip_prefix("~/") {
            Some(rest) => Some(home()?.join(rest)),
            None => Some(path.into()),
        },
        None => Some(home()?.join(".aws").join(name)),
    }
}

/// Returns the text with each setting without a value replaced by an empty line, if there is one.
fn filled(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut changed = false;
    let mut kept = String::with_capacity(text.len());
    for (at, line) in lines.iter().enumerate() {
        let next = lines[at + 1..].iter().find(|line| !is_skipped(line));
        // A setting without a value may also start a block of nested ones.
        let opens = !is_nested(line) && next.is_some_and(|next| is_nested(next));
        if is_blank(line) && !opens {
            changed = true;
        } else {
            kept.push_str(line);
        }
        kept.push('\n');
    }
    changed.then_some(kept)
}

/// Returns true for a line nested below the setting above it.
fn is_nested(line: &str) -> bool {
    line.starts_with([' ', '\t'])
}

/// Returns true for an empty line or a comment.
fn is_skipped(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with(['#', ';'])
}

/// Returns true for a setting without a value.
fn is_blank(line: &str) -> bool {
    let Some((name, value)) = line.split_once('=') else { return false };
    let value = value.trim();
    !is_skipped(line) && !name.starts_with('[') && (value.is_empty() || value.starts_with(['#', ';']))
}

#[cfg(test)]
mod tests {
    use super::filled;

    #[test]
    fn a_setting_without_a_value_is_taken_out_and_lines_keep_their_numbers() {
        let text = "[default]\nregion =\nendpoint_url = # none\noutput = json\n";
        assert_eq!(filled(text).unwrap(), "[default]\n\n\noutput = json\n");
        assert_eq!(filled("[default]\nregion = eu-west-1\n# region =\n"), None);
    }

    #[test]
    fn a_block_of_nested_settings_stays() {
        let text = "[services local]\ndynamodb =\n\n  endpoint_url = http://localhost:8000\n";
        assert_eq!(filled(text), None);
        let text = "[services local]\ndynamodb =\n  endpoint_url =\ns3 =\n[default]\n";
        assert_eq!(filled(text).unwrap(), "[services local]\ndynamodb =\n\n\n[default]\n");
    }
}
