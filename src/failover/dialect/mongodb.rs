//! MongoDB 5 and later: members elect among themselves, so that nothing here changes a role.
//!
//! A command is one word, a JSON text (extended JSON, relaxed); its database is `admin` unless
//! `$db` names another one. The driver logs in as the members do among themselves, with the key
//! file's content: that login exists before the group does, and while a member still receives
//! its first copy. Written from MongoDB's documentation; see `transcripts`.

mod report;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    Dialect, Election, Furnished, LedgerStep, MemberReport, Motion, Protocol, ReadError, Reply, RoleChange,
    ServerCommand, SetConfig, SetMember,
};

/// The replica set's name; `templates/mongodb/member` says the same.
pub const SET: &str = "dotcloud";
/// Applications' login, on `admin`.
const LOGIN: &str = "root";
/// Where a ledger is kept.
const LEDGERS: &str = "dotcloud_ledger";
/// Without a heartbeat of the primary for so long the others elect (ms).
const ELECTION_TIMEOUT: u32 = 1500;
const HEARTBEAT_INTERVAL: u32 = 300;
/// A primary that stepped down does not stand again for so long (s)…
const ASIDE: u32 = 10;
/// …and it waits for a secondary to have everything for so long first (s).
const CATCH_UP: u32 = 3;
/// A change of configuration that no majority confirms is given up (ms).
const RECONFIG_LIMIT: u32 = 4000;

pub struct MongoDb;

impl Dialect for MongoDb {
    fn election(&self) -> Election {
        Election::ByMembers
    }

    fn protocol(&self) -> Protocol {
        Protocol::Mongo
    }

    /// User, database, mechanism, secret: what `Protocol::Mongo` opens a connection with.
    fn login(&self, password: &str) -> Vec<ServerCommand> {
        let words = ["__system", "local", "SCRAM-SHA-1", &key(password)];
        vec![ServerCommand(words.map(str::to_owned).to_vec())]
    }

    fn ping(&self) -> ServerCommand {
        command(&json!({"ping": 1}))
    }

    fn probe(&self) -> Vec<ServerCommand> {
        let status = json!({
            "serverStatus": 1, "repl": 0, "metrics": 0, "locks": 0, "wiredTiger": 0, "tcmalloc": 0, "transactions": 0,
        });
        let asked = [
            json!({"hello": 1}),
            json!({"replSetGetStatus": 1}),
            json!({"replSetGetConfig": 1}),
            status,
            json!({"usersInfo": {"user": LOGIN, "db": "admin"}}),
            json!({"getDefaultRWConcern": 1}),
        ];
        asked.iter().map(command).collect()
    }

    fn read(&self, output: &[Reply]) -> Result<MemberReport, ReadError> {
        report::read(output)
    }

    /// The members elect: nobody is told what to be.
    fn commands(&self, _change: RoleChange, _password: &str) -> Vec<ServerCommand> {
        Vec::new()
    }

    fn carry(&self, motion: &Motion, password: &str) -> Vec<ServerCommand> {
        let commands = match motion {
            Motion::Found(first) => vec![json!({"replSetInitiate": {
                "_id": SET,
                "version": 1,
                "members": [member(first, None)],
                "settings": {
                    "electionTimeoutMillis": ELECTION_TIMEOUT,
                    "heartbeatIntervalMillis": HEARTBEAT_INTERVAL,
                },
            }})],
            Motion::Reconfigure(config) => {
                vec![json!({"replSetReconfig": document(config), "maxTimeMS": RECONFIG_LIMIT})]
            }
            Motion::Furnish(there) => furnish(*there, password),
            Motion::StepDown => vec![json!({"replSetStepDown": ASIDE, "secondaryCatchUpPeriodSecs": CATCH_UP})],
            Motion::Freeze(seconds) => vec![json!({"replSetFreeze": seconds})],
        };
        commands.iter().map(command).collect()
    }

    /// A change of configuration is confirmed by a majority before it is answered.
    fn patience(&self) -> u32 {
        10
    }

    // No `refusal`: an answer names the request that it answers, and a client that has only
    // connected has not sent any.

    fn ledger(&self, name: &str, step: LedgerStep) -> Vec<ServerCommand> {
        let words = match step {
            LedgerStep::Create => json!({"create": name}),
            // The same number twice is the same entry: a write whose answer got lost is repeated.
            LedgerStep::Write(number) => json!({
                "update": name,
                "updates": [{"q": {"_id": number}, "u": {"_id": number}, "upsert": true}],
                "writeConcern": {"w": "majority"},
            }),
            LedgerStep::Read => json!({"find": name, "batchSize": 1_000_000, "readConcern": {"level": "majority"}}),
            LedgerStep::Remove => json!({"drop": name}),
        };
        let mut words = words;
        words["$db"] = json!(LEDGERS);
        vec![command(&words)]
    }

    /// The cache: half of what the server does not need for itself.
    fn tune(&self, memory: u64) -> Vec<ServerCommand> {
        if memory == 0 {
            return Vec::new();
        }
        let megabytes = (memory >> 20).saturating_sub(160) / 2;
        let setting = format!("cache_size={}M", megabytes.max(48));
        vec![command(&json!({"setParameter": 1, "wiredTigerEngineRuntimeConfig": setting}))]
    }
}

/// The content of the members' key file; `templates/mongodb/member` makes the same.
pub fn key(password: &str) -> String {
    let digest = Sha256::digest(format!("{SET} key file {password}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn command(value: &Value) -> ServerCommand {
    ServerCommand(vec![value.to_string()])
}

fn furnish(there: Furnished, password: &str) -> Vec<Value> {
    let login = (!there.login).then(|| json!({"createUser": LOGIN, "pwd": password, "roles": ["root"]}));
    // Before the group grows: a change of configuration must not change what writes wait for.
    let concern = (!there.concern).then(|| {
        json!({
            "setDefaultRWConcern": 1,
            "defaultWriteConcern": {"w": "majority"},
            "writeConcern": {"w": "majority"},
        })
    });
    login.into_iter().chain(concern).collect()
}

/// The server's own text with what was changed.
fn document(config: &SetConfig) -> Value {
    let mut document = config.document.clone();
    let before = document["members"].as_array().cloned().unwrap_or_default();
    let known = |id: u32| before.iter().find(|member| member["_id"] == json!(id));
    document["version"] = json!(config.version);
    document["members"] = config.members.iter().map(|one| member(one, known(one.id))).collect();
    document
}

fn member(member: &SetMember, before: Option<&Value>) -> Value {
    let mut value = before.cloned().unwrap_or_else(|| json!({}));
    let weight = u8::from(member.votes);
    value["_id"] = json!(member.id);
    value["host"] = json!(member.host);
    value["priority"] = json!(weight);
    value["votes"] = json!(weight);
    value
}
