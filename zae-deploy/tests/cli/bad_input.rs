//! Bad input: the message and the exit code, before anything is sent.

use crate::stage::Stage;

#[test]
fn a_rule_of_names_and_values_is_broken() {
    let stage = Stage::deployed();
    let before = stage.items();
    let long = "x".repeat(300);
    for (args, message) in [
        (&["resource", "list", "-n", "my_stack"][..], "invalid stack name: must not contain underscores; use hyphens"),
        (&["resource", "list", "-n", "my.stack"], "invalid stack name: must not contain periods; use hyphens"),
        (&["namespace", "list", "-n", "my stack"], "invalid stack name: must not contain spaces; use hyphens"),
        (&["resource", "list", "-N", "_"], "invalid namespace: is reserved"),
        (&["namespace", "register", "_"], "invalid namespace: is reserved"),
        (&["namespace", "register", "ok", "_"], "invalid namespace: is reserved"),
        (&["namespace", "recover", "a/b"], "invalid namespace_id: must be letters, digits, _ and -"),
        (&["resource", "get-defaults", "4 gpt"], "invalid resource: must be a letter first"),
        (&["resource", "set-defaults", "a#b", "-l", "rpm:1"], "invalid resource: must not contain '#'"),
        (&["entity", "show", "a#b"], "invalid entity_id: must not contain '#'"),
        (&["entity", "create", &long], "invalid entity_id: must be at most 256 characters long"),
        (&["entity", "create", "a", "--parent", ""], "invalid entity_id: must not be empty"),
        (&["entity", "create", "a", "-m", "team"], "Invalid metadata 'team'. Use KEY=VALUE."),
        (&["entity", "set-limits", "a/b", "-l", "rpm:1"], "invalid entity_id: must be a letter or digit first"),
        (&["entity", "list", "--with-custom-limits", "a b"], "invalid resource: must be a letter first"),
        (&["entity", "list", "--with-custom-limits", "gpt-4", "--cursor", "zzz"], "invalid cursor"),
        (&["system", "set-defaults", "-l", "rpm"], "Invalid limit format: rpm. Expected 'name:rate[/period]'"),
        (&["system", "set-defaults", "-l", "rpm:x"], "Invalid limit values in 'rpm:x': 'x' is not a whole number"),
        (&["system", "set-defaults", "-l", "rpm:1/week"], "Invalid period: '/week'. Use /[N]sec"),
        (&["system", "set-defaults", "-l", "rpm:0"], "'rpm:0': invalid refill_amount: must be at least 1"),
        (&["system", "set-defaults", "-l", "wcu:1"], "'wcu:1': invalid name: is reserved"),
        (&["system", "set-defaults", "-l", "rpm:1", "-l", "rpm:2"], "invalid limits: `rpm` is given twice"),
        (&["system", "set-defaults", "-l", "rpm:1", "--principal", "a b"], "invalid principal"),
        (&["entity", "top-up", "a", "-r", "api", "-a", "day:2000000000000000"], "must be at most 1000000000000000"),
        (&["entity", "top-up", "a", "-r", "api", "-a", "day:1"], "invalid resource: has no limits for this entity"),
        (&["entity", "reset", "a", "-r", "api", "-l", "a b"], "invalid"),
        (
            &["entity", "reset", "a", "-r", "api", "--idempotency-key", "#OP#x"],
            "invalid idempotency_key: must be letters",
        ),
        (&["entity", "reset", "a", "-r", "api", "--idempotency-key", ""], "invalid idempotency_key: must not be empty"),
        (&["audit", "list", "-e", "a#b"], "invalid entity_id: must not contain '#'"),
        (&["audit", "list", "-e", "a", "--start-event-id", "x"], "invalid start_event_id"),
        (&["usage", "list"], "Either --entity-id or --resource must be provided"),
        (&["usage", "summary"], "Either --entity-id or --resource must be provided"),
        (&["usage", "list", "-e", "a", "--start", "yesterday"], "Invalid --start 'yesterday': use an instant"),
        (&["usage", "list", "-e", "a", "--cursor", "x"], "invalid cursor"),
    ] {
        let ran = stage.run(args);
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{args:?}: {ran:?}");
        assert!(ran.stderr.starts_with("Error: ") && ran.stderr.contains(message), "{args:?}: {ran:?}");
    }
    assert_eq!(stage.items(), before);
}

#[test]
fn the_command_line_itself_is_wrong() {
    let stage = Stage::deployed();
    for (args, message) in [
        (&["resorce", "list"][..], "a similar subcommand exists: 'resource'"),
        (&["resource", "lst"], "a similar subcommand exists: 'list'"),
        (&["resource", "list", "--nmae", "x"], "a similar argument exists: '--name'"),
        (&["resource", "list", "--output", "xml"], "[possible values: table, json, yaml]"),
        (&["resource", "list", "--color", "sometimes"], "[possible values: auto, always, never]"),
        (&["resource", "set-defaults", "gpt-4"], "--limit <LIMIT>"),
        (&["resource", "get-defaults"], "<RESOURCE>"),
        (&["system", "set-defaults", "-l", "rpm:1", "--on-unavailable", "local"], "[possible values: allow, block]"),
        (&["entity", "list"], "--with-custom-limits <RESOURCE>"),
        (&["entity", "list", "--with-custom-limits", "gpt-4", "--limit", "0"], "0 is not in 1.."),
        (&["entity", "top-up", "a", "-r", "api", "-a", "day"], "must be LIMIT:TOKENS with at least one token"),
        (&["entity", "top-up", "a", "-r", "api", "-a", "day:0"], "must be LIMIT:TOKENS with at least one token"),
        (&["entity", "top-up", "a", "-r", "api", "-a", "day:-5"], "must be LIMIT:TOKENS with at least one token"),
        (&["entity", "top-up", "a", "-r", "api", "-a", "day:1.5"], "must be LIMIT:TOKENS with at least one token"),
        (&["entity", "top-up", "a", "-r", "api", "-a", "wcu:5"], "is reserved"),
        (&["entity", "top-up", "a", "-r", "api"], "--amount <LIMIT:TOKENS>"),
        (&["entity", "reset", "a"], "--resource <RESOURCE>"),
        (&["audit", "list", "-e", "a", "--for-system"], "cannot be used with"),
        (&["audit", "list", "-e", "a", "-l", "x"], "invalid value 'x'"),
        (&["usage", "list", "-e", "a", "-w", "weekly"], "[possible values: hourly, daily, monthly]"),
        (&["namespace", "register"], "<NAMESPACE>..."),
        (&["namespace", "purge"], "<ID>"),
        (&["completions", "csh"], "[possible values: bash"),
    ] {
        let ran = stage.run(args);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{args:?}: {ran:?}");
        assert!(ran.stderr.contains(message), "{args:?}: {ran:?}");
    }
}
