//! What the APIs of a template let through in a second.

use serde::Deserialize;
use serde_json::Value;

use crate::gateway::Throttle;

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
    throttling_burst_limit: Option<Value>,
}

/// The settings of all APIs that have a rate limit.
#[derive(Debug)]
pub(super) struct Throttles(Vec<Limits>);

#[derive(Debug)]
struct Limits {
    api: String,
    rate: Value,
    burst: Option<Value>,
}

impl Throttles {
    pub(super) fn read(resources: &[Resource<'_>]) -> Result<Self, TemplateError> {
        let mut limits = Vec::new();
        for api in resources.iter().filter(|api| [http_api::TYPE, web_socket_api::TYPE].contains(&api.type_name)) {
            let Some(settings) = api.properties::<Properties>()?.default_route_settings else { continue };
            if let Some(rate) = settings.throttling_rate_limit {
                limits.push(Limits { api: api.logical_id.to_owned(), rate, burst: settings.throttling_burst_limit });
            }
        }
        Ok(Self(limits))
    }

    /// Requests and messages a second that all of them together take at the most.
    pub(super) fn rate(&self, scope: &Scope) -> Result<f64, TemplateError> {
        self.0.iter().map(|limits| limits.rate(scope)).sum()
    }

    /// What the routes of one API let through.
    pub(super) fn of(&self, api: &str, scope: &Scope) -> Result<Option<Throttle>, TemplateError> {
        let limits = self.0.iter().find(|limits| limits.api == api);
        let throttle = |limits: &Limits| {
            let rate = limits.rate(scope)?;
            Ok(Throttle { rate, burst: limits.burst(scope)?.unwrap_or(rate) })
        };
        limits.map(throttle).transpose()
    }
}

impl Limits {
    fn rate(&self, scope: &Scope) -> Result<f64, TemplateError> {
        self.number("ThrottlingRateLimit", &self.rate, scope)
    }

    fn burst(&self, scope: &Scope) -> Result<Option<f64>, TemplateError> {
        self.burst.as_ref().map(|burst| self.number("ThrottlingBurstLimit", burst, scope)).transpose()
    }

    fn number(&self, property: &str, value: &Value, scope: &Scope) -> Result<f64, TemplateError> {
        let property = format!("DefaultRouteSettings.{property}");
        let text = resolve_string(value, scope)?;
        text.parse()
            .map_err(|error: std::num::ParseFloatError| TemplateError::property(&self.api, property, error.to_string()))
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

    #[test]
    fn sockets_have_a_rate_and_a_burst() {
        let template = super::super::tests::infra();
        let given = [("SocketMessagesPerSecond".to_owned(), "7".to_owned())];
        let throttle = |given| template.socket_throttle(&template.scope(&given).unwrap()).unwrap().unwrap();
        assert_eq!(
            throttle(std::collections::BTreeMap::new()),
            crate::gateway::Throttle { rate: 2000.0, burst: 1000.0 }
        );
        assert_eq!(throttle(given.into()).rate, 7.0);
    }
}
