//! Stamping buckets with the switch that holds for them.

use std::borrow::Cow;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    Item,
    bucket::{BYPASS, DISABLED},
    expression::{Expression, ExpressionBuilder},
};
use crate::model::access::Access;

/// Returns true if a bucket's item says that it is switched off.
pub(crate) fn is_off(bucket: &Item) -> bool {
    bucket.contains_key(DISABLED)
}

/// Stamps a bucket, if it is there. A bypass holds until `until` (epoch ms).
pub(crate) fn stamp(access: Access, until: i64) -> Expression {
    Expression::of(|e| {
        e.expect_item();
        set(e, access, until);
    })
}

/// Corrects a bucket whose stamp contradicts `access`.
pub(crate) fn correction(access: Access, until: i64) -> Expression {
    Expression::of(|e| {
        e.expect_item();
        let disabled = set(e, access, until);
        match access {
            Access::Enabled | Access::Bypassed => e.expect_some(&disabled),
            Access::Disabled => e.expect(&disabled, None::<i64>),
        }
    })
}

/// Sets the stamp; the name under which it goes.
fn set(e: &mut ExpressionBuilder, access: Access, until: i64) -> Cow<'static, str> {
    let (disabled, bypass) = (e.name(DISABLED), e.name(BYPASS));
    match access {
        Access::Enabled | Access::Bypassed => e.remove(&disabled),
        Access::Disabled => e.set(&disabled, AttributeValue::Bool(true)),
    }
    e.set_or_remove(&bypass, (access == Access::Bypassed).then_some(until));
    disabled
}
