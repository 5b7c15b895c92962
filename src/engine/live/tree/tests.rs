use super::*;

/// An upload: `path` or `path -> target` or `path/`, each with its text.
fn upload(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    for (path, text) in entries {
        let mut header = header(0o640, 7);
        if let Some((path, target)) = path.split_once(" -> ") {
            header.set_entry_type(EntryType::Symlink);
            archive.append_link(&mut header, path, target).unwrap();
        } else if path.ends_with('/') {
            header.set_entry_type(EntryType::Directory);
            archive.append_data(&mut header, path, io::empty()).unwrap();
        } else {
            header.set_size(text.len() as u64);
            // Not `append_data`: it refuses what a stranger's program would send.
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            archive.append(&header, text.as_bytes()).unwrap();
        }
    }
    archive.into_inner().unwrap()
}

fn tree(entries: &[(&str, &str)]) -> Tree {
    Tree::read(&upload(entries)).unwrap()
}

fn deleted(tree: &Tree) -> Vec<&str> {
    tree.deleted.iter().map(String::as_str).collect()
}

#[test]
fn an_upload_is_read_and_what_leaves_the_tree_is_refused() {
    let change = tree(&[(DELETED, "old.py\0dir/gone\0"), ("./www/wsgi.py", "x"), ("lib/", ""), ("a/l -> ../lib", "")]);
    assert_eq!(change.paths().collect::<Vec<_>>(), ["a/l", "lib", "www/wsgi.py", "dir/gone", "old.py"]);
    assert_eq!(change.files(), 4);
    for wrong in ["../up", "/etc/passwd", "a/../../up", ".dotcloud/live/change", "l -> /etc", "d/l -> ../../up"] {
        assert!(Tree::read(&upload(&[(wrong, "")])).is_err(), "{wrong}");
    }
    assert!(Tree::read(&upload(&[(DELETED, "../up\0")])).is_err());
    assert!(Tree::read(b"no tar").is_err());
}

#[test]
fn names_that_are_not_utf8_are_told_from_broken_changes() {
    let mut named = upload(&[("caf_.php", "x")]);
    named[3] = 0xe9;
    let sum: u32 = named[..512]
        .iter()
        .enumerate()
        .map(|(at, &byte)| if (148..156).contains(&at) { 32 } else { byte.into() })
        .sum();
    named[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut gone = upload(&[(DELETED, "a\0caf_.php")]);
    gone[512 + 5] = 0xe9;
    for upload in [named, gone] {
        assert!(matches!(Tree::read(&upload), Err(TreeError::Name(name)) if name.starts_with("caf")));
    }
}

#[test]
fn later_changes_win_over_earlier_ones() {
    let mut all = Tree::default();
    all.merge(&tree(&[("a.py", "1"), ("b.py", "1"), ("dir/", ""), ("dir/c.py", "1")]));
    all.merge(&tree(&[(DELETED, "b.py\0dir\0"), ("a.py", "2")]));
    assert_eq!(all.entries.keys().collect::<Vec<_>>(), ["a.py"]);
    assert_eq!(all.entries["a.py"].content, Content::File("2".into()));
    assert_eq!(deleted(&all), ["a.py", "b.py", "dir", "dir/c.py"], "deletions come before the files");
}

#[test]
fn a_file_takes_the_place_of_a_folder_and_back() {
    let mut all = Tree::default();
    all.merge(&tree(&[("x/", ""), ("x/y", "1")]));
    all.merge(&tree(&[("x", "a file")]));
    assert_eq!(all.entries.keys().collect::<Vec<_>>(), ["x"]);
    all.merge(&tree(&[("x/z", "1")]));
    assert_eq!(all.entries.keys().collect::<Vec<_>>(), ["x/z"]);
    assert!(deleted(&all).contains(&"x"), "what the image has there goes first");
}

#[test]
fn an_overlay_is_read_as_it_was_written() {
    let mut all = Tree::default();
    all.merge(&tree(&[(DELETED, "gone\0"), ("a.py", "1"), ("d/", ""), ("d/l -> ../a.py", "")]));
    all.set_time(99);
    let again = Tree::read_overlay(&all.overlay(99).unwrap()).unwrap();
    assert_eq!(again, all);
    assert_eq!(again.entries["a.py"].mtime, 99);
}
