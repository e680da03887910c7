//! Filter patterns of event source mappings: the EventBridge syntax, as far as it is known to hold for streams.
//!
//! Pure: no I/O, no clock. Keys of a pattern are ANDed, the values in one list are ORed, several patterns are ORed.

use serde_json::Value;

/// A pattern that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("filter pattern {pattern}: {problem}")]
pub(crate) struct FilterError {
    pattern: String,
    problem: String,
}

/// The patterns of one mapping.
#[derive(Debug)]
pub(super) struct Filters(Vec<Node>);

#[derive(Debug)]
enum Node {
    Object(Vec<(String, Node)>),
    Leaf(Vec<Matcher>),
}

#[derive(Debug)]
enum Matcher {
    Exact(Value),
    AnythingBut(Vec<Value>),
    Prefix(String),
    Exists(bool),
    Numeric(Vec<(Comparison, f64)>),
}

#[derive(Clone, Copy, Debug)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Filters {
    /// Reads the patterns; an operator nobody knows is an error, not a filter that never matches.
    pub(super) fn parse(patterns: &[Value]) -> Result<Self, FilterError> {
        let node = |pattern: &Value| {
            Node::parse(pattern).map_err(|problem| FilterError { pattern: pattern.to_string(), problem })
        };
        patterns.iter().map(node).collect::<Result<_, _>>().map(Self)
    }

    /// Whether a function gets to see this record.
    pub(super) fn matches(&self, record: &Value) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| pattern.matches(Some(record)))
    }
}

impl Node {
    fn parse(pattern: &Value) -> Result<Self, String> {
        match pattern {
            Value::Object(object) if object.is_empty() => Err("an object needs at least one key".to_owned()),
            Value::Object(object) => {
                if let Some(key) = object.keys().find(|key| key.starts_with("$or")) {
                    return Err(format!("`{key}` is not imitated here; write several filters instead"));
                }
                let entries = object.iter().map(|(key, value)| Ok((key.clone(), Self::parse(value)?)));
                entries.collect::<Result<_, String>>().map(Self::Object)
            }
            Value::Array(values) if values.is_empty() => Err("an empty list matches nothing".to_owned()),
            Value::Array(values) => values.iter().map(Matcher::parse).collect::<Result<_, _>>().map(Self::Leaf),
            value => Err(format!("`{value}` has to be in a list: [{value}]")),
        }
    }

    fn matches(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            // A list in the record matches if one of its elements does.
            (_, Some(Value::Array(elements))) if !elements.is_empty() => {
                elements.iter().any(|element| self.matches(Some(element)))
            }
            (Self::Object(entries), value) => {
                entries.iter().all(|(key, node)| node.matches(value.and_then(|value| value.get(key))))
            }
            // Operators look at leaves. An object where a leaf is expected is as good as nothing, which is why
            // `[{"exists": false}]` on an attribute's name lets everything through, here as on AWS.
            (Self::Leaf(matchers), value) => {
                let leaf = value.filter(|value| !value.is_object());
                matchers.iter().any(|matcher| matcher.matches(leaf))
            }
        }
    }
}

impl Matcher {
    fn parse(value: &Value) -> Result<Self, String> {
        let Value::Object(object) = value else {
            return match value {
                Value::Array(_) => Err("a list inside a list is not a value".to_owned()),
                plain => Ok(Self::Exact(plain.clone())),
            };
        };
        let mut entries = object.iter();
        let (Some((operator, argument)), None) = (entries.next(), entries.next()) else {
            return Err(format!("`{value}` has to have exactly one operator"));
        };
        let wrong = || format!("operator `{operator}` does not take {argument}");
        match (operator.as_str(), argument) {
            ("prefix", Value::String(prefix)) => Ok(Self::Prefix(prefix.clone())),
            ("exists", Value::Bool(exists)) => Ok(Self::Exists(*exists)),
            ("anything-but", Value::Array(values)) if values.iter().all(is_scalar) && !values.is_empty() => {
                Ok(Self::AnythingBut(values.clone()))
            }
            ("anything-but", value) if is_scalar(value) => Ok(Self::AnythingBut(vec![value.clone()])),
            ("numeric", Value::Array(parts)) => comparisons(parts).map(Self::Numeric).ok_or_else(wrong),
            ("prefix" | "exists" | "anything-but" | "numeric", _) => Err(wrong()),
            _ => Err(format!("operator `{operator}` is not known; there are prefix, exists, anything-but and numeric")),
        }
    }

    fn matches(&self, leaf: Option<&Value>) -> bool {
        match (self, leaf) {
            (Self::Exists(exists), leaf) => *exists == leaf.is_some(),
            (_, None) => false,
            (Self::Exact(expected), Some(found)) => same(expected, found),
            (Self::AnythingBut(excluded), Some(found)) => !excluded.iter().any(|value| same(value, found)),
            (Self::Prefix(prefix), Some(found)) => found.as_str().is_some_and(|text| text.starts_with(prefix)),
            // A number inside `N` is a text, so `numeric` never matches one, exactly as on AWS.
            (Self::Numeric(comparisons), Some(found)) => found
                .as_f64()
                .is_some_and(|number| comparisons.iter().all(|(comparison, limit)| comparison.holds(number, *limit))),
        }
    }
}

impl Comparison {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "=" => Self::Equal,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    fn holds(self, number: f64, limit: f64) -> bool {
        match self {
            Self::Equal => number == limit,
            Self::Less => number < limit,
            Self::LessOrEqual => number <= limit,
            Self::Greater => number > limit,
            Self::GreaterOrEqual => number >= limit,
        }
    }
}

