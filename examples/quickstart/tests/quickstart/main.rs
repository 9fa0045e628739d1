//! The quickstart as a newcomer runs it.

mod server;

const PROGRAM: &str = env!("CARGO_BIN_EXE_quickstart");

#[tokio::test]
async fn the_sixth_request_is_refused_and_it_stops_gracefully() {
    server::refuses_the_sixth_request_and_stops_gracefully(PROGRAM).await;
}

#[tokio::test]
async fn a_bad_address_is_said_and_fails() {
    server::says_that_an_address_is_bad_and_fails(PROGRAM).await;
}
