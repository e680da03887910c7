//! The table of functions, by folder under `functions/`: each is started by the emulator as the Lambda runtime would.

use std::sync::Arc;

use emulator::{BoxError, Emulator, Environment, Failure, Handler, handler};
use lambda_runtime::LambdaEvent;
use shared::{config, error::Chain, lambda};

/// The emulator with the code of every function.
pub(crate) fn in_emulator(emulator: Emulator) -> Emulator {
    emulator
        .function("api", start::<api::Api>)
        .function("broadcast", start::<broadcast::Broadcast>)
        .function("connect", start::<connect::Connect>)
        .function("disconnect", start::<disconnect::Disconnect>)
        .function("handshake", start::<handshake::Handshake>)
        .function("heartbeat", start::<heartbeat::Heartbeat>)
        .function("message", start::<message::Message>)
        .function("notify", start::<notify::Notify>)
}

/// What the Lambda runtime does around a function: JSON in, JSON out.
fn start<F: lambda::Function>(environment: Environment) -> Result<Handler, BoxError> {
    let Environment { variables, transport } = environment;
    let function = Arc::new(F::from_env(&config::Environment::from_iter(variables).over(transport))?);
    Ok(handler(move |event, context| {
        let function = Arc::clone(&function);
        async move {
            let no_json = |what: &str, error| Failure::of::<serde_json::Error>(format!("{what}: {error}"));
            let event =
                serde_json::from_value(event).map_err(|error| no_json("the event is not what it expects", error))?;
            let answer = function.handle(LambdaEvent::new(event, context)).await;
            let answer = answer.map_err(|failure| Failure::of::<F::Error>(Chain(&failure).to_string()))?;
            serde_json::to_value(answer).map_err(|error| no_json("the answer is not JSON", error))
        }
    }))
}
