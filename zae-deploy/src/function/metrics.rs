//! Metrics in CloudWatch's embedded metric format: a line in the log, and no call.

use serde_json::{Map, Value, json};

/// The namespace of all metrics.
const NAMESPACE: &str = "ZaeLimiter/Aggregator";

/// A number with its name and unit.
///
/// See the [module](crate::function) for an example.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// CloudWatch's unit: `Count`, `Milliseconds`.
    pub unit: &'static str,
    /// Its value.
    pub value: f64,
}

impl Metric {
    /// Creates a count.
    pub fn count(name: &'static str, value: u64) -> Self {
        Self { name, unit: "Count", value: value as f64 }
    }

    /// Creates a duration.
    pub fn milliseconds(name: &'static str, value: f64) -> Self {
        Self { name, unit: "Milliseconds", value }
    }
}

/// Formats `metrics` of the table `table` at `now_ms` as a line.
fn line(table: &str, now_ms: i64, metrics: &[Metric]) -> String {
    let definitions: Vec<Value> =
        metrics.iter().map(|metric| json!({"Name": metric.name, "Unit": metric.unit})).collect();
    let mut line = Map::new();
    let directive = json!({"Namespace": NAMESPACE, "Dimensions": [["TableName"]], "Metrics": definitions});
    line.insert("_aws".to_owned(), json!({"Timestamp": now_ms, "CloudWatchMetrics": [directive]}));
    line.insert("TableName".to_owned(), table.into());
    line.extend(metrics.iter().map(|metric| (metric.name.to_owned(), metric.value.into())));
    Value::Object(line).to_string()
}

/// Prints metrics. The lines must stand alone: the format has no room for a logger's fields.
pub fn emit(table: &str, now_ms: i64, metrics: &[Metric]) {
    println!("{}", line(table, now_ms, metrics));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_every_metric_and_its_value() {
        let line = line("limiter", 5, &[Metric::count("Records", 100), Metric::milliseconds("Duration", 1.5)]);
        let line: Value = serde_json::from_str(&line).unwrap();
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!((&directive["Namespace"], &line["_aws"]["Timestamp"]), (&json!(NAMESPACE), &json!(5)));
        for metric in directive["Metrics"].as_array().unwrap() {
            assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{metric}");
        }
        for dimension in directive["Dimensions"][0].as_array().unwrap() {
            assert!(line[dimension.as_str().unwrap()].is_string(), "{dimension}");
        }
    }
}
