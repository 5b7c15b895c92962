use serde_json::{Value, json};

use super::*;
use crate::failover::dialect::{Ballot, Standpoint};

fn read(transcript: &str) -> MemberReport {
    let reply = |line: &str| match line.strip_prefix('!') {
        Some(error) => Reply::Error(error.to_owned()),
        None => Reply::Text(line.to_owned()),
    };
    MongoDb.read(&transcript.lines().map(reply).collect::<Vec<_>>()).unwrap()
}

fn ballot(report: &MemberReport) -> &Ballot {
    report.ballot.as_deref().unwrap()
}

fn words(commands: &[ServerCommand]) -> Vec<Value> {
    commands.iter().map(|command| serde_json::from_str(&command.0.concat()).unwrap()).collect()
}

const PRIMARY: &str = include_str!("transcripts/primary.txt");

#[test]
fn a_primary_tells_its_term_its_members_and_its_writes() {
    let report = read(PRIMARY);
    assert!(report.writable && !report.link_up);
    let told = ballot(&report);
    assert_eq!((told.standpoint, told.term), (Standpoint::Primary, 3));
    assert_eq!(told.furnished, Some(Furnished { login: true, concern: true }));
    let config = told.config.as_ref().unwrap();
    assert_eq!((config.version, config.members.len(), config.majority()), (5, 3, 2));
    assert_eq!(config.members[1], SetMember { id: 1, host: "10.201.7.1:21001".to_owned(), votes: true });
    assert_eq!((report.writes, report.position), (10, (1_732_259_000 << 32) | 2));
    assert_eq!((report.version.as_deref(), report.used_memory), (Some("7.0.28"), Some(118 << 20)));
}

#[test]
fn a_new_primary_lacks_what_applications_need() {
    let report = read(include_str!("transcripts/founded.txt"));
    assert_eq!(ballot(&report).furnished, Some(Furnished { login: false, concern: false }));
}

#[test]
fn a_secondary_tells_its_lag() {
    let report = read(include_str!("transcripts/secondary.txt"));
    assert!(report.link_up && !report.writable);
    assert_eq!(report.lag_seconds, Some(2.0));
    assert_eq!((ballot(&report).standpoint, ballot(&report).furnished), (Standpoint::Secondary, None));
}

#[test]
fn a_first_copy_is_told_in_per_cent() {
    let report = read(include_str!("transcripts/copying.txt"));
    assert_eq!(report.copying, Some(Some(43)));
    let told = ballot(&report);
    assert_eq!(told.standpoint, Standpoint::Synchronizing);
    assert_eq!(told.config.as_ref().unwrap().member(1).map(|one| one.votes), Some(false));
}

#[test]
fn who_belongs_to_no_group_is_told_from_who_was_removed() {
    let report = read(include_str!("transcripts/unfounded.txt"));
    assert_eq!((ballot(&report).standpoint, ballot(&report).config.clone()), (Standpoint::Unfounded, None));
    let report = read(include_str!("transcripts/removed.txt"));
    assert_eq!(ballot(&report).standpoint, Standpoint::Removed);
}

#[test]
fn a_server_that_refuses_says_nothing_of_itself() {
    let refused = vec![Reply::Error("Unauthorized (13): command requires authentication".to_owned()); 6];
    let error = MongoDb.read(&refused).unwrap_err();
    assert!(error.to_string().contains("Unauthorized (13)"), "{error}");
    assert_eq!(MongoDb.read(&[]), Err(ReadError::Incomplete("answer to every question")));
    let garbage = vec![Reply::Text("{".to_owned()); 6];
    assert_eq!(MongoDb.read(&garbage), Err(ReadError::Incomplete("hello")));
}

