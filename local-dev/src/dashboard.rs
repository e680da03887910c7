//! The dashboard at `/`: what `npm run build` has made of `local-dev/dashboard`. Before that, `/` says how to get it.

use std::path::{Path, PathBuf};

use axum::{
    Router,
    extract::Request,
    http::{
        HeaderName, HeaderValue,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS},
    },
    middleware::{Next, from_fn},
    response::{IntoResponse as _, Response},
    routing::get,
};
use tower::ServiceExt as _;
use tower_http::services::{ServeDir, ServeFile};

/// Where the build is, on the machine this program was built on.
const BUILT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/dashboard/dist");

/// How to get it.
const HINT: &str =
    "Dashboard  not built yet: cd local-dev/dashboard && npm ci && npm run build, then load this page again\n";

/// The page needs what is served beside it, and nothing of another host: no script, no picture, no font, no request.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    // A page of a former build would ask for scripts that are gone.
    (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
];

/// `/` and what the page loads; `landing` is what `/` says without it.
pub(crate) fn router(landing: String) -> Router {
    built_in(Path::new(BUILT), landing + HINT)
}

fn built_in(folder: &Path, without: String) -> Router {
    let page: PathBuf = folder.join("index.html");
    let root = get(async move |request: Request| {
        if !page.is_file() {
            return without.into_response();
        }
        ServeFile::new(&page).oneshot(request).await.into_response()
    });
    Router::new().route("/", root).nest_service("/assets", ServeDir::new(folder.join("assets"))).layer(from_fn(headers))
}

async fn headers(request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    answer.headers_mut().extend(HEADERS);
    answer
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};

    use super::*;

    async fn get(router: &Router, path: &str) -> (u16, Response) {
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        (answer.status().as_u16(), answer)
    }

    async fn text(answer: Response) -> String {
        String::from_utf8(to_bytes(answer.into_body(), 10_000).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn before_it_is_built_the_root_says_in_one_line_how_to_get_it() {
        let folder = tempfile::tempdir().unwrap();
        let router = built_in(folder.path(), format!("Landing\n{HINT}"));
        let (status, answer) = get(&router, "/").await;
        let said = text(answer).await;
        assert_eq!(status, 200);
        assert_eq!(said.lines().filter(|line| line.contains("npm ci && npm run build")).count(), 1, "{said}");
        assert_eq!(get(&router, "/assets/index.js").await.0, 404);
    }

    #[tokio::test]
    async fn what_is_built_is_served_while_the_program_runs_and_may_load_nothing_from_another_host() {
        let folder = tempfile::tempdir().unwrap();
        let router = built_in(folder.path(), String::new());
        std::fs::create_dir(folder.path().join("assets")).unwrap();
        std::fs::write(folder.path().join("index.html"), "<!doctype html>").unwrap();
        std::fs::write(folder.path().join("assets/index.js"), "1").unwrap();
        for (path, kind) in [("/", "text/html"), ("/assets/index.js", "text/javascript")] {
            let (status, answer) = get(&router, path).await;
            assert_eq!(status, 200, "{path}");
            assert_eq!(answer.headers()["content-type"], kind, "{path}");
            let policy = answer.headers()["content-security-policy"].to_str().unwrap();
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("http"), "{policy}");
        }
        std::fs::write(folder.path().join("secret"), "2").unwrap();
        assert_eq!(get(&router, "/assets/../secret").await.0, 404);
        assert_eq!(get(&router, "/assets/%2e%2e/secret").await.0, 404);
    }
}
