//! Invalid manifests of all kinds, with their messages.

use zae_deploy::manifest::Manifest;

/// Cases: a name for the mistake, the text, and the complete message.
const BAD: &[(&str, &str, &str)] = &[
    ("empty document", "", "1:1: a manifest is a mapping with `system`, `resources` and `entities`, this is nothing"),
    (
        "list instead of a mapping",
        "- gpt-4\n",
        "1:1: a manifest is a mapping with `system`, `resources` and `entities`, this is a list",
    ),
    (
        "text instead of a mapping",
        "gpt-4\n",
        "1:1: a manifest is a mapping with `system`, `resources` and `entities`, this is text",
    ),
    ("misspelled section", "resorces:\n  gpt-4: {}\n", "1:1: unknown key `resorces`; did you mean `resources`?"),
    (
        "foreign section",
        "namespace: a\ntenants: {}\n",
        "2:1: unknown key `tenants`; known here: namespace, system, resources, entities",
    ),
    ("CamelCase of the other form", "Namespace: a\n", "1:1: unknown key `Namespace`; did you mean `namespace`?"),
    ("reserved namespace", "namespace: _\n", "1:12: namespace: invalid namespace: is reserved; choose another name"),
    ("namespace that is a list", "namespace: [a]\n", "1:12: namespace: a namespace is text, this is a list"),
    (
        "system that is a number",
        "system: 5\n",
        "1:9: system: must be a mapping with `on_unavailable`, `limits`, this is a number",
    ),
    (
        "unknown policy",
        "system:\n  on_unavailable: blocks\n",
        "2:19: system.on_unavailable: must be `allow` or `block`, this is `blocks`; did you mean `block`?",
    ),
    (
        "policy that cannot be stored",
        "system: {on_unavailable: local}\n",
        "1:26: system.on_unavailable: must be `allow` or `block`, this is `local`",
    ),
    (
        "policy that is a flag",
        "system: {on_unavailable: true}\n",
        "1:26: system.on_unavailable: must be `allow` or `block`, this is true or false",
    ),
    (
        "policy in the wrong place",
        "resources:\n  gpt-4:\n    on_unavailable: block\n    limits: {rpm: {capacity: 1}}\n",
        "3:5: resources.gpt-4: unknown key `on_unavailable`; known here: limits, disabled, cascade",
    ),
    (
        "resource without limits",
        "resources:\n  gpt-4: {}\n",
        "2:10: resources.gpt-4: has no `limits`: add one under `limits`, or remove this entry",
    ),
    (
        "resource with nothing",
        "resources:\n  gpt-4:\n  gpt-5: {limits: {rpm: {capacity: 1}}}\n",
        "2:8: resources.gpt-4: has no `limits`: add one under `limits`, or remove this entry",
    ),
    (
        "resource with empty limits",
        "resources:\n  gpt-4: {limits: {}}\n",
        "2:10: resources.gpt-4: has no limits in it: add one under `limits`, or remove this entry",
    ),
    (
        "switch that is a word",
        "resources:\n  gpt-4: {disabled: 'yes'}\n",
        "2:21: resources.gpt-4.disabled: must be `true`, `false` or `bypass`, this is the text `yes`",
    ),
    (
        "switch that is a number",
        "resources:\n  gpt-4: {disabled: 1}\n",
        "2:21: resources.gpt-4.disabled: must be `true`, `false` or `bypass`, this is a number",
    ),
    (
        "policy that is a word",
        "resources:\n  gpt-4: {cascade: 'on'}\n",
        "2:20: resources.gpt-4.cascade: must be `true` or `false`, this is the text `on`",
    ),
    (
        "switch of everything",
        "system: {disabled: true}\n",
        "1:10: system: unknown key `disabled`; known here: on_unavailable, limits",
    ),
    ("list of resources", "resources: [gpt-4]\n", "1:12: resources: must be a mapping of names, this is a list"),
    (
        "limits without `limits`",
        "resources:\n  gpt-4:\n    rpm: {capacity: 5}\n",
        "3:5: resources.gpt-4: unknown key `rpm`; known here: limits, disabled, cascade",
    ),
    (
        "bad resource name",
        "resources:\n  4#gpt: {limits: {rpm: {capacity: 1}}}\n",
        "2:3: resources.4#gpt: invalid resource: must not contain '#', which separates the parts of keys",
    ),
    (
        "reserved limit",
        "system: {limits: {wcu: {capacity: 5}}}\n",
        "1:19: system.limits.wcu: invalid name: is reserved; choose another name",
    ),
    (
        "limit without capacity",
        "system:\n  limits:\n    rpm: {refill_amount: 5}\n",
        "3:10: system.limits.rpm: needs `capacity`, the most tokens that the bucket holds",
    ),
    (
        "limit that is a number",
        "system: {limits: {rpm: 100}}\n",
        "1:24: system.limits.rpm: a limit is a mapping like `{ capacity: 100 }`, this is a number",
    ),
    (
        "misspelled capacity",
        "system:\n  limits:\n    rpm:\n      capactiy: 100\n",
        "4:7: system.limits.rpm: unknown key `capactiy`; did you mean `capacity`?",
    ),
    (
        "hyphen for underscore",
        "system: {limits: {rpm: {capacity: 1, refill-period: 5}}}\n",
        "1:38: system.limits.rpm: unknown key `refill-period`; did you mean `refill_period`?",
    ),
    ("zero", "system: {limits: {rpm: {capacity: 0}}}\n", "1:35: system.limits.rpm.capacity: must be at least 1"),
    (
        "negative",
        "system: {limits: {rpm: {capacity: -5}}}\n",
        "1:35: system.limits.rpm.capacity: must be a whole number of at least 1, this is -5",
    ),
    (
        "fraction",
        "system: {limits: {rpm: {capacity: 1, refill_amount: 0.5}}}\n",
        "1:53: system.limits.rpm.refill_amount: must be a whole number of at least 1, this is 0.5",
    ),
    (
        "number in quotes",
        "system: {limits: {rpm: {capacity: \"100\"}}}\n",
        "1:35: system.limits.rpm.capacity: must be a number, this is text: write 100 without quotes",
    ),
    (
        "unit",
        "system: {limits: {rpm: {capacity: 100/min}}}\n",
        "1:35: system.limits.rpm.capacity: must be a whole number, this is `100/min`",
    ),
    (
        "much too much",
        "system: {limits: {rpm: {capacity: 1e+30}}}\n",
        "1:35: system.limits.rpm.capacity: must be at most 1000000000000000",
    ),
    (
        "more digits than numbers have",
        "system: {limits: {rpm: {capacity: 100000000000000000000000000}}}\n",
        "1:35: system.limits.rpm.capacity: must be at most 1000000000000000",
    ),
    (
        "negative float",
        "system: {limits: {rpm: {capacity: -1e+06}}}\n",
        "1:35: system.limits.rpm.capacity: must be a whole number of at least 1, this is -1000000",
    ),
    (
        "limit twice",
        "system:\n  limits:\n    rpm: {capacity: 1}\n    rpm: {capacity: 2}\n",
        "4:5: system.limits: `rpm` is given twice; the first one is on line 3",
    ),
    ("section twice", "system: {}\nsystem: {}\n", "2:1: `system` is given twice; the first one is on line 1"),
    (
        "no key",
        "system:\n  limits:\n    ~: {capacity: 1}\n",
        "3:5: system.limits: this entry has no key: name it, or remove it",
    ),
    (
        "an empty key",
        "resources:\n  : {limits: {rpm: {capacity: 1}}}\n",
        "2:3: resources: this entry has no key: name it, or remove it",
    ),
    (
        "too much",
        "system: {limits: {rpm: {capacity: 1000000000000001}}}\n",
        "1:35: system.limits.rpm.capacity: must be at most 1000000000000000",
    ),
    (
        "period beyond reason",
        "system: {limits: {rpm: {capacity: 1, refill_period: 10000000001}}}\n",
        "1:53: system.limits.rpm.refill_period: must be at most 1000000000",
    ),
    (
        "quota that is refilled",
        "system: {limits: {day: {capacity: 1, refill_amount: 1, reset_schedule: [{cron: '0 0 * * *'}]}}}\n",
        "1:24: system.limits.day: is restored by `reset_schedule`, so that it gains nothing: leave `refill_amount` out",
    ),
    (
        "limit that gains nothing",
        "system: {limits: {day: {capacity: 1, refill_amount: 0}}}\n",
        "1:24: system.limits.day: `refill_amount: 0` gains nothing: add a `reset_schedule`, or make it at least 1",
    ),
    (
        "reset that is no list",
        "system: {limits: {day: {capacity: 1, reset_schedule: '0 0 * * *'}}}\n",
        "1:54: system.limits.day.reset_schedule: must be a list like `[{ cron: \"0 0 1 * *\" }]`, this is text",
    ),
    (
        "reset without an expression",
        "system: {limits: {day: {capacity: 1, reset_schedule: [{tz: UTC}]}}}\n",
        "1:55: system.limits.day.reset_schedule.0: needs `cron`, such as \"0 0 1 * *\" for every month",
    ),
    (
        "reset that changes a capacity",
        "system: {limits: {day: {capacity: 1, reset_schedule: [{cron: '0 0 * * *', scale: 2}]}}}\n",
        "1:75: system.limits.day.reset_schedule.0: unknown key `scale`; known here: cron, tz",
    ),
    (
        "expression with six fields",
        "system: {limits: {day: {capacity: 1, reset_schedule: [{cron: '0 0 0 * * *'}]}}}\n",
        "1:24: system.limits.day: invalid reset_schedule: a cron expression has five fields (minute, hour, day of \
         month, month, day of week); this has 6",
    ),
    (
        "zone that is none",
        "system: {limits: {day: {capacity: 1, reset_schedule: [{cron: '0 0 * * *', tz: Mars/Olympus}]}}}\n",
        "1:24: system.limits.day: invalid time_zone: `Mars/Olympus` is no time zone; name one of the IANA database \
         exactly, for example Europe/Berlin or UTC",
    ),
    (
        "two zones in a level",
        "system:\n  limits:\n    a: {capacity: 1, reset_schedule: [{cron: '0 0 * * *', tz: Europe/Berlin}]}\n    \
         b: {capacity: 1, reset_schedule: [{cron: '0 0 * * *'}]}\n",
        "3:5: system.limits: invalid limits: is in time zone UTC, and another limit in Europe/Berlin: limits of a set \
         share one",
    ),
    (
        "bad entity",
        "entities:\n  'user 1':\n    resources: {gpt-4: {limits: {rpm: {capacity: 1}}}}\n",
        "2:3: entities.user 1: invalid entity_id: must be a letter or digit first, then letters, digits and _ . : @ -",
    ),
    (
        "entity with limits and no resource",
        "entities:\n  user-1:\n    limits: {rpm: {capacity: 1}}\n",
        "3:5: entities.user-1: unknown key `limits`; known here: resources",
    ),
    (
        "two things at once",
        "system: {limits: {rpm: {capacity: 0}}}\nresource: {}\n",
        "1:35: system.limits.rpm.capacity: must be at least 1\n2:1: unknown key `resource`; did you mean `resources`?",
    ),
];

