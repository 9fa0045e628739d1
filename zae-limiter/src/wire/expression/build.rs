//! Building expressions: [`ExpressionBuilder`], the one way to write conditions and updates.
//!
//! DynamoDB bounds an expression to 4 KB and 300 operators, refuses reserved words and names with other characters than
//! letters, digits and `_`, and wants every value behind a placeholder. A condition over 22 limits comes near both
//! bounds. So names are written out where they are short and allowed, which makes requests of few limits shorter and
//! their logs readable, and get placeholders otherwise; equal numbers share one placeholder.
//!
//! Clauses are written in the order of the calls. Nothing here knows buckets: what is expected and what is set is for
//! the modules of the items to say.

use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

use aws_sdk_dynamodb::types::AttributeValue;

use crate::wire::{
    expression::Expression,
    values::{n, s},
};

/// A value that an expression compares with or assigns.
pub(crate) enum Operand {
    /// A number; equal ones share a placeholder.
    Number(i64),
    /// Anything else, which always gets one of its own.
    Other(AttributeValue),
}

impl From<i64> for Operand {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<AttributeValue> for Operand {
    fn from(value: AttributeValue) -> Self {
        Self::Other(value)
    }
}

/// Builds the expressions of one request. Values go under numbered placeholders, equal numbers under one, and so do
/// those names that an expression cannot have as they are. On the way of every write, so the clauses are put together
/// as they come.
pub(crate) struct ExpressionBuilder {
    /// The longest attribute that is called by its name.
    longest_plain: usize,
    /// Attributes by placeholder.
    names: HashMap<String, String>,
    /// Values by placeholder.
    values: HashMap<String, AttributeValue>,
    /// The numbers among them, for finding them again: a list, as there are about ten.
    numbers: Vec<(i64, Placeholder)>,
    /// Comparisons, all of which must hold.
    condition: Clause,
    /// Assignments.
    set: Clause,
    /// Additions.
    add: Clause,
    /// Attributes to remove.
    remove: Clause,
    /// Members to take out of sets.
    delete: Clause,
}

/// Up to so many limits, names as they are make a request shorter. Beyond, expressions would outgrow DynamoDB's 4 KB: a
/// placeholder is shorter than a name wherever it stands.
const FEW: usize = 4;
/// The longest attribute that is called by its name: of a limit whose name has 16 characters.
const LONGEST_PLAIN: usize = 21;

/// A placeholder, or a name that stands for itself.
type Placeholder = Cow<'static, str>;

/// The first placeholders, more than a write usually needs, made once.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| (0..64).map(|number| format!("#{number}")).collect());
static VALUES: LazyLock<Vec<String>> = LazyLock::new(|| (0..64).map(|number| format!(":{number}")).collect());

/// Returns the placeholder with this number.
fn placeholder(number: usize, made: &'static LazyLock<Vec<String>>, sign: &str) -> Placeholder {
    made.get(number).map_or_else(|| Cow::Owned(format!("{sign}{number}")), |made| Cow::Borrowed(made.as_str()))
}

/// Attributes without a `_` that are no reserved words either.
const UNRESERVED: [&str; 5] = ["PK", "rf", "vu", "disabled", "bypass"];

/// Returns true if an expression can use an attribute's name as it is: letters, digits and `_`, a letter first, and no
/// reserved word. Limit names may have other characters. Of DynamoDB's reserved words none has a `_`.
fn is_plain(attribute: &str) -> bool {
    attribute.starts_with(|first: char| first.is_ascii_alphabetic())
        && attribute.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && (attribute.contains('_') || UNRESERVED.contains(&attribute))
}

/// Parts with something between them.
struct Clause {
    /// The parts so far.
    text: String,
    /// The text that separates them.
    between: &'static str,
}

impl Clause {
    /// Begins an empty clause with room for so many bytes.
    fn new(capacity: usize, between: &'static str) -> Self {
        Self { text: String::with_capacity(capacity), between }
    }

