//! The XML responses of AWS's query and REST services.

use axum::{
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use ulid::Ulid;

/// The content of an element.
pub(super) enum Xml {
    Text(String),
    Fields(Vec<(&'static str, Xml)>),
    /// A list of `member` elements.
    Members(Vec<Xml>),
}

impl Xml {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Creates an element for each of `pairs` that has a value.
    pub(super) fn fields(pairs: impl IntoIterator<Item = (&'static str, Option<Xml>)>) -> Self {
        Self::Fields(pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Text(text) => escape(text, out),
            Self::Fields(fields) => fields.iter().for_each(|(name, value)| element(name, value, out)),
            Self::Members(members) => members.iter().for_each(|value| element("member", value, out)),
        }
    }
}

fn element(name: &str, value: &Xml, out: &mut String) {
    out.push_str(&format!("<{name}>"));
    value.write(out);
    out.push_str(&format!("</{name}>"));
}

fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML cannot represent these.
            c if c.is_control() && !matches!(c, '\n' | '\t' | '\r') => out.push('?'),
            c => out.push(c),
        }
    }
}

/// Builds a document with one root element.
pub(super) fn document(root: &str, namespace: &str, content: &Xml) -> Response {
    let mut text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"{namespace}\">");
    content.write(&mut text);
    text.push_str(&format!("</{root}>"));
    ([(CONTENT_TYPE, "text/xml")], text).into_response()
}

/// Builds a query service's response to `action`.
pub(super) fn answer(action: &str, namespace: &str, result: &Xml) -> Response {
    let mut content = String::new();
    element(&format!("{action}Result"), result, &mut content);
    element("ResponseMetadata", &Xml::Fields(vec![("RequestId", Xml::text(Ulid::new().to_string()))]), &mut content);
    let text = format!("<{action}Response xmlns=\"{namespace}\">{content}</{action}Response>");
    ([(CONTENT_TYPE, "text/xml")], text).into_response()
}

/// Builds a query service's refusal.
pub(super) fn refusal(code: &str, message: &str) -> Response {
    let error = [("Type", Xml::text("Sender")), ("Code", Xml::text(code)), ("Message", Xml::text(message))];
    let mut content = String::new();
    element("Error", &Xml::Fields(error.into()), &mut content);
    element("RequestId", &Xml::text(Ulid::new().to_string()), &mut content);
    let text = format!("<ErrorResponse>{content}</ErrorResponse>");
    (StatusCode::BAD_REQUEST, [(CONTENT_TYPE, "text/xml")], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_meaning_in_xml_is_escaped() {
        let mut out = String::new();
        Xml::Members(vec![Xml::text("<a & \"b\">\u{1b}")]).write(&mut out);
        assert_eq!(out, "<member>&lt;a &amp; &quot;b&quot;&gt;?</member>");
    }
}
