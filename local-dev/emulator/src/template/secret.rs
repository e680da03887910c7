//! `AWS::SecretsManager::Secret`, and the dynamic references by which an environment variable takes its value.

use super::{TemplateError, resource::Resource};

/// The type name of this resource.
pub(super) const TYPE: &str = "AWS::SecretsManager::Secret";

const OPENING: &str = "{{resolve:";

/// The logical id of a secret.
#[allow(clippy::unnecessary_wraps, reason = "readers of resources may fail")]
pub(super) fn read(resource: &Resource<'_>) -> Result<String, TemplateError> {
    Ok(resource.logical_id.to_owned())
}

/// The name in `{{resolve:secretsmanager:<name>:SecretString::<stage>}}`; `None` for a text that is no reference.
///
/// # Errors
/// For a reference of another kind, which nothing here can follow.
pub(super) fn referenced(text: &str) -> Result<Option<&str>, TemplateError> {
    let Some(reference) = text.strip_prefix(OPENING) else { return Ok(None) };
    let name = reference
        .strip_prefix("secretsmanager:")
        .and_then(|rest| rest.strip_suffix("}}"))
        .and_then(|rest| rest.split(':').next());
    name.map(Some).ok_or_else(|| {
        TemplateError::intrinsic(text, "is a dynamic reference that is not followed here; it knows secretsmanager")
    })
}

#[cfg(test)]
mod tests {
    use super::referenced;

    #[test]
    fn a_reference_names_its_secret() {
        let text = "{{resolve:secretsmanager:TokenSecret:SecretString::AWSCURRENT}}";
        assert_eq!(referenced(text).unwrap(), Some("TokenSecret"));
        assert_eq!(referenced("{{resolve:secretsmanager:TokenSecret}}").unwrap(), Some("TokenSecret"));
        assert_eq!(referenced("plain").unwrap(), None);
        assert!(referenced("{{resolve:ssm:parameter}}").is_err());
    }
}