    /// Appends a part, given in pieces.
    fn push(&mut self, parts: &[&str]) {
        if !self.text.is_empty() {
            self.text.push_str(self.between);
        }
        parts.iter().for_each(|part| self.text.push_str(part));
    }
}

impl ExpressionBuilder {
    /// Expressions that name attributes of so many limits. There is room for a plain write of two.
    pub(crate) fn for_limits(limits: usize) -> Self {
        Self {
            longest_plain: if limits <= FEW { LONGEST_PLAIN } else { 0 },
            names: HashMap::new(),
            values: HashMap::with_capacity(14),
            numbers: Vec::with_capacity(14),
            condition: Clause::new(320, " AND "),
            set: Clause::new(64, ", "),
            add: Clause::new(64, ", "),
            remove: Clause::new(0, ", "),
            delete: Clause::new(0, ", "),
        }
    }

    /// Returns the placeholder for an attribute in the expressions.
    pub(crate) fn name(&mut self, attribute: impl Into<Placeholder>) -> Placeholder {
        let attribute = attribute.into();
        if attribute.len() <= self.longest_plain && is_plain(&attribute) {
            return attribute;
        }
        let placeholder = placeholder(self.names.len(), &NAMES, "#");
        self.names.insert(placeholder.to_string(), attribute.into_owned());
        placeholder
    }

    /// Returns the placeholder for a value in the expressions. Most limits use the same numbers more than once: a
    /// capacity equals the refill of a period, and the amount taken is the amount that has to be there. Each value
    /// costs the SDK and the store more than all references to it.
    pub(crate) fn value(&mut self, operand: impl Into<Operand>) -> Placeholder {
        let operand = operand.into();
        if let Operand::Number(number) = operand
            && let Some((_, placeholder)) = self.numbers.iter().find(|(known, _)| *known == number)
        {
            return placeholder.clone();
        }
        let placeholder = placeholder(self.values.len(), &VALUES, ":");
        let value = match operand {
            Operand::Number(number) => {
                self.numbers.push((number, placeholder.clone()));
                n(number)
            }
            Operand::Other(value) => value,
        };
        self.values.insert(placeholder.to_string(), value);
        placeholder
    }

    /// The attribute must have this value, or be absent.
    pub(crate) fn expect(&mut self, name: &str, value: Option<impl Into<Operand>>) {
        match value {
            Some(value) => {
                let value = self.value(value);
                self.condition.push(&[name, " = ", &value]);
            }
            None => self.condition.push(&["attribute_not_exists(", name, ")"]),
        }
    }

    /// Lists the item in the index of its namespace.
    pub(crate) fn list_in_namespace(&mut self, namespace: &str, sort_key: &str) {
        for (attribute, value) in [("GSI4PK", namespace), ("GSI4SK", sort_key)] {
            let name = self.name(attribute);
            self.set(&name, s(value));
        }
    }

    /// The item must exist, whatever is in it.
    pub(crate) fn expect_item(&mut self) {
        self.condition.push(&["attribute_exists(PK)"]);
    }

    /// The attribute must exist.
    pub(crate) fn expect_some(&mut self, name: &str) {
        self.condition.push(&["attribute_exists(", name, ")"]);
    }

    /// The attribute must compare with the value like this.
    pub(crate) fn compare(&mut self, name: &str, comparison: &str, value: impl Into<Operand>) {
        let value = self.value(value);
        self.condition.push(&[name, " ", comparison, " ", &value]);
    }

    /// The attribute must be absent, or compare with the value like this.
    pub(crate) fn absent_or(&mut self, name: &str, comparison: &str, value: impl Into<Operand>) {
        let value = self.value(value);
        self.condition.push(&["(attribute_not_exists(", name, ") OR ", name, " ", comparison, " ", &value, ")"]);
    }

    /// All comparisons of one of the alternatives must hold, each of an attribute with a value.
    pub(crate) fn expect_any<'a, A>(&mut self, alternatives: impl Iterator<Item = A>)
    where
        A: Iterator<Item = (&'a str, &'a str, i64)>,
    {
        let mut alternatives: Vec<String> = alternatives
            .map(|alternative| {
                let mut all = String::new();
                for (index, (name, comparison, value)) in alternative.enumerate() {
                    let value = self.value(value);
                    let and = if index > 0 { " AND " } else { "" };
                    [and, name, " ", comparison, " ", &value].into_iter().for_each(|part| all.push_str(part));
                }
                all
            })
            .collect();
        // DynamoDB refuses parentheses that nothing is gained by.
        match &mut *alternatives {
            [] => {}
            [one] => self.condition.push(&[one]),
            several => self.condition.push(&["((", &several.join(") OR ("), "))"]),
        }
    }