/// `[">", 1, "<=", 9]`.
fn comparisons(parts: &[Value]) -> Option<Vec<(Comparison, f64)>> {
    let pairs = parts.chunks(2).map(|pair| match pair {
        [Value::String(comparison), Value::Number(limit)] => Some((Comparison::parse(comparison)?, limit.as_f64()?)),
        _ => None,
    });
    pairs.collect::<Option<Vec<_>>>().filter(|pairs| !pairs.is_empty())
}

fn is_scalar(value: &Value) -> bool {
    !value.is_object() && !value.is_array()
}

fn same(expected: &Value, found: &Value) -> bool {
    match (expected.as_f64(), found.as_f64()) {
        (Some(expected), Some(found)) => expected == found,
        _ => expected == found,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record() -> Value {
        json!({
            "eventName": "INSERT",
            "dynamodb": {
                "ApproximateCreationDateTime": 1_739_125_431,
                "Keys": { "sk": { "S": "PROFILE" } },
                "NewImage": {
                    "kind": { "S": "message" },
                    "empty": { "S": "" },
                    "none": { "NULL": true },
                    "count": { "N": "7" },
                    "tags": { "SS": ["red", "green"] },
                    "nothing": null,
                },
            },
        })
    }

    fn image(attribute: &str, pattern: &Value) -> Value {
        json!({ "dynamodb": { "NewImage": { attribute: pattern } } })
    }

    #[test]
    fn every_operator_matches_what_it_should() {
        for (pattern, expected) in [
            // exact
            (image("kind", &json!({ "S": ["other", "message"] })), true),
            (image("kind", &json!({ "S": ["other"] })), false),
            (image("empty", &json!({ "S": [""] })), true),
            (image("none", &json!({ "NULL": [true] })), true),
            (image("nothing", &json!([null])), true),
            (image("kind", &json!({ "S": [null] })), false),
            (image("missing", &json!({ "S": [null] })), false),
            (image("tags", &json!({ "SS": ["green"] })), true),
            (image("tags", &json!({ "SS": ["blue"] })), false),
            (json!({ "eventName": ["INSERT", "MODIFY"] }), true),
            // anything-but
            (image("kind", &json!({ "S": [{ "anything-but": ["x", "y"] }] })), true),
            (image("kind", &json!({ "S": [{ "anything-but": ["message"] }] })), false),
            (image("kind", &json!({ "S": [{ "anything-but": "message" }] })), false),
            (image("missing", &json!({ "S": [{ "anything-but": ["x"] }] })), false),
            // prefix
            (image("kind", &json!({ "S": [{ "prefix": "mes" }] })), true),
            (image("kind", &json!({ "S": [{ "prefix": "Mes" }] })), false),
            (image("count", &json!({ "N": [{ "prefix": "7" }] })), true),
            // exists
            (image("kind", &json!({ "S": [{ "exists": true }] })), true),
            (image("kind", &json!({ "S": [{ "exists": false }] })), false),
            (image("missing", &json!({ "S": [{ "exists": false }] })), true),
            (image("missing", &json!({ "S": [{ "exists": true }] })), false),
            (image("kind", &json!([{ "exists": false }])), true),
            (image("kind", &json!([{ "exists": true }])), false),
            // numeric
            (
                json!({ "dynamodb": { "ApproximateCreationDateTime": [{ "numeric": [">", 1, "<=", 1_739_125_431] }] } }),
                true,
            ),
            (json!({ "dynamodb": { "ApproximateCreationDateTime": [{ "numeric": ["<", 1] }] } }), false),
            (json!({ "dynamodb": { "ApproximateCreationDateTime": [{ "numeric": ["=", 1_739_125_431] }] } }), true),
            (json!({ "dynamodb": { "ApproximateCreationDateTime": [{ "numeric": [">=", 1_739_125_432] }] } }), false),
        ] {
            let filters = Filters::parse(std::slice::from_ref(&pattern)).unwrap();
            assert_eq!(filters.matches(&record()), expected, "{pattern}");
        }
    }

    #[test]
    fn numeric_does_not_match_number_attributes() {
        let filters = Filters::parse(&[image("count", &json!({ "N": [{ "numeric": ["=", 7] }] }))]).unwrap();
        assert!(!filters.matches(&record()));
    }

    #[test]
    fn keys_are_anded_and_filters_are_ored() {
        let both = json!({ "eventName": ["INSERT"], "dynamodb": { "Keys": { "sk": { "S": ["META"] } } } });
        assert!(!Filters::parse(std::slice::from_ref(&both)).unwrap().matches(&record()));
        let other = json!({ "dynamodb": { "Keys": { "sk": { "S": ["PROFILE"] } } } });
        assert!(Filters::parse(&[both, other]).unwrap().matches(&record()));
    }

    #[test]
    fn no_filter_lets_everything_through() {
        assert!(Filters::parse(&[]).unwrap().matches(&record()));
    }

    #[test]
    fn a_pattern_nobody_understands_is_an_error_that_names_it() {
        for (pattern, part) in [
            (json!({ "a": [{ "suffix": "x" }] }), "`suffix`"),
            (json!({ "a": "x" }), "[\"x\"]"),
            (json!({ "a": [] }), "empty list"),
            (json!({}), "at least one key"),
            (json!({ "a": [{ "numeric": [">"] }] }), "`numeric`"),
            (json!({ "a": [{ "numeric": ["~", 1] }] }), "`numeric`"),
            (json!({ "a": [{ "exists": "yes" }] }), "`exists`"),
            (json!({ "$or": [{ "a": [1] }] }), "`$or`"),
        ] {
            let message = Filters::parse(std::slice::from_ref(&pattern)).unwrap_err().to_string();
            assert!(message.contains(part) && message.contains(&pattern.to_string()), "{message}");
        }
    }
}
