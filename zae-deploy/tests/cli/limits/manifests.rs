//! Valid manifests: their meaning, their hash, their schema, their template.

use serde_json::{Value, json};
use zae_deploy::manifest::{Manifest, SCHEMA, template};
use zae_limiter::{EntityId, LimitScope, NamespaceName, ResourceName, StackName, StoredPolicy, access::Access};

pub(crate) const SEED: &str = "\
namespace: default

system:
  on_unavailable: block
  limits:
    rpm:
      capacity: 1000
    tpm:
      capacity: 100000

resources:
  gpt-4:
    limits:
      rpm:
        capacity: 500
      tpm:
        capacity: 50000
  gpt-3.5-turbo:
    limits:
      rpm:
        capacity: 2000
      tpm:
        capacity: 500000

entities:
  user-premium:
    resources:
      gpt-4:
        limits:
          rpm:
            capacity: 1000
          tpm:
            capacity: 100000
";

fn default() -> NamespaceName {
    NamespaceName::new("default").unwrap()
}

#[test]
fn whole_numbers_may_be_written_as_floats() {
    for written in ["1e+06", "1000000.0", "1.0e6", "1000000"] {
        let text = format!("system: {{limits: {{rpm: {{capacity: {written}, refill_period: 6e1}}}}}}\n");
        let manifest = Manifest::from_yaml(&text).unwrap_or_else(|error| panic!("{written}: {error}"));
        let limits = manifest.system.unwrap().limits.unwrap();
        assert_eq!((limits.as_slice()[0].capacity(), limits.as_slice()[0].refill_period().as_secs()), (1_000_000, 60));
    }
    // As CloudFormation and JSON pass them.
    let properties = serde_json::json!({ "System": { "Limits": { "rpm": { "Capacity": "1e+06" } } } });
    let document = serde_json::json!({ "system": { "limits": { "rpm": { "capacity": 1e6 } } } });
    let declared = [Manifest::from_properties(&properties), Manifest::from_json(&document)];
    assert!(
        declared.into_iter().all(|manifest| {
            manifest.unwrap().system.unwrap().limits.unwrap().as_slice()[0].capacity() == 1_000_000
        })
    );
}

#[test]
fn the_hash_is_the_reference_s() {
    let seed = Manifest::from_yaml(SEED).unwrap();
    let expected = "sha256:59d6b03efde02a7f488edbb130a85ea9de0fab494e376df133964c67d16d707e";
    assert_eq!(seed.hash(&default()), expected);
    let empty = "sha256:14c593457e8d50077bb8cc4dce15e59a138c52e3524aed09fc5f6b89fe38e110";
    assert_eq!(Manifest::default().hash(&default()), empty);
}

#[test]
fn omitted_numbers_have_defaults_and_burst_is_capacity() {
    let text = "system: {limits: {a: {capacity: 7}, b: {capacity: 1000, refill_amount: 100, refill_period: 6}, \
                c: {capacity: 50000, burst: 75000}}}";
    let system = Manifest::from_yaml(text).unwrap().system.unwrap();
    let numbers: Vec<_> = system
        .limits
        .unwrap()
        .iter()
        .map(|limit| (limit.capacity(), limit.refill_amount(), limit.refill_period().as_secs()))
        .collect();
    assert_eq!(numbers, [(7, 7, 60), (1000, 100, 6), (75000, 75000, 60)]);
}

#[test]
fn nothing_counts_as_empty() {
    let manifest = Manifest::from_yaml("namespace: default\nsystem:\nresources:\nentities:\n").unwrap();
    assert_eq!(manifest.system, Some(zae_deploy::manifest::SystemSection::default()));
    assert!(manifest.resources.is_empty() && manifest.entities.is_empty());
}

