//! Many processes on one bucket, in driven time: what they are granted and what that costs, held to bounds.

mod accuracy;
mod measures;
mod reserve;
