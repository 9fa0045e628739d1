//! API keys and the clients that they belong to.

use std::{collections::HashMap, env, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{StatusCode, header::AUTHORIZATION},
    middleware::Next,
    response::{IntoResponse, Response},
};
use zae_axum::EntityId;

const DEFAULT: &str = "alice=sk-alice,bob=sk-bob";

/// Keys, and whose they are.
#[derive(Debug)]
pub(crate) struct Keys(HashMap<String, EntityId>);

impl Keys {
    pub(crate) fn from_env() -> Result<Self, String> {
        let text = env::var("GATEWAY_KEYS").unwrap_or_else(|_| DEFAULT.to_owned());
        let keys = text.split(',').map(|pair| {
            let (name, key) = pair.split_once('=').ok_or("GATEWAY_KEYS must be like alice=sk-alice,bob=sk-bob")?;
            let name = EntityId::new(name.trim()).map_err(|error| format!("GATEWAY_KEYS has a bad name: {error}"))?;
            Ok((key.trim().to_owned(), name))
        });
        keys.collect::<Result<_, String>>().map(Self)
    }
}

/// Tells the layers behind it who asks, and turns everybody else away.
pub(crate) async fn authenticate(State(keys): State<Arc<Keys>>, mut request: Request, next: Next) -> Response {
    let header = request.headers().get(AUTHORIZATION).and_then(|header| header.to_str().ok());
    match header.and_then(|header| keys.0.get(header.strip_prefix("Bearer ")?)) {
        Some(who) => {
            let who = who.clone();
            request.extensions_mut().insert(who);
            next.run(request).await
        }
        None => {
            (StatusCode::UNAUTHORIZED, [("www-authenticate", "Bearer")], "Say which key: Authorization: Bearer …\n")
                .into_response()
        }
    }
}