#[test]
fn properties_of_a_resource_say_the_same_as_a_file() {
    let properties = json!({
        "ServiceToken": "arn:aws:lambda:us-east-1:123456789012:function:limiter-limits-provisioner",
        "TableName": "limiter", "Namespace": "default",
        "System": {"OnUnavailable": "block", "Limits": {"rpm": {"Capacity": "1000"}, "tpm": {"Capacity": "100000"}}},
        "Resources": {
            "gpt-4": {"Limits": {"rpm": {"Capacity": "500"}, "tpm": {"Capacity": "50000", "RefillPeriod": "60"}}},
            "gpt-3.5-turbo": {"Limits": {"rpm": {"Capacity": 2000}, "tpm": {"Capacity": 500000}}},
        },
        "Entities": {"user-premium": {"Resources": {"gpt-4": {"Limits": {
            "rpm": {"Capacity": "1000"}, "tpm": {"Capacity": "100000", "RefillAmount": "100000"}}}}}},
    });
    assert_eq!(Manifest::from_properties(&properties).unwrap(), Manifest::from_yaml(SEED).unwrap());
    let mut wrong = properties;
    wrong["System"]["Limits"]["rpm"]["Capacity"] = json!("12a");
    let error = Manifest::from_properties(&wrong).unwrap_err().to_string();
    assert_eq!(error, "System.Limits.rpm.Capacity: must be a whole number, this is `12a`");
}

#[test]
fn the_document_survives_the_way_to_the_provisioner() {
    let seed = Manifest::from_yaml(SEED).unwrap();
    assert_eq!(Manifest::from_json(&seed.to_json()).unwrap(), seed);
}

#[test]
fn a_switch_is_read_written_and_carried() {
    let text = "\
namespace: default
resources:
  off: {disabled: true, cascade: false}
  open: {disabled: bypass}
  null-is-nothing: {disabled: null, limits: {rpm: {capacity: 1}}}
entities:
  e: {resources: {off: {disabled: false, limits: {x: {capacity: 1}}}}}
";
    let manifest = Manifest::from_yaml(text).unwrap();
    let access = |name: &str| manifest.resources[&ResourceName::new(name).unwrap()].access;
    assert_eq!((access("off"), access("null-is-nothing")), (Some(Access::Disabled), None));
    assert_eq!(access("open"), Some(Access::Bypassed));
    // The Python package's result, attribute by attribute.
    let normal = manifest.to_json();
    assert_eq!(normal["resources"]["off"], json!({"limits": {}, "disabled": true, "cascade": false}));
    assert_eq!(normal["resources"]["open"], json!({"limits": {}, "disabled": "bypass"}));
    assert!(normal["resources"]["null-is-nothing"].get("disabled").is_none());
    assert_eq!(normal["entities"]["e"]["resources"]["off"]["disabled"], json!(false));
    assert_eq!(Manifest::from_json(&normal).unwrap(), manifest);
    let written = template(&manifest, &StackName::new("my-app").unwrap(), &default());
    let read: Value = serde_saphyr::from_str(&written.replace("!ImportValue ", "")).unwrap();
    assert_eq!(Manifest::from_properties(&read["Resources"]["TenantLimits"]["Properties"]).unwrap(), manifest);
    for (text, expected) in [("true", Access::Disabled), ("FALSE", Access::Enabled), ("Bypass", Access::Bypassed)] {
        let properties = json!({ "Resources": { "r": { "Disabled": text } } });
        let read = Manifest::from_properties(&properties).unwrap();
        assert_eq!(read.resources[&ResourceName::new("r").unwrap()].access, Some(expected));
    }
    let error = Manifest::from_properties(&json!({ "Resources": { "r": { "Disabled": "maybe" } } })).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Resources.r.Disabled: must be `true`, `false` or `bypass`, this is the text `maybe`"
    );
}

#[test]
fn the_template_carries_the_manifest() {
    let mut text = SEED.to_owned();
    text.push_str("  'yes':\n    resources: {_default_: {limits: {rpm: {capacity: 3}}}}\n");
    let manifest = Manifest::from_yaml(&text).unwrap();
    let written = template(&manifest, &StackName::new("my-app").unwrap(), &default());
    assert!(written.contains("ServiceToken: !ImportValue my-app-ProvisionerArn\n"), "{written}");
    // Read back without the tag, which is CloudFormation's own.
    let read: Value = serde_saphyr::from_str(&written.replace("!ImportValue ", "")).unwrap();
    let resource = &read["Resources"]["TenantLimits"];
    assert_eq!(resource["Type"], "Custom::ZaeLimiterLimits");
    let properties = &resource["Properties"];
    assert_eq!((&properties["TableName"], &properties["Namespace"]), (&json!("my-app"), &json!("default")));
    assert_eq!(Manifest::from_properties(properties).unwrap(), manifest);
}

