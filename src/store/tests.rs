use super::*;
use crate::model::CountedWrites;

fn app(name: &str) -> AppRecord {
    AppRecord {
        name: name.parse().unwrap(),
        flavor: "live".to_owned(),
        created_at: "2012-10-01T00:00:00Z".to_owned(),
        up: true,
        doomed: false,
        discard_data: false,
        subnet: None,
        services: Vec::new(),
        environment: [("A".to_owned(), "1".to_owned())].into(),
        generation: 3,
        pauses: Default::default(),
    }
}

#[tokio::test]
async fn what_was_saved_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let (record, db) = (app("ramen"), "db".parse().unwrap());
    let epoch = Epoch { number: 7, master: 1 };
    let word = Vouched { epoch: 7, upstream: Some(([10, 0, 0, 1], 6379).into()) };
    {
        let store = Store::open(&path).unwrap();
        store.save_app(&record).await.unwrap();
        store.commit_epoch(&record.name, &db, epoch).await.unwrap();
        assert_eq!(store.vouched(&record.name, &db).await.unwrap(), None);
        store.vouch(&record.name, &db, Some(word)).await.unwrap();
        store.append_line(&record.name, "d", 0, "{}".to_owned()).await.unwrap();
    }
    let store = Store::open(&path).unwrap();
    assert_eq!(store.apps().await.unwrap(), vec![record.clone()]);
    assert_eq!(store.epoch(&record.name, &db).await.unwrap(), Some(epoch));
    assert_eq!(store.vouched(&record.name, &db).await.unwrap(), Some(word));
    assert_eq!(store.lines("d", 0).await.unwrap().len(), 1);

    store.remove_app(&record.name).await.unwrap();
    assert_eq!(store.epoch(&record.name, &db).await.unwrap(), None);
    assert_eq!(store.vouched(&record.name, &db).await.unwrap(), None);
    assert!(store.apps().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_word_of_an_older_version_is_read_and_names_no_address() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let old = "CREATE TABLE vouch (app TEXT NOT NULL, service TEXT NOT NULL, epoch INTEGER NOT NULL,
        PRIMARY KEY (app, service)); INSERT INTO vouch VALUES ('ramen', 'db', 7)";
    rusqlite::Connection::open(&path).unwrap().execute_batch(old).unwrap();
    let (name, db) = ("ramen".parse().unwrap(), "db".parse().unwrap());
    for _ in 0..2 {
        let vouched = Store::open(&path).unwrap().vouched(&name, &db).await.unwrap();
        assert_eq!(vouched, Some(Vouched { epoch: 7, upstream: None }));
    }
}

#[tokio::test]
async fn a_newer_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Store::open(&path), Err(StoreError::Newer { found: 99, .. })));
}

#[tokio::test]
async fn revisions_keep_their_order_of_arrival() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let name = "ramen".parse().unwrap();
    for revision in ["rsync-9", "rsync-10", "git-abc"] {
        store.add_revision(&name, revision, Path::new("/x")).await.unwrap();
    }
    assert_eq!(store.revisions(&name).await.unwrap(), ["rsync-9", "rsync-10", "git-abc"]);
}

#[tokio::test]
async fn only_the_owner_may_read_the_store() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    store.save_app(&app("ramen")).await.unwrap();
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap()).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

fn deployment(app: &AppName, generation: u64, phase: DeploymentPhase) -> DeploymentRecord {
    DeploymentRecord {
        id: format!("{app}-{generation}"),
        app: app.clone(),
        revision: "rsync-1".to_owned(),
        created_at: "2012-10-01T00:00:00Z".to_owned(),
        clean: false,
        service: None,
        generation,
        live: false,
        environment: [].into(),
        phase,
    }
}

fn receipt(service: &str, epoch: u64) -> crate::model::Receipt {
    crate::model::Receipt {
        service: service.to_owned(),
        detected_at: "2012-10-01T00:00:00.000000Z".to_owned(),
        cause: "container died".to_owned(),
        old_master: 0,
        new_master: 1,
        epoch,
        fenced_ms: 1.0,
        promoted_ms: 2.0,
        opened_ms: 3.0,
        first_write_ms: None,
        resynchronised_ms: None,
        continuity: None,
        because: None,
        writes: None,
    }
}

