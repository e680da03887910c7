//! The log: a request can be followed through it, and nobody's secrets are in it.

use jiff::{Timestamp, ToSpan as _};
use reqwest::Method;
use serde_json::{Value, json};
use shared::auth::Role;
use tests::{
    Edge, Process, Rest, Socket, TOKEN_SECRET, tokens, until,
    user::{path, path_to},
};

/// Everything our crates say, and what others say in production; but not what people would have been sent, which only
/// `local-dev` prints.
const EVERYTHING: &str = "emulator::messages=off,info,api=trace,broadcast=trace,connect=trace,disconnect=trace,handshake=trace,\
                          heartbeat=trace,message=trace,notify=trace,shared=trace,emulator=trace,local_dev=trace";

/// What goes wrong on the busy day: the first record until it is too old, so that it is given up.
#[rustfmt::skip]
const FAULTS: [&str; 8] =
    ["--fault", "throttle=50%", "--fault", "fail=broadcast:6", "--fault", "fail=notify:2", "--record-age", "2s"];

async fn program(faults: &[&str]) -> Process {
    let arguments = [&["--port", "0", "--token-secret", TOKEN_SECRET], faults].concat();
    Process::logging(env!("CARGO_BIN_EXE_cloud"), &arguments, EVERYTHING).await
}

#[tokio::test]
async fn a_request_is_followed_from_its_answer_to_the_frames_it_caused() {
    let mut program = program(&[]).await;
    let mut feed = Socket::connected(&program, Edge::Gateway, None).await;
    let admin = program.rest().login_admin().await;
    let user = admin.register().await;
    let changes = [
        (Method::PATCH, "", json!({"fullName": "Sara Ahmadi Nik"}), "users.updated"),
        (Method::POST, "/ban", json!({"reason": "fraud"}), "users.updated"),
        (Method::POST, "/unban", json!({}), "users.updated"),
        (Method::DELETE, "", json!({}), "users.deleted"),
    ];
    assert_eq!(feed.event().await.0, "users.created");
    let sent = admin.post(&path_to(&user, "/email/verify/send"), json!({})).await;
    program.logged(&[sent.headers["x-request-id"].to_str().unwrap(), "sent a code"]).await;
    for (method, action, body, event) in changes {
        let answer = admin.raw(method, &path_to(&user, action), "application/json", body.to_string()).await;
        let id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
        answer.expect(200);
        // Exactly one event: that the row now names another request is no change of the user.
        let (name, payload) = feed.event().await;
        assert_eq!(name, event);
        assert!(!payload.to_string().contains(&id), "{payload}");
        program.logged(&[&id, "answered", "status=200"]).await;
        program.logged(&[&id, "telling a room", event]).await;
        program.logged(&[&id, "posted a frame"]).await;
    }
    program.interrupt().await;
}

/// Does everything there is to do, and returns what must not be found in the log.
async fn a_busy_day(program: &Process) -> Vec<String> {
    let (rest, admin) = (program.rest(), program.rest().login_admin().await);
    let mut form = Rest::registration();
    form["email"] = json!("logged.sara@private.example");
    form["phone"] = json!("+989129990001");
    form["password"] = json!("a chosen passphrase");
    let user = rest.post("/users/register", form.clone()).await.expect(201)["user"].clone();
    rest.post("/users/register", form.clone()).await.is_refused(409, "EMAIL_TAKEN");
    let mut strange = form.clone();
    strange["logged.key@private.example"] = json!(true);
    rest.post("/users/register", strange).await.expect(400);
    for key in ["fullName", "countryCode", "phone", "email", "password"] {
        let mut wrong = form.clone();
        wrong[key] = json!({"a chosen passphrase": "logged.sara@private.example +989129990001"});
        rest.post("/users/register", wrong).await.expect(400);
    }
    rest.raw(Method::POST, "/users/register", "application/json", form.to_string().split_off(1)).await;

    let right = json!({"email": form["email"], "password": form["password"]});
    let login = rest.post("/auth/user/login", right.clone()).await.expect(200);
    let token = login["tokens"]["accessToken"].as_str().unwrap();
    for (email, password) in [("logged.sara@private.example", "a guessed passphrase"), ("nobody@private.example", "x")]
    {
        for login in ["/auth/user/login", "/auth/admin/login"] {
            rest.post(login, json!({"email": email, "password": password})).await.is_refused(401, "WRONG_CREDENTIALS");
        }
    }
    let forged = format!("{}x", &token[..token.len() - 1]);
    let own = rest.with_token(token);
    own.get("/auth/me").await.expect(200);
    own.get(&format!("/users/{token}?email=logged.sara@private.example")).await.expect(400);
    own.get("/users/logged.sara@private.example").await.expect(400);
    own.get("/logged.sara@private.example/a%20chosen%20passphrase").await.expect(404);
    own.patch(&path(&user), json!({"fullName": "logged.sara@private.example"})).await.expect(400);
    rest.with_token(&forged).get("/auth/me").await.is_refused(401, "UNAUTHENTICATED");
    let expired = sockets(program, token, &forged).await;
    let refresh_tokens = refresh_tokens(&rest, &login).await;
    let codes = codes(&user, &own).await;

    let mut feed = Socket::connected(program, Edge::Gateway, Some(admin.token())).await;
    admin.patch(&path(&user), json!({"photoUrl": "https://cdn.private.example/sara.png"})).await.expect(200);
    for action in ["/ban", "/unban"] {
        admin.post(&path_to(&user, action), json!({"reason": "calls +989129990001 at night"})).await.expect(200);
    }
    rest.post("/auth/user/login", right).await.expect(200);
    admin.delete(&path(&user)).await.expect(200);
    while feed.event().await.0 != "users.deleted" {}

    let all =
        ["private.example", "+98912999", "989129990001", "passphrase", "local-admin", "admin@example.com", "argon2"];
    let tokens = [admin.token().to_owned(), token.to_owned(), forged, expired];
    all.map(str::to_owned).into_iter().chain(tokens).chain(refresh_tokens).chain(codes).collect()
}

