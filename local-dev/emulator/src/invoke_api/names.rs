//! The names of functions, in every form that Lambda takes.

use std::sync::Arc;

use crate::{REGION, event::ACCOUNT, template::Function};

/// The one version there is.
const LATEST: &str = "$LATEST";

/// What `!Ref` to a function is: named after the stack, as CloudFormation does it, without the random part.
pub(crate) fn physical_name(stack: &str, logical_id: &str) -> String {
    format!("{stack}-{logical_id}")
}

/// The functions of a stack, by their names.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    stack: Arc<str>,
    logical_ids: Arc<[String]>,
}

impl Names {
    pub(crate) fn new(stack: &str, functions: &[Function]) -> Self {
        let logical_ids = functions.iter().map(|function| function.logical_id.clone());
        Self { stack: stack.into(), logical_ids: logical_ids.collect() }
    }

    /// The logical id of the function that is meant by its logical id, its name, its partial or its whole ARN, each with a
    /// version behind it or without; `qualifier` is a version that was given beside the name.
    pub(crate) fn function(&self, name: &str, qualifier: Option<&str>) -> Option<&str> {
        let in_account = name.strip_prefix(&format!("arn:aws:lambda:{REGION}:")).unwrap_or(name);
        let name = in_account.strip_prefix(&format!("{ACCOUNT}:function:")).unwrap_or(in_account);
        let (name, version) = name.split_once(':').map_or((name, None), |(name, version)| (name, Some(version)));
        if version.into_iter().chain(qualifier).any(|version| version != LATEST) {
            return None;
        }
        let in_stack = name.strip_prefix(&*self.stack).and_then(|name| name.strip_prefix('-'));
        let found = self.logical_ids.iter().find(|id| *id == name || Some(id.as_str()) == in_stack);
        found.map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_found_by_every_name_it_has_and_by_no_other() {
        let names = Names { stack: "my-stack".into(), logical_ids: ["ApiFunction".to_owned()].into() };
        for name in [
            "ApiFunction",
            "ApiFunction:$LATEST",
            "my-stack-ApiFunction",
            "000000000000:function:my-stack-ApiFunction",
            "arn:aws:lambda:eu-central-1:000000000000:function:my-stack-ApiFunction",
            "arn:aws:lambda:eu-central-1:000000000000:function:ApiFunction:$LATEST",
        ] {
            assert_eq!(names.function(name, None), Some("ApiFunction"), "{name}");
            assert_eq!(names.function(name, Some(LATEST)), Some("ApiFunction"), "{name}");
            assert_eq!(names.function(name, Some("live")), None, "{name}");
        }
        for name in [
            "",
            "Api",
            "apifunction",
            "ApiFunction:1",
            "other-ApiFunction",
            "arn:aws:lambda:us-east-1:000000000000:function:ApiFunction",
            "111111111111:function:ApiFunction",
        ] {
            assert_eq!(names.function(name, None), None, "{name}");
        }
    }
}
