//! What a function may do: its inline policies, and the boundary that none of them can leave.

use serde::Deserialize;
use serde_json::Value;

use super::{
    TemplateError,
    resource::{self, Resource},
};

/// The type name of a boundary.
pub(super) const BOUNDARY_TYPE: &str = "AWS::IAM::ManagedPolicy";

/// Something that is allowed. Resources stay unresolved.
#[derive(Clone, Debug)]
pub struct Statement {
    /// E.g. `dynamodb:GetItem`; `*` and `?` are wildcards.
    pub actions: Vec<String>,
    /// ARNs, with the same wildcards.
    pub resources: Vec<Value>,
    /// `NotResource`: allowed on everything but these.
    pub is_exception: bool,
}

/// A managed policy of the template.
#[derive(Debug)]
pub struct Boundary {
    /// The name of the policy in the template.
    pub logical_id: String,
    /// What the policy allows.
    pub statements: Vec<Statement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    statement: Vec<StatementProperties>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct StatementProperties {
    effect: String,
    action: OneOrMany,
    resource: Option<Value>,
    not_resource: Option<Value>,
    condition: Option<Value>,
    // For the reader of the template only.
    #[serde(default, rename = "Sid")]
    _sid: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BoundaryProperties {
    policy_document: Value,
}

impl Boundary {
    pub(super) fn read(resource: &Resource<'_>) -> Result<Self, TemplateError> {
        let properties: BoundaryProperties = resource.properties()?;
        let statements = statements(resource, "PolicyDocument", &properties.policy_document)?;
        Ok(Self { logical_id: resource.logical_id.to_owned(), statements })
    }
}

/// The statements of `Policies`. Only documents written out are taken: who reads the template sees what they allow.
pub(super) fn of_function(function: &Resource<'_>, policies: &[Value]) -> Result<Vec<Statement>, TemplateError> {
    let mut all = Vec::new();
    for (index, policy) in policies.iter().enumerate() {
        all.extend(statements(function, &format!("Policies[{index}]"), policy)?);
    }
    Ok(all)
}

/// The boundary that is referred to, if there is one.
pub(super) fn boundary(function: &Resource<'_>, value: Option<&Value>) -> Result<Option<String>, TemplateError> {
    let named = |value| resource::referenced(value).map(str::to_owned);
    value
        .map(|value| {
            named(value).ok_or_else(|| function.error("PermissionsBoundary", "write `!Ref <policy of this template>`"))
        })
        .transpose()
}

fn statements(resource: &Resource<'_>, place: &str, document: &Value) -> Result<Vec<Statement>, TemplateError> {
    if !document.is_object() || document.get("Statement").is_none() {
        return Err(resource.error(place, "is not a policy document; write its Statement out"));
    }
    let document: Document = resource.typed(document, place)?;
    let read = |statement: StatementProperties| {
        if statement.effect != "Allow" {
            return Err(resource.error(place, "only Effect: Allow is understood here"));
        }
        let actions = match statement.action {
            OneOrMany::One(action) => vec![action],
            OneOrMany::Many(actions) => actions,
        };
        // Elsewhere a condition only narrows what is granted, and nothing here depends on it.
        let depends = |action: &String| action.starts_with("dynamodb:") || action.starts_with("execute-api:");
        if statement.condition.is_some() && actions.iter().any(depends) {
            return Err(resource.error(place, "a Condition on this action is not evaluated here"));
        }
        let (listed, is_exception) = match (statement.resource, statement.not_resource) {
            (Some(listed), None) => (listed, false),
            (None, Some(listed)) => (listed, true),
            _ => return Err(resource.error(place, "needs either Resource or NotResource")),
        };
        let resources = match listed {
            Value::Array(resources) => resources,
            one => vec![one],
        };
        Ok(Statement { actions, resources, is_exception })
    };
    document.statement.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Template;

    const TEXT: &str = "
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: ../functions/f
      Policies: [POLICY]
";

    #[test]
    fn an_inline_policy_is_read_statement_by_statement() {
        let policy = "{ Statement: [{ Effect: Allow, Action: dynamodb:GetItem, Resource: '*' }] }";
        let template = Template::parse(&TEXT.replace("POLICY", policy)).unwrap();
        let [statement] = template.functions()[0].statements.as_slice() else { panic!("one statement") };
        assert_eq!(
            (statement.actions.as_slice(), statement.resources.len()),
            (["dynamodb:GetItem".into()].as_slice(), 1)
        );
    }

    #[test]
    fn what_cannot_be_enforced_is_refused_by_name() {
        let deny = "{ Statement: [{ Effect: Deny, Action: 'dynamodb:*', Resource: '*' }] }";
        let condition = "{ Statement: [{ Effect: Allow, Action: 'dynamodb:GetItem', Resource: '*', Condition: {} }] }";
        for policy in ["AmazonDynamoDBFullAccess", "{ DynamoDBCrudPolicy: { TableName: t } }", deny, condition] {
            let message = Template::parse(&TEXT.replace("POLICY", policy)).unwrap_err().to_string();
            assert!(message.contains("`F`") && message.contains("Policies[0]"), "{message}");
        }
    }
}
