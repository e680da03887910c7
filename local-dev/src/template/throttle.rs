//! What the APIs of a template let through in a second.

use serde::Deserialize;

use super::{TemplateError, http_api, resource::Resource, web_socket_api};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    default_route_settings: Option<Settings>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Settings {
    throttling_rate_limit: Option<f64>,
}

/// Requests and messages a second that all APIs together take at the most; those without a throttle are not counted.
pub(super) fn read(resources: &[Resource<'_>]) -> Result<f64, TemplateError> {
    let apis = resources.iter().filter(|api| [http_api::TYPE, web_socket_api::TYPE].contains(&api.type_name));
    let rate = |api: &Resource<'_>| {
        let settings = api.properties::<Properties>()?.default_route_settings;
        Ok(settings.and_then(|settings| settings.throttling_rate_limit).unwrap_or_default())
    };
    apis.map(rate).sum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn both_apis_are_throttled_and_leave_room_for_callbacks() {
        assert_eq!(super::super::tests::infra().throttled_rate(), 3000.0);
    }
}
