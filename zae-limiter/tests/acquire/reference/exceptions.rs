//! The differences between the ends of ours and of the reference, with their reasons.

use super::items::Findings;

/// A reason, the scenarios that it explains, and the places in each: `result` and a member, or a bucket's attribute.
struct Exception {
    reason: &'static str,
    scenarios: &'static [(&'static str, &'static [&'static str])],
}

const RACED_OWNER: &[&str] = &["parent_id", "pgen", "org#r3#0", "org2#r3#0", "result entities"];
const WAIT: &[&str] = &["result retry_after_seconds", "result statuses"];
const NEVER: &[&str] = &["result raises", "result retry_after_seconds", "result statuses"];
const OPERATED: &[&str] = &["result amounts", "result entity_id", "result resource", "result shards"];
const WINDOW: &[&str] = &["b_sess_wa", "b_sess_ws", "vu"];
const OPENED: &[&str] = &["b_sess_tk", "b_sess_wa", "b_sess_ws", "vu"];

const EXCEPTIONS: &[Exception] = &[
    Exception {
        reason: "the reference names the bucket's stamp, ours the setting that it is a copy of",
        scenarios: &[
            ("also: one disabled", &["result level"]),
            ("also: one disabled, another exhausted", &["result level"]),
            ("cascade: parent disabled", &["result level"]),
            ("disable: acquire with a stamped bucket", &["result level"]),
        ],
    },
    Exception {
        reason: "a stamp that nothing in the configuration explains: the reference believes it, ours removes it",
        scenarios: &[
            (
                "disable: a stamp that config contradicts",
                &["result level", "result raises", "b_rpm_tc", "b_rpm_tk", "disabled"],
            ),
            (
                "disable: ten minutes later still refused",
                &["result level", "result raises", "b_rpm_tc", "disabled", "rf"],
            ),
        ],
    },
    Exception {
        reason: "a request above the capacity never fits; the reference names a wait after which it is refused again",
        scenarios: &[
            ("also: one exhausted", NEVER),
            ("soft: hard limit refuses, soft one named too", NEVER),
            // In the hours of the schedule, which end.
            ("schedule: refused at half capacity", WAIT),
        ],
    },
    Exception {
        reason: "the reference grants a limit that there is not",
        scenarios: &[(
            "also: unknown limit name",
            &[
                "result bypassed",
                "result consumed",
                "result degraded",
                "result ok",
                "result overdrawn",
                "result resources",
                "b_rpm_tc",
                "b_rpm_tk",
            ],
        )],
    },
    Exception {
        reason: "our lease names what was asked for, also where nothing was debited or the store did not answer",
        scenarios: &[
            ("bypass: a new bucket is created undebited", &["result consumed"]),
            ("errors: permission missing, and store away, both in allow mode", &["result away"]),
        ],
    },
    Exception {
        reason: "the reference adds up what child and parent were charged",
        scenarios: &[
            ("cascade: first acquire", &["result consumed"]),
            ("cascade: second acquire", &["result consumed"]),
            ("parents: acquire after the move", &["result consumed"]),
            ("parents: a cold client and a stamp of an older generation", &["result consumed"]),
        ],
    },
    Exception {
        reason: "facts of an entity or a setting that our answer has no member for",
        scenarios: &[
            ("cascade: create a parent", &["result incarnation", "result parent_generation"]),
            ("disable: resolve_access", &["result cascade"]),
        ],
    },
    Exception {
        reason: "what the parent had granted is not yet back when ours tells of it",
        scenarios: &[("parents: slow pass repairs the stamp", &["result statuses"])],
    },
    Exception {
        reason: "a bucket that begins is charged to the parent known for at most a minute; the next read corrects it",
        scenarios: &[("races: the owner moves between planning and creating", RACED_OWNER)],
    },
    Exception {
        reason: "a credit of ours stops at the ceiling of today, and its write renews the bucket's lifetime",
        scenarios: &[
            ("credits: the bucket is full again", &["b_rpm_tk", "vu"]),
            ("credits: the bucket was sharded", &["b_rpm_tk", "vu"]),
            ("credits: the capacity was lowered", &["b_rpm_tk", "ttl", "vu"]),
        ],
    },
    Exception {
        reason: "a lease of ours gives back no more than it took",
        scenarios: &[
            ("credits: the bucket was deleted", &["result after_body"]),
            ("quota: credit within the period", &["result after_body", "b_day_tc", "b_day_tk"]),
        ],
    },
    Exception {
        reason: "what a lease from before a reset gives back was not consumed; the write brings `vu` up to date",
        scenarios: &[("ops: a credit after a reset is dropped (rn moved)", &["b_day_tc", "vu"])],
    },
    Exception {
        reason: "the reference begins a session with the use of any limit, and at each shard's pass",
        scenarios: &[
            ("quota: after midnight; session window opens though not named", WINDOW),
            (
                "quota: credit after the session rolled is dropped",
                &["b_sess_tc", "b_sess_tk", "b_sess_wa", "b_sess_ws", "vu"],
            ),
            ("races: both passes open a session", WINDOW),
            ("races: both passes restore the day", OPENED),
            ("races: midnight passes between planning and writing", OPENED),
            ("shards: day resets per shard, at its next pass", &["b_sess_tk", "b_sess_wa", "b_sess_wtc", "vu"]),
        ],
    },
    Exception {
        reason: "each shard of ours opens its window by its own first use; the reference also tells the other shards",
        scenarios: &[
            (
                "shards: session ends; the shard that opens the next one tells the others",
                &["b_sess_ws", "b_sess_wtc", "vu"],
            ),
            ("shards: day resets per shard, at its next pass", &["b_sess_ws"]),
            ("shards: shard 1 applies the roll it was told", &["b_sess_wtc"]),
        ],
    },
    Exception {
        reason: "a further shard of ours begins with what shard 0 has beyond its share, and with nothing of a running \
                 quota, which stays where it is until the period ends: its first acquire may go on to another shard",
        scenarios: &[
            ("credits: more consumption", &["b_rpm_tc", "b_rpm_tk"]),
            (
                "shards: shard 1 comes into being: takes its quota share from shard 0 in the same transaction",
                &["_tc", "_tk", "b_sess_wa", "b_sess_ws", "vu"],
            ),
            ("shards: shard 3 of 4 created, its donor is shard 1", &["_tc", "_tk", "b_sess_wa", "b_sess_ws", "vu"]),
            ("shards: shard 2 created after the reset", &["b_rpm_tk", "b_sess_wa", "b_sess_ws", "vu"]),
        ],
    },
    Exception {
        reason: "a bucket with a session quota is not topped up or reset by hand; the others are played without it",
        scenarios: &[
            (
                "ops: reset of one limit",
                &[
                    "#EVENT",
                    "#OP#",
                    "result amounts",
                    "result entity_id",
                    "result resource",
                    "result shards",
                    "_w",
                    "rf",
                ],
            ),
            ("ops: after midnight the top-up is gone", &["vu"]),
            ("ops: top-up of a quota without a bucket creates it", &["vu"]),
        ],
    },
    Exception {
        reason: "the reference takes a key that is used again with other amounts for the same operation",
        scenarios: &[("ops: the same key with another amount", OPERATED)],
    },
    Exception {
        reason: "the reference looks 31 days back for a reset and misses the one of a longer month ago",
        scenarios: &[(
            "quota: reset on the 31st, exhausted in January, asked on 10 March",
            &["result raises", "result retry_after_seconds", "result statuses", "b_m_tc", "b_m_tk", "rf", "vu"],
        )],
    },
    Exception {
        reason: "a reset at every minute is refused when the limit is made; the reference stores what it cannot read",
        scenarios: &[("schedule: a reset at every minute cannot be read back", &["result raises"])],
    },
    Exception {
        reason: "the reference gains at the new rate from its last write on, ours from the boundary on",
        scenarios: &[(
            "schedule: first after the boundary (10 tokens at 09:00 would be: 10 + 60/min to 08:59:59.., then 30/min)",
            &["b_rpm_tk"],
        )],
    },
    Exception {
        reason: "the reference marks buckets for a pass that brings them in line, ours are in line already",
        scenarios: &[
            ("schedule: entity limits with two schedules", &["_tc", "_tk", "vu"]),
            ("schedule: limits deleted", &["vu"]),
            ("soft: entity limits with a soft one", &["vu"]),
        ],
    },
];

