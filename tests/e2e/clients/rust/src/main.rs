//! `rust_socketio`, the Rust client: `rust-client <url> <token> [path]`. It says what happens to it, a line of JSON each.
//! What it writes for either entrance is what CLIENTS.md says: a path for API Gateway only.

use std::{env, process::ExitCode};

use rust_socketio::{ClientBuilder, Event, Payload, TransportType};
use serde_json::{Value, json};

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let (Some(url), Some(token)) = (args.next(), args.next()) else { return ExitCode::FAILURE };
    // The path of the URL is that of the server; a slash at its end is kept.
    let url = args.next().map_or_else(|| url.clone(), |path| format!("{url}{path}/"));
    let client = ClientBuilder::new(url)
        .namespace("/users")
        .transport_type(TransportType::Websocket)
        .reconnect(false)
        .auth(json!({ "token": token }))
        .on(Event::Connect, |_, _| say(&json!(["connect"])))
        .on(Event::Error, |payload, _| say(&json!(["refused", text(&payload)])))
        .on(Event::Close, |_, _| {
            say(&json!(["disconnect"]));
            std::process::exit(0);
        })
        .on_any(|event, payload, _| {
            if let (Event::Custom(name), Payload::Text(args)) = (event, payload) {
                let line = [json!("event"), name.into()].into_iter().chain(args);
                say(&line.collect::<Value>());
            }
        })
        .connect();
    match client {
        // Its callbacks run on threads of its own, until this program is ended.
        Ok(_client) => loop {
            std::thread::park();
        },
        Err(error) => {
            say(&json!(["refused", error.to_string()]));
            ExitCode::FAILURE
        }
    }
}

fn text(payload: &Payload) -> String {
    match payload {
        Payload::Text(values) => values.iter().map(Value::to_string).collect(),
        #[allow(deprecated, reason = "errors still come as this")]
        Payload::String(text) => text.clone(),
        Payload::Binary(_) => String::new(),
    }
}

fn say(line: &Value) {
    println!("{line}");
}
