//! A gateway to a language model that limits each key by requests, tokens and a month's dollars: an estimate is taken
//! before the call, and settled with what the model reports, streamed or not.
//!
//! Without settings it needs nothing: a model that makes up answers is built in, buckets are kept in this process, and
//! two keys are known.
//!
//! | variable | what |
//! |---|---|
//! | `OPENAI_BASE_URL`, `OPENAI_API_KEY` | the real model, as `https://api.openai.com/v1`, and the key to use there |
//! | `GATEWAY_KEYS` | who may ask: `alice=sk-alice,bob=sk-bob` if it is not set |
//! | `GATEWAY_BUDGET` | the dollars that each key may spend on each model in a month; 20 if it is not set |
//! | `GATEWAY_ZONE` | the time zone in which months begin, such as `Europe/Berlin`; UTC if it is not set |
//! | `ZAE_PRICES` | a price book that `zae-deploy prices` writes, read again each minute; a few prices are built in |
//! | `ZAEL_STACK` | a stack in AWS to keep the buckets in, shared by all gateways |
//! | `ZAE_LISTEN` | the address, `127.0.0.1:3000` if it is not set |

mod keys;
mod model;
mod upstream;

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Extension, Json, Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{any, get},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, signal};
use zae_axum::{
    EntityId, Limit, LimitError, Limits, RateLimiter, Repository, ResourceName, ZaeLimit,
    llm::{
        Accounting, Bill, MICRODOLLARS, Tariff, estimate,
        prices::{PriceBook, Prices, UnknownModel},
    },
    resource, settle,
};

use self::{keys::Keys, upstream::Upstream};

/// Models with limits of their own; all others share the limits of `other-models`.
const MODELS: [&str; 2] = ["gpt-5", "gpt-5-mini"];
const OTHER_MODELS: &str = "other-models";
const PRICES_EVERY: Duration = Duration::from_secs(60);
const REQUESTS_PER_MINUTE: u64 = 20;
const TOKENS_PER_MINUTE: u64 = 2_000;
/// The output that a request without a bound of its own is taken to have.
const TYPICAL_OUTPUT: u64 = 300;
/// A key's budget for each model and month, in dollars.
const DOLLARS_PER_MONTH: f64 = 20.0;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()))
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("llm_gateway: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let keys = Arc::new(Keys::from_env()?);
    let repository = open().await?;
    let limits = seed(&repository).await?;
    let limiter = RateLimiter::new(repository);
    let limit = ZaeLimit::new(&limiter)
        .require_entity()
        .resource(resource::json_field("model").among(MODELS).others_as(OTHER_MODELS).missing_as(OTHER_MODELS))
        .llm(
            Accounting::new(Tariff::priced(&prices()?))
                .on_settled(tell)
                .estimator(estimate::input_and_max_output(TYPICAL_OUTPUT))
                // Without it OpenAI's streams end without a word about their usage.
                .include_usage(),
        )
        // Nobody pays for our faults or the model's.
        .settle(settle::refund_on(|status| status.is_server_error()));

    let calls = match Upstream::from_env()? {
        Some(upstream) => {
            println!("Calls go to {upstream}.");
            Router::new().route("/v1/{*path}", any(upstream::forward)).with_state(upstream)
        }
        None => {
            println!("Calls go to a model that makes up its answers; set OPENAI_BASE_URL for a real one.");
            Router::new().route("/v1/chat/completions", axum::routing::post(model::chat))
        }
    };
    let app = calls
        .route_layer(limit.clone())
        .route("/usage", get(usage))
        .layer(Extension(limiter))
        // Authentication comes first: it tells the limiter who asks.
        .layer(middleware::from_fn_with_state(keys, keys::authenticate))
        .layer(DefaultBodyLimit::disable());

    let address = env::var("ZAE_LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(&address).await.map_err(|error| format!("cannot listen on {address}: {error}"))?;
    let address = listener.local_addr()?;
    println!("Listening on http://{address}/. Each key has, of each model:");
    for limit in &limits {
        println!("  {}: {} per {} s", limit.name(), limit.capacity(), limit.fill_time().as_secs());
    }
    println!("Try:");
    println!();
    println!("  ask() {{ curl -i http://{address}/v1/chat/completions -H 'authorization: Bearer sk-alice' \\");
    println!("    -H 'content-type: application/json' -d \"$1\"; }}");
    println!(r#"  ask '{{"model":"gpt-5","max_tokens":200,"messages":[{{"role":"user","content":"Hi!"}}]}}'"#);
    println!(r#"  ask '{{"model":"gpt-5","stream":true,"messages":[{{"role":"user","content":"Tell me more."}}]}}'"#);
    println!("  curl http://{address}/usage -H 'authorization: Bearer sk-alice'");
    println!();
    println!("Ctrl-C stops it.");

    axum::serve(listener, app).with_graceful_shutdown(stop_signal()).await?;
    // Writes the consumption that is not in the table yet.
    limit.shutdown().await;
    println!("All settled.");
    Ok(())
}

/// Returns the prices of models. One without a price is charged its tokens.
fn prices() -> Result<Prices, Box<dyn Error>> {
    let Some(path) = env::var_os("ZAE_PRICES") else {
        return Ok(Prices::new(PriceBook::bundled()).unknown(UnknownModel::TokensOnly));
    };
    let prices = Prices::from_file(path)?.unknown(UnknownModel::TokensOnly);
    let reloaded = prices.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(PRICES_EVERY).await;
            if let Err(error) = reloaded.reload() {
                tracing::warn!(%error, "the prices stay as they are");
            }
        }
    });
    Ok(prices)
}

