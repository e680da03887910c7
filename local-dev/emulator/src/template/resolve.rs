//! Intrinsic functions: `Ref`, `Fn::GetAtt`, `Fn::Sub`, `Fn::Join`, `Fn::Select`, `Fn::Split` and `Fn::If`, the last with
//! the functions that conditions are made of: `Fn::Equals`, `Fn::Not`, `Fn::And`, `Fn::Or` and `Condition`.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{TemplateError, secret};
use crate::{REGION, event::ACCOUNT};

/// An entry of `Parameters`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Parameter {
    r#type: String,
    default: Option<Value>,
    allowed_values: Option<Vec<Value>>,
    allowed_pattern: Option<String>,
    constraint_description: Option<String>,
    min_value: Option<f64>,
    max_value: Option<f64>,
}

impl Parameter {
    /// Whether CloudFormation would take this value, and if not, which values it takes.
    fn check(&self, value: &str) -> Result<(), String> {
        let text = |allowed: &Value| allowed.as_str().map_or_else(|| allowed.to_string(), str::to_owned);
        if let Some(allowed) = &self.allowed_values {
            let allowed: Vec<_> = allowed.iter().map(text).collect();
            if !allowed.iter().any(|allowed| allowed == value) {
                return Err(format!("it is one of {}", allowed.join(", ")));
            }
        }
        if self.r#type == "Number" {
            let number: f64 = value.parse().ok().filter(|number: &f64| number.is_finite()).ok_or("it is a number")?;
            if let Some(min) = self.min_value.filter(|min| number < *min) {
                return Err(format!("it is at least {min}"));
            }
            if let Some(max) = self.max_value.filter(|max| number > *max) {
                return Err(format!("it is at most {max}"));
            }
        }
        match &self.allowed_pattern {
            Some(pattern) if !matches(pattern, value)? => {
                Err(self.constraint_description.clone().unwrap_or_else(|| format!("it matches {pattern}")))
            }
            _ => Ok(()),
        }
    }
}

/// Whether the whole value matches, as CloudFormation has it.
fn matches(pattern: &str, value: &str) -> Result<bool, String> {
    let pattern = Regex::new(&format!("^(?:{pattern})$")).map_err(|error| format!("AllowedPattern: {error}"))?;
    Ok(pattern.is_match(value))
}

/// The section `Parameters`, which may be absent.
pub(super) fn parameters(root: &Value) -> Result<BTreeMap<String, Parameter>, TemplateError> {
    let Some(section) = root.get("Parameters") else { return Ok(BTreeMap::new()) };
    serde_path_to_error::deserialize(section).map_err(|error| {
        TemplateError::property("Parameters", error.path().to_string(), error.into_inner().to_string())
    })
}

/// The section `Conditions`, which may be absent. They are worked out when somebody asks: what they refer to is only
/// known by then.
pub(super) fn conditions(root: &Value) -> Result<BTreeMap<String, Value>, TemplateError> {
    match root.get("Conditions") {
        None => Ok(BTreeMap::new()),
        Some(Value::Object(section)) => Ok(section.clone().into_iter().collect()),
        Some(_) => Err(TemplateError::property("Conditions", ".", "is not a map of names to conditions")),
    }
}

/// The names a value may refer to.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    conditions: BTreeMap<String, Value>,
    names: BTreeMap<String, Value>,
    attributes: BTreeMap<(String, String), Value>,
    secrets: BTreeMap<String, String>,
}

