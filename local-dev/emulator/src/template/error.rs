//! What can be wrong with a template, said so that it can be put right.

/// A template that cannot be read, or a value of it that cannot be resolved.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The template is no YAML at all.
    #[error("the template is not valid YAML: {0}")]
    Yaml(String),
    /// YAML, but not a SAM template.
    #[error("the template has no section `{0}`; add it at the top level")]
    MissingSection(&'static str),
    /// A property is missing, of the wrong shape, or contradicts another one.
    #[error("resource `{resource}`, property `{property}`: {problem}")]
    Property {
        /// Logical id.
        resource: String,
        /// Path below `Properties`.
        property: String,
        /// What is wrong and what to write instead.
        problem: String,
    },
    /// A reference to something nobody declared or gave.
    #[error(
        "`{0}` has no value on this machine, where there are parameters with a Default, tables (!Ref, Arn, StreamArn), \
         secrets and the WebSocketApi (!Ref), and AWS::Region, AccountId, Partition, URLSuffix and StackName; refer to one \
         of these, or give it a value in local-dev/emulator/src/cloud/environment.rs"
    )]
    UnknownName(String),
    /// A variable of a function that has no value for the reason given.
    #[error("function `{function}`, variable `{variable}`: {source}")]
    Variable {
        /// Logical id.
        function: String,
        /// The name of the variable.
        variable: String,
        /// Why the variable has no value.
        source: Box<TemplateError>,
    },
    /// A value was given for a parameter that the template does not declare.
    #[error("the template has no parameter `{0}`; its parameters are: {1}")]
    UnknownParameter(String, String),
    /// A value was given that CloudFormation would refuse.
    #[error("the template's parameter `{name}` does not take this value: {problem}")]
    Parameter {
        /// The name of the parameter.
        name: String,
        /// What the parameter takes.
        problem: String,
    },
    /// An intrinsic function with arguments it does not take, or one that is not imitated.
    #[error("{function}: {problem}")]
    Intrinsic {
        /// Long form, e.g. `Fn::Join`.
        function: String,
        /// What is wrong and what to write instead.
        problem: String,
    },
}

impl TemplateError {
    pub(super) fn property(
        resource: impl Into<String>,
        property: impl Into<String>,
        problem: impl Into<String>,
    ) -> Self {
        Self::Property { resource: resource.into(), property: property.into(), problem: problem.into() }
    }

    /// The error as a reason why a function has no such variable.
    pub fn of_variable(self, function: &str, variable: &str) -> Self {
        Self::Variable { function: function.to_owned(), variable: variable.to_owned(), source: self.into() }
    }

    pub(super) fn intrinsic(function: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Intrinsic { function: function.into(), problem: problem.into() }
    }
}
