//! Many processes on one bucket, in driven time: bounds on grants and cost.

mod accuracy;
mod measures;
mod reserve;
