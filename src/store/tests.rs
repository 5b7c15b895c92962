use super::*;

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
    }
}

#[tokio::test]
async fn what_was_saved_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let (record, db) = (app("ramen"), "db".parse().unwrap());
    let epoch = Epoch { number: 7, master: 1 };
    {
        let store = Store::open(&path).unwrap();
        store.save_app(&record).await.unwrap();
        store.commit_epoch(&record.name, &db, epoch).await.unwrap();
        store.append_line(&record.name, "d", 0, "{}".to_owned()).await.unwrap();
    }
    let store = Store::open(&path).unwrap();
    assert_eq!(store.apps().await.unwrap(), vec![record.clone()]);
    assert_eq!(store.epoch(&record.name, &db).await.unwrap(), Some(epoch));
    assert_eq!(store.lines("d", 0).await.unwrap().len(), 1);

    store.remove_app(&record.name).await.unwrap();
    assert_eq!(store.epoch(&record.name, &db).await.unwrap(), None);
    assert!(store.apps().await.unwrap().is_empty());
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
