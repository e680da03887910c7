//! Which permissions nobody used: each one is taken away in turn, and has to be missed.

use std::collections::BTreeMap;

use super::{Call, Policy, policies};
use crate::template::{Template, TemplateError};

/// What the template this program was built with grants: one entry for each action on each resource.
///
/// # Panics
/// Never with a template that starts.
#[must_use]
pub fn permissions_of() -> Vec<Call> {
    let granted = |(function, policy): (String, Policy)| {
        policy.grants.into_iter().map(move |grant| Call {
            function: function.clone(),
            action: grant.action,
            resource: grant.resource,
        })
    };
    of_the_template().unwrap_or_default().into_iter().flat_map(granted).collect()
}

/// The permissions whose removal would have refused none of these calls.
#[must_use]
pub fn needless_permissions(calls: &[Call]) -> Vec<Call> {
    needless(&of_the_template().unwrap_or_default(), calls)
}

fn of_the_template() -> Result<BTreeMap<String, Policy>, TemplateError> {
    policies(&Template::parse(crate::cloud::TEMPLATE)?)
}

fn needless(policies: &BTreeMap<String, Policy>, calls: &[Call]) -> Vec<Call> {
    let mut needless = Vec::new();
    for (function, policy) in policies {
        for (index, grant) in policy.grants.iter().enumerate() {
            let mut without = policy.clone();
            without.grants.remove(index);
            let missed = calls.iter().any(|call| call.function == *function && !without.allows(call));
            if !missed {
                let (function, action, resource) = (function.clone(), grant.action.clone(), grant.resource.clone());
                needless.push(Call { function, action, resource });
            }
        }
    }
    needless
}

#[cfg(test)]
mod tests {
    use super::{super::Grant, *};

    #[test]
    fn a_permission_nobody_would_miss_is_named() {
        let grant = |action: &str| Grant { action: action.into(), resource: "t".into(), is_exception: false };
        let policy = Policy { grants: vec![grant("dynamodb:GetItem"), grant("dynamodb:PutItem")], boundary: None };
        let call = |action: &str| Call { function: "F".into(), action: action.into(), resource: "t".into() };
        let policies = BTreeMap::from([("F".to_owned(), policy)]);
        assert_eq!(needless(&policies, &[call("dynamodb:GetItem")]), [call("dynamodb:PutItem")]);
        assert_eq!(needless(&policies, &[call("dynamodb:GetItem"), call("dynamodb:PutItem")]), []);
    }

    #[test]
    fn without_any_call_everything_is_needless() {
        assert_eq!(needless_permissions(&[]), permissions_of());
        assert!(permissions_of().len() > 10);
    }
}