#[test]
fn the_schema_knows_every_key_and_no_other() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let keys = |pointer: &str| {
        let mut keys: Vec<_> = schema.pointer(pointer).unwrap().as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    assert_eq!(keys("/properties"), ["entities", "namespace", "resources", "system"]);
    assert_eq!(keys("/properties/system/properties"), ["limits", "on_unavailable"]);
    let over_time = ["reset_after_seconds", "reset_schedule", "schedule", "soft"];
    let known = [&["burst", "capacity", "refill_amount", "refill_period"][..], &over_time].concat();
    assert_eq!(keys("/$defs/limit/properties"), known);
    let entry = "/$defs/limit/properties/schedule/items";
    let changes = ["capacity", "cron", "refill_amount", "refill_period_seconds", "scale", "tz"];
    assert_eq!(keys(&format!("{entry}/properties")), changes);
    let reset = "/$defs/limit/properties/reset_schedule/items";
    assert_eq!(keys(&format!("{reset}/properties")), ["cron", "tz"]);
    for closed in ["", "/properties/system", "/$defs/limited", "/$defs/limit", reset, entry] {
        assert_eq!(schema.pointer(&format!("{closed}/additionalProperties")), Some(&json!(false)), "{closed}");
    }
    assert_eq!(schema.pointer("/$defs/limit/properties/capacity/maximum"), Some(&json!(zae_limiter::MAX_TOKENS)));
    let period = "/$defs/limit/properties/refill_period/maximum";
    assert_eq!(schema.pointer(period), Some(&json!(zae_limiter::MAX_PERIOD.as_secs())));
}

#[test]
fn a_soft_limit_is_declared_in_a_file_and_in_a_template() {
    let manifest = |soft: &str| Manifest::from_yaml(&format!("system: {{limits: {{rpm: {{capacity: 5{soft}}}}}}}\n"));
    let (plain, soft) = (manifest("").unwrap(), manifest(", soft: true").unwrap());
    assert!(soft.system.as_ref().unwrap().limits.as_ref().unwrap().as_slice()[0].is_soft());
    assert_eq!(soft.to_json()["system"]["limits"]["rpm"]["soft"], json!(true));
    for same in [", soft: false", ", soft: null"] {
        assert_eq!(manifest(same).unwrap().hash(&default()), plain.hash(&default()), "{same}");
    }
    for (written, is_soft) in [("true", true), ("False", false)] {
        let properties = json!({ "System": { "Limits": { "rpm": { "Capacity": "5", "Soft": written } } } });
        assert_eq!(Manifest::from_properties(&properties).unwrap(), if is_soft { soft.clone() } else { plain.clone() });
    }
    let error = manifest(", soft: 1").unwrap_err().to_string();
    assert!(error.contains("soft: must be `true` or `false`"), "{error}");
    let template = template(&soft, &StackName::new("my-app").unwrap(), &default());
    assert!(template.contains("Soft: true"), "{template}");
}

#[test]
fn names_are_what_they_are_elsewhere() {
    let manifest = Manifest::from_yaml(SEED).unwrap();
    assert_eq!(manifest.system.as_ref().unwrap().on_unavailable, Some(StoredPolicy::Block));
    let premium = &manifest.entities[&EntityId::new("user-premium").unwrap()];
    let scope = LimitScope::Resource(ResourceName::new("gpt-4").unwrap());
    assert_eq!(premium[&scope].limits.as_ref().unwrap().get("tpm").unwrap().capacity(), 100_000);
    let managed = manifest.managed();
    assert_eq!(managed.managed_resources, ["gpt-3.5-turbo", "gpt-4"]);
    assert_eq!(managed.managed_entities["user-premium"], ["gpt-4"]);
}

