//! What the daemon asks of a server.

use std::collections::BTreeSet;

use dotcloud_local::failover::dialect::{Ballot, Furnished, MemberReport, Motion, SetConfig, SetMember, Standpoint};

use super::{ELECTION_TIMEOUT, World};

impl World {
    pub fn report(&self, index: u32) -> MemberReport {
        let node = &self.nodes[&index];
        let primary = node.state == Standpoint::Primary;
        MemberReport {
            writable: primary,
            link_up: node.state == Standpoint::Secondary,
            position: node.log.1,
            writes: node.log.1,
            ballot: Some(Box::new(Ballot {
                standpoint: node.state,
                term: node.term,
                config: node.config.clone(),
                furnished: primary.then_some(Furnished { login: self.furnished, concern: self.furnished }),
            })),
            ..MemberReport::default()
        }
    }

    pub fn carry(&mut self, index: u32, motion: &Motion) -> Result<(), String> {
        self.tell(format!("{index} is asked: {motion:?}"));
        match motion {
            Motion::Found(first) => return self.found(index, first),
            Motion::Freeze(seconds) => {
                let until = self.now + u64::from(*seconds) * 1000;
                self.nodes.get_mut(&index).ok_or("gone")?.frozen_until = until;
                return Ok(());
            }
            _ => {}
        }
        if self.nodes[&index].state != Standpoint::Primary {
            return Err("NotWritablePrimary".to_owned());
        }
        match motion {
            Motion::Reconfigure(config) => self.reconfigure(index, config),
            Motion::StepDown => self.step_down(index),
            _ => {
                self.furnished = true;
                Ok(())
            }
        }
    }

    fn found(&mut self, index: u32, first: &SetMember) -> Result<(), String> {
        if let Some((other, _)) = self.nodes.iter().find(|(_, node)| node.config.is_some()) {
            self.breaks(format!("{index} founds a group beside that of {other}"));
        }
        let node = self.nodes.get_mut(&index).ok_or("gone")?;
        let config = SetConfig { version: 1, members: vec![first.clone()], document: serde_json::json!({}) };
        (node.config, node.copy_left, node.quiet) = (Some(config), 0, ELECTION_TIMEOUT * 2);
        node.state = Standpoint::Secondary;
        Ok(())
    }

    /// Refused unless the last change has arrived at a majority and the new one could; more than
    /// one vote at once is what the protocol does not survive.
    fn reconfigure(&mut self, index: u32, config: &SetConfig) -> Result<(), String> {
        let current = self.nodes[&index].config.clone().ok_or("no configuration")?;
        if config.version <= current.version {
            return Err("NewReplicaSetConfigurationIncompatible".to_owned());
        }
        let votes = |config: &SetConfig| config.voters().map(|one| one.id).collect::<BTreeSet<u32>>();
        if votes(&current).symmetric_difference(&votes(config)).count() > 1 {
            self.breaks("more than one vote is changed at once".to_owned());
        }
        let knows = |id: &&u32| self.nodes[*id].config.as_ref().is_some_and(|known| known.version == current.version);
        let there = self.voters_there(index, &current);
        if there.iter().filter(knows).count() < current.majority() {
            return Err("CurrentConfigNotCommittedYet".to_owned());
        }
        let has = |id: &&u32| self.nodes[*id].log >= self.acknowledged;
        let next = self.voters_there(index, config);
        if next.iter().filter(has).count() < config.majority() {
            return Err("no majority of the new configuration has everything".to_owned());
        }
        self.changes += 1;
        self.nodes.get_mut(&index).ok_or("gone")?.config = Some(config.clone());
        Ok(())
    }

    fn step_down(&mut self, index: u32) -> Result<(), String> {
        let config = self.nodes[&index].config.clone().ok_or("no configuration")?;
        let log = self.nodes[&index].log;
        let able = |id: &u32| *id != index && self.nodes[id].frozen_until <= self.now;
        let Some(heir) = self.voters_there(index, &config).into_iter().find(able) else {
            return Err("ExceededTimeLimit: no electable secondaries caught up".to_owned());
        };
        if let Some(heir) = self.nodes.get_mut(&heir) {
            (heir.log, heir.quiet) = (log, ELECTION_TIMEOUT * 2);
        }
        let until = self.now + 10_000;
        let node = self.nodes.get_mut(&index).ok_or("gone")?;
        (node.state, node.frozen_until, node.quiet) = (Standpoint::Secondary, until, 0);
        self.tell(format!("{index} steps down"));
        Ok(())
    }
}
