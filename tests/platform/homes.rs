//! Two platforms on one machine.

use std::time::Duration;

use http::Method;

use super::race::{ask, value};
use crate::support::platform::{Platform, sample};
use crate::support::wait_for;
use crate::turn;

#[test]
fn two_homes_run_side_by_side_without_noticing() {
    let _turn = turn();
    let (first, second) = (Platform::new(), Platform::new());
    first.up(&sample("samples/counter"), "counter");
    let web = first.web("counter", "www");
    ask(&web, Method::POST, "/atomic");
    let before = first.objects();

    second.up(&sample("samples/counter"), "counter");
    let other = second.web("counter", "www");
    assert_ne!(web.addr, other.addr);
    assert_eq!((value(&web), value(&other)), (1, 0), "same name, different database");
    assert_eq!((first.apps().len(), second.apps().len()), (1, 1));

    second.run(&["destroy", "-A", "counter", "--assume-yes"]);
    wait_for("the second home is empty", Duration::from_secs(60), || {
        (second.objects() == Default::default()).then_some(())
    });
    assert_eq!((first.objects(), value(&web)), (before, 1), "the first one did not notice");
}
