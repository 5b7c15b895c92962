//! From the answers to `probe` to a report.

use serde_json::Value;

use crate::failover::dialect::{Ballot, Furnished, MemberReport, ReadError, Reply, SetConfig, SetMember, Standpoint};

/// `replSetGetStatus` of a server that belongs to no set…
const NOT_YET: &str = "NotYetInitialized";
/// …and of one whose set does not name it (any more).
const NOT_NAMED: &str = "InvalidReplicaSetConfig";

/// `hello`, `replSetGetStatus`, `replSetGetConfig`, `serverStatus`, `usersInfo`,
/// `getDefaultRWConcern`, in this order. A server that is in no state to answer one of the latter
/// answers it with an error, which is no reason to know nothing.
pub(super) fn read(output: &[Reply]) -> Result<MemberReport, ReadError> {
    let [hello, status, config, server, users, concern] = output else {
        return Err(ReadError::Incomplete("answer to every question"));
    };
    let hello = required(hello, "hello")?;
    let standpoint = standpoint(status)?;
    let (status, server) = (parsed(status), parsed(server));
    let primary = standpoint == Standpoint::Primary;
    let position = |path: &str| timestamp(status.pointer(path)?);
    let own = position("/optimes/appliedOpTime/ts");
    let furnished = || Furnished {
        login: has_login(&parsed(users)),
        // One that the server implies changes with the configuration.
        concern: parsed(concern)["defaultWriteConcernSource"] == "global",
    };
    Ok(MemberReport {
        // A primary that still catches up with what others have does not call itself writable.
        writable: primary && hello["isWritablePrimary"] == Value::Bool(true),
        link_up: standpoint == Standpoint::Secondary,
        copying: (standpoint == Standpoint::Synchronizing).then(|| copied(&status)),
        lag_seconds: (standpoint == Standpoint::Secondary).then(|| lag(&status)).flatten(),
        history: status["set"].as_str().unwrap_or_default().to_owned(),
        position: own.unwrap_or_default(),
        writes: ["insert", "update", "delete"].iter().filter_map(|kind| server["opcounters"][kind].as_u64()).sum(),
        version: server["version"].as_str().map(str::to_owned),
        used_memory: server["mem"]["resident"].as_u64().map(|megabytes| megabytes << 20),
        ballot: Some(Box::new(Ballot {
            standpoint,
            term: status["term"].as_u64().unwrap_or_default(),
            config: set_config(&parsed(config)),
            furnished: primary.then(furnished),
        })),
        ..MemberReport::default()
    })
}

fn required(reply: &Reply, what: &'static str) -> Result<Value, ReadError> {
    match reply {
        Reply::Error(error) => Err(ReadError::Refused(error.clone())),
        Reply::Text(text) => serde_json::from_str(text).map_err(|_| ReadError::Incomplete(what)),
        _ => Err(ReadError::Incomplete(what)),
    }
}

/// `null` for an error.
fn parsed(reply: &Reply) -> Value {
    required(reply, "JSON").unwrap_or_default()
}

fn standpoint(status: &Reply) -> Result<Standpoint, ReadError> {
    if let Reply::Error(error) = status {
        return match error {
            _ if error.contains(NOT_YET) => Ok(Standpoint::Unfounded),
            _ if error.contains(NOT_NAMED) => Ok(Standpoint::Removed),
            _ => Err(ReadError::Refused(error.clone())),
        };
    }
    match required(status, "replica set status")?["myState"].as_u64() {
        Some(1) => Ok(Standpoint::Primary),
        Some(2) => Ok(Standpoint::Secondary),
        // RECOVERING, STARTUP2, ROLLBACK.
        Some(3 | 5 | 9) => Ok(Standpoint::Synchronizing),
        Some(10) => Ok(Standpoint::Removed),
        Some(_) => Ok(Standpoint::Starting),
        None => Err(ReadError::Incomplete("myState")),
    }
}

/// Of the first copy, in per cent.
fn copied(status: &Value) -> Option<u8> {
    let sync = &status["initialSyncStatus"];
    let (bytes, all) = (sync["approxTotalBytesCopied"].as_u64()?, sync["approxTotalDataSize"].as_u64()?);
    u8::try_from(bytes.saturating_mul(100).checked_div(all)?.min(99)).ok()
}

/// Seconds between the primary's last write and ours, as this member has heard of it.
fn lag(status: &Value) -> Option<f64> {
    let members = status["members"].as_array()?;
    let at = |member: &Value| timestamp(&member["optime"]["ts"]).map(|position| position >> 32);
    let own = at(members.iter().find(|member| member["self"] == Value::Bool(true))?)?;
    let primary = at(members.iter().find(|member| member["state"].as_u64() == Some(1))?)?;
    #[allow(clippy::cast_precision_loss)] // seconds
    Some(primary.saturating_sub(own) as f64)
}

/// `{"$timestamp": {"t": seconds, "i": ordinal}}` as one growing number.
fn timestamp(value: &Value) -> Option<u64> {
    let parts = value.get("$timestamp")?;
    Some((parts["t"].as_u64()? << 32) | parts["i"].as_u64()?)
}

fn has_login(users: &Value) -> bool {
    users["users"].as_array().is_some_and(|users| !users.is_empty())
}

fn set_config(reply: &Value) -> Option<SetConfig> {
    let config = reply.get("config")?;
    let member = |member: &Value| {
        Some(SetMember {
            id: u32::try_from(member["_id"].as_u64()?).ok()?,
            host: member["host"].as_str()?.to_owned(),
            votes: member["votes"].as_f64()? > 0.0,
        })
    };
    Some(SetConfig {
        version: config["version"].as_u64()?,
        members: config["members"].as_array()?.iter().map(member).collect::<Option<_>>()?,
        document: config.clone(),
    })
}
