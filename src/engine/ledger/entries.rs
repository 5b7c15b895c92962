//! The numbers in a server's answers.

use roaring::RoaringBitmap;

use crate::failover::dialect::Reply;

/// Every number below `end` that the answers hold, alone or within runs.
pub(super) fn in_answers(replies: &[Reply], end: u32) -> RoaringBitmap {
    let mut numbers = RoaringBitmap::new();
    replies.iter().for_each(|reply| collect(reply, end, &mut numbers));
    numbers
}

fn collect(reply: &Reply, end: u32, numbers: &mut RoaringBitmap) {
    let mut insert = |first: u64, last: u64| {
        let from = u32::try_from(first).unwrap_or(end).min(end);
        let to = u32::try_from(last.saturating_add(1)).unwrap_or(end).min(end);
        numbers.insert_range(from..to.max(from));
    };
    match reply {
        Reply::Number(number) => {
            if let Ok(number) = u64::try_from(*number) {
                insert(number, number);
            }
        }
        Reply::Text(text) => text.split(',').filter_map(run).for_each(|(first, last)| insert(first, last)),
        Reply::List(replies) => replies.iter().for_each(|reply| collect(reply, end, numbers)),
        _ => {}
    }
}

/// `7` or `3-9`; names of columns are neither.
fn run(text: &str) -> Option<(u64, u64)> {
    let text = text.trim();
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((first.parse().ok()?, last.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_every_form_and_nothing_else_is() {
        let text = |text: &str| Reply::Text(text.to_owned());
        let row = |value| Reply::List(vec![text("CONCAT(MIN(number), '-', MAX(number))"), value]);
        let replies = [
            Reply::List(vec![row(text("0-3")), row(text("9"))]),
            Reply::Number(12),
            Reply::Number(-5),
            text("20-21,23, 25"),
            Reply::Nothing,
            Reply::Error("1".to_owned()),
        ];
        let found: Vec<u32> = in_answers(&replies, 25).into_iter().collect();
        assert_eq!(found, [0, 1, 2, 3, 9, 12, 20, 21, 23]);
    }

    #[test]
    fn numbers_that_were_never_given_out_are_not_looked_at() {
        let text = |text: &str| [Reply::Text(text.to_owned())];
        for (answer, found) in [("5-99999999999", 5), ("18446744073709551615", 0), ("9-3", 0), ("4294967296-7", 0)] {
            assert_eq!(in_answers(&text(answer), 10).len(), found, "{answer}");
        }
    }
}
