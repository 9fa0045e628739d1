//! Reading commands change nothing: neither items nor tables.

use crate::stage::Stage;

const READ_ONLY: [&[&str]; 30] = [
    &["status", "--name", "limiter"],
    &["list"],
    &["version"],
    &["check"],
    &["namespace", "list"],
    &["namespace", "show", "default"],
    &["namespace", "show", "nobody"],
    &["namespace", "orphans"],
    &["system", "get-defaults"],
    &["resource", "get-defaults", "gpt-4"],
    &["resource", "get-defaults", "unknown"],
    &["resource", "list"],
    &["entity", "show", "user-1"],
    &["entity", "show", "nobody"],
    &["entity", "get-limits", "user-1", "-r", "gpt-4"],
    &["entity", "list", "--with-custom-limits", "gpt-4"],
    &["entity", "list-resources"],
    &["bucket", "show", "user-1"],
    &["bucket", "show", "user-1", "-r", "gpt-4"],
    &["bucket", "list"],
    &["top", "--once", "-r", "gpt-4"],
    &["explain", "user-1", "gpt-4"],
    &["doctor", "--name", "limiter"],
    &["limits", "export"],
    &["audit", "list", "-e", "user-1"],
    &["audit", "list", "--for-system"],
    &["usage", "list", "-e", "user-1"],
    &["usage", "summary", "-r", "gpt-4"],
    &["prices", "list", "--in-table"],
    &["prices", "import", "--from", "table"],
];

#[test]
fn the_table_is_the_same_byte_for_byte_afterwards() {
    let stage = Stage::deployed();
    stage.ok(&["entity", "create", "user-1"]);
    stage.ok(&["entity", "set-limits", "user-1", "-r", "gpt-4", "-l", "rpm:5"]);
    stage.ok(&["resource", "set-defaults", "gpt-4", "-l", "rpm:50"]);
    stage.ok(&["system", "set-defaults", "-l", "rpm:9"]);
    let before = stage.items();
    for args in READ_ONLY {
        stage.run(args);
        assert_eq!(stage.items(), before, "{args:?}");
    }
}

#[test]
fn neither_a_table_nor_a_namespace_nor_a_version_is_created_for_them() {
    let stage = Stage::empty();
    for args in READ_ONLY {
        assert_eq!(stage.run(args).code, 1, "{args:?}");
        assert_eq!(stage.tables(), [""; 0], "{args:?}");
    }
    // A bare table, as CloudFormation leaves it.
    let name = zae_limiter::StackName::new(crate::stage::STACK).unwrap();
    stage.runtime.block_on(stage.store.create_table(&name)).unwrap();
    for args in READ_ONLY {
        stage.run(args);
        assert_eq!(stage.items(), [], "{args:?}");
    }
}

#[test]
fn the_first_command_that_writes_registers_the_default_namespace() {
    for args in [
        &["system", "set-defaults", "-l", "rpm:9"][..],
        &["resource", "set-defaults", "gpt-4", "-l", "rpm:50"],
        &["entity", "create", "user-1"],
        &["entity", "set-limits", "user-1", "-r", "gpt-4", "-l", "rpm:5"],
    ] {
        let stage = Stage::empty();
        let name = zae_limiter::StackName::new(crate::stage::STACK).unwrap();
        stage.runtime.block_on(stage.store.create_table(&name)).unwrap();
        stage.run(&[args, &["-N", "typo"]].concat());
        assert_eq!(stage.items(), [], "{args:?}");
        assert_eq!(stage.run(args).code, 0, "{args:?}");
        assert_eq!(stage.json(&["namespace", "list"])["namespaces"][0]["name"], "default", "{args:?}");
        assert_eq!(stage.run(&["check"]).code, 0, "{args:?}");
    }
}

#[test]
fn registering_a_namespace_makes_a_bare_table_complete() {
    let stage = Stage::empty();
    let name = zae_limiter::StackName::new(crate::stage::STACK).unwrap();
    stage.runtime.block_on(stage.store.create_table(&name)).unwrap();
    assert_eq!(stage.run(&["check"]).code, 1);
    stage.ok(&["namespace", "register", "default"]);
    assert_eq!(stage.run(&["check"]).code, 0);
}
