//! The same troubles where each request passes the SDK's HTTP client and a socket.

use super::*;
use crate::{exactness::refunds_what_there_is_room_for, neighbours::clocks::holds_clocks};

#[tokio::test(start_paused = true)]
async fn a_throttled_or_silent_bucket_costs_its_neighbours_nothing() {
    serves_neighbours(Bench::served(), OnUnavailable::Block, Fault::Stalled).await;
    serves_neighbours(Bench::served(), OnUnavailable::Allow, Fault::Throttled).await;
}

#[tokio::test(start_paused = true)]
async fn a_throttled_bucket_is_not_stormed() {
    raises_no_storm(Bench::served()).await;
}

#[tokio::test(start_paused = true)]
async fn settlements_outlast_two_minutes_of_throttling_and_of_refused_connections() {
    settles_all(Bench::served(), Fault::Throttled, 120).await;
    settles_all(Bench::served(), Fault::Refused, 120).await;
}

#[tokio::test(start_paused = true)]
async fn late_answers_burn_no_tokens() {
    burns_nothing(Bench::served()).await;
}

#[tokio::test(start_paused = true)]
async fn a_refund_delivered_twice_counts_once() {
    refunds_once(Bench::served()).await;
}

#[tokio::test]
async fn leases_held_for_minutes_are_worth_the_room_they_left() {
    refunds_what_there_is_room_for(Bench::served()).await;
}

#[tokio::test]
async fn wrong_clocks_are_held_to_the_time_of_the_store() {
    holds_clocks(Bench::served()).await;
}