/// Deployments 1 to 5 with a line each, of which 1 and 4 are unfinished; five activities; two
/// services with three receipts each.
async fn live_for_a_while(store: &Store, app: &AppName) {
    use DeploymentPhase::{Building, Deploying, Failed, Succeeded};
    for (generation, phase) in (1..).zip([Building, Succeeded, Failed, Deploying, Succeeded]) {
        let record = deployment(app, generation, phase);
        store.save_deployment(&record).await.unwrap();
        store.append_line(app, &record.id, 0, "{}".to_owned()).await.unwrap();
        let (created_at, action) = (record.created_at, generation.to_string());
        let (category, details) = ("deployment".to_owned(), [].into());
        store.add_activity(&ActivityRecord { created_at, app: app.clone(), category, action, details }).await.unwrap();
    }
    for (service, epoch) in [("db", 1), ("db", 2), ("db", 3), ("cache", 7), ("cache", 8), ("cache", 9)] {
        store.save_receipt(app, &receipt(service, epoch)).await.unwrap();
    }
}

/// Generations, actions of activities, epochs of `db` and of `cache`.
async fn history(store: &Store, app: &AppName) -> (Vec<u64>, Vec<String>, Vec<u64>, Vec<u64>) {
    let deployments = store.deployments(app).await.unwrap();
    for one in &deployments {
        assert_eq!(store.lines(&one.id, 0).await.unwrap().len(), 1, "{}", one.id);
    }
    let activity = store.activity(Some(app)).await.unwrap();
    let mut epochs = Vec::new();
    for service in ["db", "cache"] {
        let receipts = store.receipts(app, &service.parse().unwrap()).await.unwrap();
        epochs.push(receipts.iter().map(|receipt| receipt.epoch).collect());
    }
    let (cache, db) = (epochs.pop().unwrap(), epochs.pop().unwrap());
    let generations = deployments.iter().map(|one| one.generation).collect();
    (generations, activity.into_iter().map(|one| one.action).collect(), db, cache)
}

#[tokio::test]
async fn pruning_forgets_the_oldest_finished_history_of_one_application() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let (pruned, other): (AppName, AppName) = ("ramen".parse().unwrap(), "soba".parse().unwrap());
    live_for_a_while(&store, &pruned).await;
    live_for_a_while(&store, &other).await;
    let everything = history(&store, &other).await;

    store.prune_history(&pruned, 5, 5, 5).await.unwrap();
    assert_eq!(history(&store, &pruned).await, everything);
    store.prune_history(&pruned, 1, 2, 2).await.unwrap();
    let kept = (vec![1, 4, 5], vec!["4".to_owned(), "5".to_owned()], vec![2, 3], vec![8, 9]);
    assert_eq!(history(&store, &pruned).await, kept);
    for gone in ["ramen-2", "ramen-3"] {
        assert!(store.lines(gone, 0).await.unwrap().is_empty(), "{gone}");
    }
    assert_eq!(history(&store, &other).await, everything);
}

#[tokio::test]
async fn a_deployment_is_unfinished_until_its_phase_is_over() {
    use DeploymentPhase::{Building, Deploying, Failed, Succeeded};
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let app = "ramen".parse().unwrap();
    let all: Vec<_> = (1..)
        .zip([Deploying, Failed, Building, Succeeded])
        .map(|(generation, phase)| deployment(&app, generation, phase))
        .collect();
    for record in &all {
        store.save_deployment(record).await.unwrap();
    }
    let unfinished: Vec<_> = all.into_iter().filter(|record| !record.phase.is_over()).collect();
    assert_eq!(store.unfinished_deployments(&app).await.unwrap(), unfinished);
}

