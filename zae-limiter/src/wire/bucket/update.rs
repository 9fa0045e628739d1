//! Updates to a bucket that exists: a [`BucketWrite`] as an update, and a limit's removal.

use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    AHEAD, BYPASS, CASCADE, DISABLED, INCARNATION, LAST_REFUND, REFILL, SHARDS, TTL, VALID_UNTIL, fraction_attr, n,
    refunded_attr, s, watch_text,
};
use crate::{
    bucket::{
        image::{LeftoverValue, LimitImage, StoredParams},
        leftovers::Enabled,
        refund::RefundsBefore,
        write::{BucketWrite, LimitWrite, TokenWrite, Validity},
    },
    model::name::WCU,
    wire::{expression::Expression, keys},
};

/// The parts of an UpdateItem request.
#[derive(Debug, Default)]
pub(crate) struct Update {
    pub(crate) condition: String,
    pub(crate) expression: String,
    pub(crate) names: HashMap<String, String>,
    pub(crate) values: HashMap<String, AttributeValue>,
}

/// A value that an expression compares with or assigns.
enum Operand {
    Number(i64),
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

/// Collects values under numbered placeholders, equal numbers under one, and those names that an expression cannot have
/// as they are. On the way of every write, so the clauses are put together as they come.
struct Expressions {
    /// The longest attribute that is called by its name.
    longest_plain: usize,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
    numbers: Vec<(i64, Placeholder)>,
    condition: Clause,
    set: Clause,
    add: Clause,
    remove: Clause,
}

/// Up to so many limits, names as they are make a request shorter. Beyond, expressions would outgrow DynamoDB's 4 KB: a
/// placeholder is shorter than a name wherever it stands.
const FEW: usize = 4;
/// The longest attribute that is called by its name: of a limit whose name has 16 characters.
const LONGEST_PLAIN: usize = 21;

type Placeholder = Cow<'static, str>;

/// The first placeholders, more than a write usually needs, made once.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| (0..64).map(|number| format!("#{number}")).collect());
static VALUES: LazyLock<Vec<String>> = LazyLock::new(|| (0..64).map(|number| format!(":{number}")).collect());

fn placeholder(number: usize, made: &'static LazyLock<Vec<String>>, sign: &str) -> Placeholder {
    made.get(number).map_or_else(|| Cow::Owned(format!("{sign}{number}")), |made| Cow::Borrowed(made.as_str()))
}

/// Returns true if an expression can use an attribute's name as it is: letters, digits and `_`, a letter first, and no
/// reserved word. Limit names may have other characters. Of DynamoDB's reserved words none has a `_`, and of ours two
/// are reserved.
fn is_plain(attribute: &str) -> bool {
    attribute.starts_with(|first: char| first.is_ascii_alphabetic())
        && attribute.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !matches!(attribute, TTL | CASCADE)
}

/// Parts with something between them.
struct Clause {
    text: String,
    between: &'static str,
}

impl Clause {
    fn new(capacity: usize, between: &'static str) -> Self {
        Self { text: String::with_capacity(capacity), between }
    }

    fn push(&mut self, parts: &[&str]) {
        if !self.text.is_empty() {
            self.text.push_str(self.between);
        }
        parts.iter().for_each(|part| self.text.push_str(part));
    }
}

impl Expressions {
    /// Room for a plain write of two limits.
    fn new(limits: usize) -> Self {
        Self {
            longest_plain: if limits <= FEW { LONGEST_PLAIN } else { 0 },
            names: HashMap::new(),
            values: HashMap::with_capacity(14),
            numbers: Vec::with_capacity(14),
            condition: Clause::new(320, " AND "),
            set: Clause::new(64, ", "),
            add: Clause::new(64, ", "),
            remove: Clause::new(0, ", "),
        }
    }

