//! Applies one request to one item, as DynamoDB defines it.

use std::{cell::RefCell, cmp::Ordering, collections::HashMap, rc::Rc};

use aws_sdk_dynamodb::types::AttributeValue;
use foldhash::fast::FixedState;
use zae_limiter::sim::ItemKey;

use super::{
    Item,
    expression::{self, Assigned, Comparison, Condition, Operand, Update},
};

/// The names and values that placeholders stand for.
#[derive(Clone, Copy, Debug)]
pub struct Placeholders<'a> {
    /// Names by placeholder.
    pub names: &'a HashMap<String, String>,
    /// Values by placeholder.
    pub values: &'a HashMap<String, AttributeValue>,
}

/// Expressions that are remembered. Which limits are written, and how, makes some thousands of them.
const MOST_KNOWN: usize = 32_768;

/// Expressions by their text. Nobody chooses texts that collide.
type Known<T> = RefCell<HashMap<Box<str>, Rc<T>, FixedState>>;

thread_local! {
    /// Expressions read before: a simulation sends the same all the time.
    static CONDITIONS: Known<Condition> = RefCell::default();
    static UPDATES: Known<Update> = RefCell::default();
}

fn read<T>(known: &Known<T>, text: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<Rc<T>, String> {
    if let Some(known) = known.borrow().get(text) {
        return Ok(Rc::clone(known));
    }
    if known.borrow().len() >= MOST_KNOWN {
        known.borrow_mut().clear();
    }
    let parsed = Rc::new(parse(text).map_err(|problem| format!("{text}: {problem}"))?);
    known.borrow_mut().insert(text.into(), Rc::clone(&parsed));
    Ok(parsed)
}

/// Returns true if `condition` holds for `item`; without an item, all attributes are missing.
///
/// # Errors
/// The reason for which DynamoDB would reject the request.
pub fn holds(condition: &str, item: Option<&Item>, by: Placeholders<'_>) -> Result<bool, String> {
    if condition.is_empty() {
        return Ok(true);
    }
    let condition = CONDITIONS.with(|known| read(known, condition, expression::condition))?;
    by.is_true(&condition, item)
}

/// Rejects an update that is invalid for every item: DynamoDB checks the types of its values first.
///
/// # Errors
/// The reason for which DynamoDB would reject the request.
pub fn check(update: &str, by: Placeholders<'_>) -> Result<(), String> {
    let update = UPDATES.with(|known| read(known, update, expression::update))?;
    let is_number = |operand: &Operand| match operand {
        Operand::Value(name) => number(by.value(name)?).map(drop),
        Operand::Attribute(_) | Operand::IfNotExists(..) => Ok(()),
    };
    for (_, assigned) in &update.set {
        if let Assigned::Sum(one, other) | Assigned::Difference(one, other) = assigned {
            is_number(one)?;
            is_number(other)?;
        }
    }
    update.add.iter().try_for_each(|(_, added)| number(by.value(added)?).map(drop))
}

/// Returns the item after `update`.
///
/// # Errors
/// The reason for which DynamoDB would reject the request.
pub fn updated(update: &str, key: &ItemKey, item: Option<&Item>, by: Placeholders<'_>) -> Result<Item, String> {
    let update = UPDATES.with(|known| read(known, update, expression::update))?;
    let mut new = item.cloned().unwrap_or_else(|| {
        let attribute = |name: &str, value: &str| (name.to_owned(), AttributeValue::S(value.to_owned()));
        HashMap::from([attribute("PK", &key.pk), attribute("SK", &key.sk)])
    });
    // All assignments read the previous item.
    for (name, assigned) in &update.set {
        let value = match assigned {
            Assigned::One(operand) => by.operand(operand, item)?.ok_or("an attribute that is missing was assigned")?,
            Assigned::Sum(one, other) => by.sum(one, other, item, i128::checked_add)?,
            Assigned::Difference(one, other) => by.sum(one, other, item, i128::checked_sub)?,
        };
        new.insert(by.name(name)?.to_owned(), value);
    }
    for (name, added) in &update.add {
        let name = by.name(name)?;
        let added = number(by.value(added)?)?;
        let before = item.and_then(|item| item.get(name)).map_or(Ok(0), number)?;
        let sum = before.checked_add(added).ok_or("a number is too large")?;
        new.insert(name.to_owned(), AttributeValue::N(sum.to_string()));
    }
    for name in &update.remove {
        new.remove(by.name(name)?);
    }
    Ok(new)
}

fn number(value: &AttributeValue) -> Result<i128, String> {
    let text = value.as_n().map_err(|other| format!("{other:?} is no number"))?;
    text.parse().map_err(|_| format!("{text} is no whole number, and this table has no others"))
}

impl<'a> Placeholders<'a> {
    fn name<'n>(self, name: &'n str) -> Result<&'n str, String>
    where
        'a: 'n,
    {
        if !name.starts_with('#') {
            return Ok(name);
        }
        self.names.get(name).map(String::as_str).ok_or_else(|| format!("{name} stands for nothing"))
    }

    fn value(self, name: &str) -> Result<&'a AttributeValue, String> {
        self.values.get(name).ok_or_else(|| format!("{name} stands for nothing"))
    }

    fn operand(self, operand: &Operand, item: Option<&Item>) -> Result<Option<AttributeValue>, String> {
        Ok(match operand {
            Operand::Value(name) => Some(self.value(name)?.clone()),
            Operand::Attribute(name) => self.attribute(name, item)?.cloned(),
            Operand::IfNotExists(name, otherwise) => match self.attribute(name, item)? {
                Some(value) => Some(value.clone()),
                None => self.operand(otherwise, item)?,
            },
        })
    }

    fn attribute<'i>(self, name: &str, item: Option<&'i Item>) -> Result<Option<&'i AttributeValue>, String> {
        let name = self.name(name)?;
        Ok(item.and_then(|item| item.get(name)))
    }

    /// Evaluates one side of a comparison.
    fn side<'i>(self, operand: &Operand, item: Option<&'i Item>) -> Result<Option<&'i AttributeValue>, String>
    where
        'a: 'i,
    {
        match operand {
            Operand::Value(name) => self.value(name).map(Some),
            Operand::Attribute(name) => self.attribute(name, item),
            Operand::IfNotExists(..) => Err("a condition has no if_not_exists".to_owned()),
        }
    }

    fn sum(
        self,
        one: &Operand,
        other: &Operand,
        item: Option<&Item>,
        add: impl Fn(i128, i128) -> Option<i128>,
    ) -> Result<AttributeValue, String> {
        let number = |operand| number(&self.operand(operand, item)?.ok_or("a sum with an attribute that is missing")?);
        let sum = add(number(one)?, number(other)?).ok_or("a number is too large")?;
        Ok(AttributeValue::N(sum.to_string()))
    }

    fn is_true(self, condition: &Condition, item: Option<&Item>) -> Result<bool, String> {
        Ok(match condition {
            Condition::All(parts) => {
                for part in parts {
                    if !self.is_true(part, item)? {
                        return Ok(false);
                    }
                }
                true
            }
            Condition::Any(parts) => {
                for part in parts {
                    if self.is_true(part, item)? {
                        return Ok(true);
                    }
                }
                false
            }
            Condition::Not(inner) => !self.is_true(inner, item)?,
            Condition::Exists(name, exists) => self.attribute(name, item)?.is_some() == *exists,
            Condition::Compare(left, comparison, right) => self.compare(left, *comparison, right, item)?,
        })
    }

    fn compare(
        self,
        left: &Operand,
        comparison: Comparison,
        right: &Operand,
        item: Option<&Item>,
    ) -> Result<bool, String> {
        let (Some(left), Some(right)) = (self.side(left, item)?, self.side(right, item)?) else {
            // A missing attribute differs from everything, and is neither less nor greater.
            return Ok(comparison == Comparison::Differs);
        };
        let order = order(left, right)?;
        Ok(match comparison {
            Comparison::Equal => order == Some(Ordering::Equal),
            Comparison::Differs => order != Some(Ordering::Equal),
            Comparison::Less => order == Some(Ordering::Less),
            Comparison::AtMost => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Comparison::More => order == Some(Ordering::Greater),
            Comparison::AtLeast => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        })
    }
}

/// Compares two values; `None` if their types differ.
fn order(left: &AttributeValue, right: &AttributeValue) -> Result<Option<Ordering>, String> {
    Ok(match (left, right) {
        (AttributeValue::N(_), AttributeValue::N(_)) => Some(number(left)?.cmp(&number(right)?)),
        (AttributeValue::S(left), AttributeValue::S(right)) => Some(left.cmp(right)),
        // They have no order, but can be equal.
        (AttributeValue::Bool(left), AttributeValue::Bool(right)) => (left == right).then_some(Ordering::Equal),
        _ => None,
    })
}
