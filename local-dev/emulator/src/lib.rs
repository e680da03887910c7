//! AWS on a laptop, as far as a serverless WebSocket and REST service needs it: a SAM template is read, and what it
//! declares is there: HTTP API, WebSocket API with its management API, Lambda with its Invoke API and event sources,
//! DynamoDB with streams, schedules, SES and SNS, policies. It knows no service in particular.
//!
//! It re-implements no behaviour of functions: it builds the events AWS would send, and obeys the answers.
//!
//! ```no_run
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use emulator::{Emulator, Settings, handler};
//! use serde_json::json;
//!
//! let hello = handler(|_event, _context| async { Ok(json!({ "statusCode": 200, "body": "hello" })) });
//! let template = std::fs::read_to_string("template.yaml")?;
//! let running = Emulator::of(&template)?.function("hello", move |_| Ok(hello.clone())).start(Settings::default()).await?;
//! println!("{}", running.url());
//! # Ok(())
//! # }
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod cloud;
mod dynamodb;
mod event;
mod event_source;
mod faults;
mod functions;
mod gateway;
mod http_api;
mod invoke_api;
mod messages;
mod own_host;
mod permissions;
mod schedule;
mod server;
mod settings;
mod tally;
pub mod template;
mod throttle;
mod undelivered;

pub use cloud::{Emulator, Entrance, Running, StartError};
pub use faults::{Fault, Faults, Often, duration};
pub use functions::{BoxError, Environment, Failure, Handler, handler};
pub use gateway::{Accepted, BufferFull, Close, Gateway, NotSent, UpgradeRequest, Wire};
pub use permissions::{Call, Permissions, needs, out_of_bounds};
pub use server::{CloseHandle, Peer};
pub use settings::{DynamoDb, Limits, Settings};
pub use tally::Spent;

/// The region everything here claims to be in.
const REGION: &str = "eu-central-1";
