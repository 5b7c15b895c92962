//! A MongoDB client as applications use it: by the connection string, found members included.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::options::{ClientOptions, ReadPreference, SelectionCriteria, WriteConcern};
use mongodb::{Client, Collection};
use tokio::runtime::Runtime;

pub struct Mongo {
    runtime: Runtime,
    client: Client,
}

impl Mongo {
    pub fn connect(url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let mut options = ClientOptions::parse(url).await.unwrap();
            options.server_selection_timeout = Some(Duration::from_secs(20));
            Client::with_options(options).unwrap()
        });
        Self { runtime, client }
    }

    fn numbers(&self) -> Collection<Document> {
        self.client.database("shop").collection("numbers")
    }

    /// Writes one number and waits until a majority has it.
    pub fn write(&self, number: i64) -> Result<(), String> {
        let by_id = doc! { "_id": number };
        let write = async {
            let numbers = self.numbers();
            let update = numbers.replace_one(by_id.clone(), by_id).upsert(true);
            update.write_concern(WriteConcern::majority()).await
        };
        self.runtime.block_on(write).map(drop).map_err(|error| error.to_string())
    }

    pub fn read(&self) -> BTreeSet<i64> {
        self.read_by(ReadPreference::Primary)
    }

    /// From a secondary; what it has yet.
    pub fn read_secondary(&self) -> BTreeSet<i64> {
        self.read_by(ReadPreference::Secondary { options: None })
    }

    fn read_by(&self, preference: ReadPreference) -> BTreeSet<i64> {
        self.runtime.block_on(async {
            let numbers = self.numbers();
            let find = numbers.find(doc! {}).selection_criteria(SelectionCriteria::ReadPreference(preference));
            let mut cursor = find.await.unwrap();
            let mut found = BTreeSet::new();
            while cursor.advance().await.unwrap() {
                found.insert(cursor.deserialize_current().unwrap().get_i64("_id").unwrap());
            }
            found
        })
    }
}

/// Writes numbers one after the other, each until it is acknowledged.
pub struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<i64>,
}

impl Writer {
    pub fn start(url: &str) -> Self {
        let (stop, url) = (Arc::new(AtomicBool::new(false)), url.to_owned());
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let client = Mongo::connect(&url);
            let mut number = 0;
            while !stopped.load(Ordering::Relaxed) {
                if client.write(number + 1).is_ok() {
                    number += 1;
                }
            }
            number
        });
        Self { stop, thread }
    }

    /// The last number that was acknowledged, as were all before it.
    pub fn stop(self) -> i64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
