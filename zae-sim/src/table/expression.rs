//! Condition and update expressions, parsed once and evaluated often.
//!
//! Covers the part of DynamoDB's language that the limiter's writes use: comparisons, `AND`, `OR`, `NOT`,
//! `attribute_exists`, `attribute_not_exists`; `SET` with sums and `if_not_exists`, `ADD` of numbers, `REMOVE`.

use std::iter::Peekable;

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// All of them hold.
    All(Vec<Condition>),
    /// One of them holds.
    Any(Vec<Condition>),
    /// It does not hold.
    Not(Box<Condition>),
    /// The attribute exists, or does not.
    Exists(String, bool),
    /// The comparison of both sides holds.
    Compare(Operand, Comparison, Operand),
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    Differs,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
}

/// A value in an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// An attribute, by name or placeholder.
    Attribute(String),
    /// A value's placeholder.
    Value(String),
    /// The attribute, or the operand if it is missing.
    IfNotExists(String, Box<Operand>),
}

/// An assigned value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assigned {
    /// A value.
    One(Operand),
    /// A sum.
    Sum(Operand, Operand),
    /// A difference.
    Difference(Operand, Operand),
}

/// An update.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Attributes and their new values.
    pub set: Vec<(String, Assigned)>,
    /// Attributes and the placeholders of the amounts added to them.
    pub add: Vec<(String, String)>,
    /// Removed attributes.
    pub remove: Vec<String>,
}

/// Parses a condition.
///
/// # Errors
/// The part of the text that cannot be parsed.
pub fn condition(text: &str) -> Result<Condition, String> {
    let mut parser = Parser::of(text);
    let condition = parser.any()?;
    parser.end(condition)
}

/// Parses an update; empty text changes nothing.
///
/// # Errors
/// The part of the text that cannot be parsed.
pub fn update(text: &str) -> Result<Update, String> {
    let mut parser = Parser::of(text);
    let mut update = Update::default();
    while let Some(keyword) = parser.tokens.next() {
        match keyword.to_ascii_uppercase().as_str() {
            "SET" => parser.list(|parser| {
                let name = parser.name()?;
                parser.expect("=")?;
                update.set.push((name, parser.assigned()?));
                Ok(())
            })?,
            "ADD" => parser.list(|parser| {
                update.add.push((parser.name()?, parser.name()?));
                Ok(())
            })?,
            "REMOVE" => parser.list(|parser| {
                update.remove.push(parser.name()?);
                Ok(())
            })?,
            other => return Err(format!("no clause begins with {other:?}")),
        }
    }
    Ok(update)
}

struct Parser<'a, T: Iterator<Item = &'a str>> {
    tokens: Peekable<T>,
}

impl<'a> Parser<'a, Tokens<'a>> {
    fn of(text: &'a str) -> Self {
        Self { tokens: Tokens(text).peekable() }
    }

    fn end<R>(&mut self, read: R) -> Result<R, String> {
        self.tokens.next().map_or(Ok(read), |more| Err(format!("{more:?} is left over")))
    }

    fn is_next(&mut self, word: &str) -> bool {
        self.tokens.peek().is_some_and(|token| token.eq_ignore_ascii_case(word))
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.is_next(word);
        if found {
            self.tokens.next();
        }
        found
    }

    fn expect(&mut self, word: &str) -> Result<(), String> {
        match self.tokens.next() {
            Some(token) if token.eq_ignore_ascii_case(word) => Ok(()),
            other => Err(format!("{word:?} is missing before {other:?}")),
        }
    }

    fn name(&mut self) -> Result<String, String> {
        let name = self.tokens.next().ok_or("a name is missing")?;
        let is_name = |c: char| c.is_alphanumeric() || "_#:.-".contains(c);
        if name.chars().all(is_name) { Ok(name.to_owned()) } else { Err(format!("{name:?} is no name")) }
    }

    fn list(&mut self, mut member: impl FnMut(&mut Self) -> Result<(), String>) -> Result<(), String> {
        member(self)?;
        while self.take(",") {
            member(self)?;
        }
        Ok(())
    }

    fn any(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.all()?];
        while self.take("OR") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::Any(parts) })
    }

    fn all(&mut self) -> Result<Condition, String> {
        let mut parts = vec![self.one()?];
        while self.take("AND") {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Condition::All(parts) })
    }

    fn one(&mut self) -> Result<Condition, String> {
        if self.take("NOT") {
            return Ok(Condition::Not(Box::new(self.one()?)));
        }
        if self.take("(") {
            let inner = self.any()?;
            self.expect(")")?;
            return Ok(inner);
        }
        for (function, exists) in [("attribute_exists", true), ("attribute_not_exists", false)] {
            if self.take(function) {
                self.expect("(")?;
                let name = self.name()?;
                self.expect(")")?;
                return Ok(Condition::Exists(name, exists));
            }
        }
        let left = self.operand()?;
        let comparison = match self.tokens.next() {
            Some("=") => Comparison::Equal,
            Some("<>") => Comparison::Differs,
            Some("<") => Comparison::Less,
            Some("<=") => Comparison::AtMost,
            Some(">") => Comparison::More,
            Some(">=") => Comparison::AtLeast,
            other => return Err(format!("{other:?} is no comparison")),
        };
        Ok(Condition::Compare(left, comparison, self.operand()?))
    }

    fn operand(&mut self) -> Result<Operand, String> {
        if self.take("if_not_exists") {
            self.expect("(")?;
            let name = self.name()?;
            self.expect(",")?;
            let otherwise = self.operand()?;
            self.expect(")")?;
            return Ok(Operand::IfNotExists(name, Box::new(otherwise)));
        }
        let name = self.name()?;
        Ok(if name.starts_with(':') { Operand::Value(name) } else { Operand::Attribute(name) })
    }

    fn assigned(&mut self) -> Result<Assigned, String> {
        let first = self.operand()?;
        if self.take("+") {
            return Ok(Assigned::Sum(first, self.operand()?));
        }
        if self.take("-") {
            return Ok(Assigned::Difference(first, self.operand()?));
        }
        Ok(Assigned::One(first))
    }
}

/// The words and symbols of a text.
struct Tokens<'a>(&'a str);

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start();
        let first = text.chars().next()?;
        let length = if ["<=", ">=", "<>"].iter().any(|sign| text.starts_with(sign)) {
            2
        } else if "=<>(),+-".contains(first) {
            1
        } else {
            // Only a placeholder's name may not contain a hyphen.
            text.find(|c: char| c.is_whitespace() || "=<>(),+-".contains(c)).unwrap_or(text.len())
        };
        let (token, rest) = text.split_at(length.max(1));
        self.0 = rest;
        Some(token)
    }
}
