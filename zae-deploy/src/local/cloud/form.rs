//! Calls of the query protocol: names and values, lists as `Tags.member.1.Key`.

use super::refusal::Refusal;

/// A call's fields.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn read(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// Returns the value of a field; an empty one counts as missing.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    pub(super) fn need(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| Refusal::invalid(format!("'{name}' must not be null")))
    }

    /// Returns true if the call has the field, even if it is empty.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// Returns true if the call has members of the list.
    pub(super) fn has_list(&self, list: &str) -> bool {
        self.0.iter().any(|(name, _)| name.strip_prefix(list).is_some_and(|rest| rest.starts_with(".member.")))
    }

    /// Returns one field of every member of a list, in order; `None` for members without it.
    pub(super) fn members<const N: usize>(&self, list: &str, fields: [&str; N]) -> Vec<[Option<&str>; N]> {
        let any = |index: usize| {
            let start = format!("{list}.member.{index}");
            self.0
                .iter()
                .any(|(name, _)| name.strip_prefix(&start).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
        };
        let field = |index: usize, field: &str| {
            let dot = if field.is_empty() { "" } else { "." };
            let name = format!("{list}.member.{index}{dot}{field}");
            self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
        };
        (1..).take_while(|index| any(*index)).map(|index| fields.map(|name| field(index, name))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_in_order() {
        let form =
            Form::read(b"Action=X&Tags.member.1.Key=a&Tags.member.1.Value=1+%26&Tags.member.2.Key=b&C.member.1=d");
        assert_eq!(form.members("Tags", ["Key", "Value"]), [[Some("a"), Some("1 &")], [Some("b"), None]]);
        assert_eq!(form.members("C", [""]), [[Some("d")]]);
        assert!(form.has_list("Tags") && !form.has_list("Parameters") && form.need("StackName").is_err());
    }
}
