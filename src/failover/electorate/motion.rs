//! What is asked of members, in words for the log.

use crate::failover::dialect::{Motion, SetConfig};

pub(super) fn described(motion: &Motion) -> String {
    match motion {
        Motion::Found(first) => format!("founds the group at {}", first.host),
        Motion::Reconfigure(config) => format!("configuration {}: {}", config.version, members(config)),
        Motion::Furnish(_) => "makes the login of applications, and writes wait for a majority".to_owned(),
        Motion::StepDown => "is to step down".to_owned(),
        Motion::Freeze(0) => "may stand for election again".to_owned(),
        Motion::Freeze(seconds) => format!("is not to stand for election for {seconds} s"),
    }
}

fn members(config: &SetConfig) -> String {
    let member = |one: &crate::failover::dialect::SetMember| {
        format!("{} at {}{}", one.id, one.host, if one.votes { "" } else { " without a vote" })
    };
    config.members.iter().map(member).collect::<Vec<_>>().join(", ")
}
