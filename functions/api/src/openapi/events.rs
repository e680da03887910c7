//! The events of the namespace on the page of the document, from the contract they are generated from.

use std::fmt::Write as _;

use serde_json::Value;
use shared::{contract::Contract, events::auth_renew};

use super::page::{escape, prose};

/// What the page says of events. `schema` links to a schema by its name, `fields` describes one.
pub(super) fn section(contract: &Contract, link: impl Fn(&str) -> String) -> String {
    let mut html = String::from(
        "<h2 id=\"events\">Events</h2><p>What sockets of the namespace <code>/users</code> hear, each with one argument. For \
         programs: <a href=\"asyncapi.json\">asyncapi.json</a> (AsyncAPI 3.0), and types for the official client, \
         <a href=\"events.ts\">events.ts</a>.</p><table><tr><th>Event</th><th>When</th><th>Who hears it</th>\
         <th>Payload</th></tr>",
    );
    for event in &contract.heard {
        let _ = write!(
            html,
            "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(event.name),
            prose(event.when),
            prose(event.heard_by),
            link(&event.payload),
        );
    }
    let _ = write!(
        html,
        "</table><p>What clients say, and are answered with:</p><table><tr><th>Said</th><th>What for</th><th>Payload</th>\
         <th>Answer</th></tr>\
         <tr><td>the option <code>auth</code></td><td>Joins the namespace.</td><td>{join}</td>\
         <td>{refused}, as the message of <code>connect_error</code>, if it is refused</td></tr>\
         <tr><td><code>{renewal}</code></td><td>Keeps the socket beyond the end of its token.</td><td>{renew}</td>\
         <td>{renewed}, as the acknowledgement</td></tr></table>",
        join = link(&contract.join),
        refused = link(&contract.refused),
        renewal = escape(auth_renew::NAME),
        renew = link(&contract.renew),
        renewed = link(&contract.renewed),
    );
    html
}

/// The contract's schemas that the document of REST does not have.
pub(super) fn schemas<'a>(contract: &'a Contract, document: &'a Value) -> impl Iterator<Item = (&'a str, &'a Value)> {
    contract.schemas().filter(|(name, _)| document["components"]["schemas"].get(name).is_none())
}
