//! The receipt of a failover as text, for `info` and `activity`.

use crate::api::types::Failover;

/// Who took over from whom, when and why.
pub fn head(receipt: &Failover) -> String {
    let Failover { service, detected_at, cause, old_master, new_master, epoch, .. } = receipt;
    format!("{service}.{old_master} -> {service}.{new_master} at {detected_at} (epoch {epoch}): {cause}")
}

/// What was done, since the detection, and what it cost; a line each.
pub fn steps(receipt: &Failover) -> Vec<String> {
    let mut lines = vec![times(receipt)];
    lines.extend(receipt.because.as_ref().map(|because| format!("chosen because {because}")));
    if let (Some(old), Some(heard), Some(new)) = (receipt.old_position, receipt.old_heard_ms, receipt.new_position) {
        let (lost, heard) = (receipt.lost_bytes.unwrap_or_default(), milliseconds(heard));
        lines.push(format!("went on at {new}; the old master was at {old}, {heard} before: {lost} of that lost"));
    }
    if let Some(writes) = &receipt.writes {
        lines.push(format!("{} of {} acknowledged writes lost, by a ledger", writes.lost, writes.acknowledged));
    }
    lines
}

fn times(receipt: &Failover) -> String {
    let Failover { service, old_master, new_master, .. } = receipt;
    let mut steps = vec![
        format!("fenced {}", milliseconds(receipt.fenced_ms)),
        format!("promoted {}", milliseconds(receipt.promoted_ms)),
        format!("opened {}", milliseconds(receipt.opened_ms)),
    ];
    steps.extend(receipt.first_write_ms.map(|ms| format!("first write {}", milliseconds(ms))));
    match receipt.resynchronised_ms {
        Some(ms) => steps.push(format!("{service}.{old_master} resynchronised {}", milliseconds(ms))),
        // Nobody else's writes are to be caught up with.
        None if old_master == new_master => {}
        None => steps.push(format!("{service}.{old_master} not resynchronised yet")),
    }
    steps.join(", ")
}

fn milliseconds(ms: f64) -> String {
    format!("{ms:.0} ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_that_came_back_itself_has_nothing_to_catch_up_with() {
        let receipt = |to: u32| -> Failover {
            serde_json::from_value(serde_json::json!({
                "service": "broker", "detected_at": "2026-11-22T01:02:03.000004Z", "cause": "container died",
                "old_master": 0, "new_master": to, "epoch": 2, "fenced_ms": 2.0, "promoted_ms": 900.0, "opened_ms": 901.0,
            }))
            .unwrap()
        };
        assert_eq!(steps(&receipt(0)), ["fenced 2 ms, promoted 900 ms, opened 901 ms"]);
        assert_eq!(
            steps(&receipt(1)),
            ["fenced 2 ms, promoted 900 ms, opened 901 ms, broker.0 not resynchronised yet"]
        );
    }
}
