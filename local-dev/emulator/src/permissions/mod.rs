//! The template's policies, enforced: what a function is not granted there, it cannot do here either.
//!
//! Only with [`enforce_policies`](crate::Settings::enforce_policies), because every call to DynamoDB then goes through one more hop. A function is known by
//! its access key id, which is its logical id; whoever signs with another key (a person, a test) may do everything.

mod call;
mod guard;
mod needs;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

pub(crate) use self::guard::{Guard, of_functions, of_management, of_messages};
pub use self::needs::needs;
use crate::{
    functions,
    tally::{Spent, Tally},
    template::{Scope, Statement, Template, TemplateError, resolve_string},
};

/// Something a function did, or wanted to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Call {
    /// Logical id of the function.
    pub function: String,
    /// The action as policies name it, e.g. `dynamodb:GetItem`.
    pub action: String,
    /// ARN, with the template's names of tables and `*` for a connection.
    pub resource: String,
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} on {}", self.function, self.action, self.resource)
    }
}

/// One action on one resource that a function is granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) action: String,
    pub(crate) resource: String,
    /// `NotResource`: everything but this resource.
    pub(crate) is_exception: bool,
}

impl Grant {
    fn allows(&self, call: &Call) -> bool {
        matches(&self.action, &call.action) && matches(&self.resource, &call.resource) != self.is_exception
    }
}

/// What one function may do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Policy {
    /// What the function's own policies grant.
    pub(crate) grants: Vec<Grant>,
    /// What the function cannot go beyond, if anything.
    pub(crate) boundary: Option<Vec<Grant>>,
}

impl Policy {
    pub(crate) fn allows(&self, call: &Call) -> bool {
        let any = |grants: &[Grant]| grants.iter().any(|grant| grant.allows(call));
        any(&self.grants) && self.boundary.as_deref().is_none_or(any)
    }
}

/// What every function may do, what was done, and what was refused.
#[derive(Debug, Default)]
pub struct Permissions {
    policies: BTreeMap<String, Policy>,
    seen: Mutex<Seen>,
    tally: Tally,
}

#[derive(Debug, Default)]
struct Seen {
    allowed: BTreeSet<Call>,
    denied: BTreeSet<Call>,
}

impl Permissions {
    pub(crate) fn of(template: &Template) -> Result<Self, TemplateError> {
        Ok(Self { policies: policies(template)?, seen: Mutex::default(), tally: Tally::default() })
    }