#[test]
fn a_quota_is_declared_in_a_file_and_in_a_template() {
    let text = "system: {limits: {day: {capacity: 10, refill_period: 5, reset_schedule: [{cron: '0 0 * * *'}]}, usd: \
                {capacity: 7, soft: true, refill_amount: 0, reset_schedule: [{cron: '0 0 1 * *', tz: UTC}, {cron: \
                '0 12 15 * *'}]}, rpm: {capacity: 3, reset_schedule: []}}}";
    let manifest = Manifest::from_yaml(text).unwrap();
    let limits = manifest.system.clone().unwrap().limits.unwrap();
    let shown = |name: &str| limits.get(name).unwrap().reset_schedule();
    assert_eq!(shown("day").as_deref(), Some("\"0 0 * * *\" UTC"));
    assert_eq!(shown("usd").as_deref(), Some("\"0 0 1 * *\" \"0 12 15 * *\" UTC"));
    assert_eq!(shown("rpm"), None);
    let day = json!({
        "capacity": 10, "refill_amount": 0, "refill_period": 5,
        "reset_schedule": [{ "cron": "0 0 * * *", "tz": "UTC" }],
    });
    assert_eq!(manifest.to_json()["system"]["limits"]["day"], day);
    assert_eq!(Manifest::from_json(&manifest.to_json()).unwrap(), manifest);
    let template = template(&manifest, &StackName::new("limiter").unwrap(), &default());
    let line = "            ResetSchedule:\n              - Cron: \"0 0 * * *\"\n                Tz: \"UTC\"\n";
    assert!(template.contains(line), "{template}");
    let properties = json!({ "System": { "Limits": { "day": {
        "Capacity": "10", "RefillAmount": "0", "RefillPeriod": "5",
        "ResetSchedule": [{ "Cron": "0 0 * * *", "Tz": "" }],
    } } } });
    let read = Manifest::from_properties(&properties).unwrap().system.unwrap().limits.unwrap();
    assert_eq!(read.get("day"), limits.get("day"));
}

#[test]
fn sessions_and_schedules_are_declared_in_a_file_and_in_a_template() {
    let text = "system: {limits: {chat: {capacity: 45, reset_after_seconds: 18000}, rpm: {capacity: 100, schedule: [\
                {cron: '* 9-17 * * MON-FRI', tz: Europe/Berlin, scale: 0.5}, {cron: '* 0-5 * * *', tz: Europe/Berlin, \
                capacity: 500, refill_amount: 400, refill_period_seconds: 30}]}}}";
    let manifest = Manifest::from_yaml(text).unwrap();
    let limits = manifest.system.clone().unwrap().limits.unwrap();
    assert_eq!(limits.get("chat").unwrap().session(), Some(std::time::Duration::from_secs(18_000)));
    let lines: Vec<_> = limits.get("rpm").unwrap().schedule().unwrap().lines().collect();
    assert_eq!(
        lines,
        [
            "\"* 9-17 * * MON-FRI\" Europe/Berlin  → scale 50%",
            "\"* 0-5 * * *\" Europe/Berlin  → capacity 500, refill_amount 400, refill_period_seconds 30",
        ]
    );
    let normal = manifest.to_json();
    assert_eq!(normal["system"]["limits"]["chat"]["reset_after_seconds"], json!(18_000));
    let office = json!({ "cron": "* 9-17 * * MON-FRI", "tz": "Europe/Berlin", "scale": 0.5 });
    assert_eq!(normal["system"]["limits"]["rpm"]["schedule"][0], office);
    assert_eq!(Manifest::from_json(&normal).unwrap(), manifest);
    let template = template(&manifest, &StackName::new("limiter").unwrap(), &default());
    for line in ["            ResetAfterSeconds: 18000\n", "                Scale: 0.5\n", "RefillPeriodSeconds: 30\n"]
    {
        assert!(template.contains(line), "{line}: {template}");
    }
    let properties = json!({ "System": { "Limits": {
        "chat": { "Capacity": "45", "ResetAfterSeconds": "18000", "Schedule": "", "ResetSchedule": "" },
        "rpm": { "Capacity": "100", "ResetAfterSeconds": "", "Schedule": [
            { "Cron": "* 9-17 * * MON-FRI", "Tz": "Europe/Berlin", "Scale": "0.5", "Capacity": "" },
            {
                "Cron": "* 0-5 * * *", "Tz": "Europe/Berlin", "Capacity": "500", "RefillAmount": "400",
                "RefillPeriodSeconds": "30",
            },
        ] },
    } } });
    assert_eq!(Manifest::from_properties(&properties).unwrap().system.unwrap().limits.unwrap(), limits);
}

