//! The copies of an owner's facts on its buckets.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    Item,
    bucket::CASCADE,
    expression::Expression,
    keys,
    values::{get_bool, get_n, get_s, n, s, s_or_null},
};
use crate::{
    bucket::owner::{Owner, OwnerStamp},
    model::name::EntityId,
};

/// The creation of an entity that a record or a copy is of.
pub(in crate::wire) const INCARNATION: &str = "pinc";
/// The number of its moves, counted from the time of its creation on.
pub(in crate::wire) const GENERATION: &str = "pgen";
pub(in crate::wire) const PARENT: &str = "parent_id";

/// Reads the state that an entity's record is in. Records of older clients have no marks of it.
pub(crate) fn stamp(meta: &Item) -> OwnerStamp {
    let incarnation = get_s(meta, INCARNATION).or_else(|| get_s(meta, "created_at")).unwrap_or("-");
    OwnerStamp { incarnation: incarnation.into(), generation: get_n(meta, GENERATION).unwrap_or(0) }
}

/// Reads the facts that an entity's buckets are to have, where `policy` decides who is charged, if there is one.
pub(crate) fn of_entity(meta: &Item, policy: Option<bool>) -> Owner {
    let parent = get_s(meta, PARENT).filter(|parent| !parent.is_empty());
    let own = || get_bool(meta, CASCADE).unwrap_or(false);
    let cascade = parent.is_some() && policy.unwrap_or_else(own);
    Owner { cascade, parent: parent.map(Into::into), stamp: Some(stamp(meta)) }
}

/// The marks of an entity that is created at `now` (epoch ms).
pub(crate) fn marks(incarnation: String, now: i64) -> [(&'static str, AttributeValue); 2] {
    [(INCARNATION, s(incarnation)), (GENERATION, n(now))]
}

/// Gives a bucket the copy `owner`, unless it has a newer one of the same creation.
pub(crate) fn copy(owner: &Owner) -> Expression {
    Expression::of(|e| {
        e.expect_item();
        let (cascade, parent) = (e.name(CASCADE), e.name(PARENT));
        e.set(&cascade, AttributeValue::Bool(owner.cascade));
        e.set_or_remove(&parent, owner.parent.as_deref().map(s));
        if let Some(stamp) = &owner.stamp {
            let (incarnation, generation) = (e.name(INCARNATION), e.name(GENERATION));
            e.not_newer(&incarnation, s(&*stamp.incarnation), &generation, stamp.generation);
            e.set(&incarnation, s(&*stamp.incarnation));
            e.set(&generation, stamp.generation);
        }
    })
}

/// The condition that an entity's record is still of the creation and below the parent that `before` tells; `None`:
/// that there still is no record.
pub(crate) fn unmoved(before: Option<&Item>) -> Expression {
    let Some(before) = before else { return Expression::absent() };
    Expression::of(|e| {
        e.expect_item();
        let (incarnation, generation) = (e.name(INCARNATION), e.name(GENERATION));
        e.expect(&generation, before.get(GENERATION).cloned());
        e.expect(&incarnation, before.get(INCARNATION).cloned());
        if !before.contains_key(INCARNATION) {
            let created = e.name("created_at");
            e.expect(&created, before.get("created_at").cloned());
        }
    })
}

/// Moves an entity whose record is `before` below `parent`, unless somebody else has moved it since.
pub(crate) fn moved(ns: &str, entity: &EntityId, parent: Option<&EntityId>, before: &Item) -> Expression {
    Expression::of(|e| {
        e.expect_item();
        let generation = e.name(GENERATION);
        e.expect(&generation, before.get(GENERATION).cloned());
        e.set(&generation, stamp(before).generation.saturating_add(1));
        let (above, partition, sort) = (e.name(PARENT), e.name("GSI1PK"), e.name("GSI1SK"));
        e.set(&above, s_or_null(parent.map(EntityId::as_str)));
        let listed = parent.map(|parent| s(keys::gsi1_pk_parent(ns, parent.as_str())));
        e.set_or_remove(&partition, listed);
        e.set_or_remove(&sort, parent.map(|_| s(keys::gsi1_sk_child(entity.as_str()))));
    })
}