impl Scope {
    pub(super) fn of(
        parameters: &BTreeMap<String, Parameter>,
        conditions: &BTreeMap<String, Value>,
        given: &BTreeMap<String, String>,
    ) -> Result<Self, TemplateError> {
        if let Some(name) = given.keys().find(|name| !parameters.contains_key(*name)) {
            let known = parameters.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(TemplateError::UnknownParameter(name.clone(), known));
        }
        for (name, value) in given {
            if let Some(Err(problem)) = parameters.get(name).map(|parameter| parameter.check(value)) {
                return Err(TemplateError::Parameter { name: name.clone(), problem });
            }
        }
        let mut scope = Self { conditions: conditions.clone(), ..Self::default() };
        for (name, parameter) in parameters {
            let value = given.get(name).cloned().map(Value::String).or_else(|| parameter.default.clone());
            match value {
                Some(Value::String(list)) if parameter.r#type == "CommaDelimitedList" => {
                    let items = list.split(',').map(|item| Value::String(item.trim().to_owned())).collect();
                    scope.set(name, Value::Array(items));
                }
                Some(value) => scope.set(name, value),
                // No value is only an error once somebody refers to it.
                None => {}
            }
        }
        Ok(scope)
    }

    /// What `!Ref name` is: a parameter, a resource, or a pseudo parameter such as `AWS::Region`.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.names.insert(name.into(), value.into());
    }

    /// Sets the pseudo parameters, but for `AWS::NoValue`, to what they are on this machine.
    pub(crate) fn set_pseudo_parameters(&mut self, stack_name: &str) {
        for (name, value) in [
            ("AWS::Region", REGION),
            ("AWS::AccountId", ACCOUNT),
            ("AWS::Partition", "aws"),
            ("AWS::URLSuffix", "amazonaws.com"),
            ("AWS::StackName", stack_name),
        ] {
            self.set(name, value);
        }
    }

    /// What `!GetAtt resource.attribute` is.
    pub fn set_attribute(
        &mut self,
        resource: impl Into<String>,
        attribute: impl Into<String>,
        value: impl Into<Value>,
    ) {
        self.attributes.insert((resource.into(), attribute.into()), value.into());
    }

    /// What a dynamic reference to that secret is.
    pub fn set_secret(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.secrets.insert(name.into(), value.into());
    }

    fn name(&self, name: &str) -> Result<&Value, TemplateError> {
        self.names.get(name).ok_or_else(|| TemplateError::UnknownName(name.to_owned()))
    }

    /// Whether the declared condition holds.
    fn condition(&self, name: &str) -> Result<bool, TemplateError> {
        let unknown = || TemplateError::UnknownName(name.to_owned());
        let declared = self.conditions.get(name).ok_or_else(unknown)?;
        // A condition does not know itself, so one that goes round in a circle is an unknown name and not an endless loop.
        let mut others = self.clone();
        others.conditions.remove(name);
        holds(declared, &others)
    }

    fn attribute(&self, resource: &str, attribute: &str) -> Result<&Value, TemplateError> {
        self.attributes
            .get(&(resource.to_owned(), attribute.to_owned()))
            .ok_or_else(|| TemplateError::UnknownName(format!("{resource}.{attribute}")))
    }
}

/// What `!Ref` to it is stands for nothing: the property or the item is left out.
const NO_VALUE: &str = "AWS::NoValue";

/// The value with every intrinsic function in it worked out; null, if it is `AWS::NoValue`.
pub fn resolve(value: &Value, scope: &Scope) -> Result<Value, TemplateError> {
    Ok(worked_out(value, scope)?.unwrap_or_default())
}

/// The value with every intrinsic function in it worked out; nothing, if it is `AWS::NoValue`.
fn worked_out(value: &Value, scope: &Scope) -> Result<Option<Value>, TemplateError> {
    match value {
        Value::Array(items) => {
            let items = items.iter().filter_map(|item| worked_out(item, scope).transpose());
            items.collect::<Result<_, _>>().map(Some)
        }
        Value::Object(object) => match single(object) {
            Some((name, Value::String(target))) if name == "Ref" && target == NO_VALUE => Ok(None),
            Some((name, argument)) if name == "Fn::If" => worked_out(choice(argument, scope)?, scope),
            Some((name, argument)) if name == "Ref" || name.starts_with("Fn::") => {
                call(name, argument, scope).map(Some)
            }
            _ => {
                let entry = |(key, value): (&String, _)| {
                    Some(worked_out(value, scope).transpose()?.map(|value| (key.clone(), value)))
                };
                let entries = object.iter().filter_map(entry).collect::<Result<_, TemplateError>>()?;
                Ok(Some(Value::Object(entries)))
            }
        },
        plain => Ok(Some(plain.clone())),
    }
}