    /// Returns the placeholder for an attribute in the expressions.
    fn name(&mut self, attribute: impl Into<Placeholder>) -> Placeholder {
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
    fn value(&mut self, operand: impl Into<Operand>) -> Placeholder {
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
    fn expect(&mut self, name: &str, value: Option<impl Into<Operand>>) {
        match value {
            Some(value) => {
                let value = self.value(value);
                self.condition.push(&[name, " = ", &value]);
            }
            None => self.condition.push(&["attribute_not_exists(", name, ")"]),
        }
    }

    fn set(&mut self, name: &str, value: impl Into<Operand>) {
        let value = self.value(value);
        self.set.push(&[name, " = ", &value]);
    }

    fn add(&mut self, name: &str, value: i64) {
        let value = self.value(value);
        self.add.push(&[name, " ", &value]);
    }

    fn set_or_remove(&mut self, name: &str, value: Option<impl Into<Operand>>) {
        match value {
            Some(value) => self.set(name, value),
            None => self.remove.push(&[name]),
        }
    }

    fn limit(&mut self, limit: &LimitWrite) {
        let attribute = |field| keys::bucket_attr(limit.name.as_str(), field);
        let tokens = self.name(attribute("tk"));
        match limit.tokens {
            TokenWrite::Add { delta, at_least, at_most } => {
                if let Some(least) = at_least {
                    let least = self.value(least);
                    self.condition.push(&[&tokens, " >= ", &least]);
                }
                let most = self.value(at_most);
                self.condition.push(&[&tokens, " <= ", &most]);
                self.add(&tokens, delta);
            }
            TokenWrite::Set { to, from } => {
                match from {
                    // Balances are read within 64 bits; what is stored may lie beyond.
                    Some(from @ (i64::MIN | i64::MAX)) => {
                        let bound = self.value(from);
                        self.condition.push(&[&tokens, if from < 0 { " <= " } else { " >= " }, &bound]);
                    }
                    from => self.expect(&tokens, from),
                }
                self.set(&tokens, to);
            }
        }
        // The counter exists on every limit that was ever written, also when nothing is consumed.
        if limit.consumed != 0 || limit.set_params.is_some() {
            let consumed = self.name(attribute("tc"));
            self.add(&consumed, limit.consumed);
        }
        let stored = limit.expect_params;
        let wanted = limit.set_params;
        for (field, stored, wanted) in [
            ("cp", stored.capacity, wanted.map(|p| p.capacity)),
            ("ra", stored.refill, wanted.map(|p| p.refill)),
            ("rp", stored.period, wanted.map(|p| p.period)),
        ] {
            let wanted = wanted.filter(|wanted| stored != Some(*wanted));
            // Where none of them is stored, one speaks for all: expressions are short of room.
            let expected = limit.expect_params != StoredParams::default() || field == "cp";
            if !expected && wanted.is_none() {
                continue;
            }
            let name = self.name(attribute(field));
            if expected {
                self.expect(&name, stored);
            }
            if let Some(wanted) = wanted {
                self.set(&name, wanted);
            }
        }
        if let Some(refund) = limit.refund {
            let name = self.name(refunded_attr(limit.name.as_str()));
            if let Some(most) = refund.at_most {
                let most = self.value(most);
                self.condition.push(&[&name, " <= ", &most]);
            }
            self.add(&name, refund.add);
        }
        if limit.expect_fraction.is_none() && limit.set_fraction.is_none() {
            return;
        }
        let name = self.name(fraction_attr(limit.name.as_str()));
        if let Some(fraction) = limit.expect_fraction {
            self.expect(&name, Some(fraction));
        }
        if let Some(fraction) = limit.set_fraction {
            self.set_or_remove(&name, (fraction != 0).then_some(fraction));
        }
    }

    fn finish(self) -> Update {
        let mut expression = Clause::new(160, " ");
        for (keyword, clause) in [("SET ", &self.set), ("ADD ", &self.add), ("REMOVE ", &self.remove)] {
            if !clause.text.is_empty() {
                expression.push(&[keyword, &clause.text]);
            }
        }
        Update { condition: self.condition.text, expression: expression.text, names: self.names, values: self.values }
    }
}

/// Turns a write into an update. The expression is empty when there is nothing to change.
pub(crate) fn encode_update(write: &BucketWrite) -> Update {
    let mut e = Expressions::new(write.limits.len());
    let refill = e.name(REFILL);
    match write.expect_refill {
        Some(at) => e.expect(&refill, Some(at)),
        // Whatever it is, it must be there: an item without it is no bucket.
        None => e.condition.push(&["attribute_exists(", &refill, ")"]),
    }
    let shards = e.name(SHARDS);
    e.expect(&shards, write.expect_shards.map(i64::from));
    // These two are stamped onto buckets without anything else that would stop a plain write.
    if write.expect_enabled == Enabled::Yes {
        let disabled = e.name(DISABLED);
        e.expect(&disabled, None::<i64>);
    }
    if !write.remove.iter().any(|leftover| leftover.attribute == BYPASS) {
        let bypass = e.name(BYPASS);
        e.expect(&bypass, write.expect_bypass.as_ref().map(leftover_value));
    }
    for leftover in &write.remove {
        let name = e.name(leftover.attribute.clone());
        e.expect(&name, Some(leftover_value(&leftover.value)));
        e.remove.push(&[&name]);
    }
    let valid = e.name(VALID_UNTIL);
    match write.expect_valid {
        Validity::AbsentOrAfter(now) => {
            let now = e.value(now);
            e.condition.push(&["(attribute_not_exists(", &valid, ") OR ", &valid, " > ", &now, ")"]);
        }
        Validity::Expired(stamp) => {
            e.expect(&valid, Some(stamp));
            e.remove.push(&[&valid]);
        }
    }
    if let Some(incarnation) = &write.expect_incarnation {
        let name = e.name(INCARNATION);
        e.expect(&name, incarnation.as_ref().map(|incarnation| s(incarnation.to_string())));
    }
    if let Some(at) = write.set_refill {
        e.set(&refill, at);
    }
    for limit in &write.limits {
        e.limit(limit);
    }
    if write.wcu_credit != 0 {
        let name = e.name(keys::bucket_attr(WCU, "tk"));
        e.add(&name, write.wcu_credit);
    }
    if let Some(ttl) = write.set_ttl {
        let name = e.name(TTL);
        if let Some(ttl) = ttl {
            // A neighbour may know of a deeper debt.
            let longest = e.value(ttl);
            e.condition.push(&["(attribute_not_exists(", &name, ") OR ", &name, " <= ", &longest, ")"]);
        }
        e.set_or_remove(&name, ttl);
    }
    if let Some(shortest) = write.expect_ttl {
        let (name, shortest) = (e.name(TTL), e.value(shortest));
        e.condition.push(&["(attribute_not_exists(", &name, ") OR ", &name, " >= ", &shortest, ")"]);
    }
    if let Some(watch) = write.set_watch {
        let name = e.name(AHEAD);
        e.set_or_remove(&name, watch.map(|watch| s(watch_text(watch))));
    }
    if let Some(owner) = &write.set_owner {
        let cascade = e.name(CASCADE);
        e.set(&cascade, AttributeValue::Bool(owner.cascade));
        let parent = e.name("parent_id");
        e.set_or_remove(&parent, owner.parent.as_deref().map(s));
    }
    if let Some(refund) = write.refund {
        let name = e.name(LAST_REFUND);
        match refund.before {
            RefundsBefore::Exactly(last) => e.expect(&name, last),
            RefundsBefore::AnyOther => {
                let id = e.value(refund.id);
                e.condition.push(&[&name, " <> ", &id]);
            }
        }
        e.set(&name, refund.id);
    }
    e.finish()
}

fn leftover_value(value: &LeftoverValue) -> AttributeValue {
    match value {
        LeftoverValue::Number(number) => AttributeValue::N(number.clone()),
        LeftoverValue::Flag(flag) => AttributeValue::Bool(*flag),
    }
}

/// Takes `limit` off its bucket, unless somebody consumed from it or was refunded since the image.
pub(crate) fn encode_removal(limit: &LimitImage) -> Expression {
    let name = limit.name.as_str();
    let fields = ["tk", "cp", "ra", "rp", "tc"].map(|field| keys::bucket_attr(name, field));
    let attributes = fields.into_iter().chain([fraction_attr(name), refunded_attr(name)]);
    let mut removal = Expression::default();
    let mut placeholders = Vec::new();
    for (index, attribute) in attributes.enumerate() {
        let placeholder = format!("#{index}");
        removal = removal.name(&placeholder, attribute);
        placeholders.push(placeholder);
    }
    removal.update = format!("REMOVE {}", placeholders.join(", "));
    match limit.consumed {
        Some(consumed) => removal.when("attribute_exists(PK) AND #4 = :consumed").value(":consumed", n(consumed)),
        None => removal.when("attribute_exists(PK) AND attribute_not_exists(#4)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_twice_is_one_value() {
        let mut e = Expressions::new(1);
        let said = [5, -5, 5, 0, -5].map(|number: i64| e.value(number).into_owned());
        assert_eq!(said, [":0", ":1", ":0", ":2", ":1"]);
        assert_eq!(e.value(AttributeValue::S("5".to_owned())), ":3", "a text is no number");
        assert_eq!(e.value(AttributeValue::S("5".to_owned())), ":4");
        assert_eq!((e.values.len(), &e.values[":1"]), (5, &n(-5)));
    }

    #[test]
    fn an_expression_calls_by_name_what_it_can() {
        let mut few = Expressions::new(FEW);
        for (attribute, called) in [
            ("b_rpm_tk", "b_rpm_tk"),
            ("rf", "rf"),
            ("b_input-tokens_tk", "#0"),
            ("b_a.b_tk", "#1"),
            ("ttl", "#2"),
            ("cascade", "#3"),
            ("b_tokens_of_this_minute_tk", "#4"),
        ] {
            assert_eq!(few.name(attribute.to_owned()), called);
        }
        assert_eq!(few.names["#0"], "b_input-tokens_tk");
        let mut many = Expressions::new(FEW + 1);
        assert_eq!([many.name("rf"), many.name("b_rpm_tk")], ["#0", "#1"], "4 KB are soon full");
    }
}
