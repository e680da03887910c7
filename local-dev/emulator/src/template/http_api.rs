//! `AWS::Serverless::HttpApi`: its CORS configuration. The routes are events of the functions.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Scope, TemplateError, resolve, resource::Resource};

/// The type name of this resource.
pub(super) const TYPE: &str = "AWS::Serverless::HttpApi";

/// A declared HTTP API.
#[derive(Clone, Debug)]
pub struct HttpApi {
    /// The name of the API in the template.
    pub logical_id: String,
    cors: Option<Value>,
}

/// What browsers on other origins may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Cors {
    /// Origins, or `*`.
    pub allow_origins: Vec<String>,
    /// Methods, or `*`.
    pub allow_methods: Vec<String>,
    /// Request headers, or `*`.
    pub allow_headers: Vec<String>,
    /// Response headers a script may read.
    pub expose_headers: Vec<String>,
    /// Whether cookies may be sent.
    pub allow_credentials: bool,
    /// Seconds a preflight answer may be kept.
    pub max_age: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    cors_configuration: Option<Value>,
}

impl HttpApi {
    pub(super) fn read(resource: &Resource<'_>) -> Result<Self, TemplateError> {
        let properties: Properties = resource.properties()?;
        let origins = properties.cors_configuration.as_ref().and_then(|cors| cors.get("AllowOrigins"));
        if origins.is_some_and(Value::is_object) {
            let problem = "is an intrinsic function, and SAM would drop the rest of the configuration; \
                           write the whole CorsConfiguration as one, such as !If";
            return Err(resource.error("CorsConfiguration.AllowOrigins", problem));
        }
        Ok(Self { logical_id: resource.logical_id.to_owned(), cors: properties.cors_configuration })
    }

    /// Whether there may be a CORS configuration, depending on parameters.
    pub(super) fn declares_cors(&self) -> bool {
        self.cors.as_ref().is_some_and(|cors| !matches!(cors, Value::Null | Value::Bool(false)))
    }

    /// The CORS configuration, if there is one.
    pub fn cors(&self, scope: &Scope) -> Result<Option<Cors>, TemplateError> {
        let Some(cors) = &self.cors else { return Ok(None) };
        let value = match resolve(cors, scope)? {
            Value::Bool(false) | Value::Null => return Ok(None),
            // SAM's shorthand for everything.
            Value::Bool(true) => json!({ "AllowOrigins": ["*"] }),
            Value::String(origin) => json!({ "AllowOrigins": [origin] }),
            value => value,
        };
        serde_path_to_error::deserialize(&value).map(Some).map_err(|error| {
            let property = format!("CorsConfiguration.{}", error.path());
            TemplateError::property(&self.logical_id, property, error.into_inner().to_string())
        })
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_route_that_would_take_preflights_is_refused_where_there_is_cors() {
        let with = |cors: &str, event: &str| {
            let text = format!(
                "
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties: {{ {cors} }}
  F:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: ../functions/f
      Events: {{ E: {{ Type: HttpApi, Properties: {{ {event} }} }} }}
"
            );
            super::super::Template::parse(&text).map_err(|error| error.to_string())
        };
        let cors = "CorsConfiguration: { AllowOrigins: ['https://a.test'] }";
        for event in ["Method: ANY, Path: '/{proxy+}'", "Method: options, Path: /users", "Path: /users", ""] {
            let message = with(cors, event).unwrap_err();
            for part in ["`F`", "Events", "OPTIONS", "GET, POST"] {
                assert!(message.contains(part), "{event}: {message}");
            }
            assert!(with("", event).is_ok(), "{event}: without CORS the function may answer preflights itself");
        }
        assert!(with(cors, "Method: POST, Path: '/{proxy+}'").is_ok());
    }

    #[test]
    fn origins_that_sam_would_make_the_whole_configuration_are_refused() {
        let text = "
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties: { CorsConfiguration: { AllowOrigins: !Split [',', 'a,b'], MaxAge: 600 } }
";
        let message = super::super::Template::parse(text).unwrap_err().to_string();
        assert!(message.contains("`Api`") && message.contains("CorsConfiguration.AllowOrigins"), "{message}");
    }
}
