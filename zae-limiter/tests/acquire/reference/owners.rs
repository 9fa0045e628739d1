//! Stories of parents: who is charged, and what becomes of those who are moved.

use serde_json::json;
use zae_limiter::{NewEntity, access::Cascade};
use zae_testkit::{raw, rpm};

use super::{
    answers::{failed, stamped},
    items::Findings,
    story::{Story, entity, of_u, own, resource},
};

/// Gives an entity the marks that the reference drew.
pub(super) async fn mark(story: &Story, id: &str, incarnation: &str) {
    let pk = format!("{}/ENTITY#{id}", story.ns());
    let mut meta = raw::get(&story.ops, &pk, "#META").await;
    meta["pinc"] = json!({"S": incarnation});
    raw::put(&story.ops, &meta).await;
}

pub(super) async fn owners() -> Findings {
    let mut story = Story::of([rpm(10)]).await;
    story.begin("cascade: create a parent").await;
    let created = story.ops.create_entity(NewEntity::new(entity("org"))).await.unwrap();
    mark(&story, "org", "inc0000000000001").await;
    let answer = json!({
        "id": created.id, "name": created.name, "parent_id": created.parent_id, "cascade": created.cascade,
        "metadata": created.metadata, "created_at": created.created_at.map(|_| "TIME"),
    });
    story.end(answer).await;
    story.ops.create_entity(NewEntity::new(entity("org2"))).await.unwrap();
    mark(&story, "org2", "inc0000000000002").await;
    let child = NewEntity::new(entity("u")).parent(entity("org")).cascading();
    story.ops.create_entity(child).await.unwrap();
    mark(&story, "u", "inc0000000000003").await;
    story.take("cascade: first acquire", of_u(&[("rpm", 1)])).await;
    story.take("cascade: second acquire", of_u(&[("rpm", 1)])).await;
    story.begin("cascade: resource policy off").await;
    let answer = story.ops.set_cascade(resource("api"), Cascade::Off).await;
    story.end(stamped(answer)).await;
    story.take("cascade: acquire by a warm client", of_u(&[("rpm", 1)])).await;
    story.begin("cascade: entity policy on for one resource").await;
    let answer = story.ops.set_cascade(own("u", "api"), Cascade::On).await;
    story.end(stamped(answer)).await;
    story.begin("cascade: entity default policy").await;
    let answer = story.ops.set_cascade(entity("u"), Cascade::Off).await;
    story.end(stamped(answer)).await;
    story.begin("cascade: cleared").await;
    let answer = story.ops.clear_cascade(own("u", "api")).await;
    story.end(stamped(answer)).await;
    story.ops.clear_cascade(entity("u")).await.unwrap();
    story.ops.clear_cascade(resource("api")).await.unwrap();
    moves(&mut story).await;
    stale_stamps(&mut story).await;
    story.findings
}

async fn moves(story: &mut Story) {
    story.begin("parents: move").await;
    story.change("u#api#0", &json!({"cascade": true, "b_rpm_tk": 6_000, "b_rpm_tc": 4_000})).await;
    story.change("org#api#0", &json!({"b_rpm_tk": 7_000, "b_rpm_tc": 3_000})).await;
    let answer = story.ops.set_parent("u", "org2").await;
    story.end(stamped(answer)).await;
    story.take("parents: acquire after the move", of_u(&[("rpm", 1)])).await;
    story.begin("parents: to none").await;
    let answer = story.ops.remove_parent("u").await;
    story.end(stamped(answer)).await;
    for (name, child, parent) in [
        ("parents: own parent", "u", "u"),
        ("parents: unknown parent", "u", "nobody"),
        ("parents: unknown entity", "ghost", "org"),
        ("parents: cycle", "org", "u"),
    ] {
        story.begin(name).await;
        if name == "parents: cycle" {
            story.ops.set_parent("u", "org").await.unwrap();
        }
        let answer = story.ops.set_parent(child, parent).await;
        story.end(stamped(answer)).await;
    }
}

async fn stale_stamps(story: &mut Story) {
    story.begin("parents: a cold client and a stamp of an older generation").await;
    let older = json!({
        "b_rpm_tk": 4_000, "b_rpm_tc": 6_000, "cascade": true, "parent_id": "org2", "pgen": 1_772_438_400_001_i64,
    });
    story.change("u#api#0", &older).await;
    story.change("org#api#0", &json!({"b_rpm_tk": 6_000, "b_rpm_tc": 4_000})).await;
    story.take_now(of_u(&[("rpm", 1)])).await;
    story.begin("parents: slow pass repairs the stamp").await;
    story.change("u#api#0", &json!({"b_rpm_tk": 0, "vu": 1})).await;
    story.take_now(of_u(&[("rpm", 1)])).await;
    story.begin("cascade: parent disabled").await;
    story.change("u#api#0", &json!({"b_rpm_tk": 9_000, "vu": null})).await;
    story.ops.disable(entity("org")).await.unwrap();
    story.take_now(of_u(&[("rpm", 1)])).await;
    story.deployed(&json!("0.15.9")).await;
    story.begin("cascade: policy refused with older Lambdas").await;
    let refused = story.ops.set_cascade(resource("api"), Cascade::On).await.unwrap_err();
    story.end(failed(&refused)).await;
    story.begin("parents: move refused with older Lambdas").await;
    let refused = story.ops.set_parent("u", "org2").await.unwrap_err();
    story.end(failed(&refused)).await;
}
