//! The `zae-deploy` command.

fn main() {}