#[test]
fn each_says_where_and_why() {
    assert!(BAD.len() >= 30);
    let mut wrong = Vec::new();
    for (name, text, expected) in BAD {
        match Manifest::from_yaml(text) {
            Ok(manifest) => wrong.push(format!("{name}: accepted as {manifest:?}")),
            Err(error) if error.to_string() == *expected => {}
            Err(error) => wrong.push(format!("{name}:\n  expected {expected}\n  got      {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Errors of the YAML parser: its own text, our position.
#[test]
fn broken_yaml_has_a_place_too() {
    for (name, text, place) in [
        ("tab", "system:\n\tlimits: {}\n", "2:"),
        ("unclosed bracket", "system: {limits: {rpm: {capacity: 1}}\n", ""),
        ("bad indentation", "resources:\n  a:\n    limits:\n   rpm: 1\n", "4:"),
        ("key twice", "resources:\n  a: {limits: {rpm: {capacity: 1}}}\n  a: {}\n", "3:"),
        ("unknown anchor", "system: *defaults\n", "1:"),
        ("two documents", "namespace: a\n---\nnamespace: b\n", "3:1: one file holds one manifest"),
    ] {
        let error = Manifest::from_yaml(text).expect_err(name);
        let shown = error.to_string();
        assert!(shown.starts_with(place), "{name}: {shown}");
        assert!(error.problems()[0].place.is_some(), "{name}: {shown}");
        assert!(!shown.contains(" at line"), "{name}: the place is said twice: {shown}");
    }
}

#[test]
fn a_file_s_name_stands_in_front() {
    let error = Manifest::from_yaml("sytem: {}").unwrap_err().in_file("limits.yaml");
    assert_eq!(error.to_string(), "limits.yaml:1:1: unknown key `sytem`; did you mean `system`?");
}
