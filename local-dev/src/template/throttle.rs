//! What the APIs of a template let through in a second.

use serde::Deserialize;
use serde_json::Value;

use super::{Scope, TemplateError, http_api, resolve_string, resource::Resource, web_socket_api};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    default_route_settings: Option<Settings>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Settings {
    throttling_rate_limit: Option<Value>,
}

/// The rate limits of all APIs that have one.
#[derive(Debug)]
pub(super) struct Throttles(Vec<(String, Value)>);

impl Throttles {
    pub(super) fn read(resources: &[Resource<'_>]) -> Result<Self, TemplateError> {
        let mut limits = Vec::new();
        for api in resources.iter().filter(|api| [http_api::TYPE, web_socket_api::TYPE].contains(&api.type_name)) {
            let settings = api.properties::<Properties>()?.default_route_settings;
            let limit = settings.and_then(|settings| settings.throttling_rate_limit);
            limits.extend(limit.map(|limit| (api.logical_id.to_owned(), limit)));
        }
        Ok(Self(limits))
    }

    /// Those of this API.
    pub(super) fn of(&self, api: &str) -> Self {
        Self(self.0.iter().filter(|(name, _)| name == api).cloned().collect())
    }

    /// Requests and messages a second that all of them together take at the most.
    pub(super) fn rate(&self, scope: &Scope) -> Result<f64, TemplateError> {
        let rate = |(api, limit): &(String, Value)| {
            let limit = resolve_string(limit, scope)?;
            let property = "DefaultRouteSettings.ThrottlingRateLimit";
            limit.parse::<f64>().map_err(|error| TemplateError::property(api, property, error.to_string()))
        };
        self.0.iter().map(rate).sum()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn both_apis_are_throttled_and_leave_room_for_callbacks() {
        let template = super::super::tests::infra();
        let scope = template.scope(&std::collections::BTreeMap::new()).unwrap();
        assert_eq!(template.throttled_rate(&scope).unwrap(), 3000.0);
    }
}
