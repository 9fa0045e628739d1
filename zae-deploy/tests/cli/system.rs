//! `system …`.

use crate::stage::Stage;

#[test]
fn defaults_are_set_shown_replaced_and_deleted() {
    let stage = Stage::deployed();
    stage.shows("system-get-none", &["system", "get-defaults"]);
    let set = ["system", "set-defaults", "-l", "rpm:100", "-l", "tpm:10000:15000", "--on-unavailable", "block"];
    stage.shows("system-set", &set);
    stage.shows("system-get", &["system", "get-defaults"]);
    stage.snapshot("system-replace.txt", &stage.ok(&["system", "set-defaults", "-l", "rpm:50/sec"]));
    stage.snapshot("system-get-replaced.txt", &stage.ok(&["system", "get-defaults"]));
    let before = stage.items();
    stage.fails("system-delete-unasked", &["system", "delete-defaults"], 1);
    assert_eq!(stage.items(), before);
    stage.snapshot("system-delete.txt", &stage.ok(&["system", "delete-defaults", "--yes"]));
    stage.shows("system-delete-none", &["system", "delete-defaults", "--yes"]);
}

#[test]
fn a_policy_may_stand_alone() {
    let stage = Stage::deployed();
    let repository = stage.repository("default");
    let builder = zae_limiter::Repository::builder().stack("limiter").embedded_store(&stage.store);
    drop(repository);
    stage.runtime.block_on(builder.on_unavailable(zae_limiter::StoredPolicy::Allow).build()).unwrap();
    stage.shows("system-get-policy", &["system", "get-defaults"]);
}

#[test]
fn namespaces_are_apart() {
    let stage = Stage::deployed();
    stage.ok(&["namespace", "register", "tenant-alpha"]);
    stage.ok(&["system", "set-defaults", "-l", "rpm:7", "--namespace", "tenant-alpha"]);
    assert!(stage.ok(&["system", "get-defaults", "-N", "tenant-alpha"]).contains("rpm: 7/min"));
    assert_eq!(stage.ok(&["system", "get-defaults"]), "No system defaults configured\n");
    // The environment variable has the effect of the option.
    let mut command = stage.command(&["system", "get-defaults"]);
    let ran = crate::stage::run(command.env("ZAEL_NAMESPACE", "tenant-alpha"));
    assert!(ran.stdout.contains("rpm: 7/min"), "{ran:?}");
}
