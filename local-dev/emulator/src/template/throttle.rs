//! What the APIs of a template let through in a second: each route by default, and single ones.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::throttle::{StageThrottle, Throttle};

use super::{
    Route, Scope, TemplateError,
    function::{self, Event},
    http_api, resolve_string,
    resource::Resource,
    web_socket_api,
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfApi {
    default_route_settings: Option<Settings>,
    /// The settings of single routes, by route key.
    #[serde(default)]
    route_settings: BTreeMap<String, Settings>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfFunction {
    #[serde(default)]
    events: BTreeMap<String, Event>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfEvent {
    method: Option<String>,
    path: Option<String>,
    route_settings: Option<Settings>,
}

/// The settings of a route, or of all that have none.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Settings {
    throttling_rate_limit: Option<Value>,
    throttling_burst_limit: Option<Value>,
}

/// The kinds of APIs; a template has one of each at the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    Rest,
    Sockets,
}

impl Api {
    fn of(type_name: &str) -> Option<Self> {
        match type_name {
            http_api::TYPE => Some(Self::Rest),
            web_socket_api::TYPE => Some(Self::Sockets),
            _ => None,
        }
    }
}

/// The settings of all routes.
#[derive(Debug)]
pub(super) struct Throttles(Vec<Limits>);

#[derive(Debug)]
struct Limits {
    api: Api,
    /// `None`: all that have no settings of their own.
    route: Option<String>,
    /// Where the limits are written: the logical id, and the path of the property.
    place: (String, String),
    settings: Settings,
}

impl Throttles {
    pub(super) fn read(resources: &[Resource<'_>]) -> Result<Self, TemplateError> {
        let mut all = Vec::new();
        for resource in resources {
            if let Some(api) = Api::of(resource.type_name) {
                let OfApi { default_route_settings, route_settings } = resource.properties()?;
                let default =
                    default_route_settings.map(|settings| (None, "DefaultRouteSettings".to_owned(), settings));
                let single = route_settings
                    .into_iter()
                    .map(|(route, settings)| (Some(route.clone()), format!("RouteSettings.{route}"), settings));
                all.extend(default.into_iter().chain(single).map(|(route, property, settings)| Limits {
                    api,
                    route,
                    place: (resource.logical_id.to_owned(), property),
                    settings,
                }));
            } else if resource.type_name == function::TYPE {
                let OfFunction { events } = resource.properties()?;
                for (name, event) in events.into_iter().filter(|(_, event)| event.r#type == "HttpApi") {
                    let property = format!("Events.{name}.Properties");
                    let event: OfEvent = resource.typed(&event.properties, &property)?;
                    let Some(settings) = event.route_settings else { continue };
                    let route = Some(Route::of_event(event.method, event.path).key());
                    let place = (resource.logical_id.to_owned(), format!("{property}.RouteSettings"));
                    all.push(Limits { api: Api::Rest, route, place, settings });
                }
            }
        }
        Ok(Self(all))
    }

    /// Requests and messages a second that all APIs together take at the most, by the throttles that are not of single
    /// routes.
    pub(super) fn rate(&self, scope: &Scope) -> Result<f64, TemplateError> {
        let defaults = self.0.iter().filter(|limits| limits.route.is_none());
        defaults.map(|limits| Ok(limits.rate(scope)?.unwrap_or_default())).sum()
    }

    /// What the routes of one API let through. What a route leaves out of its settings is that of all.
    pub(super) fn of(&self, api: Api, scope: &Scope) -> Result<StageThrottle, TemplateError> {
        let mut throttle = StageThrottle::default();
        let (defaults, single): (Vec<_>, Vec<_>) =
            self.0.iter().filter(|limits| limits.api == api).partition(|limits| limits.route.is_none());
        for limits in defaults.into_iter().chain(single) {
            let default = throttle.default;
            let Some(rate) = limits.rate(scope)?.or(default.map(|default| default.rate)) else { continue };
            let burst = limits.burst(scope)?.or(default.map(|default| default.burst)).unwrap_or(rate);
            match &limits.route {
                None => throttle.default = Some(Throttle { rate, burst }),
                Some(route) => drop(throttle.routes.insert(route.clone(), Throttle { rate, burst })),
            }
        }
        Ok(throttle)
    }
}

impl Limits {
    fn rate(&self, scope: &Scope) -> Result<Option<f64>, TemplateError> {
        self.number("ThrottlingRateLimit", self.settings.throttling_rate_limit.as_ref(), scope)
    }

    fn burst(&self, scope: &Scope) -> Result<Option<f64>, TemplateError> {
        self.number("ThrottlingBurstLimit", self.settings.throttling_burst_limit.as_ref(), scope)
    }

    fn number(&self, name: &str, value: Option<&Value>, scope: &Scope) -> Result<Option<f64>, TemplateError> {
        let Some(value) = value else { return Ok(None) };
        let text = resolve_string(value, scope)?;
        text.parse().map(Some).map_err(|error: std::num::ParseFloatError| {
            let (resource, property) = &self.place;
            TemplateError::property(resource, format!("{property}.{name}"), error.to_string())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_route_leaves_out_is_that_of_all_and_what_is_no_number_is_named() {
        let with = |settings: &str| {
            let text = format!(
                "
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      DefaultRouteSettings: {{ ThrottlingRateLimit: 10, ThrottlingBurstLimit: 5 }}
      RouteSettings: {{ 'GET /a': {settings} }}
"
            );
            let template = super::super::Template::parse(&text).unwrap();
            template.rest_throttle(&template.scope(&BTreeMap::new()).unwrap()).map_err(|error| error.to_string())
        };
        let of = |settings| with(settings).unwrap().routes["GET /a"];
        assert_eq!(of("{ ThrottlingRateLimit: 2 }"), Throttle { rate: 2.0, burst: 5.0 });
        assert_eq!(of("{ ThrottlingBurstLimit: 2 }"), Throttle { rate: 10.0, burst: 2.0 });
        let message = with("{ ThrottlingRateLimit: many }").unwrap_err();
        assert!(message.contains("`Api`") && message.contains("RouteSettings.GET /a.ThrottlingRateLimit"), "{message}");
    }
}
