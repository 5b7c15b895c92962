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
    let Failover { service, old_master, .. } = receipt;
    let mut steps = vec![
        format!("fenced {}", milliseconds(receipt.fenced_ms)),
        format!("promoted {}", milliseconds(receipt.promoted_ms)),
        format!("opened {}", milliseconds(receipt.opened_ms)),
    ];
    steps.extend(receipt.first_write_ms.map(|ms| format!("first write {}", milliseconds(ms))));
    steps.push(match receipt.resynchronised_ms {
        Some(ms) => format!("{service}.{old_master} resynchronised {}", milliseconds(ms)),
        None => format!("{service}.{old_master} not resynchronised yet"),
    });
    steps.join(", ")
}

fn milliseconds(ms: f64) -> String {
    format!("{ms:.0} ms")
}
