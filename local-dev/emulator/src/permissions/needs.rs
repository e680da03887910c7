//! Which permissions are needed: each one is taken away in turn, and has to be missed.

use std::collections::BTreeMap;

use super::{Call, Policy, policies};
use crate::template::{Template, TemplateError};

/// Each permission of a template (one action on one resource), with one of these calls that would be refused without it;
/// with none, it is granted for nothing.
///
/// # Errors
/// [`TemplateError`] if a resource of a policy is none.
pub fn needs<'a>(template: &Template, calls: &'a [Call]) -> Result<Vec<(Call, Option<&'a Call>)>, TemplateError> {
    Ok(needs_of(&policies(template)?, calls))
}

fn needs_of<'a>(policies: &BTreeMap<String, Policy>, calls: &'a [Call]) -> Vec<(Call, Option<&'a Call>)> {
    let mut needs = Vec::new();
    for (function, policy) in policies {
        for (index, grant) in policy.grants.iter().enumerate() {
            let mut without = policy.clone();
            without.grants.remove(index);
            let missed = calls.iter().find(|call| call.function == *function && !without.allows(call));
            let (function, action, resource) = (function.clone(), grant.action.clone(), grant.resource.clone());
            needs.push((Call { function, action, resource }, missed));
        }
    }
    needs
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
        let (get, put) = (call("dynamodb:GetItem"), call("dynamodb:PutItem"));
        let calls = [get.clone()];
        assert_eq!(needs_of(&policies, &calls), [(get.clone(), Some(&get)), (put, None)]);
    }
}
