//! Functions that determine the charge: [`ChargeFn`].

use std::future::Future;

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::request::Parts;

use super::{Charge, IntoCharge};

/// An async function of up to eight extractors that returns the charge. Implemented for such functions and closures;
/// there is no need to implement it.
///
/// The extractors are those that read the head of a request ([`FromRequestParts`]), including [`Parts`]; the body is
/// left alone. If an extractor rejects the request, its rejection is the response.
///
/// See [`limit_route`](crate::limit_route) for an example.
pub trait ChargeFn<T, S>: Clone + Send + Sync + 'static {
    /// Runs the extractors and the function.
    fn charge(&self, parts: &mut Parts, state: &S) -> impl Future<Output = Result<Option<Charge>, Response>> + Send;
}

macro_rules! charge_fn {
    ($($extractor:ident),*) => {
        impl<F, W, O, S, $($extractor),*> ChargeFn<($($extractor,)*), S> for F
        where
            F: Fn($($extractor),*) -> W + Clone + Send + Sync + 'static,
            W: Future<Output = O> + Send,
            O: IntoCharge,
            S: Send + Sync,
            $($extractor: FromRequestParts<S> + Send,)*
        {
            #[allow(non_snake_case, unused_variables, reason = "the extractors' types name their values")]
            async fn charge(&self, parts: &mut Parts, state: &S) -> Result<Option<Charge>, Response> {
                $(
                    let $extractor =
                        $extractor::from_request_parts(parts, state).await.map_err(IntoResponse::into_response)?;
                )*
                self($($extractor),*).await.into_charge()
            }
        }
    };
}

charge_fn!();
charge_fn!(T1);
charge_fn!(T1, T2);
charge_fn!(T1, T2, T3);
charge_fn!(T1, T2, T3, T4);
charge_fn!(T1, T2, T3, T4, T5);
charge_fn!(T1, T2, T3, T4, T5, T6);
charge_fn!(T1, T2, T3, T4, T5, T6, T7);
charge_fn!(T1, T2, T3, T4, T5, T6, T7, T8);
