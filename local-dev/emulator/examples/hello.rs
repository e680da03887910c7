//! A template and a closure: `cargo run -p emulator --example hello`, then `curl localhost:3000/hello`.

use emulator::{Emulator, Settings, handler};
use serde_json::json;

const TEMPLATE: &str = "
Resources:
  Api: { Type: AWS::Serverless::HttpApi }
  Hello:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/hello
      Events: { Get: { Type: HttpApi, Properties: { Path: '/{name}', Method: GET } } }
";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hello = handler(|event, _context| async move {
        let name = event["pathParameters"]["name"].as_str().unwrap_or_default();
        Ok(json!({ "statusCode": 200, "body": format!("Hello, {name}!\n") }))
    });
    let emulator = Emulator::of(TEMPLATE)?.function("hello", move |_environment| Ok(hello.clone()));
    let running = emulator.start(Settings { address: ([127, 0, 0, 1], 3000).into(), ..Settings::default() }).await?;
    println!("Listening at {}, Ctrl-C stops", running.url());
    tokio::signal::ctrl_c().await?;
    running.stop().await;
    Ok(())
}
