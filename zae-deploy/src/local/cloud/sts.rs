//! STS's answer to `GetCallerIdentity`: the user who is logged in here.

use axum::response::Response;

use super::{
    ACCOUNT,
    xml::{Xml, answer},
};

pub(super) fn caller() -> Response {
    let user = ["USER", "USERNAME"].iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default();
    let user: String = user.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
    let user = if user.is_empty() { "local".to_owned() } else { user };
    let fields = [
        ("Arn", Xml::text(format!("arn:aws:iam::{ACCOUNT}:user/{user}"))),
        ("UserId", Xml::text(user)),
        ("Account", Xml::text(ACCOUNT)),
    ];
    answer("GetCallerIdentity", "https://sts.amazonaws.com/doc/2011-06-15/", &Xml::Fields(fields.into()))
}
