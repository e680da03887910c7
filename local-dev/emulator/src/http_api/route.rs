//! Which declared route a request takes: the most specific one, as API Gateway chooses.

use std::collections::HashMap;

use axum::http::Method;
use percent_encoding::percent_decode_str;

use crate::template::Route;

/// How well a pattern fits; the least is the best. Declared in the order in which they are compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Fit {
    /// Whether the route is `$default`, which takes what is left.
    default: bool,
    /// Whether a greedy variable took the rest.
    greedy: bool,
    /// What each segment was matched by, from the left: the longer literal prefix wins.
    segments: Vec<Segment>,
    /// An explicit method goes before `ANY`.
    any_method: bool,
}

/// What matched one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal,
    Variable,
    Greedy,
}

/// A route that fits, and what its variables stand for.
pub(super) struct Match<'a> {
    pub(super) function: &'a str,
    /// `POST /users/{id}`, or `$default`.
    pub(super) key: String,
    /// Decoded, by name.
    pub(super) variables: HashMap<String, String>,
}

/// The best of the declared routes and the function it leads to.
pub(super) fn choose<'a>(routes: &'a [(Route, String)], method: &Method, path: &str) -> Option<Match<'a>> {
    let fitting = routes.iter().filter_map(|(route, function)| {
        let any_method = route.method == "ANY";
        let (fit, variables) = fit(route, path).filter(|_| any_method || route.method == method.as_str())?;
        Some((Fit { any_method, ..fit }, variables, route, function))
    });
    let (_, variables, route, function) = fitting.min_by(|(one, ..), (other, ..)| one.cmp(other))?;
    Some(Match { function, key: route.key(), variables })
}

/// How a path fits a pattern, whatever the method.
fn fit(route: &Route, path: &str) -> Option<(Fit, HashMap<String, String>)> {
    let mut fit = Fit { default: route.path == "$default", greedy: false, segments: Vec::new(), any_method: false };
    let mut variables = HashMap::new();
    if fit.default {
        return Some((fit, variables));
    }
    let (mut patterns, mut rest) = (route.path.split('/'), Some(path));
    loop {
        let (pattern, remaining) = match (patterns.next(), rest) {
            (None, None) => return Some((fit, variables)),
            (Some(pattern), Some(remaining)) => (pattern, remaining),
            _ => return None,
        };
        let name = pattern.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
        if let Some(name) = name.and_then(|name| name.strip_suffix('+')) {
            variables.insert(name.to_owned(), decoded(remaining));
            fit.greedy = true;
            fit.segments.push(Segment::Greedy);
            return Some((fit, variables));
        }
        let (segment, after) = remaining.split_once('/').map_or((remaining, None), |(s, after)| (s, Some(after)));
        rest = after;
        match name {
            Some(name) if !segment.is_empty() => {
                variables.insert(name.to_owned(), decoded(segment));
                fit.segments.push(Segment::Variable);
            }
            None if pattern == segment => fit.segments.push(Segment::Literal),
            _ => return None,
        }
    }
}

/// What is no UTF-8 once decoded is shown as such, as in every text of an event.
fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(routes: &[(&str, &str)], method: &Method, path: &str) -> Option<String> {
        let route = |(method, path): &(&str, &str)| Route { method: (*method).to_owned(), path: (*path).to_owned() };
        let routes: Vec<_> = routes.iter().map(|pair| (route(pair), "F".to_owned())).collect();
        choose(&routes, method, path).map(|found| found.key)
    }

    /// The order of <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html>.
    #[test]
    fn the_most_specific_route_wins_however_they_are_declared() {
        let mut routes =
            [("GET", "/pets/dog/1"), ("GET", "/pets/dog/{id}"), ("GET", "/pets/{proxy+}"), ("ANY", "/{proxy+}")];
        for _ in 0..routes.len() {
            routes.rotate_left(1);
            for (path, expected) in [
                ("/pets/dog/1", "GET /pets/dog/1"),
                ("/pets/dog/2", "GET /pets/dog/{id}"),
                ("/pets/cat/1", "GET /pets/{proxy+}"),
                ("/test/5", "ANY /{proxy+}"),
            ] {
                assert_eq!(key(&routes, &Method::GET, path).as_deref(), Some(expected), "{path} {routes:?}");
            }
            assert_eq!(key(&routes, &Method::POST, "/pets/dog/1").as_deref(), Some("ANY /{proxy+}"));
        }
    }

    #[test]
    fn a_full_match_goes_before_a_greedy_one_and_that_before_default() {
        let routes = [("ANY", "$default"), ("ANY", "/a/{proxy+}"), ("ANY", "/{x}/{y}")];
        assert_eq!(key(&routes, &Method::GET, "/a/b").as_deref(), Some("ANY /{x}/{y}"));
        assert_eq!(key(&routes, &Method::GET, "/a/b/c").as_deref(), Some("ANY /a/{proxy+}"));
        assert_eq!(key(&routes, &Method::GET, "/b").as_deref(), Some("$default"));
    }

    #[test]
    fn an_explicit_method_goes_before_any() {
        let routes = [("ANY", "/users"), ("GET", "/users")];
        assert_eq!(key(&routes, &Method::GET, "/users").as_deref(), Some("GET /users"));
        assert_eq!(key(&routes, &Method::POST, "/users").as_deref(), Some("ANY /users"));
    }

    #[test]
    fn what_does_not_fit_is_not_matched() {
        for (pattern, path) in [("/users/{id}", "/users/"), ("/users/{id}", "/users/5/ban"), ("/users", "/user")] {
            assert_eq!(key(&[("ANY", pattern)], &Method::GET, path), None, "{pattern} {path}");
        }
    }

    #[test]
    fn variables_are_decoded_and_a_greedy_one_has_the_rest_of_the_path() {
        let route = |path: &str| [(Route { method: "ANY".into(), path: path.into() }, "F".to_owned())];
        let variables = |pattern: &str, path: &str| choose(&route(pattern), &Method::GET, path).unwrap().variables;
        let map = |name: &str, value: &str| HashMap::from([(name.to_owned(), value.to_owned())]);
        assert_eq!(variables("/users/{id}/ban", "/users/a%20b+c/ban"), map("id", "a b+c"));
        assert_eq!(variables("/{proxy+}", "/api/v1/h%C3%A9"), map("proxy", "api/v1/hé"));
        assert_eq!(variables("/health", "/health"), HashMap::new());
    }
}