/// Verifies both addresses, with a wrong guess before; returns the codes.
async fn codes(user: &Value, own: &Rest) -> Vec<String> {
    let mut codes = Vec::new();
    for channel in ["email", "phone"] {
        let confirm = path_to(user, &format!("/{channel}/verify/confirm"));
        own.post(&path_to(user, &format!("/{channel}/verify/send")), json!({})).await.expect(200);
        own.post(&path_to(user, &format!("/{channel}/verify/send")), json!({})).await.expect(429);
        until(async || own.messages().await.len() > codes.len()).await;
        let code = own.messages().await[codes.len()]["text"].as_str().unwrap().split(' ').next().unwrap().to_owned();
        let guess: String = code.chars().rev().collect();
        own.post(&confirm, json!({ "code": format!("{guess}x") })).await.expect(400);
        own.post(&confirm, json!({ "code": code })).await.expect(200);
        codes.push(code);
    }
    codes
}

/// Refreshes, refreshes once more with the used token, logs out; returns the refresh tokens.
async fn refresh_tokens(rest: &Rest, login: &Value) -> Vec<String> {
    let token = |session: &Value| session["tokens"]["refreshToken"].as_str().unwrap().to_owned();
    let used = token(login);
    let next = rest.post("/auth/user/refresh", json!({ "refreshToken": used })).await.expect(200);
    let newest = rest.post("/auth/user/refresh", json!({ "refreshToken": token(&next) })).await.expect(200);
    rest.post("/auth/user/refresh", json!({ "refreshToken": used })).await.expect(401);
    rest.post("/auth/user/logout", json!({ "refreshToken": token(&newest) })).await;
    vec![used, token(&next), token(&newest)]
}

/// What a socket can say, with a token and about one; returns one more token.
async fn sockets(program: &Process, token: &str, forged: &str) -> String {
    let expired = tokens(TOKEN_SECRET).issue_at("admin", Role::Admin, Timestamp::now() - 901.seconds()).unwrap();
    for edge in Edge::ALL {
        for refused in [forged, &expired, "logged.sara@private.example"] {
            let mut socket = Socket::connecting(program, edge, Some(json!({ "token": refused }))).await;
            assert!(socket.frame().await.unwrap().starts_with("44"), "{edge:?}");
        }
        let mut socket = Socket::connected(program, edge, Some(token)).await;
        socket.send(&format!(r#"42/users,["logged.sara@private.example","{token}"]"#)).await;
        // Not JSON: the connection is closed for it, by one edge at least.
        socket.send(&format!(r#"42/users,["{token} logged.sara@private.example"#)).await;
        let foreign = Socket::dial(program, edge, Some("https://foreign.example")).await;
        assert!(foreign.is_err(), "{edge:?}");
    }
    expired
}

#[tokio::test]
async fn no_address_number_token_password_or_code_is_ever_logged() {
    let program = program(&FAULTS).await;
    let secrets = a_busy_day(&program).await;
    let log = program.into_log().await;
    for expected in ["answered", "telling a room", "posted a frame", "request_id", "failed on purpose", "are given up"]
    {
        assert!(log.contains(expected), "this log is not what it should be: no `{expected}` in\n{log}");
    }
    for secret in secrets {
        let found: Vec<_> = log.lines().filter(|line| line.contains(&secret)).collect();
        assert!(found.is_empty(), "`{secret}` is in the log: {found:#?}");
    }
}