/// Scenarios that no call of ours can be made for, each with the reason.
const UNPLAYED: &[(&str, &[&str])] = &[
    (
        "the type of the argument rules it out",
        &["also: arguments {'also': {'b': {'rpm': -1}}}", "disable: wrong value", "ops: top-up {'day': True}"],
    ),
    (
        "the reference's client doubles its shards by a call of its own; ours splits a bucket whose writes collide",
        &["shards: doubling 1 to 2 by the client", "shards: doubling 2 to 4"],
    ),
];

fn explained(scenario: &str, place: &str) -> bool {
    let all = EXCEPTIONS.iter().flat_map(|exception| exception.scenarios);
    all.filter(|(name, _)| *name == scenario).any(|(_, places)| places.iter().any(|part| place.contains(part)))
}

/// Asserts that nothing differs but the exceptions, that all of them still differ, and that no scenario is missing.
pub(super) fn check(found: &Findings, scenarios: impl Iterator<Item = String>) {
    let unexplained: Vec<_> =
        found.differences.iter().filter(|((scenario, place), _)| !explained(scenario, place)).collect();
    assert!(unexplained.is_empty(), "{unexplained:#?}");
    for Exception { reason, scenarios } in EXCEPTIONS {
        for (scenario, places) in *scenarios {
            for part in *places {
                let differs = found.differences.keys().any(|(name, place)| name == scenario && place.contains(part));
                assert!(differs, "{scenario} no longer differs in {part}, which was explained by: {reason}");
            }
        }
    }
    let unplayed: Vec<_> = UNPLAYED.iter().flat_map(|(_, names)| *names).copied().collect();
    for name in &unplayed {
        assert!(!found.played.contains(*name), "{name} is played");
    }
    let mut all = 0;
    for name in scenarios {
        assert!(
            found.played.contains(&name) || unplayed.contains(&name.as_str()),
            "{name} is neither played nor listed"
        );
        all += 1;
    }
    assert_eq!(all, found.played.len() + unplayed.len());
}