/// A limit of a manifest means what the published package says; where we differ, we refuse more, and say why.
#[test]
fn limits_of_a_manifest_are_those_of_the_package() {
    let vectors: Value = serde_json::from_str(include_str!("../../vectors/limits-manifest.json")).unwrap();
    let mut read = 0;
    for vector in vectors["vectors"].as_array().unwrap().iter().filter(|vector| vector["fn"] == "limit") {
        let document = json!({ "system": { "limits": { "x": vector["input"] } } });
        let ours = Manifest::from_json(&document);
        let stricter = |input: &Value| {
            // A fraction of a token, an amount beyond the largest, and a schedule in two zones.
            input["capacity"].as_u64().is_none_or(|capacity| capacity > zae_limiter::MAX_TOKENS)
                || input["schedule"].as_array().is_some_and(|entries| entries.len() > 1)
        };
        match vector.get("expected") {
            Some(expected) if !stricter(&vector["input"]) => {
                let normal = ours.unwrap_or_else(|error| panic!("{vector}: {error}")).to_json();
                let mut declared = normal["system"]["limits"]["x"].clone();
                if let Some(entries) = declared.get_mut("schedule").and_then(Value::as_array_mut) {
                    // A factor of two is 2 or 2.0.
                    for scale in entries.iter_mut().filter_map(|entry| entry.get_mut("scale")) {
                        *scale = json!(scale.as_f64().unwrap() as u64);
                    }
                }
                assert_eq!(&declared, expected, "{vector}");
                read += 1;
            }
            _ => assert!(ours.is_err(), "{vector}"),
        }
    }
    assert_eq!(read, 13);
}

/// Properties that CloudFormation hands over mean what the package takes them for. An unknown key is a mistake here and
/// dropped there, and a whole number may have a point here.
#[test]
fn properties_of_limits_are_those_of_the_package() {
    let vectors: Value = serde_json::from_str(include_str!("../../vectors/limits-manifest.json")).unwrap();
    let mut read = 0;
    for vector in vectors["vectors"].as_array().unwrap().iter().filter(|vector| vector["fn"] == "cfn_properties") {
        let text = vector["input"].to_string();
        let ours = Manifest::from_properties(&vector["input"]);
        if text.contains("Bogus") {
            assert!(ours.is_err(), "{vector}");
            continue;
        }
        if text.contains("10.0") {
            assert!(ours.is_ok(), "{vector}");
            continue;
        }
        match vector.get("expected") {
            Some(expected) => match Manifest::from_json(expected) {
                Ok(expected) => assert_eq!(ours.unwrap(), expected, "{vector}"),
                // The system has no policy of cascading: the package says so when it checks what it has read.
                Err(_) => assert!(ours.is_err(), "{vector}"),
            },
            None => assert!(ours.is_err(), "{vector}"),
        }
        read += 1;
    }
    assert_eq!(read, 10);
}

/// A manifest's switches and policies, and the bounds of a limit, are those of the package.
#[test]
fn switches_policies_and_bounds_are_those_of_the_package() {
    let vectors: Value = serde_json::from_str(include_str!("../../vectors/limits-manifest.json")).unwrap();
    let (mut manifests, mut bounds) = (0, 0);
    for vector in vectors["vectors"].as_array().unwrap() {
        if vector["fn"] == "manifest" {
            let ours = Manifest::from_json(&vector["input"]);
            match vector.get("expected") {
                Some(expected) => assert_eq!(ours.unwrap(), Manifest::from_json(&expected["normal_form"]).unwrap()),
                None => assert!(ours.is_err(), "{vector}"),
            }
            manifests += 1;
        } else if vector["fn"] == "limit_bounds" {
            let ours: Result<zae_limiter::Limit, _> = serde_json::from_value(vector["input"].clone());
            assert_eq!(ours.is_ok(), vector.get("expected").is_some(), "{vector}: {ours:?}");
            bounds += 1;
        }
    }
    assert_eq!((manifests, bounds), (7, 6));
}
