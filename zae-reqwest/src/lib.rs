//! Rate limits for outgoing HTTP clients.
