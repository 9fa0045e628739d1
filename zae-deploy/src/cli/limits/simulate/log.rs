//! Reads the log of requests to replay: JSON lines, or CSV with a header.

use std::{collections::BTreeMap, io::BufRead};

use jiff::Timestamp;
use serde::Deserialize;
use zae_limiter::{Cost, EntityId, ResourceName};

use crate::cli::CliError;

/// One request of the log.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// Epoch ms.
    pub(super) at_ms: i64,
    pub(super) entity: EntityId,
    /// Charged as well, if present.
    pub(super) parent: Option<EntityId>,
    pub(super) resource: ResourceName,
    pub(super) cost: BTreeMap<String, u64>,
}

impl Request {
    pub(super) fn cost(&self) -> Cost {
        let mut amounts = self.cost.iter();
        match amounts.next() {
            Some((name, tokens)) => {
                amounts.fold(Cost::of(name, *tokens), |cost, (name, tokens)| cost.and(name, *tokens))
            }
            None => Cost::requests(1),
        }
    }
}

/// A line of JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    time: Time,
    entity: String,
    parent: Option<String>,
    resource: String,
    #[serde(default)]
    cost: BTreeMap<String, u64>,
}

/// An instant: RFC 3339, or epoch ms.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Time {
    Ms(i64),
    Text(String),
}

impl Time {
    fn ms(&self) -> Result<i64, String> {
        match self {
            Self::Ms(ms) => Ok(*ms),
            Self::Text(text) => match text.parse::<Timestamp>() {
                Ok(time) => Ok(time.as_millisecond()),
                Err(_) => text.parse().map_err(|_| format!("'{text}' is not a time: RFC 3339 or epoch ms")),
            },
        }
    }
}

/// Reads a log; its first line determines its format. Requests are sorted by time.
///
/// # Errors
/// [`CliError::Invalid`] with the line and the problem.
pub(super) fn read(shown: &str, input: impl BufRead) -> Result<Vec<Request>, CliError> {
    let mut requests = Vec::new();
    let mut header: Option<Vec<String>> = None;
    for (index, line) in input.lines().enumerate() {
        let line = line.map_err(|error| CliError::failed(format!("read {shown}"), error))?;
        let text = line.trim();
        if text.is_empty() {
            continue;
        }
        let wrong = |problem: String| CliError::Invalid(format!("{shown}:{}: {problem}", index + 1));
        let read = match &header {
            Some(columns) => values(text).and_then(|values| row(columns, &values)),
            None if text.starts_with('{') => serde_json::from_str(text).map_err(|error| error.to_string()),
            None if requests.is_empty() => {
                header = Some(columns(text).map_err(wrong)?);
                continue;
            }
            None => Err("is not a JSON object".to_owned()),
        };
        requests.push(read.and_then(request).map_err(wrong)?);
    }
    requests.sort_by_key(|request| request.at_ms);
    Ok(requests)
}

fn request(line: Line) -> Result<Request, String> {
    let text = |error: zae_limiter::ValidationError| error.to_string();
    Ok(Request {
        at_ms: line.time.ms()?,
        entity: EntityId::new(&line.entity).map_err(text)?,
        parent: line.parent.filter(|id| !id.is_empty()).map(EntityId::new).transpose().map_err(text)?,
        resource: ResourceName::new(&line.resource).map_err(text)?,
        cost: line.cost,
    })
}

/// Parses the header of a CSV file: every column without a fixed meaning names a limit.
fn columns(text: &str) -> Result<Vec<String>, String> {
    let columns = values(text)?;
    for needed in ["time", "entity", "resource"] {
        if !columns.iter().any(|column| column == needed) {
            return Err(format!("is neither a JSON object nor a CSV header: it lacks the column `{needed}`"));
        }
    }
    Ok(columns)
}

fn row(columns: &[String], values: &[String]) -> Result<Line, String> {
    if values.len() != columns.len() {
        return Err(format!("has {} values, and the header {} columns", values.len(), columns.len()));
    }
    let mut line =
        Line { time: Time::Ms(0), entity: String::new(), parent: None, resource: String::new(), cost: BTreeMap::new() };
    for (column, value) in columns.iter().zip(values) {
        match column.as_str() {
            "time" => line.time = Time::Text(value.clone()),
            "entity" => line.entity.clone_from(value),
            "parent" => line.parent = Some(value.clone()),
            "resource" => line.resource.clone_from(value),
            _ if value.is_empty() => {}
            limit => {
                let tokens =
                    value.parse().map_err(|_| format!("{limit}: '{value}' is not a whole number of tokens"))?;
                line.cost.insert(limit.to_owned(), tokens);
            }
        }
    }
    Ok(line)
}

/// Splits a line of CSV into values (RFC 4180, without line breaks in quotes).
fn values(text: &str) -> Result<Vec<String>, String> {
    let mut values = vec![String::new()];
    let mut letters = text.chars().peekable();
    let mut quoted = false;
    while let Some(letter) = letters.next() {
        let Some(value) = values.last_mut() else { break };
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                value.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if value.is_empty() => quoted = true,
            ',' if !quoted => values.push(String::new()),
            letter => value.push(letter),
        }
    }
    if quoted {
        return Err("a quote is not closed".to_owned());
    }
    Ok(values.into_iter().map(|value| value.trim().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Vec<Request>, String> {
        read("log", text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn json_and_csv_say_the_same() {
        let json = read_text(
            "{\"time\":\"2026-01-01T00:00:01Z\",\"entity\":\"a\",\"resource\":\"r\",\"cost\":{\"rpm\":1}}\n\
             {\"time\":1767225600000,\"entity\":\"b-c\",\"parent\":\"p\",\"resource\":\"r\"}\n",
        );
        let csv =
            read_text("time,entity,parent,resource,rpm\n2026-01-01T00:00:01Z,a,,r,1\n\n1767225600000,\"b-c\",p,r,\n");
        let (json, csv) = (json.unwrap(), csv.unwrap());
        assert_eq!(format!("{json:?}"), format!("{csv:?}"));
        assert_eq!(json[0].entity.as_str(), "b-c", "in order of time");
        assert_eq!(json[1].cost, BTreeMap::from([("rpm".to_owned(), 1)]));
    }

    #[test]
    fn quoted_values_may_have_commas_and_quotes() {
        assert_eq!(values("a, b ,\"c,\"\"d\"\"\",").unwrap(), ["a", "b", "c,\"d\"", ""]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, expected) in [
            ("{\"time\":1}", "log:1: missing field `entity`"),
            ("{\"time\":1,\"entity\":\"a\",\"resource\":\"r\",\"tokens\":1}", "log:1: unknown field `tokens`"),
            ("{\"time\":\"noon\",\"entity\":\"a\",\"resource\":\"r\"}", "log:1: 'noon' is not a time"),
            ("entity,resource\na,r\n", "log:1: is neither a JSON object nor a CSV header: it lacks the column `time`"),
            ("time,entity,resource\n1,a\n", "log:2: has 2 values, and the header 3 columns"),
            ("time,entity,resource,rpm\n1,a,r,-1\n", "log:2: rpm: '-1' is not a whole number of tokens"),
            ("time,entity,resource\n1,\"a,r\n", "log:2: a quote is not closed"),
            ("time,entity,resource\n1,,r\n", "log:2: "),
        ] {
            let error = read_text(text).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