    /// Two attributes must not both be there, the first with this value and the second with a greater one.
    pub(crate) fn not_newer(&mut self, name: &str, same: impl Into<Operand>, counter: &str, most: i64) {
        let (same, most) = (self.value(same), self.value(most));
        self.condition.push(&["(attribute_not_exists(", name, ") OR ", name, " <> ", &same, " OR "]);
        let last = &mut self.condition.text;
        for part in ["attribute_not_exists(", counter, ") OR ", counter, " <= ", &most, ")"] {
            last.push_str(part);
        }
    }

    /// The item must be absent, or `owner` must be another than `own` and than `nobody`.
    pub(crate) fn absent_or_of_others(&mut self, owner: &str, own: impl Into<Operand>, nobody: impl Into<Operand>) {
        let (own, nobody) = (self.value(own), self.value(nobody));
        self.condition.push(&["(attribute_not_exists(PK) OR (", owner, " <> ", &own, " AND "]);
        let last = &mut self.condition.text;
        for part in [owner, " <> ", &nobody, "))"] {
            last.push_str(part);
        }
    }

    /// Assigns a value.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<Operand>) {
        let value = self.value(value);
        self.set.push(&[name, " = ", &value]);
    }

    /// Sets the attribute where it is absent.
    pub(crate) fn set_once(&mut self, name: &str, value: impl Into<Operand>) {
        let value = self.value(value);
        self.set.push(&[name, " = if_not_exists(", name, ", ", &value, ")"]);
    }

    /// Removes the attribute.
    pub(crate) fn remove(&mut self, name: &str) {
        self.remove.push(&[name]);
    }

    /// Adds a number, or members to a set of texts.
    pub(crate) fn add(&mut self, name: &str, value: impl Into<Operand>) {
        let value = self.value(value);
        self.add.push(&[name, " ", &value]);
    }

    /// Assigns a value, or removes the attribute.
    pub(crate) fn set_or_remove(&mut self, name: &str, value: Option<impl Into<Operand>>) {
        match value {
            Some(value) => self.set(name, value),
            None => self.remove(name),
        }
    }

    /// Takes members out of a set of texts.
    pub(crate) fn delete(&mut self, name: &str, value: impl Into<Operand>) {
        let value = self.value(value);
        self.delete.push(&[name, " ", &value]);
    }

    /// Puts the clauses together; those without parts are left out.
    pub(crate) fn finish(self) -> Expression {
        let mut update = Clause::new(160, " ");
        let clauses = [("SET ", &self.set), ("ADD ", &self.add), ("REMOVE ", &self.remove), ("DELETE ", &self.delete)];
        for (keyword, clause) in clauses {
            if !clause.text.is_empty() {
                update.push(&[keyword, &clause.text]);
            }
        }
        Expression { condition: self.condition.text, update: update.text, names: self.names, values: self.values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_twice_is_one_value() {
        let mut e = ExpressionBuilder::for_limits(1);
        let said = [5, -5, 5, 0, -5].map(|number: i64| e.value(number).into_owned());
        assert_eq!(said, [":0", ":1", ":0", ":2", ":1"]);
        assert_eq!(e.value(AttributeValue::S("5".to_owned())), ":3", "a text is no number");
        assert_eq!(e.value(AttributeValue::S("5".to_owned())), ":4");
        assert_eq!((e.values.len(), &e.values[":1"]), (5, &n(-5)));
    }

    #[test]
    fn an_expression_calls_by_name_what_it_can() {
        let mut few = ExpressionBuilder::for_limits(FEW);
        for (attribute, called) in [
            ("b_rpm_tk", "b_rpm_tk"),
            ("rf", "rf"),
            ("b_input-tokens_tk", "#0"),
            ("b_a.b_tk", "#1"),
            ("ttl", "#2"),
            ("cascade", "#3"),
            ("status", "#4"),
            ("b_tokens_of_this_minute_tk", "#5"),
        ] {
            assert_eq!(few.name(attribute.to_owned()), called);
        }
        assert_eq!(few.names["#0"], "b_input-tokens_tk");
        let mut many = ExpressionBuilder::for_limits(FEW + 1);
        assert_eq!([many.name("rf"), many.name("b_rpm_tk")], ["#0", "#1"], "4 KB are soon full");
    }
}
