//! Content that has to survive: how each type of data service is filled, and read back in order.

use std::collections::BTreeMap;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::ledger::{Database, Ledger};
use super::platform::Platform;
use super::wait_for;

/// One type of data service. Commands run in a member, as `dotcloud run` does it.
#[derive(Debug)]
pub struct Kind {
    pub name: &'static str,
    pub database: Database,
    /// How many acknowledged writes one failover may lose: what the documentation says.
    pub most_lost: usize,
    /// Makes the content that is compared.
    fill: &'static [&'static str],
    /// Prints it, always in the same order.
    dump: &'static [&'static str],
    /// Adds about 10 MB that do not compress; `{n}` is the number of the portion.
    ballast: &'static [&'static str],
}

/// A type is tested by having a line here.
pub const KINDS: &[Kind] = &[REDIS, MYSQL];

const REDIS: Kind = Kind {
    name: "redis",
    database: Database::Redis,
    most_lost: 3,
    fill: &["redis-cli", "EVAL", REDIS_FILL, "0"],
    dump: &["redis-cli", "EVAL", REDIS_DUMP, "0"],
    ballast: &["redis-cli", "EVAL", REDIS_BALLAST, "0", "{n}"],
};
const REDIS_FILL: &str = "
    for i = 1, 10000 do redis.call('SET', 'kept:' .. i, redis.sha1hex(i)) end
    for i = 1, 500 do redis.call('RPUSH', 'kept:list', i) redis.call('HSET', 'kept:hash', i, redis.sha1hex(-i)) end";
const REDIS_DUMP: &str = "
    local keys, out = redis.call('KEYS', 'kept:*'), {}
    table.sort(keys)
    for _, key in ipairs(keys) do
        local kind = redis.call('TYPE', key).ok
        out[#out + 1] = key
        if kind == 'string' then out[#out + 1] = redis.call('GET', key) end
        if kind == 'list' then out[#out + 1] = table.concat(redis.call('LRANGE', key, 0, -1), ' ') end
        if kind == 'hash' then
            local fields = redis.call('HKEYS', key)
            table.sort(fields)
            for _, field in ipairs(fields) do out[#out + 1] = field .. redis.call('HGET', key, field) end
        end
    end
    return out";
const REDIS_BALLAST: &str = "
    local blocks = {}
    for i = 1, 2500 do blocks[i] = redis.sha1hex(ARGV[1] .. ':' .. i) end
    for i = 1, 100 do
        blocks[i] = redis.sha1hex(i)
        redis.call('SET', 'ballast:' .. ARGV[1] .. ':' .. i, table.concat(blocks))
    end";

const MYSQL: Kind = Kind {
    name: "mysql",
    database: Database::MySql,
    most_lost: 0,
    fill: &["mysql", "-e", MYSQL_FILL],
    dump: &["mysql", "--batch", "-e", "SELECT * FROM kept.items ORDER BY id"],
    ballast: &["mysql", "-e", MYSQL_BALLAST],
};
const MYSQL_FILL: &str = "
    CREATE DATABASE kept;
    USE kept;
    CREATE TABLE kept.items (id INT PRIMARY KEY, text VARCHAR(64), at TIMESTAMP, price DECIMAL(9,2));
    INSERT INTO kept.items SELECT seq, SHA2(seq, 256), FROM_UNIXTIME(seq), seq / 7 FROM seq_1_to_10000;
    CREATE TABLE kept.ballast (id INT, text BLOB)";
const MYSQL_BALLAST: &str = "
    USE kept;
    INSERT INTO ballast SELECT {n}, RANDOM_BYTES(1000) FROM seq_1_to_10000";

impl Kind {
    /// Puts the content into a service of this type's name.
    pub fn fill(&self, platform: &Platform, app: &str) {
        self.on_master(platform, app, self.fill);
    }

    /// Adds about 10 MB for each portion.
    pub fn add_ballast(&self, platform: &Platform, app: &str, portions: usize) {
        for n in 0..portions {
            let words: Vec<String> = self.ballast.iter().map(|word| word.replace("{n}", &n.to_string())).collect();
            self.on_master(platform, app, &words.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }

    /// The digest of the content on every member, by number.
    pub fn digests(&self, platform: &Platform, app: &str) -> BTreeMap<u64, String> {
        let info = platform.service(app, self.name);
        let members = info["group"]["members"].as_array().cloned().unwrap_or_default();
        let numbers = members.iter().map(|member| member["instance_id"].as_u64().unwrap());
        numbers.map(|number| (number, self.digest(platform, app, number))).collect()
    }

    /// A busy machine makes servers look hung, and such a one is replaced: it is asked again.
    fn digest(&self, platform: &Platform, app: &str, number: u64) -> String {
        let place = format!("{}.{number}", self.name);
        wait_for(&format!("{place} prints its content"), Duration::from_secs(60), || {
            let printed = platform.try_run(&[&["-A", app, "run", &place, "--"], self.dump].concat());
            printed.status.success().then(|| digest(&printed.stdout))
        })
    }

    /// Where numbered writes are counted.
    pub fn ledger(&self, platform: &Platform, app: &str) -> Ledger {
        let (address, password) = platform.data(app, self.name);
        Ledger { database: self.database, address, password, key: "numbers".to_owned() }
    }

    fn on_master(&self, platform: &Platform, app: &str, command: &[&str]) {
        let place = wait_for(&format!("{} has a master", self.name), Duration::from_secs(60), || {
            let info = platform.service(app, self.name);
            let master = info["group"]["members"].as_array()?.iter().find(|member| member["role"] == "master")?;
            Some(format!("{}.{}", self.name, master["instance_id"]))
        });
        platform.run(&[&["-A", app, "run", &place, "--"], command].concat());
    }
}

/// Of what was printed; nothing printed is no content.
fn digest(content: &[u8]) -> String {
    let lines = content.iter().filter(|byte| **byte == b'\n').count();
    assert!(lines >= 10_000, "the content is incomplete: {lines} lines");
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}
