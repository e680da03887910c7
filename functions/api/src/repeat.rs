//! `Idempotency-Key`: a request that is sent again, because its answer got lost on the way, is answered again and not done
//! again.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header::CONTENT_TYPE},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use shared::{
    Error,
    auth::{Claims, Role},
    repeats::{Asked, Begun, Kept},
};

use crate::{App, body_limit, caller::bearer, error_response::ErrorResponse};

/// The header.
pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Says of an answer that it is one of before.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Most characters of a key.
pub(crate) const LONGEST_KEY: usize = 255;

/// The one route that asks for no token: whoever registers is nobody yet, whatever token comes along.
const OPEN: &str = "/api/v1/users/register";

/// Whether the header means anything for this route. Not for sessions: their answers are secrets, which are not kept, and
/// a second login or refresh does no harm.
pub(crate) fn applies(method: &Method, route: &str) -> bool {
    [Method::POST, Method::DELETE].contains(method) && route.starts_with("/api/v1/users")
}

/// Around every route: does what was not done yet, and repeats the answer of what was.
pub(crate) async fn once(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
    if !applies(request.method(), &route) || !request.headers().contains_key(IDEMPOTENCY_KEY) {
        return next.run(request).await;
    }
    answered(&app, &route, request, next).await.unwrap_or_else(|error| ErrorResponse::from(error).into_response())
}

async fn answered(app: &App, route: &str, request: Request, next: Next) -> Result<Response, Error> {
    let (parts, body) = request.into_parts();
    let key = key(&parts.headers)?;
    let body = body_limit::bytes(body).await?;
    let asker = Asker::of(app, route, &parts.headers);
    let name = match &asker {
        Asker::Anybody => "anybody",
        Asker::Bearer(claims) => &claims.sub,
        // The route says what is wrong with the token, or that there is none.
        Asker::Unknown => return Ok(next.run(Request::from_parts(parts, Body::from(body))).await),
    };
    let asked =
        Asked { caller: name, route: &format!("{} {}", parts.method, parts.uri.path()), key: &key, body: &body };
    let ticket = match app.repeats.begin(&asked).await? {
        Begun::First(ticket) => ticket,
        // A ban is felt at once, also by who asks for something again.
        Begun::Again(_) if is_banned(app, &asker).await? => return Err(Error::AccountBanned),
        Begun::Again(kept) => return Ok(replay(kept)),
    };
    let answer = next.run(Request::from_parts(parts, Body::from(body.clone()))).await;
    let (parts, body) = answer.into_parts();
    let body = body_limit::bytes(body).await.unwrap_or_default();
    // What was refused may be tried again with the same key.
    let noted = match parts.status.is_success() {
        true => app.repeats.keep(&asked, &ticket, &kept(parts.status, &body)).await,
        false => app.repeats.abandon(&asked, &ticket).await,
    };
    // It was done, or refused, and that is the answer.
    if let Err(error) = noted {
        error.log();
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn key(headers: &HeaderMap) -> Result<String, Error> {
    let key = headers.get(IDEMPOTENCY_KEY).and_then(|key| key.to_str().ok()).unwrap_or_default();
    if key.is_empty() || key.len() > LONGEST_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message = format!("must have 1 to {LONGEST_KEY} visible ASCII characters, such as a random UUID");
        return Err(Error::field("Idempotency-Key", message));
    }
    Ok(key.to_owned())
}

/// Who asks.
enum Asker {
    /// Nobody in particular: the route needs no token.
    Anybody,
    /// The bearer of a good token.
    Bearer(Claims),
    /// Nobody knows: the route needs a token, and there is none, or none that is good.
    Unknown,
}

impl Asker {
    fn of(app: &App, route: &str, headers: &HeaderMap) -> Self {
        if route == OPEN {
            return Self::Anybody;
        }
        let claims = bearer(headers).and_then(|token| app.tokens.verify(token).ok());
        claims.map_or(Self::Unknown, Self::Bearer)
    }
}

async fn is_banned(app: &App, asker: &Asker) -> Result<bool, Error> {
    match asker {
        Asker::Bearer(claims) if claims.role == Role::User => {
            // Who was deleted may hear again that it worked.
            Ok(app.users.get(claims.user_id()?).await?.is_some_and(|user| user.is_banned))
        }
        _ => Ok(false),
    }
}

fn kept(status: StatusCode, body: &Bytes) -> Kept {
    Kept { status: status.as_u16(), body: String::from_utf8_lossy(body).into_owned() }
}

fn replay(kept: Kept) -> Response {
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    let headers =
        [(CONTENT_TYPE, HeaderValue::from_static("application/json")), (REPLAYED, HeaderValue::from_static("true"))];
    (status, headers, kept.body).into_response()
}
