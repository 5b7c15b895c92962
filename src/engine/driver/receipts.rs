//! Receipts: the machine's account of a failover in milliseconds, and their way to the disk.

use tokio::sync::mpsc;

use crate::engine::group::GroupContext;
use crate::failover::{Account, Moment};
use crate::model::{Continuity, Receipt};

pub(super) fn receipt(service: String, detected_at: String, account: &Account) -> Receipt {
    let ms = |moment: Moment| moment.since(account.detected).as_secs_f64() * 1000.0;
    Receipt {
        service,
        detected_at,
        cause: account.cause.clone(),
        old_master: account.old_master,
        new_master: account.new_master,
        epoch: account.epoch,
        fenced_ms: ms(account.fenced),
        promoted_ms: ms(account.promoted),
        opened_ms: ms(account.opened),
        first_write_ms: account.first_write.map(ms),
        resynchronised_ms: account.resynchronised.map(ms),
        continuity: account.joint.map(|joint| Continuity {
            old_position: joint.old_position,
            old_heard_ms: account.detected.since(joint.old_heard).as_secs_f64() * 1000.0,
            new_position: joint.new_position,
        }),
        because: Some(account.because.clone()).filter(|because| !because.is_empty()),
        writes: None,
    }
}

/// Stores receipts in the order in which they were completed.
pub(super) async fn keep_receipts(context: GroupContext, mut receipts: mpsc::UnboundedReceiver<Receipt>) {
    while let Some(receipt) = receipts.recv().await {
        context.ledger.receipt(receipt).await;
    }
}
