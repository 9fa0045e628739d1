//! The stack, its Lambda functions, and every admin command.
