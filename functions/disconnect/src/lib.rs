//! `$disconnect`: forgets the connection. The gateway delivers this event on a best effort, so nothing may rely on it.

use aws_lambda_events::event::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use lambda_runtime::LambdaEvent;
use shared::{
    Error,
    aws::Clients,
    config::{ConfigError, Environment},
    connections::ConnectionStore,
    lambda::Function,
};

/// The function and what it needs.
pub struct Disconnect {
    connections: ConnectionStore,
}

impl Function for Disconnect {
    type Event = ApiGatewayWebsocketProxyRequest;
    type Answer = ApiGatewayProxyResponse;
    type Error = Error;

    fn from_env(env: &Environment) -> Result<Self, ConfigError> {
        Ok(Self { connections: ConnectionStore::new(&Clients::from_env(env)?, env)? })
    }

    /// Removes every row of the connection. The gateway ignores the answer.
    ///
    /// # Errors
    /// [`Error::Internal`]; the rows are then found by whoever posts to the connection next, or by the sweep.
    async fn handle(
        &self,
        event: LambdaEvent<ApiGatewayWebsocketProxyRequest>,
    ) -> Result<ApiGatewayProxyResponse, Error> {
        let id = event.payload.request_context.connection_id.ok_or("the event has no connectionId");
        self.connections.forget(&id.map_err(Error::internal("reading a $disconnect event"))?).await?;
        let mut answer = ApiGatewayProxyResponse::default();
        answer.status_code = 200;
        Ok(answer)
    }
}