/// Says what each call cost, and its key in all.
fn tell(bill: &Bill<'_>) {
    static SPENT: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());
    let Some(cost) = bill.micro_dollars else { return println!("{} used {}: no price", bill.entity, bill.resource) };
    let mut spent = SPENT.lock().unwrap_or_else(PoisonError::into_inner);
    let sum = spent.entry(bill.entity.to_string()).or_default();
    *sum += cost;
    let dollars = |micros: u64| format!("${:.6}", micros as f64 / 1e6);
    println!("{} used {}: {}, {} in all", bill.entity, bill.resource, dollars(cost), dollars(*sum));
}

async fn open() -> Result<Repository, Box<dyn Error>> {
    if env::var_os("ZAEL_STACK").is_some() {
        let repository = Repository::builder().build().await?;
        println!("Using stack {}, namespace {}.", repository.stack(), repository.namespace_name());
        return Ok(repository);
    }
    println!("Using an embedded store in memory; set ZAEL_STACK to use a stack in AWS.");
    Ok(Repository::embedded().await?)
}

/// The limits of each model; ours, where nobody has set some. Returns those of the first.
async fn seed(repository: &Repository) -> Result<Limits, Box<dyn Error>> {
    let ours = Limits::new([
        Limit::per_minute("rpm", REQUESTS_PER_MINUTE)?,
        Limit::per_minute("tpm", TOKENS_PER_MINUTE)?,
        budget()?,
    ])?;
    let mut first = None;
    for model in resources() {
        let model = ResourceName::new(model)?;
        let limits = match repository.resource_defaults(&model).await? {
            Some(limits) => limits,
            None => {
                repository.set_resource_defaults(&model, &ours).await?;
                ours.clone()
            }
        };
        first.get_or_insert(limits);
    }
    Ok(first.unwrap_or(ours))
}

/// A month's budget, in millionths of a dollar: what a call is estimated to cost is taken before it, and what it did
/// cost is settled to the millionth.
fn budget() -> Result<Limit, Box<dyn Error>> {
    let dollars = match env::var("GATEWAY_BUDGET") {
        Ok(text) => text.parse().map_err(|_| format!("GATEWAY_BUDGET is {text:?}, which is no number of dollars"))?,
        Err(_) => DOLLARS_PER_MONTH,
    };
    let zone = env::var("GATEWAY_ZONE").unwrap_or_else(|_| "UTC".to_owned());
    Ok(Limit::quota(MICRODOLLARS, (dollars * 1e6) as u64).monthly().zone(zone).build()?)
}

fn resources() -> impl Iterator<Item = &'static str> {
    MODELS.into_iter().chain([OTHER_MODELS])
}

/// Returns the tokens that the caller has left of each model.
async fn usage(
    Extension(limiter): Extension<RateLimiter>,
    Extension(who): Extension<EntityId>,
) -> Result<Json<Value>, LimitError> {
    let mut left = serde_json::Map::new();
    for model in resources() {
        let available = limiter.available(&who, &ResourceName::new(model)?).await?;
        let available = available.iter().map(|(limit, tokens)| (limit.as_str().to_owned(), json!(tokens)));
        left.insert(model.to_owned(), Value::Object(available.collect()));
    }
    Ok(Json(json!({"key": who.as_str(), "left": left})))
}

async fn stop_signal() {
    let interrupt = async {
        // Without a handler there is nothing to wait for; the process then ends the hard way.
        if signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match signal::unix::signal(signal::unix::SignalKind::terminate()) {
            Ok(mut terminate) => drop(terminate.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
