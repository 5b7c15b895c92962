use std::time::Instant;

use super::*;

fn change(changed: &[&str], deleted: &[&str]) -> Change {
    let paths = |names: &[&str]| names.iter().map(std::path::PathBuf::from).collect();
    Change { first: Instant::now(), changed: paths(changed), deleted: paths(deleted) }
}

/// The report's text, with a time that does not depend on the machine.
fn text(change: &Change, outcome: Outcome, warnings: Vec<Warning>) -> String {
    let mut report = Report::new(change, outcome, warnings);
    report.ms = 213.6;
    let lines = std::iter::once(format!("{}: {}", report.change, report.ending()));
    lines.chain(report.details().into_iter().map(|line| format!("    {line}"))).collect::<Vec<_>>().join("\n")
}

fn instance(service: &str, instance_id: u32, how: Reloaded) -> Instance {
    Instance { service: service.to_owned(), instance_id, how, ms: 100.0, restarted: Vec::new() }
}

#[test]
fn change_is_named_by_a_file_and_the_number_of_the_others() {
    assert_eq!(summary(&change(&["wsgi.py"], &[])), "wsgi.py changed");
    assert_eq!(summary(&change(&["web", "web/a.css", "wsgi.py"], &["old.py"])), "web/a.css and 2 more changed");
    assert_eq!(summary(&change(&[], &["old", "old/a.py"])), "old/a.py deleted");
    assert_eq!(summary(&change(&["b"], &["a"])), "b and 1 more changed");
}

#[test]
fn served_change_is_one_line_with_every_service() {
    let www = (0..3).map(|number| instance("www", number, Reloaded::Switched));
    let instances = www.chain([instance("worker", 0, Reloaded::Restarted)]).collect();
    let served = Outcome::Served { instances, failed_requests: 0 };
    assert_eq!(
        text(&change(&["wsgi.py"], &[]), served, Vec::new()),
        "wsgi.py changed: restarted on 1 instance of worker, switched on 3 instances of www in 214 ms, 0 failed requests"
    );
    let mailer = Instance { restarted: vec!["mailer".to_owned()], ..instance("www", 0, Reloaded::Switched) };
    let served = Outcome::Served { instances: vec![mailer], failed_requests: 0 };
    assert_eq!(
        text(&change(&["wsgi.py"], &[]), served, Vec::new()),
        "wsgi.py changed: switched on 1 instance of www (mailer restarted) in 214 ms, 0 failed requests"
    );
    let nobody = Outcome::Served { instances: Vec::new(), failed_requests: 0 };
    assert_eq!(text(&change(&["README"], &[]), nobody, Vec::new()), "README changed: no instance depends on it");
}

#[test]
fn failed_change_shows_its_error_and_says_what_serves() {
    let output = "Traceback (most recent call last):\n  File \"wsgi.py\", line 1\nSyntaxError: invalid syntax\n";
    let failed = Outcome::Failed { instance: "www.0".to_owned(), output: output.to_owned(), failed_requests: 1 };
    assert_eq!(
        text(&change(&["wsgi.py"], &[]), failed, Vec::new()),
        "wsgi.py changed: failed on www.0 after 214 ms\n    Traceback (most recent call last):\n      \
         File \"wsgi.py\", line 1\n    SyntaxError: invalid syntax\n    the previous code keeps serving, 1 failed request"
    );
}

#[test]
fn built_change_counts_failed_requests_where_they_are_known() {
    let deployed = |failed_requests| Outcome::Deployed { instances: 2, failed_requests };
    for (count, ending) in [(Some(0), ", 0 failed requests"), (Some(1), ", 1 failed request"), (None, "")] {
        let line = text(&change(&["requirements.txt"], &[]), deployed(count), Vec::new());
        assert_eq!(line, format!("requirements.txt changed: deployed on 2 instances in 214 ms{ending}"));
    }
    let failed = Outcome::NotDeployed { error: "no".to_owned(), failed_requests: Some(2) };
    assert_eq!(
        text(&change(&["requirements.txt"], &[]), failed, Vec::new()),
        "requirements.txt changed: not deployed after 214 ms\n    no\n    the previous code keeps serving, 2 failed requests"
    );
}

#[test]
fn equal_warnings_are_told_once() {
    let warning =
        |instance_id, output: &str| Warning { service: "www".to_owned(), instance_id, output: output.to_owned() };
    let warnings = vec![warning(0, "Parse error\n"), warning(1, "Parse error\n"), warning(2, "other")];
    let served = Outcome::Served { instances: vec![instance("www", 0, Reloaded::Synced)], failed_requests: 0 };
    assert_eq!(
        text(&change(&["index.php"], &[]), served, warnings),
        "index.php changed: synced to 1 instance of www in 214 ms, 0 failed requests\n    www.0, www.1 warns:\n      \
         Parse error\n    www.2 warns:\n      other"
    );
}

#[test]
fn document_says_everything_by_name() {
    let failed = Outcome::Failed { instance: "www.0".to_owned(), output: "x".to_owned(), failed_requests: 0 };
    let report = Report::new(&change(&["a"], &["b"]), failed, Vec::new());
    let document = serde_json::to_value(&report).unwrap();
    let keys: Vec<&String> = document.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["change", "at", "changed", "deleted", "ms", "status", "instance", "output", "failed_requests"]);
    assert_eq!(document["status"], "failed");
}
