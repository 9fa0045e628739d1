//! Reading what is declared for a resource, or for an entity on a resource.

use zae_limiter::access::{Access, Cascade};

use super::{
    Section,
    node::{Node, Value},
    read::{Key, Path, RESOURCE, Reader, Spelling},
};

impl Reader {
    /// `None` where there is nothing in it, which is a problem.
    pub(super) fn resource(&mut self, node: &Node, path: &Path<'_>) -> Option<Section> {
        let problems = self.problems.len();
        let mut section = Section::default();
        let mut named = false;
        for (key, entry) in self.known(node, path, RESOURCE) {
            let path = path.at(&entry.key);
            match key {
                Key::Limits => {
                    named = true;
                    section.limits = self.limits(&entry.value, &path);
                }
                Key::Disabled => section.access = self.access(&entry.value, &path),
                Key::Cascade => section.cascade = self.cascade(&entry.value, &path),
                _ => {}
            }
        }
        if self.problems.len() > problems {
            return None;
        }
        if section == Section::default() {
            let what = if named { "has no limits in it" } else { "has no `limits`" };
            let limits_key = Key::Limits.spelled(self.spelling);
            self.problem(node.place, path, format!("{what}: add one under `{limits_key}`, or remove this entry"));
            return None;
        }
        Some(section)
    }

    fn access(&mut self, node: &Node, path: &Path<'_>) -> Option<Access> {
        let message = match &node.value {
            Value::Text(text) if self.matches(text, "bypass") => return Some(Access::Bypassed),
            Value::Text(text) if !self.matches(text, "true") && !self.matches(text, "false") => {
                format!("must be `true`, `false` or `bypass`, this is the text `{text}`")
            }
            Value::Null | Value::Flag(_) | Value::Text(_) => {
                let switched = |disabled: bool| if disabled { Access::Disabled } else { Access::Enabled };
                return self.flag(node, path).map(switched);
            }
            other => format!("must be `true`, `false` or `bypass`, this is {}", other.kind()),
        };
        self.problem(node.place, path, message);
        None
    }

    /// Returns true if `text` is `word`; CloudFormation leaves case to its users.
    fn matches(&self, text: &str, word: &str) -> bool {
        if self.spelling == Spelling::Camel { text.eq_ignore_ascii_case(word) } else { text == word }
    }

    fn cascade(&mut self, node: &Node, path: &Path<'_>) -> Option<Cascade> {
        let policy = |on: bool| if on { Cascade::On } else { Cascade::Off };
        self.flag(node, path).map(policy)
    }

    /// Reads true or false; `None` where it is nothing, or a problem.
    pub(super) fn flag(&mut self, node: &Node, path: &Path<'_>) -> Option<bool> {
        let message = match &node.value {
            Value::Null => return None,
            Value::Flag(flag) => return Some(*flag),
            // CloudFormation makes text of everything.
            Value::Text(text) if self.spelling == Spelling::Camel => match text.to_ascii_lowercase().as_str() {
                "true" => return Some(true),
                "false" => return Some(false),
                _ => format!("must be `true` or `false`, this is `{text}`"),
            },
            Value::Text(text) => format!("must be `true` or `false`, this is the text `{text}`"),
            other => format!("must be `true` or `false`, this is {}", other.kind()),
        };
        self.problem(node.place, path, message);
        None
    }
}