#[test]
fn a_service_that_was_stored_before_ports_is_still_read() {
    let spec = serde_json::json!({
        "name": "www", "type_name": "python", "approot": ".", "instances": 1, "prebuild": null, "postbuild": null,
        "postinstall": null, "buildscript": null, "systempackages": [], "requirements": [], "config": {},
        "environment": {}, "ports": {}, "processes": "Unset", "exclude_bundler_groups": [], "exported": {},
    });
    let stored = serde_json::json!({
        "name": "www", "type_name": "python", "is_data": false, "spec": spec, "instances": 2, "memory": 268_435_456,
        "in_build_file": true, "password": null, "front_port": 20_001, "candidate": null,
        "serving": {"generation": 1, "revision": "r", "image": "i", "spec": spec, "environment": {}},
    });
    let service: ServiceRecord = serde_json::from_value(stored).unwrap();
    assert_eq!(service.front_ports().collect::<Vec<_>>(), [20_001]);
    assert!(service.serving.unwrap().told_fronts.is_empty());
}

#[tokio::test]
async fn counts_are_in_the_receipt_of_the_failover_they_end_with_whichever_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let (app, db): (AppName, crate::model::ServiceName) = ("ramen".parse().unwrap(), "db".parse().unwrap());
    let counted = |acknowledged, lost| CountedWrites { acknowledged, lost };
    store.save_receipt(&app, &receipt("db", 2)).await.unwrap();
    // Epoch 4 has no receipt: a person named the master. 6 has none yet.
    let counts = [(3, counted(100, 1)), (4, counted(7, 0)), (5, counted(50, 2)), (6, counted(9, 0))].into();
    store.save_counts(&app, &db, &counts).await.unwrap();
    for epoch in [3, 5, 3] {
        store.save_receipt(&app, &receipt("db", epoch)).await.unwrap();
    }
    let writes: Vec<_> = store.receipts(&app, &db).await.unwrap().iter().map(|one| one.writes).collect();
    assert_eq!(writes, [None, Some(counted(100, 1)), Some(counted(57, 2))]);

    store.prune_history(&app, 5, 5, 1).await.unwrap();
    let kept = store.receipts(&app, &db).await.unwrap();
    assert_eq!(kept.iter().map(|one| (one.epoch, one.writes)).collect::<Vec<_>>(), [(5, Some(counted(57, 2)))]);
    store.remove_group(&app, &db).await.unwrap();
    store.save_receipt(&app, &receipt("db", 5)).await.unwrap();
    assert_eq!(store.receipts(&app, &db).await.unwrap()[0].writes, None, "a new group begins without counts");
}

/// Members that elect by themselves skip terms that nobody won.
#[tokio::test]
async fn counts_reach_the_first_receipt_after_them_however_many_epochs_were_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store.db")).unwrap();
    let (app, db): (AppName, crate::model::ServiceName) = ("ramen".parse().unwrap(), "db".parse().unwrap());
    let counted = |acknowledged| CountedWrites { acknowledged, lost: 0 };
    for epoch in [3, 7, 9, 14] {
        store.save_receipt(&app, &receipt("db", epoch)).await.unwrap();
    }
    // Acknowledged in the terms 3 and 9.
    store.save_counts(&app, &db, &[(4, counted(100)), (10, counted(20))].into()).await.unwrap();
    let receipts = store.receipts(&app, &db).await.unwrap();
    let writes: Vec<_> = receipts.iter().map(|one| (one.epoch, one.writes)).collect();
    assert_eq!(writes, [(3, None), (7, Some(counted(100))), (9, None), (14, Some(counted(20)))]);
}

#[test]
fn a_receipt_that_was_stored_before_counts_is_still_read() {
    let mut stored = serde_json::to_value(receipt("db", 2)).unwrap();
    let fields = stored.as_object_mut().unwrap();
    for later in ["continuity", "because", "writes"] {
        assert!(fields.remove(later).is_some(), "{later}");
    }
    assert_eq!(serde_json::from_value::<crate::model::Receipt>(stored).unwrap(), receipt("db", 2));
}
