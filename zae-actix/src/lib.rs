//! Rate limits for actix-web.
