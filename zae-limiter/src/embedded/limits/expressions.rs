//! The limits on expressions, which DynamoDB checks before it reads an item.
//!
//! DynamoDB allows 300 operators, and a bucket's condition comes close to that: twelve for each of 22 limits, and those
//! of the bucket itself. Operators are counted by tokens, not in a parse tree: comparisons, `AND`, `OR`, `NOT`, `IN`,
//! sums and calls of functions count one each; the `=` of an update does not count.

use std::collections::HashMap;

use dynoxide::{DynoxideError, types::AttributeValue};

use super::refused;

/// Maximum number of comparisons, connectives, functions and sums in one expression.
const MAX_OPERATORS: usize = 300;
/// Maximum number of operands of one `IN`.
const MAX_OPERANDS: usize = 100;
/// Maximum length of a placeholder in bytes, including its `#` or `:`.
const MAX_PLACEHOLDER: usize = 255;
/// The valid second operands of `attribute_type`.
const TYPES: [&str; 10] = ["S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M"];

/// The names that placeholders stand for.
pub(super) type AttributeNames = Option<HashMap<String, String>>;
/// The values that placeholders stand for.
pub(super) type Values = Option<HashMap<String, AttributeValue>>;

/// An expression and the parameter that contains it.
#[derive(Clone, Copy, Debug)]
pub(super) enum RequestExpression<'a> {
    /// An update expression, in which `=` assigns.
    Update(&'a str),
    /// A condition expression.
    Condition(&'a str),
    /// A filter expression.
    Filter(&'a str),
}

impl<'a> RequestExpression<'a> {
    /// Returns the parameter's name for messages.
    fn parameter(self) -> &'static str {
        match self {
            Self::Update(_) => "UpdateExpression",
            Self::Condition(_) => "ConditionExpression",
            Self::Filter(_) => "FilterExpression",
        }
    }

    /// Returns the expression.
    fn text(self) -> &'a str {
        match self {
            Self::Update(text) | Self::Condition(text) | Self::Filter(text) => text,
        }
    }

    /// Counts operators and operands.
    fn check(self, values: &Values) -> Result<(), DynoxideError> {
        let bad = |why: String| refused(format!("Invalid {}: {why}", self.parameter()));
        let mut operators = 0;
        let mut tokens = Lexemes(self.text()).peekable();
        while let Some(token) = tokens.next() {
            let word = token.to_ascii_uppercase();
            let is_call = tokens.peek().is_some_and(|next| *next == "(");
            match word.as_str() {
                "IN" if is_call => {
                    let count = operands(tokens.clone()).len();
                    if count > MAX_OPERANDS {
                        let why = "The IN operator is provided with too many operands; number of operands";
                        return Err(bad(format!("{why}: {count}")));
                    }
                }
                "ATTRIBUTE_TYPE" if is_call => {
                    let named = operands(tokens.clone()).get(1).and_then(|name| values.as_ref()?.get(*name));
                    if let Some(AttributeValue::S(name)) = named
                        && !TYPES.contains(&name.as_str())
                    {
                        return Err(bad(format!("Invalid attribute type name found; type: {name}")));
                    }
                }
                _ => {}
            }
            operators += usize::from(self.counts(&word, is_call));
        }
        if operators > MAX_OPERATORS {
            let why = "The expression contains too many operators; operator count";
            return Err(bad(format!("{why}: {operators}")));
        }
        Ok(())
    }

    /// Returns true if a word counts as an operator.
    fn counts(self, word: &str, is_call: bool) -> bool {
        match word {
            "=" => !matches!(self, Self::Update(_)),
            // The AND of a BETWEEN is part of it.
            "BETWEEN" => false,
            "AND" | "OR" | "NOT" | "IN" | "<" | ">" | "<=" | ">=" | "<>" | "+" | "-" => true,
            _ => is_call && word.starts_with(|first: char| first.is_ascii_alphabetic()),
        }
    }
}

/// Returns the first token of each operand in the parentheses at the start of `tokens`.
fn operands<'a>(tokens: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let (mut found, mut depth, mut is_first) = (Vec::new(), 0_usize, true);
    for token in tokens {
        match token {
            "(" => depth += 1,
            ")" if depth <= 1 => break,
            ")" => depth -= 1,
            "," if depth == 1 => is_first = true,
            _ if is_first => {
                found.push(token);
                is_first = false;
            }
            _ => {}
        }
    }
    found
}

/// Iterates over the words and symbols of an expression.
#[derive(Clone, Debug)]
struct Lexemes<'a>(&'a str);

impl<'a> Iterator for Lexemes<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start();
        let first = text.chars().next()?;
        let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '#' | ':');
        let end = if is_word(first) {
            text.find(|c| !is_word(c)).unwrap_or(text.len())
        } else if ["<=", ">=", "<>"].iter().any(|sign| text.starts_with(sign)) {
            2
        } else {
            first.len_utf8()
        };
        let (token, rest) = text.split_at(end);
        self.0 = rest;
        Some(token)
    }
}

/// Checks the expressions of a request and their placeholders.
pub(super) fn check<'a>(
    expressions: impl IntoIterator<Item = Option<RequestExpression<'a>>>,
    names: &AttributeNames,
    values: &Values,
) -> Result<(), DynoxideError> {
    let placeholders = names.iter().flat_map(HashMap::keys).chain(values.iter().flat_map(HashMap::keys));
    if let Some(name) = placeholders.into_iter().find(|name| name.len() > MAX_PLACEHOLDER) {
        let why = "The expression attribute map contains a key that is too long; size of key";
        return Err(refused(format!("{why}: {}", name.len())));
    }
    expressions.into_iter().flatten().try_for_each(|expression| expression.check(values))
}

/// Rejects empty strings in a key condition.
pub(super) fn check_key_condition(condition: &str, values: &Values) -> Result<(), DynoxideError> {
    let is_empty = |value: &AttributeValue| matches!(value, AttributeValue::S(text) if text.is_empty());
    let mut named = Lexemes(condition).filter_map(|token| values.as_ref()?.get(token));
    if named.any(is_empty) {
        let why = "One or more parameter values are not valid. \
                   The AttributeValue for a key attribute cannot contain an empty string value";
        return Err(refused(why.to_owned()));
    }
    Ok(())
}
