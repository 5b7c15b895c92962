//! The databases, how each is started without us, and when it counts as ready.

use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;

use crate::support::docker::Engine;
use crate::support::ledger::{Database, Ledger};
use crate::support::often;

/// A database and its floor.
pub struct Kind {
    pub name: &'static str,
    database: Database,
    /// Highest accepted median in milliseconds from the creation of the server's container: what
    /// the same start took by hand.
    pub target: f64,
    /// Makes a data directory and becomes the server, within the image.
    pub script: &'static str,
    /// Words of a server that is ready and refuses a login.
    refusals: &'static [&'static str],
}

pub const KINDS: [Kind; 3] = [
    Kind {
        name: "redis",
        database: Database::Redis,
        target: 263.0,
        script: "exec redis-server --bind 0.0.0.0 --protected-mode no --appendonly yes",
        refusals: &["WRONGPASS", "called without any password"],
    },
    Kind {
        name: "mysql",
        database: Database::MySql,
        target: 461.0,
        script: "mariadb-install-db --no-defaults --datadir=/tmp/data --skip-test-db > /dev/null \
                 && exec mariadbd --no-defaults --datadir=/tmp/data",
        refusals: &["Access denied", "is not allowed to connect"],
    },
    Kind {
        name: "postgresql",
        database: Database::PostgreSql,
        target: 789.0,
        script: "initdb --pgdata=/tmp/data --no-sync > /dev/null \
                 && exec postgres -D /tmp/data -c listen_addresses=* -c fsync=off",
        refusals: &["password authentication failed", "no pg_hba.conf entry"],
    },
];

/// Milliseconds from a container's creation.
pub fn since_creation(engine: &Engine, container: &str, moment: Timestamp) -> f64 {
    let created: Timestamp = engine.inspect(container).created.unwrap().parse().unwrap();
    moment.duration_since(created).as_secs_f64() * 1000.0
}

impl Kind {
    /// When a server answers a login at the container's address.
    pub fn answered(&self, engine: &Engine, container: &str) -> Timestamp {
        let ip = often("the container has an address", || engine.address(container));
        often("it answers a login", || self.answers(ip).then(Timestamp::now))
    }

    /// A server that is still starting refuses with other words, or the connection.
    fn answers(&self, ip: IpAddr) -> bool {
        let address = SocketAddr::new(ip, self.database.port());
        let nobody = Ledger { database: self.database, address, password: "nobody's".to_owned(), key: String::new() };
        match nobody.session() {
            Ok(_) => true,
            Err(why) => self.refusals.iter().any(|refusal| why.contains(refusal)),
        }
    }
}