/// The branch of `Fn::If` that counts; the other one is not looked at, it may refer to what does not exist.
fn choice<'a>(argument: &'a Value, scope: &Scope) -> Result<&'a Value, TemplateError> {
    match argument.as_array().map(Vec::as_slice) {
        Some([Value::String(condition), then, otherwise]) => {
            Ok(if scope.condition(condition)? { then } else { otherwise })
        }
        _ => Err(TemplateError::intrinsic("Fn::If", format!("takes a condition and two values, found {argument}"))),
    }
}

/// Whether a condition holds.
fn holds(condition: &Value, scope: &Scope) -> Result<bool, TemplateError> {
    let wrong = || TemplateError::intrinsic("Conditions", format!("{condition} is no condition that is known here"));
    let (name, argument) = condition.as_object().and_then(single).ok_or_else(wrong)?;
    match (name.as_str(), argument) {
        ("Condition", Value::String(name)) => scope.condition(name),
        ("Fn::Equals", Value::Array(sides)) => match sides.as_slice() {
            [one, other] => Ok(resolve_string(one, scope)? == resolve_string(other, scope)?),
            _ => Err(wrong()),
        },
        ("Fn::Not", Value::Array(conditions)) => match conditions.as_slice() {
            [one] => Ok(!holds(one, scope)?),
            _ => Err(wrong()),
        },
        ("Fn::And", Value::Array(conditions)) => {
            conditions.iter().try_fold(true, |all, each| Ok(holds(each, scope)? && all))
        }
        ("Fn::Or", Value::Array(conditions)) => {
            conditions.iter().try_fold(false, |any, each| Ok(holds(each, scope)? || any))
        }
        _ => Err(wrong()),
    }
}

/// The value as text, the way an environment variable holds it.
pub fn resolve_string(value: &Value, scope: &Scope) -> Result<String, TemplateError> {
    let text = text(&resolve(value, scope)?).ok_or_else(|| {
        TemplateError::intrinsic(value.to_string(), "is a list or a map where a text belongs; use !Join for a list")
    })?;
    match secret::referenced(&text)? {
        Some(name) => scope.secrets.get(name).cloned().ok_or_else(|| TemplateError::UnknownName(name.to_owned())),
        None => Ok(text),
    }
}

