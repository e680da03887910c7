//! The members of a room while it is being told something, in little memory: about forty bytes each, so that a million of
//! them fit into a small function.

use std::collections::HashSet;

use shared::connections::Member;

/// Members in one block. Blocks are never moved, so growing copies nothing.
const BLOCK: usize = 4096;

/// The end of a token that there is none of.
const NEVER: u32 = u32::MAX;

/// Members in the order in which they were read.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    blocks: Vec<Block>,
    len: u32,
    /// Which members came from which partition of the room: partition, and the index behind its last one.
    runs: Vec<(usize, u32)>,
    /// Members that are not spoken to any more: thrown out, closed, or gone.
    ended: HashSet<u32>,
}

#[derive(Debug, Default)]
struct Block {
    ids: String,
    ends: Vec<u32>,
    details: Vec<Details>,
}

/// What is known of a member besides its id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Details {
    pub(crate) generation: Option<u32>,
    /// Epoch seconds.
    token_expires_at: u32,
    /// Epoch milliseconds; 0 if that is not known.
    pub(crate) connected_at: i64,
    /// Whether the member is told offsets.
    pub(crate) recovers: bool,
}

impl Details {
    /// Whether its token has ended at this time, epoch milliseconds.
    pub(crate) fn is_expired(&self, now: i64) -> bool {
        self.token_expires_at != NEVER && i64::from(self.token_expires_at) <= now / 1000
    }
}

impl Audience {
    /// Adds members of a partition; those of one partition have to come in the order of their ids.
    pub(crate) fn add(&mut self, partition: usize, members: Vec<Member>) {
        for member in members {
            if self.blocks.last().is_none_or(|block| block.ends.len() == BLOCK) {
                self.blocks.push(Block::default());
            }
            let Some(block) = self.blocks.last_mut() else { continue };
            block.ids.push_str(&member.connection_id);
            block.ends.push(u32::try_from(block.ids.len()).unwrap_or(u32::MAX));
            block.details.push(Details {
                generation: member.generation,
                token_expires_at: member
                    .token_expires_at
                    .map_or(NEVER, |end| u32::try_from(end.max(0)).unwrap_or(u32::MAX)),
                connected_at: member.connected_at.unwrap_or_default(),
                recovers: member.recovers,
            });
            self.len += 1;
        }
        match self.runs.last_mut() {
            Some((last, end)) if *last == partition => *end = self.len,
            _ => self.runs.push((partition, self.len)),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// A member's connection id.
    pub(crate) fn id(&self, index: u32) -> &str {
        let Some((block, at)) = self.place(index) else { return "" };
        let start = at.checked_sub(1).map_or(0, |before| block.ends[before]) as usize;
        &block.ids[start..block.ends[at] as usize]
    }

    /// What is known of a member.
    pub(crate) fn details(&self, index: u32) -> Option<Details> {
        let (block, at) = self.place(index)?;
        block.details.get(at).copied()
    }

    fn place(&self, index: u32) -> Option<(&Block, usize)> {
        let index = usize::try_from(index).ok()?;
        let block = self.blocks.get(index / BLOCK)?;
        (index % BLOCK < block.ends.len()).then_some((block, index % BLOCK))
    }

    /// The partition a member was read from.
    pub(crate) fn partition(&self, index: u32) -> usize {
        let run = self.runs.partition_point(|(_, end)| *end <= index);
        self.runs.get(run).map_or(0, |(partition, _)| *partition)
    }

    /// The last member of a partition among those before this index.
    pub(crate) fn last_before(&self, partition: usize, index: u32) -> Option<u32> {
        let mut start = 0;
        let mut last = None;
        for (run, end) in &self.runs {
            if start >= index {
                break;
            }
            if *run == partition && *end > start {
                last = Some((*end).min(index) - 1);
            }
            start = *end;
        }
        last
    }

    /// Notes that a member is not spoken to any more.
    pub(crate) fn end(&mut self, index: u32) {
        self.ended.insert(index);
    }

    /// Whether a member is not spoken to any more.
    pub(crate) fn has_ended(&self, index: u32) -> bool {
        !self.ended.is_empty() && self.ended.contains(&index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str) -> Member {
        Member {
            connection_id: id.to_owned(),
            generation: None,
            token_expires_at: None,
            connected_at: None,
            recovers: false,
        }
    }

    #[test]
    fn members_are_found_by_their_number_with_what_is_known_of_them() {
        let mut audience = Audience::default();
        for page in 0..3 {
            let members =
                (0..3000).map(|n| Member { generation: Some(n), ..member(&format!("{:0>15}=", page * 3000 + n)) });
            audience.add(0, members.collect());
        }
        assert_eq!(audience.len(), 9000);
        for index in [0, 1, 4095, 4096, 8191, 8192, 8999] {
            assert_eq!(audience.id(index), format!("{index:0>15}="));
            assert_eq!(audience.details(index).unwrap().generation, Some(index % 3000));
        }
        assert!(audience.details(9000).is_none());
    }

    #[test]
    fn each_member_has_its_partition_and_each_partition_its_last_member() {
        let mut audience = Audience::default();
        for (partition, ids) in [(0, ["a=", "b="]), (1, ["c=", "d="]), (0, ["e=", "f="])] {
            audience.add(partition, ids.map(member).to_vec());
        }
        assert_eq!((0..6).map(|index| audience.partition(index)).collect::<Vec<_>>(), [0, 0, 1, 1, 0, 0]);
        let last = |partition, before| audience.last_before(partition, before).map(|index| audience.id(index));
        assert_eq!(
            [last(0, 0), last(0, 1), last(0, 4), last(0, 5), last(0, 6)],
            [None, Some("a="), Some("b="), Some("e="), Some("f=")]
        );
        assert_eq!([last(1, 2), last(1, 3), last(1, 6), last(2, 6)], [None, Some("c="), Some("d="), None]);
    }

    #[test]
    fn a_token_ends_to_the_second_and_none_never_ends() {
        let mut audience = Audience::default();
        audience.add(0, vec![Member { token_expires_at: Some(100), ..member("a=") }, member("b=")]);
        let expired = |index: u32, now| audience.details(index).unwrap().is_expired(now);
        assert_eq!([expired(0, 99_999), expired(0, 100_000), expired(1, i64::MAX / 2)], [false, true, false]);
    }
}
