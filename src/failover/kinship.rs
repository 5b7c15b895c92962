//! Whether a member can follow a master by reading its log of writes, from what both say.

use super::dialect::MemberReport;

/// Why it cannot, where the servers tell enough to know: only a copy of the master helps then.
/// A server that is beyond its master waits for a future that will never come, without a word.
pub fn estranged(master: &MemberReport, member: &MemberReport) -> Option<String> {
    let (leading, following) = (master.lineage.as_ref()?, member.lineage.as_ref()?);
    if !master.writable || member.writable {
        return None;
    }
    if leading.origin != following.origin {
        return Some("its data was made from another image than the master's".to_owned());
    }
    if member.position < leading.oldest {
        return Some(format!("the master's log no longer reaches back to {}", member.position));
    }
    if member.history == master.history {
        return None;
    }
    let Some(parted) = leading.branches.iter().find(|branch| branch.history == member.history) else {
        return Some("what it holds is no part of the master's history".to_owned());
    };
    let beyond = member.position.checked_sub(parted.position).filter(|beyond| *beyond > 0)?;
    Some(format!("it holds {beyond} bytes of log that the master lacks"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failover::dialect::{Branch, Lineage};

    fn branch(history: &str, position: u64) -> Branch {
        Branch { history: history.to_owned(), position }
    }

    fn server(history: &str, position: u64) -> MemberReport {
        let lineage = Lineage { origin: "one".to_owned(), branches: Vec::new(), oldest: 0 };
        let lineage = Some(Box::new(lineage));
        MemberReport { lineage, history: history.to_owned(), position, ..MemberReport::default() }
    }

    fn master() -> MemberReport {
        let branches = vec![branch("1", 40), branch("2", 70)];
        let lineage = Some(Box::new(Lineage { origin: "one".to_owned(), branches, oldest: 30 }));
        MemberReport { writable: true, lineage, ..server("3", 100) }
    }

    #[test]
    fn whoever_is_on_the_masters_way_can_follow() {
        for (history, position) in [("3", 100), ("3", 80), ("2", 70), ("2", 50), ("1", 40)] {
            assert_eq!(estranged(&master(), &server(history, position)), None, "{history} at {position}");
        }
    }

    #[test]
    fn whoever_went_past_a_branch_cannot() {
        for (history, position) in [("2", 71), ("1", 41), ("4", 90)] {
            assert!(estranged(&master(), &server(history, position)).is_some(), "{history} at {position}");
        }
    }

    #[test]
    fn a_log_that_begins_later_and_another_origin_cannot_be_followed() {
        assert!(estranged(&master(), &server("1", 29)).unwrap().contains("reaches back"));
        let mut foreign = server("3", 100);
        foreign.lineage.as_mut().unwrap().origin = "other".to_owned();
        assert!(estranged(&master(), &foreign).unwrap().contains("another image"));
    }

    #[test]
    fn nothing_is_concluded_from_servers_that_do_not_tell() {
        let silent = MemberReport { lineage: None, ..server("4", 500) };
        assert_eq!(estranged(&master(), &silent), None);
        let slave = MemberReport { writable: false, ..master() };
        assert_eq!(estranged(&slave, &server("2", 71)), None, "who is no master now may yet learn of more branches");
    }
}
