//! The real model, behind `OPENAI_BASE_URL`.

use std::{env, error::Error, fmt};

use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode, Uri,
        header::{ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, HOST, TRANSFER_ENCODING, UPGRADE},
    },
    response::{IntoResponse, Response},
};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::json;

/// Headers that are meant for the next server only.
const HOP_BY_HOP: [HeaderName; 4] = [CONNECTION, TRANSFER_ENCODING, UPGRADE, HeaderName::from_static("keep-alive")];

/// Destination of calls, and the key for it.
#[derive(Clone)]
pub(crate) struct Upstream {
    client: Client<HttpsConnector<HttpConnector>, Body>,
    base: String,
    authorization: Option<HeaderValue>,
}

impl Upstream {
    /// `None` when no upstream is set.
    pub(crate) fn from_env() -> Result<Option<Self>, Box<dyn Error>> {
        let Ok(base) = env::var("OPENAI_BASE_URL") else { return Ok(None) };
        let base = base.trim_end_matches('/').to_owned();
        base.parse::<Uri>().map_err(|error| format!("OPENAI_BASE_URL is no URL: {error}"))?;
        let authorization = match env::var("OPENAI_API_KEY") {
            Ok(key) => {
                let mut value = HeaderValue::try_from(format!("Bearer {key}"))?;
                value.set_sensitive(true);
                Some(value)
            }
            Err(_) => None,
        };
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())?
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Some(Self { client: Client::builder(TokioExecutor::new()).build(connector), base, authorization }))
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

/// Hands a call on, with our key in place of the client's, and its answer back as it comes.
pub(crate) async fn forward(State(upstream): State<Upstream>, mut request: Request) -> Response {
    let path = request.uri().path_and_query().map_or("", |path| path.as_str().trim_start_matches("/v1"));
    match format!("{}{path}", upstream.base).parse() {
        Ok(uri) => *request.uri_mut() = uri,
        Err(_) => return (StatusCode::BAD_REQUEST, "There is no such path.\n").into_response(),
    }
    let headers = request.headers_mut();
    keep_end_to_end(headers);
    headers.remove(HOST);
    headers.remove(AUTHORIZATION);
    // A compressed answer could not be accounted for.
    headers.remove(ACCEPT_ENCODING);
    if let Some(authorization) = &upstream.authorization {
        headers.insert(AUTHORIZATION, authorization.clone());
    }
    match upstream.client.request(request).await {
        Ok(mut response) => {
            keep_end_to_end(response.headers_mut());
            response.map(Body::new)
        }
        Err(error) => {
            tracing::error!(error = &error as &dyn Error, "the model cannot be reached");
            let error = json!({"error": {"message": "The model cannot be reached.", "type": "server_error"}});
            (StatusCode::BAD_GATEWAY, Json(error)).into_response()
        }
    }
}

fn keep_end_to_end(headers: &mut HeaderMap) {
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}
