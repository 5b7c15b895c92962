//! MongoDB's protocol, by its official driver: as much as the driver's own requests need.
//!
//! One connection to one server, whatever that is at the moment: nothing is discovered, and
//! nobody else is asked.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mongodb::Client;
use mongodb::bson::{Bson, Document};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::{AuthMechanism, ClientOptions, Credential, ServerAddress};

use crate::failover::dialect::{Reply, ServerCommand};

use super::connection::ConnectError;

/// Unless a command names its database.
const ADMIN: &str = "admin";
/// How long a server may take to be found answering. The link's own time-out is shorter.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// The client looks after the server by itself; the group's machine does that better.
const LOOK_AFTER_EVERY: Duration = Duration::from_secs(10);

pub(super) struct Mongo(Client);

impl Mongo {
    /// `login`: user, database, mechanism, secret.
    pub async fn open(addr: SocketAddr, login: &[ServerCommand]) -> Result<Self, ConnectError> {
        let mut options = ClientOptions::default();
        options.hosts = vec![ServerAddress::Tcp { host: addr.ip().to_string(), port: Some(addr.port()) }];
        options.direct_connection = Some(true);
        options.app_name = Some("dotcloud".to_owned());
        options.connect_timeout = Some(CONNECT_WITHIN);
        options.server_selection_timeout = Some(CONNECT_WITHIN);
        options.heartbeat_freq = Some(LOOK_AFTER_EVERY);
        options.max_pool_size = Some(1);
        options.retry_reads = Some(false);
        options.retry_writes = Some(false);
        options.credential = login.first().map(credential).transpose()?;
        let client = Client::with_options(options).map_err(|_| ConnectError::Broken)?;
        let ping = mongodb::bson::doc! { "ping": 1 };
        client.database(ADMIN).run_command(ping).await.map_err(|error| failed(&error))?;
        Ok(Self(client))
    }

    /// One reply for each command, refused or not.
    pub async fn ask(&mut self, commands: &[ServerCommand]) -> io::Result<Vec<Reply>> {
        let mut replies = Vec::with_capacity(commands.len());
        for ServerCommand(words) in commands {
            replies.push(self.tell(&words.concat()).await?);
        }
        Ok(replies)
    }

    async fn tell(&self, text: &str) -> io::Result<Reply> {
        let mut command: Document = serde_json::from_str(text).map_err(io::Error::other)?;
        let database = match command.remove("$db") {
            Some(Bson::String(name)) => name,
            _ => ADMIN.to_owned(),
        };
        match self.0.database(&database).run_command(command).await {
            Ok(answer) => Ok(reply(&answer)),
            Err(error) => match *error.kind {
                ErrorKind::Command(refused) => {
                    Ok(Reply::Error(format!("{} ({}): {}", refused.code_name, refused.code, refused.message)))
                }
                _ => Err(io::Error::other(error)),
            },
        }
    }
}

fn credential(login: &ServerCommand) -> Result<Credential, ConnectError> {
    let [user, database, mechanism, secret] = login.0.as_slice() else { return Err(ConnectError::Broken) };
    let mechanism = match mechanism.as_str() {
        "SCRAM-SHA-1" => AuthMechanism::ScramSha1,
        _ => AuthMechanism::ScramSha256,
    };
    Ok(Credential::builder()
        .username(user.clone())
        .source(database.clone())
        .mechanism(mechanism)
        .password(secret.clone())
        .build())
}

fn failed(error: &Error) -> ConnectError {
    match error.kind.as_ref() {
        ErrorKind::Authentication { message, .. } => ConnectError::Login(message.clone()),
        _ => ConnectError::Broken,
    }
}

/// A command may be answered and its write refused all the same.
fn reply(answer: &Document) -> Reply {
    let refused = ["writeErrors", "writeConcernError"].into_iter().find_map(|key| answer.get(key));
    if let Some(refused) = refused {
        return Reply::Error(json(refused));
    }
    match answer.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch")) {
        Ok(documents) => Reply::List(documents.iter().map(|document| Reply::Text(json(document))).collect()),
        Err(_) => Reply::Text(serde_json::to_string(answer).unwrap_or_default()),
    }
}

fn json(value: &Bson) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{DateTime, Timestamp, doc, oid::ObjectId};

    use super::*;

    /// What a server said of its configuration is told back to it, changed: no type may get lost.
    #[test]
    fn documents_survive_the_way_through_json() {
        let told = doc! {
            "config": { "version": 5_i32, "term": 3_i64, "members": [{ "_id": 0_i32, "priority": 1.0, "votes": 1_i32 }] },
            "replicaSetId": ObjectId::from_bytes([7; 12]),
            "ts": Timestamp { time: 1_732_259_000, increment: 2 },
            "date": DateTime::from_millis(1_732_259_000_123),
        };
        let Reply::Text(text) = reply(&told) else { panic!() };
        assert!(text.contains(r#""$timestamp":{"t":1732259000,"i":2}"#), "{text}");
        assert!(text.contains(r#""version":5"#) && text.contains(r#""term":3"#), "{text}");
        let back: Document = serde_json::from_str(&text).unwrap();
        assert_eq!(back.get("replicaSetId"), told.get("replicaSetId"));
        assert_eq!(back.get("ts"), told.get("ts"));
        assert_eq!(back.get("date"), told.get("date"));
        assert_eq!(back.get_document("config").unwrap().get_i32("version").unwrap(), 5);
    }

    #[test]
    fn a_write_that_is_refused_inside_an_answer_is_an_error() {
        let answer =
            doc! { "ok": 1.0, "writeConcernError": { "code": 64, "errmsg": "waiting for replication timed out" } };
        let Reply::Error(error) = reply(&answer) else { panic!() };
        assert!(error.contains("waiting for replication timed out"), "{error}");
    }

    #[test]
    fn documents_of_a_cursor_are_a_list() {
        let answer = doc! { "cursor": { "id": 0_i64, "ns": "a.b", "firstBatch": [{ "_id": 4_i64 }] }, "ok": 1.0 };
        assert_eq!(reply(&answer), Reply::List(vec![Reply::Text(r#"{"_id":4}"#.to_owned())]));
    }
}