#[test]
fn a_change_keeps_what_it_does_not_know() {
    let config = ballot(&read(PRIMARY)).config.clone().unwrap();
    let next = config.next(|members| {
        members[2].votes = false;
        members.push(SetMember { id: 3, host: "10.201.7.1:21003".to_owned(), votes: false });
    });
    let commands = words(&MongoDb.carry(&Motion::Reconfigure(next), "pw"));
    let document = &commands[0]["replSetReconfig"];
    assert_eq!((document["version"].as_u64(), document["_id"].as_str()), (Some(6), Some("dotcloud")));
    assert_eq!(document["settings"], config.document["settings"], "the set's identity and its time-outs stay");
    let members = document["members"].as_array().unwrap();
    assert_eq!(members[0], config.document["members"][0]);
    assert_eq!((&members[2]["votes"], &members[2]["priority"]), (&json!(0), &json!(0)));
    assert_eq!(members[2]["tags"], json!({}));
    assert_eq!(members[3], json!({"_id": 3, "host": "10.201.7.1:21003", "priority": 0, "votes": 0}));
}

#[test]
fn what_members_are_asked_is_what_the_manual_says() {
    let first = SetMember { id: 0, host: "10.201.7.1:21000".to_owned(), votes: true };
    let commands = words(&MongoDb.carry(&Motion::Found(first), "pw"));
    let members = json!([{"_id": 0, "host": "10.201.7.1:21000", "priority": 1, "votes": 1}]);
    assert_eq!(commands[0]["replSetInitiate"]["members"], members);
    let settings = json!({"electionTimeoutMillis": 1500, "heartbeatIntervalMillis": 300});
    assert_eq!(commands[0]["replSetInitiate"]["settings"], settings);
    let furnish = |login, concern| words(&MongoDb.carry(&Motion::Furnish(Furnished { login, concern }), "pw"));
    assert_eq!(furnish(false, true), [json!({"createUser": "root", "pwd": "pw", "roles": ["root"]})]);
    assert_eq!(furnish(true, false)[0]["defaultWriteConcern"], json!({"w": "majority"}));
    assert_eq!(words(&MongoDb.carry(&Motion::Freeze(30), "pw")), [json!({"replSetFreeze": 30})]);
    let down = words(&MongoDb.carry(&Motion::StepDown, "pw"));
    assert_eq!(down, [json!({"replSetStepDown": 10, "secondaryCatchUpPeriodSecs": 3})]);
}

/// The words of a script of the template, so that the two cannot part.
#[test]
fn the_template_speaks_of_the_same_set_and_the_same_key() {
    let member = include_str!("../../../../templates/mongodb/member");
    assert!(member.contains(&format!("--replSet {SET} ")));
    assert!(member.contains(&format!("\"{SET} key file $1\" | sha256sum")));
    let key = key("s3cret");
    assert!(key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit()));
    // printf %s "dotcloud key file s3cret" | sha256sum
    assert_eq!(key, "b9a0d39881cb64cf7ea1c80e890e48fffd4e8e37aa1983678a6b9c81afc1441c");
    let settings = include_str!("../../../../templates/mongodb/service.toml");
    assert!(settings.contains(&format!("replicaSet={SET}")));
    assert_eq!(MongoDb.login("s3cret")[0].0[..3], ["__system", "local", "SCRAM-SHA-1"]);
}

#[test]
fn a_ledger_is_written_by_majority_and_twice_the_same_is_once() {
    let write = words(&MongoDb.ledger("ledger_1", LedgerStep::Write(7)));
    assert_eq!(write[0]["$db"], "dotcloud_ledger");
    assert_eq!(write[0]["writeConcern"], json!({"w": "majority"}));
    assert_eq!(write[0]["updates"][0]["upsert"], json!(true));
    for step in [LedgerStep::Create, LedgerStep::Read, LedgerStep::Remove] {
        assert_eq!(words(&MongoDb.ledger("ledger_1", step)).len(), 1);
    }
}

#[test]
fn the_cache_follows_the_limit() {
    let size = |megabytes: u64| words(&MongoDb.tune(megabytes << 20))[0]["wiredTigerEngineRuntimeConfig"].clone();
    assert_eq!(
        [256, 512, 2048].map(size),
        [json!("cache_size=48M"), json!("cache_size=176M"), json!("cache_size=944M")]
    );
    assert!(MongoDb.tune(0).is_empty());
}
