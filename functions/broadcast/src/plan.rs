//! From events and rooms to a list of steps per connection: what is in one list happens in its order, lists do not wait
//! for each other. That is rule 6: commit order on every socket, and a slow one delays nobody else.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use shared::{
    connections::{Member, Room},
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
    members: &HashMap<Room, Vec<Member>>,
) -> BTreeMap<String, Vec<Step>> {
    let goodbye: Arc<str> = Packet::new(NAMESPACE, PacketData::Disconnect).to_frame().into();
    let mut plan = BTreeMap::<String, Vec<Step>>::new();
    for (record, emission) in emissions {
        let mut actions = vec![Action::Post(emission.frame.as_str().into())];
        if emission.kick_before.is_some() {
            actions.extend([Action::Post(goodbye.clone()), Action::Close]);
        }
        let members = members.get(&emission.room).into_iter().flatten();
        for member in members.filter(|member| emission.is_for(member)) {
            let steps = plan.entry(member.connection_id.clone()).or_default();
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

    fn emission(frame: &str, kick_before: Option<u32>) -> Emission {
        Emission { name: "users.updated", room: Room::feed(), frame: frame.into(), kick_before }
    }

    fn planned(emissions: &[(usize, Emission)]) -> Vec<(usize, String)> {
        planned_for(None, emissions)
    }

    fn planned_for(generation: Option<u32>, emissions: &[(usize, Emission)]) -> Vec<(usize, String)> {
        let member = Member { connection_id: "a=".to_owned(), generation, token_expires_at: None, connected_at: None };
        let members = HashMap::from([(Room::feed(), vec![member])]);
        let steps = per_connection(emissions, &members).remove("a=").unwrap_or_default();
        let text = |action| if let Action::Post(frame) = action { frame.to_string() } else { "close".to_owned() };
        steps.into_iter().map(|step| (step.record, text(step.action))).collect()
    }

    #[test]
    fn a_connection_gets_its_events_in_the_order_of_the_records() {
        let steps = planned(&[(0, emission("x", None)), (2, emission("y", None))]);
        assert_eq!(steps, [(0, "x".into()), (2, "y".into())]);
    }

    #[test]
    fn a_kick_is_the_event_then_41_then_the_close_and_nothing_after() {
        let steps = planned(&[(0, emission("banned", Some(2))), (1, emission("later", None))]);
        assert_eq!(steps, [(0, "banned".into()), (0, "41/users,".into()), (0, "close".into())]);
    }

    #[test]
    fn a_kick_is_for_who_joined_before_it_however_late_it_comes() {
        let ban = [(0, emission("banned", Some(2))), (1, emission("later", None))];
        assert_eq!(planned_for(Some(1), &ban).first(), Some(&(0, "banned".into())));
        assert_eq!(planned_for(Some(2), &ban), [(1, "later".into())]);
    }

    #[test]
    fn an_empty_room_means_nothing_to_do() {
        assert_eq!(per_connection(&[(0, emission("x", None))], &HashMap::new()), BTreeMap::new());
    }
}