fn single(object: &Map<String, Value>) -> Option<(&String, &Value)> {
    (object.len() == 1).then(|| object.iter().next()).flatten()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

fn call(name: &str, argument: &Value, scope: &Scope) -> Result<Value, TemplateError> {
    let wrong = |problem: &str| TemplateError::intrinsic(name, format!("{problem}, found {argument}"));
    match (name, argument) {
        ("Ref", Value::String(target)) => scope.name(target).cloned(),
        ("Fn::GetAtt", Value::String(path)) => {
            let (resource, attribute) = path.split_once('.').ok_or_else(|| wrong("write `resource.attribute`"))?;
            scope.attribute(resource, attribute).cloned()
        }
        ("Fn::GetAtt", Value::Array(parts)) => match parts.as_slice() {
            [Value::String(resource), Value::String(attribute)] => scope.attribute(resource, attribute).cloned(),
            _ => Err(wrong("takes a resource and an attribute")),
        },
        ("Fn::Sub", Value::String(pattern)) => substitute(pattern, scope).map(Value::String),
        ("Fn::Sub", Value::Array(parts)) => match parts.as_slice() {
            [Value::String(pattern), Value::Object(variables)] => {
                let mut inner = scope.clone();
                for (variable, value) in variables {
                    inner.set(variable, resolve(value, scope)?);
                }
                substitute(pattern, &inner).map(Value::String)
            }
            _ => Err(wrong("takes a text, or a text and a map of variables")),
        },
        ("Fn::Join", Value::Array(parts)) => match parts.as_slice() {
            [Value::String(separator), list] => {
                let Value::Array(items) = resolve(list, scope)? else {
                    return Err(wrong("takes a separator and a list"));
                };
                let items: Option<Vec<_>> = items.iter().map(text).collect();
                Ok(Value::String(items.ok_or_else(|| wrong("joins texts only"))?.join(separator)))
            }
            _ => Err(wrong("takes a separator and a list")),
        },
        ("Fn::Split", Value::Array(parts)) => match parts.as_slice() {
            [Value::String(separator), whole] => {
                let whole = resolve_string(whole, scope)?;
                Ok(whole.split(separator.as_str()).map(Value::from).collect())
            }
            _ => Err(wrong("takes a separator and a text")),
        },
        ("Fn::Select", Value::Array(parts)) => match parts.as_slice() {
            [index, list] => {
                let index = text(&resolve(index, scope)?).and_then(|index| index.parse::<usize>().ok());
                let list = resolve(list, scope)?;
                index
                    .and_then(|index| list.get(index).cloned())
                    .ok_or_else(|| wrong("takes an index and a list that is long enough"))
            }
            _ => Err(wrong("takes an index and a list")),
        },
        _ => Err(wrong("is not imitated here, or has a wrong argument")),
    }
}

/// `${Name}`, `${Resource.Attribute}`, and `${!Literal}`, which stays as `${Literal}`.
fn substitute(pattern: &str, scope: &Scope) -> Result<String, TemplateError> {
    let mut result = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, tail) = after
            .split_once('}')
            .ok_or_else(|| TemplateError::intrinsic("Fn::Sub", format!("`${{` is never closed in {pattern}")))?;
        result.push_str(before);
        rest = tail;
        if let Some(literal) = name.strip_prefix('!') {
            result.extend(["${", literal, "}"]);
            continue;
        }
        let value = match name.split_once('.') {
            Some((resource, attribute)) => scope.attribute(resource, attribute)?,
            None => scope.name(name)?,
        };
        let value =
            text(value).ok_or_else(|| TemplateError::intrinsic("Fn::Sub", format!("`{name}` is not a text")))?;
        result.push_str(&value);
    }
    result.push_str(rest);
    Ok(result)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scope() -> Scope {
        let mut scope = Scope::default();
        scope.set("AWS::Region", "eu-central-1");
        scope.set("Table", "stack-Table");
        scope.set("List", json!(["a", "b"]));
        scope.set_attribute("Table", "Arn", "arn:table");
        scope
    }

    #[test]
    fn every_function_gives_its_value() {
        for (value, expected) in [
            (json!({ "Ref": "Table" }), json!("stack-Table")),
            (json!({ "Fn::GetAtt": ["Table", "Arn"] }), json!("arn:table")),
            (json!({ "Fn::GetAtt": "Table.Arn" }), json!("arn:table")),
            (
                json!({ "Fn::Sub": "${Table}/${Table.Arn}@${AWS::Region}${!x}" }),
                json!("stack-Table/arn:table@eu-central-1${x}"),
            ),
            (
                json!({ "Fn::Sub": ["${x}-${Table}", { "x": { "Ref": "AWS::Region" } }] }),
                json!("eu-central-1-stack-Table"),
            ),
            (json!({ "Fn::Join": [",", { "Ref": "List" }] }), json!("a,b")),
            (json!({ "Fn::Select": [1, { "Ref": "List" }] }), json!("b")),
            (json!({ "Fn::Split": ["-", { "Ref": "Table" }] }), json!(["stack", "Table"])),
            (json!({ "a": [{ "Ref": "Table" }], "b": 1 }), json!({ "a": ["stack-Table"], "b": 1 })),
        ] {
            assert_eq!(resolve(&value, &scope()).unwrap(), expected, "{value}");
        }
    }

    /// A scope of parameters and conditions as they stand in a template.
    fn conditional(given: &str) -> Scope {
        let root = json!({
            "Parameters": { "Origins": { "Type": "String", "Default": "" } },
            "Conditions": {
                "Some": { "Fn::Not": [{ "Fn::Equals": [{ "Ref": "Origins" }, ""] }] },
                "None": { "Fn::Not": [{ "Condition": "Some" }] },
                "Both": { "Fn::And": [{ "Condition": "Some" }, { "Condition": "None" }] },
                "Either": { "Fn::Or": [{ "Condition": "Some" }, { "Condition": "None" }] },
                "Circle": { "Fn::Not": [{ "Condition": "Circle" }] },
                "Odd": { "Fn::ImportValue": "x" },
            },
        });
        let given = BTreeMap::from([("Origins".to_owned(), given.to_owned())]);
        Scope::of(&parameters(&root).unwrap(), &conditions(&root).unwrap(), &given).unwrap()
    }

    #[test]
    fn a_value_that_cloudformation_would_refuse_is_refused_and_its_rule_named() {
        let root = json!({ "Parameters": {
            "Level": { "Type": "String", "AllowedValues": ["info", "debug"], "Default": "info" },
            "Days": { "Type": "Number", "AllowedValues": [1, 30], "Default": 30 },
            "Shards": { "Type": "Number", "MinValue": 1, "MaxValue": 64, "Default": 1 },
            "Origins": { "Type": "String", "AllowedPattern": "[a-z]*", "ConstraintDescription": "Small letters." },
        } });
        let declared = parameters(&root).unwrap();
        let given = |name: &str, value: &str| {
            let given = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            Scope::of(&declared, &BTreeMap::new(), &given).map(drop).map_err(|error| error.to_string())
        };
        for (name, value) in [("Level", "debug"), ("Days", "1"), ("Shards", "64"), ("Origins", ""), ("Origins", "ab")] {
            assert_eq!(given(name, value), Ok(()), "{name}={value}");
        }
        for (name, value, rule) in [
            ("Level", "loud", "info, debug"),
            ("Days", "2", "1, 30"),
            ("Shards", "0", "at least 1"),
            ("Shards", "65", "at most 64"),
            ("Shards", "x", "a number"),
            ("Shards", "NaN", "a number"),
            ("Origins", "aB", "Small letters."),
        ] {
            let refused = given(name, value).unwrap_err();
            assert!(refused.contains(name) && refused.contains(rule), "{name}={value}: {refused}");
        }
    }

    #[test]
    fn a_condition_chooses_and_no_value_leaves_out() {
        let value = |condition: &str| {
            json!({
                "cors": { "Fn::If": [condition, { "origins": { "Fn::Split": [",", { "Ref": "Origins" }] } }, { "Ref": "AWS::NoValue" }] },
                "list": [1, { "Fn::If": [condition, 2, { "Ref": "AWS::NoValue" }] }],
            })
        };
        let chosen = json!({ "cors": { "origins": ["a", "b"] }, "list": [1, 2] });
        for (given, condition, expected) in [
            ("a,b", "Some", &chosen),
            ("", "Some", &json!({ "list": [1] })),
            ("a,b", "None", &json!({ "list": [1] })),
            ("a,b", "Both", &json!({ "list": [1] })),
            ("a,b", "Either", &chosen),
        ] {
            let resolved = resolve(&value(condition), &conditional(given)).unwrap();
            assert_eq!(resolved, *expected, "{condition} with `{given}`");
        }
        assert_eq!(resolve(&value("Some")["cors"], &conditional("")).unwrap(), Value::Null);
    }

    #[test]
    fn the_branch_that_does_not_count_may_name_what_is_not_there() {
        let value = json!({ "Fn::If": ["Some", "x", { "Ref": "Nobody" }] });
        assert_eq!(resolve(&value, &conditional("a")).unwrap(), "x");
        assert!(resolve(&value, &conditional("")).is_err());
    }

    #[test]
    fn a_condition_that_cannot_be_worked_out_is_named() {
        for (condition, part) in [("Nowhere", "`Nowhere`"), ("Circle", "`Circle`"), ("Odd", "Fn::ImportValue")] {
            let value = json!({ "Fn::If": [condition, 1, 2] });
            let message = resolve(&value, &conditional("a")).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
        assert!(resolve(&json!({ "Fn::If": ["Some", 1] }), &conditional("a")).is_err());
    }

    #[test]
    fn a_missing_name_is_named() {
        for (value, name) in [
            (json!({ "Ref": "Nobody" }), "`Nobody`"),
            (json!({ "Fn::GetAtt": ["Table", "Nothing"] }), "`Table.Nothing`"),
            (json!({ "Fn::Sub": "${AWS::Nowhere}" }), "`AWS::Nowhere`"),
        ] {
            let message = resolve(&value, &scope()).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
    }

    #[test]
    fn an_unknown_function_is_named() {
        let message = resolve(&json!({ "Fn::ImportValue": "x" }), &scope()).unwrap_err().to_string();
        assert!(message.contains("Fn::ImportValue"), "{message}");
    }
}
