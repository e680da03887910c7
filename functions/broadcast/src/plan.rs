//! From events and rooms to a list of steps per connection: what is in one list happens in its order, lists do not wait
//! for each other. That is rule 6: commit order on every socket, and a slow one delays nobody else.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use shared::{
    connections::Room,
    events::{Emission, NAMESPACE},
    protocol::{Packet, PacketData},
};

/// One call of the management API.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// Index in the batch of the record this step belongs to.
    pub(crate) record: usize,
    /// What to do.
    pub(crate) action: Action,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Send a frame, which all its receivers share.
    Post(Arc<str>),
    /// Close the connection.
    Close,
}

/// What each connection of each room is due, in the order of the records.
pub(crate) fn per_connection(
    emissions: &[(usize, Emission)],
    members: &HashMap<Room, Vec<String>>,
) -> BTreeMap<String, Vec<Step>> {
    let goodbye: Arc<str> = Packet::new(NAMESPACE, PacketData::Disconnect).to_frame().into();
    let mut plan = BTreeMap::<String, Vec<Step>>::new();
    for (record, emission) in emissions {
        let mut actions = vec![Action::Post(emission.frame.as_str().into())];
        if emission.kick {
            actions.extend([Action::Post(goodbye.clone()), Action::Close]);
        }
        for connection in members.get(&emission.room).into_iter().flatten() {
            let steps = plan.entry(connection.clone()).or_default();
            // Who was thrown out by an earlier record is not spoken to again.
            if steps.last().is_none_or(|step| step.action != Action::Close) {
                steps.extend(actions.iter().map(|action| Step { record: *record, action: action.clone() }));
            }
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn emission(frame: &str, kick: bool) -> Emission {
        Emission { name: "users.updated", room: Room::feed(), frame: frame.into(), kick }
    }

    fn planned(emissions: &[(usize, Emission)]) -> Vec<(usize, String)> {
        let members = HashMap::from([(Room::feed(), vec!["a=".to_owned()])]);
        let steps = per_connection(emissions, &members).remove("a=").unwrap_or_default();
        let text = |action| if let Action::Post(frame) = action { frame.to_string() } else { "close".to_owned() };
        steps.into_iter().map(|step| (step.record, text(step.action))).collect()
    }

    #[test]
    fn a_connection_gets_its_events_in_the_order_of_the_records() {
        let steps = planned(&[(0, emission("x", false)), (2, emission("y", false))]);
        assert_eq!(steps, [(0, "x".into()), (2, "y".into())]);
    }

    #[test]
    fn a_kick_is_the_event_then_41_then_the_close_and_nothing_after() {
        let steps = planned(&[(0, emission("banned", true)), (1, emission("later", false))]);
        assert_eq!(steps, [(0, "banned".into()), (0, "41/users,".into()), (0, "close".into())]);
    }

    #[test]
    fn an_empty_room_means_nothing_to_do() {
        assert_eq!(per_connection(&[(0, emission("x", false))], &HashMap::new()), BTreeMap::new());
    }
}