    /// Every distinct call that was allowed.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.seen().allowed.iter().cloned().collect()
    }

    /// Every distinct call that was refused.
    #[must_use]
    pub fn denied(&self) -> Vec<Call> {
        self.seen().denied.iter().cloned().collect()
    }

    /// Where what functions use is counted.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Notes what a call of a function costs.
    fn spend(&self, caller: &str, spent: Spent) {
        if self.policies.contains_key(caller) {
            self.tally.add(caller, spent);
        }
    }

    /// Whether somebody may; the calls of functions are remembered.
    fn judge(&self, caller: &str, action: String, resource: String) -> Result<(), Call> {
        let Some(policy) = self.policies.get(caller) else { return Ok(()) };
        let call = Call { function: caller.to_owned(), action, resource };
        let mut seen = self.seen();
        if policy.allows(&call) {
            seen.allowed.insert(call);
            return Ok(());
        }
        tracing::error!(%call, "not granted in the template");
        seen.denied.insert(call.clone());
        Err(call)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Permissions of functions beyond their boundary, which is why they grant nothing.
///
/// # Errors
/// [`TemplateError`] if a resource of a policy is none.
pub fn out_of_bounds(template: &Template) -> Result<Vec<Call>, TemplateError> {
    let mut beyond = Vec::new();
    for (function, policy) in policies(template)? {
        for Grant { action, resource, is_exception } in &policy.grants {
            let resource = if *is_exception { "any other" } else { resource };
            let call = Call { function: function.clone(), action: action.clone(), resource: resource.to_owned() };
            if !policy.allows(&call) {
                beyond.push(call);
            }
        }
    }
    Ok(beyond)
}

/// The policies of all functions, by logical id, as far as they are about what is imitated here.
fn policies(template: &Template) -> Result<BTreeMap<String, Policy>, TemplateError> {
    let scope = scope(template)?;
    let policy = |function: &crate::template::Function| {
        let boundary = function.boundary.as_ref().and_then(|name| template.boundary(name));
        let policy = Policy {
            grants: grants(&function.statements, &scope)?,
            boundary: boundary.map(|boundary| grants(&boundary.statements, &scope)).transpose()?,
        };
        Ok((function.logical_id.clone(), policy))
    };
    template.functions().iter().map(policy).collect()
}

/// The services whose calls come by here.
const IMITATED: [&str; 5] = ["dynamodb:", "execute-api:", "lambda:", "ses:", "sns:"];

fn grants(statements: &[Statement], scope: &Scope) -> Result<Vec<Grant>, TemplateError> {
    let mut grants = Vec::new();
    for statement in statements {
        let imitated = |action: &&String| IMITATED.iter().any(|service| action.starts_with(service));
        for action in statement.actions.iter().filter(imitated) {
            for resource in &statement.resources {
                grants.push(Grant {
                    action: action.clone(),
                    resource: resolve_string(resource, scope)?,
                    is_exception: statement.is_exception,
                });
            }
        }
    }
    Ok(grants)
}

/// ARNs of the template's own names: a recording of one stack can be held against another.
fn scope(template: &Template) -> Result<Scope, TemplateError> {
    let mut scope = template.scope(&BTreeMap::new())?;
    scope.set_pseudo_parameters("stack");
    for table in template.tables() {
        scope.set(&table.logical_id, table.logical_id.clone());
        scope.set_attribute(&table.logical_id, "Arn", table_arn(&table.logical_id));
    }
    for function in template.functions() {
        scope.set(&function.logical_id, function.logical_id.clone());
        scope.set_attribute(&function.logical_id, "Arn", functions::arn(&function.logical_id));
    }
    if let Some(api) = template.web_socket_api() {
        scope.set(&api.logical_id, crate::event::API_ID);
    }
    Ok(scope)
}

fn table_arn(logical_id: &str) -> String {
    format!("arn:aws:dynamodb:{}:{}:table/{logical_id}", crate::REGION, crate::event::ACCOUNT)
}

/// `*` stands for any text, `?` for one character; nothing else is special.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_at_checked(1) {
        None => text.is_empty(),
        Some(("*", rest)) => (0..=text.len()).any(|skip| text.get(skip..).is_some_and(|text| matches(rest, text))),
        Some((first, rest)) => text
            .split_at_checked(1)
            .is_some_and(|(letter, text)| (first == "?" || first == letter) && matches(rest, text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(action: &str, resource: &str) -> Call {
        Call { function: "F".into(), action: action.into(), resource: resource.into() }
    }

    fn grant(action: &str, resource: &str) -> Grant {
        Grant { action: action.into(), resource: resource.into(), is_exception: false }
    }

    #[test]
    fn wildcards_match_as_in_iam() {
        for (pattern, text) in [("*", ""), ("a*", "abc"), ("a*c", "abbc"), ("a?c", "abc"), ("table/T", "table/T")] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a?", "a"), ("table/T", "table/T/index/i"), ("*/POST/*", "x/DELETE/y")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_call_needs_a_grant_and_the_boundary() {
        let mut policy = Policy { grants: vec![grant("dynamodb:GetItem", "t")], boundary: None };
        assert!(policy.allows(&call("dynamodb:GetItem", "t")));
        assert!(!policy.allows(&call("dynamodb:PutItem", "t")));
        assert!(!policy.allows(&call("dynamodb:GetItem", "t/index/i")));
        policy.boundary = Some(vec![grant("dynamodb:*", "other")]);
        assert!(!policy.allows(&call("dynamodb:GetItem", "t")));
    }
}
